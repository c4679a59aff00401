//! What is drawn of a model: boxes for layers, as Keras's `plot_model` has them, and edges between them.

use std::collections::HashMap;

use rhyton::layers::LayerRef;
use rhyton::model::CallNode;
use rhyton::prelude::*;

use crate::error::{Error, Result};

/// The boxes of a model.
#[derive(Debug)]
pub(super) struct Diagram {
    pub items: Vec<Item>,
    pub edges: Vec<Link>,
    /// The box that takes each input of the model.
    pub inputs: Vec<usize>,
    /// The box that gives each output, and which of the box's outputs that is.
    pub outputs: Vec<(usize, usize)>,
}

/// A box.
#[derive(Debug)]
pub(super) enum Item {
    /// A layer.
    Layer(Label),
    /// A model with its layers.
    Cluster(String, Diagram),
}

/// The text of a box.
#[derive(Debug)]
pub(super) struct Label {
    pub name: String,
    pub class: &'static str,
    /// What and value, side by side.
    pub cells: Vec<(&'static str, String)>,
}

/// From an output of a box to an input of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub from: usize,
    pub output: usize,
    pub to: usize,
    pub input: usize,
}

impl Diagram {
    /// The boxes of `model`; with `expand`, those of the models within it, too.
    ///
    /// # Errors
    /// If the shapes of a stack are not known.
    pub fn of(model: &Model, expand: bool) -> Result<Diagram> {
        let Some(graph) = model.graph() else {
            if model.class_name() == "Sequential" {
                return Err(Error::new(format!(
                    "the shapes of the model {} are not known; build it, or start it with an Input",
                    Layer::name(model)
                )));
            }
            // Of a subclassed model only its code knows what leads where.
            let label = Label { name: Layer::name(model).to_owned(), class: model.class_name(), cells: Vec::new() };
            return Ok(Diagram {
                items: vec![Item::Layer(label)],
                edges: Vec::new(),
                inputs: vec![0],
                outputs: vec![(0, 0)],
            });
        };
        // A stack's input is not drawn, as in Keras.
        let stack = model.class_name() == "Sequential";
        let drawn: Vec<&CallNode> =
            graph.nodes().iter().map(|n| &**n).filter(|n| !(stack && n.layer.class_name() == "InputLayer")).collect();
        let by_layer = boxes_of_layers(&drawn);
        let edges = edges(&drawn, &by_layer);
        // A layer that is called on what it gave itself cannot be one box in a drawing that goes downwards.
        let (boxes, edges) = if is_acyclic(by_layer.len(), &edges) {
            (by_layer, edges)
        } else {
            let by_call = drawn.iter().enumerate().map(|(i, n)| (*n as *const CallNode, i)).collect();
            let edges = self::edges(&drawn, &by_call);
            (by_call, edges)
        };
        let mut items: Vec<Item> = Vec::new();
        for node in &drawn {
            if boxes[&(*node as *const CallNode)] == items.len() {
                items.push(item(node, expand)?);
            }
        }
        let place = |symbol: &Tensor| {
            let history = symbol.history()?;
            Some((*boxes.get(&std::sync::Arc::as_ptr(&history.node))?, history.output))
        };
        let inputs = if stack { vec![0] } else { model.inputs().iter().filter_map(place).map(|p| p.0).collect() };
        let outputs = model.outputs().iter().filter_map(place).collect();
        Ok(Diagram { items, edges, inputs, outputs })
    }
}

type Boxes = HashMap<*const CallNode, usize>;

/// One box a layer, however often it is called.
fn boxes_of_layers(nodes: &[&CallNode]) -> Boxes {
    let mut layers: Vec<&LayerRef> = Vec::new();
    let mut boxes = Boxes::new();
    for &node in nodes {
        let met = layers.iter().position(|l| l.base().is(node.layer.base()));
        boxes.insert(node, met.unwrap_or(layers.len()));
        if met.is_none() {
            layers.push(&node.layer);
        }
    }
    boxes
}

fn item(node: &CallNode, expand: bool) -> Result<Item> {
    let layer = &node.layer;
    if let Some(model) = layer.as_any().downcast_ref::<Model>().filter(|m| expand && m.graph().is_some()) {
        return Ok(Item::Cluster(Layer::name(model).to_owned(), Diagram::of(model, expand)?));
    }
    let mut cells = Vec::new();
    if layer.class_name() != "InputLayer" {
        let taken = node.arguments.tensors().into_iter().filter(|t| t.is_symbol()).map(|t| t.shape().clone());
        cells.push(("Input shape: ", shapes(taken)));
    }
    cells.push(("Output shape: ", shapes(node.types.iter().map(|t| t.shape.clone()))));
    Ok(Item::Layer(Label { name: layer.name().to_owned(), class: layer.class_name(), cells }))
}

/// Shapes as Python writes them.
fn shapes(shapes: impl Iterator<Item = rhyton::Shape>) -> String {
    let text = |shape: rhyton::Shape| {
        let dims: Vec<String> = shape.iter().map(|d| d.known().map_or("None".into(), |n| n.to_string())).collect();
        if dims.len() == 1 { format!("({},)", dims[0]) } else { format!("({})", dims.join(", ")) }
    };
    let all: Vec<String> = shapes.map(text).collect();
    match all.as_slice() {
        [] => "?".to_owned(),
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// The edges, each once.
fn edges(nodes: &[&CallNode], boxes: &Boxes) -> Vec<Link> {
    let mut edges: Vec<Link> = Vec::new();
    for node in nodes {
        let symbols = node.arguments.tensors().into_iter().filter_map(|t| t.history());
        for (input, history) in symbols.enumerate() {
            let Some(&from) = boxes.get(&std::sync::Arc::as_ptr(&history.node)) else { continue };
            let link = Link { from, output: history.output, to: boxes[&(*node as *const CallNode)], input };
            if !edges.contains(&link) {
                edges.push(link);
            }
        }
    }
    edges
}

fn is_acyclic(boxes: usize, edges: &[Link]) -> bool {
    let mut waiting = vec![0usize; boxes];
    edges.iter().for_each(|e| waiting[e.to] += 1);
    let mut ready: Vec<usize> = (0..boxes).filter(|&b| waiting[b] == 0).collect();
    let mut done = 0;
    while let Some(b) = ready.pop() {
        done += 1;
        for e in edges.iter().filter(|e| e.from == b) {
            waiting[e.to] -= 1;
            if waiting[e.to] == 0 {
                ready.push(e.to);
            }
        }
    }
    done == boxes
}
