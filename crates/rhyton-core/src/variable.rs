//! Variables: named state that outlives a computation.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rhyton_ir::{Array, DType, TensorType};

use crate::constraints::ConstraintRef;
use crate::error::{Error, Result};
use crate::regularizers::RegularizerRef;
use crate::tensor::{Tensor, trace_read, trace_write};

/// State with a path, a type and a value: a weight, an optimizer's slot, a metric's count. Clones are the same variable.
#[derive(Clone)]
pub struct Variable(Arc<Inner>);

struct Inner {
    id: u64,
    name: String,
    path: String,
    ty: TensorType,
    shape: Vec<usize>,
    trainable: AtomicBool,
    /// Whether it was made to train: what a layer that is thawed trains again.
    made_trainable: bool,
    autocast: bool,
    regularizer: Option<RegularizerRef>,
    constraint: Option<ConstraintRef>,
    value: Mutex<Tensor>,
}

/// What a [`Variable`] is made with beside its initial value.
#[derive(Clone, Debug, Default)]
pub struct VariableOptions {
    /// The last part of the path.
    pub name: String,
    /// The whole path, `dense/kernel`.
    pub path: String,
    /// Whether optimizers update it.
    pub trainable: bool,
    /// Whether layers read it in their compute dtype.
    pub autocast: bool,
    /// Adds to the loss.
    pub regularizer: Option<RegularizerRef>,
    /// Applied after each update.
    pub constraint: Option<ConstraintRef>,
}

impl Variable {
    /// A variable that starts as `value`.
    pub fn new(value: Array, options: VariableOptions) -> Variable {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Variable(Arc::new(Inner {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            name: options.name,
            path: options.path,
            ty: TensorType::new(value.dtype(), value.shape()),
            shape: value.shape().to_vec(),
            trainable: AtomicBool::new(options.trainable),
            made_trainable: options.trainable,
            autocast: options.autocast,
            regularizer: options.regularizer,
            constraint: options.constraint,
            value: Mutex::new(Tensor::from(value)),
        }))
    }

    /// A variable that no optimizer updates, named by `path`: state of optimizers, metrics and generators.
    pub fn state(path: &str, value: Array) -> Variable {
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        Variable::new(value, VariableOptions { name, path: path.to_owned(), ..VariableOptions::default() })
    }

    /// Tells variables apart for the life of the process.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// The last part of the path.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Where it belongs: `dense/kernel`.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The dtype and shape.
    pub fn ty(&self) -> TensorType {
        self.0.ty.clone()
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.0.ty.dtype
    }

    /// The shape.
    pub fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    /// The number of elements.
    pub fn count(&self) -> usize {
        self.0.shape.iter().product()
    }

    /// Whether optimizers update it.
    pub fn trainable(&self) -> bool {
        self.0.trainable.load(Ordering::Relaxed)
    }

    /// Whether it was made to train, however it is set now.
    pub fn made_trainable(&self) -> bool {
        self.0.made_trainable
    }

    /// Sets whether optimizers update it.
    pub fn set_trainable(&self, trainable: bool) {
        self.0.trainable.store(trainable, Ordering::Relaxed);
    }

    /// Whether layers read it in their compute dtype.
    pub fn autocast(&self) -> bool {
        self.0.autocast
    }

    /// Adds to the loss.
    pub fn regularizer(&self) -> Option<&RegularizerRef> {
        self.0.regularizer.as_ref()
    }

    /// Applied after each update.
    pub fn constraint(&self) -> Option<&ConstraintRef> {
        self.0.constraint.as_ref()
    }

    /// The value; inside a trace, at this point of the traced function.
    pub fn value(&self) -> Tensor {
        trace_read(self).unwrap_or_else(|| self.stored())
    }

    /// The value outside of all traces.
    pub(crate) fn stored(&self) -> Tensor {
        self.lock().clone()
    }

    /// Sets the value; inside a trace, from this point of the traced function on. Converted to the variable's dtype.
    ///
    /// # Errors
    /// If the shape is another, or the tensor carries an error.
    pub fn assign(&self, value: impl Into<Tensor>) -> Result<()> {
        let value = value.into();
        value.check()?;
        if !value.shape().compatible(&self.0.ty.shape) {
            return Err(Error::shape(
                self.describe(),
                format!("a value of shape {} for a variable of shape {}", value.shape(), self.0.ty.shape),
                "assign a value of the variable's shape",
            ));
        }
        let value = value.cast(self.dtype()).without_mask();
        if !trace_write(self, &value) {
            *self.lock() = value;
        }
        Ok(())
    }

    /// The value as an array.
    ///
    /// # Errors
    /// If it was assigned a tensor that cannot be computed.
    pub fn array(&self) -> Result<Array> {
        let value = {
            let value = self.lock();
            if let Some(array) = value.ready() {
                return Ok(array.clone());
            }
            // What is still to be computed may read this variable.
            value.clone()
        };
        value.eval()
    }

    /// Takes the value out for a program that will give the next one; nobody may read it meanwhile.
    pub(crate) fn take(&self) -> Result<Array> {
        let value = self.lock().clone();
        let array = value.eval()?;
        // Let go of the tensor that shares the elements, so that the program can write in place.
        *self.lock() = Tensor::from(Array::default());
        drop(value);
        Ok(array)
    }

    /// Puts a value in without looking at it: one that a program gave for this variable.
    pub(crate) fn put(&self, value: Array) {
        *self.lock() = Tensor::from(value);
    }

    /// How errors name it.
    pub fn describe(&self) -> String {
        format!("variable {}", self.0.path)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Tensor> {
        self.0.value.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl PartialEq for Variable {
    fn eq(&self, other: &Variable) -> bool {
        self.0.id == other.0.id
    }
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variable({}, {}, trainable={})", self.0.path, self.0.ty, self.trainable())
    }
}
