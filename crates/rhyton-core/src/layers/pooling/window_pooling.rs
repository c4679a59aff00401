//! `MaxPooling1D` to `3D` and `AveragePooling1D` to `3D`: windows reduced to one element.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::layers::builders::builders;
use crate::layers::ranked::{expect_fit, expect_rank, ranked_layer};
use crate::layers::{Base, Context, DataFormat, InputShapes, Layer, Padding, Spatial};
use crate::nest::{Args, Nest};
use crate::ops;

/// A layer that reduces windows by `$function`.
macro_rules! window_pooling {
    ($(#[$doc:meta])* $name:ident $function:path: $($class:literal),*) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default, bound = "")]
        pub struct $name<const N: usize> {
            #[serde(skip)]
            base: Base,
            pool_size: Spatial<N>,
            padding: Padding,
            strides: Spatial<N>,
            data_format: DataFormat,
        }

        ranked_layer!($name: $($class),*);

        impl<const N: usize> Default for $name<N> {
            /// Windows of 2 along each axis.
            fn default() -> Self {
                $name::new(2)
            }
        }

        impl<const N: usize> $name<N> {
            /// Windows of `pool_size`: a number for all axes, or an array. Strides are the same unless said.
            pub fn new(pool_size: impl Into<Spatial<N>>) -> Self {
                let pool_size = pool_size.into();
                $name {
                    base: Base::default(),
                    pool_size,
                    padding: Padding::Valid,
                    strides: pool_size,
                    data_format: DataFormat::default(),
                }
            }

            builders! {
                /// How far the window moves from one output to the next; its size unless said.
                strides: into Spatial<N>,
                /// Valid or same; valid unless said.
                padding: Padding,
                /// Where the channels are; last unless said.
                data_format: DataFormat,
            }
        }

        impl<const N: usize> Layer for $name<N> {
            fn build(&self, inputs: &InputShapes) -> Result<()> {
                check(inputs, &self.pool_size, &self.strides, self.padding, self.data_format)
            }

            fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
                let format = Some(self.data_format.name());
                let strides = Some(self.strides.into());
                let y = $function(inputs.tensor()?, self.pool_size, strides, self.padding.name(), format);
                Ok(y.check()?.into())
            }

            fn is_built_at_init(&self) -> bool {
                true
            }
        }
    };
}

window_pooling! {
    /// The largest element of each window over `N` spatial axes, channel by channel. Padding never wins; at a tie the
    /// gradient goes to the first.
    ///
    /// # Shapes
    /// `(batch, …, channels)` to the same rank: a spatial size `n` becomes `⌊(n − pool_size) / stride⌋ + 1` with valid
    /// padding and `⌈n / stride⌉` with same.
    ///
    /// # Errors
    /// If a number is 0, or no window fits.
    ///
    /// # Examples
    /// ```
    /// use rhyton_core::prelude::*;
    ///
    /// let x = Tensor::new([1, 4, 1], vec![1.0f32, 5.0, 3.0, 4.0]);
    /// assert_eq!(MaxPooling1D::new(2).call(&x).to_vec::<f32>()?, [5.0, 4.0]);
    /// # Ok::<(), rhyton_core::Error>(())
    /// ```
    MaxPooling ops::max_pool: "MaxPooling1D", "MaxPooling2D", "MaxPooling3D"
}

window_pooling! {
    /// The mean of each window over `N` spatial axes, channel by channel; padding does not count.
    ///
    /// # Shapes
    /// As [`MaxPooling`].
    ///
    /// # Errors
    /// As [`MaxPooling`].
    AveragePooling ops::average_pool: "AveragePooling1D", "AveragePooling2D", "AveragePooling3D"
}

/// [`MaxPooling`] over one axis: `(batch, steps, channels)`.
pub type MaxPooling1D = MaxPooling<1>;
/// [`MaxPooling`] over two axes: `(batch, height, width, channels)`.
pub type MaxPooling2D = MaxPooling<2>;
/// [`MaxPooling`] over three axes: `(batch, depth, height, width, channels)`.
pub type MaxPooling3D = MaxPooling<3>;
/// [`AveragePooling`] over one axis: `(batch, steps, channels)`.
pub type AveragePooling1D = AveragePooling<1>;
/// [`AveragePooling`] over two axes: `(batch, height, width, channels)`.
pub type AveragePooling2D = AveragePooling<2>;
/// [`AveragePooling`] over three axes: `(batch, depth, height, width, channels)`.
pub type AveragePooling3D = AveragePooling<3>;

fn check<const N: usize>(
    inputs: &InputShapes,
    pool_size: &Spatial<N>,
    strides: &Spatial<N>,
    padding: Padding,
    format: DataFormat,
) -> Result<()> {
    pool_size.check_positive("pool_size")?;
    strides.check_positive("strides")?;
    padding.not_causal("padding")?;
    let shape = inputs.first()?;
    expect_rank(shape, N + 2, "pooling")?;
    expect_fit(shape, format, &pool_size.0, &[1; N], padding, "pooling")
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn max_pooling_agrees_with_keras() {
        check_layer("max_pooling");
    }

    #[test]
    fn average_pooling_agrees_with_keras() {
        check_layer("average_pooling");
    }

    #[test]
    fn a_window_larger_than_the_input_is_refused() {
        let error = MaxPooling1D::new(3).call(Tensor::new([1, 2, 1], vec![1.0f32, 2.0])).eval().unwrap_err();
        assert!(error.to_string().contains("does not fit"), "{error}");
    }
}
