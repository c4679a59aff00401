//! `convolution`: n-dimensional, with strides, padding, both dilations and groups.

use serde::{Deserialize, Serialize};

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
