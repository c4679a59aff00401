//! What every optimizer has: the options that all share, the count of steps, the learning rate and the slots.

use std::sync::OnceLock;

use rhyton_ir::Array;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::learning_rate::LearningRate;
use super::optimizer::UpdateRule;
use super::slots::{NewSlots, Slots};
use crate::error::{Error, Result};
use crate::naming;
use crate::saving;
use crate::variable::Variable;

/// The options that all optimizers share, with Keras's names, order and defaults.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerOptions {
    /// The first part of the paths of the optimizer's variables.
    pub name: Option<String>,
    /// How large steps are.
    pub learning_rate: LearningRate,
    /// By how much weights decay at each step, in units of the learning rate.
    pub weight_decay: Option<f64>,
    /// The largest norm of the gradient of each weight.
    pub clipnorm: Option<f64>,
    /// The largest norm of all gradients together.
    pub global_clipnorm: Option<f64>,
    /// The largest magnitude of an element of a gradient.
    pub clipvalue: Option<f64>,
    /// Whether moving averages of the weights are kept.
    pub use_ema: bool,
    /// How much of the old average stays at a step.
    pub ema_momentum: f64,
    /// After how many steps the weights become their averages.
    pub ema_overwrite_frequency: Option<u64>,
    /// What the loss is multiplied by.
    pub loss_scale_factor: Option<f64>,
    /// Over how many steps gradients are averaged before an update.
    pub gradient_accumulation_steps: Option<u64>,
}

/// The keys of [`OptimizerOptions`] in configurations.
const KEYS: [&str; 11] = [
    "name",
    "learning_rate",
    "weight_decay",
    "clipnorm",
    "global_clipnorm",
    "clipvalue",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "loss_scale_factor",
    "gradient_accumulation_steps",
];

/// The options and state that all optimizers have.
#[derive(Debug)]
pub struct OptimizerBase {
    options: OptimizerOptions,
    excluded_names: Vec<String>,
    excluded: Vec<u64>,
    core: OnceLock<Core>,
    slots: OnceLock<Slots>,
}

/// What is there before the optimizer knows any weights.
#[derive(Debug)]
struct Core {
    name: String,
    iterations: Variable,
    learning_rate: Option<Variable>,
}

impl OptimizerBase {
    /// A base with Keras's defaults.
    pub fn new(learning_rate: impl Into<LearningRate>) -> OptimizerBase {
        OptimizerBase {
            options: OptimizerOptions {
                name: None,
                learning_rate: learning_rate.into(),
                weight_decay: None,
                clipnorm: None,
                global_clipnorm: None,
                clipvalue: None,
                use_ema: false,
                ema_momentum: 0.99,
                ema_overwrite_frequency: None,
                loss_scale_factor: None,
                gradient_accumulation_steps: None,
            },
            excluded_names: Vec::new(),
            excluded: Vec::new(),
            core: OnceLock::new(),
            slots: OnceLock::new(),
        }
    }

    /// The same base with decaying weights.
    pub fn with_weight_decay(mut self, weight_decay: f64) -> OptimizerBase {
        self.options.weight_decay = Some(weight_decay);
        self
    }

    /// The options.
    pub fn options(&self) -> &OptimizerOptions {
        &self.options
    }

    /// The options, to be set before the optimizer is used.
    pub fn options_mut(&mut self) -> &mut OptimizerOptions {
        &mut self.options
    }

    /// Excludes weights from decay by regular expressions found in their paths.
    pub fn exclude_names(&mut self, patterns: &[&str]) {
        self.excluded_names = patterns.iter().map(|p| (*p).to_owned()).collect();
    }

    /// Excludes weights from decay.
    pub fn exclude(&mut self, variables: &[Variable]) {
        self.excluded = variables.iter().map(Variable::id).collect();
    }

    /// Takes the configuration of an optimizer apart: what all share, and the rest.
    pub(super) fn split(config: Value) -> Result<(Map<String, Value>, Value)> {
        let config = match config {
            Value::Object(config) => config,
            Value::Null => Map::new(),
            other => {
                return Err(Error::content(
                    "optimizer",
                    format!("{other} is no configuration"),
                    "it must be an object",
                ));
            }
        };
        let (common, own): (Map<_, _>, Map<_, _>) =
            config.into_iter().partition(|(key, _)| KEYS.contains(&key.as_str()));
        Ok((common, Value::Object(own)))
    }

