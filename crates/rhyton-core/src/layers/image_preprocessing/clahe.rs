//! `ContrastLimitedAdaptiveHistogramEqualization`: values equalized within tiles.

use rhyton_ir::{DType, Dim};
use serde::{Deserialize, Serialize};

use super::base::image_layer;
use super::values::{BYTES, rescaled};
use super::{AtInference, ImageLayer, ValueRange};
use crate::bounding_boxes::BoxFormat;
use crate::error::{Error, Result};
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat, Spatial};
use crate::nest::Nest;
use crate::ops;
use crate::ops::numpy::taken;
use crate::ops::primitives::{iota, permute, reshaped, sliced};
use crate::tensor::Tensor;

/// Images whose values are equalized tile by tile, with the part of a histogram above a limit spread over all values,
/// and with linear interpolation between the middles of tiles. Outside of training, too.
///
/// # Shapes
/// Those of the input; height, width and channels are known.
///
/// # Dtypes
/// Those of the input.
///
/// # Errors
/// If a size is not known, or there are no tiles.
///
/// # References
/// Zuiderveld, *Contrast limited adaptive histogram equalization*, 1994.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContrastLimitedAdaptiveHistogramEqualization {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    #[serde(default)]
    value_range: ValueRange,
    #[serde(default = "four")]
    clip_limit: f64,
    #[serde(default = "eight")]
    tile_grid_size: Spatial<2>,
}

image_layer!(ContrastLimitedAdaptiveHistogramEqualization);

fn four() -> f64 {
    4.0
}

fn eight() -> Spatial<2> {
    Spatial([8, 8])
}

impl Default for ContrastLimitedAdaptiveHistogramEqualization {
    fn default() -> Self {
        Self::new()
    }
}

impl ContrastLimitedAdaptiveHistogramEqualization {
    /// In 8 × 8 tiles, with values at most four times as frequent as on average.
    pub fn new() -> Self {
        Self {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            value_range: ValueRange::default(),
            clip_limit: four(),
            tile_grid_size: eight(),
        }
    }

    builders! {
        /// How many times as frequent as on average a value counts as at most, without limit if 0; 4 unless said.
        clip_limit: f64,
        /// How many tiles there are along the height and along the width; 8 of each unless said.
        tile_grid_size: into Spatial<2>,
        /// The least and the greatest value; 0 and 255 unless said.
        value_range: into ValueRange,
    }

    /// For each tile and channel the new values of 0 to 255, `(batch, rows, columns, channels, 256)`, of images from 0
    /// to 255 that are whole tiles of `tile` pixels.
    fn tables(&self, images: &Tensor, tile: [usize; 2]) -> Tensor {
        let [rows, columns] = self.tile_grid_size.0;
        let (batch, channels) = (images.dim(0), images.dim(3));
        let known = |n: usize| Dim::Known(n);
        let split = vec![batch.clone(), known(rows), known(tile[0]), known(columns), known(tile[1]), channels.clone()];
        let tiles = permute(&reshaped(images, split), &[0, 1, 3, 5, 2, 4]);
        let pixels = tile[0] * tile[1];
        let tiles = reshaped(&tiles, vec![batch, known(rows), known(columns), channels, known(pixels)]);
        let values = ops::clip(&tiles.cast(DType::I32), 0, 255);
        let mut histogram = ops::sum(&ops::one_hot(&values, 256, -1, None), -2, false);
        if self.clip_limit > 0.0 {
            let limit = self.clip_limit * pixels as f64 / 256.0;
            let clipped = ops::clip(&histogram, 0.0, limit);
            let excess = ops::sum(&(histogram - &clipped), -1, true);
            histogram = clipped + excess / 256.0;
        }
        let below = ops::cumsum(&histogram, Some(-1), None);
        let least = ops::min(&below, -1, true);
        let rest = pixels as f64 - &least;
        let rest = ops::r#where(ops::equal(&rest, 0.0), 1.0, rest);
        ops::clip(&((below - least) * 255.0 / rest), 0.0, 255.0)
    }

