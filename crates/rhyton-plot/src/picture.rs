//! Pictures as files: one drawing, as SVG or as PNG by the name of the file.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use rhyton_core::{Error, Result};
use rhyton_formats::atomic::write_atomically;

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

/// Most pixels of a PNG: 3 bytes each in memory.
const MOST_PIXELS: f64 = 1e8;
/// Smaller than this, text cannot be read.
const SMALLEST_SCALE: f64 = 0.5;

/// Writes the picture to `path`, which ends in `.svg` or `.png`; the latter with `scale` pixels a unit, if it is not too large
/// for that.
///
/// # Errors
/// If it has another ending, cannot be written, or is too large for a PNG.
pub fn write(picture: &impl Picture, path: &Path, scale: f64) -> Result<()> {
    let at = || path.display().to_string();
    let failed = |what: String| Error::argument(at(), format!("the picture cannot be drawn: {what}"), "draw another");
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
            let scale = scale.min((MOST_PIXELS / (f64::from(width) * f64::from(height))).sqrt());
            if scale < SMALLEST_SCALE {
                let what = format!("{width} × {height} at a scale of {scale:.2} cannot be read as a PNG");
                return Err(Error::argument(at(), what, "write a .svg, or set a dpi of at least 50"));
            }
            let size = |units: u32| (f64::from(units) * scale).ceil() as u32;
            png(picture, (size(width), size(height)), scale).map_err(failed)?
        }
        _ => {
            let what = "pictures are written as .svg or .png";
            return Err(Error::argument(at(), what, "end the name in one of them, or in .dot for Graphviz"));
        }
    };
    save(path, &bytes)
}

/// Writes a whole file, in place of the one that is there.
///
/// # Errors
/// If it cannot be written.
pub fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically(path, |file| file.write_all(bytes))
        .map_err(|e| Error::Format { path: path.to_owned(), source: Arc::new(e) })
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
