//! `scan`: a loop of known length over slices, with a carried state.

mod reverse;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, check_call, check_outputs, subgraphs};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::interpret::{evaluate, specialise, type_of};
use crate::shape::{Bindings, Dim, Shape, TensorType};

/// `body(consts…, carry…, x_t…) -> (carry…, y_t…)` for `t` in `0..length` (downwards if `reverse`).
///
/// Operands: `consts`, initial `carries`, then the `xs`, stacked along their first axis. Outputs: final carries, then the
/// `ys` stacked along a new first axis (`y_t` at index `t`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    /// One step.
    #[serde(skip)]
    pub body: Arc<Graph>,
    /// How many operands are the same in every step.
    pub consts: usize,
    /// How many operands are carried.
    pub carries: usize,
    /// The number of steps.
    pub length: Dim,
    /// From the last slice to the first.
    pub reverse: bool,
}

impl Scan {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let w = Array::new([2, 2], vec![0.3f64, -0.2, 0.5, 0.4]);
        let h = Array::new([2], vec![0.1f64, -0.3]);
        let xs = Array::new([3, 2], vec![0.2f64, 0.7, -0.4, 0.1, 0.6, -0.5]);
        let recurrent = |reverse| Scan { body: recurrent_body(), consts: 1, carries: 2, length: 3.into(), reverse };
        let count = Array::scalar(5i32);
        let mut power = Graph::new();
        let x = power.parameter(TensorType::new(DType::F64, [2]));
        let mut b = Builder::new(&mut power);
        let squared = b.mul(x, x);
        b.finish().expect("both operands have one type");
        power.set_outputs(vec![squared]);
        let power = |length: usize| Scan {
            body: Arc::new(power.clone()),
            consts: 0,
            carries: 1,
            length: length.into(),
            reverse: false,
        };
        vec![
            Sample::new(recurrent(false), [w.clone(), h.clone(), count.clone(), xs.clone()]),
            Sample::new(recurrent(true), [w, h.clone(), count, xs]),
            Sample::new(power(2), [h.clone()]),
            Sample::new(power(0), [h.clone()]),
            Sample::new(scaled(), [h, Array::new([3], vec![0.2f64, -0.7, 1.4])]),
        ]
    }

    /// The type of `x_t`, given that of the stacked `xs`.
    fn slice_type(&self, xs: &TensorType) -> Result<TensorType> {
        match xs.shape.split_first() {
            Some((first, rest)) if first.compatible(&self.length) => Ok(xs.with_shape(rest)),
            _ => Err(Error::shape(
                self.name(),
                format!("an operand {xs} to step through {} times", self.length),
                "give it a first axis of the number of steps",
            )),
        }
    }

    /// The types of the body's operands, given those of the scan's.
    fn step_types(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let whole = self.consts.saturating_add(self.carries);
        if inputs.len() < whole || self.body.outputs().len() < self.carries {
            return Err(Error::argument(
                self.name(),
                format!(
                    "{} operands and {} outputs of the body for {} constants and {} carries",
                    inputs.len(),
                    self.body.outputs().len(),
                    self.consts,
                    self.carries
                ),
                "pass the constants, the carries and the stacked slices; let the body give the carries first",
            ));
        }
        let type_at = |(i, &ty): (usize, &&TensorType)| if i < whole { Ok(ty.clone()) } else { self.slice_type(ty) };
        inputs.iter().enumerate().map(type_at).collect()
    }
}

/// `h' = x_t·h`, `y_t = h·h'` with numbers `x_t`: slices of another shape than what is stacked.
fn scaled() -> Scan {
    let mut body = Graph::new();
    let h = body.parameter(TensorType::new(DType::F64, [2]));
    let x = body.parameter(TensorType::new(DType::F64, Shape::scalar()));
    let mut b = Builder::new(&mut body);
    let x = b.broadcast(x, [2], &[]);
    let next = b.mul(x, h);
    let y = b.mul(h, next);
    b.finish().expect("the sample's shapes fit");
    body.set_outputs(vec![next, y]);
    Scan { body: Arc::new(body), consts: 0, carries: 1, length: 3.into(), reverse: false }
}

/// `h' = tanh(x_t + w·h)`, `n' = n + 1`, `y_t = h·h' / n'` with an integer carry `n`.
fn recurrent_body() -> Arc<Graph> {
    let mut body = Graph::new();
    let w = body.parameter(TensorType::new(DType::F64, [2, 2]));
    let h = body.parameter(TensorType::new(DType::F64, [2]));
    let n = body.parameter(TensorType::new(DType::I32, Shape::scalar()));
    let x = body.parameter(TensorType::new(DType::F64, [2]));
    let mut b = Builder::new(&mut body);
    let dims = super::DotGeneral { lhs_batch: vec![], rhs_batch: vec![], lhs_contract: vec![1], rhs_contract: vec![0] };
    let product = b.dot_general(dims, w, h);
    let sum = b.add(x, product);
    let (next, count) = (b.unary(super::UnaryKind::Tanh, sum), b.shift(n, 1.0));
    let (product, divisor) = (b.mul(h, next), b.convert(count, DType::F64));
    let divisor = b.broadcast(divisor, [2], &[]);
    let y = b.div(product, divisor);
    b.finish().expect("the sample's shapes fit");
    body.set_outputs(vec![next, count, y]);
    Arc::new(body)
}

