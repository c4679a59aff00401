//! What every metric has: a name, a dtype and variables.

use std::sync::{Arc, Mutex, OnceLock};

use rhyton_ir::{Array, DType};

use crate::error::Result;
use crate::losses::{Reduction, apply_mask, same_rank};
use crate::naming;
use crate::ops::{self, Axes};
use crate::tensor::Tensor;
use crate::variable::Variable;

/// The identity and state of a metric. A clone is the same metric: it has the same variables.
#[derive(Clone, Debug, Default)]
pub struct MetricBase(Arc<State>);

#[derive(Debug)]
struct State {
    default_name: Option<&'static str>,
    given_name: Mutex<Option<String>>,
    name: OnceLock<String>,
    dtype: Mutex<DType>,
    variables: Mutex<Vec<Variable>>,
}

impl Default for State {
    fn default() -> State {
        State {
            default_name: None,
            given_name: Mutex::default(),
            name: OnceLock::new(),
            dtype: Mutex::new(crate::config::floatx()),
            variables: Mutex::default(),
        }
    }
}

impl MetricBase {
    /// A metric that is called `default_name` (or gets the next automatic name of its class) and computes in `dtype`
    /// unless these are set.
    pub fn new(default_name: Option<&'static str>, dtype: DType) -> MetricBase {
        MetricBase(Arc::new(State { default_name, dtype: Mutex::new(dtype), ..State::default() }))
    }

    /// Names the metric; has no effect once the name has been used.
    pub fn set_name(&self, name: impl Into<String>) {
        *self.0.given_name.lock().unwrap_or_else(|e| e.into_inner()) = Some(name.into());
    }

    /// The name: the one given, or the default, or the next automatic one for `class_name`.
    pub fn name_or(&self, class_name: &str) -> &str {
        self.0.name.get_or_init(|| {
            let given = self.0.given_name.lock().unwrap_or_else(|e| e.into_inner()).clone();
            let default = || self.0.default_name.map(str::to_owned);
            given.or_else(default).unwrap_or_else(|| naming::auto_name(class_name))
        })
    }

    /// The dtype that it computes in.
    pub fn dtype(&self) -> DType {
        *self.0.dtype.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Sets the dtype that it computes in; variables that are there keep theirs.
    pub fn set_dtype(&self, dtype: DType) {
        *self.0.dtype.lock().unwrap_or_else(|e| e.into_inner()) = dtype;
    }

    /// The variable named `name`, which is made of zeros if it is not there yet; `owner` is the metric's name.
    pub fn variable(&self, owner: &str, name: &str, shape: &[usize], dtype: DType) -> Variable {
        let mut variables = self.0.variables.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(variable) = variables.iter().find(|v| v.name() == name) {
            return variable.clone();
        }
        let path = naming::path_of(&format!("{}/{name}", owner.replace('/', ">")));
        let variable = Variable::state(&path, Array::zeros(dtype, shape));
        variables.push(variable.clone());
        variable
    }

    /// The variables that are there, in the order in which they were made.
    pub fn variables(&self) -> Vec<Variable> {
        self.0.variables.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
}

/// Adds `amount` to a variable, in the dtype of the variable.
pub(crate) fn add_to(variable: &Variable, amount: &Tensor) -> Result<()> {
    variable.assign(variable.value() + amount.cast(variable.dtype()))
}

/// One value for each sample, weighted, and the weights that they have (`None` for 1): axes behind the first are reduced
/// with `reduce`.
pub(crate) fn samplewise(
    values: &Tensor,
    sample_weight: Option<&Tensor>,
    reduce: fn(&Tensor, Axes) -> Tensor,
    dtype: DType,
) -> Result<(Tensor, Option<Tensor>)> {
    let beyond = |x: &Tensor, from: usize| {
        let axes: Vec<i64> = (from as i64..x.rank() as i64).collect();
        if axes.is_empty() { x.clone() } else { reduce(x, Axes::Many(axes)) }
    };
    let mut samples = values.cast(dtype).without_mask();
    let mut weights = None;
    let given = sample_weight.map(|w| w.cast(dtype));
    if let Some(given) = given.and_then(|w| apply_mask(Some(&w), values.mask(), dtype, Reduction::Sum)) {
        let (aligned, given) = same_rank(&samples, &given, true);
        let rank = given.rank();
        samples = beyond(&aligned, rank);
        let given = given + ops::zeros_like(&samples);
        samples = samples * &given;
        weights = Some(if rank > 1 { beyond(&given, 1) } else { given });
    }
    let samples = beyond(&samples, 1);
    samples.check()?;
    Ok((samples, weights))
}
