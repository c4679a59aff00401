//! Keras's `keras.preprocessing`: what is done with data before a model.

/// Images.
pub mod image {
    use crate::error::{Error, Result};
    use crate::ops::image::{AspectRatio, resize};
    use crate::ops::{self, Index};
    use crate::tensor::Tensor;

    /// An image, or a batch of them, in `size` (height, width) without distortion: the largest part in its middle that has the
    /// aspect ratio of `size` is resized by `interpolation`, as [`resize`] does. `data_format` is `"channels_last"` (Keras's
    /// default) or `"channels_first"`. The result carries an error if the height or width is not known, or there are not three or
    /// four axes.
    ///
    /// # Examples
    /// ```
    /// use rhyton_core::{Tensor, preprocessing::image::smart_resize};
    ///
    /// let wide = Tensor::new([2, 4, 1], vec![0.0f32, 1.0, 2.0, 3.0, 0.0, 1.0, 2.0, 3.0]);
    /// assert_eq!(smart_resize(&wide, [1, 1], "bilinear", "channels_last").to_vec::<f32>()?, [1.5]);
    /// # Ok::<(), rhyton_core::Error>(())
    /// ```
    #[track_caller]
    pub fn smart_resize(x: &Tensor, size: [usize; 2], interpolation: &str, data_format: &str) -> Tensor {
        match middle(x, size, data_format) {
            Ok(part) => resize(&part, size, interpolation, false, AspectRatio::Stretch, Some(data_format)),
            Err(error) => Tensor::invalid(error),
        }
    }

    /// The largest part in the middle of images that has the aspect ratio of `size`.
    fn middle(x: &Tensor, size: [usize; 2], data_format: &str) -> Result<Tensor> {
        let rank = x.check()?.rank();
        if !(3..=4).contains(&rank) || size.contains(&0) {
            let what = format!("{} to {size:?}", x.ty());
            let fix = "give (height, width, channels) or a batch of such, and sizes of at least 1";
            return Err(Error::shape("smart_resize", what, fix));
        }
        let vertical = if data_format == "channels_first" { rank - 2 } else { rank - 3 };
        let (Some(height), Some(width)) = (x.shape()[vertical].known(), x.shape()[vertical + 1].known()) else {
            return Err(Error::shape("smart_resize", format!("{} has unknown sizes", x.ty()), "give known ones"));
        };
        // `of` · `to` / `by`, as Python's floats have it, between 1 and `most`.
        let side = |of: usize, to: usize, by: usize, most: usize| {
            ((of as f64 * to as f64 / by as f64) as usize).min(most).max(1)
        };
        let rows = side(width, size[0], size[1], height);
        let columns = side(height, size[1], size[0], width);
        let part = |all: usize, kept: usize| {
            let start = all.saturating_sub(kept) / 2;
            Index::from(start..start + kept)
        };
        let whole = std::iter::repeat_n(Index::from(..), vertical);
        let key: Vec<Index> = whole.chain([part(height, rows), part(width, columns)]).collect();
        Ok(ops::get_item(x, key))
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::prelude::{Array, Input};

        #[test]
        fn sizes_are_those_of_keras() {
            // keras.preprocessing.image.smart_resize(numpy.arange(...), ...), Keras 3.15.1.
            let image = |shape: [usize; 3]| {
                let count: usize = shape.iter().product();
                Tensor::from(Array::new(shape, (0..count).map(|i| (i * i % 97) as f32).collect::<Vec<_>>()))
            };
            for (shape, size, interpolation, format, expected) in SMART_RESIZED {
                let y = smart_resize(&image(*shape), *size, interpolation, format).eval().unwrap();
                for (y, e) in y.to_f64_vec().iter().zip(*expected) {
                    assert!((y - e).abs() < 1e-4, "{shape:?} {size:?}: {y} {e}");
                }
                assert_eq!(y.len(), expected.len());
            }
        }

        #[test]
        fn batches_are_cut_alike() {
            let batch = Tensor::from(Array::new([2, 2, 4, 1], (0..16).map(|i| i as f32).collect::<Vec<_>>()));
            let y = smart_resize(&batch, [2, 2], "nearest", "channels_last").to_vec::<f32>().unwrap();
            assert_eq!(y, [1.0, 2.0, 5.0, 6.0, 9.0, 10.0, 13.0, 14.0]);
            assert!(smart_resize(&batch, [0, 2], "nearest", "channels_last").eval().is_err());
            assert!(smart_resize(&Input::new([3]).symbol(), [1, 2], "nearest", "channels_last").check().is_err());
        }

        type Case = ([usize; 3], [usize; 2], &'static str, &'static str, &'static [f64]);
        const SMART_RESIZED: &[Case] = &[
            ([3, 7, 1], [2, 2], "bilinear", "channels_last", &[19.3125, 15.375, 68.0625, 41.0625]),
            (
                [7, 2, 1],
                [3, 5],
                "nearest",
                "channels_last",
                &[36.0, 36.0, 49.0, 49.0, 49.0, 36.0, 36.0, 49.0, 49.0, 49.0, 36.0, 36.0, 49.0, 49.0, 49.0],
            ),
            (
                [1, 5, 4],
                [4, 3],
                "bicubic",
                "channels_first",
                &[
                    0.96925, 2.55825, 6.78006, 34.5127, 46.5127, 26.97949, 53.8877, 75.8877, -1.375, 60.68686,
                    93.09785, 30.50885,
                ],
            ),
            ([1, 9, 1], [3, 3], "bilinear", "channels_last", &[16.0, 16.0, 16.0, 16.0, 16.0, 16.0, 16.0, 16.0, 16.0]),
        ];
    }
}
