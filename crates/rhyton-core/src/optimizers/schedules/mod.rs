//! Learning rates that change with the count of steps.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::Result;
use crate::saving::{self, Class, KerasObject};
use crate::tensor::Tensor;

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
pub(crate) const CLASSES: &[Class<dyn LearningRateSchedule>] = &[];

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
