//! `norm`: norms of vectors and matrices.

use serde::{Deserialize, Serialize};

use super::{MODULE, singular_values};
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::class::{float_of, operations};
use crate::ops::{self, Axes, Number, apply};
use crate::tensor::Tensor;

/// Which norm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NormOrder {
    /// The exponent `p`, which may be infinite.
    P(Number),
    /// `"fro"` (Frobenius) or `"nuc"` (nuclear), of matrices.
    Name(String),
}

impl From<i64> for NormOrder {
    fn from(p: i64) -> NormOrder {
        NormOrder::P(p.into())
    }
}

impl From<i32> for NormOrder {
    fn from(p: i32) -> NormOrder {
        NormOrder::P(p.into())
    }
}

impl From<f64> for NormOrder {
    fn from(p: f64) -> NormOrder {
        NormOrder::P(p.into())
    }
}

impl From<&str> for NormOrder {
    fn from(name: &str) -> NormOrder {
        NormOrder::Name(name.to_owned())
    }
}

operations! { MODULE;
    Norm { ord: Option<NormOrder>, axis: Axes, keepdims: bool } (x) compute_norm;
}

/// The norm over `axis`: of vectors over one, of matrices over two, `√Σx²` over all if there is no `ord`.
///
/// Of vectors, `ord` `p` gives `(Σ|x|ᵖ)^(1/p)`, ±∞ the largest and the smallest magnitude, 0 the number of elements that are
/// not 0. Of matrices, `"fro"` gives `√Σx²`, `"nuc"` the sum of the singular values, ±2 the largest and the smallest of
/// them, ±1 the largest and the smallest sum of the magnitudes of a column, and ±∞ that of a row.
#[track_caller]
pub fn norm(x: &Tensor, ord: Option<NormOrder>, axis: impl Into<Axes>, keepdims: bool) -> Tensor {
    apply(Norm { ord, axis: axis.into(), keepdims }, Args::new(x))
}

fn compute_norm(op: &Norm, x: Tensor) -> Result<Tensor> {
    let x = x.cast(float_of(x.dtype()));
    let axes: Vec<i64> = match &op.axis {
        Axes::All => (0..x.rank() as i64).collect(),
        Axes::One(axis) => vec![*axis],
        Axes::Many(axes) => axes.clone(),
    };
    Axes::Many(axes.clone()).resolve(x.rank())?;
    let unknown = || {
        let what = format!("the order {:?} over {} axes of {}", op.ord, axes.len(), x.ty());
        Err(Error::argument("norm", what, "see the documentation for the orders of vectors and matrices"))
    };
    let euclidean = || ops::sqrt(&ops::sum(&ops::square(&x), axes.clone(), op.keepdims));
    match (&op.ord, &axes[..]) {
        (None, _) => Ok(euclidean()),
        (Some(NormOrder::P(p)), &[axis]) => Ok(of_vectors(&x, p.value(), axis, op.keepdims)),
        (Some(NormOrder::Name(name)), &[_, _]) if name == "fro" => Ok(euclidean()),
        (Some(NormOrder::Name(name)), &[rows, columns]) if name == "nuc" => {
            Ok(of_singular_values(&x, [rows, columns], op.keepdims, |s| ops::sum(s, -1, false)))
        }
        (Some(NormOrder::P(p)), &[rows, columns]) => {
            let sums = |over: i64| ops::sum(&ops::absolute(&x), over, true);
            let (largest, smallest) =
                (|s: &Tensor, a: i64| ops::max(s, a, true), |s: &Tensor, a: i64| ops::min(s, a, true));
            let out = match p.value() {
                1.0 => largest(&sums(rows), columns),
                -1.0 => smallest(&sums(rows), columns),
                f64::INFINITY => largest(&sums(columns), rows),
                f64::NEG_INFINITY => smallest(&sums(columns), rows),
                2.0 => return Ok(of_singular_values(&x, [rows, columns], op.keepdims, |s| ops::max(s, -1, false))),
                -2.0 => return Ok(of_singular_values(&x, [rows, columns], op.keepdims, |s| ops::min(s, -1, false))),
                _ => return unknown(),
            };
            Ok(if op.keepdims { out } else { ops::squeeze(&out, axes) })
        }
        _ => unknown(),
    }
}

fn of_vectors(x: &Tensor, p: f64, axis: i64, keepdims: bool) -> Tensor {
    match p {
        2.0 => ops::sqrt(&ops::sum(&ops::square(x), axis, keepdims)),
        f64::INFINITY => ops::max(&ops::absolute(x), axis, keepdims),
        f64::NEG_INFINITY => ops::min(&ops::absolute(x), axis, keepdims),
        0.0 => ops::sum(&ops::not_equal(x, 0.0).cast(x.dtype()), axis, keepdims),
        p => ops::power(ops::sum(&ops::power(ops::absolute(x), p), axis, keepdims), 1.0 / p),
    }
}

fn of_singular_values(x: &Tensor, axes: [i64; 2], keepdims: bool, f: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let out = f(&singular_values(&ops::moveaxis(x, axes, [-2, -1])));
    if keepdims { ops::expand_dims(&out, axes) } else { out }
}
