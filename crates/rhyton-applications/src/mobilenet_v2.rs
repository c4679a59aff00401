//! `MobileNetV2`: inverted residuals with linear bottlenecks.
//!
//! # References
//! Sandler et al., 2018, <https://arxiv.org/abs/1801.04381>.

use rhyton_core::layers::{
    Add, BatchNormalization, Call, Conv2D, DataFormat, DepthwiseConv2D, GlobalAveragePooling2D, Padding, ReLU,
    ZeroPadding2D,
};
use rhyton_core::model::Model;
use rhyton_core::{Error, Result, Tensor};

use crate::Weights;
use crate::application::application;
use crate::arguments::Arguments;
use crate::imagenet_utils::{self, Mode, correct_pad};

pub use crate::imagenet_utils::decode_predictions;

application! {
    /// MobileNetV2, for images of 224 × 224 unless said, at least 32 × 32; see [`preprocess_input`].
    ///
    /// # Shapes
    /// `(batch, height, width, channels)` gives `(batch, classes)`; without top `(batch, ⌈height/32⌉, ⌈width/32⌉, features)`,
    /// or `(batch, features)` if pooled, with 1280 features (times `alpha` if that is above 1).
    MobileNetV2 {
        /// The factor of all numbers of filters; 1 unless said.
        alpha: f64 = 1.0,
    }
    network: |a| network(&a.arguments, a.alpha), preprocess_input: preprocess_input
}

/// The sizes for which there are weights trained on ImageNet.
const SIZES: [usize; 5] = [96, 128, 160, 192, 224];
/// The factors for which there are weights trained on ImageNet.
const ALPHAS: [f64; 6] = [0.35, 0.5, 0.75, 1.0, 1.3, 1.4];

/// Filters, stride and number of each stage of blocks.
const STAGES: [(usize, usize, usize); 7] =
    [(16, 1, 1), (24, 2, 2), (32, 2, 3), (64, 2, 4), (96, 1, 3), (160, 2, 3), (320, 1, 1)];
/// By how much a block widens its input.
const EXPANSION: usize = 6;

/// Pixels from 0 to 255 brought to −1 to 1.
pub fn preprocess_input(x: &Tensor) -> Tensor {
    imagenet_utils::preprocess_input(x, DataFormat::ChannelsLast, Mode::Tf)
}

fn network(a: &Arguments, alpha: f64) -> Result<Model> {
    check(a, alpha)?;
    let size = default_size(a);
    let input = a.input(size, 32)?;
    let x = Conv2D::new(divisible(32.0 * alpha), 3).strides(2).padding(Padding::Same).use_bias(false).name("Conv1");
    let mut x = rectified(&normalized(&x.call(&input), "bn_Conv1"), "Conv1_relu");
    let mut block = 0;
    for (filters, stride, repeats) in STAGES {
        for i in 0..repeats {
            let filters = divisible((filters as f64 * alpha).trunc());
            x = inverted_residual(&x, filters, if i == 0 { stride } else { 1 }, block)?;
            block += 1;
        }
    }
    let last = if alpha > 1.0 { divisible(1280.0 * alpha) } else { 1280 };
    let x = Conv2D::new(last, 1).use_bias(false).name("Conv_1").call(&x);
    let x = rectified(&normalized(&x, "Conv_1_bn"), "out_relu");
    let output =
        if a.include_top { a.predictions()?.call(GlobalAveragePooling2D::new().call(&x)) } else { a.pooled(&x, None) };
    a.model(&input, output, &format!("mobilenetv2_{alpha:.2}_{}", named_size(a, size)))
}

fn check(a: &Arguments, alpha: f64) -> Result<()> {
    if !(alpha.is_finite() && alpha > 0.0) {
        return Err(Error::argument("alpha", format!("it is {alpha}"), "give a positive factor"));
    }
    if a.weights == Weights::ImageNet && !ALPHAS.contains(&alpha) {
        return Err(Error::argument(
            "alpha",
            format!("it is {alpha} with weights trained on ImageNet"),
            format!("give one of {ALPHAS:?}"),
        ));
    }
    match (&a.input_tensor, a.input_shape.0) {
        (Some(tensor), Some(shape)) if tensor.dim(2).known() != shape[1] => Err(Error::argument(
            "input_shape",
            format!("its width does not fit input_tensor, {}", tensor.shape()),
            "give one of the two only",
        )),
        _ => Ok(()),
    }
}

