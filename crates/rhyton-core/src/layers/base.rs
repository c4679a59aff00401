//! What every layer has: a name, a dtype policy, weights, and whether they train.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use rhyton_ir::{DType, Shape};
use serde_json::Value;

use super::remat::{self, RematScope};
use crate::constraints::ConstraintRef;
use crate::dtype_policy::DTypePolicy;
use crate::error::{Error, Result};
use crate::initializers::{InitializerRef, Zeros};
use crate::naming;
use crate::random::SeedGenerator;
use crate::regularizers::RegularizerRef;
use crate::tensor::Tensor;
use crate::variable::{Variable, VariableOptions};

/// The identity and state of a layer. A clone is the same layer: it has the same weights.
#[derive(Clone, Debug, Default)]
pub struct Base(Arc<State>);

#[derive(Debug)]
struct State {
    given_name: Mutex<Option<String>>,
    name: OnceLock<String>,
    path: OnceLock<String>,
    trainable: AtomicBool,
    policy: Mutex<DTypePolicy>,
    weights: Mutex<Vec<Variable>>,
    seed_generators: Mutex<Vec<SeedGenerator>>,
    build_config: OnceLock<Value>,
    calls: AtomicUsize,
    /// The scope that the layer was made in.
    remat_scope: Option<Arc<RematScope>>,
}

impl Default for State {
    fn default() -> State {
        State {
            given_name: Mutex::default(),
            name: OnceLock::new(),
            path: OnceLock::new(),
            trainable: AtomicBool::new(true),
            policy: Mutex::new(DTypePolicy::global()),
            weights: Mutex::default(),
            seed_generators: Mutex::default(),
            build_config: OnceLock::new(),
            calls: AtomicUsize::new(0),
            remat_scope: remat::current(),
        }
    }
}

impl Base {
    /// Names the layer; has no effect once the name has been used.
    pub fn set_name(&self, name: impl Into<String>) {
        *self.0.given_name.lock().unwrap_or_else(|e| e.into_inner()) = Some(name.into());
    }

    /// The name: the one given, or the next automatic one for `class_name`.
    pub(crate) fn name_or(&self, class_name: &str) -> &str {
        self.0.name.get_or_init(|| {
            let given = self.0.given_name.lock().unwrap_or_else(|e| e.into_inner()).clone();
            given.unwrap_or_else(|| naming::auto_name(class_name))
        })
    }

    /// Whether the weights train.
    pub fn trainable(&self) -> bool {
        self.0.trainable.load(Ordering::Relaxed)
    }

    /// Sets whether this layer's own weights train; [`Layer::set_trainable`](super::Layer::set_trainable) reaches inner
    /// layers, too.
    pub fn set_own_trainable(&self, trainable: bool) {
        self.0.trainable.store(trainable, Ordering::Relaxed);
        for weight in self.lock_weights().iter().filter(|w| w.made_trainable()) {
            weight.set_trainable(trainable);
        }
    }

    /// The dtype policy as it was given, which may be a map; the global one of when the layer was made unless said.
    pub fn policy(&self) -> DTypePolicy {
        *self.0.policy.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Sets the dtype policy; weights that are there keep their dtype.
    pub fn set_policy(&self, policy: impl Into<DTypePolicy>) {
        *self.0.policy.lock().unwrap_or_else(|e| e.into_inner()) = policy.into();
    }

    /// The dtype policy of this layer.
    fn own_policy(&self) -> DTypePolicy {
        let policy = self.policy();
        // Keys that clash are refused when the layer is built.
        policy.at(self.path()).unwrap_or(policy)
    }

    /// The dtype of computations.
    pub fn compute_dtype(&self) -> DType {
        self.own_policy().compute_dtype()
    }

    /// The dtype of weights.
    pub fn variable_dtype(&self) -> DType {
        self.own_policy().variable_dtype()
    }

    /// Starts a weight named `name` of `shape`; finish it with [`NewWeight::add`].
    pub fn add_weight(&self, name: &str, shape: impl Into<Vec<usize>>) -> NewWeight<'_> {
        NewWeight {
            base: self,
            name: name.to_owned(),
            shape: shape.into(),
            initializer: None,
            regularizer: None,
            constraint: None,
            trainable: true,
            autocast: true,
            dtype: None,
        }
    }

    /// The weight named `name`, in the layer's compute dtype.
    ///
    /// # Errors
    /// If the layer has no such weight (it is not built, or was built without).
    pub fn weight(&self, name: &str) -> Result<Tensor> {
        let variable = self.variable(name)?;
        let value = variable.value();
        Ok(if variable.autocast() && variable.dtype().is_float() { value.cast(self.compute_dtype()) } else { value })
    }

    /// The variable named `name`.
    ///
    /// # Errors
    /// As [`Base::weight`].
    pub fn variable(&self, name: &str) -> Result<Variable> {
        let weights = self.lock_weights();
        weights.iter().find(|v| v.name() == name).cloned().ok_or_else(|| {
            Error::argument(
                self.0.name.get().map_or("layer", String::as_str),
                format!("there is no weight named {name:?}"),
                if self.built() { "add it in build with add_weight" } else { "build the layer first, by calling it" },
            )
        })
    }

