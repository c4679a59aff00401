//! The letters in pictures: DejaVu Sans, which is part of the program, so that pictures are the same everywhere.

use std::sync::Once;

use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};

/// The parts of the fonts for Latin, Greek and Cyrillic; see `assets/DejaVu-LICENSE.txt`.
const REGULAR: &[u8] = include_bytes!("../assets/DejaVuSans.ttf");
const BOLD: &[u8] = include_bytes!("../assets/DejaVuSans-Bold.ttf");

/// The font in `size` pixels.
pub fn font(size: f64, bold: bool) -> FontDesc<'static> {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        for (style, bytes) in [(FontStyle::Normal, REGULAR), (FontStyle::Bold, BOLD)] {
            // Fails only for bytes that are no font.
            let _ = register_font("sans-serif", style, bytes);
        }
    });
    let style = if bold { FontStyle::Bold } else { FontStyle::Normal };
    FontDesc::new(FontFamily::SansSerif, size, style)
}

/// How wide `text` is, in pixels.
pub fn width(text: &str, size: f64, bold: bool) -> f64 {
    // Measured large, for sizes are whole pixels.
    const LARGE: f64 = 200.0;
    let ((left, _), (right, _)) = font(LARGE, bold).layout_box(text).unwrap_or_default();
    f64::from(right - left) * size / LARGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wider_letters_and_bold_ones_take_more_room() {
        assert!(width("iii", 12.0, false) > 0.0);
        assert!(width("mmm", 12.0, false) > 2.0 * width("iii", 12.0, false));
        assert!(width("mmm", 12.0, true) > width("mmm", 12.0, false));
        assert!((width("mmm", 24.0, false) / width("mmm", 12.0, false) - 2.0).abs() < 1e-9);
    }
}
