//! Sums and means over all batches: `Mean`, `Sum`, and the mean of a function, `MeanMetricWrapper`.

use std::fmt;
use std::sync::Arc;

use rhyton_ir::{Array, DType};
use serde_json::{Map, Value};

use super::accuracy::ACCURACIES;
use super::base::{add_to, samplewise};
use super::correlation::CORRELATIONS;
use super::define::{metric, take_identity, with_identity};
use super::{Direction, Metric, MetricBase, MetricRef};
use crate::error::{Error, Result};
use crate::losses::{Loss, Reduction, apply_mask};
use crate::ops::{self, Axes};
use crate::saving::{KerasObject, Written, function_json, function_name};
use crate::tensor::Tensor;
use crate::variable::Variable;

/// The variables of a mean: the sum of the weighted values, and the sum of the weights.
pub(crate) fn mean_variables(metric: &dyn Metric) -> (Variable, Variable) {
    let variable = |name| metric.base().variable(metric.name(), name, &[], metric.dtype());
    (variable("total"), variable("count"))
}

/// Takes values into a mean.
pub(crate) fn update_mean(metric: &dyn Metric, values: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
    let mean: fn(&Tensor, Axes) -> Tensor = |x, axes| ops::mean(x, axes, false);
    let (samples, weights) = samplewise(values, sample_weight, mean, metric.dtype())?;
    let (total, count) = mean_variables(metric);
    add_to(&total, &ops::sum(&samples, Axes::All, false))?;
    let number = match weights {
        Some(weights) => ops::sum(&weights, Axes::All, false),
        None if samples.rank() > 0 => crate::losses::count(&samples, metric.dtype()),
        None => Tensor::from(Array::scalar_of(metric.dtype(), 1.0)),
    };
    add_to(&count, &number)
}

/// Takes the values of a function into a mean; the mask is that of the predictions.
pub(crate) fn update_mean_of(
    metric: &dyn Metric,
    values: &Tensor,
    mask: Option<&Tensor>,
    sample_weight: Option<&Tensor>,
) -> Result<()> {
    values.check().map_err(|e| e.within(metric.name()))?;
    let sample_weight = apply_mask(sample_weight, mask, metric.dtype(), Reduction::Sum);
    update_mean(metric, values, sample_weight.as_ref()).map_err(|e| e.within(metric.name()))
}

/// The mean so far; 0 before the first value.
pub(crate) fn mean_result(metric: &dyn Metric) -> Result<Tensor> {
    let (total, count) = mean_variables(metric);
    ops::divide_no_nan(total.value(), count.value()).check().cloned()
}

metric! {
    /// The mean of values, weighted by sample weights; 0 before the first.
    ///
    /// # Examples
    /// ```
    /// use rhyton_core::metrics::{Mean, Metric};
    /// use rhyton_core::Tensor;
    ///
    /// let mean = Mean::new();
    /// mean.update(&Tensor::new([4], vec![1.0f32, 3.0, 5.0, 7.0]), None)?;
    /// assert_eq!(mean.result()?.item()?, 4.0);
    /// # Ok::<(), rhyton_core::Error>(())
    /// ```
    Mean (Some("mean"), F32, 0) {} {}
}

metric! {
    /// The sum of values, weighted by sample weights.
    Sum (Some("sum"), F32, 0) {} {}
}

/// The error of metrics that measure values rather than predictions.
fn of_values(metric: &dyn Metric) -> Error {
    Error::argument(metric.name(), "it takes values, not labels and predictions", "call its update method yourself")
}

impl Mean {
    /// A mean of nothing yet.
    pub fn new() -> Mean {
        Mean::default()
    }

    /// Takes values in.
    ///
    /// # Errors
    /// If the weights do not broadcast with the values.
    pub fn update(&self, values: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        update_mean(self, values, sample_weight)
    }
}

impl Metric for Mean {
    fn base(&self) -> &MetricBase {
        &self.base
    }

    fn build(&self) {
        mean_variables(self);
    }

    fn update_state(&self, _: &Tensor, _: &Tensor, _: Option<&Tensor>) -> Result<()> {
        Err(of_values(self))
    }

    fn result(&self) -> Result<Tensor> {
        mean_result(self)
    }
}

impl Sum {
    /// A sum of nothing yet.
    pub fn new() -> Sum {
        Sum::default()
    }

    fn total(&self) -> Variable {
        self.base.variable(Metric::name(self), "total", &[], Metric::dtype(self))
    }

    /// Takes values in.
    ///
    /// # Errors
    /// If the weights do not broadcast with the values.
    pub fn update(&self, values: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let sum: fn(&Tensor, Axes) -> Tensor = |x, axes| ops::sum(x, axes, false);
        let (samples, _) = samplewise(values, sample_weight, sum, Metric::dtype(self))?;
        add_to(&self.total(), &ops::sum(&samples, Axes::All, false))
    }
}

