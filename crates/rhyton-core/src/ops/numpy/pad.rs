//! `pad`: elements around a tensor.

use rhyton_ir::op::{Pad as Primitive, Reverse};
use serde::{Deserialize, Serialize};

use super::MODULE;
use crate::error::{Error, Result};
use crate::nest::{Args, Nest};
use crate::ops::class::operations;
use crate::ops::primitives::{scalar, sliced};
use crate::ops::{Number, Operand, apply};
use crate::tensor::Tensor;

/// How many elements go before and after each axis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PadWidth {
    /// So many before and after every axis.
    Both(i64),
    /// So many before and so many after every axis.
    Pair([i64; 2]),
    /// Before and after each axis; one pair is for every axis.
    Axes(Vec<[i64; 2]>),
}

impl From<i64> for PadWidth {
    fn from(width: i64) -> PadWidth {
        PadWidth::Both(width)
    }
}

impl From<i32> for PadWidth {
    fn from(width: i32) -> PadWidth {
        PadWidth::Both(width.into())
    }
}

impl<const N: usize> From<[[i64; 2]; N]> for PadWidth {
    fn from(widths: [[i64; 2]; N]) -> PadWidth {
        PadWidth::Axes(widths.to_vec())
    }
}

impl From<Vec<[i64; 2]>> for PadWidth {
    fn from(widths: Vec<[i64; 2]>) -> PadWidth {
        PadWidth::Axes(widths)
    }
}

operations! { MODULE;
    Pad { pad_width: PadWidth, mode: String } (x, constant_values) compute_pad;
}

/// `x` with `pad_width` elements before and after each axis: `constant_values` (0 unless given) for the mode `"constant"`,
/// mirrored ones without the edge for `"reflect"`, with it for `"symmetric"`.
#[track_caller]
pub fn pad(x: &Tensor, pad_width: impl Into<PadWidth>, mode: &str, constant_values: Option<Number>) -> Tensor {
    let mut args = Args::new(x);
    let value = constant_values.map_or_else(Nest::none, |v| Operand::from(v).to_nest());
    args.named.insert("constant_values".to_owned(), value);
    apply(Pad { pad_width: pad_width.into(), mode: mode.to_owned() }, args)
}

fn compute_pad(op: &Pad, x: Tensor, value: Option<Operand>) -> Result<Tensor> {
    let rank = x.rank();
    let wrong = |what: String, fix: &str| Error::argument("pad", what, fix);
    let widths: Vec<(i64, i64)> = match &op.pad_width {
        PadWidth::Both(n) => vec![(*n, *n); rank],
        PadWidth::Pair([a, b]) => vec![(*a, *b); rank],
        PadWidth::Axes(pairs) if pairs.len() == 1 => vec![(pairs[0][0], pairs[0][1]); rank],
        PadWidth::Axes(pairs) => pairs.iter().map(|&[a, b]| (a, b)).collect(),
    };
    if widths.len() != rank || widths.iter().any(|&(a, b)| a < 0 || b < 0) {
        return Err(wrong(
            format!("pad_width {:?} for {}", op.pad_width, x.ty()),
            "give two counts an axis, none negative",
        ));
    }
    if value.is_some() && op.mode != "constant" {
        return Err(wrong(format!("constant_values with the mode {:?}", op.mode), "use the mode constant"));
    }
    match op.mode.as_str() {
        "constant" => padded(&x, &widths, value.map_or(Ok(0.0), |v| v.to_tensor(x.dtype()).item())?),
        "reflect" => mirrored(&x, &widths, 1),
        "symmetric" => mirrored(&x, &widths, 0),
        mode => Err(wrong(format!("the mode {mode:?}"), "use constant, reflect or symmetric")),
    }
}

/// `x` with so many elements of `value` before and after each axis.
pub(crate) fn padded(x: &Tensor, widths: &[(i64, i64)], value: f64) -> Result<Tensor> {
    if widths.iter().all(|&w| w == (0, 0)) {
        return Ok(x.clone());
    }
    let (low, high) = widths.iter().copied().unzip();
    let pad = Primitive { low, high, interior: vec![0; widths.len()] };
    Tensor::apply(pad, &[x, &scalar(x.dtype(), value)]).check().cloned()
}

/// `x` continued by its mirror image, which leaves out the first `skip` elements.
fn mirrored(x: &Tensor, widths: &[(i64, i64)], skip: usize) -> Result<Tensor> {
    let mut x = x.clone();
    for (axis, &(before, after)) in widths.iter().enumerate() {
        let (before, after) = (before as usize, after as usize);
        if before == 0 && after == 0 {
            continue;
        }
        let size = x.shape()[axis].clone();
        if size.known().is_some_and(|n| before.max(after) + skip > n) {
            return Err(Error::shape(
                "pad",
                format!("{before} and {after} mirrored elements around axis {axis} of {}", x.ty()),
                "pad by less than the size",
            ));
        }
        let flip = |t: &Tensor| Tensor::apply(Reverse { axes: vec![axis] }, &[t]);
        let mut parts = Vec::new();
        if before > 0 {
            parts.push(flip(&sliced(&x, axis, skip, before + skip)));
        }
        parts.push(x.clone());
        if after > 0 {
            // Of the reversed axis, so that its size may be unknown.
            parts.push(sliced(&flip(&x), axis, skip, after + skip));
        }
        x = super::concatenate(&parts, axis as i64).check()?.clone();
    }
    Ok(x)
}
