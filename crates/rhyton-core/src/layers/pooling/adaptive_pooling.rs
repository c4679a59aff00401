//! `AdaptiveMaxPooling1D` to `3D` and `AdaptiveAveragePooling1D` to `3D`: windows chosen for a given output size.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::layers::builders::builders;
use crate::layers::ranked::{expect_rank, ranked_layer};
use crate::layers::{Base, Context, DataFormat, InputShapes, Layer, Spatial};
use crate::nest::{Args, Nest};
use crate::ops;

/// A layer that reduces the windows of a given output size by `$function`.
macro_rules! adaptive_pooling {
    ($(#[$doc:meta])* $name:ident $function:path: $($class:literal),*) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name<const N: usize> {
            #[serde(skip)]
            base: Base,
            output_size: Spatial<N>,
            #[serde(default)]
            data_format: DataFormat,
        }

        ranked_layer!($name: $($class),*);

        impl<const N: usize> $name<N> {
            /// To spatial sizes of `output_size`: a number for all axes, or an array.
            pub fn new(output_size: impl Into<Spatial<N>>) -> Self {
                $name { base: Base::default(), output_size: output_size.into(), data_format: DataFormat::default() }
            }

            builders! {
                /// Where the channels are; last unless said.
                data_format: DataFormat,
            }
        }

        impl<const N: usize> Layer for $name<N> {
            fn build(&self, inputs: &InputShapes) -> Result<()> {
                self.output_size.check_positive("output_size")?;
                expect_rank(inputs.first()?, N + 2, "adaptive pooling")
            }

            fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
                let y = $function(inputs.tensor()?, self.output_size, Some(self.data_format.name()));
                Ok(y.check()?.into())
            }
        }
    };
}

adaptive_pooling! {
    /// The largest element of each of `output_size` windows over `N` spatial axes: window `i` of `m` over a size `n` goes
    /// from `⌊i · n / m⌋` to `⌈(i + 1) · n / m⌉`.
    ///
    /// # Shapes
    /// `(batch, …, channels)` gives `(batch, output_size…, channels)`. Spatial sizes must be known.
    AdaptiveMaxPooling ops::adaptive_max_pool:
        "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D"
}

adaptive_pooling! {
    /// The mean of each of `output_size` windows over `N` spatial axes; windows as in [`AdaptiveMaxPooling`].
    ///
    /// # Shapes
    /// `(batch, …, channels)` gives `(batch, output_size…, channels)`. Spatial sizes must be known.
    AdaptiveAveragePooling ops::adaptive_average_pool:
        "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D"
}

/// [`AdaptiveMaxPooling`] over one axis: `(batch, steps, channels)`.
pub type AdaptiveMaxPooling1D = AdaptiveMaxPooling<1>;
/// [`AdaptiveMaxPooling`] over two axes: `(batch, height, width, channels)`.
pub type AdaptiveMaxPooling2D = AdaptiveMaxPooling<2>;
/// [`AdaptiveMaxPooling`] over three axes: `(batch, depth, height, width, channels)`.
pub type AdaptiveMaxPooling3D = AdaptiveMaxPooling<3>;
/// [`AdaptiveAveragePooling`] over one axis: `(batch, steps, channels)`.
pub type AdaptiveAveragePooling1D = AdaptiveAveragePooling<1>;
/// [`AdaptiveAveragePooling`] over two axes: `(batch, height, width, channels)`.
pub type AdaptiveAveragePooling2D = AdaptiveAveragePooling<2>;
/// [`AdaptiveAveragePooling`] over three axes: `(batch, depth, height, width, channels)`.
pub type AdaptiveAveragePooling3D = AdaptiveAveragePooling<3>;

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("adaptive_pooling");
    }
}
