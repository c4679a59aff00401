//! `convolution`: n-dimensional, with strides, padding, both dilations and groups.

use serde::{Deserialize, Serialize};

use super::dot_general::sum_of_products;
use super::window::{self, Sliding};
use super::{Applied, Op, Primitive, Reverse, Sample, checked, operands, places};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, Dim, Shape, TensorType};

/// Which axis is which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConvDims {
    /// The batch axis of the left operand (the images).
    pub lhs_batch: usize,
    /// Its feature axis.
    pub lhs_feature: usize,
    /// Its spatial axes.
    pub lhs_spatial: Vec<usize>,
    /// The input-feature axis of the right operand (the kernel).
    pub rhs_input: usize,
    /// Its output-feature axis.
    pub rhs_output: usize,
    /// Its spatial axes.
    pub rhs_spatial: Vec<usize>,
    /// The batch axis of the result.
    pub out_batch: usize,
    /// Its feature axis.
    pub out_feature: usize,
    /// Its spatial axes.
    pub out_spatial: Vec<usize>,
}

impl ConvDims {
    /// Channels last, kernels as `(spatial…, input, output)`: Keras's default.
    pub fn channels_last(spatial: usize) -> ConvDims {
        ConvDims {
            lhs_batch: 0,
            lhs_feature: spatial + 1,
            lhs_spatial: (1..=spatial).collect(),
            rhs_input: spatial,
            rhs_output: spatial + 1,
            rhs_spatial: (0..spatial).collect(),
            out_batch: 0,
            out_feature: spatial + 1,
            out_spatial: (1..=spatial).collect(),
        }
    }
}

/// StableHLO's `convolution` (cross-correlation: the kernel is not flipped). NHWC with HWIO kernels is
/// `ConvDims { lhs: 0, n-1, 1.., rhs: n-2, n-1, 0.., out: 0, n-1, 1.. }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Convolution {
    /// Which axis is which.
    pub dims: ConvDims,
    /// Steps of the window, one a spatial axis.
    pub strides: Vec<usize>,
    /// Padding before and after; negative removes.
    pub padding: Vec<(i64, i64)>,
    /// 1 + zeros between neighbouring elements of the left operand.
    pub lhs_dilation: Vec<usize>,
    /// 1 + zeros between neighbouring elements of the kernel.
    pub rhs_dilation: Vec<usize>,
    /// Features are split into this many groups that do not see each other.
    pub feature_groups: usize,
    /// The batch is split into this many groups, each with its own output features.
    pub batch_groups: usize,
}

