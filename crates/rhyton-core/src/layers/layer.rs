//! The trait that every layer implements.

use std::any::Any;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use rhyton_ir::{Dim, Shape};
use serde_json::{Map, Value, json};

use super::Base;
use crate::error::{Error, Result};
use crate::nest::{Args, Nest};
use crate::saving::registered_name;
use crate::tensor::Tensor;
use crate::variable::Variable;

/// A shared layer of any class. Clones are the same layer.
pub type LayerRef = Arc<dyn Layer>;

/// What a layer is besides its mathematics; [`keras_layer!`](crate::keras_layer) implements it for structs with a field
/// `base: Base` that serde can read and write.
pub trait LayerObject: fmt::Debug + Send + Sync {
    /// The identity and state.
    fn base(&self) -> &Base;
    /// Keras's class name.
    fn class_name(&self) -> &'static str;
    /// The arguments of the class, without those that every layer has.
    fn own_config(&self) -> Value;
    /// The same layer behind a shared pointer.
    fn share(&self) -> LayerRef;
    /// For looking at a layer as what it is.
    fn as_any(&self) -> &dyn Any;
}

/// A layer: weights made by [`build`](Layer::build) for the shapes it meets first, and a computation,
/// [`forward`](Layer::forward) (Keras's `call`; users of a layer write `layer.call(&x)`, Keras's `layer(x)`).
///
/// Provided methods only pass on to functions of this file: each is compiled anew for every class of layers.
pub trait Layer: LayerObject {
    /// Makes the weights, with `self.base().add_weight(…)`. Called once, before the first `forward`.
    ///
    /// # Errors
    /// If no weights can be made for these shapes.
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let _ = inputs;
        Ok(())
    }

    /// The computation. Inputs are in the compute dtype already.
    ///
    /// # Errors
    /// If the inputs are not what the layer takes.
    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest>;

    /// The Python module in configurations.
    fn module(&self) -> &'static str {
        "keras.layers"
    }

    /// Under which name a class of a user is registered, `Custom>ClassName` unless said otherwise; `None` for Keras's
    /// own.
    fn registered_name(&self) -> Option<String> {
        registered_name(std::any::type_name::<Self>(), self.class_name())
    }

    /// Keras's names of the arguments that tensors are given for, in order.
    fn arguments(&self) -> &'static [&'static str] {
        &["inputs"]
    }

    /// The name of Keras's Python class, which automatic names are made of, where it is not that of the configuration.
    fn python_class(&self) -> &'static str {
        self.class_name()
    }

    /// The layer as a cell that recurrent layers step through time, if it is one.
    fn as_cell(&self) -> Option<&dyn super::Cell> {
        None
    }

    /// The layer as one on images, if it is one.
    fn as_image_layer(&self) -> Option<&dyn super::ImageLayer> {
        None
    }

    /// Whether a call trains if neither it nor a call around it says (Keras's default of `training`).
    fn training_by_default(&self) -> bool {
        false
    }

    /// Sets the state that stateful recurrent layers keep between calls back to zeros.
    ///
    /// # Errors
    /// If the state cannot be assigned.
    fn reset_state(&self) -> Result<()> {
        reset_states(self.children())
    }

    /// Inner layers by Keras's attribute names, in the order in which Keras tracks them.
    fn children(&self) -> Vec<(String, LayerRef)> {
        Vec::new()
    }

    /// Whether masks of the inputs are passed on.
    fn supports_masking(&self) -> bool {
        false
    }

    /// The mask of the outputs, given the inputs and the mask of the first one; flat, one an output.
    ///
    /// # Errors
    /// If it cannot be computed.
    fn compute_mask(&self, inputs: &Args, mask: Option<&Tensor>) -> Result<Vec<Option<Tensor>>> {
        let _ = inputs;
        Ok(mask_if(self.supports_masking(), mask))
    }

    /// Whether floating-point inputs are converted to the compute dtype.
    fn autocasts_inputs(&self) -> bool {
        true
    }

    /// Whether the inputs are texts; see [`crate::text`].
    fn text_input(&self) -> TextInput {
        TextInput::Never
    }

    /// Whether the layer runs in compiled steps; one whose output shape hangs on the values does not, and models with it are
    /// run layer by layer.
    fn supports_jit(&self) -> bool {
        true
    }

    /// Whether Keras's class counts as built from the beginning (its `__init__` builds it), so that no shapes are
    /// stored.
    fn is_built_at_init(&self) -> bool {
        false
    }

    /// Whether this stands for an operation of `keras.ops` in a functional model, not for a layer.
    fn is_operation(&self) -> bool {
        false
    }

    /// A penalty on the outputs, added to the loss.
    fn activity_regularizer(&self) -> Option<&crate::regularizers::RegularizerRef> {
        None
    }

    /// Losses other than those of weights and activity that hold for every call, such as those given to `add_loss`.
    fn extra_losses(&self) -> Vec<Tensor> {
        Vec::new()
    }

    /// Keras's configuration: what every layer has, then the class's own.
    fn config(&self) -> Value {
        config_with(self.name(), self.base(), self.own_config())
    }

    /// The name: the one given, or the next automatic one.
    fn name(&self) -> &str {
        self.base().name_or(self.python_class())
    }

    /// What Keras stores to rebuild the weights on loading; `None` for what is not built.
    fn build_config(&self) -> Option<Value> {
        stored_shapes(self.base(), self.is_built_at_init())
    }

    /// Makes the weights from what [`Layer::build_config`] gave.
    ///
    /// # Errors
    /// As [`Layer::build`], or if `config` is something else.
    fn build_from_config(&self, config: &Value) -> Result<()> {
        build_as_stored(self.share(), config)
    }

    /// The layer's weights and those of inner layers.
    fn weights(&self) -> Vec<Variable> {
        all_weights(self.base(), self.children())
    }

    /// The weights that train; none if the layer does not.
    fn trainable_weights(&self) -> Vec<Variable> {
        trained_weights(self.base(), self.children())
    }

    /// The weights that do not train.
    fn non_trainable_weights(&self) -> Vec<Variable> {
        without(self.weights(), self.trainable_weights())
    }

    /// Sets whether this layer and all inner ones train.
    fn set_trainable(&self, trainable: bool) {
        set_all_trainable(self.base(), self.children(), trainable);
    }

    /// The number of elements of all weights.
    fn count_params(&self) -> usize {
        count(self.weights())
    }

    /// Files that are saved beside the weights, by name: vocabularies that no configuration holds.
    ///
    /// # Errors
    /// If they cannot be made.
    fn assets(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        Ok(BTreeMap::new())
    }

    /// Takes the files that [`Layer::assets`] gave.
    ///
    /// # Errors
    /// If one is damaged.
    fn load_assets(&self, assets: &BTreeMap<String, Vec<u8>>) -> Result<()> {
        let _ = assets;
        Ok(())
    }

    /// The name in `model.weights.h5` of the variable at `index` of [`Layer::saved_variables`]; its number unless said
    /// otherwise.
    fn saved_name(&self, index: usize) -> String {
        index.to_string()
    }

    /// What the layer saves into `model.weights.h5`, in order; its own weights unless said otherwise.
    fn saved_variables(&self) -> Vec<Variable> {
        own_weights_in_order(self.base())
    }
}

