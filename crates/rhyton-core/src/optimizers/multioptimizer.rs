//! `MultiOptimizer`: an optimizer for each group of weights.

use std::sync::OnceLock;

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::schedules::ScheduleRef;
use super::{Optimizer, OptimizerBase, OptimizerRef};
use crate::error::{Error, Result};
use crate::saving::{self, KerasObject};
use crate::tensor::Tensor;
use crate::variable::Variable;

const CLASS: &str = "MultiOptimizer";

/// Which optimizer updates which weights: by their paths, or by regular expressions that match the whole of them.
#[derive(Clone, Debug)]
pub struct OptimizerMap {
    default_optimizer: OptimizerRef,
    optimizers: IndexMap<String, OptimizerRef>,
}

impl OptimizerMap {
    /// `default_optimizer` for all weights that no key is for.
    pub fn new(default_optimizer: impl Into<OptimizerRef>) -> OptimizerMap {
        OptimizerMap { default_optimizer: default_optimizer.into(), optimizers: IndexMap::new() }
    }

    /// Adds `optimizer` for the weights whose path is `key`, or whose whole path it matches: `"encoder/.*"`. Keys of one optimizer
    /// that is to share its state are given clones of it.
    ///
    /// # Errors
    /// If the key is there already, or no regular expression; if the optimizer is one that holds others.
    pub fn with(mut self, key: &str, optimizer: impl Into<OptimizerRef>) -> Result<OptimizerMap> {
        let optimizer = optimizer.into();
        let wrong = |what: String, fix: &str| Err(Error::argument("OptimizerMap", what, fix));
        if self.optimizers.contains_key(key) {
            return wrong(format!("the key {key:?} is there already"), "give each key once");
        }
        if matches!(optimizer.class_name(), CLASS | "LossScaleOptimizer") {
            return wrong(format!("{} holds other optimizers", optimizer.class_name()), "give a plain optimizer");
        }
        pattern(key)?;
        self.optimizers.insert(key.to_owned(), optimizer);
        Ok(self)
    }

    /// The optimizer of the weights of this path.
    ///
    /// # Errors
    /// If several keys match it.
    pub fn get(&self, path: &str) -> Result<&OptimizerRef> {
        if let Some(exact) = self.optimizers.get(path) {
            return Ok(exact);
        }
        let mut found: Vec<&String> = Vec::new();
        for key in self.optimizers.keys() {
            if pattern(key)?.is_match(path) {
                found.push(key);
            }
        }
        match found.as_slice() {
            [] => Ok(&self.default_optimizer),
            [only] => Ok(&self.optimizers[*only]),
            several => Err(Error::argument(
                "OptimizerMap",
                format!("the keys {several:?} all match {path}"),
                "write keys of which one matches",
            )),
        }
    }

    fn to_json(&self) -> Value {
        let optimizers: serde_json::Map<String, Value> =
            self.optimizers.iter().map(|(key, optimizer)| (key.clone(), optimizer.to_json())).collect();
        json!({
            "module": "keras.optimizers",
            "class_name": "OptimizerMap",
            "config": {"default_optimizer": self.default_optimizer.to_json(), "optimizer_map": optimizers},
            "registered_name": null,
        })
    }

    fn from_json(value: &Value) -> Result<OptimizerMap> {
        let parts = saving::Parts::of(value, "optimizer map")?;
        let mut map = OptimizerMap::new(OptimizerRef::from_json(&parts.config["default_optimizer"])?);
        for (key, optimizer) in parts.config["optimizer_map"].as_object().into_iter().flatten() {
            map = map.with(key, OptimizerRef::from_json(optimizer)?)?;
        }
        Ok(map)
    }
}

/// A regular expression for the whole of a path.
fn pattern(key: &str) -> Result<regex_lite::Regex> {
    regex_lite::Regex::new(&format!("^(?:{key})$")).map_err(|e| {
        Error::argument("OptimizerMap", format!("{key:?} is no regular expression: {e}"), "give a path or a pattern")
    })
}

/// Updates each weight by the optimizer that a map has for it. It has no learning rate of its own, and its count of steps moves on
/// whichever of the others step.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let map = OptimizerMap::new(SGD::new(0.1)).with("sequential/head/.*", Adam::new(1e-3))?;
/// let optimizer = MultiOptimizer::new(map)?;
/// assert_eq!(optimizer.optimizers().len(), 2);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Debug)]
pub struct MultiOptimizer {
    base: OptimizerBase,
    map: OptimizerMap,
    loss_scale_factor: Option<f64>,
    state: OnceLock<Vec<(Variable, OptimizerRef)>>,
}

impl MultiOptimizer {
    /// With the optimizers of `map`, whose losses are not scaled.
    ///
    /// # Errors
    /// If one of them cannot be made without a scale of its own.
    pub fn new(map: OptimizerMap) -> Result<MultiOptimizer> {
        MultiOptimizer::with(map, None)
    }