/// That of the images, if they are square and there are weights for it.
fn default_size(a: &Arguments) -> usize {
    let (rows, columns) = match (&a.input_tensor, a.input_shape.0) {
        (_, Some(shape)) => (shape[0], shape[1]),
        (Some(tensor), None) => (tensor.dim(1).known(), tensor.dim(2).known()),
        (None, None) => (None, None),
    };
    rows.filter(|rows| Some(*rows) == columns && SIZES.contains(rows)).unwrap_or(224)
}

/// The size that the name of the model says: the height of the images.
fn named_size(a: &Arguments, default_size: usize) -> String {
    let rows = match a.input_shape.0 {
        Some(shape) => shape[0],
        None => a.include_top.then_some(default_size),
    };
    let trained = |rows: &usize| SIZES.contains(rows) && a.input_shape.0.is_none_or(|s| s[0] == s[1]);
    match rows {
        _ if a.weights == Weights::ImageNet && !rows.is_some_and(|r| trained(&r)) => "224".into(),
        Some(rows) => rows.to_string(),
        None => "None".into(),
    }
}

/// Widens by a pointwise convolution, convolves each channel, and projects to `filters`; added to `x` where shapes stay.
fn inverted_residual(x: &Tensor, filters: usize, stride: usize, block: usize) -> Result<Tensor> {
    let channels = x.check()?.dim(-1).known().unwrap_or(0);
    let prefix = if block == 0 { "expanded_conv_".to_owned() } else { format!("block_{block}_") };
    let name = |layer: &str| format!("{prefix}{layer}");
    let mut y = x.clone();
    if block > 0 {
        let expand = Conv2D::new(EXPANSION * channels, 1).padding(Padding::Same).use_bias(false);
        y = expand.name(&name("expand")).call(&y);
        y = rectified(&normalized(&y, &name("expand_BN")), &name("expand_relu"));
    }
    let depthwise = DepthwiseConv2D::new(3).strides(stride).use_bias(false).name(&name("depthwise"));
    y = if stride == 2 {
        depthwise.call(ZeroPadding2D::new(correct_pad(&y, 3)).name(&name("pad")).call(&y))
    } else {
        depthwise.padding(Padding::Same).call(&y)
    };
    y = rectified(&normalized(&y, &name("depthwise_BN")), &name("depthwise_relu"));
    y = Conv2D::new(filters, 1).padding(Padding::Same).use_bias(false).name(&name("project")).call(&y);
    y = normalized(&y, &name("project_BN"));
    Ok(if channels == filters && stride == 1 { Add::new().name(&name("add")).call([x, &y]) } else { y })
}

fn normalized(x: &Tensor, name: &str) -> Tensor {
    BatchNormalization::new().epsilon(1e-3).momentum(0.999).name(name).call(x)
}

fn rectified(x: &Tensor, name: &str) -> Tensor {
    ReLU::new().max_value(6.0).name(name).call(x)
}

/// The multiple of 8 nearest to `filters`, but not below nine tenths of it, and at least 8.
fn divisible(filters: f64) -> usize {
    const DIVISOR: usize = 8;
    let nearest = ((filters + DIVISOR as f64 / 2.0) as usize / DIVISOR * DIVISOR).max(DIVISOR);
    if (nearest as f64) < 0.9 * filters { nearest + DIVISOR } else { nearest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MobileNetV2;
    use crate::golden_test::check_application;

    #[test]
    fn agrees_with_keras() {
        check_application("mobilenet_v2", |case| {
            let alpha = case.own("alpha").and_then(|v| v.as_f64()).unwrap_or(1.0);
            MobileNetV2::from(case.arguments()).alpha(alpha).network()
        });
    }

    #[test]
    fn filters_are_multiples_of_8_not_much_below() {
        assert_eq!([1.0, 11.2, 24.0, 33.6, 41.6].map(divisible), [8, 16, 24, 32, 40]);
    }
}
