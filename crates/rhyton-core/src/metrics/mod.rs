//! Metrics: what is measured while training and evaluating.
//!
//! A metric keeps variables over the batches of an epoch: [`Metric::update_state`] takes a batch in, [`Metric::result`]
//! gives the value over all batches since [`Metric::reset_state`]. A metric is given to `compile` as an instance of its
//! class, by Keras's name (`"mse"`, `"AUC"`; `"accuracy"` is the one that the shapes ask for), or as a function of one's
//! own ([`custom`]).

mod accuracy;
mod base;
mod by_shape;
mod confusion;
mod correlation;
mod define;
mod f_score;
#[cfg(test)]
mod golden_test;
mod iou;
mod probabilistic;
mod r2_score;
mod reduction;
mod regression;
mod table;

use std::sync::Arc;

use indexmap::IndexMap;
use rhyton_ir::{Array, DType};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::Result;
use crate::saving::{self, KerasObject, Written};
use crate::tensor::Tensor;
use crate::trainer::Spec;
use crate::variable::Variable;

pub use accuracy::*;
pub use base::MetricBase;
pub use confusion::*;
pub use correlation::*;
pub use f_score::*;
pub use iou::*;
pub use probabilistic::*;
pub use r2_score::*;
pub use reduction::{Mean, MeanMetricWrapper, Sum, custom};
pub use regression::*;
pub(crate) use table::make;

/// Every class that configurations may name.
pub(crate) fn metric_classes() -> &'static [saving::Class<dyn Metric>] {
    table::CLASSES
}

/// Which way a metric gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Larger is better.
    Up,
    /// Smaller is better.
    Down,
}

/// A metric. All of its state is in variables, so that it works inside compiled functions, too.
///
/// # Examples
/// A metric of one's own:
/// ```
/// use rhyton_core::metrics::{Metric, MetricBase};
/// use rhyton_core::saving::KerasObject;
/// use rhyton_core::{Result, Tensor, ops};
///
/// /// The largest error so far.
/// #[derive(Clone, Debug, Default)]
/// struct MaxError {
///     base: MetricBase,
/// }
///
/// impl KerasObject for MaxError {
///     fn class_name(&self) -> &'static str {
///         "MaxError"
///     }
///     fn config(&self) -> serde_json::Value {
///         serde_json::json!({"name": self.name()})
///     }
/// }
///
/// impl Metric for MaxError {
///     fn base(&self) -> &MetricBase {
///         &self.base
///     }
///     fn update_state(&self, y_true: &Tensor, y_pred: &Tensor, _: Option<&Tensor>) -> Result<()> {
///         let error = ops::max(&ops::absolute(&(y_true - y_pred)), None::<i64>, false);
///         let largest = self.add_variable("largest", &[]);
///         largest.assign(ops::maximum(largest.value(), error))
///     }
///     fn result(&self) -> Result<Tensor> {
///         Ok(self.add_variable("largest", &[]).value())
///     }
/// }
///
/// let metric = MaxError::default();
/// metric.update_state(&Tensor::new([2], vec![1.0f32, 2.0]), &Tensor::new([2], vec![1.5f32, -1.0]), None)?;
/// metric.update_state(&Tensor::new([1], vec![0.0f32]), &Tensor::new([1], vec![2.0f32]), None)?;
/// assert_eq!(metric.result()?.item()?, 3.0);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
pub trait Metric: KerasObject {
    /// Name, dtype and variables.
    fn base(&self) -> &MetricBase;

    /// Makes the variables that do not depend on the data.
    fn build(&self) {}

