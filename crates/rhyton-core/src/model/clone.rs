//! `clone_model`: the same layers with new weights.

use std::collections::HashMap;
use std::sync::Arc;

use super::graph::is_input;
use super::{Body, FunctionalGraph, Model, Sequential, deserialize_layer, serialize_layer};
use crate::error::{Error, Result};
use crate::layers::{Context, InputLayer, Layer, LayerObject, LayerRef, call_layer};
use crate::nest::{Args, Nest};
use crate::tensor::Tensor;

/// What a layer of a clone is made by.
type CloneFunction<'c> = Box<dyn FnMut(&LayerRef) -> Result<LayerRef> + 'c>;
/// How a layer of a clone is called.
type CallFunction<'c> = Box<dyn FnMut(&LayerRef, Args) -> Result<Nest> + 'c>;

/// How [`clone_model_with`] clones; Keras's arguments.
#[derive(Default)]
pub struct CloneModel<'c> {
    input_tensors: Option<Nest>,
    clone_function: Option<CloneFunction<'c>>,
    call_function: Option<CallFunction<'c>>,
    recursive: bool,
}

impl<'c> CloneModel<'c> {
    /// Each layer anew from its configuration.
    pub fn new() -> CloneModel<'c> {
        CloneModel::default()
    }

    /// Symbols to build on in place of new inputs.
    pub fn input_tensors(mut self, inputs: impl Into<Nest>) -> Self {
        self.input_tensors = Some(inputs.into());
        self
    }

    /// Makes each layer but the inputs: other layers can be put in their places.
    pub fn clone_function(mut self, function: impl FnMut(&LayerRef) -> Result<LayerRef> + 'c) -> Self {
        self.clone_function = Some(Box::new(function));
        self
    }

    /// Calls each layer of a functional model: what goes in and comes out can be changed.
    pub fn call_function(mut self, function: impl FnMut(&LayerRef, Args) -> Result<Nest> + 'c) -> Self {
        self.call_function = Some(Box::new(function));
        self
    }

    /// Whether `clone_function` also makes the layers of models inside the model; not unless said.
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.recursive = recursive;
        self
    }

    fn layer(&mut self, layer: &LayerRef) -> Result<LayerRef> {
        if let Some(model) = layer.as_any().downcast_ref::<Model>().filter(|_| self.recursive) {
            let inputs = self.input_tensors.take();
            let inner = self.model(model);
            self.input_tensors = inputs;
            return Ok(inner?.share());
        }
        match &mut self.clone_function {
            Some(function) => function(layer),
            None => anew(layer),
        }
    }

    fn model(&mut self, model: &Model) -> Result<Model> {
        let cloned = match &*model.body {
            Body::Functional(graph) => Model::with_body(Body::Functional(self.graph(graph)?)),
            Body::Sequential(stack) => self.stack(&stack.layers())?,
            Body::Subclassed(_) => {
                return Err(Error::unsupported(
                    "clone_model",
                    "what a subclassed model does is not known from its layers",
                    "make another one, or a functional or sequential model",
                ));
            }
        };
        Ok(cloned.named(Layer::name(model)))
    }

    fn stack(&mut self, layers: &[LayerRef]) -> Result<Model> {
        if self.call_function.is_some() {
            let what = "the layers of a stack are called one after the other";
            return Err(Error::argument("call_function", what, "give it for functional models"));
        }
        let start = match self.input_tensors.take() {
            Some(inputs) => {
                let symbol = inputs.single()?;
                let name = symbol.history().map_or("input", |h| h.layer_name());
                vec![InputLayer::for_type(symbol.ty(), name).share()]
            }
            None => layers.iter().filter(|l| is_input_layer(l)).map(anew).collect::<Result<_>>()?,
        };
        let rest = layers.iter().filter(|l| !is_input_layer(l)).map(|l| self.layer(l)).collect::<Result<Vec<_>>>()?;
        Ok(Sequential::of(start.into_iter().chain(rest)))
    }

    fn graph(&mut self, graph: &FunctionalGraph) -> Result<FunctionalGraph> {
        let key = |t: &Tensor| t.history().map(|h| (Arc::as_ptr(&h.node) as usize, h.output));
        let mut known: HashMap<(usize, usize), Tensor> = HashMap::new();
        let inputs = match self.input_tensors.take() {
            Some(given) => {
                let mut given = given.tensors().into_iter().cloned().collect::<Vec<_>>().into_iter();
                let missing = || Error::argument("input_tensors", "there are too few", "give one for each input");
                graph.inputs().map(&mut |_| given.next().ok_or_else(missing))?
            }
            None => graph.inputs().map(&mut |t| {
                let layer = t.history().map(|h| anew(&h.node.layer)).transpose()?;
                let input =
                    layer.as_ref().and_then(|l| l.as_any().downcast_ref::<InputLayer>().map(InputLayer::symbol));
                Ok(input.unwrap_or_else(|| t.clone()))
            })?,
        };
        for (old, new) in graph.inputs().tensors().into_iter().zip(inputs.tensors()) {
            known.extend(key(old).map(|k| (k, new.clone())));
        }
        let mut layers: HashMap<usize, LayerRef> = HashMap::new();
        for node in graph.nodes().iter().filter(|n| !is_input(n)) {
            let id = node.layer.base().key();
            if let std::collections::hash_map::Entry::Vacant(place) = layers.entry(id) {
                let layer = if node.layer.is_operation() { anew(&node.layer)? } else { self.layer(&node.layer)? };
                place.insert(layer);
            }
            let layer = &layers[&id];
            let find = |t: &Tensor| key(t).and_then(|k| known.get(&k)).cloned().unwrap_or_else(|| t.clone());
            let arguments = node.arguments.map(&mut |t| Ok(find(t)))?;
            let outputs = match &mut self.call_function {
                Some(function) if !node.layer.is_operation() => function(layer, arguments)?,
                _ => call_layer(layer, arguments, &mut Context::default())?,
            };
            for (i, output) in outputs.tensors().into_iter().enumerate() {
                known.insert((Arc::as_ptr(node) as usize, i), output.clone());
            }
        }
        let outputs = graph
            .outputs()
            .map(&mut |t| Ok(key(t).and_then(|k| known.get(&k)).cloned().unwrap_or_else(|| t.clone())))?;
        FunctionalGraph::new(inputs, outputs)
    }
}

