//! Learning curves as an SVG picture.

use std::path::Path;

use plotters::prelude::*;
use rhyton::prelude::*;

use crate::error::{Error, Result};

/// Draws each metric of `history`, training and validation together, one chart above the other.
pub fn draw(history: &History, path: &Path) -> Result<()> {
    let names: Vec<&String> = history.history.keys().filter(|n| !n.starts_with("val_")).collect();
    let failed = |e: &dyn std::fmt::Display| Error::file(path, format!("the curves cannot be drawn: {e}"));
    let mut svg = String::new();
    {
        const WIDTH: u32 = 720;
        const HEIGHT: u32 = 320;
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT * names.len().max(1) as u32)).into_drawing_area();
        root.fill(&WHITE).map_err(|e| failed(&e))?;
        for (area, name) in root.split_evenly((names.len().max(1), 1)).iter().zip(&names) {
            let series = [(name.to_string(), &BLUE), (format!("val_{name}"), &RED)];
            let series: Vec<(String, Vec<f64>, &RGBColor)> = series
                .into_iter()
                .map(|(n, c)| (n.clone(), history.get(&n), c))
                .filter(|(_, v, _)| !v.is_empty())
                .collect();
            let values = || series.iter().flat_map(|(_, v, _)| v).copied().filter(|v| v.is_finite());
            let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
            if !low.is_finite() {
                continue;
            }
            let margin = ((high - low) * 0.05).max(1e-6);
            let epochs = history.epoch.len().max(2) as f64;
            let mut chart = ChartBuilder::on(area)
                .caption(name.as_str(), ("sans-serif", 16))
                .margin(12)
                .x_label_area_size(32)
                .y_label_area_size(56)
                .build_cartesian_2d(1.0..epochs, low - margin..high + margin)
                .map_err(|e| failed(&e))?;
            chart.configure_mesh().x_desc("epoch").light_line_style(WHITE).draw().map_err(|e| failed(&e))?;
            for (label, values, color) in &series {
                let color = **color;
                let points = values.iter().enumerate().map(|(i, v)| (i as f64 + 1.0, *v));
                chart
                    .draw_series(LineSeries::new(points, color.stroke_width(2)))
                    .map_err(|e| failed(&e))?
                    .label(label.clone())
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
            }
            chart.configure_series_labels().background_style(WHITE).draw().map_err(|e| failed(&e))?;
        }
        root.present().map_err(|e| failed(&e))?;
    }
    rhyton::formats::atomic::write_atomically(path, |file| std::io::Write::write_all(file, svg.as_bytes()))?;
    Ok(())
}
