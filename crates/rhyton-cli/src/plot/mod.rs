//! A model's graph as a picture, in the manner of Keras's `plot_model`.

mod align;
mod diagram;
mod layered;
mod route;
mod scene;

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use rhyton::prelude::Model;

use crate::error::Result;
use crate::fonts;
use crate::picture::{self, Picture};
use scene::{CELL_TEXT, CELLS, HEADER, HEADER_TEXT, PADDING, Scene, Shape};

/// Draws `model` to the `.svg` or `.png` at `path`; with `expand_nested`, the layers of models within it, too.
///
/// # Errors
/// If the shapes of the model are not known, or the file cannot be written.
pub fn draw(model: &Model, expand_nested: bool, path: &Path) -> Result<()> {
    let diagram = diagram::Diagram::of(model, expand_nested)?;
    picture::write(&scene::of(&diagram), path)
}

/// Around everything.
const MARGIN: f64 = 16.0;
const LINE: RGBColor = RGBColor(60, 60, 60);
const BORDER: RGBColor = RGBColor(20, 20, 20);
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
            Shape::Layer { x, y, width, header, class, cells } => {
                self.rectangle((*x, *y), (*width, HEADER), BORDER.filled())?;
                let middle = y + HEADER / 2.0;
                let name = fonts::width(header, HEADER_TEXT, true);
                let all = name + fonts::width(class, HEADER_TEXT, false);
                let left = x + (width - all) / 2.0;
                self.text(header, (left, middle), HEADER_TEXT, true, &WHITE)?;
                self.text(class, (left + name, middle), HEADER_TEXT, false, &WHITE)?;
                let mut left = *x;
                for cell in cells {
                    self.rectangle((left, y + HEADER), (cell.width, CELLS), WHITE.filled())?;
                    self.rectangle((left, y + HEADER), (cell.width, CELLS), BORDER.stroke_width(self.stroke(1.0)))?;
                    let what = fonts::width(cell.what, CELL_TEXT, false);
                    let start = left + (cell.width - what - fonts::width(&cell.value, CELL_TEXT, true)) / 2.0;
                    let middle = y + HEADER + CELLS / 2.0;
                    self.text(cell.what, (start, middle), CELL_TEXT, false, &BLACK)?;
                    self.text(&cell.value, (start + what, middle), CELL_TEXT, true, &BLACK)?;
                    left += cell.width;
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
