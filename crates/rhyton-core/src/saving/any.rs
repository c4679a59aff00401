//! Any object that Keras serializes, of whatever family.

use serde_json::Value;

use super::{Parts, custom};
use crate::constraints::{self, ConstraintRef};
use crate::dtype_policy::DTypePolicy;
use crate::error::{Error, Result};
use crate::initializers::{self, InitializerRef};
use crate::layers::LayerRef;
use crate::losses::{self, LossRef};
use crate::metrics::MetricRef;
use crate::model::{deserialize_layer, serialize_layer};
use crate::optimizers::schedules::{self, ScheduleRef};
use crate::optimizers::{self, OptimizerRef};
use crate::regularizers::{self, RegularizerRef};

/// An object of any family that configurations describe.
#[derive(Clone, Debug)]
pub enum AnyObject {
    /// A layer, operation or model.
    Layer(LayerRef),
    /// A loss.
    Loss(LossRef),
    /// A metric.
    Metric(MetricRef),
    /// An optimizer.
    Optimizer(OptimizerRef),
    /// A schedule of learning rates.
    Schedule(ScheduleRef),
    /// An initializer.
    Initializer(InitializerRef),
    /// A regularizer.
    Regularizer(RegularizerRef),
    /// A constraint.
    Constraint(ConstraintRef),
    /// A dtype policy.
    Policy(DTypePolicy),
    /// What is no object: a number, a text, a list.
    Plain(Value),
}

impl AnyObject {
    /// Keras's form of it, as configurations hold it (`serialize_keras_object`).
    pub fn to_json(&self) -> Value {
        let json = |value: serde_json::Result<Value>| value.unwrap_or(Value::Null);
        match self {
            AnyObject::Layer(layer) => serialize_layer(layer.as_ref()),
            AnyObject::Loss(loss) => loss.to_json(),
            AnyObject::Metric(metric) => metric.to_json(),
            AnyObject::Optimizer(optimizer) => optimizer.to_json(),
            // Their serialization has no way to fail.
            AnyObject::Schedule(schedule) => json(serde_json::to_value(schedule)),
            AnyObject::Initializer(initializer) => json(serde_json::to_value(initializer)),
            AnyObject::Regularizer(regularizer) => json(serde_json::to_value(regularizer)),
            AnyObject::Constraint(constraint) => json(serde_json::to_value(constraint)),
            AnyObject::Policy(policy) => policy.to_json(),
            AnyObject::Plain(value) => value.clone(),
        }
    }
}

/// Keras's form of an object, as configurations hold it.
pub fn serialize_keras_object(object: &AnyObject) -> Value {
    object.to_json()
}

/// The object that `config` describes, whatever its family; numbers, texts and lists as they are. Nothing is run.
///
/// # Errors
/// If its class is not known, or its configuration is not what the class takes.
///
/// # Examples
/// ```
/// use rhyton_core::saving::{AnyObject, deserialize_keras_object};
/// use serde_json::json;
///
/// let config = json!({"module": "keras.initializers", "class_name": "Constant", "config": {"value": 2.0}, "registered_name": null});
/// let object = deserialize_keras_object(&config)?;
/// assert!(matches!(object, AnyObject::Initializer(_)));
/// assert_eq!(object.to_json(), config);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
pub fn deserialize_keras_object(config: &Value) -> Result<AnyObject> {
    if config.get("class_name").is_none() {
        return Ok(AnyObject::Plain(config.clone()));
    }
    let parts = Parts::of(config, "object")?;
    let parsed =
        |e: serde_json::Error| Error::content("object", e.to_string(), "this version reads what Keras 3.15 writes");
    Ok(match family(&parts)? {
        Of::Layer => AnyObject::Layer(deserialize_layer(config)?),
        Of::Loss => AnyObject::Loss(LossRef::from_json(config)?),
        Of::Metric => AnyObject::Metric(MetricRef::from_json(config)?),
        Of::Optimizer => AnyObject::Optimizer(OptimizerRef::from_json(config)?),
        Of::Schedule => AnyObject::Schedule(ScheduleRef::from_json(config)?),
        Of::Initializer => AnyObject::Initializer(serde_json::from_value(config.clone()).map_err(parsed)?),
        Of::Regularizer => AnyObject::Regularizer(serde_json::from_value(config.clone()).map_err(parsed)?),
        Of::Constraint => AnyObject::Constraint(serde_json::from_value(config.clone()).map_err(parsed)?),
        Of::Policy => AnyObject::Policy(DTypePolicy::from_json(config)?),
    })
}

