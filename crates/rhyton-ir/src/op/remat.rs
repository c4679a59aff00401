//! `remat`: a function whose inner values are computed again for its gradient.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, check_call, subgraphs};
use crate::array::Array;
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::Result;
use crate::grad::pullback;
use crate::graph::{Graph, Value};
use crate::interpret::run;
use crate::shape::{Bindings, TensorType};

/// `body(operands…)`. Its gradient keeps only the operands and recomputes the rest (gradient checkpointing; Chen et al.,
/// 2016, <https://arxiv.org/abs/1604.06174>).
///
/// The gradient is a `remat` too, so that no pass merges what it recomputes with what was computed forward:
/// `pass::open_remat` opens both, last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remat {
    /// What is computed.
    #[serde(skip)]
    pub body: Arc<Graph>,
}

impl Remat {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let mut body = Graph::new();
        let ty = TensorType::new(DType::F64, [2]);
        let (x, y) = (body.parameter(ty.clone()), body.parameter(ty));
        let mut b = Builder::new(&mut body);
        let product = b.mul(x, y);
        let (sine, squared) = (b.unary(super::UnaryKind::Sin, product), b.mul(product, y));
        b.finish().expect("both operands have one type");
        body.set_outputs(vec![sine, squared]);
        let operands = [Array::new([2], vec![0.3f64, -0.8]), Array::new([2], vec![1.2f64, 0.4])];
        vec![Sample::new(Remat { body: Arc::new(body) }, operands)]
    }
}

impl Primitive for Remat {
    fn name(&self) -> &'static str {
        "remat"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        check_call(self, "the body", &self.body, inputs)?;
        Ok(self.body.output_types())
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        run(&self.body, &inputs.iter().map(|&x| x.clone()).collect::<Vec<_>>())
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let given: Vec<bool> = cotangents.iter().map(Option::is_some).collect();
        let (mut body, found) = pullback(&self.body, &given, &node.wanted)?;
        body.set_outputs(found.iter().copied().flatten().collect());
        let operands: Vec<Value> = node.inputs.iter().copied().chain(cotangents.iter().copied().flatten()).collect();
        let mut outputs = b.push_all(Remat { body: Arc::new(body) }, &operands).into_iter();
        Ok(found.into_iter().map(|c| c.and_then(|_| outputs.next())).collect())
    }

    fn bind(&self, bindings: &Bindings) -> Result<Op> {
        Ok(Remat { body: Arc::new(self.body.bind(bindings)?) }.into())
    }

    fn subgraphs(&self) -> Vec<(&'static str, &Arc<Graph>)> {
        vec![("body", &self.body)]
    }

    fn with_subgraphs(&self, graphs: Vec<Arc<Graph>>) -> Result<Op> {
        let [body] = subgraphs(self, graphs)?;
        Ok(Remat { body }.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpret::type_of;

    #[test]
    fn the_gradient_reads_nothing_computed_forward() {
        let sample = &Remat::samples()[0];
        let mut graph = Graph::new();
        let inputs: Vec<Value> = sample.inputs.iter().map(|x| graph.parameter(type_of(x))).collect();
        let out = graph.push(sample.op.clone(), &inputs).unwrap();
        let dy = graph.parameter(type_of(&sample.inputs[0]));
        let found = crate::grad::vjp(&mut graph, &[out], &[Some(dy)], &inputs).unwrap();
        let backward = graph.node(found[0].unwrap());
        assert!(matches!(backward.op, Op::Remat(_)));
        assert_eq!(backward.inputs, [inputs[0], inputs[1], dy]);
    }
}
