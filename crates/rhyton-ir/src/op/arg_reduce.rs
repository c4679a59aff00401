//! `arg_reduce`: where the largest or smallest element is.

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, checked, operands, places};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

/// The index of the largest (`max`) or smallest element along `axis`, the first of equals, as `int32`; NaN wins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArgReduce {
    /// Largest if true, else smallest.
    pub max: bool,
    /// The axis, which the result lacks.
    pub axis: usize,
}

impl ArgReduce {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let x = Array::new([2, 3], vec![1.0f64, 3.0, 3.0, -1.0, f64::NAN, 5.0]);
        let n = Array::new([3, 2], vec![4i32, -2, 9, -2, 1, 0]);
        let mut samples = Vec::new();
        for max in [true, false] {
            samples.push(Sample::new(ArgReduce { max, axis: 1 }, [x.clone()]));
            samples.push(Sample::new(ArgReduce { max, axis: 0 }, [n.clone()]));
        }
        samples
    }
}

/// Whether `candidate` takes the place of an earlier `best`: it is larger (`max`) or smaller, or the first NaN.
pub(super) fn beats<T: Element>(max: bool, candidate: T, best: T) -> bool {
    let nan = |v: T| v.partial_cmp(&v).is_none();
    !nan(best) && (nan(candidate) || if max { candidate > best } else { candidate < best })
}

impl Primitive for ArgReduce {
    fn name(&self) -> &'static str {
        "arg_reduce"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x] = operands(self, inputs)?;
        checked::axis(self, x, self.axis)?;
        if x.shape[self.axis].is(0) {
            return Err(Error::shape(
                self.name(),
                format!("axis {} of {x} is empty", self.axis),
                "give at least one element along it",
            ));
        }
        let mut shape = x.shape.clone().into_vec();
        shape.remove(self.axis);
        Ok(vec![TensorType::new(DType::I32, shape)])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        fn search<T: Element>(op: &ArgReduce, x: &[T], from: &[usize], to: &[usize]) -> Array {
            let first = |line: Vec<usize>| {
                (1..line.len()).fold(0, |best, k| if beats(op.max, x[line[k]], x[line[best]]) { k } else { best })
                    as i32
            };
            Array::new(to, places::lines(from, op.axis).map(first).collect::<Vec<i32>>())
        }
        let to = checked::shapes(self, inputs)?.remove(0);
        let x = inputs[0];
        Ok(vec![crate::with_data!(x.data(), v => search(self, v, x.shape(), &to))])
    }

    fn vjp(&self, _: &mut Builder, _: &Applied, _: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}
