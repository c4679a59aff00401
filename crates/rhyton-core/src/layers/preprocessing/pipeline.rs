//! `Pipeline`: layers one after the other.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::Result;
use crate::keras_layer_object;
use crate::layers::inner::InnerLayer;
use crate::layers::{Base, Context, Layer, LayerObject, LayerRef, call_layer};
use crate::model::container_names;
use crate::nest::{Args, Nest};

/// Layers one after the other, mostly those that prepare data; what the layers of the input's structure take
/// (dictionaries of images and what belongs to them, too) goes through.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let layers = Pipeline::new([Rescaling::new(0.5).share(), RandomBrightness::new(0.0).share()]);
/// let y = layers.call(&Tensor::new([1, 1, 2, 1], vec![2.0f32, 4.0]));
/// assert_eq!(y.to_vec::<f32>()?, [1.0, 2.0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    #[serde(skip)]
    base: Base,
    layers: Vec<InnerLayer>,
}

keras_layer_object!(Pipeline);

impl Pipeline {
    /// Of `layers`, the first of which takes the input.
    pub fn new(layers: impl IntoIterator<Item = LayerRef>) -> Pipeline {
        Pipeline { base: Base::default(), layers: layers.into_iter().map(InnerLayer).collect() }
    }

    /// Names the layer.
    pub fn name(self, name: &str) -> Pipeline {
        self.base.set_name(name);
        self
    }
}

impl Layer for Pipeline {
    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        let first = inputs.first()?.clone();
        self.layers.iter().try_fold(first, |x, layer| call_layer(&layer.0, Args::new(x), cx))
    }

    fn children(&self) -> Vec<(String, LayerRef)> {
        container_names("layers", self.layers.iter().map(|layer| layer.0.clone()).collect())
    }

    fn config(&self) -> Value {
        json!({"layers": self.own_config()["layers"], "name": Layer::name(self)})
    }

    fn training_by_default(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("pipeline");
    }
}