    /// With the optimizers of `map`, the loss scaled by `loss_scale_factor`, whatever factors they had.
    ///
    /// # Errors
    /// As [`MultiOptimizer::new`].
    pub fn with(map: OptimizerMap, loss_scale_factor: Option<f64>) -> Result<MultiOptimizer> {
        let mut made: Vec<(OptimizerRef, OptimizerRef)> = Vec::new();
        let mut scaled = |optimizer: &OptimizerRef| -> Result<OptimizerRef> {
            if let Some((_, anew)) = made.iter().find(|(old, _)| old.is(optimizer)) {
                return Ok(anew.clone());
            }
            let mut form = optimizer.to_json();
            let anew = if form["config"]["loss_scale_factor"].as_f64() == loss_scale_factor {
                optimizer.clone()
            } else {
                form["config"]["loss_scale_factor"] = json!(loss_scale_factor);
                OptimizerRef::from_json(&form)?
            };
            made.push((optimizer.clone(), anew.clone()));
            Ok(anew)
        };
        let map = OptimizerMap {
            default_optimizer: scaled(&map.default_optimizer)?,
            optimizers: map.optimizers.iter().map(|(k, o)| Ok((k.clone(), scaled(o)?))).collect::<Result<_>>()?,
        };
        Ok(MultiOptimizer { base: OptimizerBase::new(0.0), map, loss_scale_factor, state: OnceLock::new() })
    }

    /// Names the optimizer: the first part of the paths of its own variables.
    pub fn name(mut self, name: impl Into<String>) -> MultiOptimizer {
        self.base.options_mut().name = Some(name.into());
        self
    }

    /// The optimizers, each once: those of the map's keys, then the default one.
    pub fn optimizers(&self) -> Vec<OptimizerRef> {
        let mut all: Vec<OptimizerRef> = Vec::new();
        for optimizer in self.map.optimizers.values().chain([&self.map.default_optimizer]) {
            if !all.iter().any(|known| known.is(optimizer)) {
                all.push(optimizer.clone());
            }
        }
        all
    }

    /// Rebuilds one from Keras's configuration.
    pub(super) fn from_config(config: Value) -> Result<MultiOptimizer> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Config {
            optimizer_map: Value,
            #[serde(default)]
            loss_scale_factor: Option<f64>,
            #[serde(default)]
            name: Option<String>,
        }
        let config: Config = crate::saving::from_config(CLASS, config)?;
        let map = OptimizerMap::from_json(&config.optimizer_map)?;
        let optimizer = MultiOptimizer::with(map, config.loss_scale_factor)?;
        Ok(match config.name {
            Some(name) => optimizer.name(&name),
            None => optimizer,
        })
    }

    /// Calls `each` with every optimizer that has some of `variables`, and with which these are.
    fn by_optimizer(
        &self,
        variables: &[Variable],
        each: &mut dyn FnMut(&OptimizerRef, &[usize]) -> Result<()>,
    ) -> Result<()> {
        let mut found: Vec<&OptimizerRef> = Vec::new();
        for variable in variables {
            found.push(self.map.get(variable.path())?);
        }
        for optimizer in self.optimizers() {
            let own: Vec<usize> = (0..variables.len()).filter(|&i| found[i].is(&optimizer)).collect();
            if !own.is_empty() {
                each(&optimizer, &own)?;
            }
        }
        Ok(())
    }
}

fn at<T: Clone>(items: &[T], indices: &[usize]) -> Vec<T> {
    indices.iter().map(|&i| items[i].clone()).collect()
}

impl KerasObject for MultiOptimizer {
    fn class_name(&self) -> &'static str {
        CLASS
    }

    fn config(&self) -> Value {
        json!({
            "optimizer_map": self.map.to_json(),
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.base.name(CLASS),
        })
    }
}

impl Optimizer for MultiOptimizer {
    fn name(&self) -> &str {
        self.base.name(CLASS)
    }

    fn build(&self, variables: &[Variable]) -> Result<()> {
        if self.built() {
            return Ok(());
        }
        self.by_optimizer(variables, &mut |optimizer, own| optimizer.build(&at(variables, own)))?;
        let owners = variables.iter().map(|v| Ok((v.clone(), self.map.get(v.path())?.clone())));
        // Set already only when two threads build at once.
        let _ = self.state.set(owners.collect::<Result<_>>()?);
        Ok(())
    }

    fn built(&self) -> bool {
        self.state.get().is_some()
    }

    fn variables(&self) -> Vec<Variable> {
        let mut variables = vec![self.base.iterations(CLASS)];
        variables.extend(self.base.learning_rate(CLASS));
        variables.extend(self.optimizers().iter().flat_map(|o| o.variables()));
        variables
    }

    fn children(&self) -> Vec<OptimizerRef> {
        self.optimizers()
    }

