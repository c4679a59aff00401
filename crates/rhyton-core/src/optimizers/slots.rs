//! The state that optimizers keep for weights.

use std::collections::HashMap;

use rhyton_ir::Array;

use crate::error::{Error, Result};
use crate::tensor::Tensor;
use crate::variable::Variable;

/// All slots of an optimizer.
#[derive(Debug)]
pub(super) struct Slots {
    index: HashMap<u64, usize>,
    /// The weights that the optimizer was built with.
    pub(super) trained: Vec<Variable>,
    /// Moving averages, one a weight or none at all.
    pub(super) averages: Vec<Variable>,
    /// Sums of gradients, one a weight or none at all.
    pub(super) accumulators: Vec<Variable>,
    /// What the rule keeps for each weight.
    pub(super) own: Vec<Vec<Variable>>,
    /// What the rule keeps for all weights together.
    pub(super) shared: Vec<Variable>,
    /// All of these, in the order in which they were made.
    pub(super) tracked: Vec<Variable>,
}

impl Slots {
    /// Which of the weights that the optimizer was built with `variable` is.
    pub(super) fn index(&self, variable: &Variable) -> Result<usize> {
        self.index.get(&variable.id()).copied().ok_or_else(|| {
            Error::argument(
                variable.describe(),
                "the optimizer was not built with it",
                "make a new optimizer for another set of variables",
            )
        })
    }
}

/// Slots being made; see [`UpdateRule::create_slots`](super::UpdateRule::create_slots).
pub struct NewSlots<'v> {
    name: &'v str,
    slots: Slots,
}

impl<'v> NewSlots<'v> {
    pub(super) fn new(name: &'v str, variables: &[Variable]) -> NewSlots<'v> {
        let slots = Slots {
            index: variables.iter().enumerate().map(|(i, v)| (v.id(), i)).collect(),
            trained: variables.to_vec(),
            averages: Vec::new(),
            accumulators: Vec::new(),
            own: vec![Vec::new(); variables.len()],
            shared: Vec::new(),
            tracked: Vec::new(),
        };
        NewSlots { name, slots }
    }

    /// The weights that slots are made for.
    pub fn variables(&self) -> Vec<Variable> {
        self.slots.trained.clone()
    }

    /// A slot of each of `names` for each weight, of its dtype and shape, filled with `value`: all of the first weight,
    /// then all of the second, …
    pub fn add(&mut self, names: &[&str], value: f64) {
        let values: Vec<(&str, f64)> = names.iter().map(|n| (*n, value)).collect();
        self.add_with(&values);
    }

    /// As [`NewSlots::add`], with a value for each name.
    pub fn add_with(&mut self, slots: &[(&str, f64)]) {
        for i in 0..self.slots.trained.len() {
            for (name, value) in slots {
                self.add_like(i, name, *value);
            }
        }
    }

    /// A slot for weight `index`, of its dtype and shape, filled with `value`.
    pub fn add_like(&mut self, index: usize, name: &str, value: f64) {
        let variable = &self.slots.trained[index];
        let array = Array::full(variable.dtype(), variable.shape(), value);
        self.add_array_like(index, name, array);
    }

    /// A slot for weight `index`, named after both, that starts as `value`.
    pub fn add_array_like(&mut self, index: usize, name: &str, value: Array) {
        let path = self.path_like(&self.slots.trained[index], name);
        let slot = self.track(&path, value);
        self.slots.own[index].push(slot);
    }

    /// A slot for weight `index` under a path of its own.
    pub fn add_array(&mut self, index: usize, path: &str, value: Array) {
        let slot = self.track(path, value);
        self.slots.own[index].push(slot);
    }

    /// A variable that is stored with the slots and that no update looks at.
    pub fn add_unused(&mut self, path: &str, value: Array) {
        self.track(path, value);
    }

    /// State that belongs to no single weight.
    pub fn add_shared(&mut self, path: &str, value: Array) {
        let variable = self.track(path, value);
        self.slots.shared.push(variable);
    }

    /// The name of the optimizer.
    pub fn optimizer(&self) -> &str {
        self.name
    }

    pub(super) fn add_averages(&mut self) -> Result<()> {
        for i in 0..self.slots.trained.len() {
            let variable = &self.slots.trained[i];
            let (path, zeros) = (self.path_like(variable, "average"), Array::zeros(variable.dtype(), variable.shape()));
            let average = self.track(&path, zeros);
            self.slots.averages.push(average);
        }
        Ok(())
    }

    pub(super) fn add_accumulators(&mut self) {
        for i in 0..self.slots.trained.len() {
            let variable = &self.slots.trained[i];
            let path = self.path_like(variable, "gradient_accumulator");
            let zeros = Array::zeros(variable.dtype(), variable.shape());
            let accumulator = self.track(&path, zeros);
            self.slots.accumulators.push(accumulator);
        }
    }

    pub(super) fn finish(self) -> Slots {
        self.slots
    }

    fn path_like(&self, variable: &Variable, name: &str) -> String {
        format!("{}/{}_{name}", self.name, variable.path().replace('/', "_"))
    }

    fn track(&mut self, path: &str, value: Array) -> Variable {
        let variable = Variable::state(&crate::naming::path_of(path), value);
        self.slots.tracked.push(variable.clone());
        variable
    }
}

/// The values of variables, at this point of a traced function.
pub(super) fn values(variables: &[Variable]) -> Vec<Tensor> {
    variables.iter().map(Variable::value).collect()
}
