//! `while`: iterates a body while a condition holds.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, check_call, check_outputs, subgraphs};
use crate::array::Array;
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::interpret::{evaluate, specialise, type_of};
use crate::shape::{Bindings, Shape, TensorType};

/// Operands are the initial state; `condition` maps the state to one scalar `bool`, `body` the state to the next one.
/// Values from outside are passed as part of the state. Has no reverse-mode gradient: its length is not known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct While {
    /// State to `bool`.
    #[serde(skip)]
    pub condition: Arc<Graph>,
    /// State to state.
    #[serde(skip)]
    pub body: Arc<Graph>,
}

impl While {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        // (i, n, x) -> (i + 1, n, x · 2) while i < n.
        let state = |graph: &mut Graph| -> Vec<Value> {
            let int = TensorType::new(DType::I32, Shape::scalar());
            vec![graph.parameter(int.clone()), graph.parameter(int), graph.parameter(TensorType::new(DType::F32, [2]))]
        };
        let (mut condition, mut body) = (Graph::new(), Graph::new());
        let s = state(&mut condition);
        let mut b = Builder::new(&mut condition);
        let less = b.compare(super::Direction::Lt, s[0], s[1]);
        b.finish().expect("two scalars of one dtype compare");
        condition.set_outputs(vec![less]);
        let s = state(&mut body);
        let mut b = Builder::new(&mut body);
        let (next, doubled) = (b.shift(s[0], 1.0), b.scale(s[2], 2.0));
        b.finish().expect("types are kept");
        body.set_outputs(vec![next, s[1], doubled]);
        let op = While { condition: Arc::new(condition), body: Arc::new(body) };
        let x = Array::new([2], vec![1.5f32, -1.0]);
        vec![
            Sample::new(op.clone(), [Array::scalar(0i32), Array::scalar(3i32), x.clone()]),
            Sample::new(op, [Array::scalar(7i32), Array::scalar(3i32), x]),
        ]
    }
}

impl Primitive for While {
    fn name(&self) -> &'static str {
        "while"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        check_call(self, "the condition", &self.condition, inputs)?;
        check_call(self, "the body", &self.body, inputs)?;
        check_outputs(self, "the body", &self.body, inputs)?;
        check_outputs(self, "the condition", &self.condition, &[&TensorType::new(DType::Bool, Shape::scalar())])?;
        Ok(inputs.iter().map(|&ty| ty.clone()).collect())
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let types: Vec<TensorType> = inputs.iter().map(|x| type_of(x)).collect();
        self.infer(&types.iter().collect::<Vec<_>>())?;
        let (condition, body) = (specialise(&self.condition, &types)?, specialise(&self.body, &types)?);
        let mut state: Vec<Array> = inputs.iter().map(|&x| x.clone()).collect();
        loop {
            let operands: Vec<&Array> = state.iter().collect();
            if evaluate(&condition, &operands)?[0].data().get_f64(0) == 0.0 {
                return Ok(state);
            }
            state = evaluate(&body, &operands)?;
        }
    }

    fn vjp(&self, _: &mut Builder, _: &Applied, _: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        Err(Error::unsupported(
            self.name(),
            "a loop of unknown length has no reverse-mode gradient",
            "use a scan, which has a known length, or stop the gradient before the loop",
        ))
    }

    fn bind(&self, bindings: &Bindings) -> Result<Op> {
        let (condition, body) = (self.condition.bind(bindings)?, self.body.bind(bindings)?);
        Ok(While { condition: Arc::new(condition), body: Arc::new(body) }.into())
    }

    fn subgraphs(&self) -> Vec<(&'static str, &Arc<Graph>)> {
        vec![("condition", &self.condition), ("body", &self.body)]
    }

    fn with_subgraphs(&self, graphs: Vec<Arc<Graph>>) -> Result<Op> {
        let [condition, body] = subgraphs(self, graphs)?;
        Ok(While { condition, body }.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_runs_while_the_condition_holds() {
        let samples = While::samples();
        let run = |s: &Sample| s.op.eval(&s.inputs.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(run(&samples[0])[2].to_f64_vec(), [12.0, -8.0]);
        assert_eq!(run(&samples[1])[2].to_f64_vec(), [1.5, -1.0]);
    }

    #[test]
    fn its_gradient_is_refused_with_the_way_out() {
        let sample = &While::samples()[0];
        let mut graph = Graph::new();
        let inputs: Vec<Value> = sample.inputs.iter().map(|x| graph.parameter(type_of(x))).collect();
        let first = graph.push(sample.op.clone(), &inputs).unwrap();
        let x = graph.outputs_of(first)[2];
        let error = crate::grad::vjp(&mut graph, &[x], &[Some(x)], &[inputs[2]]).unwrap_err();
        assert!(matches!(error, Error::Unsupported(_)));
        assert!(error.to_string().contains("use a scan"), "{error}");
    }
}
