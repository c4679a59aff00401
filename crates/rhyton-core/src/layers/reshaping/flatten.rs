//! `Flatten`: each example as a vector.

use rhyton_ir::{Dim, Shape};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, DataFormat, Layer};
use crate::nest::{Args, Nest};
use crate::ops;

/// Each example as a vector; channels that come first are moved last before, so that the order is that of channels-last.
///
/// # Shapes
/// `(batch, …)` gives `(batch, product of the rest)`.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let y = Flatten::new().call(&Tensor::new([1, 2, 2], vec![1.0f32, 2.0, 3.0, 4.0]));
/// assert_eq!(y.shape().to_string(), "[1,4]");
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Flatten {
    #[serde(skip)]
    base: Base,
    data_format: DataFormat,
}

keras_layer!(Flatten);

impl Flatten {
    /// For channels-last input.
    pub fn new() -> Flatten {
        Flatten::default()
    }

    builders! {
        /// Where the channels are; last unless said.
        data_format: DataFormat,
    }
}

impl Layer for Flatten {
    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?;
        let rank = x.rank() as i64;
        let x = if self.data_format == DataFormat::ChannelsFirst && rank > 2 {
            ops::transpose(x, std::iter::once(0).chain(2..rank).chain([1]).collect::<Vec<_>>())
        } else {
            x.clone()
        };
        let rest = x.shape().iter().skip(1).cloned().fold(Dim::Known(1), |n, d| n * d);
        let shape: Shape = vec![x.dim(0), rest].into();
        Ok(ops::reshape_to(&x, shape).check()?.into())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("flatten");
    }
}
