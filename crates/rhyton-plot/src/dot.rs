//! Models in the language of Graphviz.

use std::fmt::Write;

use rhyton_core::layers::{Base, Layer, LayerObject, LayerRef};
use rhyton_core::model::{CallNode, Model};
use rhyton_core::{Error, Result};

use crate::label::{Fill, Label};
use crate::options::PlotModel;

/// The graph of a model as Keras's `model_to_dot` writes it for Graphviz, the layers being numbered.
///
/// # Errors
/// If the model is not built.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
/// use rhyton_plot::{PlotModel, model_to_dot};
///
/// let model = Sequential::new().add(Input::new([3])).add(Dense::new(2).name("a")).add(Dense::new(1).name("b"));
/// let dot = model_to_dot(&model, &PlotModel::new())?;
/// assert!(dot.starts_with("digraph G {") && dot.contains("<b>a</b> (Dense)") && dot.contains("1 -> 2"));
/// # Ok::<(), rhyton_core::Error>(())
/// ```
pub fn model_to_dot(model: &Model, shown: &PlotModel) -> Result<String> {
    let mut dot = Dot { text: String::new(), numbers: Vec::new(), shown };
    dot.line("digraph G {");
    dot.line(&format!("rankdir={};", shown.rankdir.name()));
    dot.line("concentrate=true;");
    dot.line(&format!("dpi={};", shown.dpi));
    dot.line(&format!("splines={};", shown.splines));
    dot.line("node [shape=record];");
    dot.graph(model)?;
    dot.line("}");
    Ok(dot.text)
}

struct Dot<'s> {
    text: String,
    /// The layers by their numbers, which count from 1.
    numbers: Vec<Base>,
    shown: &'s PlotModel,
}

impl Dot<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn number(&mut self, layer: &dyn Layer) -> usize {
        let known = self.numbers.iter().position(|base| base.is(layer.base()));
        1 + known.unwrap_or_else(|| {
            self.numbers.push(layer.base().clone());
            self.numbers.len() - 1
        })
    }

    /// The nodes and edges of a model.
    fn graph(&mut self, model: &Model) -> Result<()> {
        let Some(graph) = model.graph() else {
            if is_sequential(model) || !model.base().built() {
                let what = format!("the model {} is not built", Layer::name(model));
                return Err(Error::argument("model_to_dot", what, "build it, call it on data, or start it with Input"));
            }
            // Of a subclassed model only its code knows what leads where.
            self.node(&model.share(), None);
            return Ok(());
        };
        let layers = if is_sequential(model) { model.layers() } else { graph.layers().to_vec() };
        let nodes = graph.nodes();
        for layer in &layers {
            match nested(layer).filter(|_| self.shown.expand_nested) {
                Some(inner) => {
                    let name = Layer::name(inner);
                    self.line(&format!("subgraph {} {{", identifier(&format!("cluster_{name}"))));
                    self.line("style=dashed;");
                    self.line(&format!("label={};", identifier(name)));
                    self.line("labeljust=l;");
                    self.graph(inner)?;
                    self.line("}");
                }
                None => self.node(layer, nodes.iter().find(|n| is_of(n, layer)).map(|n| &**n)),
            }
        }
        let mut edges: Vec<(usize, usize)> = Vec::new();
        if is_sequential(model) && !self.shown.expand_nested {
            for pair in layers.windows(2) {
                let edge = (self.number(pair[0].as_ref()), self.number(pair[1].as_ref()));
                self.edge(edge, &mut edges);
            }
            return Ok(());
        }
        // What leads into a stack is an edge of the model around it.
        for layer in layers.iter().skip(usize::from(is_sequential(model))) {
            for node in nodes.iter().filter(|n| is_of(n, layer)) {
                let taken = node.arguments.tensors().into_iter().filter_map(|t| t.history()).enumerate();
                for (input, history) in taken {
                    let (mut source, mut destination) = (history.node.layer.clone(), layer.clone());
                    if self.shown.expand_nested {
                        source = last_within(source, history.output);
                        destination = first_within(destination, input);
                    }
                    let edge = (self.number(source.as_ref()), self.number(destination.as_ref()));
                    self.edge(edge, &mut edges);
                }
            }
        }
        Ok(())
    }

    fn edge(&mut self, edge: (usize, usize), written: &mut Vec<(usize, usize)>) {
        if !written.contains(&edge) {
            written.push(edge);
            self.line(&format!("{} -> {} [penwidth=2];", edge.0, edge.1));
        }
    }

    fn node(&mut self, layer: &LayerRef, node: Option<&CallNode>) {
        let shown = self.shown;
        let label = Label::of(layer, node, shown, shown.show_layer_names.unwrap_or(true));
        let columns =
            usize::from(shown.show_dtype) + usize::from(shown.show_trainable) + if shown.show_shapes { 2 } else { 0 };
        let number = self.number(layer.as_ref());
        let table = table(&label, columns.max(1));
        self.line(&format!("{number} [label=<{table}>, fontname=Helvetica, border=0, margin=0];"));
    }
}