impl Convolution {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let floats = |shape: &[usize], seed: usize| {
            let n = shape.iter().product::<usize>();
            Array::new(shape, (0..n).map(|i| ((i * 11 + seed) % 17) as f64 * 0.2 - 1.5).collect::<Vec<f64>>())
        };
        let line = Convolution {
            dims: ConvDims::channels_last(1),
            strides: vec![1],
            padding: vec![(0, 0)],
            lhs_dilation: vec![1],
            rhs_dilation: vec![1],
            feature_groups: 1,
            batch_groups: 1,
        };
        let plane = Convolution {
            dims: ConvDims::channels_last(2),
            strides: vec![2, 1],
            padding: vec![(1, 1), (0, 2)],
            lhs_dilation: vec![1, 1],
            rhs_dilation: vec![1, 2],
            ..line.clone()
        };
        let first = ConvDims {
            lhs_batch: 1,
            lhs_feature: 0,
            lhs_spatial: vec![3, 2],
            rhs_input: 2,
            rhs_output: 0,
            rhs_spatial: vec![1, 3],
            out_batch: 2,
            out_feature: 1,
            out_spatial: vec![0, 3],
        };
        let odd = Convolution {
            dims: first,
            strides: vec![2, 3],
            padding: vec![(2, 1), (-1, 3)],
            lhs_dilation: vec![2, 1],
            rhs_dilation: vec![1, 2],
            ..plane.clone()
        };
        let integers = Array::new([1, 4, 1], vec![100i8, 2, -3, 4]);
        vec![
            Sample::new(line.clone(), [floats(&[2, 5, 3], 0), floats(&[3, 3, 2], 4)]),
            // The last two elements of the padded line are in no window.
            Sample::new(
                Convolution { strides: vec![3], padding: vec![(1, 2)], ..line.clone() },
                [floats(&[2, 7, 2], 1), floats(&[2, 2, 3], 3)],
            ),
            Sample::new(plane.clone(), [floats(&[1, 4, 5, 2], 2), floats(&[3, 2, 2, 3], 1)]),
            Sample::new(odd, [floats(&[2, 2, 6, 3], 5), floats(&[3, 2, 2, 2], 7)]),
            Sample::new(
                Convolution { feature_groups: 2, ..line.clone() },
                [floats(&[2, 4, 4], 6), floats(&[2, 2, 6], 2)],
            ),
            // Depthwise with a multiplier of 2.
            Sample::new(
                Convolution { feature_groups: 3, ..plane.clone() },
                [floats(&[1, 4, 4, 3], 3), floats(&[2, 2, 1, 6], 8)],
            ),
            Sample::new(
                Convolution { batch_groups: 2, ..line.clone() },
                [floats(&[4, 4, 3], 9), floats(&[2, 3, 4], 5)],
            ),
            Sample::new(line, [integers, Array::new([2, 1, 1], vec![3i8, -1])]),
        ]
    }

    /// The sliding along the spatial axes over kernels of shape `rhs`.
    fn axes(&self, rhs: &Shape) -> Vec<Sliding> {
        let axis = |a: usize| Sliding {
            size: rhs[self.dims.rhs_spatial[a]].clone(),
            stride: self.strides[a],
            padding: self.padding[a],
            base_dilation: self.lhs_dilation[a],
            window_dilation: self.rhs_dilation[a],
        };
        (0..self.strides.len()).map(axis).collect()
    }

    /// Checks the attributes against operands of `rank`.
    fn check(&self, lhs: &TensorType, rhs: &TensorType) -> Result<()> {
        let (d, n) = (&self.dims, self.strides.len());
        let lengths = [self.padding.len(), self.lhs_dilation.len(), self.rhs_dilation.len()];
        let spatial = [d.lhs_spatial.len(), d.rhs_spatial.len(), d.out_spatial.len()];
        if lengths.iter().chain(&spatial).any(|&len| len != n) || lhs.rank() != n + 2 || rhs.rank() != n + 2 {
            return Err(Error::argument(
                self.name(),
                format!("{n} strides, other attributes of {lengths:?} and {spatial:?} entries, for {lhs} and {rhs}"),
                "give one entry a spatial axis and operands with two axes more",
            ));
        }
        checked::axes(self, "left axes", &[&[d.lhs_batch, d.lhs_feature][..], &d.lhs_spatial].concat(), n + 2)?;
        checked::axes(self, "kernel axes", &[&[d.rhs_input, d.rhs_output][..], &d.rhs_spatial].concat(), n + 2)?;
        checked::axes(self, "result axes", &[&[d.out_batch, d.out_feature][..], &d.out_spatial].concat(), n + 2)?;
        let (f, g) = (self.feature_groups, self.batch_groups);
        if f == 0 || g == 0 || (f > 1 && g > 1) {
            let what = format!("{f} feature groups and {g} batch groups");
            return Err(Error::argument(self.name(), what, "give positive numbers, at most one of them above 1"));
        }
        let divides = |dim: &Dim, groups: usize| dim.known().is_none_or(|n| n % groups == 0);
        let (batch, features, outputs) = (&lhs.shape[d.lhs_batch], &lhs.shape[d.lhs_feature], &rhs.shape[d.rhs_output]);
        if !(features.clone() / Dim::Known(f)).compatible(&rhs.shape[d.rhs_input]) || !divides(features, f) {
            return Err(Error::shape(
                self.name(),
                format!(
                    "{features} features of {lhs} in {f} groups do not fit {} of the kernel {rhs}",
                    rhs.shape[d.rhs_input]
                ),
                "make the kernel's input features the features of a group",
            ));
        }
        if !divides(outputs, f * g) || !divides(batch, g) {
            return Err(Error::shape(
                self.name(),
                format!("{outputs} output features of {rhs} or the batch of {lhs} do not divide into {} groups", f * g),
                "make them multiples of the number of groups",
            ));
        }
        Ok(())
    }

    /// The gradient of the images: the cotangents, dilated by the strides, convolved with the reversed kernel whose
    /// input and output features have changed places, group by group.
    fn lhs_gradient(&self, b: &mut Builder, lhs: &Shape, rhs: Value, dy: Value) -> Option<Value> {
        let (d, groups) = (&self.dims, self.feature_groups * self.batch_groups);
        let axes: Vec<Sliding> = self.axes(&b.shape(rhs));
        let axes =
            axes.iter().zip(&d.lhs_spatial).map(|(axis, &a)| axis.transposed(&lhs[a])).collect::<Option<Vec<_>>>()?;
        let mut kernel = rhs;
        if groups > 1 {
            // Output features (group, o) and input features i become output features (group, i) of input features o.
            kernel = split_and_move(b, kernel, d.rhs_output, d.rhs_input, groups);
        }
        let kernel =
            if d.rhs_spatial.is_empty() { kernel } else { b.push(Reverse { axes: d.rhs_spatial.clone() }, &[kernel]) };
        let back = Convolution {
            dims: ConvDims {
                lhs_batch: d.out_batch,
                lhs_feature: d.out_feature,
                lhs_spatial: d.out_spatial.clone(),
                rhs_input: d.rhs_output,
                rhs_output: d.rhs_input,
                rhs_spatial: d.rhs_spatial.clone(),
                out_batch: d.lhs_batch,
                out_feature: d.lhs_feature,
                out_spatial: d.lhs_spatial.clone(),
            },
            strides: self.lhs_dilation.clone(),
            padding: axes.iter().map(|axis| axis.padding).collect(),
            lhs_dilation: self.strides.clone(),
            rhs_dilation: self.rhs_dilation.clone(),
            feature_groups: groups,
            batch_groups: 1,
        };
        let mut dx = b.push(back, &[dy, kernel]);
        if self.batch_groups > 1 {
            // Of features (group, i), the group belongs to the batch.
            dx = split_and_move(b, dx, d.lhs_feature, d.lhs_batch, groups);
        }
        Some(window::first(b, dx, lhs))
    }

    /// The gradient of the kernel: the images convolved with the cotangents, features of either as batches of the
    /// other; feature groups of the one are batch groups of the other.
    fn rhs_gradient(&self, b: &mut Builder, lhs: Value, rhs: &Shape, dy: Value) -> Value {
        let d = &self.dims;
        let shape = b.shape(lhs);
        // What no window covers would widen the result; of symbolic sizes it does, and is cut off after.
        let padding =
            |(axis, &a): (&Sliding, &usize)| (axis.padding.0, axis.padding.1 - axis.remainder(&shape[a]).unwrap_or(0));
        let back = Convolution {
            dims: ConvDims {
                lhs_batch: d.lhs_feature,
                lhs_feature: d.lhs_batch,
                lhs_spatial: d.lhs_spatial.clone(),
                rhs_input: d.out_batch,
                rhs_output: d.out_feature,
                rhs_spatial: d.out_spatial.clone(),
                out_batch: d.rhs_input,
                out_feature: d.rhs_output,
                out_spatial: d.rhs_spatial.clone(),
            },
            strides: self.rhs_dilation.clone(),
            padding: self.axes(rhs).iter().zip(&d.lhs_spatial).map(padding).collect(),
            lhs_dilation: self.lhs_dilation.clone(),
            rhs_dilation: self.strides.clone(),
            feature_groups: self.batch_groups,
            batch_groups: self.feature_groups,
        };
        let dk = b.push(back, &[lhs, dy]);
        window::first(b, dk, rhs)
    }
}

