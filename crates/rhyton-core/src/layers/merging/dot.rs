//! `Dot`: products of two tensors, example by example.

use rhyton_ir::Dim;
use rhyton_ir::op::DotGeneral;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, InputShapes, Layer};
use crate::nest::{Args, Nest};
use crate::ops::{self, Axes};
use crate::promotion::promote;
use crate::tensor::Tensor;

/// For each example, the sum of products over an axis of each of two inputs; of vectors made unit length first with
/// `normalize` (then it is the cosine of their angle).
///
/// # Shapes
/// `[(batch, …, k, …), (batch, …, k, …)]` gives `(batch, …, …)` with the rest of both; `(batch, 1)` from two vectors.
///
/// # Errors
/// If there are not two inputs, or the sizes along the axes differ.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dot {
    #[serde(skip)]
    base: Base,
    axes: Axes,
    #[serde(default)]
    normalize: bool,
}

keras_layer!(Dot);

impl Dot {
    /// Over `axes`: one for both inputs, or a pair; the batch is 0.
    pub fn new(axes: impl Into<Axes>) -> Dot {
        Dot { base: Base::default(), axes: axes.into(), normalize: false }
    }

    builders! {
        /// Whether the inputs are made unit length along their axes; not unless said.
        normalize: bool,
    }

    /// The axis of each input, and their ranks checked.
    fn axes_for(&self, ranks: [usize; 2]) -> Result<[usize; 2]> {
        let given = match &self.axes {
            Axes::One(axis) => [*axis; 2],
            Axes::Many(axes) if axes.len() == 2 => [axes[0], axes[1]],
            other => {
                return Err(Error::argument("axes", format!("{other:?} is no axis or pair"), "give one axis or two"));
            }
        };
        let axes = [ops::axis(given[0], ranks[0])?, ops::axis(given[1], ranks[1])?];
        if axes.contains(&0) {
            return Err(Error::argument("axes", format!("{given:?} names the batch"), "count axes from 1"));
        }
        Ok(axes)
    }
}

fn two<T: Copy>(items: &[T]) -> Result<[T; 2]> {
    items.try_into().map_err(|_| {
        Error::argument("Dot", format!("{} inputs where two are taken", items.len()), "pass a list of two tensors")
    })
}

impl Layer for Dot {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let [x, y] = two(&inputs.list())?;
        let axes = self.axes_for([x.rank(), y.rank()])?;
        if !x[axes[0]].compatible(&y[axes[1]]) || !x[0].compatible(&y[0]) {
            return Err(Error::shape(
                "Dot",
                format!("the shapes {x} and {y} do not fit along the axes {axes:?}"),
                "make the sizes along the axes equal, and the batches",
            ));
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let [x, y] = two(&inputs.list()?)?;
        let axes = self.axes_for([x.rank(), y.rank()])?;
        let unit = |t: &Tensor, axis: usize| {
            if self.normalize { ops::normalize(t, axis as i64, 2, None) } else { t.without_mask() }
        };
        let dtype = promote(x.dtype(), y.dtype());
        let (x, y) = (unit(x, axes[0]).cast(dtype), unit(y, axes[1]).cast(dtype));
        let dims = DotGeneral {
            lhs_batch: vec![0],
            rhs_batch: vec![0],
            lhs_contract: vec![axes[0]],
            rhs_contract: vec![axes[1]],
        };
        let product = Tensor::apply(dims, &[&x, &y]);
        if product.rank() != 1 {
            return Ok(product.check()?.into());
        }
        Ok(ops::reshape_to(&product, vec![product.dim(0), Dim::Known(1)]).check()?.into())
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn compute_mask(&self, _: &Args, _: Option<&Tensor>) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }
}

#[cfg(test)]
mod tests {
    use crate::layers::Dot;
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("dot");
    }

    #[test]
    fn sizes_along_the_axes_must_be_equal() {
        let (x, y) = (Tensor::new([1, 2], vec![0.0f32; 2]), Tensor::new([1, 3], vec![0.0f32; 3]));
        assert!(Dot::new(1).call([&x, &y]).eval().unwrap_err().to_string().contains("[1,2] and [1,3]"));
        assert!(Dot::new(0).call([&x, &x]).eval().is_err());
    }
}
