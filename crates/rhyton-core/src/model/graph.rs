//! The graph of a functional model: calls of layers between input and output symbols.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rhyton_ir::{DType, Dim, Shape};

use super::history::{CallNode, History};
use crate::error::{Error, Result};
use crate::layers::{Context, LayerRef, call_layer};
use crate::nest::Nest;
use crate::ops;
use crate::tensor::Tensor;
use crate::text;

/// Calls of layers between input and output symbols, in an order in which each follows what it needs.
#[derive(Debug)]
pub struct FunctionalGraph {
    inputs: Nest,
    outputs: Nest,
    nodes: Vec<Arc<CallNode>>,
    layers: Vec<LayerRef>,
}

/// Which output of which call.
type Key = (usize, usize);

fn key(history: &History) -> Key {
    (Arc::as_ptr(&history.node) as usize, history.output)
}

/// Where a symbol comes from.
fn origin(symbol: &Tensor) -> Result<&History> {
    symbol.check()?.history().ok_or_else(|| {
        Error::argument(
            "Model",
            format!("{symbol:?} is not a symbol"),
            "start from Input and apply layers or operations to it",
        )
    })
}

impl FunctionalGraph {
    /// Finds the calls that lead from `inputs` to `outputs`, ordered as Keras orders them: by depth, then by the order in
    /// which a walk from the outputs meets them. The order of weights and of the optimizer's state hangs on it.
    ///
    /// # Errors
    /// If an input or output is no symbol, an output does not depend on the inputs alone, or two layers share a name.
    pub fn new(inputs: Nest, outputs: Nest) -> Result<FunctionalGraph> {
        let given = inputs.tensors().into_iter().map(|t| origin(t).map(key)).collect::<Result<HashSet<Key>>>()?;
        if given.len() != inputs.tensors().len() {
            return Err(Error::argument("Model", "an input is given twice", "give each input once"));
        }
        let mut walk = Walk { given, ..Walk::default() };
        for output in outputs.tensors() {
            walk.visit(origin(output)?)?;
        }
        let (nodes, layers) = walk.order(&inputs)?;
        let mut names = HashSet::new();
        if let Some(twice) = layers.iter().find(|l| !names.insert(l.name().to_owned())) {
            return Err(Error::argument(
                "Model",
                format!("the name {:?} is used by two layers", twice.name()),
                "name layers uniquely within a model",
            ));
        }
        Ok(FunctionalGraph { inputs, outputs, nodes, layers })
    }

    /// The input symbols in the structure in which they were given.
    pub fn inputs(&self) -> &Nest {
        &self.inputs
    }

    /// The output symbols in the structure in which they were given.
    pub fn outputs(&self) -> &Nest {
        &self.outputs
    }

    /// The calls, inputs first.
    pub fn nodes(&self) -> &[Arc<CallNode>] {
        &self.nodes
    }

    /// The layers and operations, in Keras's order.
    pub fn layers(&self) -> &[LayerRef] {
        &self.layers
    }

    /// The names of the inputs, flat.
    pub fn input_names(&self) -> Vec<String> {
        names(&self.inputs)
    }

    /// The names of the outputs, flat: those of the layers that give them.
    pub fn output_names(&self) -> Vec<String> {
        names(&self.outputs)
    }

    /// Applies the calls to `inputs`.
    ///
    /// # Errors
    /// If the inputs have not the structure or ranks of the model's, or a layer fails.
    pub fn run(&self, inputs: &Nest, cx: &mut Context) -> Result<Nest> {
        let mut values: HashMap<Key, Tensor> = HashMap::new();
        let symbols = self.inputs.tensors();
        for (symbol, value) in symbols.iter().zip(self.standardize(inputs)?) {
            values.insert(key(origin(symbol)?), value);
        }
        for node in &self.nodes {
            if node.arguments.tensors().is_empty() && node.layer.class_name() == "InputLayer" {
                continue;
            }
            let mut args = node.arguments.map(&mut |t| find(&values, t))?;
            // The mode of the whole call rules, as in Keras, whatever the layer was first called with.
            args.named.shift_remove("training");
            let outputs = call_layer(&node.layer, args, cx)?;
            for (output, value) in outputs.tensors().into_iter().enumerate() {
                values.insert((Arc::as_ptr(node) as usize, output), value.clone());
            }
        }
        self.outputs.map(&mut |t| find(&values, t))
    }

