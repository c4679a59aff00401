//! `reduce_window`: reductions over sliding windows.

use serde::{Deserialize, Serialize};

use super::window::{self, Sliding};
use super::{Applied, Op, Primitive, ReduceKind, Sample, SelectAndScatter, checked, operands};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, Dim, Shape, TensorType};

/// Reduces each window with `kind`; padding holds the reduction's value of nothing. All vectors have one entry an axis.
/// The gradient of an extreme goes to the first of equal elements of the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReduceWindow {
    /// `Sum`, `Max`, `Min` or `Prod`.
    pub kind: ReduceKind,
    /// Window sizes.
    pub window: Vec<usize>,
    /// Steps.
    pub strides: Vec<usize>,
    /// Padding before and after.
    pub padding: Vec<(i64, i64)>,
    /// 1 + zeros between neighbouring elements of the operand (as `base_dilation` of StableHLO).
    pub base_dilation: Vec<usize>,
    /// Distance of neighbouring elements of the window.
    pub window_dilation: Vec<usize>,
}

impl ReduceWindow {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let x = Array::new([2, 6], vec![0.5f64, -1.5, 2.0, 0.25, -0.75, 1.25, 3.0, -2.0, 1.75, 0.6, -0.4, 1.1]);
        let n = Array::new([5], vec![7i32, -3, 5, 11, 2]);
        let mut samples = Vec::new();
        for kind in [ReduceKind::Sum, ReduceKind::Prod, ReduceKind::Max, ReduceKind::Min] {
            let plain = ReduceWindow {
                kind,
                window: vec![1, 2],
                strides: vec![1, 2],
                padding: vec![(0, 0); 2],
                base_dilation: vec![1, 1],
                window_dilation: vec![1, 1],
            };
            // The last column of the padded operand is in no window.
            let strided = ReduceWindow {
                window: vec![2, 3],
                strides: vec![1, 3],
                padding: vec![(1, 0), (1, 1)],
                ..plain.clone()
            };
            let dilated = ReduceWindow { window_dilation: vec![1, 2], strides: vec![1, 1], ..strided.clone() };
            let base = ReduceWindow { base_dilation: vec![2, 3], padding: vec![(0, 1), (-1, 2)], ..strided.clone() };
            let cropped = ReduceWindow { padding: vec![(0, 0), (1, -2)], strides: vec![2, 2], ..plain.clone() };
            let line = ReduceWindow {
                kind,
                window: vec![3],
                strides: vec![1],
                padding: vec![(1, 1)],
                base_dilation: vec![1],
                window_dilation: vec![1],
            };
            for op in [plain, strided, dilated, base, cropped] {
                samples.push(Sample::new(op, [x.clone()]));
            }
            samples.push(Sample::new(line, [n.clone()]));
        }
        samples
    }

    fn axes(&self) -> Vec<Sliding> {
        let axis = |a: usize| Sliding {
            size: Dim::Known(self.window[a]),
            stride: self.strides[a],
            padding: self.padding[a],
            base_dilation: self.base_dilation[a],
            window_dilation: self.window_dilation[a],
        };
        (0..self.window.len()).map(axis).collect()
    }

    /// Every element's gradient is the sum over the windows that cover it.
    fn sum_gradient(&self, b: &mut Builder, shape: &Shape, dy: Value) -> Option<Value> {
        let axes = self.axes();
        let axes: Vec<Sliding> =
            axes.iter().zip(shape.iter()).map(|(axis, d)| axis.transposed(d)).collect::<Option<_>>()?;
        let back = ReduceWindow {
            kind: ReduceKind::Sum,
            window: self.window.clone(),
            strides: axes.iter().map(|a| a.stride).collect(),
            padding: axes.iter().map(|a| a.padding).collect(),
            base_dilation: axes.iter().map(|a| a.base_dilation).collect(),
            window_dilation: self.window_dilation.clone(),
        };
        let dx = b.push(back, &[dy]);
        Some(window::first(b, dx, shape))
    }

    /// For each element of the window, in all windows at once: the cotangent times the product of the other elements.
    fn product_gradient(&self, b: &mut Builder, x: Value, dy: Value) -> Value {
        let (axes, ty, counts) = (self.axes(), b.ty(x), b.shape(dy));
        let one = b.scalar(ty.dtype, 1.0);
        let line = window::padded(b, &axes, x, one);
        let elements: Vec<Vec<usize>> = super::indices(&self.window).collect();
        let values: Vec<Value> = elements.iter().map(|e| window::element_values(b, &axes, line, &counts, e)).collect();
        let mut before = vec![dy];
        for &value in &values[..values.len() - 1] {
            let product = b.mul(before[before.len() - 1], value);
            before.push(product);
        }
        let (mut after, mut sum) = (None, None);
        for (k, element) in elements.iter().enumerate().rev() {
            let gradient = after.map_or(before[k], |after| b.mul(before[k], after));
            let placed = window::element_places(b, &axes, gradient, element, &self.window);
            sum = Some(sum.map_or(placed, |sum| b.add(sum, placed)));
            after = Some(after.map_or(values[k], |after| b.mul(after, values[k])));
        }
        let sum = sum.unwrap_or(dy);
        window::unpadded(b, &axes, sum, &ty.shape)
    }

    /// Sends each cotangent to the element that its window selected. Dilation of the operand becomes padding first.
    fn extreme_gradient(&self, b: &mut Builder, x: Value, dy: Value) -> Value {
        let shape = b.shape(x);
        let between: Vec<Sliding> = self.axes().into_iter().map(|axis| Sliding { padding: (0, 0), ..axis }).collect();
        let max = self.kind == ReduceKind::Max;
        let fill = b.scalar(b.dtype(x), if max { f64::NEG_INFINITY } else { f64::INFINITY });
        let spread = window::padded(b, &between, x, fill);
        let select = SelectAndScatter {
            max,
            window: self.window.clone(),
            strides: self.strides.clone(),
            padding: self.padding.clone(),
            window_dilation: self.window_dilation.clone(),
        };
        let dx = b.push(select, &[spread, dy]);
        if spread == x { dx } else { window::unpadded(b, &between, dx, &shape) }
    }
}

