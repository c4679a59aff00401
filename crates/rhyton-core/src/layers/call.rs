//! Calling a layer: building it, converting inputs, passing masks, and recording calls on symbols.

use std::panic::Location;
use std::sync::Arc;

use rhyton_ir::{DType, TensorType};

use super::layer::{Context, InputShapes, Layer, LayerRef, TextInput, build_layer, describe};
use super::remat;
use crate::error::{Error, Result};
use crate::model::{CallNode, History};
use crate::nest::{Args, Nest};
use crate::tensor::{Tensor, Trace, here};
use crate::text;

/// Calls of layers, as users write them.
pub trait Call {
    /// The layer behind a shared pointer.
    fn layer_ref(&self) -> LayerRef;

    /// Applies the layer to one tensor, a list, or [`Args`]: Keras's `layer(x)`. Errors travel in the result.
    #[track_caller]
    fn call(&self, inputs: impl Into<Args>) -> Tensor
    where
        Self: Sized,
    {
        let at = Location::caller();
        let mut outputs = self.call_many_at(inputs.into(), at);
        if outputs.len() == 1 {
            return outputs.swap_remove(0);
        }
        Tensor::invalid(Error::argument(
            format!("{} at {}", describe(self.layer_ref().as_ref()), here(at)),
            format!("the layer gives {} tensors", outputs.len()),
            "use call_many to get all of them",
        ))
    }

    /// Applies the layer; all outputs, flat. If the call failed there is one, which carries the error.
    #[track_caller]
    fn call_many(&self, inputs: impl Into<Args>) -> Vec<Tensor>
    where
        Self: Sized,
    {
        self.call_many_at(inputs.into(), Location::caller())
    }

    /// Applies the layer; the outputs in their structure: dictionaries, lists.
    ///
    /// # Errors
    /// That of the call, with the layer's name.
    #[track_caller]
    fn call_nested(&self, inputs: impl Into<Args>) -> Result<Nest>
    where
        Self: Sized,
    {
        let at = Location::caller();
        let mut cx = Context { undecided: true, ..Context::default() };
        call_layer(&self.layer_ref(), inputs.into(), &mut cx).map_err(|e| e.within(&format!("at {}", here(at))))
    }

    #[doc(hidden)]
    fn call_many_at(&self, inputs: Args, at: &Location<'_>) -> Vec<Tensor> {
        let mut cx = Context { undecided: true, ..Context::default() };
        match call_layer(&self.layer_ref(), inputs, &mut cx) {
            Ok(nest) => nest.tensors().into_iter().cloned().collect(),
            Err(error) => vec![Tensor::invalid(error.within(&format!("at {}", here(at))))],
        }
    }
}

impl<L: Layer + Clone> Call for L {
    fn layer_ref(&self) -> LayerRef {
        self.share()
    }
}

impl Call for LayerRef {
    fn layer_ref(&self) -> LayerRef {
        Arc::clone(self)
    }
}

/// Applies `layer` within a call that goes through several layers: builds it on first use, converts floating-point
/// inputs to its compute dtype, passes masks on, adds its activity penalty. On symbols of a functional model nothing is
/// computed: the call is recorded and the result is symbols.
///
/// # Errors
/// The error that an input carries, or that of the layer, with the layer's name.
pub fn call_layer(layer: &LayerRef, args: Args, cx: &mut Context) -> Result<Nest> {
    for tensor in args.tensors() {
        tensor.check()?;
    }
    if args.tensors().iter().any(|t| t.is_symbol()) {
        return record_call(layer, args, cx);
    }
    let args = if layer.autocasts_inputs() { autocast(args, layer.base().compute_dtype())? } else { args };
    build_layer(layer.as_ref(), &shapes_of(layer.as_ref(), &args)?)?;
    let outer = (cx.training, cx.undecided);
    if let Some(Nest::Plain(serde_json::Value::Bool(training))) = args.named.get("training") {
        (cx.training, cx.undecided) = (*training, false);
    } else if cx.undecided && layer.training_by_default() {
        (cx.training, cx.undecided) = (true, false);
    }
    let result = crate::naming::scoped(layer.name(), || remat::forward(layer, &args, cx));
    (cx.training, cx.undecided) = outer;
    let outputs = result.map_err(|e| e.within(&describe(layer.as_ref())))?;
    for tensor in outputs.tensors() {
        tensor.check().map_err(|e| e.within(&describe(layer.as_ref())))?;
    }
    if let Some(regularizer) = layer.activity_regularizer() {
        for tensor in outputs.tensors() {
            // Averaged over the batch, as Keras does.
            let batch = tensor.dim(0).known().unwrap_or(1).max(1);
            cx.add_loss(regularizer.call(tensor)? * (1.0 / batch as f64));
        }
    }
    set_masks(layer, &args, outputs)
}

