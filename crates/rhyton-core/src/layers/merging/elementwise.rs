//! `Add`, `Subtract`, `Multiply`, `Average`, `Maximum`, `Minimum`: tensors merged element by element.

use rhyton_ir::{DType, Shape};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::{Base, Context, InputShapes, Layer};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::tensor::Tensor;

/// A layer without configuration that merges its inputs by `$merge`.
macro_rules! elementwise {
    ($($(#[$doc:meta])* $name:ident $merge:path;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            #[serde(skip)]
            base: Base,
        }

        keras_layer!($name);

        impl $name {
            /// A new layer.
            pub fn new() -> $name {
                $name::default()
            }
        }

        impl Layer for $name {
            fn build(&self, inputs: &InputShapes) -> Result<()> {
                check(&inputs.list())
            }

            fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
                let merged = $merge(&aligned(&inputs.list()?))?;
                merged.check()?;
                Ok(merged.into())
            }

            fn supports_masking(&self) -> bool {
                true
            }

            /// What counts in any input, if all have masks.
            fn compute_mask(&self, inputs: &Args, _: Option<&Tensor>) -> Result<Vec<Option<Tensor>>> {
                Ok(vec![any_mask(&inputs.list()?)])
            }
        }
    )*};
}

elementwise! {
    /// `x₁ + x₂ + …`.
    ///
    /// # Shapes
    /// A list of tensors of one batch whose shapes broadcast; those of lower rank get axes of 1 after the batch.
    ///
    /// # Examples
    /// ```
    /// use rhyton_core::layers::Add;
    /// use rhyton_core::prelude::*;
    ///
    /// let (x, y) = (Tensor::new([1, 2], vec![1.0f32, 2.0]), Tensor::new([1, 2], vec![10.0f32, 20.0]));
    /// assert_eq!(Add::new().call([x, y]).to_vec::<f32>()?, [11.0, 22.0]);
    /// # Ok::<(), rhyton_core::Error>(())
    /// ```
    Add sum;
    /// `x₁ − x₂`, of exactly two inputs.
    ///
    /// # Shapes
    /// As [`Add`].
    Subtract difference;
    /// `x₁ · x₂ · …`; an element that a mask leaves out does not count as a factor.
    ///
    /// # Shapes
    /// As [`Add`].
    Multiply product;
    /// `(x₁ + x₂ + …) / n`.
    ///
    /// # Shapes
    /// As [`Add`].
    Average mean;
    /// The largest of each elements; one that a mask leaves out does not compete.
    ///
    /// # Shapes
    /// As [`Add`].
    Maximum largest;
    /// The smallest of each elements; one that a mask leaves out does not compete.
    ///
    /// # Shapes
    /// As [`Add`].
    Minimum smallest;
}

fn check(shapes: &[&Shape]) -> Result<()> {
    let listed = || shapes.iter().map(|s| s.to_string()).collect::<Vec<_>>().join(", ");
    let batch = shapes.iter().filter_map(|s| s.first()).filter_map(|d| d.known());
    let mut batch: Vec<usize> = batch.collect();
    batch.dedup();
    if shapes.is_empty() || batch.len() > 1 {
        return Err(Error::shape(
            "merge",
            format!("the inputs have shapes {}", listed()),
            "pass a list of tensors of one batch size",
        ));
    }
    let rest: Vec<Shape> = shapes.iter().map(|s| s.iter().skip(1).cloned().collect()).collect();
    ops::broadcast_shapes(&rest.iter().collect::<Vec<_>>()).map(drop)
}

/// The inputs with axes of 1 after the batch, so that all have one rank.
fn aligned(inputs: &[&Tensor]) -> Vec<Tensor> {
    let rank = inputs.iter().map(|x| x.rank()).max().unwrap_or(0);
    let align = |x: &&Tensor| {
        let mut shape = x.shape().clone().into_vec();
        while !shape.is_empty() && shape.len() < rank {
            shape.insert(1, 1.into());
        }
        if shape.len() == x.rank() { (*x).clone() } else { ops::reshape_to(x, shape).with_mask(x.mask().cloned()) }
    };
    inputs.iter().map(align).collect()
}

fn any_mask(inputs: &[&Tensor]) -> Option<Tensor> {
    let masks: Option<Vec<&Tensor>> = inputs.iter().map(|x| x.mask()).collect();
    masks?.into_iter().cloned().reduce(|a, b| ops::logical_or(&a, &b))
}

