//! `SpectralNormalization`: a layer whose kernel is held to a largest singular value of 1.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::initializers::TruncatedNormal;
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::inner::InnerLayer;
use crate::layers::{Base, Call, Context, InputShapes, Layer, LayerRef, build_layer, call_layer};
use crate::nest::{Args, Nest};
use crate::ops::{self, Axes};
use crate::tensor::Tensor;
use crate::variable::Variable;

/// The inner layer; in training its `kernel` (or `embeddings`), as a matrix with its last axis as columns, is divided by
/// an estimate of its largest singular value before each call, by `power_iterations` steps from the vector of the call
/// before.
///
/// # Shapes
/// As the inner layer; the weight `vector_u (1, last axis of the kernel)`.
///
/// # Errors
/// If the inner layer has neither a `kernel` nor `embeddings`.
///
/// # References
/// Miyato et al., 2018, <https://arxiv.org/abs/1802.05957>.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectralNormalization {
    #[serde(skip)]
    base: Base,
    layer: InnerLayer,
    #[serde(default = "one")]
    power_iterations: usize,
}

keras_layer!(SpectralNormalization);

fn one() -> usize {
    1
}

impl SpectralNormalization {
    /// Holds the kernel of `layer`.
    pub fn new(layer: impl Call) -> SpectralNormalization {
        SpectralNormalization { base: Base::default(), layer: InnerLayer(layer.layer_ref()), power_iterations: 1 }
    }

    builders! {
        /// How many steps the estimate goes in each call; 1 unless said.
        power_iterations: usize,
    }

    fn kernel(&self) -> Result<Variable> {
        let base = self.layer.base();
        base.variable("kernel").or_else(|_| base.variable("embeddings")).map_err(|_| {
            Error::argument(
                "SpectralNormalization",
                format!("the {} has neither kernel nor embeddings", self.layer.class_name()),
                "wrap a layer with a kernel, such as Dense or Conv2D",
            )
        })
    }

    /// The next `vector_u`, and the kernel over its largest singular value as estimated; as they are of a kernel of zeros.
    fn normalized(&self, kernel: &Tensor, before: &Tensor) -> (Tensor, Tensor) {
        let columns = kernel.dim(-1).known().unwrap_or(1) as i64;
        let matrix = ops::reshape(kernel, &[-1, columns]);
        let transposed = ops::transpose(&matrix, Axes::All);
        let unit = |x: &Tensor| ops::normalize(x, Axes::All, 2, None);
        let (mut u, mut v) = (before.clone(), before.clone());
        for _ in 0..self.power_iterations {
            v = unit(&ops::matmul(&u, &transposed));
            u = unit(&ops::matmul(&v, &matrix));
        }
        let sigma = ops::matmul(ops::matmul(&v, &matrix), ops::transpose(&u, Axes::All));
        let zero = ops::all(&ops::equal(kernel, 0.0), Axes::All, false);
        let divided = kernel / ops::reshape(&ops::r#where(&zero, 1.0, &sigma), &[]);
        (ops::r#where(&zero, before, &u), divided)
    }
}

impl Layer for SpectralNormalization {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        if self.power_iterations == 0 {
            return Err(Error::argument("power_iterations", "it is 0", "give at least 1"));
        }
        build_layer(self.layer.as_ref(), inputs)?;
        let kernel = self.kernel()?;
        self.base
            .add_weight("vector_u", [1, kernel.shape().last().copied().unwrap_or(1)])
            .initializer(TruncatedNormal::new().stddev(0.02))
            .dtype(kernel.dtype())
            .trainable(false)
            .add()?;
        Ok(())
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        if cx.training {
            let (kernel, vector) = (self.kernel()?, self.base.variable("vector_u")?);
            let (u, normalized) = self.normalized(&kernel.value(), &vector.value());
            vector.assign(u)?;
            kernel.assign(normalized)?;
        }
        let x = inputs.tensor()?;
        let y = call_layer(&self.layer, Args::new(x), cx)?;
        Ok(if x.dtype().is_float() { y.map(&mut |t| Ok(t.cast(x.dtype())))? } else { y })
    }

    fn children(&self) -> Vec<(String, LayerRef)> {
        vec![("layer".to_owned(), self.layer.0.clone())]
    }

    /// The kernel counts as the wrapper's own, first, and is not repeated among the inner layer's.
    fn weights(&self) -> Vec<Variable> {
        let mut weights: Vec<Variable> = self.saved_variables();
        for weight in self.layer.weights() {
            if !weights.contains(&weight) {
                weights.push(weight);
            }
        }
        weights
    }

    fn saved_variables(&self) -> Vec<Variable> {
        let kernel = if self.layer.base().built() { self.kernel().ok() } else { None };
        kernel.into_iter().chain(self.base.own_weights()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("spectral_normalization");
    }

    #[test]
    fn a_kernel_of_zeros_stays() {
        let layer = SpectralNormalization::new(Dense::new(2).kernel_initializer(Zeros::default()));
        let y = layer.call(Args::new(Tensor::new([1, 2], vec![1.0f32; 2])).with("training", json!(true)));
        assert_eq!(y.to_vec::<f32>().unwrap(), [0.0, 0.0]);
    }

    #[test]
    fn a_layer_without_kernel_is_refused() {
        let error = SpectralNormalization::new(Flatten::new()).call(Tensor::new([1, 1], vec![1.0f32])).eval();
        assert!(error.unwrap_err().to_string().contains("kernel"));
    }
}