    /// Sets the options that `given` names.
    pub(super) fn set_options(&mut self, given: Map<String, Value>) -> Result<()> {
        let mut options = match saving::config_of(&self.options) {
            Value::Object(options) => options,
            _ => Map::new(),
        };
        options.extend(given);
        self.options = saving::from_config("optimizer", Value::Object(options))?;
        Ok(())
    }

    /// Keras's configuration: the options, then `own`.
    pub(crate) fn config(&self, class_name: &str, own: Value) -> Value {
        let mut options = self.options.clone();
        options.name = Some(self.name(class_name).to_owned());
        if let Some(variable) = self.learning_rate(class_name)
            // A learning rate that was assigned a tensor that cannot be computed leaves the number it started as.
            && let Ok(array) = variable.array()
        {
            options.learning_rate = LearningRate::Constant(array.data().get_f64(0));
        }
        let mut config = saving::config_of(&options);
        if let (Value::Object(config), Value::Object(own)) = (&mut config, own) {
            config.extend(own);
        }
        config
    }

    /// Checks the options, and the arguments of `rule`.
    pub(super) fn check<R: UpdateRule + ?Sized>(&self, rule: &R) -> Result<()> {
        let options = &self.options;
        let wrong = |argument: &str, what: String, fix: &str| Err(Error::argument(argument, what, fix));
        let clips = [options.clipnorm, options.clipvalue, options.global_clipnorm];
        if clips.iter().flatten().count() > 1 {
            return wrong(
                rule.class_name(),
                format!("clipnorm, clipvalue and global_clipnorm are {clips:?}"),
                "set only one of them",
            );
        }
        if options.gradient_accumulation_steps == Some(1) {
            return wrong("gradient_accumulation_steps", "1 step accumulates nothing".into(), "give at least 2");
        }
        if options.use_ema && !(0.0..=1.0).contains(&options.ema_momentum) {
            return wrong("ema_momentum", format!("it is {}", options.ema_momentum), "give a number from 0 to 1");
        }
        if let Some(schedule) = options.learning_rate.schedule() {
            schedule.validate()?;
        }
        self.excludes_by_name()?;
        rule.validate().map_err(|e| e.within(rule.class_name()))
    }

    fn excludes_by_name(&self) -> Result<Vec<regex_lite::Regex>> {
        patterns("exclude_from_weight_decay", &self.excluded_names)
    }

    /// Whether `variable` is excluded from weight decay.
    pub(super) fn excludes(&self, variable: &Variable) -> Result<bool> {
        let by_name = self.excludes_by_name()?.iter().any(|p| p.is_match(variable.path()));
        Ok(by_name || self.excluded.contains(&variable.id()))
    }

    fn core(&self, class_name: &str) -> &Core {
        self.core.get_or_init(|| {
            let name = self.options.name.clone().unwrap_or_else(|| naming::auto_name(class_name));
            let path = |variable: &str| naming::path_of(&format!("{name}/{variable}"));
            let learning_rate = match self.options.learning_rate {
                LearningRate::Constant(value) => {
                    Some(Variable::state(&path("learning_rate"), Array::scalar(value as f32)))
                }
                LearningRate::Schedule(_) => None,
            };
            Core { iterations: Variable::state(&path("iteration"), Array::scalar(0i64)), learning_rate, name }
        })
    }

    /// The name: the one given, or the next automatic one for `class_name`.
    pub(crate) fn name(&self, class_name: &str) -> &str {
        &self.core(class_name).name
    }

    /// The count of steps.
    pub(crate) fn iterations(&self, class_name: &str) -> Variable {
        self.core(class_name).iterations.clone()
    }

    /// The learning rate, if it is a number.
    pub(crate) fn learning_rate(&self, class_name: &str) -> Option<Variable> {
        self.core(class_name).learning_rate.clone()
    }

    /// The slots, if they are there.
    pub(super) fn slots(&self) -> Option<&Slots> {
        self.slots.get()
    }

    /// Makes the slots.
    pub(super) fn build(
        &self,
        class_name: &str,
        variables: &[Variable],
        create: impl FnOnce(&mut NewSlots) -> Result<()>,
    ) -> Result<()> {
        let mut slots = NewSlots::new(self.name(class_name), variables);
        if self.options.use_ema {
            slots.add_averages()?;
        }
        if self.options.gradient_accumulation_steps.is_some_and(|n| n > 0) {
            slots.add_accumulators();
        }
        create(&mut slots)?;
        // Set already only when two threads build at once; the first one's slots stay.
        let _ = self.slots.set(slots.finish());
        Ok(())
    }

