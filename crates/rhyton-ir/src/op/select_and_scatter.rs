//! `select_and_scatter`: the gradient of windowed max and min.

use serde::{Deserialize, Serialize};

use super::arg_reduce::beats;
use super::window::{self, Sliding};
use super::{Applied, BinaryKind, Direction, Op, Primitive, Sample, UnaryKind, checked, operands};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, Dim, Shape, TensorType};

/// Operands: `x` and `source` (one value a window). Adds each source value to the element of its window that is largest
/// (`max`) or smallest, the first in row-major order among equals; elsewhere 0. NaN wins. Output: the type of `x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelectAndScatter {
    /// Largest if true, else smallest.
    pub max: bool,
    /// Window sizes, one an axis.
    pub window: Vec<usize>,
    /// Steps.
    pub strides: Vec<usize>,
    /// Padding before and after; never selected.
    pub padding: Vec<(i64, i64)>,
    /// Distance of neighbouring elements of the window.
    pub window_dilation: Vec<usize>,
}

impl SelectAndScatter {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let x = Array::new([2, 6], vec![0.5f64, -1.5, 2.0, 0.25, -0.75, 1.25, 3.0, -2.0, 1.75, 0.6, -0.4, 1.1]);
        let mut samples = Vec::new();
        for max in [true, false] {
            let plain = SelectAndScatter {
                max,
                window: vec![1, 2],
                strides: vec![1, 2],
                padding: vec![(0, 0); 2],
                window_dilation: vec![1, 1],
            };
            let overlapping = SelectAndScatter {
                window: vec![2, 3],
                strides: vec![1, 1],
                padding: vec![(1, 0), (1, 1)],
                ..plain.clone()
            };
            let source = Array::new([2, 6], (0..12).map(|i| f64::from(i) * 0.4 - 2.1).collect::<Vec<f64>>());
            let halves = Array::new([2, 3], vec![0.3f64, -0.8, 1.5, 2.0, -1.1, 0.9]);
            samples.push(Sample::new(plain, [x.clone(), halves]));
            samples.push(Sample::new(overlapping, [x.clone(), source]));
        }
        samples
    }

    fn axes(&self) -> Vec<Sliding> {
        let axis = |a: usize| Sliding {
            size: Dim::Known(self.window[a]),
            stride: self.strides[a],
            padding: self.padding[a],
            base_dilation: 1,
            window_dilation: self.window_dilation[a],
        };
        (0..self.window.len()).map(axis).collect()
    }
}

impl Primitive for SelectAndScatter {
    fn name(&self) -> &'static str {
        "select_and_scatter"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x, source] = operands(self, inputs)?;
        checked::number(self, x)?;
        checked::same_dtype(self, x, source)?;
        let lengths = [self.strides.len(), self.padding.len(), self.window_dilation.len()];
        if self.window.len() != x.rank() || lengths.iter().any(|&n| n != x.rank()) || self.window.contains(&0) {
            let what = format!("window {:?} with attributes of {lengths:?} entries for {x}", self.window);
            return Err(Error::argument(self.name(), what, "give one entry an axis, and no window of size 0"));
        }
        let axes = self.axes();
        axes.iter().try_for_each(|axis| axis.check(self))?;
        let windows: Shape = x.shape.iter().zip(&axes).map(|(d, axis)| axis.count(d)).collect();
        if !windows.compatible(&source.shape) {
            let what = format!("the source {source} for the windows {windows} of {x}");
            return Err(Error::shape(self.name(), what, "give one value a window"));
        }
        Ok(vec![(*x).clone()])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        fn send<T: Element>(op: &SelectAndScatter, x: &[T], shape: &[usize], source: &Array) -> Array {
            let (axes, mut sent) = (op.axes(), vec![Vec::new(); x.len()]);
            for (index, &value) in super::indices(source.shape()).zip(checked::values::<T>(source)) {
                let covered = window::places(&axes, &op.window, shape, &index).into_iter();
                let selected = covered.reduce(|best, at| if beats(op.max, x[at], x[best]) { at } else { best });
                if let Some(at) = selected {
                    sent[at].push(value);
                }
            }
            let sum = |values: Vec<T>| super::ReduceKind::Sum.fold(values.into_iter());
            Array::new(shape, sent.into_iter().map(sum).collect::<Vec<T>>())
        }
        checked::shapes(self, inputs)?;
        let (x, source) = (inputs[0], inputs[1]);
        Ok(vec![crate::with_data!(x.data(), v => send(self, v, x.shape(), source))])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let (x, source) = (node.inputs[0], node.inputs[1]);
        let ty = b.ty(x);
        let Some(dy) = cotangents[0].filter(|_| ty.dtype.is_float()) else { return Ok(vec![None, None]) };
        // The choice does not move with x. The source's cotangent is the one at the selected place: walk through the
        // window, in all windows at once, and keep the cotangent of the best element so far.
        let (axes, counts) = (self.axes(), b.shape(source));
        let zero = b.scalar(ty.dtype, 0.0);
        let outside = b.constant(Array::scalar(false));
        let everywhere = b.full(&ty.with_dtype(DType::Bool), 1.0);
        let x = window::padded(b, &axes, x, zero);
        let dy = window::padded(b, &axes, dy, zero);
        let valid = window::padded(b, &axes, everywhere, outside);
        let mut best: Option<[Value; 3]> = None;
        for element in super::indices(&self.window) {
            let [value, cotangent, valid] =
                [x, dy, valid].map(|v| window::element_values(b, &axes, v, &counts, &element));
            best = Some(match best {
                None => [value, cotangent, valid],
                Some([held, kept, found]) => {
                    // Not "held >= value": a NaN takes the place of any number; and once held it stays.
                    let stays = b.compare(if self.max { Direction::Ge } else { Direction::Le }, held, value);
                    let beaten = b.unary(UnaryKind::Not, stays);
                    let number = b.compare(Direction::Eq, held, held);
                    let beaten = b.binary(BinaryKind::And, beaten, number);
                    let missing = b.unary(UnaryKind::Not, found);
                    let takes = b.binary(BinaryKind::Or, beaten, missing);
                    let takes = b.binary(BinaryKind::And, takes, valid);
                    [
                        b.select(takes, value, held),
                        b.select(takes, cotangent, kept),
                        b.binary(BinaryKind::Or, found, valid),
                    ]
                }
            });
        }
        Ok(vec![None, best.map(|[_, cotangent, _]| cotangent)])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}
