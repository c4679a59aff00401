//! `Muon`: momentum made orthogonal, for matrices; AdamW for the rest.

use rhyton_ir::op::Transpose;
use serde::{Deserialize, Serialize};

use super::adam::Moments;
use super::base::patterns;
use super::{LearningRate, NewSlots, OptimizerBase, Step, UpdateRule, Updated};
use crate::error::Result;
use crate::keras_optimizer;
use crate::ops;
use crate::ops::Axes;
use crate::ops::Number;
use crate::tensor::Tensor;
use crate::variable::Variable;

/// For weights of rank 2 (but embeddings): `m ← μ·m + g`, `w ← w − η·k·orthogonal(g + μ·m)` with `k = √max(rows, columns)·rms_rate`,
/// where `orthogonal` brings the singular values near 1 by `ns_steps` Newton–Schulz steps `x ← a·x + (b·xxᵀ + c·(xxᵀ)²)·x`.
/// Others are updated as by [`AdamW`](super::AdamW) with the learning rate `η·adam_lr_ratio`.
///
/// # Errors
/// If a pattern in `exclude_layers` is no regular expression.
///
/// # References
/// Jordan et al., 2024, <https://github.com/KellerJordan/Muon>; Liu et al., 2025, <https://arxiv.org/abs/2502.16982>.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Muon {
    #[serde(skip)]
    base: OptimizerBase,
    adam_beta_1: f64,
    adam_beta_2: f64,
    epsilon: f64,
    exclude_layers: Vec<String>,
    muon_a: f64,
    muon_b: f64,
    muon_c: f64,
    adam_lr_ratio: Number,
    momentum: f64,
    ns_steps: usize,
    nesterov: bool,
    exclude_embeddings: bool,
    adam_weight_decay: Option<f64>,
    rms_rate: Option<f64>,
}

keras_optimizer!(Muon);

impl Default for Muon {
    fn default() -> Muon {
        Muon::new(0.001)
    }
}

