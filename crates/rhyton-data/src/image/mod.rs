//! Single images: files, and arrays made of them, as `keras.utils.load_img` and its companions have them.

mod file;
mod resample;

use rhyton_ir::{Array, DType, f16};

use crate::error::{Error, Result};

pub use file::{LoadImg, load_img, save_img};
pub use resample::Interpolation;

/// Which axis of an image's array is that of the channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataFormat {
    /// (height, width, channels).
    #[default]
    ChannelsLast,
    /// (channels, height, width).
    ChannelsFirst,
}

/// An image: what Pillow's `Image` is to Keras.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// (height, width, channels): `uint8` with 1, 3 or 4 channels, or with 1 also `uint16` or `int32`.
    pixels: Array,
}

impl Image {
    /// The height in pixels.
    pub fn height(&self) -> usize {
        self.pixels.shape()[0]
    }

    /// The width in pixels.
    pub fn width(&self) -> usize {
        self.pixels.shape()[1]
    }

    /// How many channels there are.
    pub fn channels(&self) -> usize {
        self.pixels.shape()[2]
    }

    /// Pillow's name of what the pixels are: `L`, `RGB`, `RGBA`, `I;16` or `I`.
    pub fn mode(&self) -> &'static str {
        match (self.pixels.dtype(), self.channels()) {
            (DType::U8, 4) => "RGBA",
            (DType::U8, 3) => "RGB",
            (DType::U8, _) => "L",
            (DType::U16, _) => "I;16",
            _ => "I",
        }
    }

    /// The pixels, (height, width, channels).
    pub fn pixels(&self) -> &Array {
        &self.pixels
    }
}

/// The image of an array of one: three axes, of which the channels are 1, 3 or 4. With `scale` the values are stretched to what
/// lies between 0 and 255. They are computed with in `dtype`, a floating-point one (Keras's default is its `floatx`), and cut
/// to whole numbers; of one channel with values above 255 to 32 bits.
///
/// # Errors
/// If the shape is another, there is no element, or `dtype` is not floating-point.
///
/// # Examples
/// ```
/// use rhyton_data::image::{DataFormat, array_to_img};
/// use rhyton_ir::{Array, DType};
///
/// let image = array_to_img(&Array::new([1, 2, 1], vec![0.5f32, 1.5]), DataFormat::ChannelsLast, true, DType::F32)?;
/// assert_eq!((image.mode(), image.pixels()), ("L", &Array::new([1, 2, 1], vec![0u8, 255])));
/// # Ok::<(), rhyton_data::Error>(())
/// ```
pub fn array_to_img(x: &Array, data_format: DataFormat, scale: bool, dtype: DType) -> Result<Image> {
    if x.rank() != 3 || x.is_empty() || !dtype.is_float() {
        return Err(Error::Argument {
            what: format!("an array of shape {:?}, to be computed with in {dtype}, is no image", x.shape()),
            fix: "give three axes with at least one pixel, and a floating-point dtype".into(),
        });
    }
    let (shape, mut values) = channels_last(x, data_format);
    // Each operation is rounded to the dtype, as NumPy does.
    let round = |v: f64| match dtype {
        DType::F64 => v,
        DType::F16 => f16::from_f64(v).to_f64(),
        _ => f64::from(v as f32),
    };
    values.iter_mut().for_each(|v| *v = round(*v));
    if scale {
        let least = values.iter().copied().fold(f64::INFINITY, minimum);
        values.iter_mut().for_each(|v| *v = round(*v - least));
        let most = values.iter().copied().fold(f64::NEG_INFINITY, maximum);
        if most != 0.0 {
            values.iter_mut().for_each(|v| *v = round(*v / most));
        }
        values.iter_mut().for_each(|v| *v = round(*v * 255.0));
    }
    let most = values.iter().copied().fold(f64::NEG_INFINITY, maximum);
    let pixels = match shape[2] {
        1 if most > 255.0 => Array::new(shape, values.iter().map(|&v| v as i32).collect::<Vec<_>>()),
        // What a byte cannot hold loses its upper bits, as in C.
        1 | 3 | 4 => Array::new(shape, values.iter().map(|&v| v as i64 as u8).collect::<Vec<_>>()),
        channels => {
            return Err(Error::Argument {
                what: format!("an image of {channels} channels"),
                fix: "give 1 (grayscale), 3 (RGB) or 4 (RGBA), along the axis that the data format says".into(),
            });
        }
    };
    Ok(Image { pixels })
}

