//! A diagram as shapes with coordinates, models within models as boxes around their own.

use crate::diagram::{Diagram, Item};
use crate::fonts;
use crate::label::{Fill, Label};
use crate::layered::{self, Edge, Graph, Pin};

/// Something to draw; the origin is at the left top.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// A layer's box: a header, of which the first part is bold, over rows of cells.
    Layer { x: f64, y: f64, width: f64, header: [String; 2], rows: Vec<Vec<Cell>> },
    /// The dashed box around a model.
    Cluster { x: f64, y: f64, width: f64, height: f64, title: String },
    /// A line with corners.
    Line { points: Vec<(f64, f64)>, arrow: bool },
}

/// A cell of a layer's box.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub width: f64,
    pub what: &'static str,
    pub value: String,
    pub fill: Fill,
}

/// All shapes, and the size of what holds them.
#[derive(Clone, Debug, Default)]
pub(super) struct Scene {
    pub width: f64,
    pub height: f64,
    pub shapes: Vec<Shape>,
    /// Where the line from each input of the model ends.
    inputs: Vec<(f64, f64)>,
    /// Where each output leaves, at the bottom.
    outputs: Vec<f64>,
}

/// Heights of the parts of a layer's box, and the size of their text.
pub(super) const HEADER: f64 = 26.0;
pub(super) const CELLS: f64 = 24.0;
pub(super) const HEADER_TEXT: f64 = 14.0;
pub(super) const CELL_TEXT: f64 = 12.0;
/// Between text and border.
pub(super) const PADDING: f64 = 10.0;
/// Between a cluster's border and what it holds; above there is the title, too.
const INSIDE: f64 = 16.0;
const TITLE: f64 = 22.0;

/// The shapes of `diagram`.
pub(super) fn of(diagram: &Diagram) -> Scene {
    scene(diagram, false)
}

fn scene(diagram: &Diagram, is_within: bool) -> Scene {
    let inner = diagram.items.iter().map(|item| match item {
        Item::Cluster(_, inside) => Some(scene(inside, true)),
        Item::Layer(_) => None,
    });
    let inner: Vec<Option<Scene>> = inner.collect();
    let mut graph = Graph::default();
    for (item, inner) in diagram.items.iter().zip(&inner) {
        graph.sizes.push(match (item, inner) {
            (Item::Layer(label), _) => (width(label), HEADER + CELLS * rows(label).len() as f64),
            (Item::Cluster(title, _), Some(inner)) => {
                let title = fonts::width(title, CELL_TEXT, false) + 2.0 * PADDING;
                ((inner.width + 2.0 * INSIDE).max(title).ceil(), inner.height + 2.0 * INSIDE + TITLE)
            }
            (Item::Cluster(..), None) => (0.0, 0.0),
        });
        graph.pins.push(Pin::Free);
    }
    let port = |item: usize, at: fn(&Scene, usize) -> Option<f64>, i: usize| {
        let scene = inner[item].as_ref()?;
        // The inside is centred in its box.
        Some(at(scene, i)? - scene.width / 2.0)
    };
    let entry = |scene: &Scene, i: usize| scene.inputs.get(i).map(|p| p.0);
    let exit = |scene: &Scene, i: usize| scene.outputs.get(i).copied();
    for link in &diagram.edges {
        let (from_port, to_port) = (port(link.from, exit, link.output), port(link.to, entry, link.input));
        let edge = Edge { from: link.from, to: link.to, from_port, to_port };
        let same = |e: &Edge| (e.from, e.to, e.from_port, e.to_port) == (edge.from, edge.to, from_port, to_port);
        if !graph.edges.iter().any(same) {
            graph.edges.push(edge);
        }
    }
    let boxes = diagram.items.len();
    if is_within {
        diagram.inputs.iter().for_each(|&i| graph.pins[i] = Pin::First);
        for &(item, output) in &diagram.outputs {
            graph.edges.push(Edge {
                from: item,
                to: graph.sizes.len(),
                from_port: port(item, exit, output),
                to_port: None,
            });
            graph.sizes.push((0.0, 0.0));
            graph.pins.push(Pin::Last);
        }
    }
    let drawing = layered::draw(&graph);
    let mut out = Scene { width: drawing.width, height: drawing.height, ..Scene::default() };
    for (edge, points) in graph.edges.iter().zip(drawing.edges) {
        let arrow = edge.to < boxes && inner[edge.to].is_none();
        out.shapes.push(Shape::Line { points, arrow });
    }
    let mut entries: Vec<Vec<(f64, f64)>> = Vec::with_capacity(boxes);
    for (i, (item, inner)) in diagram.items.iter().zip(inner).enumerate() {
        let ((x, y), (width, height)) = (drawing.nodes[i], graph.sizes[i]);
        let left = x - width / 2.0;
        match (item, inner) {
            (Item::Cluster(title, _), Some(inner)) => {
                out.shapes.push(Shape::Cluster { x: left, y, width, height, title: title.clone() });
                let shift = (x - inner.width / 2.0, y + INSIDE + TITLE);
                let ends = inner.inputs.iter().map(|p| (p.0 + shift.0, p.1 + shift.1)).collect::<Vec<_>>();
                out.shapes.extend(inner.shapes.into_iter().map(|s| s.shifted(shift)));
                for (i, &end) in ends.iter().enumerate() {
                    if !ends[..i].contains(&end) {
                        out.shapes.push(Shape::Line { points: vec![(end.0, y), end], arrow: true });
                    }
                }
                for &exit in &inner.outputs {
                    let x = exit + shift.0;
                    let bottom = shift.1 + inner.height;
                    out.shapes.push(Shape::Line { points: vec![(x, bottom), (x, y + height)], arrow: false });
                }
                entries.push(ends);
            }
            (Item::Layer(label), _) => {
                out.shapes.push(layer(label, left, y, width));
                entries.push(vec![(x, y)]);
            }
            (Item::Cluster(..), None) => entries.push(Vec::new()),
        }
    }
    if is_within {
        // What comes in ends at the top of the box that takes it, or of the one inside that.
        out.inputs = diagram.inputs.iter().filter_map(|&i| Some((entries[i].first()?.0, drawing.nodes[i].1))).collect();
        out.outputs = drawing.nodes[boxes..].iter().map(|p| p.0).collect();
    }
    out
}

