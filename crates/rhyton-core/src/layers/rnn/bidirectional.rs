//! `Bidirectional`: a recurrent layer forwards and backwards in time.

use rhyton_ir::op::{Concatenate, Reverse};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::inner::InnerLayer;
use crate::layers::{Base, Call, Context, InputShapes, Layer, LayerRef, build_layer, call_layer, passed_mask};
use crate::model::{deserialize_layer, serialize_layer};
use crate::nest::{Args, Nest};
use crate::tensor::Tensor;

/// How the outputs of both directions become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MergeMode {
    /// Side by side along the last axis.
    #[default]
    Concat,
    /// Their sum.
    Sum,
    /// Their product.
    Mul,
    /// Their mean.
    Ave,
}

/// Applies a recurrent layer forwards, and a second one like it backwards in time.
///
/// # Shapes
/// Of outputs `(…, units)` of either layer makes `(…, 2 units)` by `concat`, `(…, units)` by `sum`, `mul` and `ave`, and two
/// outputs without a merge mode. Outputs of all steps are in the order of time. With `return_state` the states of the
/// forward layer follow, then those of the backward layer.
///
/// # Call arguments
/// `initial_state`: the states of the forward layer, then those of the backward layer. `mask (batch, time)`.
///
/// # Errors
/// If the layer is not recurrent, or the two layers do not go in opposite directions with the same options.
///
/// # References
/// Schuster and Paliwal, 1997, <https://doi.org/10.1109/78.650093>.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Config", into = "Config")]
pub struct Bidirectional {
    base: Base,
    merge_mode: Option<MergeMode>,
    pair: Result<Pair>,
}

/// The layers of both directions.
#[derive(Clone, Debug)]
struct Pair {
    forward: LayerRef,
    backward: LayerRef,
    return_sequences: bool,
    return_state: bool,
}

/// Keras's configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default = "concat")]
    merge_mode: Option<MergeMode>,
    layer: Option<InnerLayer>,
    #[serde(default)]
    backward_layer: Option<InnerLayer>,
}

fn concat() -> Option<MergeMode> {
    Some(MergeMode::Concat)
}

impl TryFrom<Config> for Bidirectional {
    type Error = Error;

    fn try_from(config: Config) -> Result<Bidirectional> {
        let layer =
            config.layer.ok_or_else(|| Error::content("Bidirectional", "layer is null", "the file is damaged"))?;
        let pair = Pair::of(&layer.0, config.backward_layer.map(|l| l.0))?;
        Ok(Bidirectional { base: Base::default(), merge_mode: config.merge_mode, pair: Ok(pair) })
    }
}

impl From<Bidirectional> for Config {
    fn from(layer: Bidirectional) -> Config {
        let pair = layer.pair.ok();
        Config {
            merge_mode: layer.merge_mode,
            layer: pair.as_ref().map(|p| InnerLayer(p.forward.clone())),
            backward_layer: pair.map(|p| InnerLayer(p.backward)),
        }
    }
}

impl Pair {
    /// A layer like `layer` for each direction; `backward` in place of the second one, if given.
    fn of(layer: &LayerRef, backward: Option<LayerRef>) -> Result<Pair> {
        let given = serialize_layer(layer.as_ref());
        let return_sequences = flag(&given, "return_sequences")?;
        let forward = with(&given, layer.name(), "forward_", return_sequences, None)?;
        let backward = match backward {
            None => with(&given, layer.name(), "backward_", return_sequences, Some(!flag(&given, "go_backwards")?))?,
            Some(backward) => {
                let config = serialize_layer(backward.as_ref());
                // Outputs of masked steps must be zeros if all outputs are given, whatever the layer says.
                if flag(&config, "zero_output_for_mask")? == return_sequences {
                    backward
                } else {
                    with(&config, backward.name(), "", return_sequences, None)?
                }
            }
        };
        let (f, b) = (serialize_layer(forward.as_ref()), serialize_layer(backward.as_ref()));
        if flag(&f, "go_backwards")? == flag(&b, "go_backwards")? {
            return Err(Error::argument(
                "Bidirectional",
                "both layers go in the same direction of time",
                "give the backward layer go_backwards(true), or the forward layer go_backwards(false)",
            ));
        }
        for option in ["stateful", "return_sequences", "return_state"] {
            if flag(&f, option)? != flag(&b, option)? {
                return Err(Error::argument(
                    "Bidirectional",
                    format!("the layers differ in {option}"),
                    "give both layers the same",
                ));
            }
        }
        Ok(Pair { forward, backward, return_sequences, return_state: flag(&f, "return_state")? })
    }
}

/// An option of a recurrent layer.
fn flag(object: &Value, option: &str) -> Result<bool> {
    object["config"][option].as_bool().ok_or_else(|| {
        Error::argument(
            "Bidirectional",
            format!("{} is not recurrent: it has no option {option}", object["class_name"]),
            "wrap SimpleRNN, LSTM, GRU, RNN or ConvLSTM",
        )
    })
}