/// Splits axis `from` into `groups` and the rest, and moves the groups to axis `to` as its outer part.
fn split_and_move(b: &mut Builder, x: Value, from: usize, to: usize, groups: usize) -> Value {
    let shape = b.shape(x);
    let mut split = shape.clone().into_vec();
    split[from] = shape[from].clone() / Dim::Known(groups);
    let rest = split[from].clone();
    split.insert(from, Dim::Known(groups));
    let mut permutation = Vec::new();
    let mut merged = shape.clone();
    for a in 0..shape.rank() {
        if a == to {
            permutation.push(from);
        }
        permutation.push(if a < from { a } else { a + 1 });
    }
    merged[from] = rest;
    merged[to] = shape[to].clone() * Dim::Known(groups);
    let x = b.reshape(x, split);
    let x = b.transpose(x, &permutation);
    b.reshape(x, merged)
}

impl Primitive for Convolution {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [lhs, rhs] = operands(self, inputs)?;
        checked::same_dtype(self, lhs, rhs)?;
        checked::number(self, lhs)?;
        self.check(lhs, rhs)?;
        let (d, axes) = (&self.dims, self.axes(&rhs.shape));
        axes.iter().try_for_each(|axis| axis.check(self))?;
        let mut shape = Shape::from(vec![0usize; lhs.rank()]);
        shape[d.out_batch] = lhs.shape[d.lhs_batch].clone() / Dim::Known(self.batch_groups);
        shape[d.out_feature] = rhs.shape[d.rhs_output].clone();
        for (k, axis) in axes.iter().enumerate() {
            shape[d.out_spatial[k]] = axis.count(&lhs.shape[d.lhs_spatial[k]]);
        }
        Ok(vec![lhs.with_shape(shape)])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        fn convolve<T: Element>(op: &Convolution, lhs: &Array, rhs: &Array, to: &[usize]) -> Array {
            let (x, k, d) = (checked::values::<T>(lhs), checked::values::<T>(rhs), &op.dims);
            let axes = op.axes(&rhs.shape().into());
            let features = rhs.shape()[d.rhs_input];
            let batch = to[d.out_batch];
            let of_group = |o: usize, groups: usize| o * groups / to[d.out_feature];
            let window: Vec<usize> = d.rhs_spatial.iter().map(|&a| rhs.shape()[a]).collect();
            let window: Vec<Vec<usize>> = super::indices(&window).collect();
            let out = super::indices(to).map(|index| {
                let (mut l, mut r) = (vec![0; lhs.rank()], vec![0; rhs.rank()]);
                let o = index[d.out_feature];
                l[d.lhs_batch] = of_group(o, op.batch_groups) * batch + index[d.out_batch];
                r[d.rhs_output] = o;
                let first = of_group(o, op.feature_groups) * features;
                let mut pairs = Vec::new();
                for element in &window {
                    let inside = element.iter().enumerate().all(|(s, &k)| {
                        let a = d.lhs_spatial[s];
                        r[d.rhs_spatial[s]] = k;
                        let at = axes[s].element(lhs.shape()[a], index[d.out_spatial[s]], k);
                        l[a] = at.unwrap_or(0);
                        at.is_some()
                    });
                    for c in 0..if inside { features } else { 0 } {
                        (l[d.lhs_feature], r[d.rhs_input]) = (first + c, c);
                        pairs.push((x[places::offset(lhs.shape(), &l)], k[places::offset(rhs.shape(), &r)]));
                    }
                }
                sum_of_products(pairs.into_iter())
            });
            Array::new(to, out.collect::<Vec<T>>())
        }
        let to = checked::shapes(self, inputs)?.remove(0);
        let (lhs, rhs) = (inputs[0], inputs[1]);
        Ok(vec![crate::with_element!(lhs.dtype(), T => convolve::<T>(self, lhs, rhs, &to))])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let [lhs, rhs] = *operands(self, &node.inputs)?;
        let Some(dy) = cotangents[0].filter(|_| b.dtype(lhs).is_float()) else { return Ok(vec![None, None]) };
        let empty = |v: Value| b.shape(v).iter().any(|d| d.is(0));
        if empty(lhs) || empty(rhs) || empty(dy) {
            return Ok(vec![None, None]);
        }
        let (lhs_shape, rhs_shape) = (b.shape(lhs), b.shape(rhs));
        let dx = if node.wanted[0] {
            let dx = self.lhs_gradient(b, &lhs_shape, rhs, dy);
            Some(dx.ok_or_else(|| {
                let what = format!("the gradient of the images for a kernel of the symbolic sizes {rhs_shape}");
                Error::unsupported(self.name(), what, "bind the kernel's spatial sizes to numbers")
            })?)
        } else {
            None
        };
        let dk = node.wanted[1].then(|| self.rhs_gradient(b, lhs, &rhs_shape, dy));
        Ok(vec![dx, dk])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}
