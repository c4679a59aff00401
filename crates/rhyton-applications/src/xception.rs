//! `Xception`: depthwise separable convolutions with residual connections.
//!
//! # References
//! Chollet, 2017, <https://arxiv.org/abs/1610.02357>.

use rhyton_core::activations::Activation;
use rhyton_core::layers::{
    self, Add, BatchNormalization, Call, Conv2D, DataFormat, GlobalAveragePooling2D, MaxPooling2D, Padding,
    SeparableConv2D,
};
use rhyton_core::model::Model;
use rhyton_core::{Result, Tensor};

use crate::application::application;
use crate::arguments::Arguments;
use crate::imagenet_utils::{self, Mode};

pub use crate::imagenet_utils::decode_predictions;

application! {
    /// Xception, for images of 299 × 299 unless said, at least 71 × 71; see [`preprocess_input`].
    ///
    /// # Shapes
    /// `(batch, height, width, channels)` gives `(batch, classes)`; without top `(batch, ⌈height/32⌉, ⌈width/32⌉, 2048)`, or
    /// `(batch, 2048)` if pooled.
    Xception {}
    network: |a| network(&a.arguments), preprocess_input: preprocess_input
}

/// Pixels from 0 to 255 brought to −1 to 1.
pub fn preprocess_input(x: &Tensor) -> Tensor {
    imagenet_utils::preprocess_input(x, DataFormat::ChannelsLast, Mode::Tf)
}

fn network(a: &Arguments) -> Result<Model> {
    let input = a.input(299, 71)?;
    let x = Conv2D::new(32, 3).strides(2).use_bias(false).name("block1_conv1").call(&input);
    let x = relu(&normalized(&x, "block1_conv1_bn"), "block1_conv1_act");
    let x = Conv2D::new(64, 3).use_bias(false).name("block1_conv2").call(&x);
    let mut x = relu(&normalized(&x, "block1_conv2_bn"), "block1_conv2_act");

    for (block, filters) in [(2, [128, 128]), (3, [256, 256]), (4, [728, 728])] {
        x = reducing_block(&x, block, filters);
    }
    for block in 5..13 {
        let mut y = x.clone();
        for i in 1..=3 {
            y = relu(&y, &format!("block{block}_sepconv{i}_act"));
            y = separable(&y, 728, &format!("block{block}_sepconv{i}"));
        }
        x = Add::new().call([&y, &x]);
    }
    x = reducing_block(&x, 13, [728, 1024]);
    for (i, filters) in [(1, 1536), (2, 2048)] {
        x = separable(&x, filters, &format!("block14_sepconv{i}"));
        x = relu(&x, &format!("block14_sepconv{i}_act"));
    }

    let output = if a.include_top {
        a.predictions()?.call(GlobalAveragePooling2D::new().name("avg_pool").call(&x))
    } else {
        a.pooled(&x, None)
    };
    a.model(&input, output, "xception")
}

/// Two separable convolutions and a pooling beside a convolution of stride 2.
fn reducing_block(x: &Tensor, block: usize, filters: [usize; 2]) -> Tensor {
    let residual = Conv2D::new(filters[1], 1).strides(2).padding(Padding::Same).use_bias(false).call(x);
    let residual = BatchNormalization::new().call(&residual);
    let name = |i: usize| format!("block{block}_sepconv{i}");
    // What comes into the first of these blocks went through a rectifier already.
    let y = if block == 2 { x.clone() } else { relu(x, &(name(1) + "_act")) };
    let y = separable(&y, filters[0], &name(1));
    let y = relu(&y, &(name(2) + "_act"));
    let y = separable(&y, filters[1], &name(2));
    let y = MaxPooling2D::new(3).strides(2).padding(Padding::Same).name(&format!("block{block}_pool")).call(&y);
    Add::new().call([&y, &residual])
}

fn separable(x: &Tensor, filters: usize, name: &str) -> Tensor {
    let x = SeparableConv2D::new(filters, 3).padding(Padding::Same).use_bias(false).name(name).call(x);
    normalized(&x, &format!("{name}_bn"))
}

fn normalized(x: &Tensor, name: &str) -> Tensor {
    BatchNormalization::new().name(name).call(x)
}

fn relu(x: &Tensor, name: &str) -> Tensor {
    layers::Activation::new(Activation::Relu).name(name).call(x)
}

#[cfg(test)]
mod tests {
    use crate::Xception;
    use crate::golden_test::check_application;

    #[test]
    fn agrees_with_keras() {
        check_application("xception", |case| Xception::from(case.arguments()).network());
    }
}