    /// Takes a batch in.
    ///
    /// # Errors
    /// If the shapes do not fit each other.
    fn update_state(&self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()>;

    /// The value over all batches since the last reset.
    ///
    /// # Errors
    /// If an argument of the metric is out of its range, or the state carries an error.
    fn result(&self) -> Result<Tensor>;

    /// The values by name; metrics with more than one override this.
    ///
    /// # Errors
    /// As [`Metric::result`].
    fn results(&self) -> Result<IndexMap<String, Tensor>> {
        Ok(IndexMap::from_iter([(Metric::name(self).to_owned(), self.result()?)]))
    }

    /// Starts anew.
    ///
    /// # Errors
    /// If a variable cannot be assigned.
    fn reset_state(&self) -> Result<()> {
        Metric::variables(self).iter().try_for_each(|v| v.assign(Tensor::from(Array::zeros(v.dtype(), v.shape()))))
    }

    /// Which way it gets better, if that is known.
    fn direction(&self) -> Option<Direction> {
        None
    }

    /// The name, under which histories list it.
    fn name(&self) -> &str {
        self.base().name_or(self.class_name())
    }

    /// The dtype that it computes in.
    fn dtype(&self) -> DType {
        self.base().dtype()
    }

    /// The variables that are there.
    fn variables(&self) -> Vec<Variable> {
        self.build();
        self.base().variables()
    }

    /// The `float32` variable of a name, made of zeros when it is first asked for.
    fn add_variable(&self, name: &str, shape: &[usize]) -> Variable {
        self.base().variable(Metric::name(self), name, shape, DType::F32)
    }
}

/// Any metric, under the name that it was given to `compile` by.
#[derive(Clone, Debug)]
pub struct MetricRef {
    metric: Arc<dyn Metric>,
    name: Option<String>,
    written: Written,
}

impl MetricRef {
    /// A metric that configurations write as `written`; one written by a name has that name.
    pub fn written_as(metric: Arc<dyn Metric>, written: Written) -> MetricRef {
        // Automatic names are given in the order in which metrics are made.
        metric.name();
        metric.build();
        let name = match &written {
            Written::Name(name) => Some(name.clone()),
            _ => None,
        };
        MetricRef { metric, name, written }
    }

    /// The name, under which histories list it.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.metric.name())
    }

    /// The metric for one output of a model: one that was given by a name anew, with variables of its own, and for
    /// `"accuracy"` the one that the shapes ask for.
    ///
    /// # Errors
    /// If a metric of the name cannot be made without arguments.
    pub fn for_shapes(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<MetricRef> {
        match &self.written {
            Written::Name(name) if by_shape::is_by_shape(name) => {
                Ok(MetricRef::written_as(by_shape::choose(y_true, y_pred, name), self.written.clone()))
            }
            Written::Name(name) => name.parse(),
            _ => Ok(self.clone()),
        }
    }

    /// The values by name.
    ///
    /// # Errors
    /// As [`Metric::result`].
    pub fn results(&self) -> Result<IndexMap<String, Tensor>> {
        let results = self.metric.results()?;
        let rename = |(key, value)| match &self.name {
            Some(name) if key == self.metric.name() => (name.clone(), value),
            _ => (key, value),
        };
        Ok(results.into_iter().map(rename).collect())
    }

    /// As Keras writes it into what `compile` was given.
    pub fn to_json(&self) -> Value {
        self.written.to_json(&*self.metric, "keras.metrics")
    }

    /// From what Keras writes: a name, or an object.
    ///
    /// # Errors
    /// If the name is not known, or the configuration is not what the class takes.
    pub fn from_json(value: &Value) -> Result<MetricRef> {
        if let Value::String(name) = value {
            return name.parse();
        }
        if let Some(name) = saving::function_name(value) {
            return Ok(MetricRef::written_as(
                Arc::new(MeanMetricWrapper::new(name)?.name(name)),
                Written::Function(name.to_owned()),
            ));
        }
        Ok(MetricRef::written_as(saving::from_json(value, "metric", table::CLASSES)?, Written::Object))
    }
}

impl std::ops::Deref for MetricRef {
    type Target = dyn Metric;
    fn deref(&self) -> &(dyn Metric + 'static) {
        &*self.metric
    }
}

impl<M: Metric + 'static> From<M> for MetricRef {
    fn from(metric: M) -> MetricRef {
        MetricRef::written_as(Arc::new(metric), Written::Object)
    }
}

impl<M: Metric + 'static> From<M> for Spec<MetricRef> {
    fn from(metric: M) -> Spec<MetricRef> {
        Spec::One(metric.into())
    }
}

impl From<MetricRef> for Spec<MetricRef> {
    fn from(metric: MetricRef) -> Spec<MetricRef> {
        Spec::One(metric)
    }
}

impl std::str::FromStr for MetricRef {
    type Err = crate::Error;

    /// By Keras's name of a class (`"AUC"`, `"mean_squared_error"`, `"mse"`); `"accuracy"` and `"acc"` are the one that the
    /// shapes of the first batch ask for.
    fn from_str(name: &str) -> Result<MetricRef> {
        let written = Written::Name(name.to_owned());
        if by_shape::is_by_shape(name) {
            return Ok(MetricRef::written_as(Arc::new(by_shape::AccuracyByShape::new(name)), written));
        }
        Ok(MetricRef::written_as(saving::from_json(&name.into(), "metric", table::CLASSES)?, written))
    }
}

impl TryFrom<&str> for MetricRef {
    type Error = crate::Error;
    fn try_from(name: &str) -> Result<MetricRef> {
        name.parse()
    }
}

impl Serialize for MetricRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for MetricRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MetricRef, D::Error> {
        MetricRef::from_json(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