fn width(label: &Label) -> f64 {
    let rows = rows(label).into_iter().map(|row| row.iter().map(|c| c.width).sum::<f64>());
    let [bold, rest] = header(label);
    let header = fonts::width(&bold, HEADER_TEXT, true) + fonts::width(&rest, HEADER_TEXT, false) + 2.0 * PADDING;
    rows.fold(header, f64::max).ceil()
}

/// The name and the class, or the class alone.
fn header(label: &Label) -> [String; 2] {
    match &label.name {
        Some(name) => [name.clone(), format!(" ({})", label.class)],
        None => [label.class.clone(), String::new()],
    }
}

/// The cells below the header.
fn rows(label: &Label) -> Vec<Vec<Cell>> {
    let cell = |what: &'static str, value: &str, fill: Fill| {
        let text = fonts::width(what, CELL_TEXT, false) + fonts::width(value, CELL_TEXT, true);
        Cell { width: (text + 2.0 * PADDING).ceil(), what, value: value.to_owned(), fill }
    };
    let activation = label.activation.iter().map(|name| vec![cell("Activation: ", name, Fill::Plain)]);
    let cells: Vec<Cell> = label.cells.iter().map(|c| cell(c.what, &c.value, c.fill)).collect();
    activation.chain([cells]).filter(|row| !row.is_empty()).collect()
}

fn layer(label: &Label, x: f64, y: f64, width: f64) -> Shape {
    let mut rows = rows(label);
    for row in &mut rows {
        let free = width - row.iter().map(|c| c.width).sum::<f64>();
        let share = free / row.len() as f64;
        row.iter_mut().for_each(|c| c.width += share);
    }
    Shape::Layer { x, y, width, header: header(label), rows }
}

impl Shape {
    fn shifted(mut self, by: (f64, f64)) -> Shape {
        match &mut self {
            Shape::Layer { x, y, .. } | Shape::Cluster { x, y, .. } => (*x, *y) = (*x + by.0, *y + by.1),
            Shape::Line { points, .. } => points.iter_mut().for_each(|p| *p = (p.0 + by.0, p.1 + by.1)),
        }
        self
    }
}
