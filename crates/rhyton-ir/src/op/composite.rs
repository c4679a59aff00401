//! `composite`: a function for which a back end may have a kernel, and what it is made of.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, ReduceKind, Sample, UnaryKind, check_call, subgraphs};
use crate::array::Array;
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::Result;
use crate::grad::pullback;
use crate::graph::{Graph, Value};
use crate::interpret::run;
use crate::shape::{Bindings, TensorType};

/// Which function; a back end that has no kernel for it runs the decomposition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompositeKind {
    /// Operand `x`: softmax over the last axis.
    Softmax,
    /// Operand `x`: log-softmax over the last axis.
    LogSoftmax,
    /// Operand `x`: a function of each element alone. What its gradient keeps is the derivative and nothing else.
    Pointwise,
    /// Operands `x`, `gamma`, `beta` (both of the last axis): layer normalisation over the last axis.
    LayerNorm {
        /// Added to the variance.
        epsilon: f64,
    },
    /// Operands `q (b, t, h, d)`, `k`, `v (b, s, h, d)`, optional `bias` broadcastable to `(b, h, t, s)`:
    /// `softmax(scale · q·kᵀ + bias) · v` as `(b, t, h, d)`.
    Attention {
        /// Multiplies the scores.
        scale: f64,
        /// Position `t` sees `s <= t` only.
        causal: bool,
        /// Whether `bias` is given.
        bias: bool,
    },
}

/// `decomposition(operands…)`, computed in whichever way is fastest; differentiated through the decomposition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Composite {
    /// What it is.
    pub kind: CompositeKind,
    /// What it is made of; the definition of its meaning.
    #[serde(skip)]
    pub decomposition: Arc<Graph>,
}

impl Composite {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let x = Array::new([2, 3], vec![0.5f64, -0.2, 0.9, 1.1, 0.3, -0.7]);
        let softmax = |kind: CompositeKind| {
            let mut graph = Graph::new();
            let x = graph.parameter(TensorType::new(DType::F64, [2, 3]));
            let mut b = Builder::new(&mut graph);
            let shape = b.shape(x);
            let max = b.reduce(ReduceKind::Max, x, &[1]);
            let max = b.restore(max, &shape, &[1]);
            let shifted = b.sub(x, max);
            let exp = b.unary(UnaryKind::Exp, shifted);
            let sum = b.sum(exp, &[1]);
            let out = if kind == CompositeKind::Softmax {
                let sum = b.restore(sum, &shape, &[1]);
                b.div(exp, sum)
            } else {
                let log = b.unary(UnaryKind::Log, sum);
                let log = b.restore(log, &shape, &[1]);
                b.sub(shifted, log)
            };
            b.finish().expect("shapes are restored");
            graph.set_outputs(vec![out]);
            Composite { kind, decomposition: Arc::new(graph) }
        };
        vec![
            Sample::new(softmax(CompositeKind::Softmax), [x.clone()]),
            Sample::new(softmax(CompositeKind::LogSoftmax), [x.clone()]),
            Sample::new(pointwise_sample(), [x.clone()]),
            Sample::new(
                layer_norm_sample(),
                [x, Array::new([3], vec![1.3f64, 0.6, -0.9]), Array::new([3], vec![0.2f64, -0.1, 0.4])],
            ),
        ]
    }
}

/// `x · tanh(x)`.
fn pointwise_sample() -> Composite {
    let mut graph = Graph::new();
    let x = graph.parameter(TensorType::new(DType::F64, [2, 3]));
    let mut b = Builder::new(&mut graph);
    let tanh = b.unary(UnaryKind::Tanh, x);
    let out = b.mul(x, tanh);
    b.finish().expect("both operands have one type");
    graph.set_outputs(vec![out]);
    Composite { kind: CompositeKind::Pointwise, decomposition: Arc::new(graph) }
}