/// Whether a layer takes texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextInput {
    /// It takes numbers alone.
    Never,
    /// It takes numbers or texts; numbers of dtype `uint8` are read as texts.
    Possibly,
    /// It takes texts alone.
    Always,
}

/// Inner layers by Keras's attribute names.
type Children = Vec<(String, LayerRef)>;

fn reset_states(children: Children) -> Result<()> {
    children.iter().try_for_each(|(_, layer)| layer.reset_state())
}

fn mask_if(passed_on: bool, mask: Option<&Tensor>) -> Vec<Option<Tensor>> {
    vec![mask.filter(|_| passed_on).cloned()]
}

fn stored_shapes(base: &Base, is_built_at_init: bool) -> Option<Value> {
    base.build_config().filter(|v| !v.is_null() && !is_built_at_init).cloned()
}

fn build_as_stored(layer: LayerRef, config: &Value) -> Result<()> {
    build_layer(layer.as_ref(), &InputShapes::from_json(config)?)
}

/// Keras lists what trains first, layer by layer.
fn own_weights_in_order(base: &Base) -> Vec<Variable> {
    let mut own = base.own_weights();
    own.sort_by_key(|w| !w.made_trainable());
    own
}

fn all_weights(base: &Base, children: Children) -> Vec<Variable> {
    let inner = children.iter().flat_map(|(_, layer)| layer.weights());
    own_weights_in_order(base).into_iter().chain(inner).collect()
}

