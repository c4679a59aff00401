//! Pictures as files: one drawing, as SVG or as PNG by the name of the file.

use std::io::Write;
use std::path::Path;

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use rhyton::formats::atomic::write_atomically;

use crate::error::{Error, Result};

/// Something that can be drawn on whatever a file holds.
pub trait Picture {
    /// Width and height in units of an SVG.
    fn size(&self) -> (u32, u32);

    /// Draws it, every length times `scale`.
    ///
    /// # Errors
    /// What the back end says.
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, scale: f64) -> std::result::Result<(), String>;
}

/// Pixels a unit, of a PNG that is not too large for that.
const SCALE: f64 = 2.0;
/// Most pixels of a PNG: 3 bytes each in memory.
const MOST_PIXELS: f64 = 1e8;
/// Smaller than this, text cannot be read.
const SMALLEST_SCALE: f64 = 0.5;

/// Writes the picture to `path`, which ends in `.svg` or `.png`.
///
/// # Errors
/// If it has another ending, cannot be written, or is too large for a PNG.
pub fn write(picture: &impl Picture, path: &Path) -> Result<()> {
    let failed = |what: String| Error::file(path, format!("the picture cannot be drawn: {what}"));
    let (width, height) = picture.size();
    let bytes = match extension(path).as_deref() {
        Some("svg") => {
            let mut svg = String::new();
            let root = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
            picture.draw(&root, 1.0).map_err(failed)?;
            root.present().map_err(|e| failed(e.to_string()))?;
            drop(root);
            svg.into_bytes()
        }
        Some("png") => {
            let scale = SCALE.min((MOST_PIXELS / (f64::from(width) * f64::from(height))).sqrt());
            if scale < SMALLEST_SCALE {
                return Err(Error::file(
                    path,
                    format!("{width} × {height} is too large for a PNG that can be read; write a .svg"),
                ));
            }
            let size = |units: u32| (f64::from(units) * scale).ceil() as u32;
            png(picture, (size(width), size(height)), scale).map_err(failed)?
        }
        _ => return Err(Error::file(path, "pictures are written as .svg or .png; end the name in one of them")),
    };
    Ok(write_atomically(path, |file| file.write_all(&bytes))?)
}

/// The ending of a path in lower case.
pub fn extension(path: &Path) -> Option<String> {
    path.extension().map(|e| e.to_string_lossy().to_lowercase())
}

fn png(picture: &impl Picture, size: (u32, u32), scale: f64) -> std::result::Result<Vec<u8>, String> {
    let mut pixels = vec![255u8; size.0 as usize * size.1 as usize * 3];
    {
        let root = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        picture.draw(&root, scale)?;
        root.present().map_err(|e| e.to_string())?;
    }
    let mut png = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut png);
    image::ImageEncoder::write_image(encoder, &pixels, size.0, size.1, image::ExtendedColorType::Rgb8)
        .map_err(|e| e.to_string())?;
    Ok(png)
}