fn layer_norm_sample() -> Composite {
    let mut graph = Graph::new();
    let x = graph.parameter(TensorType::new(DType::F64, [2, 3]));
    let scale = TensorType::new(DType::F64, [3]);
    let (gamma, beta) = (graph.parameter(scale.clone()), graph.parameter(scale));
    let mut b = Builder::new(&mut graph);
    let (shape, epsilon) = (b.shape(x), 1e-3);
    let mean = |b: &mut Builder, x: Value| {
        let sum = b.sum(x, &[1]);
        let mean = b.scale(sum, 1.0 / 3.0);
        b.restore(mean, &shape, &[1])
    };
    let centre = mean(&mut b, x);
    let centred = b.sub(x, centre);
    let squared = b.mul(centred, centred);
    let variance = mean(&mut b, squared);
    let shifted = b.shift(variance, epsilon);
    let inverse = b.unary(UnaryKind::Rsqrt, shifted);
    let normal = b.mul(centred, inverse);
    let (gamma, beta) = (b.restore(gamma, &shape, &[0]), b.restore(beta, &shape, &[0]));
    let scaled = b.mul(normal, gamma);
    let out = b.add(scaled, beta);
    b.finish().expect("shapes are restored");
    graph.set_outputs(vec![out]);
    Composite { kind: CompositeKind::LayerNorm { epsilon }, decomposition: Arc::new(graph) }
}

impl Primitive for Composite {
    fn name(&self) -> &'static str {
        "composite"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        check_call(self, "the decomposition", &self.decomposition, inputs)?;
        Ok(self.decomposition.output_types())
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        run(&self.decomposition, &inputs.iter().map(|&x| x.clone()).collect::<Vec<_>>())
    }

    /// Through the decomposition, but where the output alone gives the gradient: the softmaxes need no exponential or
    /// sum of the forward computation again. The derivative of a function of single elements is computed from its operand
    /// alone, so that it can be next to the function itself, and is all that has to be kept.
    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        if matches!(self.kind, CompositeKind::Softmax | CompositeKind::LogSoftmax) {
            let (Some(dy), y) = (cotangents[0], node.outputs[0]) else { return Ok(vec![None]) };
            return Ok(vec![Some(softmax_vjp(b, &self.kind, y, dy))]);
        }
        if self.kind == CompositeKind::Pointwise {
            let Some(dy) = cotangents[0] else { return Ok(vec![None]) };
            let (mut graph, found) = pullback(&self.decomposition, &[true], &[true])?;
            graph.set_outputs(found.into_iter().flatten().collect());
            let ones = b.full_like(dy, 1.0);
            let derivative = b.inline(&graph, &[node.inputs[0], ones]).first().copied();
            return Ok(vec![derivative.map(|derivative| b.mul(dy, derivative))]);
        }
        let given: Vec<bool> = cotangents.iter().map(Option::is_some).collect();
        let (mut graph, found) = pullback(&self.decomposition, &given, &node.wanted)?;
        graph.set_outputs(found.iter().copied().flatten().collect());
        let operands: Vec<Value> = node.inputs.iter().copied().chain(cotangents.iter().copied().flatten()).collect();
        let mut outputs = b.inline(&graph, &operands).into_iter();
        Ok(found.into_iter().map(|c| c.and_then(|_| outputs.next())).collect())
    }

    fn bind(&self, bindings: &Bindings) -> Result<Op> {
        let decomposition = Arc::new(self.decomposition.bind(bindings)?);
        Ok(Composite { kind: self.kind.clone(), decomposition }.into())
    }

    fn subgraphs(&self) -> Vec<(&'static str, &Arc<Graph>)> {
        vec![("decomposition", &self.decomposition)]
    }

    fn with_subgraphs(&self, graphs: Vec<Arc<Graph>>) -> Result<Op> {
        let [decomposition] = subgraphs(self, graphs)?;
        Ok(Composite { kind: self.kind.clone(), decomposition }.into())
    }
}

/// `(dy − Σ dy·y)·y` for `y = softmax(x)`, `dy − exp(y)·Σ dy` for `y = log_softmax(x)`; sums over the last axis.
fn softmax_vjp(b: &mut Builder, kind: &CompositeKind, y: Value, dy: Value) -> Value {
    let shape = b.shape(y);
    let last = [shape.rank().saturating_sub(1)];
    let total = |b: &mut Builder, x: Value| {
        let sum = b.sum(x, &last);
        b.restore(sum, &shape, &last)
    };
    if *kind == CompositeKind::Softmax {
        let weighted = b.mul(dy, y);
        let weighted = total(b, weighted);
        let centred = b.sub(dy, weighted);
        return b.mul(centred, y);
    }
    let (probability, sum) = (b.unary(UnaryKind::Exp, y), total(b, dy));
    let share = b.mul(probability, sum);
    b.sub(dy, share)
}
