//! Complex numbers as pairs: `polar`, `view_as_complex`, `view_as_real`.
//!
//! There are no complex dtypes. Where Keras gives or takes complex tensors, a pair of real ones stands here, the real part first, as
//! Keras's own Fourier transforms have it. On the symbols of a functional model these functions record what they are made of, so
//! a model with them is saved, though with other operations than Keras's; a model of Keras's with complex tensors inside cannot
//! be loaded.

use crate::error::Error;
use crate::ops;
use crate::tensor::Tensor;

/// The real and imaginary parts of the numbers of these absolute values and angles, in radians.
#[track_caller]
pub fn polar(abs: &Tensor, angle: &Tensor) -> (Tensor, Tensor) {
    (abs * ops::cos(angle), abs * ops::sin(angle))
}

/// The real and imaginary parts, which lie along the last axis of `x`: its size is 2, and it goes away.
#[track_caller]
pub fn view_as_complex(x: &Tensor) -> (Tensor, Tensor) {
    if x.rank() == 0 || !x.dim(-1).is(2) {
        let what = format!("the last axis of {} has not the two parts", x.ty());
        let error = Tensor::invalid(Error::shape("view_as_complex", what, "give a tensor whose last size is 2"));
        return (error.clone(), error);
    }
    let mut parts = ops::unstack(x, Some(2), -1).into_iter();
    let mut next = || parts.next().unwrap_or_else(|| x.clone());
    (next(), next())
}

/// Real and imaginary parts along a new last axis of size 2.
#[track_caller]
pub fn view_as_real(x: (&Tensor, &Tensor)) -> Tensor {
    ops::stack(&[x.0.clone(), x.1.clone()], -1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_of_complex_numbers() {
        // keras.ops.polar(2, π/3) is 1 + 1.7320508i.
        let (re, im) = polar(&Tensor::from(2.0f32), &Tensor::from(std::f32::consts::FRAC_PI_3));
        assert!((re.item().unwrap() - 1.0).abs() < 1e-6 && (im.item().unwrap() - 3.0f64.sqrt()).abs() < 1e-6);
        let x = Tensor::new([2, 2], vec![1.0f32, 2.0, 3.0, 4.0]);
        let (re, im) = view_as_complex(&x);
        assert_eq!((re.to_vec::<f32>().unwrap(), im.to_vec::<f32>().unwrap()), (vec![1.0, 3.0], vec![2.0, 4.0]));
        assert_eq!(view_as_real((&re, &im)).to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0, 4.0]);
        assert!(view_as_complex(&Tensor::from(1.0f32)).0.eval().unwrap_err().to_string().contains("two parts"));
        assert_eq!(ops::real(&x).to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(ops::imag(&x).to_vec::<f32>().unwrap(), [0.0; 4]);
    }
}
