//! Recording operations on symbols, so that functional models can be made of them.

use std::any::Any;
use std::panic::Location;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::Result;
use crate::layers::{Base, Context, Layer, LayerObject, LayerRef, call_layer};
use crate::nest::{Args, Nest};
use crate::saving::KerasObject;
use crate::tensor::{Tensor, here};

/// An operation with its arguments other than tensors: what Keras's `Operation` classes are.
pub trait Operation: KerasObject {
    /// The Python module in configurations, `keras.src.ops.numpy`.
    fn module(&self) -> &'static str;

    /// The result on values and traced tensors.
    ///
    /// # Errors
    /// If the arguments are not what the operation takes.
    fn compute(&self, args: &Args) -> Result<Nest>;
}

/// A class of operations: its name and how to rebuild one.
pub struct OperationClass {
    /// Keras's class name.
    pub name: &'static str,
    /// From its configuration (without `name`).
    pub from_config: fn(Value) -> Result<Arc<dyn Operation>>,
}

/// Applies an operation of one result: computes, or on symbols records the call.
#[track_caller]
pub fn apply(operation: impl Operation + 'static, args: Args) -> Tensor {
    apply_all(operation, args).swap_remove(0)
}

/// Applies an operation: all results, flat; one that carries the error if it failed.
#[track_caller]
pub fn apply_all(operation: impl Operation + 'static, args: Args) -> Vec<Tensor> {
    apply_shared(Arc::new(operation), args)
}

/// [`apply_all`], compiled once for all operations.
#[track_caller]
fn apply_shared(operation: Arc<dyn Operation>, args: Args) -> Vec<Tensor> {
    let at = Location::caller();
    if let Some(error) = args.tensors().iter().find_map(|t| t.error()) {
        return vec![Tensor::invalid(error.clone())];
    }
    let result = if args.tensors().iter().any(|t| t.is_symbol()) {
        let layer: LayerRef = Arc::new(OperationLayer::new(operation));
        call_layer(&layer, args, &mut Context::default())
    } else {
        operation.compute(&args).map_err(|e| e.within(operation.class_name()))
    };
    match result {
        Ok(nest) => nest.tensors().into_iter().cloned().collect(),
        Err(error) => vec![Tensor::invalid(error.within(&format!("at {}", here(at))))],
    }
}

/// An operation as a node of a functional model.
#[derive(Clone, Debug)]
pub struct OperationLayer {
    base: Base,
    operation: Arc<dyn Operation>,
}

impl OperationLayer {
    /// Wraps `operation`.
    pub fn new(operation: Arc<dyn Operation>) -> OperationLayer {
        OperationLayer { base: Base::default(), operation }
    }
}

impl LayerObject for OperationLayer {
    fn base(&self) -> &Base {
        &self.base
    }

    fn class_name(&self) -> &'static str {
        self.operation.class_name()
    }

    fn own_config(&self) -> Value {
        self.operation.config()
    }

    fn share(&self) -> LayerRef {
        Arc::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Layer for OperationLayer {
    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        self.operation.compute(inputs)
    }

    fn module(&self) -> &'static str {
        self.operation.module()
    }

    fn registered_name(&self) -> Option<String> {
        let own = || self.operation.class_name().to_owned();
        Some(self.operation.registered_name().unwrap_or_else(own))
    }

    fn is_operation(&self) -> bool {
        true
    }

    fn autocasts_inputs(&self) -> bool {
        false
    }

    fn config(&self) -> Value {
        let mut config = Map::from_iter([("name".to_owned(), Value::from(self.name()))]);
        if let Value::Object(own) = self.operation.config() {
            config.extend(own);
        }
        Value::Object(config)
    }
}
