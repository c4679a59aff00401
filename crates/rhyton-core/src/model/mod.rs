//! Models: functional, sequential and subclassed, all of one type.

mod clone;
mod config;
mod foreign;
mod functional;
mod graph;
mod history;
mod sequential;
mod summary;

use std::any::Any;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::layers::{Base, Call, Context, InputShapes, Layer, LayerObject, LayerRef, TextInput, call_layer};
use crate::nest::{Args, Nest};
use crate::tensor::Tensor;
use crate::text;
use crate::trainer::Trainer;
use crate::variable::Variable;

pub use clone::{CloneModel, clone_model, clone_model_with};
pub(crate) use config::container_names;
pub use config::{deserialize_layer, serialize_layer};
pub use graph::FunctionalGraph;
pub(crate) use graph::is_input;
pub use history::{CallNode, History};
pub use sequential::Sequential;
pub(crate) use sequential::Stack;

/// A network that can be trained, evaluated, used and saved. A clone is the same model: it has the same weights.
///
/// Three ways lead to one: [`Model::new`] of the inputs and outputs of layers applied to symbols (functional),
/// [`Sequential`] of a stack of layers, and [`Model::subclass`] of a layer of your own that calls others.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let inputs = Input::new([3]);
/// let x = Dense::new(4).activation(Activation::Relu).call(&inputs);
/// let outputs = Dense::new(1).call(&x);
/// let model = Model::new(&inputs, &outputs)?;
/// assert_eq!(model.count_params(), 3 * 4 + 4 + 4 + 1);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Model {
    pub(crate) base: Base,
    pub(crate) body: Arc<Body>,
    pub(crate) trainer: Arc<Mutex<Trainer>>,
}

/// What computes.
pub(crate) enum Body {
    Functional(FunctionalGraph),
    Sequential(Stack),
    Subclassed(LayerRef),
}

impl Model {
    fn with_body(body: Body) -> Model {
        Model { base: Base::default(), body: Arc::new(body), trainer: Arc::default() }
    }

    /// A model from `inputs` to `outputs`: symbols, lists of such (`[&a, &b]`), or dictionaries.
    ///
    /// # Errors
    /// If a symbol carries an error, an output does not depend on the inputs alone, or two layers share a name.
    pub fn new(inputs: impl Into<Nest>, outputs: impl Into<Nest>) -> Result<Model> {
        functional::functional(inputs.into(), outputs.into())
    }

    /// A model that computes what `layer` does; its inner layers are those that `layer.children()` names.
    pub fn subclass(layer: impl Call) -> Model {
        Model::with_body(Body::Subclassed(layer.layer_ref()))
    }

    /// Names the model; has no effect once the name has been used.
    pub fn named(self, name: &str) -> Model {
        self.base.set_name(name);
        self
    }

    /// The layers, in Keras's order; operations of a functional model and the input of a stack are not among them.
    pub fn layers(&self) -> Vec<LayerRef> {
        match &*self.body {
            Body::Functional(graph) => graph.layers().iter().filter(|l| !l.is_operation()).cloned().collect(),
            Body::Sequential(stack) => stack.layers().into_iter().filter(|l| l.class_name() != "InputLayer").collect(),
            Body::Subclassed(layer) => layer.children().into_iter().map(|(_, l)| l).collect(),
        }
    }

    /// The layer named `name`.
    ///
    /// # Errors
    /// If there is none; the message has the names that there are.
    pub fn get_layer(&self, name: &str) -> Result<LayerRef> {
        let layers = self.layers();
        let found = layers.iter().find(|l| l.name() == name).cloned();
        found.ok_or_else(|| crate::saving::unknown("layer", name, layers.iter().map(|l| l.name())))
    }

    /// The graph, if the model is functional or a stack whose input shape is known.
    pub fn graph(&self) -> Option<GraphRef<'_>> {
        match &*self.body {
            Body::Functional(graph) => Some(GraphRef::Borrowed(graph)),
            Body::Sequential(stack) => stack.graph().map(GraphRef::Shared),
            Body::Subclassed(_) => None,
        }
    }

    /// The names of the inputs, in order; empty if they are not known yet.
    pub fn input_names(&self) -> Vec<String> {
        self.graph().map(|g| g.input_names()).unwrap_or_default()
    }

    /// The names of the outputs, in order; empty if they are not known yet.
    pub fn output_names(&self) -> Vec<String> {
        self.graph().map(|g| g.output_names()).unwrap_or_default()
    }

    /// The input symbols, flat; empty if they are not known yet.
    pub fn inputs(&self) -> Vec<Tensor> {
        self.graph().map(|g| g.inputs().tensors().into_iter().cloned().collect()).unwrap_or_default()
    }

    /// The output symbols, flat; empty if they are not known yet.
    pub fn outputs(&self) -> Vec<Tensor> {
        self.graph().map(|g| g.outputs().tensors().into_iter().cloned().collect()).unwrap_or_default()
    }

    /// Makes the weights for inputs of `shape`, batch included; needed only before weights of a model whose input shape is
    /// not known are looked at.
    ///
    /// # Errors
    /// If a layer cannot be built for what it would get.
    pub fn build(&self, shape: impl Into<rhyton_ir::Shape>) -> Result<()> {
        crate::layers::build_layer(self, &InputShapes::one(shape))
    }

    /// Whether the weights are there.
    pub fn built(&self) -> bool {
        self.graph().is_some() || self.base.built()
    }

    /// Applies the model to tensors within a call that goes on: a training step, a larger model.
    ///
    /// # Errors
    /// If the inputs are not what the model takes.
    pub fn apply(&self, inputs: impl Into<Nest>, cx: &mut Context) -> Result<Nest> {
        call_layer(&self.share(), Args::new(inputs.into()), cx)
    }

    /// All weights by value, in order.
    ///
    /// # Errors
    /// If a weight cannot be computed.
    pub fn get_weights(&self) -> Result<Vec<rhyton_ir::Array>> {
        self.weights().iter().map(Variable::array).collect()
    }

    /// Sets all weights, in order.
    ///
    /// # Errors
    /// If the count or a shape differs; the message names the weight.
    pub fn set_weights(&self, values: &[rhyton_ir::Array]) -> Result<()> {
        let weights = self.weights();
        if weights.len() != values.len() {
            return Err(Error::argument(
                self.name(),
                format!("{} values for {} weights", values.len(), weights.len()),
                "give one value a weight, in the order of weights()",
            ));
        }
        weights.iter().zip(values).try_for_each(|(w, v)| w.assign(v.clone()))
    }

    pub(crate) fn body_layer(&self) -> Option<&LayerRef> {
        match &*self.body {
            Body::Subclassed(layer) => Some(layer),
            _ => None,
        }
    }

    pub(crate) fn is_sequential(&self) -> bool {
        matches!(&*self.body, Body::Sequential(_))
    }

    pub(crate) fn stack(&self) -> Option<&Stack> {
        match &*self.body {
            Body::Sequential(stack) => Some(stack),
            _ => None,
        }
    }
}