/// A layer of this configuration, renamed, with outputs of masked steps as Bidirectional needs them.
fn with(object: &Value, name: &str, prefix: &str, zeros: bool, backwards: Option<bool>) -> Result<LayerRef> {
    let mut object = object.clone();
    let bare = name.strip_prefix(prefix).unwrap_or(name);
    object["config"]["name"] = format!("{prefix}{bare}").into();
    object["config"]["zero_output_for_mask"] = zeros.into();
    if let Some(backwards) = backwards {
        object["config"]["go_backwards"] = backwards.into();
    }
    deserialize_layer(&object)
}

keras_layer!(Bidirectional);

impl Bidirectional {
    /// Of two layers like `layer`, one for each direction; outputs side by side.
    pub fn new(layer: impl Call) -> Bidirectional {
        let pair = Pair::of(&layer.layer_ref(), None);
        Bidirectional { base: Base::default(), merge_mode: concat(), pair }
    }

    /// How the outputs become one; side by side unless said, and not at all by `None`.
    pub fn merge_mode(mut self, mode: impl Into<Option<MergeMode>>) -> Bidirectional {
        self.merge_mode = mode.into();
        self
    }

    /// The layer for the other direction; one like the first unless said.
    pub fn backward_layer(mut self, layer: impl Call) -> Bidirectional {
        self.pair = self.pair.and_then(|pair| Pair::of(&pair.forward, Some(layer.layer_ref())));
        self
    }

    fn pair(&self) -> Result<&Pair> {
        self.pair.as_ref().map_err(Clone::clone)
    }
}

impl Layer for Bidirectional {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let (pair, shapes) = (self.pair()?, InputShapes::one(inputs.first()?.clone()));
        build_layer(pair.forward.as_ref(), &shapes)?;
        build_layer(pair.backward.as_ref(), &shapes)
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        let pair = self.pair()?;
        let x = inputs.tensor()?.with_mask(passed_mask(inputs));
        let states: Vec<&Tensor> = inputs.get(1, "initial_state").map(Nest::tensors).unwrap_or_default();
        if !states.len().is_multiple_of(2) {
            return Err(Error::argument(
                "initial_state",
                format!("{} states for two layers", states.len()),
                "give the states of the forward layer, then as many of the backward layer",
            ));
        }
        let mut run = |layer: &LayerRef, states: &[&Tensor]| -> Result<Vec<Tensor>> {
            let states: Vec<Nest> = states.iter().map(|&s| s.into()).collect();
            let args = Args::new(&x);
            let args = if states.is_empty() { args } else { args.with("initial_state", states) };
            Ok(call_layer(layer, args, cx)?.tensors().into_iter().cloned().collect())
        };
        let (before, after) = states.split_at(states.len() / 2);
        let mut forward = run(&pair.forward, before)?;
        let mut backward = run(&pair.backward, after)?;
        let dtype = self.base.compute_dtype();
        let (y, mut reversed) = (forward.remove(0).cast(dtype), backward.remove(0).cast(dtype));
        if pair.return_sequences {
            reversed = Tensor::apply(Reverse { axes: vec![1] }, &[&reversed]);
        }
        let mut outputs = match self.merge_mode {
            Some(MergeMode::Concat) => vec![Tensor::apply(Concatenate { axis: y.rank() - 1 }, &[&y, &reversed])],
            Some(MergeMode::Sum) => vec![y + reversed],
            Some(MergeMode::Mul) => vec![y * reversed],
            Some(MergeMode::Ave) => vec![(y + reversed) / 2],
            None => vec![y, reversed],
        };
        if pair.return_state {
            outputs.extend(forward.into_iter().chain(backward));
        }
        Ok(if outputs.len() == 1 { outputs.swap_remove(0).into() } else { outputs.into() })
    }

    fn arguments(&self) -> &'static [&'static str] {
        &["sequences", "initial_state"]
    }

    fn children(&self) -> Vec<(String, LayerRef)> {
        let pair = self.pair.iter();
        pair.flat_map(|p| [("forward_layer", &p.forward), ("backward_layer", &p.backward)])
            .map(|(name, layer)| (name.to_owned(), layer.clone()))
            .collect()
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn compute_mask(&self, _: &Args, mask: Option<&Tensor>) -> Result<Vec<Option<Tensor>>> {
        let mask = mask.filter(|_| self.pair.as_ref().is_ok_and(|p| p.return_sequences)).cloned();
        Ok(if self.merge_mode.is_none() { vec![mask.clone(), mask] } else { vec![mask] })
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("bidirectional");
    }

    #[test]
    fn layers_of_one_direction_are_refused() {
        let layer = Bidirectional::new(GRU::new(2)).backward_layer(GRU::new(2));
        let error = layer.call(Tensor::new([1, 2, 1], vec![0.0f32; 2])).eval().unwrap_err();
        assert!(error.to_string().contains("same direction"), "{error}");
        let error = Bidirectional::new(Dense::new(2)).call(Tensor::new([1, 2, 1], vec![0.0f32; 2])).eval().unwrap_err();
        assert!(error.to_string().contains("not recurrent"), "{error}");
    }
}
