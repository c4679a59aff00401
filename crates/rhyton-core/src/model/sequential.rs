//! `Sequential`: a stack of layers.

use std::sync::{Arc, Mutex, MutexGuard};

use rhyton_ir::TensorType;

use super::{Body, FunctionalGraph, Model};
use crate::error::{Error, Result};
use crate::layers::{Call, Context, InputLayer, InputShapes, LayerRef, TextInput, call_layer};
use crate::nest::{Args, Nest};
use crate::tensor::Tensor;
use crate::text;

/// Where stacks of layers start: `Sequential::new()` is a [`Model`] without layers.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let model = Sequential::new().add(Input::new([4])).add(Dense::new(3)).add(Dense::new(2));
/// assert_eq!(model.count_params(), 15 + 8);
/// ```
#[derive(Debug)]
pub struct Sequential;

impl Sequential {
    /// A model without layers; see [`Model::add`].
    #[expect(clippy::new_ret_no_self, reason = "Keras's name for what is one kind of Model here")]
    pub fn new() -> Model {
        Model::with_body(Body::Sequential(Stack::default()))
    }

    /// A model of `layers`, the first of which may be an `Input`.
    pub fn of(layers: impl IntoIterator<Item = LayerRef>) -> Model {
        layers.into_iter().fold(Sequential::new(), Model::add)
    }
}

impl Model {
    /// Puts `layer` on top of the stack. Given an `Input` first, each layer is built as it is added; otherwise all are
    /// when the model first meets data. On a model that is no stack, and with a layer whose name is taken, the error is
    /// kept for the next fallible call.
    #[expect(clippy::should_implement_trait, reason = "Keras's name; nobody adds models with +")]
    pub fn add(self, layer: impl Call) -> Model {
        if let Some(stack) = self.stack() {
            crate::naming::scoped(crate::layers::Layer::name(&self), || stack.add(layer.layer_ref()));
        }
        self
    }

    /// Takes the topmost layer away.
    pub fn pop(&self) -> Option<LayerRef> {
        self.stack().and_then(Stack::pop)
    }
}

/// Layers one after the other; they become a graph once the input is known.
#[derive(Default)]
pub(crate) struct Stack(Mutex<State>);

#[derive(Default)]
struct State {
    layers: Vec<LayerRef>,
    /// Symbols before the first and after each layer, once the input is known.
    symbols: Vec<Tensor>,
    graph: Option<Arc<FunctionalGraph>>,
    error: Option<Error>,
}

impl Stack {
    /// All layers, the input included.
    pub(crate) fn layers(&self) -> Vec<LayerRef> {
        self.lock().layers.clone()
    }

    /// The graph, if the input is known and all layers fit.
    pub(crate) fn graph(&self) -> Option<Arc<FunctionalGraph>> {
        let mut state = self.lock();
        if state.graph.is_none() && state.symbols.len() > 1 {
            let (first, last) = (state.symbols[0].clone(), state.symbols[state.symbols.len() - 1].clone());
            state.graph = FunctionalGraph::new(first.into(), last.into()).ok().map(Arc::new);
        }
        state.graph.clone()
    }

    fn add(&self, layer: LayerRef) {
        let mut state = self.lock();
        if state.error.is_some() {
            return;
        }
        if let Some(taken) = state.layers.iter().find(|l| l.name() == layer.name()) {
            let what = format!("two layers are named {:?}", taken.name());
            state.error = Some(Error::argument("Sequential", what, "name layers uniquely within a model"));
            return;
        }
        if layer.class_name() == "InputLayer" && !state.layers.is_empty() {
            let what = "an Input was added on top of other layers".to_owned();
            state.error = Some(Error::argument("Sequential", what, "add the Input first"));
            return;
        }
        state.graph = None;
        state.layers.push(Arc::clone(&layer));
        if let Err(error) = state.extend(&layer) {
            state.error = Some(error);
        }
    }

    fn pop(&self) -> Option<LayerRef> {
        let mut state = self.lock();
        state.graph = None;
        let layers = state.layers.len();
        state.symbols.truncate(layers.saturating_sub(1));
        state.layers.pop()
    }

    /// Makes the input known.
    pub(crate) fn build(&self, inputs: &InputShapes) -> Result<()> {
        let mut state = self.lock();
        state.fail()?;
        if !state.symbols.is_empty() {
            return Ok(());
        }
        let Some(first) = state.layers.first() else {
            return Err(Error::argument("Sequential", "the model has no layers", "add one"));
        };
        let mut shape = inputs.first()?.clone();
        if shape.rank() > 0 {
            // The graph serves any batch size.
            shape[0] = crate::layers::unknown_dim(0);
        }
        let ty = match first.text_input() {
            TextInput::Always => text::symbolic(&shape),
            _ => TensorType::new(first.base().compute_dtype(), shape),
        };
        let input: LayerRef = Arc::new(InputLayer::for_type(&ty, &crate::naming::auto_name("InputLayer")));
        let layers = std::mem::take(&mut state.layers);
        for layer in std::iter::once(input).chain(layers) {
            state.layers.push(Arc::clone(&layer));
            state.extend(&layer)?;
        }
        Ok(())
    }

    pub(crate) fn run(&self, inputs: &Nest, cx: &mut Context) -> Result<Nest> {
        self.lock().fail()?;
        if let Some(graph) = self.graph() {
            return graph.run(inputs, cx);
        }
        // Inputs that are no single tensor: simply one layer after the other.
        self.layers().iter().try_fold(inputs.clone(), |x, layer| call_layer(layer, Args::new(x), cx))
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.lock().fail()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl State {
    fn fail(&self) -> Result<()> {
        self.error.clone().map_or(Ok(()), Err)
    }

    /// The symbol after `layer`, if that before it is known.
    fn extend(&mut self, layer: &LayerRef) -> Result<()> {
        if let Some(input) = layer.as_any().downcast_ref::<InputLayer>() {
            self.symbols.push(input.symbol());
        } else if self.symbols.is_empty()
            && let Some(model) = layer.as_any().downcast_ref::<Model>()
            && self.layers.len() == 1
            && let [input] = model.inputs().as_slice()
        {
            // A model at the bottom knows its input.
            let input = InputLayer::for_type(input.ty(), &crate::naming::auto_name("InputLayer"));
            self.symbols.push(input.symbol());
            self.layers.insert(0, Arc::new(input));
            self.extend(layer)?;
        } else if let Some(x) = self.symbols.last().cloned() {
            let y = call_layer(layer, Args::new(x), &mut Context::default())?;
            self.symbols.push(y.single()?.clone());
        }
        Ok(())
    }
}
