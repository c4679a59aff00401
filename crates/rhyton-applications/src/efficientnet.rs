//! `EfficientNetB0` to `EfficientNetB7`: inverted residuals with squeeze and excitation, scaled in depth, width and size
//! together.
//!
//! # References
//! Tan and Le, 2019, <https://arxiv.org/abs/1905.11946>.

use rhyton_core::activations::Activation;
use rhyton_core::initializers::{Distribution, FanMode, VarianceScaling};
use rhyton_core::layers::{
    self, Add, BatchNormalization, Call, Conv2D, DepthwiseConv2D, Dropout, GlobalAveragePooling2D, Multiply,
    Normalization, Padding, Rescaling, Reshape, ZeroPadding2D,
};
use rhyton_core::model::Model;
use rhyton_core::{Result, Tensor};

use crate::Weights;
use crate::application::application;
use crate::arguments::Arguments;
use crate::imagenet_utils::{RGB_STDDEV, correct_pad};

pub use crate::imagenet_utils::decode_predictions;

/// What tells the networks apart.
struct Variant {
    name: &'static str,
    /// The factor of all numbers of filters.
    width: f64,
    /// The factor of the number of blocks of each stage.
    depth: f64,
    /// Height and width of the images, unless said.
    size: usize,
    /// The share of features dropped before the classifier.
    dropout: f64,
}

/// B0 to B7.
const VARIANTS: [Variant; 8] = [
    Variant { name: "efficientnetb0", width: 1.0, depth: 1.0, size: 224, dropout: 0.2 },
    Variant { name: "efficientnetb1", width: 1.0, depth: 1.1, size: 240, dropout: 0.2 },
    Variant { name: "efficientnetb2", width: 1.1, depth: 1.2, size: 260, dropout: 0.3 },
    Variant { name: "efficientnetb3", width: 1.2, depth: 1.4, size: 300, dropout: 0.3 },
    Variant { name: "efficientnetb4", width: 1.4, depth: 1.8, size: 380, dropout: 0.4 },
    Variant { name: "efficientnetb5", width: 1.6, depth: 2.2, size: 456, dropout: 0.4 },
    Variant { name: "efficientnetb6", width: 1.8, depth: 2.6, size: 528, dropout: 0.5 },
    Variant { name: "efficientnetb7", width: 2.0, depth: 3.1, size: 600, dropout: 0.5 },
];