fn trained_weights(base: &Base, children: Children) -> Vec<Variable> {
    if !base.trainable() {
        return Vec::new();
    }
    // Of inner layers only the weights are asked, as in Keras: a layer that is frozen freezes what it has at that time.
    all_weights(base, children).into_iter().filter(Variable::trainable).collect()
}

fn without(variables: Vec<Variable>, others: Vec<Variable>) -> Vec<Variable> {
    let others: HashSet<u64> = others.iter().map(Variable::id).collect();
    variables.into_iter().filter(|v| !others.contains(&v.id())).collect()
}

fn set_all_trainable(base: &Base, children: Children, trainable: bool) {
    base.set_own_trainable(trainable);
    children.iter().for_each(|(_, layer)| layer.set_trainable(trainable));
}

fn count(variables: Vec<Variable>) -> usize {
    variables.iter().map(Variable::count).sum()
}

/// Keras's configuration: `name`, `trainable` and `dtype`, then the class's own.
pub(crate) fn config_with(name: &str, base: &Base, own: Value) -> Value {
    let mut config = Map::new();
    config.insert("name".into(), name.into());
    config.insert("trainable".into(), base.trainable().into());
    config.insert("dtype".into(), base.policy().to_json());
    if let Value::Object(own) = own {
        // Keras writes this one, if there is one, before what the class writes.
        if let Some(regularizer) = own.get("activity_regularizer").filter(|r| !r.is_null()) {
            config.insert("activity_regularizer".into(), regularizer.clone());
        }
        config.extend(own);
    }
    Value::Object(config)
}

/// The state of one call that goes through nested layers.
#[derive(Debug, Default)]
pub struct Context {
    /// Whether this is training; layers such as dropout differ.
    pub training: bool,
    /// Losses added by layers on the way.
    pub losses: Vec<Tensor>,
    /// Metrics of the call added by layers on the way: name and value to average over the epoch.
    pub metrics: Vec<(String, Tensor)>,
    /// Whether nobody has said if this is training, so that each layer does what is its default.
    pub(crate) undecided: bool,
    /// Whether the call is one on symbols, of which only types are learnt.
    pub(crate) symbolic: bool,
}

impl Context {
    /// For a call in training or not.
    pub fn new(training: bool) -> Context {
        Context { training, ..Context::default() }
    }

    /// Adds a scalar to the loss of the step (Keras's `add_loss`).
    pub fn add_loss(&mut self, loss: Tensor) {
        self.losses.push(loss);
    }

    /// Tracks a scalar as a metric of the model, averaged over the epoch.
    pub fn add_metric(&mut self, name: &str, value: Tensor) {
        self.metrics.push((name.to_owned(), value));
    }
}

/// The shapes for which a layer makes its weights, by Keras's argument names.
#[derive(Clone, Debug, Default)]
pub struct InputShapes(IndexMap<String, ShapeNest>);

/// A shape, or a list of such.
#[derive(Clone, Debug)]
pub enum ShapeNest {
    /// Of one tensor.
    Shape(Shape),
    /// Of several.
    List(Vec<ShapeNest>),
    /// Of several, by name.
    Dict(IndexMap<String, ShapeNest>),
}

impl InputShapes {
    /// The shape of one input.
    pub fn one(shape: impl Into<Shape>) -> InputShapes {
        InputShapes(IndexMap::from([("input".to_owned(), ShapeNest::Shape(shape.into()))]))
    }

    /// Of the tensors among `args`.
    pub fn of(args: &Args, names: &[&str]) -> InputShapes {
        let mut shapes = IndexMap::new();
        // Arguments that the layer does not name are none that it makes weights for, and Keras does not store their
        // shapes.
        let positional = names.iter().copied().zip(&args.positional);
        let named = args.named.iter().map(|(k, n)| (k.as_str(), n)).filter(|(k, _)| names.contains(k));
        for (name, nest) in positional.chain(named) {
            // Masks make no weights, and Keras does not store their shapes.
            if name == "mask" || name.ends_with("_mask") {
                continue;
            }
            if let Some(nest) = ShapeNest::of(nest) {
                shapes.insert(name.to_owned(), nest);
            }
        }
        InputShapes(shapes)
    }

