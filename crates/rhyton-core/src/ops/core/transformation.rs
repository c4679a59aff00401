//! Functions made of functions: `vectorize`, `jvp`.

use rhyton_ir::{Dim, Shape};

use crate::error::{Error, Result};
use crate::ops::{self, Axes};
use crate::tensor::{Tensor, gradients};

/// `function`, which is for scalars, for tensors: it is applied to the elements that stand at the same places once the arguments are
/// broadcast to one shape.
///
/// # Examples
/// ```
/// use rhyton_core::{Tensor, ops};
///
/// let smaller = ops::vectorize(|x| Ok(ops::minimum(&x[0], &x[1])));
/// let y = smaller(&[Tensor::new([2, 1], vec![1.0f32, 5.0]), Tensor::new([2], vec![2.0f32, 3.0])])?;
/// assert_eq!(y.to_vec::<f32>()?, [1.0, 1.0, 2.0, 3.0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
pub fn vectorize(function: impl Fn(&[Tensor]) -> Result<Tensor>) -> impl Fn(&[Tensor]) -> Result<Tensor> {
    move |arguments| {
        let Some(first) = arguments.first() else {
            return Err(Error::argument("vectorize", "there are no arguments", "give at least one"));
        };
        let mut shape: Shape = first.check()?.shape().clone();
        for argument in &arguments[1..] {
            let both = ops::add(ops::zeros(shape.clone(), None), ops::zeros(argument.check()?.shape().clone(), None));
            shape = both.check()?.shape().clone();
        }
        let count = shape.iter().fold(Dim::Known(1), |count, d| count * d.clone());
        let flat: Vec<Tensor> =
            arguments.iter().map(|x| ops::reshape_to(&ops::numpy::broadcast(x, &shape), vec![count.clone()])).collect();
        let mapped = ops::vectorized_map(|x| Ok(vec![function(x)?]), &flat)?.swap_remove(0);
        let result: Shape = shape.iter().chain(mapped.shape().iter().skip(1)).cloned().collect();
        ops::reshape_to(&mapped, result).check().cloned()
    }
}

/// The results of `function` at `primals`, and their derivatives along `tangents`.
///
/// # Errors
/// That of `function`; if the counts or shapes of primals and tangents differ, a result is no floating-point tensor, or an operation
/// on the way has no gradient.
///
/// # Examples
/// ```
/// use rhyton_core::{Tensor, ops};
///
/// let square = |x: &[Tensor]| Ok(vec![ops::square(&x[0])]);
/// let (y, dy) = ops::jvp(square, &[Tensor::from(3.0f32)], &[Tensor::from(0.5f32)])?;
/// assert_eq!((y[0].item()?, dy[0].item()?), (9.0, 3.0));
/// # Ok::<(), rhyton_core::Error>(())
/// ```
pub fn jvp(
    function: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>,
    primals: &[Tensor],
    tangents: &[Tensor],
) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
    let fits = |(p, t): (&Tensor, &Tensor)| p.shape().compatible(t.shape());
    if primals.len() != tangents.len() || !primals.iter().zip(tangents).all(fits) {
        let what = format!("{} primals and {} tangents, or their shapes, differ", primals.len(), tangents.len());
        return Err(Error::argument("jvp", what, "give a tangent of its shape for each primal"));
    }
    let outputs = function(primals)?;
    if let Some(other) = outputs.iter().find(|y| !y.dtype().is_float()) {
        return Err(Error::dtype("jvp", format!("a result is {}", other.ty()), "give floating-point results"));
    }
    // u ↦ Jᵀu is linear: its derivative along t, transposed, is t ↦ Jt.
    let weights: Vec<Tensor> = outputs.iter().map(ops::zeros_like).collect();
    let Some(weighed) = products(&outputs, &weights) else { return Ok((outputs, Vec::new())) };
    let pulled = gradients(&weighed, primals)?;
    let along = products(&pulled, tangents);
    let derivatives = match along {
        Some(along) => gradients(&along, &weights)?,
        None => weights,
    };
    Ok((outputs, derivatives))
}

/// The sum of the scalar products.
fn products(xs: &[Tensor], ys: &[Tensor]) -> Option<Tensor> {
    let product = |(x, y): (&Tensor, &Tensor)| ops::sum(&(x * y), Axes::All, false);
    xs.iter().zip(ys).map(product).reduce(|a, b| a + b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_along_tangents_are_right() {
        let f = |x: &[Tensor]| Ok(vec![&x[0] * &x[1], ops::sin(&x[0]), ops::exp(&x[1])]);
        let x = [Tensor::new([2], vec![0.5f32, 1.0]), Tensor::new([2], vec![2.0f32, -1.0])];
        let t = [Tensor::new([2], vec![1.0f32, 0.0]), Tensor::new([2], vec![0.0f32, 3.0])];
        let (y, dy) = jvp(f, &x, &t).unwrap();
        assert_eq!(y[0].to_vec::<f32>().unwrap(), [1.0, -1.0]);
        let expected = [[2.0, 3.0], [0.5f32.cos(), 0.0], [0.0, 3.0 * (-1.0f32).exp()]];
        for (dy, expected) in dy.iter().zip(expected) {
            for (found, expected) in dy.to_vec::<f32>().unwrap().iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
        }
        assert!(jvp(f, &x, &t[..1]).unwrap_err().to_string().contains("tangents"));
    }

    #[test]
    fn what_cannot_be_vectorized_is_refused() {
        let f = vectorize(|x| Ok(x[0].clone()));
        assert!(f(&[]).is_err());
        let error = f(&[Tensor::new([2], vec![0.0f32; 2]), Tensor::new([3], vec![0.0f32; 3])]).unwrap_err();
        assert!(!error.to_string().is_empty());
    }
}