/// Which family an object is of.
#[derive(Clone, Copy)]
enum Of {
    Layer,
    Loss,
    Metric,
    Optimizer,
    Schedule,
    Initializer,
    Regularizer,
    Constraint,
    Policy,
}

/// The family of an object: that under which its class is registered, or that of its module.
fn family(parts: &Parts) -> Result<Of> {
    let name = parts.class_name.as_str();
    let registered = parts.registered_name.as_deref().and_then(custom::get_registered_object);
    if let Some(family) = registered.or_else(|| custom::get_registered_object(name)) {
        let families = [
            ("layer", Of::Layer),
            ("loss", Of::Loss),
            ("metric", Of::Metric),
            ("optimizer", Of::Optimizer),
            ("schedule", Of::Schedule),
            ("initializer", Of::Initializer),
            ("regularizer", Of::Regularizer),
            ("constraint", Of::Constraint),
        ];
        if let Some((_, of)) = families.into_iter().find(|(known, _)| *known == family) {
            return Ok(of);
        }
    }
    let module = parts.module.strip_prefix("keras.").unwrap_or(&parts.module);
    let module = module.strip_prefix("src.").unwrap_or(module);
    Ok(match module.split('.').next().unwrap_or_default() {
        "layers" | "models" | "ops" => Of::Layer,
        "losses" => Of::Loss,
        "metrics" => Of::Metric,
        "optimizers" if module.contains("schedules") || is(schedules::CLASSES, name) => Of::Schedule,
        "optimizers" => Of::Optimizer,
        "initializers" => Of::Initializer,
        "regularizers" => Of::Regularizer,
        "constraints" => Of::Constraint,
        "keras" | "dtype_policies" if name.ends_with("DTypePolicy") => Of::Policy,
        // Old files have no modules.
        "keras" | "" if matches!(name, "Sequential" | "Functional" | "Model") => Of::Layer,
        "" if is(losses::CLASSES, name) => Of::Loss,
        "" if is(optimizers::CLASSES, name) => Of::Optimizer,
        "" if is(initializers::CLASSES, name) => Of::Initializer,
        "" if is(regularizers::CLASSES, name) => Of::Regularizer,
        "" if is(constraints::CLASSES, name) => Of::Constraint,
        _ => Of::Layer,
    })
}

fn is<T: ?Sized>(classes: &[super::Class<T>], name: &str) -> bool {
    classes.iter().any(|c| c.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_of_all_families_read_back() {
        let objects = [
            AnyObject::Layer(crate::layers::LayerObject::share(&crate::layers::Dense::new(2).name("d"))),
            AnyObject::Loss(crate::losses::Huber::new().delta(1.5).into()),
            AnyObject::Metric(crate::metrics::MeanSquaredError::new().into()),
            AnyObject::Optimizer(crate::optimizers::SGD::new(0.1).into()),
            AnyObject::Initializer(crate::initializers::Ones {}.into()),
            AnyObject::Policy(DTypePolicy::of(rhyton_ir::DType::F16)),
            AnyObject::Plain(json!([1, "a", null])),
        ];
        for object in objects {
            let form = serialize_keras_object(&object);
            let read = deserialize_keras_object(&form).unwrap();
            assert_eq!(std::mem::discriminant(&read), std::mem::discriminant(&object), "{form}");
            assert_eq!(read.to_json(), form);
        }
        let schedule = json!({
            "module": "keras.optimizers.schedules", "class_name": "ExponentialDecay", "registered_name": null,
            "config": {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5, "staircase": false, "name": "e"},
        });
        assert!(matches!(deserialize_keras_object(&schedule).unwrap(), AnyObject::Schedule(_)));
        let unknown = json!({"module": "keras.layers", "class_name": "Dens", "config": {}, "registered_name": null});
        assert!(deserialize_keras_object(&unknown).unwrap_err().to_string().contains("Dense"));
    }
}
