//! `TimeDistributed`: a layer applied to every step of time.

use rhyton_ir::op::Concatenate;
use rhyton_ir::{Dim, Shape};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::inner::InnerLayer;
use crate::layers::{Base, Call, Context, InputShapes, Layer, LayerRef, build_layer, first_mask};
use crate::naming;
use crate::nest::{Args, Nest};
use crate::ops::primitives::{reshaped, sliced};
use crate::tensor::Tensor;

/// Applies a layer to `x[:, t]` for every step `t`, with the same weights.
///
/// # Shapes
/// `x (batch, time, …)` gives `(batch, time, …)`, where the layer takes and gives `(batch, …)`.
///
/// # Call arguments
/// `mask (batch, time, …)`: its part at `t` goes to the layer.
///
/// # Errors
/// If `x` has a rank below 3, or the layer gives more than one tensor.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeDistributed {
    #[serde(skip)]
    base: Base,
    layer: InnerLayer,
}

keras_layer!(TimeDistributed);

impl TimeDistributed {
    /// Applies `layer` to every step.
    pub fn new(layer: impl Call) -> TimeDistributed {
        TimeDistributed { base: Base::default(), layer: InnerLayer(layer.layer_ref()) }
    }

    /// The layer on its own: Keras calls it without what surrounds calls of layers (masks, activity penalties).
    fn inner(&self, x: &Tensor, mask: Option<Tensor>, cx: &mut Context) -> Result<Tensor> {
        let layer = &self.layer.0;
        let args = Args::new(x.with_mask(mask));
        let output = naming::scoped(layer.name(), || layer.forward(&args, cx))?;
        output.single()?.check().map(Tensor::without_mask)
    }

    /// All steps as one larger batch.
    fn folded(&self, x: &Tensor, mask: Option<&Tensor>, cx: &mut Context) -> Result<Tensor> {
        let y = self.inner(&fold(x), mask.map(fold), cx)?;
        let shape: Shape = [x.dim(0), x.dim(1)].into_iter().chain(y.shape().iter().skip(1).cloned()).collect();
        reshaped(&y, shape).check().cloned()
    }

    /// One step after the other.
    fn stepped(&self, x: &Tensor, mask: Option<&Tensor>, length: usize, cx: &mut Context) -> Result<Tensor> {
        let at = |x: &Tensor, t: usize| reshaped(&sliced(x, 1, t, t + 1), without_time(x.shape()));
        let row = |y: Tensor| {
            let shape: Shape = [y.dim(0), 1.into()].into_iter().chain(y.shape().iter().skip(1).cloned()).collect();
            reshaped(&y, shape)
        };
        let rows: Vec<Tensor> =
            (0..length).map(|t| self.inner(&at(x, t), mask.map(|m| at(m, t)), cx).map(row)).collect::<Result<_>>()?;
        let rows: Vec<&Tensor> = rows.iter().collect();
        Tensor::apply(Concatenate { axis: 1 }, &rows).check().cloned()
    }
}

/// Whether the layer treats samples apart: none within it has state that a call changes, as moving averages over a batch.
fn treats_samples_apart(layer: &LayerRef, training: bool) -> bool {
    let keeps_state = training && layer.base().own_weights().iter().any(|w| !w.trainable());
    !keeps_state && layer.children().iter().all(|(_, inner)| treats_samples_apart(inner, training))
}

/// The shape without its second axis.
fn without_time(shape: &Shape) -> Shape {
    shape.iter().enumerate().filter(|(a, _)| *a != 1).map(|(_, d)| d.clone()).collect()
}

/// The first two axes as one.
fn fold(x: &Tensor) -> Tensor {
    let both: Dim = x.dim(0) * x.dim(1);
    let shape: Shape = std::iter::once(both).chain(x.shape().iter().skip(2).cloned()).collect();
    reshaped(x, shape)
}

impl Layer for TimeDistributed {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let shape = inputs.first()?;
        if shape.rank() < 3 {
            return Err(Error::shape(
                "inputs",
                format!("the inputs have shape {shape}"),
                "give inputs of shape (batch, time, …) with at least three axes",
            ));
        }
        build_layer(self.layer.0.as_ref(), &InputShapes::one(without_time(shape)))
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?.without_mask();
        let mask = first_mask(inputs);
        if let Some(mask) = &mask
            && (mask.rank() < 2 || !mask.shape().iter().zip(x.shape().iter()).take(2).all(|(a, b)| a.compatible(b)))
        {
            return Err(Error::shape(
                "mask",
                format!("a mask of shape {} for inputs of shape {}", mask.shape(), x.shape()),
                "give a mask whose first two axes are batch and time",
            ));
        }
        let y = match x.dim(1).known() {
            Some(length) if length > 0 && !treats_samples_apart(&self.layer.0, cx.training) => {
                self.stepped(&x, mask.as_ref(), length, cx)?
            }
            _ => self.folded(&x, mask.as_ref(), cx)?,
        };
        Ok(y.into())
    }

    fn children(&self) -> Vec<(String, LayerRef)> {
        vec![("layer".to_owned(), self.layer.0.clone())]
    }

    fn supports_masking(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("time_distributed");
    }
}