    fn apply(&self, gradients: &[Tensor], variables: &[Variable]) -> Result<()> {
        if gradients.is_empty() {
            return Ok(());
        }
        if gradients.len() != variables.len() {
            let what = format!("{} gradients for {} variables", gradients.len(), variables.len());
            return Err(Error::argument(self.name(), what, "give one gradient a variable"));
        }
        self.build(variables)?;
        self.by_optimizer(variables, &mut |optimizer, own| optimizer.apply(&at(gradients, own), &at(variables, own)))?;
        let count = self.iterations();
        count.assign(count.value() + 1i64)
    }

    fn scale_loss(&self, loss: &Tensor) -> Tensor {
        self.loss_scale_factor.map_or_else(|| loss.clone(), |factor| loss * factor)
    }

    fn finalize(&self, variables: &[Variable]) -> Result<()> {
        self.by_optimizer(variables, &mut |optimizer, own| optimizer.finalize(&at(variables, own)))
    }

    fn averages(&self) -> Vec<(Variable, Variable)> {
        self.optimizers().iter().flat_map(|o| o.averages()).collect()
    }

    /// None: each of the optimizers has its own.
    fn learning_rate(&self) -> Option<Variable> {
        None
    }

    fn schedule(&self) -> Option<ScheduleRef> {
        None
    }

    fn iterations(&self) -> Variable {
        self.base.iterations(CLASS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizers::{Adam, SGD};
    use crate::prelude::{Data, Dense, Fit, Input, Sequential};
    use crate::saving::load_model;
    use rhyton_ir::Array;

    fn map() -> OptimizerMap {
        OptimizerMap::new(SGD::new(0.1).momentum(0.9)).with("(.*/)?a/.*", Adam::new(0.01)).unwrap()
    }

    #[test]
    fn each_weight_is_updated_by_its_own_optimizer_and_the_state_is_saved() {
        let model = Sequential::new().add(Input::new([2])).add(Dense::new(2).name("a")).add(Dense::new(1).name("b"));
        model.compile(MultiOptimizer::new(map()).unwrap(), "mse", [] as [&str; 0]).unwrap();
        let before = model.get_weights().unwrap();
        let data = Data::new(Array::new([1, 2], vec![1.0f32, 1.0]), Array::new([1, 1], vec![9.0f32]));
        model.fit(&data, Fit::new().verbose(0)).unwrap();
        let after = model.get_weights().unwrap();
        for (k, (before, after)) in before.iter().zip(&after).enumerate() {
            for (b, a) in before.to_f64_vec().iter().zip(after.to_f64_vec()) {
                // The first step of Adam is its learning rate; that of SGD is as large as the gradient.
                assert_eq!((a - b).abs() < 0.0101, k < 2, "{k}: {b} {a}");
            }
        }
        let optimizer = model.optimizer().unwrap();
        // Two of its own, and of Adam and SGD two each and their slots.
        assert_eq!(optimizer.variables().len(), 2 + (2 + 4) + (2 + 2));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.keras");
        model.save(&path).unwrap();
        // Weights of a model that is read back have paths without the name of the stack, as in Keras.
        let loaded = load_model(&path).unwrap();
        assert_eq!(loaded.to_json(), model.to_json());
        let values = |o: &OptimizerRef| o.variables().iter().map(|v| v.array().unwrap()).collect::<Vec<_>>();
        assert_eq!(values(&loaded.optimizer().unwrap()), values(&optimizer));
    }

    #[test]
    fn keys_match_whole_paths_and_one_alone() {
        let map = map().with("x/a/kernel", SGD::new(1.0)).unwrap();
        assert_eq!(map.get("x/a/kernel").unwrap().class_name(), "SGD");
        assert_eq!(map.get("x/a/bias").unwrap().class_name(), "Adam");
        assert_eq!(map.get("ba/bias").unwrap().class_name(), "SGD");
        let twice = map.with("x/.*", SGD::new(1.0)).unwrap();
        assert!(twice.get("x/a/bias").unwrap_err().to_string().contains("all match"));
        assert!(twice.clone().with("x/.*", SGD::new(1.0)).unwrap_err().to_string().contains("already"));
        assert!(twice.with("(", SGD::new(1.0)).unwrap_err().to_string().contains("regular expression"));
    }

    #[test]
    fn the_factor_of_the_loss_is_one_for_all() {
        let map = OptimizerMap::new(SGD::new(0.1).loss_scale_factor(4.0));
        let optimizer = MultiOptimizer::with(map, Some(8.0)).unwrap();
        assert_eq!(optimizer.optimizers()[0].config()["loss_scale_factor"], 8.0);
        assert_eq!(optimizer.scale_loss(&Tensor::from(2.0f32)).item().unwrap(), 16.0);
        assert!(optimizer.current_learning_rate().is_err());
    }
}
