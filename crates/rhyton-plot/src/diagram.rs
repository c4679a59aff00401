//! What is drawn of a model: boxes for layers, as Keras's `plot_model` has them, and edges between them.

use std::collections::HashMap;

use rhyton_core::layers::{Layer, LayerObject, LayerRef};
use rhyton_core::model::{CallNode, Model};
use rhyton_core::{Error, Result, Tensor};

use crate::label::Label;
use crate::options::PlotModel;

/// The boxes of a model.
#[derive(Debug)]
pub(crate) struct Diagram {
    pub items: Vec<Item>,
    pub edges: Vec<Link>,
    /// The box that takes each input of the model.
    pub inputs: Vec<usize>,
    /// The box that gives each output, and which of the box's outputs that is.
    pub outputs: Vec<(usize, usize)>,
}

/// A box.
#[derive(Debug)]
pub(crate) enum Item {
    /// A layer.
    Layer(Label),
    /// A model with its layers.
    Cluster(String, Diagram),
}

/// From an output of a box to an input of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub from: usize,
    pub output: usize,
    pub to: usize,
    pub input: usize,
}

impl Diagram {
    /// The boxes of `model`.
    ///
    /// # Errors
    /// If the shapes of a stack are not known.
    pub fn of(model: &Model, shown: &PlotModel) -> Result<Diagram> {
        let Some(graph) = model.graph() else {
            if model.class_name() == "Sequential" {
                let what = format!("the shapes of the model {} are not known", Layer::name(model));
                return Err(Error::argument("plot_model", what, "build it, or start it with an Input"));
            }
            // Of a subclassed model only its code knows what leads where.
            let label = Label::of(&model.share(), None, shown, shown.show_layer_names.unwrap_or(false));
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
                items.push(item(node, shown)?);
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

fn item(node: &CallNode, shown: &PlotModel) -> Result<Item> {
    let layer = &node.layer;
    let nested = layer.as_any().downcast_ref::<Model>();
    if let Some(model) = nested.filter(|m| shown.expand_nested && m.graph().is_some()) {
        return Ok(Item::Cluster(Layer::name(model).to_owned(), Diagram::of(model, shown)?));
    }
    Ok(Item::Layer(Label::of(layer, Some(node), shown, shown.show_layer_names.unwrap_or(false))))
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
