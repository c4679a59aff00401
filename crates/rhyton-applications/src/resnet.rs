//! `ResNet50`, `ResNet101`, `ResNet152`: residual networks of bottleneck blocks.
//!
//! # References
//! He et al., 2015, <https://arxiv.org/abs/1512.03385>.

use rhyton_core::activations::Activation;
use rhyton_core::layers::{
    self, Add, BatchNormalization, Call, Conv2D, DataFormat, GlobalAveragePooling2D, MaxPooling2D, Padding,
    ZeroPadding2D,
};
use rhyton_core::model::Model;
use rhyton_core::{Result, Tensor};

use crate::application::application;
use crate::arguments::Arguments;
use crate::imagenet_utils::{self, Mode};

pub use crate::imagenet_utils::decode_predictions;

/// What tells the networks apart.
struct Variant {
    name: &'static str,
    /// The number of blocks of each stage.
    blocks: [usize; 4],
}

const RESNET50: Variant = Variant { name: "resnet50", blocks: [3, 4, 6, 3] };
const RESNET101: Variant = Variant { name: "resnet101", blocks: [3, 4, 23, 3] };
const RESNET152: Variant = Variant { name: "resnet152", blocks: [3, 8, 36, 3] };

application! {
    /// ResNet of 50 layers, for images of 224 × 224 unless said, at least 32 × 32; see [`preprocess_input`].
    ///
    /// # Shapes
    /// `(batch, height, width, channels)` gives `(batch, classes)`; without top `(batch, ⌈height/32⌉, ⌈width/32⌉, 2048)`, or
    /// `(batch, 2048)` if pooled.
    ResNet50 {}
    network: |a| network(&a.arguments, &RESNET50), preprocess_input: preprocess_input
}

application! {
    /// ResNet of 101 layers; otherwise as [`ResNet50`].
    ResNet101 {}
    network: |a| network(&a.arguments, &RESNET101), preprocess_input: preprocess_input
}

application! {
    /// ResNet of 152 layers; otherwise as [`ResNet50`].
    ResNet152 {}
    network: |a| network(&a.arguments, &RESNET152), preprocess_input: preprocess_input
}

/// RGB pixels from 0 to 255 turned to BGR, less the mean color of ImageNet.
pub fn preprocess_input(x: &Tensor) -> Tensor {
    imagenet_utils::preprocess_input(x, DataFormat::ChannelsLast, Mode::Caffe)
}

fn network(a: &Arguments, variant: &Variant) -> Result<Model> {
    let input = a.input(224, 32)?;
    let x = ZeroPadding2D::new(3).name("conv1_pad").call(&input);
    let x = Conv2D::new(64, 7).strides(2).name("conv1_conv").call(&x);
    let x = relu(&normalized(&x, "conv1_bn"), "conv1_relu");
    let x = ZeroPadding2D::new(1).name("pool1_pad").call(&x);
    let mut x = MaxPooling2D::new(3).strides(2).name("pool1_pool").call(&x);
    for (stage, blocks) in variant.blocks.into_iter().enumerate() {
        let stride = if stage == 0 { 1 } else { 2 };
        for block in 1..=blocks {
            let name = format!("conv{}_block{block}", stage + 2);
            x = bottleneck(&x, 64 << stage, (block == 1).then_some(stride), &name);
        }
    }
    let output = if a.include_top {
        a.predictions()?.call(GlobalAveragePooling2D::new().name("avg_pool").call(&x))
    } else {
        a.pooled(&x, Some(["avg_pool", "max_pool"]))
    };
    a.model(&input, output, variant.name)
}

/// A convolution of `filters` between two pointwise ones, beside the input, or beside a pointwise convolution of it with
/// `stride` if one is given.
fn bottleneck(x: &Tensor, filters: usize, stride: Option<usize>, name: &str) -> Tensor {
    let convolved = |conv: Conv2D, x: &Tensor, i: usize| {
        let y = conv.name(&format!("{name}_{i}_conv")).call(x);
        normalized(&y, &format!("{name}_{i}_bn"))
    };
    let shortcut = match stride {
        Some(stride) => convolved(Conv2D::new(4 * filters, 1).strides(stride), x, 0),
        None => x.clone(),
    };
    let y = convolved(Conv2D::new(filters, 1).strides(stride.unwrap_or(1)), x, 1);
    let y = relu(&y, &format!("{name}_1_relu"));
    let y = convolved(Conv2D::new(filters, 3).padding(Padding::Same), &y, 2);
    let y = relu(&y, &format!("{name}_2_relu"));
    let y = convolved(Conv2D::new(4 * filters, 1), &y, 3);
    let y = Add::new().name(&format!("{name}_add")).call([&shortcut, &y]);
    relu(&y, &format!("{name}_out"))
}

fn normalized(x: &Tensor, name: &str) -> Tensor {
    BatchNormalization::new().axis(3).epsilon(1.001e-5).name(name).call(x)
}

fn relu(x: &Tensor, name: &str) -> Tensor {
    layers::Activation::new(Activation::Relu).name(name).call(x)
}

#[cfg(test)]
mod tests {
    use crate::golden_test::check_application;
    use crate::{ResNet50, ResNet101, ResNet152};

    #[test]
    fn agrees_with_keras() {
        check_application("resnet", |case| match case.application() {
            "ResNet101" => ResNet101::from(case.arguments()).network(),
            "ResNet152" => ResNet152::from(case.arguments()).network(),
            _ => ResNet50::from(case.arguments()).network(),
        });
    }
}
