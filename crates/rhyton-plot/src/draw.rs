//! A model's graph as a picture, in the manner of Keras's `plot_model`.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use rhyton_core::model::Model;
use rhyton_core::{Error, Result};

use crate::diagram::Diagram;
use crate::dot::model_to_dot;
use crate::fonts;
use crate::label::Fill;
use crate::options::{PlotModel, RankDir};
use crate::picture::{self, Picture};
use crate::scene::{self, CELL_TEXT, CELLS, HEADER, HEADER_TEXT, PADDING, Scene, Shape};

/// Draws the graph of `model` to the file at `to_file`: a picture, if its name ends in `.svg` or `.png`, or for `.dot` what
/// [`model_to_dot`] writes.
///
/// Each layer is one box, but for one that is called on what it gave itself: that one has a box for each call.
///
/// # Errors
/// If the model is not built, the name ends otherwise, a picture is to go elsewhere than downwards, or the file cannot be
/// written.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
/// use rhyton_plot::{PlotModel, plot_model};
///
/// let model = Sequential::new().add(Input::new([3])).add(Dense::new(2));
/// let folder = tempfile::tempdir()?;
/// plot_model(&model, folder.path().join("model.svg"), &PlotModel::new().show_shapes(true))?;
/// assert!(std::fs::read_to_string(folder.path().join("model.svg"))?.contains("Dense"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn plot_model(model: &Model, to_file: impl AsRef<Path>, shown: &PlotModel) -> Result<()> {
    let path = to_file.as_ref();
    if picture::extension(path).as_deref() == Some("dot") {
        // As Keras's `plot_model`, without names unless they are asked for.
        let shown = PlotModel { show_layer_names: shown.show_layer_names.or(Some(false)), ..shown.clone() };
        let text = model_to_dot(model, &shown)?;
        return picture::save(path, text.as_bytes());
    }
    if shown.rankdir != RankDir::TopToBottom {
        return Err(Error::unsupported(
            "plot_model",
            format!("pictures go downwards, not {}", shown.rankdir.name()),
            "leave rankdir out, or write a .dot for Graphviz",
        ));
    }
    let diagram = Diagram::of(model, shown)?;
    picture::write(&scene::of(&diagram), path, f64::from(shown.dpi) / 100.0)
}

/// Around everything.
const MARGIN: f64 = 16.0;
const LINE: RGBColor = RGBColor(60, 60, 60);
const BORDER: RGBColor = RGBColor(20, 20, 20);
/// Graphviz's `forestgreen` and `firebrick`.
const TRAINABLE: RGBColor = RGBColor(34, 139, 34);
const FROZEN: RGBColor = RGBColor(178, 34, 34);
const DASH: f64 = 5.0;
/// Length and half the width of an arrow's head.
const ARROW: (f64, f64) = (8.0, 4.0);

impl Picture for Scene {
    fn size(&self) -> (u32, u32) {
        ((self.width + 2.0 * MARGIN).ceil() as u32, (self.height + 2.0 * MARGIN).ceil() as u32)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, scale: f64) -> std::result::Result<(), String> {
        area.fill(&WHITE).map_err(|e| e.to_string())?;
        let pen = Pen { area, scale };
        self.shapes.iter().try_for_each(|shape| pen.shape(shape))
    }
}

struct Pen<'a, B: DrawingBackend> {
    area: &'a DrawingArea<B, Shift>,
    scale: f64,
}

type Drawn = std::result::Result<(), String>;