    /// All variables, in Keras's order.
    pub(super) fn variables(&self, class_name: &str) -> Vec<Variable> {
        let core = self.core(class_name);
        let mut variables = vec![core.iterations.clone()];
        variables.extend(core.learning_rate.clone());
        variables.extend(self.slots().into_iter().flat_map(|s| s.tracked.iter().cloned()));
        variables
    }
}

/// Regular expressions, compiled.
pub(super) fn patterns(argument: &str, patterns: &[String]) -> Result<Vec<regex_lite::Regex>> {
    let compile = |pattern: &String| {
        regex_lite::Regex::new(pattern).map_err(|error| {
            Error::argument(argument, format!("{pattern:?} is no pattern: {error}"), "give regular expressions")
        })
    };
    patterns.iter().map(compile).collect()
}

/// Implements what follows from an optimizer's fields: its configuration, and the builders of the options that all share.
#[macro_export]
macro_rules! keras_optimizer {
    ($name:ident) => {
        impl $crate::saving::KerasObject for $name {
            fn class_name(&self) -> &'static str {
                stringify!($name)
            }
            fn config(&self) -> $crate::saving::Json {
                self.base.config(stringify!($name), $crate::saving::config_of(self))
            }
        }

        impl AsMut<$crate::optimizers::OptimizerBase> for $name {
            fn as_mut(&mut self) -> &mut $crate::optimizers::OptimizerBase {
                &mut self.base
            }
        }

        impl $name {
            /// Names the optimizer: the first part of the paths of its variables.
            pub fn name(mut self, name: impl Into<String>) -> Self {
                self.base.options_mut().name = Some(name.into());
                self
            }

            /// Shrinks weights by this times the learning rate at each step.
            pub fn weight_decay(mut self, weight_decay: f64) -> Self {
                self.base.options_mut().weight_decay = Some(weight_decay);
                self
            }

            /// Excludes from weight decay what has one of these regular expressions in its path, as `"bias"`.
            pub fn exclude_from_weight_decay(mut self, patterns: &[&str]) -> Self {
                self.base.exclude_names(patterns);
                self
            }

            /// Excludes these weights from weight decay.
            pub fn exclude_variables_from_weight_decay(mut self, variables: &[$crate::Variable]) -> Self {
                self.base.exclude(variables);
                self
            }

            /// Scales the gradient of each weight down to this norm.
            pub fn clipnorm(mut self, clipnorm: f64) -> Self {
                self.base.options_mut().clipnorm = Some(clipnorm);
                self
            }

            /// Scales all gradients together down to this norm.
            pub fn global_clipnorm(mut self, global_clipnorm: f64) -> Self {
                self.base.options_mut().global_clipnorm = Some(global_clipnorm);
                self
            }

            /// Cuts the elements of gradients off at ± this.
            pub fn clipvalue(mut self, clipvalue: f64) -> Self {
                self.base.options_mut().clipvalue = Some(clipvalue);
                self
            }

            /// Keeps moving averages of the weights; they become the weights at the end of the training.
            pub fn use_ema(mut self, use_ema: bool) -> Self {
                self.base.options_mut().use_ema = use_ema;
                self
            }

            /// How much of the old average stays at a step; 0.99 unless said.
            pub fn ema_momentum(mut self, ema_momentum: f64) -> Self {
                self.base.options_mut().ema_momentum = ema_momentum;
                self
            }

            /// Makes the weights their averages every so many steps, too.
            pub fn ema_overwrite_frequency(mut self, steps: u64) -> Self {
                self.base.options_mut().ema_overwrite_frequency = Some(steps);
                self
            }

            /// Multiplies the loss by this before gradients are taken, and divides them by it.
            pub fn loss_scale_factor(mut self, factor: f64) -> Self {
                self.base.options_mut().loss_scale_factor = Some(factor);
                self
            }

            /// Averages gradients over this many steps before each update.
            pub fn gradient_accumulation_steps(mut self, steps: u64) -> Self {
                self.base.options_mut().gradient_accumulation_steps = Some(steps);
                self
            }
        }
    };
}