    fn equalized(&self, images: &Tensor) -> Result<Tensor> {
        let grid = self.tile_grid_size.0;
        let sizes = [1, 2, 3].map(|axis| images.shape()[axis].known());
        let [Some(height), Some(width), Some(channels)] = sizes else {
            let what = format!("sizes of {} are not known", images.ty());
            return Err(Error::shape(
                "ContrastLimitedAdaptiveHistogramEqualization",
                what,
                "give Input height, width and channels",
            ));
        };
        let tile = [height.div_ceil(grid[0]), width.div_ceil(grid[1])];
        let missing = [tile[0] * grid[0] - height, tile[1] * grid[1] - width].map(|n| n as i64);
        let whole = ops::pad(images, [[0, 0], [0, missing[0]], [0, missing[1]], [0, 0]], "symmetric", None);
        let whole = whole.check()?;
        let tables = self.tables(whole, tile);

        // Tiles at the edges once more around, so that each pixel lies between the middles of four.
        let around = |tables: &Tensor, axis: usize| {
            let last = grid[axis - 1] - 1;
            let ends = [sliced(tables, axis, 0, 1), tables.clone(), sliced(tables, axis, last, last + 1)];
            ops::concatenate(&ends, axis as i64)
        };
        let tables = around(&around(&tables, 1), 2);
        let flat = reshaped(tables.check()?, vec![tables.shape().elements()]);

        let [batch, high, wide, depth] = [0, 1, 2, 3].map(|axis| whole.dim(axis));
        let line = |n: &Dim, axis: usize| {
            let mut shape = vec![Dim::Known(1); 4];
            shape[axis] = n.clone();
            iota(DType::I32, shape, axis)
        };
        let columns = (grid[1] + 2) as i64;
        let stride = [columns * channels as i64 * 256 * (grid[0] + 2) as i64, columns * channels as i64 * 256];
        let pixel = ops::clip(whole, 0.0, 255.0).cast(DType::I32);
        let base = line(&batch, 0) * stride[0] + line(&depth, 3) * 256 + pixel;
        // Along an axis: the tile before, the tile after, and the share of that.
        let between = |n: &Dim, axis: usize| {
            let size = tile[axis - 1] as f64;
            let at = (line(n, axis).cast(DType::F32) - size / 2.0) / size + 1.0;
            let before = ops::floor(&at);
            let index = |t: &Tensor| ops::clip(t, 0.0, (grid[axis - 1] + 1) as f64).cast(DType::I32);
            (index(&before), index(&(&before + 1.0)), at - before)
        };
        let (top, bottom, down) = between(&high, 1);
        let (left, right, along) = between(&wide, 2);
        let value = |row: &Tensor, column: &Tensor| {
            let place = &base + row * stride[1] + column * (channels as i64 * 256);
            taken(&flat, &place, 0)
        };
        let mix = |row: &Tensor| Ok::<_, Error>(value(row, &left)? * (1.0 - &along) + value(row, &right)? * &along);
        let y = mix(&top)? * (1.0 - &down) + mix(&bottom)? * &down;
        let y = sliced(&sliced(y.check()?, 1, 0, height), 2, 0, width);
        y.check().cloned()
    }
}

impl ImageLayer for ContrastLimitedAdaptiveHistogramEqualization {
    fn check(&self) -> Result<()> {
        self.tile_grid_size.check_positive("tile_grid_size")
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Transformed
    }

    fn transform_images(&self, images: &Tensor, _: &Nest) -> Result<Tensor> {
        let (range, first) = (self.value_range.ends(), self.data_format == DataFormat::ChannelsFirst);
        let x = if first { permute(images, &[0, 2, 3, 1]) } else { images.clone() };
        // In whole numbers from 0 to 255, but for the interpolation.
        let y = self.equalized(&rescaled(&x, range, BYTES, DType::F32).cast(DType::F32))?;
        let y = rescaled(&y, BYTES, range, DType::F32).cast(images.dtype());
        Ok(if first { permute(&y, &[0, 3, 1, 2]) } else { y })
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::check_image_layer;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("clahe");
    }
}
