//! `custom_gradient`: a function with a gradient of its own.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, check_call, check_outputs, subgraphs};
use crate::array::Array;
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::interpret::run;
use crate::shape::{Bindings, TensorType};

/// `forward(operands…) -> outputs…` whose cotangents are `backward(operands…, outputs…, cotangents…) -> one an operand`.
/// Integer operands get a cotangent of `float32` zeros that is ignored; that of an integer output is `float32` zeros.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustomGradient {
    /// What is computed.
    #[serde(skip)]
    pub forward: Arc<Graph>,
    /// Its gradient.
    #[serde(skip)]
    pub backward: Arc<Graph>,
}

impl CustomGradient {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        // exp(x) / i with the gradient dy · y, which needs no further exponential; `i` is an integer.
        let (x, i) = (TensorType::new(DType::F64, [2]), TensorType::new(DType::I32, [2]));
        let mut forward = Graph::new();
        let operands = [forward.parameter(x.clone()), forward.parameter(i.clone())];
        let mut b = Builder::new(&mut forward);
        let (exp, divisor) = (b.unary(super::UnaryKind::Exp, operands[0]), b.convert(operands[1], DType::F64));
        let out = b.div(exp, divisor);
        b.finish().expect("both operands have one type");
        forward.set_outputs(vec![out]);
        let mut backward = Graph::new();
        let [_, i, y, dy] = [x.clone(), i, x.clone(), x].map(|ty| backward.parameter(ty));
        let mut b = Builder::new(&mut backward);
        let (dx, ignored) = (b.mul(dy, y), b.convert(i, DType::F32));
        let di = b.zeros_like(ignored);
        b.finish().expect("both operands have one type");
        backward.set_outputs(vec![dx, di]);
        let op = CustomGradient { forward: Arc::new(forward), backward: Arc::new(backward) };
        vec![Sample::new(op, [Array::new([2], vec![0.3f64, -0.8]), Array::new([2], vec![2i32, 5])])]
    }
}

/// The type of the cotangent of a value: its own, `float32` in its shape if it has none.
fn cotangent_type(ty: &TensorType) -> TensorType {
    if ty.dtype.is_float() { ty.clone() } else { ty.with_dtype(DType::F32) }
}

impl Primitive for CustomGradient {
    fn name(&self) -> &'static str {
        "custom_gradient"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        check_call(self, "the forward graph", &self.forward, inputs)?;
        let outputs = self.forward.output_types();
        let cotangents: Vec<TensorType> = outputs.iter().map(cotangent_type).collect();
        let operands: Vec<&TensorType> = inputs.iter().copied().chain(&outputs).chain(&cotangents).collect();
        check_call(self, "the backward graph", &self.backward, &operands)?;
        let results: Vec<TensorType> = inputs.iter().map(|&ty| cotangent_type(ty)).collect();
        check_outputs(self, "the backward graph", &self.backward, &results.iter().collect::<Vec<_>>())?;
        Ok(outputs)
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        run(&self.forward, &inputs.iter().map(|&x| x.clone()).collect::<Vec<_>>())
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let mut operands: Vec<Value> = node.inputs.iter().chain(&node.outputs).copied().collect();
        for (&output, &cotangent) in node.outputs.iter().zip(cotangents) {
            let ty = cotangent_type(&b.ty(output));
            operands.push(cotangent.unwrap_or_else(|| b.full(&ty, 0.0)));
        }
        let found = b.inline(&self.backward, &operands);
        Ok(found.into_iter().zip(&node.wanted).map(|(c, wanted)| wanted.then_some(c)).collect())
    }

    fn bind(&self, bindings: &Bindings) -> Result<Op> {
        let (forward, backward) = (self.forward.bind(bindings)?, self.backward.bind(bindings)?);
        Ok(CustomGradient { forward: Arc::new(forward), backward: Arc::new(backward) }.into())
    }

    fn subgraphs(&self) -> Vec<(&'static str, &Arc<Graph>)> {
        vec![("forward", &self.forward), ("backward", &self.backward)]
    }

    fn with_subgraphs(&self, graphs: Vec<Arc<Graph>>) -> Result<Op> {
        let [forward, backward] = subgraphs(self, graphs)?;
        Ok(CustomGradient { forward, backward }.into())
    }
}
