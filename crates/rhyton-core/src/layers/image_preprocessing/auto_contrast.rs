//! `AutoContrast`: values stretched over their whole range.

use serde::{Deserialize, Serialize};

use super::base::{compute_dtype, image_layer};
use super::values::{BYTES, rescaled};
use super::{AtInference, ImageLayer, ValueRange};
use crate::bounding_boxes::BoxFormat;
use crate::error::Result;
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat};
use crate::nest::Nest;
use crate::ops;
use crate::tensor::Tensor;

/// `(x − min) · width / (max − min)`: the least and the greatest value of each channel of an image become the ends of
/// the value range. A channel of one value stays. Outside of training, too.
///
/// # Shapes
/// Those of the input; the extremes are those over the second and third axes, whatever the data format says.
///
/// # Dtypes
/// The compute dtype.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let x = Tensor::new([1, 1, 3, 1], vec![50.0f32, 75.0, 100.0]);
/// assert_eq!(AutoContrast::new().call(&x).to_vec::<f32>()?, [0.0, 127.5, 255.0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoContrast {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    #[serde(default)]
    value_range: ValueRange,
}

image_layer!(AutoContrast);

impl AutoContrast {
    /// For values from 0 to 255.
    pub fn new() -> AutoContrast {
        AutoContrast::default()
    }

    builders! {
        /// The least and the greatest value; 0 and 255 unless said.
        value_range: into ValueRange,
    }
}

impl ImageLayer for AutoContrast {
    fn at_inference(&self) -> AtInference {
        AtInference::Transformed
    }

    fn transform_images(&self, images: &Tensor, _: &Nest) -> Result<Tensor> {
        let (range, dtype) = (self.value_range.ends(), compute_dtype(self));
        let x = rescaled(images, range, BYTES, dtype).cast(dtype);
        let (low, high) = (ops::min(&x, [1, 2], true), ops::max(&x, [1, 2], true));
        // Of one value, this is no number.
        let scale = 255.0 / (high - &low);
        let offset = -low * &scale;
        let y = rescaled(&ops::clip(&(x * scale + offset), 0.0, 255.0), BYTES, range, dtype);
        ops::r#where(ops::isnan(&y), images, &y).check().map(|y| y.cast(dtype))
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::check_image_layer;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("auto_contrast");
    }
}
