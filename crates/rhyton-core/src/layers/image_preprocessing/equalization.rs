//! `Equalization`: values spread so that each is equally frequent.

use rhyton_ir::DType;
use rhyton_ir::op::{Combine, Scatter};
use serde::{Deserialize, Serialize};

use super::base::{compute_dtype, image_layer};
use super::{AtInference, ImageLayer, ValueRange};
use crate::bounding_boxes::BoxFormat;
use crate::error::{Error, Result};
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat};
use crate::nest::Nest;
use crate::ops::numpy::taken;
use crate::ops::primitives::{filled, reshaped};
use crate::ops::{self, Axes};
use crate::tensor::Tensor;

/// In training, each channel through the function that makes the values of the whole batch in it uniformly distributed;
/// otherwise the images.
///
/// # Shapes
/// Those of the input, whose number of channels is known.
///
/// # Dtypes
/// In training the compute dtype.
///
/// # Errors
/// If there are fewer than two bins or more than 65,536.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Equalization {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    #[serde(default = "bytes")]
    bins: usize,
    #[serde(default)]
    value_range: ValueRange,
}

image_layer!(Equalization);

fn bytes() -> usize {
    256
}

impl Default for Equalization {
    fn default() -> Equalization {
        Equalization::new()
    }
}

impl Equalization {
    /// Of values from 0 to 255 in 256 bins.
    pub fn new() -> Equalization {
        Equalization {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            bins: bytes(),
            value_range: ValueRange::default(),
        }
    }

    builders! {
        /// How many values are told apart; 256 unless said.
        bins: usize,
        /// The least and the greatest value; 0 and 255 unless said.
        value_range: into ValueRange,
    }

    /// How many of `values`, which are from 0 to 255, fall into each bin: `(bins)`, `int32`.
    fn histogram(&self, values: &Tensor) -> Tensor {
        let last = self.bins as f64 - 1.0;
        let bin = ops::clip(&(values.cast(DType::F32) * last / 255.0).cast(DType::I32), 0, self.bins as i64 - 1);
        let bin = reshaped(&bin, vec![bin.shape().elements()]);
        let count = Scatter {
            update_window_axes: vec![],
            inserted_window_axes: vec![0],
            operand_batching_axes: vec![],
            indices_batching_axes: vec![],
            scatter_axes_to_operand_axes: vec![0],
            index_vector_axis: 1,
            combine: Combine::Add,
        };
        let zeros = filled(DType::I32, &vec![self.bins].into(), 0.0);
        Tensor::apply(count, &[&zeros, &bin, &ops::ones_like(&bin)])
    }

    fn equalized(&self, channel: &Tensor) -> Result<Tensor> {
        let [low, high] = self.value_range.ends();
        let scale = 255.0 / (high - low);
        let values = channel * scale - low * scale;
        let histogram = self.histogram(&values);
        let below = ops::cumsum(&histogram, Some(0), None);
        // In float64, so that what is a whole number and a half is rounded as in Keras.
        let below = below.cast(DType::F64);
        let all = ops::max(&below, Axes::All, false);
        let first = ops::min(&ops::r#where(ops::greater(&below, 0.0), &below, &all), Axes::All, false);
        let rest = &all - &first;
        let rest = ops::r#where(ops::equal(&rest, 0.0), 1.0, rest);
        let table = ops::clip(&ops::round(&((below - first) * 255.0 / rest), 0), 0.0, 255.0);
        let last = self.bins as f64 - 1.0;
        let place = ops::clip(&(&values / 255.0 * last), 0.0, last).cast(DType::I32);
        let found = taken(table.check()?, &place, 0)?.cast(values.dtype());
        let several = ops::greater(ops::sum(&ops::greater(&histogram, 0).cast(DType::I32), Axes::All, false), 1);
        let y = ops::r#where(several, found, values);
        (y / scale + low).check().cloned()
    }
}

impl ImageLayer for Equalization {
    fn check(&self) -> Result<()> {
        if (2..=1 << 16).contains(&self.bins) {
            return Ok(());
        }
        Err(Error::argument("bins", format!("{} bins", self.bins), "give a number from 2 to 65,536"))
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Nothing
    }

    fn transform_images(&self, images: &Tensor, _: &Nest) -> Result<Tensor> {
        let axis = self.data_format.channel_axis(4);
        let Some(channels) = images.shape()[axis].known() else {
            let what = format!("the channels of {} are not known", images.ty());
            return Err(Error::shape("Equalization", what, "give Input the number of channels"));
        };
        let split = ops::split(&images.cast(compute_dtype(self)), channels as i64, axis as i64);
        let equalized = split.iter().map(|channel| self.equalized(channel)).collect::<Result<Vec<_>>>()?;
        ops::concatenate(&equalized, axis as i64).check().map(|y| y.cast(compute_dtype(self)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::check_image_layer;
    use super::*;
    use crate::layers::Call;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("equalization");
    }

    #[test]
    fn one_bin_is_refused() {
        let y = Equalization::new().bins(1).call(ops::zeros([1, 2, 2, 1], None));
        assert!(y.eval().unwrap_err().to_string().contains("bins"));
    }
}
