//! `+ − * / −x` and comparisons' siblings on tensors, with tensors and plain numbers on either side.

use std::ops::{Add, Div, Mul, Neg, Sub};

use super::Tensor;
use crate::ops;
use crate::ops::Operand;

macro_rules! operator {
    ($($trait:ident $method:ident $function:path;)*) => {$(
        impl<O: Into<Operand>> $trait<O> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: O) -> Tensor {
                $function(self, other)
            }
        }
        impl<O: Into<Operand>> $trait<O> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: O) -> Tensor {
                $function(self, other)
            }
        }
        operator!(@numbers $trait $method $function: f64, i64);
    )*};
    (@numbers $trait:ident $method:ident $function:path: $($t:ty),*) => {$(
        impl $trait<&Tensor> for $t {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: &Tensor) -> Tensor {
                $function(self, other)
            }
        }
        impl $trait<Tensor> for $t {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Tensor) -> Tensor {
                $function(self, other)
            }
        }
    )*};
}

operator! {
    Add add ops::add;
    Sub sub ops::subtract;
    Mul mul ops::multiply;
    Div div ops::true_divide;
}

impl Neg for &Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        ops::negative(self)
    }
}

impl Neg for Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        ops::negative(&self)
    }
}

impl Tensor {
    /// The product of matrices; see [`ops::matmul`].
    #[track_caller]
    pub fn matmul(&self, other: impl Into<Operand>) -> Tensor {
        ops::matmul(self, other)
    }

    /// Another shape for the same elements; see [`ops::reshape`].
    #[track_caller]
    pub fn reshape(&self, shape: &[i64]) -> Tensor {
        ops::reshape(self, shape)
    }
}

#[cfg(test)]
mod tests {
    use crate::Tensor;

    #[test]
    fn operators_take_numbers_on_either_side() {
        let x = Tensor::new([2], vec![1.0f32, 2.0]);
        let y = 1.0 - (&x * 3.0 + &x) / 2;
        assert_eq!(y.to_vec::<f32>().unwrap(), [-1.0, -3.0]);
        assert_eq!((-&x).to_vec::<f32>().unwrap(), [-1.0, -2.0]);
    }
}
