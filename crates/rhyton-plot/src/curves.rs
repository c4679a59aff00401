//! Learning curves as a picture.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use rhyton_core::Result;
use rhyton_core::trainer::History;

use crate::fonts;
use crate::picture::{self, Picture};

/// Pixels a unit of a PNG.
const SCALE: f64 = 2.0;

/// Draws each metric of `history`, training and validation together, one chart above the other, to a `.svg` or `.png`.
///
/// # Errors
/// If the name ends otherwise, or the file cannot be written.
pub fn plot_history(history: &History, path: impl AsRef<Path>) -> Result<()> {
    picture::write(&Curves(history), path.as_ref(), SCALE)
}

struct Curves<'h>(&'h History);

/// One chart.
const WIDTH: u32 = 720;
const HEIGHT: u32 = 320;
/// Most numbers along the axis of epochs.
const MOST_LABELS: usize = 12;

impl Curves<'_> {
    fn names(&self) -> Vec<&String> {
        self.0.history.keys().filter(|n| !n.starts_with("val_")).collect()
    }
}

impl Picture for Curves<'_> {
    fn size(&self) -> (u32, u32) {
        (WIDTH, HEIGHT * self.names().len().max(1) as u32)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, scale: f64) -> std::result::Result<(), String> {
        area.fill(&WHITE).map_err(|e| e.to_string())?;
        let names = self.names();
        for (area, name) in area.split_evenly((names.len().max(1), 1)).iter().zip(&names) {
            chart(self.0, name, area, scale).map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}

/// One metric over the epochs.
fn chart<'a, B: DrawingBackend + 'a>(
    history: &History,
    name: &str,
    area: &'a DrawingArea<B, Shift>,
    scale: f64,
) -> std::result::Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let series = [(name.to_owned(), &BLUE), (format!("val_{name}"), &RED)];
    let series: Vec<(String, Vec<f64>, &RGBColor)> =
        series.into_iter().map(|(n, c)| (n.clone(), history.get(&n), c)).filter(|(_, v, _)| !v.is_empty()).collect();
    let values = || series.iter().flat_map(|(_, v, _)| v).copied().filter(|v| v.is_finite());
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    if !low.is_finite() {
        return Ok(());
    }
    let margin = ((high - low) * 0.05).max(1e-6);
    let epochs = history.epoch.len().max(2) as f64;
    let pixels = |units: f64| (units * scale).round() as u32;
    let text = |size: f64| fonts::font(size * scale, false);
    let mut chart = ChartBuilder::on(area)
        .caption(name, text(16.0))
        .margin(pixels(12.0))
        .margin_right(pixels(24.0))
        .x_label_area_size(pixels(36.0))
        .y_label_area_size(pixels(60.0))
        .build_cartesian_2d(1.0..epochs, low - margin..high + margin)?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .x_labels(history.epoch.len().clamp(2, MOST_LABELS))
        .x_label_formatter(&|epoch| if epoch.fract() == 0.0 { format!("{epoch:.0}") } else { String::new() })
        .light_line_style(WHITE)
        .label_style(text(12.0))
        .axis_desc_style(text(12.0))
        .axis_style(BLACK.stroke_width(pixels(1.0)))
        .draw()?;
    let (stroke, length) = (pixels(2.0), pixels(16.0) as i32);
    for (label, values, color) in &series {
        let color = **color;
        let points = values.iter().enumerate().map(|(i, v)| (i as f64 + 1.0, *v));
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(stroke)))?
            .label(label.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + length, y)], color.stroke_width(stroke)));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .label_font(text(12.0))
        .legend_area_size(pixels(24.0))
        .draw()
}