    /// The layer's own weights, in the order in which they were added; those of inner layers are not among them.
    pub fn own_weights(&self) -> Vec<Variable> {
        self.lock_weights().clone()
    }

    /// Keeps a variable made elsewhere as a weight.
    pub fn track(&self, variable: Variable) {
        self.lock_weights().push(variable);
    }

    /// A source of random numbers for the layer, seeded by `seed` or anew.
    pub fn seed_generator(&self, seed: Option<u64>) -> SeedGenerator {
        let mut generators = self.0.seed_generators.lock().unwrap_or_else(|e| e.into_inner());
        if generators.is_empty() {
            generators.push(SeedGenerator::new(seed));
        }
        generators[0].clone()
    }

    /// Whether the weights are there.
    pub fn built(&self) -> bool {
        self.0.build_config.get().is_some()
    }

    /// What `build` was given, as Keras writes it.
    pub fn build_config(&self) -> Option<&Value> {
        self.0.build_config.get()
    }

    pub(crate) fn set_built(&self, config: Value) {
        // Set already only when two threads build at once, with the same shapes or an error.
        let _ = self.0.build_config.set(config);
    }

    /// The path under which the layer was built, `outer/inner`; its name until then.
    pub fn path(&self) -> Option<&str> {
        self.0.path.get().map(String::as_str)
    }

    pub(crate) fn set_path(&self, path: String) {
        let _ = self.0.path.set(path);
    }

    /// The scope of rematerialization that the layer was made in.
    pub(super) fn remat_scope(&self) -> Option<&RematScope> {
        self.0.remat_scope.as_deref()
    }

    /// Counts the calls on symbols: the index of the next node.
    pub(crate) fn next_call(&self) -> usize {
        self.0.calls.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether the two are the same layer.
    pub fn is(&self, other: &Base) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Tells layers apart for as long as they live.
    pub(crate) fn key(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    fn lock_weights(&self) -> std::sync::MutexGuard<'_, Vec<Variable>> {
        self.0.weights.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// A weight being described; [`NewWeight::add`] makes it.
#[must_use = "call add() to make the weight"]
pub struct NewWeight<'b> {
    base: &'b Base,
    name: String,
    shape: Vec<usize>,
    initializer: Option<InitializerRef>,
    regularizer: Option<RegularizerRef>,
    constraint: Option<ConstraintRef>,
    trainable: bool,
    autocast: bool,
    dtype: Option<DType>,
}

impl NewWeight<'_> {
    /// How it starts; Glorot uniform for floating-point weights, zeros for others unless said.
    pub fn initializer(mut self, initializer: impl Into<InitializerRef>) -> Self {
        self.initializer = Some(initializer.into());
        self
    }

    /// Adds to the loss.
    pub fn regularizer(mut self, regularizer: Option<RegularizerRef>) -> Self {
        self.regularizer = regularizer;
        self
    }

    /// Applied after each update.
    pub fn constraint(mut self, constraint: Option<ConstraintRef>) -> Self {
        self.constraint = constraint;
        self
    }

    /// Whether optimizers update it; true unless said.
    pub fn trainable(mut self, trainable: bool) -> Self {
        self.trainable = trainable;
        self
    }

    /// Whether it is read in the compute dtype; true unless said.
    pub fn autocast(mut self, autocast: bool) -> Self {
        self.autocast = autocast;
        self
    }

    /// Its dtype; the layer's variable dtype unless said.
    pub fn dtype(mut self, dtype: DType) -> Self {
        self.dtype = Some(dtype);
        self
    }

    /// Makes the weight.
    ///
    /// # Errors
    /// If the initializer cannot fill the shape.
    pub fn add(self) -> Result<Variable> {
        let dtype = self.dtype.unwrap_or_else(|| self.base.variable_dtype());
        let initializer = self
            .initializer
            .unwrap_or_else(|| if dtype.is_float() { InitializerRef::default() } else { Zeros {}.into() });
        let path = naming::path_of(&self.name);
        crate::saving::budget::spend(&path, &self.shape, dtype)?;
        // Initial values are computed now, not as part of a function that may be traced around the call.
        let value = initializer.call(&self.shape, dtype).map_err(|e| e.within(&path))?.eval()?;
        let options = VariableOptions {
            name: self.name,
            path,
            trainable: self.trainable,
            autocast: self.autocast,
            regularizer: self.regularizer,
            constraint: self.constraint,
        };
        let variable = Variable::new(value.cast(dtype), options);
        if self.trainable && !self.base.trainable() {
            variable.set_trainable(false);
        }
        self.base.track(variable.clone());
        Ok(variable)
    }
}

/// The size of the last axis, which weights are made for.
///
/// # Errors
/// If it is unknown or there is no axis.
pub(crate) fn last_size(shape: &Shape, layer: &str) -> Result<usize> {
    size_of(shape, shape.rank().wrapping_sub(1), layer)
}

/// The size of `axis`, which weights are made for.
///
/// # Errors
/// If it is unknown or there is no such axis.
pub(crate) fn size_of(shape: &Shape, axis: usize, layer: &str) -> Result<usize> {
    shape.get(axis).and_then(|d| d.known()).ok_or_else(|| {
        Error::shape(
            layer,
            format!("axis {axis} of the input shape {shape} must be a known number to make weights for it"),
            "give Input the full size of that axis",
        )
    })
}