    /// The shape of the first input.
    ///
    /// # Errors
    /// If the first input is not one tensor.
    pub fn first(&self) -> Result<&Shape> {
        let mut nest = self.0.values().next();
        while let Some(ShapeNest::List(items)) = nest {
            nest = if items.len() == 1 { items.first() } else { None };
        }
        match nest {
            Some(ShapeNest::Shape(shape)) => Ok(shape),
            _ => Err(Error::shape("build", "the layer takes one tensor", "pass one tensor, not a list")),
        }
    }

    /// The size of the last axis of the first input, which most weights are made for.
    ///
    /// # Errors
    /// If the first input is not one tensor, or that size is not known.
    pub fn features(&self) -> Result<usize> {
        super::last_size(self.first()?, "build")
    }

    /// The shapes of the first input, which is a list.
    pub fn list(&self) -> Vec<&Shape> {
        self.0.values().next().map(ShapeNest::flat).unwrap_or_default()
    }

    /// The shape of the input named `name`.
    pub fn named(&self, name: &str) -> Option<&Shape> {
        match self.0.get(name) {
            Some(ShapeNest::Shape(shape)) => Some(shape),
            _ => None,
        }
    }

    /// As Keras stores it: `{"input_shape": …}` for one, `{"shapes_dict": {"query_shape": …}}` for several.
    pub fn to_json(&self) -> Value {
        let mut entries = self.0.iter();
        match (entries.next(), entries.next()) {
            (None, _) => Value::Null,
            (Some((_, only)), None) => json!({"input_shape": only.to_json()}),
            _ => {
                let dict: Map<String, Value> =
                    self.0.iter().map(|(name, s)| (format!("{name}_shape"), s.to_json())).collect();
                json!({"shapes_dict": dict})
            }
        }
    }

    /// From what Keras stores.
    ///
    /// # Errors
    /// If it has another form.
    pub fn from_json(value: &Value) -> Result<InputShapes> {
        if let Some(shape) = value.get("input_shape") {
            return Ok(InputShapes(IndexMap::from([("input".to_owned(), ShapeNest::from_json(shape)?)])));
        }
        let dict = value.get("shapes_dict").and_then(Value::as_object).ok_or_else(|| {
            Error::content("build_config", format!("{value} holds no shapes"), "it needs input_shape or shapes_dict")
        })?;
        let shapes = dict.iter().filter(|(_, v)| !v.is_null()).map(|(name, shape)| {
            Ok((name.strip_suffix("_shape").unwrap_or(name).to_owned(), ShapeNest::from_json(shape)?))
        });
        Ok(InputShapes(shapes.collect::<Result<_>>()?))
    }
}

impl ShapeNest {
    fn of(nest: &Nest) -> Option<ShapeNest> {
        match nest {
            Nest::Tensor(t) => Some(ShapeNest::Shape(t.shape().clone())),
            Nest::List(items) => {
                let shapes: Vec<ShapeNest> = items.iter().filter_map(ShapeNest::of).collect();
                (!shapes.is_empty()).then_some(ShapeNest::List(shapes))
            }
            Nest::Dict(items) => {
                let shapes: IndexMap<String, ShapeNest> =
                    items.iter().filter_map(|(k, n)| Some((k.clone(), ShapeNest::of(n)?))).collect();
                (!shapes.is_empty()).then_some(ShapeNest::Dict(shapes))
            }
            Nest::Plain(_) => None,
        }
    }

    fn flat(&self) -> Vec<&Shape> {
        match self {
            ShapeNest::Shape(shape) => vec![shape],
            ShapeNest::List(items) => items.iter().flat_map(ShapeNest::flat).collect(),
            ShapeNest::Dict(items) => items.values().flat_map(ShapeNest::flat).collect(),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            ShapeNest::Shape(shape) => shape_to_json(shape),
            ShapeNest::List(items) => items.iter().map(ShapeNest::to_json).collect(),
            ShapeNest::Dict(items) => Value::Object(items.iter().map(|(k, s)| (k.clone(), s.to_json())).collect()),
        }
    }

