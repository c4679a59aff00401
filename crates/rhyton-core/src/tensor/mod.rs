//! The tensor: a value, a node of a computation that has not run yet, or a symbol of a functional model.
//!
//! All three are one type, so that the same code runs on values, inside a trace and on the inputs of a model. An
//! operation adds a node; nothing is computed until a value is read. An operation that cannot be built gives a tensor
//! that carries the error to the next fallible call.

mod evaluate;
mod gradient;
mod operators;
mod trace;

use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, OnceLock};

use rhyton_ir::op::{Convert, Op};
use rhyton_ir::{Array, DType, Dim, Element, Shape, TensorType};

use crate::error::{Error, Result, engine};
use crate::model::History;

pub(crate) use evaluate::{Export, Values};
pub use evaluate::{clear_cache, evaluate_all};
pub use gradient::{grad, gradients, gradients_if_any, value_and_grad};
pub use trace::{Captured, Trace, in_trace, trace_function};
pub(crate) use trace::{read as trace_read, write as trace_write};

/// An n-dimensional array, or a recipe for one. Cheap to clone.
#[derive(Clone)]
pub struct Tensor {
    node: Arc<Node>,
    output: usize,
    mask: Option<Arc<Tensor>>,
}

/// What a tensor is the output of.
struct Node {
    kind: Kind,
    types: Vec<TensorType>,
    /// Operands; given up when the values are there, so that what they hold is freed.
    inputs: Mutex<Vec<Tensor>>,
    values: OnceLock<Vec<Array>>,
    /// The same operation with further outputs, which a gradient asked for: computed in place of this node.
    extension: OnceLock<Tensor>,
}

enum Kind {
    /// A value that was there from the beginning.
    Value,
    /// An operation applied to `inputs`.
    Apply(Op),
    /// A parameter of a function being traced.
    Placeholder,
    /// A symbol of a functional model, with the call that gives it.
    Symbol(History),
    /// What could not be built.
    Invalid(Error),
}

impl Tensor {
    fn from_node(node: Node, output: usize) -> Tensor {
        Tensor { node: Arc::new(node), output, mask: None }
    }

    fn leaf(kind: Kind, ty: TensorType) -> Tensor {
        Tensor::from_node(
            Node {
                kind,
                types: vec![ty],
                inputs: Mutex::default(),
                values: OnceLock::new(),
                extension: OnceLock::new(),
            },
            0,
        )
    }

    /// A tensor of `shape` over `values`.
    ///
    /// A count that does not fill the shape gives a tensor that carries the error.
    #[track_caller]
    pub fn new<T: Element>(shape: impl Into<Vec<usize>>, values: impl Into<Vec<T>>) -> Tensor {
        let (shape, data) = (shape.into(), T::wrap(values.into()));
        let count = data.len();
        match Array::try_new(shape.clone(), data) {
            Some(array) => Tensor::from(array),
            None => Tensor::invalid(Error::shape(
                here(Location::caller()),
                format!("{count} values do not fill the shape {shape:?}"),
                "give as many values as the product of the shape",
            )),
        }
    }

    /// A parameter of a function being traced; see [`trace_function`].
    pub fn placeholder(ty: TensorType) -> Tensor {
        Tensor::leaf(Kind::Placeholder, ty)
    }

    /// A symbol of a functional model: output of the call that `history` describes.
    pub(crate) fn symbol(ty: TensorType, history: History) -> Tensor {
        Tensor::leaf(Kind::Symbol(history), ty)
    }

    /// A tensor that carries `error` to the next fallible call.
    pub fn invalid(error: Error) -> Tensor {
        Tensor::leaf(Kind::Invalid(error), TensorType::new(DType::F32, Shape::scalar()))
    }

    /// Applies a primitive operation; the first output. Operands must have exactly the types it takes.
    #[track_caller]
    pub fn apply(op: impl Into<Op>, inputs: &[&Tensor]) -> Tensor {
        Tensor::apply_all(op, inputs).swap_remove(0)
    }