fn fold(inputs: &[Tensor], merge: impl Fn(Tensor, &Tensor) -> Tensor) -> Result<Tensor> {
    let (first, rest) = inputs.split_first().ok_or_else(|| Error::argument("merge", "no input", "pass a list"))?;
    Ok(rest.iter().fold(first.without_mask(), merge))
}

fn sum(inputs: &[Tensor]) -> Result<Tensor> {
    fold(inputs, |a, b| a + b)
}

fn mean(inputs: &[Tensor]) -> Result<Tensor> {
    Ok(sum(inputs)? / inputs.len() as f64)
}

fn difference(inputs: &[Tensor]) -> Result<Tensor> {
    match inputs {
        [a, b] => Ok(a - b),
        _ => Err(Error::argument(
            "Subtract",
            format!("{} inputs where exactly two are taken", inputs.len()),
            "pass a list of two tensors",
        )),
    }
}

/// The mask of `x` at its own shape.
fn full_mask(x: &Tensor) -> Option<Tensor> {
    let mask = x.mask()?.cast(DType::Bool);
    Some(ops::logical_or(ops::expand_dims(&mask, -1), ops::zeros_like(x).cast(DType::Bool)))
}

/// Masked factors are 1; where all are masked the product is 0.
fn product(inputs: &[Tensor]) -> Result<Tensor> {
    let masks: Vec<Option<Tensor>> = inputs.iter().map(full_mask).collect();
    let factor = |(x, mask): (&Tensor, &Option<Tensor>)| match mask {
        Some(mask) => ops::r#where(mask, x, 1.0),
        None => x.without_mask(),
    };
    let factors: Vec<Tensor> = inputs.iter().zip(&masks).map(factor).collect();
    let product = fold(&factors, |a, b| a * b)?;
    let Some(masks) = masks.into_iter().collect::<Option<Vec<Tensor>>>() else { return Ok(product) };
    let Some(counted) = masks.into_iter().reduce(|a, b| ops::logical_or(&a, &b)) else { return Ok(product) };
    Ok(ops::r#where(&counted, &product, 0.0).with_mask(Some(ops::any(&counted, -1, false))))
}

fn largest(inputs: &[Tensor]) -> Result<Tensor> {
    compete(inputs, |a, b| ops::maximum(a, b))
}

fn smallest(inputs: &[Tensor]) -> Result<Tensor> {
    compete(inputs, |a, b| ops::minimum(a, b))
}

/// Folds by `better`, an element that one side's mask leaves out taking the value of the other.
fn compete(inputs: &[Tensor], better: impl Fn(&Tensor, &Tensor) -> Tensor) -> Result<Tensor> {
    let (first, rest) = inputs.split_first().ok_or_else(|| Error::argument("merge", "no input", "pass a list"))?;
    let (mut best, mut counted) = (first.without_mask(), full_mask(first));
    for x in rest {
        let mask = full_mask(x);
        let challenger = mask.as_ref().map_or_else(|| x.without_mask(), |m| ops::r#where(m, x, &best));
        if let Some(counted) = &counted {
            best = ops::r#where(counted, &best, &challenger);
        }
        counted = match (counted, mask) {
            (Some(a), Some(b)) => Some(ops::logical_or(&a, &b)),
            _ => None,
        };
        best = better(&best, &challenger);
    }
    Ok(best.with_mask(counted.map(|c| ops::any(&c, -1, false))))
}

#[cfg(test)]
mod tests {
    use crate::layers::{Add, Subtract};
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agree_with_keras() {
        check_layer("merging");
    }

    #[test]
    fn inputs_that_do_not_merge_are_refused() {
        let tensor = |shape: [usize; 2]| Tensor::new(shape, vec![0.0f32; shape[0] * shape[1]]);
        let error = Add::new().call([tensor([2, 3]), tensor([2, 2])]).eval().unwrap_err();
        assert!(error.to_string().contains("[3] and [2]"), "{error}");
        assert!(Add::new().call([tensor([2, 3]), tensor([3, 3])]).eval().is_err());
        let three = [tensor([1, 1]), tensor([1, 1]), tensor([1, 1])];
        assert!(Subtract::new().call(three).eval().is_err());
    }
}