/// The shapes for which the layer is built: bytes of texts are no axis.
fn shapes_of(layer: &dyn Layer, args: &Args) -> Result<InputShapes> {
    if layer.text_input() == TextInput::Never {
        return Ok(InputShapes::of(args, layer.arguments()));
    }
    let logical = args.map(&mut |t| Ok(Tensor::placeholder(TensorType::new(t.dtype(), text::shape_of(t)))))?;
    Ok(InputShapes::of(&logical, layer.arguments()))
}

fn autocast(args: Args, compute: DType) -> Result<Args> {
    let convert = |t: &Tensor| if t.dtype().is_float() && compute.is_float() { t.cast(compute) } else { t.clone() };
    args.map(&mut |t| Ok(convert(t)))
}

/// The mask of the first input: the argument `mask` if given, else the one that travels with the tensor.
pub(crate) fn first_mask(args: &Args) -> Option<Tensor> {
    if let Some(mask) = args.named("mask") {
        return mask.tensors().first().map(|&t| t.clone());
    }
    args.first().ok()?.tensors().first().and_then(|t| t.mask().cloned())
}

/// The mask that a layer's `mask` argument gets: the one given, else, if the layer is called on one argument alone, the
/// one that travels with it (with several, Keras looks for arguments such as `query_mask` instead).
pub(crate) fn passed_mask(args: &Args) -> Option<Tensor> {
    let arguments = args.positional.iter().chain(args.named.values()).filter(|n| !n.tensors().is_empty()).count();
    if args.named("mask").is_some() || arguments == 1 { first_mask(args) } else { None }
}

fn set_masks(layer: &LayerRef, args: &Args, outputs: Nest) -> Result<Nest> {
    let any = args.tensors().iter().any(|t| t.mask().is_some()) || args.named("mask").is_some();
    // What a layer that makes masks (Embedding, Masking) gives does not hang on masks of its inputs.
    if !any && !layer.supports_masking() {
        return Ok(outputs);
    }
    let mut masks = layer.compute_mask(args, first_mask(args).as_ref())?.into_iter();
    outputs.map(&mut |t| {
        // A layer that set the mask itself, such as a nested model, has the last word.
        Ok(if t.mask().is_some() { t.clone() } else { t.with_mask(masks.next().flatten()) })
    })
}

/// Runs the layer on placeholders to learn the types of its outputs, and gives symbols that remember the call.
fn record_call(layer: &LayerRef, args: Args, cx: &Context) -> Result<Nest> {
    let texts = args.tensors().iter().any(|t| text::is_symbolic(t.ty()));
    if texts && layer.text_input() == TextInput::Never {
        return Err(Error::argument(
            describe(layer.as_ref()),
            "the input is texts, and the layer takes numbers",
            "put StringLookup, TextVectorization, Hashing or HashedCrossing before it",
        ));
    }
    let abstracted = args.map(&mut |t| Ok(Tensor::placeholder(t.ty().clone())))?;
    // What the layer assigns on the way (states, moving averages) depends on placeholders and is not carried out.
    // Shapes are those in training for layers that train by default, as in Keras.
    let mut cx = Context { undecided: !cx.training, symbolic: true, ..Context::new(cx.training) };
    let (outputs, _) = Trace::record(|| call_layer(layer, abstracted, &mut cx));
    let outputs = outputs?;
    let node = Arc::new(CallNode {
        layer: Arc::clone(layer),
        index: layer.base().next_call(),
        arguments: args,
        types: outputs.tensors().iter().map(|t| t.ty().clone()).collect(),
    });
    let mut output = 0;
    outputs.map(&mut |t| {
        let history = History { node: Arc::clone(&node), output };
        output += 1;
        Ok(Tensor::symbol(t.ty().clone(), history))
    })
}
