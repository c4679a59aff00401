//! `Concatenate`: tensors put one after another.

use rhyton_ir::{DType, Dim};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, InputShapes, Layer};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::tensor::Tensor;

/// The inputs one after another along `axis`.
///
/// # Shapes
/// A list of tensors that differ in the size of `axis` only.
///
/// # Errors
/// If they differ in another size.
///
/// # Examples
/// ```
/// use rhyton_core::layers::Concatenate;
/// use rhyton_core::prelude::*;
///
/// let (x, y) = (Tensor::new([1, 1], vec![1.0f32]), Tensor::new([1, 2], vec![2.0f32, 3.0]));
/// assert_eq!(Concatenate::new().call([x, y]).to_vec::<f32>()?, [1.0, 2.0, 3.0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Concatenate {
    #[serde(skip)]
    base: Base,
    axis: i64,
}

keras_layer!(Concatenate);

impl Default for Concatenate {
    fn default() -> Concatenate {
        Concatenate { base: Base::default(), axis: -1 }
    }
}

impl Concatenate {
    /// Along the last axis.
    pub fn new() -> Concatenate {
        Concatenate::default()
    }

    builders! {
        /// Along which axis; the last unless said.
        axis: i64,
    }
}

impl Layer for Concatenate {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let shapes = inputs.list();
        let Some(first) = shapes.first() else {
            return Err(Error::argument("Concatenate", "no input", "pass a list of tensors"));
        };
        let axis = ops::axis(self.axis, first.rank())?;
        let differs = |(i, (a, b)): (usize, (&Dim, &Dim))| i != axis && !a.compatible(b);
        if shapes.iter().any(|s| s.rank() != first.rank() || s.iter().zip(first.iter()).enumerate().any(differs)) {
            let listed: Vec<String> = shapes.iter().map(|s| s.to_string()).collect();
            return Err(Error::shape(
                "Concatenate",
                format!("the shapes {} differ along more than axis {}", listed.join(", "), self.axis),
                "make all other sizes equal",
            ));
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let tensors: Vec<Tensor> = inputs.list()?.into_iter().cloned().collect();
        Ok(ops::concatenate(&tensors, self.axis).check()?.into())
    }

    fn supports_masking(&self) -> bool {
        true
    }

    /// The masks one after another, true for inputs that have none.
    fn compute_mask(&self, inputs: &Args, _: Option<&Tensor>) -> Result<Vec<Option<Tensor>>> {
        let tensors = inputs.list()?;
        if tensors.iter().all(|x| x.mask().is_none()) {
            return Ok(vec![None]);
        }
        let full = |x: &&Tensor| match x.mask() {
            None => ops::ones_like(x).cast(DType::Bool),
            Some(mask) if mask.rank() < x.rank() => {
                ops::logical_or(ops::expand_dims(mask, -1), ops::zeros_like(x).cast(DType::Bool))
            }
            Some(mask) => mask.clone(),
        };
        let masks: Vec<Tensor> = tensors.iter().map(full).collect();
        Ok(vec![Some(ops::any(&ops::concatenate(&masks, self.axis), -1, false))])
    }
}

#[cfg(test)]
mod tests {
    use crate::layers::Concatenate;
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("concatenate");
    }

    #[test]
    fn other_sizes_must_be_equal() {
        let (x, y) = (Tensor::new([1, 2], vec![0.0f32; 2]), Tensor::new([2, 2], vec![0.0f32; 4]));
        let error = Concatenate::new().call([x, y]).eval().unwrap_err();
        assert!(error.to_string().contains("[1,2], [2,2]"), "{error}");
    }
}