    /// Applies a primitive operation; all outputs. If it cannot be applied, there is one output that carries the error.
    #[track_caller]
    pub fn apply_all(op: impl Into<Op>, inputs: &[&Tensor]) -> Vec<Tensor> {
        if let Some(error) = inputs.iter().find_map(|t| t.error()) {
            return vec![Tensor::invalid(error.clone())];
        }
        let op = op.into();
        let operands: Vec<&TensorType> = inputs.iter().map(|t| t.ty()).collect();
        match op.infer(&operands) {
            Ok(types) => {
                let inputs = inputs.iter().map(|&t| t.without_mask()).collect();
                let outputs = types.len();
                let node = Arc::new(Node {
                    kind: Kind::Apply(op),
                    types,
                    inputs: Mutex::new(inputs),
                    values: OnceLock::new(),
                    extension: OnceLock::new(),
                });
                (0..outputs).map(|output| Tensor { node: Arc::clone(&node), output, mask: None }).collect()
            }
            Err(error) => vec![Tensor::invalid(engine(Location::caller(), error))],
        }
    }

    /// The error that this tensor carries, if any.
    pub fn error(&self) -> Option<&Error> {
        match &self.node.kind {
            Kind::Invalid(error) => Some(error),
            _ => None,
        }
    }

    /// The tensor itself, or the error that it carries.
    ///
    /// # Errors
    /// That error.
    pub fn check(&self) -> Result<&Tensor> {
        self.error().map_or(Ok(self), |error| Err(error.clone()))
    }

    /// The dtype and shape.
    pub fn ty(&self) -> &TensorType {
        &self.node.types[self.output]
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.ty().dtype
    }

    /// The shape; of a symbol, some sizes may be unknown.
    pub fn shape(&self) -> &Shape {
        &self.ty().shape
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.ty().rank()
    }

    /// The size of an axis, counted from the end if negative; 1 if there is no such axis.
    pub fn dim(&self, axis: isize) -> Dim {
        let at = if axis < 0 { self.rank().checked_add_signed(axis) } else { Some(axis as usize) };
        at.and_then(|a| self.shape().get(a)).cloned().unwrap_or(Dim::Known(1))
    }

    /// Converted to `dtype`; itself if it is that already. See [`rhyton_ir::Data::cast`] for how.
    #[track_caller]
    pub fn cast(&self, dtype: DType) -> Tensor {
        if self.error().is_some() || self.dtype() == dtype {
            return self.clone();
        }
        Tensor { mask: self.mask.clone(), ..Tensor::apply(Convert { dtype }, &[self]) }
    }

    /// Whether this is a symbol of a functional model (Keras's `KerasTensor`).
    pub fn is_symbol(&self) -> bool {
        matches!(self.node.kind, Kind::Symbol(_))
    }

    /// The call of which this symbol is an output.
    pub fn history(&self) -> Option<&History> {
        match &self.node.kind {
            Kind::Symbol(history) => Some(history),
            _ => None,
        }
    }

    /// The mask that travels with the tensor: `bool`, true where a step counts. Layers pass it on; operations drop it.
    pub fn mask(&self) -> Option<&Tensor> {
        self.mask.as_deref()
    }

    /// The same tensor with another mask.
    pub fn with_mask(&self, mask: Option<Tensor>) -> Tensor {
        Tensor { mask: mask.map(Arc::new), ..self.clone() }
    }

    /// The same tensor without a mask.
    pub fn without_mask(&self) -> Tensor {
        Tensor { node: Arc::clone(&self.node), output: self.output, mask: None }
    }

    /// Whether the two are the same output of the same node.
    pub fn is(&self, other: &Tensor) -> bool {
        Arc::ptr_eq(&self.node, &other.node) && self.output == other.output
    }

    /// Identifies the output of the node for as long as the tensor lives.
    pub(crate) fn key(&self) -> (usize, usize) {
        (Arc::as_ptr(&self.node) as usize, self.output)
    }

    /// Another output of the same node.
    fn sibling(&self, output: usize) -> Tensor {
        Tensor { node: Arc::clone(&self.node), output, mask: None }
    }

    /// The same output of the node that is computed in place of this one's, if there is such.
    fn extended(&self) -> Option<Tensor> {
        let mut last = self.node.extension.get()?;
        while let Some(next) = last.node.extension.get() {
            last = next;
        }
        Some(last.sibling(self.output))
    }