    fn from_json(value: &Value) -> Result<ShapeNest> {
        match value {
            Value::Object(items) => Ok(ShapeNest::Dict(
                items.iter().map(|(k, v)| Ok((k.clone(), ShapeNest::from_json(v)?))).collect::<Result<_>>()?,
            )),
            Value::Array(items) if items.iter().any(|v| v.is_array() || v.is_object()) => {
                Ok(ShapeNest::List(items.iter().map(ShapeNest::from_json).collect::<Result<_>>()?))
            }
            _ => shape_from_json(value).map(ShapeNest::Shape),
        }
    }
}

/// `[null, 3]`: sizes that are not known are `null`; the bytes of texts are no axis.
pub fn shape_to_json(shape: &Shape) -> Value {
    crate::text::logical_shape(shape).iter().map(|d| d.known().map_or(Value::Null, Value::from)).collect()
}

/// From `[null, 3]`; the first axis, if unknown, is the batch.
///
/// # Errors
/// If it is not a list of sizes.
pub fn shape_from_json(value: &Value) -> Result<Shape> {
    let wrong =
        || Error::content("shape", format!("{value} is not a shape"), "write a list of sizes, null for unknown");
    let dims = value.as_array().ok_or_else(wrong)?.iter().enumerate().map(|(axis, v)| match v {
        Value::Null => Ok(unknown_dim(axis)),
        v => v.as_u64().and_then(|n| usize::try_from(n).ok()).map(Dim::Known).ok_or_else(wrong),
    });
    Ok(Shape::from(dims.collect::<Result<Vec<Dim>>>()?))
}

/// The symbol for an unknown size of `axis`: all unknown batch sizes are one symbol.
pub(crate) fn unknown_dim(axis: usize) -> Dim {
    Dim::symbol(if axis == 0 { "batch".to_owned() } else { format!("d{axis}") })
}

/// Builds `layer` for `shapes` unless it is built: weights are named within the layer's scope.
///
/// # Errors
/// The error of [`Layer::build`], with the layer's name.
pub fn build_layer(layer: &dyn Layer, shapes: &InputShapes) -> Result<()> {
    if layer.base().built() {
        return Ok(());
    }
    let name = layer.name().to_owned();
    layer.base().set_path(crate::naming::path_of(&name));
    layer.base().policy().at(layer.base().path()).map_err(|e| e.within(&describe(layer)))?;
    crate::naming::scoped(&name, || layer.build(shapes)).map_err(|e| e.within(&describe(layer)))?;
    layer.base().set_built(shapes.to_json());
    Ok(())
}

/// How errors name a layer: `dense_1 (Dense)`.
pub fn describe(layer: &dyn Layer) -> String {
    format!("{} ({})", layer.base().path().unwrap_or(layer.name()), layer.class_name())
}

/// Implements [`LayerObject`] for a struct with a field `base: Base` whose other fields are Keras's configuration.
#[macro_export]
macro_rules! keras_layer_object {
    ($name:ident) => {
        impl $crate::layers::LayerObject for $name {
            fn base(&self) -> &$crate::layers::Base {
                &self.base
            }
            fn class_name(&self) -> &'static str {
                stringify!($name)
            }
            fn own_config(&self) -> $crate::saving::Json {
                $crate::saving::config_of(self)
            }
            fn share(&self) -> $crate::layers::LayerRef {
                std::sync::Arc::new(self.clone())
            }
            fn as_any(&self) -> &dyn std::any::Any {
                self
            }
        }
    };
}

/// [`keras_layer_object!`] and the builder methods that every layer has: `name`, `trainable`, `dtype`.
#[macro_export]
macro_rules! keras_layer {
    ($name:ident) => {
        $crate::keras_layer_object!($name);

        impl $name {
            /// Names the layer.
            pub fn name(self, name: &str) -> Self {
                self.base.set_name(name);
                self
            }

            /// Sets whether the layer's weights train.
            pub fn trainable(self, trainable: bool) -> Self {
                $crate::layers::Layer::set_trainable(&self, trainable);
                self
            }

            /// Sets the dtype policy: a dtype, or `DTypePolicy::mixed(…)`.
            pub fn dtype(self, policy: impl Into<$crate::DTypePolicy>) -> Self {
                self.base.set_policy(policy);
                self
            }
        }
    };
}