impl Metric for Sum {
    fn base(&self) -> &MetricBase {
        &self.base
    }

    fn build(&self) {
        self.total();
    }

    fn update_state(&self, _: &Tensor, _: &Tensor, _: Option<&Tensor>) -> Result<()> {
        Err(of_values(self))
    }

    fn result(&self) -> Result<Tensor> {
        self.total().value().check().cloned()
    }
}

/// The mean of a function of labels and predictions.
#[derive(Clone)]
pub struct MeanMetricWrapper {
    base: MetricBase,
    function: Function,
}

/// Values of samples from targets and predictions.
type Call = dyn Fn(&Tensor, &Tensor) -> Tensor + Send + Sync;

#[derive(Clone)]
enum Function {
    /// One that is registered as a loss, with its arguments.
    Loss(Arc<crate::losses::LossFunctionWrapper>),
    /// One of Keras's that is a metric only, or one's own.
    Other { name: String, call: Arc<Call> },
}

impl fmt::Debug for MeanMetricWrapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MeanMetricWrapper({})", Metric::name(self))
    }
}

/// The mean of a function of one's own, of `y_true` and `y_pred`, that gives a value for each sample.
pub fn custom(
    name: impl Into<String>,
    function: impl Fn(&Tensor, &Tensor) -> Tensor + Send + Sync + 'static,
) -> MetricRef {
    let name = name.into();
    let base = MetricBase::default();
    base.set_name(name.clone());
    let function = Function::Other { name: name.clone(), call: Arc::new(function) };
    MetricRef::written_as(Arc::new(MeanMetricWrapper { base, function }), Written::Function(name))
}

impl MeanMetricWrapper {
    /// The mean of Keras's function of a name: a loss (`"mean_squared_error"`) or a metric (`"binary_accuracy"`).
    ///
    /// # Errors
    /// If there is no function of that name.
    pub fn new(function: &str) -> Result<MeanMetricWrapper> {
        let own = ACCURACIES.iter().chain(CORRELATIONS).find(|(name, _)| *name == function);
        let function = match own {
            Some(&(name, call)) => Function::Other { name: name.to_owned(), call: Arc::new(call) },
            None => Function::Loss(Arc::new(crate::losses::LossFunctionWrapper::new(function)?)),
        };
        Ok(MeanMetricWrapper { base: MetricBase::default(), function })
    }

    /// The name, under which histories list it.
    pub fn name(self, name: impl Into<String>) -> MeanMetricWrapper {
        self.base.set_name(name);
        self
    }

    /// In which dtype it is computed.
    pub fn dtype(self, dtype: DType) -> MeanMetricWrapper {
        self.base.set_dtype(dtype);
        self
    }
}

impl KerasObject for MeanMetricWrapper {
    fn class_name(&self) -> &'static str {
        "MeanMetricWrapper"
    }

    fn config(&self) -> Value {
        let own = match &self.function {
            Function::Other { name, .. } => Map::from_iter([("fn".to_owned(), function_json(name))]),
            Function::Loss(loss) => {
                let mut config = loss.config().as_object().cloned().unwrap_or_default();
                config.shift_remove("name");
                config.shift_remove("reduction");
                config
            }
        };
        with_identity(self, Value::Object(own), 0)
    }
}

/// Rebuilds the mean of one of Keras's functions.
pub(super) fn wrapper_from_config(mut config: Value) -> Result<Arc<dyn Metric>> {
    let (name, dtype) = take_identity(&mut config)?;
    let function = config.get("fn").and_then(function_name).unwrap_or_default().to_owned();
    let extra = config.as_object().map_or(0, Map::len) > 1;
    let metric = if extra {
        let mut wrapper = config;
        wrapper["reduction"] = "sum_over_batch_size".into();
        let loss = crate::losses::wrapper(wrapper)?;
        MeanMetricWrapper { base: MetricBase::default(), function: Function::Loss(Arc::new(loss)) }
    } else {
        MeanMetricWrapper::new(&function)?
    };
    if let Some(name) = name {
        metric.base.set_name(name);
    }
    if let Some(dtype) = dtype {
        metric.base.set_dtype(dtype);
    }
    Ok(Arc::new(metric))
}

impl Metric for MeanMetricWrapper {
    fn base(&self) -> &MetricBase {
        &self.base
    }

    fn build(&self) {
        mean_variables(self);
    }

    fn update_state(&self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let (t, p) = (y_true.without_mask(), y_pred.without_mask());
        let values = match &self.function {
            Function::Loss(loss) => loss.call(&t, &p)?,
            Function::Other { call, .. } => call(&t, &p),
        };
        update_mean_of(self, &values, y_pred.mask(), sample_weight)
    }

    fn result(&self) -> Result<Tensor> {
        mean_result(self)
    }

    fn direction(&self) -> Option<Direction> {
        matches!(self.function, Function::Loss(_)).then_some(Direction::Down)
    }
}