/// A model's graph, held or borrowed.
pub enum GraphRef<'g> {
    /// Of a functional model.
    Borrowed(&'g FunctionalGraph),
    /// Of a stack, which may grow.
    Shared(Arc<FunctionalGraph>),
}

impl std::ops::Deref for GraphRef<'_> {
    type Target = FunctionalGraph;
    fn deref(&self) -> &FunctionalGraph {
        match self {
            GraphRef::Borrowed(graph) => graph,
            GraphRef::Shared(graph) => graph,
        }
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Model({}, {} layers)", self.name(), self.layers().len())
    }
}

impl LayerObject for Model {
    fn base(&self) -> &Base {
        &self.base
    }

    fn class_name(&self) -> &'static str {
        match &*self.body {
            Body::Functional(_) => "Functional",
            Body::Sequential(_) => "Sequential",
            Body::Subclassed(layer) => layer.class_name(),
        }
    }

    fn own_config(&self) -> Value {
        config::model_config(self)
    }

    fn share(&self) -> LayerRef {
        Arc::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Layer for Model {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        match &*self.body {
            Body::Functional(_) => Ok(()),
            Body::Sequential(stack) => stack.build(inputs),
            Body::Subclassed(layer) => layer.build(inputs),
        }
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        match &*self.body {
            Body::Functional(graph) => graph.run(&with_mask(inputs)?, cx),
            Body::Sequential(stack) => stack.run(&with_mask(inputs)?, cx),
            Body::Subclassed(layer) => layer.forward(inputs, cx),
        }
    }

    fn module(&self) -> &'static str {
        match &*self.body {
            Body::Functional(_) => "keras.src.models.functional",
            Body::Sequential(_) => "keras",
            Body::Subclassed(layer) => layer.module(),
        }
    }

    fn registered_name(&self) -> Option<String> {
        match &*self.body {
            Body::Functional(_) => Some("Functional".into()),
            Body::Sequential(_) => None,
            Body::Subclassed(layer) => layer.registered_name(),
        }
    }

    fn children(&self) -> Vec<(String, LayerRef)> {
        match &*self.body {
            Body::Subclassed(layer) => layer.children(),
            _ => config::container_names("layers", self.layers()),
        }
    }

    fn config(&self) -> Value {
        config::model_config(self)
    }

    fn build_config(&self) -> Option<Value> {
        config::model_build_config(self)
    }

    fn build_from_config(&self, config: &Value) -> Result<()> {
        // A functional model is complete as it is, and its build_config holds no shapes.
        if matches!(&*self.body, Body::Functional(_)) || config["input_shape"].is_null() {
            return Ok(());
        }
        crate::layers::build_layer(self, &InputShapes::from_json(config)?)
    }

    fn text_input(&self) -> TextInput {
        let texts = |inputs: &Nest| inputs.tensors().iter().any(|t| text::is_symbolic(t.ty()));
        match &*self.body {
            Body::Functional(graph) if texts(graph.inputs()) => TextInput::Possibly,
            Body::Functional(_) => TextInput::Never,
            Body::Sequential(stack) => stack.layers().first().map_or(TextInput::Never, |first| {
                let text_input = self.inputs().first().is_some_and(|t| text::is_symbolic(t.ty()));
                if text_input { TextInput::Always } else { first.text_input() }
            }),
            Body::Subclassed(layer) => layer.text_input(),
        }
    }

    fn supports_jit(&self) -> bool {
        match &*self.body {
            Body::Functional(graph) => graph.layers().iter().all(|l| l.supports_jit()),
            Body::Sequential(stack) => stack.layers().iter().all(|l| l.supports_jit()),
            Body::Subclassed(layer) => layer.supports_jit(),
        }
    }

    fn autocasts_inputs(&self) -> bool {
        // Each input is converted to its own dtype.
        false
    }
}

/// The first argument, carrying the mask that was passed by name.
fn with_mask(args: &Args) -> Result<Nest> {
    let first = args.first()?;
    let Some(mask) = args.named("mask") else { return Ok(first.clone()) };
    let mut masks = mask.tensors().into_iter();
    first.map(&mut |t| Ok(masks.next().map_or_else(|| t.clone(), |m| t.with_mask(Some(m.clone())))))
}
