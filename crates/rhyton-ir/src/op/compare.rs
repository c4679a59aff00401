//! `compare`: elementwise comparison.

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, operands};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

/// The relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// `x = y`.
    Eq,
    /// `x ≠ y`; true if either is NaN.
    Ne,
    /// `x < y`.
    Lt,
    /// `x ≤ y`.
    Le,
    /// `x > y`.
    Gt,
    /// `x ≥ y`.
    Ge,
}

/// `x <relation> y` as `bool`; NaN is unequal to everything and unordered. `false < true`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compare {
    /// The relation.
    pub direction: Direction,
}

impl Direction {
    /// All relations.
    pub const ALL: [Direction; 6] =
        [Direction::Eq, Direction::Ne, Direction::Lt, Direction::Le, Direction::Gt, Direction::Ge];

    /// Whether it holds between two elements.
    pub fn holds<T: PartialOrd>(self, x: T, y: T) -> bool {
        match self {
            Direction::Eq => x == y,
            Direction::Ne => x != y,
            Direction::Lt => x < y,
            Direction::Le => x <= y,
            Direction::Gt => x > y,
            Direction::Ge => x >= y,
        }
    }
}

impl Compare {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let operands = [
            [Array::new([4], vec![1.0f32, 2.0, 3.0, f32::NAN]), Array::new([4], vec![2.0f32, 2.0, 1.0, f32::NAN])],
            [Array::new([3], vec![i64::MAX - 1, -1, 5]), Array::new([3], vec![i64::MAX, 1, 5])],
            [Array::new([2, 2], vec![false, false, true, true]), Array::new([2, 2], vec![false, true, false, true])],
            [Array::scalar(u8::MAX), Array::scalar(1u8)],
            [Array::new([0, 2], Vec::<f64>::new()), Array::new([0, 2], Vec::<f64>::new())],
        ];
        let each = |direction| operands.clone().map(|inputs| Sample::new(Compare { direction }, inputs));
        Direction::ALL.into_iter().flat_map(each).collect()
    }
}

impl Primitive for Compare {
    fn name(&self) -> &'static str {
        "compare"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x, y] = operands(self, inputs)?;
        Ok(vec![super::binary::common_type(self, x, y)?.with_dtype(DType::Bool)])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        fn compare<T: Element>(x: &[T], y: &[T], direction: Direction) -> Vec<bool> {
            x.iter().zip(y).map(|(&x, &y)| direction.holds(x, y)).collect()
        }
        let [x, y] = operands(self, inputs)?;
        let shape = super::binary::result_shape(self, inputs)?;
        let values = crate::with_data!(x.data(), v => compare(v, super::binary::typed(self, y)?, self.direction));
        Ok(vec![Array::new(shape, values)])
    }

    fn vjp(&self, _: &mut Builder, _: &Applied, _: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None, None])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}