impl Primitive for Scan {
    fn name(&self) -> &'static str {
        "scan"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let steps = self.step_types(inputs)?;
        check_call(self, "the body", &self.body, &steps.iter().collect::<Vec<_>>())?;
        let mut types = self.body.output_types();
        for (carry, ty) in types.iter().zip(&steps[self.consts..]).take(self.carries) {
            if carry.dtype != ty.dtype || !carry.shape.compatible(&ty.shape) {
                return Err(Error::shape(
                    self.name(),
                    format!("the body makes {carry} of a carry {ty}"),
                    "keep the types of carries",
                ));
            }
        }
        check_outputs(self, "the body", &self.body, &types.iter().collect::<Vec<_>>())?;
        for y in &mut types[self.carries..] {
            *y = y.with_shape(std::iter::once(&self.length).chain(y.shape.iter()).cloned().collect::<Shape>());
        }
        Ok(types)
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let types: Vec<TensorType> = inputs.iter().map(|x| type_of(x)).collect();
        let types: Vec<&TensorType> = types.iter().collect();
        self.infer(&types)?;
        let length = super::known(self, &[self.length.clone()].into())?[0];
        let body = specialise(&self.body, &self.step_types(&types)?)?;
        let (consts, rest) = inputs.split_at(self.consts);
        let (carries, xs) = rest.split_at(self.carries);
        let mut carries: Vec<Array> = carries.iter().map(|&x| x.clone()).collect();
        let mut ys: Vec<Vec<Array>> = vec![Vec::with_capacity(length); body.outputs().len() - self.carries];
        for step in 0..length {
            let t = if self.reverse { length - 1 - step } else { step };
            let slices: Vec<Array> = xs.iter().map(|x| row(x, t)).collect();
            let operands: Vec<&Array> = consts.iter().copied().chain(&carries).chain(&slices).collect();
            let mut outputs = evaluate(&body, &operands)?.into_iter();
            carries = outputs.by_ref().take(self.carries).collect();
            ys.iter_mut().zip(outputs).for_each(|(y, output)| y.push(output));
        }
        for (mut y, ty) in ys.into_iter().zip(&body.output_types()[self.carries..]) {
            if self.reverse {
                y.reverse();
            }
            carries.push(stack(ty.dtype, &super::known(self, &ty.shape)?, &y));
        }
        Ok(carries)
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        reverse::vjp(self, b, node, cotangents)
    }

    fn bind(&self, bindings: &Bindings) -> Result<Op> {
        let body = Arc::new(self.body.bind(bindings)?);
        Ok(Scan { body, length: self.length.bind(bindings), ..self.clone() }.into())
    }

    fn subgraphs(&self) -> Vec<(&'static str, &Arc<Graph>)> {
        vec![("body", &self.body)]
    }

    fn with_subgraphs(&self, graphs: Vec<Arc<Graph>>) -> Result<Op> {
        let [body] = subgraphs(self, graphs)?;
        Ok(Scan { body, ..self.clone() }.into())
    }
}

/// `x[t]`.
fn row(x: &Array, t: usize) -> Array {
    x.rows(t, t + 1).reshape(&x.shape()[1..]).expect("an axis of size 1 less")
}

/// Arrays of `shape` one after the other along a new first axis.
fn stack(dtype: DType, shape: &[usize], items: &[Array]) -> Array {
    fn join<T: Element>(items: &[Array]) -> Vec<T> {
        items.iter().filter_map(Array::as_slice::<T>).flatten().copied().collect()
    }
    let shape: Vec<usize> = std::iter::once(items.len()).chain(shape.iter().copied()).collect();
    crate::with_element!(dtype, T => Array::new(shape, join::<T>(items)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(sample: &Sample) -> Vec<Array> {
        sample.op.eval(&sample.inputs.iter().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn carries_pass_from_step_to_step() {
        let samples = Scan::samples();
        let out = eval(&samples[2])[0].to_f64_vec();
        assert_eq!(out, [0.1f64.powi(2).powi(2), 0.3f64.powi(2).powi(2)]);
        assert_eq!(eval(&samples[3])[0], samples[3].inputs[0]);
    }

    #[test]
    fn reversed_steps_leave_ys_at_their_slices() {
        let samples = Scan::samples();
        let (forward, backward) = (eval(&samples[0]), eval(&samples[1]));
        assert_eq!((forward[1].to_f64_vec(), backward[1].to_f64_vec()), (vec![8.0], vec![8.0]));
        // The first step taken divides by 6, the last by 8: at opposite ends.
        let first = |out: &[Array], t: usize, h: [f64; 2], x: [f64; 2]| {
            let next = (x[0] + 0.3 * h[0] - 0.2 * h[1]).tanh();
            assert!((out[2].to_f64_vec()[2 * t] - h[0] * next / 6.0).abs() < 1e-15);
        };
        first(&forward, 0, [0.1, -0.3], [0.2, 0.7]);
        first(&backward, 2, [0.1, -0.3], [0.6, -0.5]);
    }

    #[test]
    fn slices_must_be_as_many_as_steps() {
        let sample = &Scan::samples()[0];
        let mut types: Vec<TensorType> = sample.inputs.iter().map(type_of).collect();
        types[3] = TensorType::new(DType::F64, [4, 2]);
        let error = sample.op.infer(&types.iter().collect::<Vec<_>>()).unwrap_err();
        assert!(matches!(error, Error::Shape(_)));
        assert!(sample.op.infer(&[&types[0]]).is_err());
    }
}