impl Primitive for ReduceWindow {
    fn name(&self) -> &'static str {
        "reduce_window"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x] = operands(self, inputs)?;
        if matches!(self.kind, ReduceKind::And | ReduceKind::Or) {
            let what = format!("the windowed reduction {:?}", self.kind);
            return Err(Error::argument(self.name(), what, "use Sum, Prod, Max or Min"));
        }
        checked::number(self, x)?;
        let lengths = [self.strides.len(), self.padding.len(), self.base_dilation.len(), self.window_dilation.len()];
        if self.window.len() != x.rank() || lengths.iter().any(|&n| n != x.rank()) || self.window.contains(&0) {
            let what = format!("window {:?} with attributes of {lengths:?} entries for {x}", self.window);
            return Err(Error::argument(self.name(), what, "give one entry an axis, and no window of size 0"));
        }
        let axes = self.axes();
        axes.iter().try_for_each(|axis| axis.check(self))?;
        Ok(vec![x.with_shape(x.shape.iter().zip(&axes).map(|(d, axis)| axis.count(d)).collect::<Shape>())])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        fn reduce<T: Element>(op: &ReduceWindow, x: &[T], from: &[usize], to: &[usize]) -> Array {
            let axes = op.axes();
            let out = super::indices(to)
                .map(|index| op.kind.fold(window::places(&axes, &op.window, from, &index).into_iter().map(|at| x[at])));
            Array::new(to, out.collect::<Vec<T>>())
        }
        let to = checked::shapes(self, inputs)?.remove(0);
        let x = inputs[0];
        Ok(vec![crate::with_data!(x.data(), v => reduce(self, v, x.shape(), &to))])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let x = node.inputs[0];
        let ty = b.ty(x);
        let Some(dy) = cotangents[0].filter(|_| ty.dtype.is_float()) else { return Ok(vec![None]) };
        if b.shape(dy).iter().any(|d| d.is(0)) {
            return Ok(vec![None]);
        }
        Ok(vec![match self.kind {
            ReduceKind::Max | ReduceKind::Min => Some(self.extreme_gradient(b, x, dy)),
            ReduceKind::Prod => Some(self.product_gradient(b, x, dy)),
            ReduceKind::Sum | ReduceKind::And | ReduceKind::Or => self.sum_gradient(b, &ty.shape, dy),
        }])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}
