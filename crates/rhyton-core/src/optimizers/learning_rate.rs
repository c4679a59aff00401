//! A learning rate: a number or a schedule.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::schedules::{LearningRateSchedule, ScheduleRef};

/// How large steps are: a number, or a function of the count of steps.
#[derive(Clone, Debug)]
pub enum LearningRate {
    /// A number, kept as `float32`.
    Constant(f64),
    /// A function of the count of steps.
    Schedule(ScheduleRef),
}

impl LearningRate {
    /// The schedule, if it is one.
    pub fn schedule(&self) -> Option<&ScheduleRef> {
        match self {
            LearningRate::Constant(_) => None,
            LearningRate::Schedule(schedule) => Some(schedule),
        }
    }
}

impl From<f64> for LearningRate {
    fn from(value: f64) -> LearningRate {
        LearningRate::Constant(value)
    }
}

impl From<f32> for LearningRate {
    fn from(value: f32) -> LearningRate {
        LearningRate::Constant(value.into())
    }
}

impl From<ScheduleRef> for LearningRate {
    fn from(schedule: ScheduleRef) -> LearningRate {
        LearningRate::Schedule(schedule)
    }
}

impl<S: LearningRateSchedule + 'static> From<S> for LearningRate {
    fn from(schedule: S) -> LearningRate {
        LearningRate::Schedule(schedule.into())
    }
}

impl Serialize for LearningRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            // Keras reads the number back from its float32 variable.
            LearningRate::Constant(value) => f64::from(*value as f32).serialize(serializer),
            LearningRate::Schedule(schedule) => schedule.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for LearningRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LearningRate, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match value.as_f64() {
            Some(number) => Ok(LearningRate::Constant(number)),
            None => ScheduleRef::from_json(&value).map(LearningRate::Schedule).map_err(serde::de::Error::custom),
        }
    }
}
