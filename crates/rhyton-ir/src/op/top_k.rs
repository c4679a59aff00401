//! `top_k`: the largest elements of the last axis and where they are.

use serde::{Deserialize, Serialize};

use super::sort::order;
use super::{Applied, Combine, Op, Primitive, Sample, Scatter, checked, operands, places};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, Dim, TensorType};

/// The `k` largest of the last axis in descending order, equals by ascending index, and their indices as `int32`.
/// NaN is largest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopK {
    /// How many, at most the size of the last axis.
    pub k: usize,
}

impl TopK {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let x = Array::new([2, 4], vec![0.5f64, -1.5, 2.0, 0.25, 3.0, 1.0, -2.0, 0.75]);
        let n = Array::new([5], vec![4i32, 9, -1, 9, 4]);
        vec![Sample::new(TopK { k: 2 }, [x.clone()]), Sample::new(TopK { k: 4 }, [x]), Sample::new(TopK { k: 3 }, [n])]
    }
}

impl Primitive for TopK {
    fn name(&self) -> &'static str {
        "top_k"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x] = operands(self, inputs)?;
        let Some(last) = x.shape.last() else {
            return Err(Error::shape(self.name(), format!("the operand {x} has no axis"), "give at least one"));
        };
        if last.known().is_some_and(|n| self.k > n) {
            let what = format!("k = {} of the last axis of {x}", self.k);
            return Err(Error::argument(self.name(), what, format!("ask for at most {last}")));
        }
        let mut shape = x.shape.clone();
        shape[x.rank() - 1] = Dim::Known(self.k);
        Ok(vec![x.with_shape(shape.clone()), TensorType::new(DType::I32, shape)])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        fn largest<T: Element>(x: &[T], shape: &[usize], k: usize, to: &[usize]) -> Vec<Array> {
            let (mut values, mut indices) = (Vec::new(), Vec::new());
            for line in places::lines(shape, shape.len() - 1) {
                let mut ranked: Vec<usize> = (0..line.len()).collect();
                ranked.sort_by(|&i, &j| order(x[line[j]], x[line[i]]));
                for &i in &ranked[..k] {
                    values.push(x[line[i]]);
                    indices.push(i as i32);
                }
            }
            vec![Array::new(to, values), Array::new(to, indices)]
        }
        let to = checked::shapes(self, inputs)?.remove(0);
        let x = inputs[0];
        Ok(crate::with_data!(x.data(), v => largest(v, x.shape(), self.k, &to)))
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let x = node.inputs[0];
        let ty = b.ty(x);
        let Some(dy) = cotangents[0].filter(|_| ty.dtype.is_float()) else { return Ok(vec![None]) };
        let zero = b.zeros_like(x);
        let scatter = Scatter::along_axis(ty.rank(), ty.rank() - 1, Combine::Add);
        Ok(vec![Some(b.push(scatter, &[zero, node.outputs[1], dy]))])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}
