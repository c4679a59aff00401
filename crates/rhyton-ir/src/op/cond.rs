//! `cond`: one of several branches.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, check_call, check_outputs};
use crate::array::Array;
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::grad::pullback;
use crate::graph::{Graph, Value};
use crate::interpret::run;
use crate::shape::{Bindings, Shape, TensorType};

/// Operands: a scalar `int32` index, clamped, then what every branch takes. Outputs: those of the branch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cond {
    /// All with the same parameter and output types.
    #[serde(skip)]
    pub branches: Vec<Arc<Graph>>,
}

impl Cond {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let branch = |build: fn(&mut Builder, Value, Value) -> Value| {
            let mut graph = Graph::new();
            let ty = TensorType::new(DType::F64, [2]);
            let (x, y) = (graph.parameter(ty.clone()), graph.parameter(ty));
            let mut b = Builder::new(&mut graph);
            let out = build(&mut b, x, y);
            b.finish().expect("both operands have one type");
            graph.set_outputs(vec![out]);
            Arc::new(graph)
        };
        // The second branch does not use `y`: its cotangent is zero there.
        let branches = vec![branch(|b, x, y| b.mul(x, y)), branch(|b, x, _| b.mul(x, x))];
        let sample = |index: i32| {
            let operands =
                [Array::scalar(index), Array::new([2], vec![1.5f64, -0.5]), Array::new([2], vec![0.7f64, 2.0])];
            Sample::new(Cond { branches: branches.clone() }, operands)
        };
        vec![sample(0), sample(1), sample(-3), sample(9)]
    }
}

impl Primitive for Cond {
    fn name(&self) -> &'static str {
        "cond"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let (Some((&index, operands)), Some(first)) = (inputs.split_first(), self.branches.first()) else {
            return Err(Error::argument(self.name(), "no index or no branch", "give an index and at least one branch"));
        };
        if *index != TensorType::new(DType::I32, Shape::scalar()) {
            return Err(Error::dtype(self.name(), format!("the index is {index}"), "give an int32 scalar"));
        }
        let types = first.output_types();
        for branch in &self.branches {
            check_call(self, "a branch", branch, operands)?;
            check_outputs(self, "a branch", branch, &types.iter().collect::<Vec<_>>())?;
        }
        Ok(types)
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let types: Vec<TensorType> = inputs.iter().map(|x| crate::interpret::type_of(x)).collect();
        self.infer(&types.iter().collect::<Vec<_>>())?;
        let last = self.branches.len() - 1;
        let index = (inputs[0].data().get_f64(0).max(0.0) as usize).min(last);
        let operands: Vec<Array> = inputs[1..].iter().map(|&x| x.clone()).collect();
        run(&self.branches[index], &operands)
    }

    /// A `cond` on the same index, each of whose branches computes the forward branch again and then its gradient.
    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let given: Vec<bool> = cotangents.iter().map(Option::is_some).collect();
        let pulled: Result<Vec<_>> = self.branches.iter().map(|g| pullback(g, &given, &node.wanted[1..])).collect();
        let pulled = pulled?;
        // An operand has a cotangent if it has one in some branch; the others answer with zeros.
        let flows: Vec<usize> =
            (0..node.inputs.len() - 1).filter(|&i| pulled.iter().any(|(_, c)| c[i].is_some())).collect();
        if flows.is_empty() {
            return Ok(vec![None; node.inputs.len()]);
        }
        let mut branches = Vec::with_capacity(pulled.len());
        for (mut graph, found) in pulled {
            let mut inner = Builder::new(&mut graph);
            let parameters = inner.graph().parameters().to_vec();
            let outputs = flows.iter().map(|&i| found[i].unwrap_or_else(|| inner.zeros_like(parameters[i]))).collect();
            inner.finish()?;
            graph.set_outputs(outputs);
            branches.push(Arc::new(graph));
        }
        let operands: Vec<Value> = node.inputs.iter().copied().chain(cotangents.iter().copied().flatten()).collect();
        let outputs = b.push_all(Cond { branches }, &operands);
        let mut results = vec![None; node.inputs.len()];
        for (&i, &output) in flows.iter().zip(&outputs) {
            results[i + 1] = Some(output);
        }
        Ok(results)
    }

    fn bind(&self, bindings: &Bindings) -> Result<Op> {
        let branches = self.branches.iter().map(|g| Ok(Arc::new(g.bind(bindings)?)));
        Ok(Cond { branches: branches.collect::<Result<_>>()? }.into())
    }

    fn subgraphs(&self) -> Vec<(&'static str, &Arc<Graph>)> {
        self.branches.iter().map(|g| ("branch", g)).collect()
    }

    fn with_subgraphs(&self, branches: Vec<Arc<Graph>>) -> Result<Op> {
        Ok(Cond { branches }.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_clamped() {
        let run = |s: &Sample| s.op.eval(&s.inputs.iter().collect::<Vec<_>>()).unwrap();
        let out: Vec<_> = Cond::samples().iter().map(run).collect();
        assert_eq!(out[0][0].to_f64_vec(), [1.5 * 0.7, -1.0]);
        assert_eq!((&out[2], &out[3]), (&out[0], &out[1]));
    }

    #[test]
    fn branches_must_agree() {
        let Op::Cond(cond) = &Cond::samples()[0].op else { panic!("a sample of itself") };
        let mut other = Graph::new();
        let x = other.parameter(TensorType::new(DType::F64, [2]));
        other.parameter(TensorType::new(DType::F64, [2]));
        other.set_outputs(vec![x, x]);
        let cond = Cond { branches: vec![cond.branches[0].clone(), Arc::new(other)] };
        let (i, x) = (TensorType::new(DType::I32, Shape::scalar()), TensorType::new(DType::F64, [2]));
        assert!(matches!(cond.infer(&[&i, &x, &x]), Err(Error::Shape(_))));
        assert!(matches!(cond.infer(&[&x, &x, &x]), Err(Error::DType(_))));
        assert!(matches!(Cond { branches: vec![] }.infer(&[&i]), Err(Error::Argument(_))));
    }
}
