//! Images in files.

use std::io::Write;
use std::path::Path;

use image::codecs::{bmp::BmpEncoder, gif::GifEncoder, jpeg::JpegEncoder, png::PngEncoder};
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageReader};
use rhyton_formats::atomic::write_atomically;
use rhyton_ir::array::element_count;
use rhyton_ir::{Array, DType};

use super::resample::{Interpolation, resized};
use super::{DataFormat, Image, array_to_img};
use crate::error::{Error, Result, io_error};
use crate::image_directory::{ColorMode, luma};

/// How [`load_img`] reads an image. The defaults are Keras's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadImg {
    color_mode: ColorMode,
    target_size: Option<(usize, usize)>,
    interpolation: Interpolation,
    keep_aspect_ratio: bool,
}

impl LoadImg {
    /// Keras's defaults: RGB, in the size of the file, and where that is changed, the nearest pixels.
    pub fn new() -> LoadImg {
        LoadImg::default()
    }

    /// The channels. Grayscale images of 16 bits keep those with `ColorMode::Grayscale`, and are cut to 8 otherwise.
    pub fn color_mode(mut self, color_mode: ColorMode) -> LoadImg {
        self.color_mode = color_mode;
        self
    }

    /// The height and width that the image is resized to.
    pub fn target_size(mut self, height: usize, width: usize) -> LoadImg {
        self.target_size = Some((height, width));
        self
    }

    /// How it is resized.
    pub fn interpolation(mut self, interpolation: Interpolation) -> LoadImg {
        self.interpolation = interpolation;
        self
    }

    /// Whether only the part in the middle that has the aspect ratio of the target is taken; not unless said.
    pub fn keep_aspect_ratio(mut self, keep_aspect_ratio: bool) -> LoadImg {
        self.keep_aspect_ratio = keep_aspect_ratio;
        self
    }
}

/// Reads the image in the file at `path`, a PNG, JPEG, BMP or GIF (its first picture), and resizes it as Pillow 12 does. What it is,
/// is told by its content. Pixels of JPEG files, and those that later Pillows resize, may differ by a step.
///
/// # Errors
/// If the file cannot be read or is no image, or the target size has no pixels or more than fit into memory.
pub fn load_img(path: impl AsRef<Path>, options: &LoadImg) -> Result<Image> {
    let path = path.as_ref();
    let reader = ImageReader::open(path).map_err(io_error(path, "open"))?;
    let reader = reader.with_guessed_format().map_err(io_error(path, "read"))?;
    let decoded = reader.decode().map_err(|source| Error::Image { path: path.to_owned(), source })?;
    let pixels = converted(decoded, options.color_mode);
    let (height, width) = (pixels.shape()[0], pixels.shape()[1]);
    let Some(to) = options.target_size.filter(|&size| size != (height, width)) else { return Ok(Image { pixels }) };
    let (mut rows, mut columns) = (height, width);
    let len = element_count(&[to.0, to.1, pixels.shape()[2]]).filter(|&len| len > 0);
    if len.is_none_or(|len| Vec::<f64>::new().try_reserve_exact(len).is_err()) {
        return Err(Error::Argument {
            what: format!("the target size {} × {}", to.0, to.1),
            fix: "give at least one pixel, and no more than fit into memory".into(),
        });
    }
    if options.keep_aspect_ratio {
        // `u128`, for the products of sizes may be large.
        let side = |of: usize, to: usize, by: usize| (of as u128 * to as u128 / by as u128) as usize;
        rows = rows.min(side(width, to.0, to.1));
        columns = columns.min(side(height, to.1, to.0));
    }
    if rows == 0 || columns == 0 {
        return Err(Error::Argument {
            what: format!("no part of {height} × {width} pixels has the aspect ratio of {} × {}", to.0, to.1),
            fix: "choose another target size, or leave keep_aspect_ratio out".into(),
        });
    }
    let part = |all: usize, kept: usize| ((all - kept) / 2, (all - kept) / 2 + kept);
    let pixels = resized(&pixels, part(height, rows), part(width, columns), to, options.interpolation);
    Ok(Image { pixels })
}