/// The pixels of an image as an array of three axes and `dtype` (Keras's default is its `floatx`); values stay as they are.
pub fn img_to_array(image: &Image, data_format: DataFormat, dtype: DType) -> Array {
    let pixels = image.pixels.cast(dtype);
    if data_format == DataFormat::ChannelsLast {
        return pixels;
    }
    let [height, width, channels] = [image.height(), image.width(), image.channels()];
    let values = pixels.cast(DType::F64).to_f64_vec();
    let moved = (0..values.len()).map(|i| {
        let (channel, place) = (i / (height * width), i % (height * width));
        values[place * channels + channel]
    });
    Array::new([channels, height, width], moved.collect::<Vec<f64>>()).cast(dtype)
}

/// The shape and values of an image's array with the channels last.
fn channels_last(x: &Array, data_format: DataFormat) -> ([usize; 3], Vec<f64>) {
    let values = x.cast(DType::F64).to_f64_vec();
    let &[a, b, c] = x.shape() else { return ([0; 3], values) };
    if data_format == DataFormat::ChannelsLast {
        return ([a, b, c], values);
    }
    let moved = (0..values.len()).map(|i| values[i % a * (b * c) + i / a]);
    ([b, c, a], moved.collect())
}

/// As NumPy: NaN if one is.
fn minimum(a: f64, b: f64) -> f64 {
    if a.is_nan() || a < b { a } else { b }
}

fn maximum(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(x: &Array, format: DataFormat, scale: bool) -> Image {
        array_to_img(x, format, scale, DType::F32).unwrap()
    }

    #[test]
    fn arrays_become_images_and_back() {
        let x = Array::new([2, 1, 3], vec![0.0f32, 10.9, 20.0, 30.0, 40.0, 255.0]);
        let last = image(&x, DataFormat::ChannelsLast, false);
        assert_eq!((last.mode(), last.height(), last.width(), last.channels()), ("RGB", 2, 1, 3));
        assert_eq!(last.pixels(), &Array::new([2, 1, 3], vec![0u8, 10, 20, 30, 40, 255]));
        let first = image(&Array::new([1, 2, 1], vec![0.0f32, 300.0]), DataFormat::ChannelsFirst, false);
        assert_eq!((first.mode(), first.pixels()), ("I", &Array::new([2, 1, 1], vec![0i32, 300])));
        let planes = img_to_array(&last, DataFormat::ChannelsFirst, DType::I32);
        assert_eq!(planes, Array::new([3, 2, 1], vec![0i32, 30, 10, 40, 20, 255]));
        assert_eq!(image(&planes, DataFormat::ChannelsFirst, false), last);
    }

    #[test]
    fn values_are_stretched() {
        // keras.utils.array_to_img(numpy.array([[[-1.0], [0.3], [2.7]]])), Keras 3.15.1.
        let x = Array::new([1, 3, 1], vec![-1.0f32, 0.3, 2.7]);
        assert_eq!(image(&x, DataFormat::ChannelsLast, true).pixels(), &Array::new([1, 3, 1], vec![0u8, 89, 255]));
        let flat = image(&Array::new([1, 2, 1], vec![7.0f32; 2]), DataFormat::ChannelsLast, true);
        assert_eq!(flat.pixels(), &Array::new([1, 2, 1], vec![0u8; 2]));
    }

    #[test]
    fn what_is_no_image_is_refused() {
        for shape in [vec![4], vec![1, 2, 2], vec![0, 2, 3], vec![1, 1, 2, 3]] {
            let x = Array::zeros(DType::F32, shape);
            assert!(array_to_img(&x, DataFormat::ChannelsLast, true, DType::F32).is_err(), "{:?}", x.shape());
        }
        let x = Array::zeros(DType::F32, [1, 1, 1]);
        assert!(array_to_img(&x, DataFormat::ChannelsLast, true, DType::U8).is_err());
    }
}