/// A label as a table of Graphviz's.
fn table(label: &Label, columns: usize) -> String {
    let mut text = String::from("<table border=\"0\" cellborder=\"1\" bgcolor=\"black\" cellpadding=\"10\">");
    let class = escaped(&label.class);
    let header = match &label.name {
        Some(name) => format!("<b>{}</b> ({class})", escaped(name)),
        None => format!("<b>{class}</b>"),
    };
    let span = format!("colspan=\"{columns}\"");
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "<tr><td {span} bgcolor=\"black\"><font point-size=\"16\" color=\"white\">{header}</font></td></tr>"
    );
    if let Some(activation) = &label.activation {
        let value = escaped(activation);
        let font = "<font point-size=\"14\">";
        let _ = write!(text, "<tr><td bgcolor=\"white\" {span}>{font}Activation: <b>{value}</b></font></td></tr>");
    }
    if !label.cells.is_empty() {
        text.push_str("<tr>");
        for cell in &label.cells {
            let (color, font) = match cell.fill {
                Fill::Plain => ("white", ""),
                Fill::Trainable => ("forestgreen", " color=\"white\""),
                Fill::Frozen => ("firebrick", " color=\"white\""),
            };
            let (what, value) = (cell.what, escaped(&cell.value));
            let font = format!("<font point-size=\"14\"{font}>");
            let _ = write!(text, "<td bgcolor=\"{color}\">{font}{what}<b>{value}</b></font></td>");
        }
        text.push_str("</tr>");
    }
    text.push_str("</table>");
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A name as Graphviz takes it: as it is, or in quotes.
fn identifier(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty() {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

fn is_of(node: &CallNode, layer: &LayerRef) -> bool {
    node.layer.base().is(layer.base())
}

fn is_sequential(model: &Model) -> bool {
    model.class_name() == "Sequential"
}

/// The layer as a model whose graph is known.
fn nested(layer: &LayerRef) -> Option<&Model> {
    layer.as_any().downcast_ref::<Model>().filter(|model| model.graph().is_some())
}

/// The layer within models that gives the output `output` of `layer`.
fn last_within(mut layer: LayerRef, mut output: usize) -> LayerRef {
    loop {
        let inner = nested(&layer).and_then(|model| {
            let outputs = model.outputs();
            let history = outputs.get(output)?.history()?;
            Some((history.node.layer.clone(), history.output))
        });
        match inner {
            Some(found) => (layer, output) = found,
            None => return layer,
        }
    }
}

/// The layer within models that takes the input `input` of `layer`.
fn first_within(mut layer: LayerRef, input: usize) -> LayerRef {
    loop {
        let inner = nested(&layer).and_then(|model| match is_sequential(model) {
            // The input of a stack is not drawn.
            true => model.layers().first().cloned(),
            false => Some(model.inputs().get(input)?.history()?.node.layer.clone()),
        });
        match inner {
            Some(found) => layer = found,
            None => return layer,
        }
    }
}