/// `EfficientNetB$number`.
macro_rules! efficient_net {
    ($($(#[$doc:meta])* $name:ident $number:literal;)*) => {$(
        application! {
            $(#[$doc])*
            $name {}
            network: |a| network(&a.arguments, &VARIANTS[$number]), preprocess_input: preprocess_input
        }
    )*};
}

efficient_net! {
    /// EfficientNet-B0, for images of 224 × 224 unless said, at least 32 × 32, with pixels from 0 to 255.
    ///
    /// # Shapes
    /// `(batch, height, width, channels)` gives `(batch, classes)`; without top `(batch, ⌈height/32⌉, ⌈width/32⌉, features)`,
    /// or `(batch, features)` if pooled, with 1280 features (more in the wider networks).
    EfficientNetB0 0;
    /// EfficientNet-B1, for images of 240 × 240 unless said; otherwise as [`EfficientNetB0`].
    EfficientNetB1 1;
    /// EfficientNet-B2, for images of 260 × 260 unless said; otherwise as [`EfficientNetB0`].
    EfficientNetB2 2;
    /// EfficientNet-B3, for images of 300 × 300 unless said; otherwise as [`EfficientNetB0`].
    EfficientNetB3 3;
    /// EfficientNet-B4, for images of 380 × 380 unless said; otherwise as [`EfficientNetB0`].
    EfficientNetB4 4;
    /// EfficientNet-B5, for images of 456 × 456 unless said; otherwise as [`EfficientNetB0`].
    EfficientNetB5 5;
    /// EfficientNet-B6, for images of 528 × 528 unless said; otherwise as [`EfficientNetB0`].
    EfficientNetB6 6;
    /// EfficientNet-B7, for images of 600 × 600 unless said; otherwise as [`EfficientNetB0`].
    EfficientNetB7 7;
}

/// A stage of like blocks before scaling; its first block has the stride.
struct Stage {
    kernel: usize,
    repeats: usize,
    filters_in: usize,
    filters_out: usize,
    expand: usize,
    stride: usize,
}

const STAGES: [Stage; 7] = [
    Stage { kernel: 3, repeats: 1, filters_in: 32, filters_out: 16, expand: 1, stride: 1 },
    Stage { kernel: 3, repeats: 2, filters_in: 16, filters_out: 24, expand: 6, stride: 2 },
    Stage { kernel: 5, repeats: 2, filters_in: 24, filters_out: 40, expand: 6, stride: 2 },
    Stage { kernel: 3, repeats: 3, filters_in: 40, filters_out: 80, expand: 6, stride: 2 },
    Stage { kernel: 5, repeats: 3, filters_in: 80, filters_out: 112, expand: 6, stride: 1 },
    Stage { kernel: 5, repeats: 4, filters_in: 112, filters_out: 192, expand: 6, stride: 2 },
    Stage { kernel: 3, repeats: 1, filters_in: 192, filters_out: 320, expand: 6, stride: 1 },
];

/// The share of a block's input to which squeezing reduces its channels.
const SQUEEZE: f64 = 0.25;
/// The share of samples for which the last block is skipped in training; earlier blocks have less.
const DROP_CONNECT: f64 = 0.2;

/// The images as they are: scaling and normalization are part of the networks.
pub fn preprocess_input(x: &Tensor) -> Tensor {
    x.clone()
}

fn network(a: &Arguments, variant: &Variant) -> Result<Model> {
    let input = a.input(variant.size, 32)?;
    let mut x = Rescaling::new(1.0 / 255.0).call(&input);
    x = Normalization::new().axis(3).call(&x);
    if a.weights == Weights::ImageNet {
        // The weights were trained on (x − mean) / variance, while Normalization divides by the standard deviation.
        x = Rescaling::new(RGB_STDDEV.map(|deviation| 1.0 / deviation.sqrt())).call(&x);
    }
    x = ZeroPadding2D::new(correct_pad(&x, 3)).name("stem_conv_pad").call(&x);
    let stem = Conv2D::new(variant.filters(32), 3).strides(2).use_bias(false);
    x = stem.kernel_initializer(kernel_initializer()).name("stem_conv").call(&x);
    x = swish(&normalized(&x, "stem_bn"), "stem_activation");

    let blocks: usize = STAGES.iter().map(|s| variant.repeats(s.repeats)).sum();
    let mut block = 0;
    for (i, stage) in STAGES.iter().enumerate() {
        let mut filters_in = variant.filters(stage.filters_in);
        for j in 0..variant.repeats(stage.repeats) {
            let inverted = Inverted {
                prefix: format!("block{}{}_", i + 1, char::from(b'a' + j as u8)),
                kernel: stage.kernel,
                filters_in,
                filters_out: variant.filters(stage.filters_out),
                expand: stage.expand,
                stride: if j == 0 { stage.stride } else { 1 },
                drop: DROP_CONNECT * block as f64 / blocks as f64,
            };
            x = inverted.call(&x);
            filters_in = inverted.filters_out;
            block += 1;
        }
    }

    x = pointwise(variant.filters(1280), "top_conv").use_bias(false).call(&x);
    x = swish(&normalized(&x, "top_bn"), "top_activation");
    let output = if a.include_top {
        x = GlobalAveragePooling2D::new().name("avg_pool").call(&x);
        x = Dropout::new(variant.dropout).name("top_dropout").call(&x);
        a.predictions()?.kernel_initializer(dense_initializer()).call(&x)
    } else {
        a.pooled(&x, Some(["avg_pool", "max_pool"]))
    };
    a.model(&input, output, variant.name)
}

impl Variant {
    /// The multiple of 8 nearest to `filters` scaled, but not below nine tenths of it.
    fn filters(&self, filters: usize) -> usize {
        const DIVISOR: usize = 8;
        let scaled = filters as f64 * self.width;
        let nearest = ((scaled + DIVISOR as f64 / 2.0) as usize / DIVISOR * DIVISOR).max(DIVISOR);
        if (nearest as f64) < 0.9 * scaled { nearest + DIVISOR } else { nearest }
    }

    fn repeats(&self, repeats: usize) -> usize {
        (self.depth * repeats as f64).ceil() as usize
    }
}

/// An inverted residual block after scaling.
struct Inverted {
    prefix: String,
    kernel: usize,
    filters_in: usize,
    filters_out: usize,
    expand: usize,
    stride: usize,
    drop: f64,
}

impl Inverted {
    /// Widens by a pointwise convolution, convolves each channel, excites, and projects; added to `x` where shapes stay.
    fn call(&self, x: &Tensor) -> Tensor {
        let mut y = x.clone();
        if self.expand != 1 {
            let expand = pointwise(self.filters_in * self.expand, &self.name("expand_conv"));
            y = expand.use_bias(false).call(&y);
            y = swish(&normalized(&y, &self.name("expand_bn")), &self.name("expand_activation"));
        }
        y = swish(&normalized(&self.depthwise(&y), &self.name("bn")), &self.name("activation"));
        y = self.excited(&y);
        y = pointwise(self.filters_out, &self.name("project_conv")).use_bias(false).call(&y);
        y = normalized(&y, &self.name("project_bn"));
        if self.stride != 1 || self.filters_in != self.filters_out {
            return y;
        }
        if self.drop > 0.0 {
            let whole_samples = [None, Some(1), Some(1), Some(1)];
            y = Dropout::new(self.drop).noise_shape(whole_samples).name(&self.name("drop")).call(&y);
        }
        Add::new().name(&self.name("add")).call([&y, x])
    }

    fn depthwise(&self, x: &Tensor) -> Tensor {
        let depthwise = DepthwiseConv2D::new(self.kernel).strides(self.stride).use_bias(false);
        let depthwise = depthwise.depthwise_initializer(kernel_initializer()).name(&self.name("dwconv"));
        if self.stride != 2 {
            return depthwise.padding(Padding::Same).call(x);
        }
        depthwise.call(ZeroPadding2D::new(correct_pad(x, self.kernel)).name(&self.name("dwconv_pad")).call(x))
    }

    /// Each channel times a factor that hangs on the means of all.
    fn excited(&self, x: &Tensor) -> Tensor {
        let filters = self.filters_in * self.expand;
        let squeezed = ((self.filters_in as f64 * SQUEEZE) as usize).max(1);
        let y = GlobalAveragePooling2D::new().name(&self.name("se_squeeze")).call(x);
        let y = Reshape::new([1, 1, filters as i64]).name(&self.name("se_reshape")).call(&y);
        let y = pointwise(squeezed, &self.name("se_reduce")).activation(Activation::Silu).call(&y);
        let y = pointwise(filters, &self.name("se_expand")).activation(Activation::Sigmoid).call(&y);
        Multiply::new().name(&self.name("se_excite")).call([x, &y])
    }

    fn name(&self, layer: &str) -> String {
        format!("{}{layer}", self.prefix)
    }
}

fn pointwise(filters: usize, name: &str) -> Conv2D {
    Conv2D::new(filters, 1).padding(Padding::Same).kernel_initializer(kernel_initializer()).name(name)
}

fn kernel_initializer() -> VarianceScaling {
    VarianceScaling::new().scale(2.0).mode(FanMode::FanOut).distribution(Distribution::TruncatedNormal)
}

fn dense_initializer() -> VarianceScaling {
    VarianceScaling::new().scale(1.0 / 3.0).mode(FanMode::FanOut).distribution(Distribution::Uniform)
}

fn normalized(x: &Tensor, name: &str) -> Tensor {
    BatchNormalization::new().axis(3).name(name).call(x)
}

fn swish(x: &Tensor, name: &str) -> Tensor {
    layers::Activation::new(Activation::Silu).name(name).call(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden_test::check_application;

    fn check(fixture: &str) {
        check_application(fixture, |case| {
            let variant = VARIANTS.iter().find(|v| v.name.eq_ignore_ascii_case(case.application())).unwrap();
            network(&case.arguments(), variant)
        });
    }

    #[test]
    fn agrees_with_keras() {
        check("efficientnet");
    }

    #[test]
    fn larger_networks_agree_with_keras() {
        check("efficientnet_large");
    }
}