    /// The inputs flat, in the order of the model's, with ranks and dtypes brought to those that it takes.
    fn standardize(&self, inputs: &Nest) -> Result<Vec<Tensor>> {
        let symbols = self.inputs.tensors();
        let given: Vec<&Tensor> = match (inputs, &self.inputs) {
            (Nest::Dict(items), wanted) if !matches!(wanted, Nest::Dict(_)) => {
                let missing = |name: &String| {
                    Error::argument("Model", format!("no input named {name:?}"), "give one for each input by name")
                };
                self.input_names()
                    .iter()
                    .map(|name| items.get(name).ok_or_else(|| missing(name))?.single())
                    .collect::<Result<_>>()?
            }
            _ => inputs.tensors(),
        };
        if given.len() != symbols.len() {
            return Err(Error::argument(
                "Model",
                format!(
                    "{} inputs were given, the model takes {}: {:?}",
                    given.len(),
                    symbols.len(),
                    self.input_names()
                ),
                "pass one tensor an input",
            ));
        }
        symbols.iter().zip(given).map(|(symbol, value)| fit_rank(symbol, value.check()?)).collect()
    }
}

/// Adds or drops a last axis of size 1 where that gives the symbol's rank, and converts to its dtype.
fn fit_rank(symbol: &Tensor, value: &Tensor) -> Result<Tensor> {
    if text::is_symbolic(symbol.ty()) {
        return fit_texts(symbol, value);
    }
    let wanted = symbol.rank();
    let mask = value.mask().cloned();
    let fitted = if value.rank() == wanted {
        value.clone()
    } else if value.rank() == wanted + 1 && value.dim(-1).is(1) {
        ops::reshape_to(value, value.shape()[..wanted].to_vec())
    } else if value.rank() + 1 == wanted && symbol.dim(-1).is(1) {
        let shape: Vec<Dim> = value.shape().iter().cloned().chain([Dim::Known(1)]).collect();
        ops::reshape_to(value, shape)
    } else {
        return Err(mismatch(symbol, value));
    };
    // All but the batch must be what the layers were built for.
    let fits = fitted.shape().iter().zip(symbol.shape().iter()).all(|(a, b)| a.compatible(b));
    if !fits {
        return Err(mismatch(symbol, value));
    }
    Ok(fitted.cast(symbol.dtype()).with_mask(mask))
}

/// [`fit_rank`] of texts, whose last axis is their bytes.
fn fit_texts(symbol: &Tensor, value: &Tensor) -> Result<Tensor> {
    if value.dtype() != DType::U8 || value.rank() == 0 {
        return Err(Error::argument(
            format!("input {}", symbol.history().map_or("?", History::layer_name)),
            format!("the model takes texts but the data is numbers of dtype {}", value.dtype()),
            "make texts with text::encode",
        ));
    }
    let wanted = symbol.rank();
    let mut shape: Vec<Dim> = value.shape().to_vec();
    if value.rank() == wanted + 1 && value.dim(-2).is(1) {
        shape.remove(wanted - 1);
    } else if value.rank() + 1 == wanted && symbol.dim(-2).is(1) {
        shape.insert(wanted - 2, Dim::Known(1));
    }
    let fits = shape.len() == wanted && shape.iter().zip(symbol.shape().iter()).all(|(a, b)| a.compatible(b));
    if !fits {
        let (model, data) = (text::logical_shape(symbol.shape()), text::shape_of(value));
        return Err(Error::shape(
            format!("input {}", symbol.history().map_or("?", History::layer_name)),
            format!("the model takes texts of shape {} but the data has {data}", Shape::from(model.to_vec())),
            "reshape the data, or build the model with an Input of its shape",
        ));
    }
    Ok(if shape.len() == value.rank() { value.clone() } else { ops::reshape_to(value, shape) })
}

fn mismatch(symbol: &Tensor, value: &Tensor) -> Error {
    let name = symbol.history().map_or("?", History::layer_name).to_owned();
    Error::shape(
        format!("input {name}"),
        format!("the model takes {} but the data has shape {}", symbol.shape(), value.shape()),
        "reshape the data, or build the model with an Input of its shape",
    )
}