impl<B: DrawingBackend> Pen<'_, B> {
    fn shape(&self, shape: &Shape) -> Drawn {
        match shape {
            Shape::Layer { x, y, width, header: [bold, rest], rows } => {
                self.rectangle((*x, *y), (*width, HEADER), BORDER.filled())?;
                let middle = y + HEADER / 2.0;
                let name = fonts::width(bold, HEADER_TEXT, true);
                let all = name + fonts::width(rest, HEADER_TEXT, false);
                let left = x + (width - all) / 2.0;
                self.text(bold, (left, middle), HEADER_TEXT, true, &WHITE)?;
                self.text(rest, (left + name, middle), HEADER_TEXT, false, &WHITE)?;
                for (i, row) in rows.iter().enumerate() {
                    self.row(row, (*x, y + HEADER + i as f64 * CELLS))?;
                }
                Ok(())
            }
            Shape::Cluster { x, y, width, height, title } => {
                let corners = [(*x, *y), (x + width, *y), (x + width, y + height), (*x, y + height), (*x, *y)];
                corners.windows(2).try_for_each(|side| self.dashes(side[0], side[1]))?;
                self.text(title, (x + PADDING, y + 12.0), CELL_TEXT, true, &LINE)
            }
            Shape::Line { points, arrow } => {
                let mut points = points.clone();
                let end = points.last().copied().unwrap_or_default();
                if *arrow {
                    // The line ends where the head begins to be wider than it.
                    let last = points.len() - 1;
                    points[last].1 -= ARROW.0 / 2.0;
                    let (length, half) = ARROW;
                    let head = [end, (end.0 - half, end.1 - length), (end.0 + half, end.1 - length)];
                    let head: Vec<(i32, i32)> = head.iter().map(|&p| self.at(p)).collect();
                    self.put(&Polygon::new(head, LINE.filled()))?;
                }
                let path: Vec<(i32, i32)> = points.iter().map(|&p| self.at(p)).collect();
                self.put(&PathElement::new(path, LINE.stroke_width(self.stroke(1.5))))
            }
        }
    }

    fn row(&self, cells: &[scene::Cell], (mut left, top): (f64, f64)) -> Drawn {
        for cell in cells {
            let (fill, ink) = match cell.fill {
                Fill::Plain => (WHITE, BLACK),
                Fill::Trainable => (TRAINABLE, WHITE),
                Fill::Frozen => (FROZEN, WHITE),
            };
            self.rectangle((left, top), (cell.width, CELLS), fill.filled())?;
            self.rectangle((left, top), (cell.width, CELLS), BORDER.stroke_width(self.stroke(1.0)))?;
            let what = fonts::width(cell.what, CELL_TEXT, false);
            let start = left + (cell.width - what - fonts::width(&cell.value, CELL_TEXT, true)) / 2.0;
            let middle = top + CELLS / 2.0;
            self.text(cell.what, (start, middle), CELL_TEXT, false, &ink)?;
            self.text(&cell.value, (start + what, middle), CELL_TEXT, true, &ink)?;
            left += cell.width;
        }
        Ok(())
    }

    fn put<E>(&self, element: &E) -> Drawn
    where
        for<'e> &'e E: plotters::element::PointCollection<'e, (i32, i32)>,
        E: plotters::element::Drawable<B>,
    {
        self.area.draw(element).map_err(|e| e.to_string())
    }

    fn at(&self, (x, y): (f64, f64)) -> (i32, i32) {
        (((x + MARGIN) * self.scale).round() as i32, ((y + MARGIN) * self.scale).round() as i32)
    }

    fn stroke(&self, width: f64) -> u32 {
        (width * self.scale).round().max(1.0) as u32
    }

    fn rectangle(&self, (x, y): (f64, f64), (width, height): (f64, f64), style: ShapeStyle) -> Drawn {
        self.put(&Rectangle::new([self.at((x, y)), self.at((x + width, y + height))], style))
    }

    fn dashes(&self, (x0, y0): (f64, f64), (x1, y1): (f64, f64)) -> Drawn {
        let length = (x1 - x0).abs() + (y1 - y0).abs();
        let point = |at: f64| self.at((x0 + (x1 - x0) * at / length, y0 + (y1 - y0) * at / length));
        let mut start = 0.0;
        while start < length {
            let dash = vec![point(start), point((start + DASH).min(length))];
            self.put(&PathElement::new(dash, LINE.stroke_width(self.stroke(1.0))))?;
            start += 2.0 * DASH;
        }
        Ok(())
    }

    fn text(&self, text: &str, at: (f64, f64), size: f64, bold: bool, color: &RGBColor) -> Drawn {
        // Letters are centred with room for accents above them: without those they look right a little lower.
        let at = (at.0, at.1 + size * 0.1);
        let style = TextStyle::from(fonts::font(size * self.scale, bold)).color(color);
        self.put(&Text::new(text.to_owned(), self.at(at), style.pos(Pos::new(HPos::Left, VPos::Center))))
    }
}
