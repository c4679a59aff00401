//! Functional models from symbols.

use std::collections::HashMap;
use std::sync::Arc;

use super::graph::is_input;
use super::{Body, FunctionalGraph, Model};
use crate::error::Result;
use crate::layers::{Context, InputLayer, call_layer};
use crate::nest::Nest;
use crate::tensor::Tensor;

/// A model of the calls between `inputs` and `outputs`. Inputs that are themselves results of layers (as for a feature
/// extractor cut from the middle of a model) become inputs of their own, and the calls are made again from there.
pub(super) fn functional(inputs: Nest, outputs: Nest) -> Result<Model> {
    for tensor in inputs.tensors().into_iter().chain(outputs.tensors()) {
        tensor.check()?;
    }
    let graph = FunctionalGraph::new(inputs, outputs)?;
    let all_inputs = graph.inputs().tensors().iter().all(|t| t.history().is_some_and(|h| is_input(&h.node)));
    let graph = if all_inputs { graph } else { from_middle(&graph)? };
    Ok(Model::with_body(Body::Functional(graph)))
}

fn from_middle(graph: &FunctionalGraph) -> Result<FunctionalGraph> {
    type Key = (usize, usize);
    let mut fresh: HashMap<Key, Tensor> = HashMap::new();
    let key = |t: &Tensor| t.history().map(|h| (Arc::as_ptr(&h.node) as usize, h.output));
    let inputs = graph.inputs().map(&mut |t| {
        let name = t.history().map_or("input", |h| h.layer_name()).to_owned();
        let input = InputLayer::for_type(t.ty(), &crate::naming::unique_name(&format!("{name}_clone"))).symbol();
        if let Some(key) = key(t) {
            fresh.insert(key, input.clone());
        }
        Ok(input)
    })?;
    for node in graph.nodes().iter().filter(|n| !is_input(n)) {
        let arguments = node
            .arguments
            .map(&mut |t| Ok(key(t).and_then(|k| fresh.get(&k)).cloned().unwrap_or_else(|| t.clone())))?;
        let outputs = call_layer(&node.layer, arguments, &mut Context::default())?;
        for (i, output) in outputs.tensors().into_iter().enumerate() {
            fresh.entry((Arc::as_ptr(node) as usize, i)).or_insert_with(|| output.clone());
        }
    }
    let outputs =
        graph.outputs().map(&mut |t| Ok(key(t).and_then(|k| fresh.get(&k)).cloned().unwrap_or_else(|| t.clone())))?;
    FunctionalGraph::new(inputs, outputs)
}