/// The pixels in the channels of `color_mode`, as Pillow converts them.
fn converted(image: DynamicImage, color_mode: ColorMode) -> Array {
    let size = (image.height() as usize, image.width() as usize);
    let shape = |channels: usize| [size.0, size.1, channels];
    let (gray, rgb, rgba) = (shape(1), shape(3), shape(4));
    let image = match image {
        DynamicImage::ImageLuma16(pixels) if color_mode == ColorMode::Grayscale => {
            return Array::new(gray, pixels.into_raw());
        }
        // Grays of 16 bits are cut off at 255, all others lose their lower half.
        DynamicImage::ImageLuma16(pixels) => bytes(gray, pixels.into_raw(), |v| v.min(255) as u8),
        DynamicImage::ImageLumaA16(pixels) => bytes(shape(2), pixels.into_raw(), |v| (v >> 8) as u8),
        DynamicImage::ImageRgb16(pixels) => bytes(rgb, pixels.into_raw(), |v| (v >> 8) as u8),
        DynamicImage::ImageRgba16(pixels) => bytes(rgba, pixels.into_raw(), |v| (v >> 8) as u8),
        other => other,
    };
    match (color_mode, image) {
        (ColorMode::Grayscale, image) if !image.color().has_color() => Array::new(gray, image.into_luma8().into_raw()),
        (ColorMode::Grayscale, image) => {
            Array::new(gray, image.into_rgb8().pixels().map(|p| luma(p.0)).collect::<Vec<u8>>())
        }
        (ColorMode::Rgb, image) => Array::new(rgb, image.into_rgb8().into_raw()),
        (ColorMode::Rgba, image) => Array::new(rgba, image.into_rgba8().into_raw()),
    }
}

/// An image of bytes made of one of 16 bits.
fn bytes([height, width, channels]: [usize; 3], values: Vec<u16>, byte: fn(u16) -> u8) -> DynamicImage {
    let bytes: Vec<u8> = values.into_iter().map(byte).collect();
    let (width, height) = (width as u32, height as u32);
    let image = match channels {
        1 => image::GrayImage::from_raw(width, height, bytes).map(DynamicImage::ImageLuma8),
        2 => image::GrayAlphaImage::from_raw(width, height, bytes).map(DynamicImage::ImageLumaA8),
        3 => image::RgbImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8),
        _ => image::RgbaImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgba8),
    };
    // There are as many bytes as there were numbers.
    image.unwrap_or_default()
}

/// Writes an array of one image to `path` as [`array_to_img`](super::array_to_img) makes it, in `file_format` or that of the
/// name's ending: `png`, `jpeg` or `jpg` (which drops an alpha channel), `bmp` or `gif`. A file that is there is replaced.
///
/// # Errors
/// As `array_to_img`; if the format is another, or has no pixels as these; if the file cannot be written.
///
/// # Examples
/// ```
/// use rhyton_data::image::{DataFormat, LoadImg, load_img, save_img};
/// use rhyton_ir::Array;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("red.png");
/// save_img(&path, &Array::new([1, 1, 3], vec![255u8, 0, 0]), DataFormat::ChannelsLast, None, false)?;
/// assert_eq!(load_img(&path, &LoadImg::new())?.pixels(), &Array::new([1, 1, 3], vec![255u8, 0, 0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn save_img(
    path: impl AsRef<Path>,
    x: &Array,
    data_format: DataFormat,
    file_format: Option<&str>,
    scale: bool,
) -> Result<()> {
    let path = path.as_ref();
    let image = array_to_img(x, data_format, scale, DType::F32)?;
    let ending = path.extension().map(|e| e.to_string_lossy().into_owned());
    let format = file_format.map(str::to_owned).or(ending).unwrap_or_default().to_lowercase();
    let wrong = |what: String, fix: &str| Error::Argument { what, fix: fix.into() };
    if image.pixels.dtype() != DType::U8 {
        let what = format!("{}: values above 255 do not fit into the bytes of an image", path.display());
        return Err(wrong(what, "set scale, or divide the values"));
    }
    let (Ok(height), Ok(width)) = (u32::try_from(image.height()), u32::try_from(image.width())) else {
        let what = format!("{}: {} × {} pixels", path.display(), image.height(), image.width());
        return Err(wrong(what, "no format holds as many, write a part"));
    };
    let mut pixels: Vec<u8> = image.pixels.to_f64_vec().into_iter().map(|v| v as u8).collect();
    let mut color = match image.channels() {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        _ => ExtendedColorType::Rgba8,
    };
    let mut encoded = Vec::new();
    let written = match format.as_str() {
        "png" => PngEncoder::new(&mut encoded).write_image(&pixels, width, height, color),
        "jpeg" | "jpg" => {
            if color == ExtendedColorType::Rgba8 {
                pixels = pixels.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
                color = ExtendedColorType::Rgb8;
            }
            JpegEncoder::new(&mut encoded).write_image(&pixels, width, height, color)
        }
        "bmp" => BmpEncoder::new(&mut encoded).write_image(&pixels, width, height, color),
        "gif" => {
            if color == ExtendedColorType::L8 {
                pixels = pixels.iter().flat_map(|&v| [v; 3]).collect();
                color = ExtendedColorType::Rgb8;
            }
            GifEncoder::new(&mut encoded).encode(&pixels, width, height, color)
        }
        other => {
            let what = format!("{}: images of the format {other:?} are not written", path.display());
            return Err(wrong(what, "end the name in .png, .jpg, .bmp or .gif, or give one of these as file_format"));
        }
    };
    written.map_err(|source| Error::Encoding { path: path.to_owned(), source })?;
    Ok(write_atomically(path, |file| file.write_all(&encoded))?)
}