fn is_input_layer(layer: &LayerRef) -> bool {
    layer.class_name() == "InputLayer"
}

/// The layer made again from its configuration, not built.
fn anew(layer: &LayerRef) -> Result<LayerRef> {
    let mut object = serialize_layer(layer.as_ref());
    if let Some(object) = object.as_object_mut() {
        object.remove("build_config");
    }
    deserialize_layer(&object)
}

/// A functional or sequential model like `model`, of the same layers with new weights; not compiled. Classes of users must be known
/// as for loading ([`CustomObjects`](crate::saving::CustomObjects)).
///
/// # Errors
/// If the model is subclassed, or a layer cannot be rebuilt.
///
/// # Examples
/// ```
/// use rhyton_core::model::clone_model;
/// use rhyton_core::prelude::*;
///
/// let model = Sequential::new().add(Input::new([4])).add(Dense::new(3));
/// let clone = clone_model(&model)?;
/// assert_eq!(clone.count_params(), 15);
/// assert_ne!(clone.get_weights()?, model.get_weights()?);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
pub fn clone_model(model: &Model) -> Result<Model> {
    clone_model_with(model, CloneModel::new())
}

/// [`clone_model`] with options.
///
/// # Errors
/// As there; if the symbols given are not those that the model takes.
pub fn clone_model_with(model: &Model, options: CloneModel) -> Result<Model> {
    let mut options = options;
    options.model(model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Call;
    use crate::prelude::{Add, Dense, Dropout, Input};
    use rhyton_ir::Array;

    fn sample() -> Model {
        let x = Input::new([2]).name("x");
        let shared = Dense::new(2).name("shared");
        let inner = Sequential::new().add(Input::new([2])).add(Dense::new(2).name("within")).named("inner");
        let y = Add::new().name("sum").call([&shared.call(&x), &inner.call(shared.call(shared.call(&x)))]);
        Model::new(&x, &(y * 2.0)).unwrap().named("sample")
    }

    #[test]
    fn clones_compute_the_same_with_the_same_weights() {
        let model = sample();
        let clone = clone_model(&model).unwrap();
        assert_eq!(clone.to_json(), model.to_json());
        assert_eq!(clone.weights().len(), 4);
        clone.set_weights(&model.get_weights().unwrap()).unwrap();
        let x = Array::new([1, 2], vec![0.5f32, -1.0]);
        assert_eq!(clone.predict(x.clone()).unwrap(), model.predict(x).unwrap());
    }

    #[test]
    fn other_layers_can_be_put_in_place() {
        let wider = |layer: &LayerRef| match layer.name() {
            "within" => Ok(Dense::new(2).name("within").use_bias(false).share()),
            _ => anew(layer),
        };
        let clone = clone_model_with(&sample(), CloneModel::new().clone_function(wider)).unwrap();
        assert_eq!(clone.weights().len(), 4);
        let clone = clone_model_with(&sample(), CloneModel::new().clone_function(wider).recursive(true)).unwrap();
        assert_eq!(clone.weights().len(), 3);
        let stack = Sequential::new().add(Input::new([2])).add(Dense::new(3)).add(Dropout::new(0.5));
        let clone = clone_model_with(&stack, CloneModel::new().input_tensors(&Input::new([5]))).unwrap();
        assert_eq!(clone.count_params(), 18);
    }

    #[test]
    fn calls_can_be_changed() {
        let mut calls = 0;
        let twice = |layer: &LayerRef, args: Args| {
            calls += 1;
            call_layer(layer, args, &mut Context::default())
        };
        let inputs = Input::new([2]).name("other");
        clone_model_with(&sample(), CloneModel::new().call_function(twice).input_tensors(&inputs)).unwrap();
        // Three calls of the shared layer, the inner model, and the sum.
        assert_eq!(calls, 5);
    }
}