    /// The value, if it is there already.
    pub(crate) fn ready(&self) -> Option<&Array> {
        self.node.values.get().map(|v| &v[self.output])
    }

    /// Whether it is known how the tensor came about.
    pub(crate) fn has_operands(&self) -> bool {
        !self.node.inputs.lock().unwrap_or_else(|e| e.into_inner()).is_empty()
    }

    /// The operands of the operation that gives this tensor, if that is known and `is_it`.
    pub(crate) fn producer(&self, is_it: impl Fn(&Op) -> bool) -> Option<Vec<Tensor>> {
        let Kind::Apply(op) = &self.node.kind else { return None };
        let inputs = self.node.inputs.lock().unwrap_or_else(|e| e.into_inner());
        (is_it(op) && !inputs.is_empty()).then(|| inputs.clone())
    }

    /// Computes the value (once) and gives it.
    ///
    /// # Errors
    /// The error that the tensor carries; or if the value depends on a symbol or on a parameter of a trace.
    pub fn eval(&self) -> Result<Array> {
        if let Some(array) = self.ready() {
            return Ok(array.clone());
        }
        evaluate_all(std::slice::from_ref(self)).map(|mut values| values.swap_remove(0))
    }

    /// Computes the value and gives its elements, converted to `T` if the dtype is another.
    ///
    /// # Errors
    /// As [`Tensor::eval`].
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        let array = self.eval()?.cast(T::DTYPE);
        Ok(array.as_slice::<T>().map(<[T]>::to_vec).unwrap_or_default())
    }

    /// Computes the value of a tensor of one element.
    ///
    /// # Errors
    /// As [`Tensor::eval`], or if there is not exactly one element.
    pub fn item(&self) -> Result<f64> {
        let array = self.eval()?;
        if array.len() != 1 {
            return Err(Error::shape(
                "item",
                format!("the tensor has shape {}", self.shape()),
                "reduce it to one element",
            ));
        }
        Ok(array.data().get_f64(0))
    }
}

/// `file:line` of a caller.
pub(crate) fn here(location: &Location<'_>) -> String {
    format!("{}:{}", location.file(), location.line())
}

impl Drop for Node {
    /// Frees chains of operands in a loop: dropping them recursively would overflow the stack on deep computations.
    fn drop(&mut self) {
        let mut pending = std::mem::take(self.inputs.get_mut().unwrap_or_else(|e| e.into_inner()));
        pending.extend(self.extension.take());
        while let Some(tensor) = pending.pop() {
            if let Some(mut node) = Arc::into_inner(tensor.node) {
                pending.extend(node.extension.take());
                pending.append(node.inputs.get_mut().unwrap_or_else(|e| e.into_inner()));
            }
        }
    }
}

impl From<Array> for Tensor {
    fn from(array: Array) -> Tensor {
        let tensor = Tensor::leaf(Kind::Value, TensorType::new(array.dtype(), array.shape()));
        // A new cell is empty, so this always sets it.
        let _ = tensor.node.values.set(vec![array]);
        tensor
    }
}

impl From<&Tensor> for Tensor {
    fn from(tensor: &Tensor) -> Tensor {
        tensor.clone()
    }
}

impl From<Result<Tensor>> for Tensor {
    fn from(result: Result<Tensor>) -> Tensor {
        result.unwrap_or_else(Tensor::invalid)
    }
}

macro_rules! from_scalar {
    ($($t:ty),*) => {$(
        impl From<$t> for Tensor {
            fn from(value: $t) -> Tensor {
                Tensor::from(Array::scalar(value))
            }
        }
    )*};
}
from_scalar!(f32, f64, i32, i64, u8, u32, bool);

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.node.kind, self.ready()) {
            (_, Some(array)) => write!(f, "Tensor({array:?})"),
            (Kind::Invalid(error), _) => write!(f, "Tensor(error: {error})"),
            (Kind::Symbol(history), _) => write!(f, "KerasTensor({}, from {})", self.ty(), history.layer_name()),
            (Kind::Placeholder, _) => write!(f, "Tensor({}, traced)", self.ty()),
            (Kind::Apply(op), _) => write!(f, "Tensor({}, {} not yet computed)", self.ty(), op.name()),
            (Kind::Value, None) => write!(f, "Tensor({})", self.ty()),
        }
    }
}