fn names(symbols: &Nest) -> Vec<String> {
    symbols.tensors().iter().filter_map(|t| t.history()).map(|h| h.layer_name().to_owned()).collect()
}

fn find(values: &HashMap<Key, Tensor>, symbol: &Tensor) -> Result<Tensor> {
    let Some(history) = symbol.history() else { return Ok(symbol.clone()) };
    values.get(&key(history)).cloned().ok_or_else(|| {
        Error::argument(
            "Model",
            format!("an output depends on {}, which does not depend on the inputs", history.layer_name()),
            "give every Input that the outputs depend on",
        )
    })
}

/// A walk from outputs to inputs.
#[derive(Default)]
struct Walk {
    given: HashSet<Key>,
    /// Calls whose operands have all been met, in that order.
    finished: Vec<Arc<CallNode>>,
    seen: HashSet<usize>,
    /// In which order layers were met.
    met: HashMap<usize, usize>,
}

impl Walk {
    /// Iterative: models may be thousands of layers deep.
    fn visit(&mut self, output: &History) -> Result<()> {
        let mut stack = vec![(output.clone(), false)];
        while let Some((history, operands_are_done)) = stack.pop() {
            let id = Arc::as_ptr(&history.node) as usize;
            let node = &history.node;
            if operands_are_done {
                self.finished.push(Arc::clone(node));
                continue;
            }
            let is_input = is_input(node);
            if self.seen.contains(&id) || (!is_input && self.given.contains(&key(&history))) {
                continue;
            }
            self.seen.insert(id);
            let next = self.met.len();
            self.met.entry(node.layer.base().key()).or_insert(next);
            stack.push((history.clone(), true));
            for operand in node.arguments.tensors().into_iter().rev() {
                if operand.is_symbol() {
                    stack.push((origin(operand)?.clone(), false));
                }
            }
        }
        Ok(())
    }

    /// Calls by falling depth, and layers by falling depth and then as met.
    fn order(self, inputs: &Nest) -> Result<(Vec<Arc<CallNode>>, Vec<LayerRef>)> {
        let included: HashSet<usize> = self.finished.iter().map(|n| Arc::as_ptr(n) as usize).collect();
        let mut node_depth: HashMap<usize, usize> = HashMap::new();
        let mut layer_depth: HashMap<usize, usize> = HashMap::new();
        for node in self.finished.iter().rev() {
            let layer = node.layer.base().key();
            let own = node_depth.get(&(Arc::as_ptr(node) as usize)).copied().unwrap_or(0);
            let depth = own.max(layer_depth.get(&layer).copied().unwrap_or(0));
            layer_depth.insert(layer, depth);
            node_depth.insert(Arc::as_ptr(node) as usize, depth);
            for operand in node.arguments.tensors().into_iter().filter_map(|t| t.history()) {
                let id = Arc::as_ptr(&operand.node) as usize;
                if included.contains(&id) {
                    let known = node_depth.entry(id).or_insert(0);
                    *known = (*known).max(depth + 1);
                }
            }
        }
        let mut nodes = self.finished;
        let mut met = self.met;
        // Inputs that no output needs belong to the model all the same.
        for symbol in inputs.tensors() {
            let node = &origin(symbol)?.node;
            if is_input(node) && !included.contains(&(Arc::as_ptr(node) as usize)) {
                nodes.push(Arc::clone(node));
                let layer = node.layer.base().key();
                layer_depth.insert(layer, 0);
                // Before all others of depth 0.
                met.insert(layer, 0);
            }
        }
        let mut layers: Vec<LayerRef> = Vec::new();
        let mut known = HashSet::new();
        for node in &nodes {
            if known.insert(node.layer.base().key()) {
                layers.push(Arc::clone(&node.layer));
            }
        }
        layers.sort_by_key(|l| {
            let key = l.base().key();
            (std::cmp::Reverse(layer_depth[&key]), met[&key])
        });
        nodes.sort_by_key(|n| std::cmp::Reverse(node_depth.get(&(Arc::as_ptr(n) as usize)).copied().unwrap_or(0)));
        Ok((nodes, layers))
    }
}

/// Whether the call is that of an `InputLayer`.
pub(crate) fn is_input(node: &CallNode) -> bool {
    node.layer.class_name() == "InputLayer"
}
