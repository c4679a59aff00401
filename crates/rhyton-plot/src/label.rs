//! What is written in the box of a layer.

use rhyton_core::layers::{Layer, LayerRef, shape_to_json};
use rhyton_core::model::CallNode;
use rhyton_core::{Shape, TensorType};

use crate::options::PlotModel;

/// The text of a box.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    /// If names are shown.
    pub name: Option<String>,
    pub class: String,
    pub activation: Option<String>,
    pub cells: Vec<Cell>,
}

/// What and value, side by side with others.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub what: &'static str,
    pub value: String,
    pub fill: Fill,
}

/// The colour behind a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    Plain,
    Trainable,
    Frozen,
}

impl Label {
    /// Of a layer; shapes and dtypes are those of the call `node`.
    pub fn of(layer: &LayerRef, node: Option<&CallNode>, shown: &PlotModel, with_name: bool) -> Label {
        let class = layer.python_class();
        let mut cells = Vec::new();
        let mut cell = |what, value: String| cells.push(Cell { what, value, fill: Fill::Plain });
        if shown.show_shapes {
            let taken = node.into_iter().flat_map(|n| n.arguments.tensors()).filter(|t| t.is_symbol());
            if class != "InputLayer" {
                cell("Input shape: ", listed(taken.map(|t| shape_text(t.shape()))));
            }
            cell("Output shape: ", listed(node.into_iter().flat_map(|n| &n.types).map(|t| shape_text(&t.shape))));
        }
        if shown.show_dtype {
            let types: Vec<String> = node.into_iter().flat_map(|n| &n.types).map(dtype_name).collect();
            let quoted = types.iter().map(|name| if types.len() == 1 { name.clone() } else { format!("'{name}'") });
            cell("Output dtype: ", listed(quoted));
        }
        if shown.show_trainable && !layer.weights().is_empty() {
            let (value, fill) = match layer.base().trainable() {
                true => ("Trainable", Fill::Trainable),
                false => ("Non-trainable", Fill::Frozen),
            };
            cells.push(Cell { what: "", value: value.to_owned(), fill });
        }
        let activation = if shown.show_layer_activations { activation(layer.as_ref()) } else { None };
        Label { name: with_name.then(|| layer.name().to_owned()), class: class.to_owned(), activation, cells }
    }
}

/// The name of the layer's activation function, if it has one.
fn activation(layer: &dyn Layer) -> Option<String> {
    let config = layer.own_config();
    let named = config.get("activation")?;
    let of_class = || named.get("config").and_then(|c| c.as_str()).or_else(|| named.get("class_name")?.as_str());
    Some(named.as_str().or_else(of_class).unwrap_or("linear").to_owned())
}

fn dtype_name(ty: &TensorType) -> String {
    // The last axis of texts, their bytes, is none of Keras's.
    if sizes(&ty.shape).len() < ty.shape.rank() { "string".to_owned() } else { ty.dtype.to_string() }
}

/// A shape as Python writes it.
fn shape_text(shape: &Shape) -> String {
    let dims = sizes(shape);
    if dims.len() == 1 { format!("({},)", dims[0]) } else { format!("({})", dims.join(", ")) }
}

/// The sizes of the axes that Keras knows of.
fn sizes(shape: &Shape) -> Vec<String> {
    let sizes = shape_to_json(shape);
    let text = |size: &serde_json::Value| if size.is_null() { "None".to_owned() } else { size.to_string() };
    sizes.as_array().into_iter().flatten().map(text).collect()
}

/// One as it is, several as a list of Python.
fn listed(texts: impl Iterator<Item = String>) -> String {
    let texts: Vec<String> = texts.collect();
    match texts.as_slice() {
        [] => "?".to_owned(),
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}
