//! Learning rates that change with the count of steps.

mod cosine;
mod cosine_restarts;
mod exponential;
mod inverse_time;
mod piecewise_constant;
mod polynomial;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::saving::{self, Class, KerasObject};
use crate::tensor::Tensor;

pub use cosine::CosineDecay;
pub use cosine_restarts::CosineDecayRestarts;
pub use exponential::ExponentialDecay;
pub use inverse_time::InverseTimeDecay;
pub use piecewise_constant::PiecewiseConstantDecay;
pub use polynomial::PolynomialDecay;

/// A learning rate as a function of the count of steps.
pub trait LearningRateSchedule: KerasObject {
    /// Checks the arguments.
    ///
    /// # Errors
    /// If one is out of its range.
    fn validate(&self) -> Result<()>;

    /// The learning rate at `step`, a scalar that counts from 0; `float32`.
    ///
    /// # Errors
    /// If an argument is out of its range.
    fn call(&self, step: &Tensor) -> Result<Tensor>;
}

/// Every schedule that configurations may name.
pub(crate) const CLASSES: &[Class<dyn LearningRateSchedule>] = &[
    Class { name: "ExponentialDecay", from_config: make::<ExponentialDecay> },
    Class { name: "PiecewiseConstantDecay", from_config: make::<PiecewiseConstantDecay> },
    Class { name: "PolynomialDecay", from_config: make::<PolynomialDecay> },
    Class { name: "InverseTimeDecay", from_config: make::<InverseTimeDecay> },
    Class { name: "CosineDecay", from_config: make::<CosineDecay> },
    Class { name: "CosineDecayRestarts", from_config: make::<CosineDecayRestarts> },
];

/// Rebuilds a schedule whose configuration is what serde makes of it.
pub(crate) fn make<S: LearningRateSchedule + DeserializeOwned + 'static>(
    config: Value,
) -> Result<Arc<dyn LearningRateSchedule>> {
    let schedule: S = saving::from_config("learning rate schedule", config)?;
    schedule.validate().map_err(|e| e.within(schedule.class_name()))?;
    Ok(Arc::new(schedule))
}

/// Refuses counts of steps that are not above 0.
fn positive(argument: &str, steps: f64) -> Result<()> {
    if steps > 0.0 {
        return Ok(());
    }
    Err(Error::argument(argument, format!("it is {steps}"), "give a number of steps above 0"))
}

/// Numbers that are written without a fraction if they have none: counts of steps, which Keras lets be either.
mod whole {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        number(*value).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        f64::deserialize(deserializer)
    }

    /// The largest number below which all whole numbers are exact in `f64`.
    const EXACT: f64 = 9_007_199_254_740_992.0;

    pub(super) fn number(value: f64) -> serde_json::Value {
        if value.fract() == 0.0 && value.abs() < EXACT { (value as i64).into() } else { value.into() }
    }
}

/// [`whole`], for lists.
mod whole_list {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        values.iter().map(|v| super::whole::number(*v)).collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        Vec::deserialize(deserializer)
    }
}

/// Any schedule.
#[derive(Clone, Debug)]
pub struct ScheduleRef(Arc<dyn LearningRateSchedule>);

impl ScheduleRef {
    /// From Keras's form of a schedule.
    ///
    /// # Errors
    /// If no schedule has the name; if the configuration is not what it takes.
    pub fn from_json(value: &Value) -> Result<ScheduleRef> {
        saving::from_json(value, "learning rate schedule", CLASSES).map(ScheduleRef)
    }
}

impl std::ops::Deref for ScheduleRef {
    type Target = dyn LearningRateSchedule;
    fn deref(&self) -> &(dyn LearningRateSchedule + 'static) {
        &*self.0
    }
}

impl<S: LearningRateSchedule + 'static> From<S> for ScheduleRef {
    fn from(schedule: S) -> ScheduleRef {
        ScheduleRef(Arc::new(schedule))
    }
}

impl Serialize for ScheduleRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        saving::to_json(&*self.0, "keras.optimizers.schedules").serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ScheduleRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ScheduleRef, D::Error> {
        let value = Value::deserialize(deserializer)?;
        ScheduleRef::from_json(&value).map_err(serde::de::Error::custom)
    }
}