impl Muon {
    /// Muon with this learning rate; Keras's default is 0.001.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Muon {
        Muon {
            base: OptimizerBase::new(learning_rate).with_weight_decay(0.004),
            adam_beta_1: 0.9,
            adam_beta_2: 0.999,
            epsilon: 1e-7,
            exclude_layers: Vec::new(),
            muon_a: 3.4445,
            muon_b: -4.775,
            muon_c: 2.0315,
            adam_lr_ratio: Number::Int(1),
            momentum: 0.95,
            ns_steps: 5,
            nesterov: true,
            exclude_embeddings: true,
            adam_weight_decay: Some(0.004),
            rms_rate: Some(0.2),
        }
    }

    /// AdamW's `β₁`; 0.9 unless said.
    pub fn adam_beta_1(mut self, adam_beta_1: f64) -> Muon {
        self.adam_beta_1 = adam_beta_1;
        self
    }

    /// AdamW's `β₂`; 0.999 unless said.
    pub fn adam_beta_2(mut self, adam_beta_2: f64) -> Muon {
        self.adam_beta_2 = adam_beta_2;
        self
    }

    /// Keeps AdamW's division finite; 1e-7 unless said.
    pub fn epsilon(mut self, epsilon: f64) -> Muon {
        self.epsilon = epsilon;
        self
    }

    /// Regular expressions: weights in whose paths one is found are updated by AdamW.
    pub fn exclude_layers(mut self, exclude_layers: &[&str]) -> Muon {
        self.exclude_layers = exclude_layers.iter().map(|p| (*p).to_owned()).collect();
        self
    }

    /// `a` of the Newton–Schulz step; 3.4445 unless said.
    pub fn muon_a(mut self, muon_a: f64) -> Muon {
        self.muon_a = muon_a;
        self
    }

    /// `b` of the Newton–Schulz step; −4.775 unless said.
    pub fn muon_b(mut self, muon_b: f64) -> Muon {
        self.muon_b = muon_b;
        self
    }

    /// `c` of the Newton–Schulz step; 2.0315 unless said.
    pub fn muon_c(mut self, muon_c: f64) -> Muon {
        self.muon_c = muon_c;
        self
    }

    /// AdamW's learning rate over that of this optimizer; 1 unless said.
    pub fn adam_lr_ratio(mut self, adam_lr_ratio: f64) -> Muon {
        self.adam_lr_ratio = Number::Float(adam_lr_ratio);
        self
    }

    /// How much of the momentum stays at a step; 0.95 unless said.
    pub fn momentum(mut self, momentum: f64) -> Muon {
        self.momentum = momentum;
        self
    }

    /// The number of Newton–Schulz steps; 5 unless said.
    pub fn ns_steps(mut self, ns_steps: usize) -> Muon {
        self.ns_steps = ns_steps;
        self
    }

    /// Whether the momentum is Nesterov's; it is unless said.
    pub fn nesterov(mut self, nesterov: bool) -> Muon {
        self.nesterov = nesterov;
        self
    }

    /// Whether weights with `embedding` in their paths are updated by AdamW; they are unless said.
    pub fn exclude_embeddings(mut self, exclude_embeddings: bool) -> Muon {
        self.exclude_embeddings = exclude_embeddings;
        self
    }

    /// The weight decay of what AdamW updates; 0.004 unless said.
    pub fn adam_weight_decay(mut self, adam_weight_decay: impl Into<Option<f64>>) -> Muon {
        self.adam_weight_decay = adam_weight_decay.into();
        self
    }

    /// The root mean square of updates, in units of the learning rate; 0.2 unless said. `None`: as they come.
    pub fn rms_rate(mut self, rms_rate: impl Into<Option<f64>>) -> Muon {
        self.rms_rate = rms_rate.into();
        self
    }

    /// Whether `variable` is updated by AdamW's rule.
    fn by_adam(&self, variable: &Variable) -> Result<bool> {
        let embedding = self.exclude_embeddings && variable.path().to_lowercase().contains("embedding");
        if variable.shape().len() != 2 || embedding {
            return Ok(true);
        }
        Ok(patterns("exclude_layers", &self.exclude_layers)?.iter().any(|p| p.is_match(variable.path())))
    }

    /// A matrix with the singular vectors of `x` and singular values near 1.
    fn orthogonal(&self, x: Tensor) -> Tensor {
        let tall = matches!((x.dim(0).known(), x.dim(1).known()), (Some(rows), Some(columns)) if rows > columns);
        let mut x = if tall { transposed(&x) } else { x };
        let norm = ops::sqrt(&ops::sum(&ops::square(&x), Axes::All, true));
        x = x / (norm + 1e-7);
        for _ in 0..self.ns_steps {
            let a = x.matmul(transposed(&x));
            let b = self.muon_b * &a + (self.muon_c * &a).matmul(&a);
            x = self.muon_a * &x + b.matmul(&x);
        }
        if tall { transposed(&x) } else { x }
    }
}

impl UpdateRule for Muon {
    fn base(&self) -> &OptimizerBase {
        &self.base
    }

    fn validate(&self) -> Result<()> {
        patterns("exclude_layers", &self.exclude_layers).map(|_| ())
    }

    fn create_slots(&self, slots: &mut NewSlots) -> Result<()> {
        for (i, variable) in slots.variables().iter().enumerate() {
            slots.add_like(i, "momentum", 0.0);
            if self.by_adam(variable)? {
                slots.add_like(i, "velocity", 0.0);
            }
        }
        Ok(())
    }

    fn update(&self, step: &Step, variable: &Tensor, gradient: &Tensor, slots: &[Tensor]) -> Updated {
        let lr = step.learning_rate(variable.dtype());
        if slots.len() == 2 {
            let moments = Moments { beta_1: self.adam_beta_1, beta_2: self.adam_beta_2, epsilon: self.epsilon };
            return moments.update(step, &(lr * self.adam_lr_ratio.value()), variable, gradient, slots);
        }
        let m = &slots[0];
        let m = m + (gradient + m * (self.momentum - 1.0));
        let direction = if self.nesterov { gradient + self.momentum * &m } else { m.clone() };
        let mut change = lr * self.orthogonal(direction);
        if let Some(rate) = self.rms_rate {
            let longest = variable.shape().iter().filter_map(|d| d.known()).max().unwrap_or(1);
            change = change * (longest as f64).sqrt() * rate;
        }
        Updated { variable: variable - change, slots: vec![m] }
    }

    fn weight_decay(&self, variable: &Variable) -> Result<Option<f64>> {
        Ok(if self.by_adam(variable)? { self.adam_weight_decay } else { self.base.options().weight_decay })
    }
}

fn transposed(x: &Tensor) -> Tensor {
    Tensor::apply(Transpose { permutation: vec![1, 0] }, &[x])
}
