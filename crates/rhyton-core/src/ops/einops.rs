//! `rearrange`: axes split, permuted and joined by a pattern: `keras.src.ops.einops`.

use rhyton_ir::{Dim, Shape};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::keras_object;
use crate::nest::{Args, Nest};
use crate::ops::primitives::{permute, reshaped};
use crate::ops::{Operation, OperationClass, apply};
use crate::tensor::Tensor;

/// `tensor` with its axes as `pattern` says: `"b (h w) c -> b c h w"`. Axes in parentheses are one axis of the tensor, whose
/// parts have the sizes `axes_lengths`; one part of each may be left out.
///
/// # Examples
/// ```
/// use rhyton_core::{Tensor, ops};
///
/// let x = Tensor::new([4, 2], (0..8).collect::<Vec<i32>>());
/// let y = ops::rearrange(&x, "(h w) c -> w (h c)", &[("h", 2)]);
/// assert_eq!(y.to_vec::<i32>()?, [0, 1, 4, 5, 2, 3, 6, 7]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[track_caller]
pub fn rearrange(tensor: &Tensor, pattern: &str, axes_lengths: &[(&str, usize)]) -> Tensor {
    let mut args = Args::new(tensor).and(serde_json::Value::from(pattern));
    for (name, length) in axes_lengths {
        args.named.insert((*name).to_owned(), serde_json::Value::from(*length).into());
    }
    apply(Rearrange {}, args)
}

/// The class of [`rearrange`]: lengths are arguments of any name, so it is none of a table of classes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rearrange {}
keras_object!(Rearrange);

/// This operation as configurations name it.
pub(crate) const CLASSES: &[OperationClass] =
    &[OperationClass { name: "Rearrange", from_config: crate::ops::class::make::<Rearrange> }];

/// One side of a pattern: the names that make up each axis.
fn side(text: &str) -> Option<Vec<Vec<&str>>> {
    let mut axes: Vec<Vec<&str>> = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if let Some(group) = rest.strip_prefix('(') {
            let (names, after) = group.split_once(')')?;
            axes.push(names.split_whitespace().collect());
            rest = after.trim_start();
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || c == '(').unwrap_or(rest.len());
            axes.push(vec![&rest[..end]]);
            rest = rest[end..].trim_start();
        }
    }
    let named = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    axes.iter().flatten().all(named).then_some(axes)
}

impl Operation for Rearrange {
    fn module(&self) -> &'static str {
        "keras.src.ops.einops"
    }

    fn compute(&self, args: &Args) -> Result<Nest> {
        let x = args.tensor()?;
        let pattern = args.get(1, "pattern").and_then(Nest::plain).and_then(serde_json::Value::as_str);
        let pattern = pattern.unwrap_or_default();
        let wrong = |what: &str| {
            let fix = "write both sides as in \"b (h w) c -> b c h w\", each name once on each side";
            Error::argument("rearrange", format!("{pattern:?} for {}: {what}", x.ty()), fix)
        };
        let (left, right) = pattern.split_once("->").ok_or_else(|| wrong("there is no ->"))?;
        let (left, right) = (side(left), side(right));
        let (Some(left), Some(right)) = (left, right) else { return Err(wrong("a side cannot be read")) };
        if left.len() != x.rank() {
            return Err(wrong("the left side has another number of axes"));
        }
        let length = |name: &str| args.named.get(name).and_then(Nest::plain).and_then(serde_json::Value::as_u64);
        let mut sizes: Vec<(&str, Dim)> = Vec::new();
        for (names, of) in left.iter().zip(x.shape().iter()) {
            let known: usize = names.iter().filter_map(|n| length(n)).product::<u64>() as usize;
            let open = names.iter().filter(|n| length(n).is_none()).count();
            let fits = of.known().is_none_or(|n| known > 0 && n % known == 0 && (open > 0 || n == known));
            if open > 1 || !fits && names.len() > 1 {
                return Err(wrong("the lengths do not make up an axis"));
            }
            for &name in names {
                let size = match length(name) {
                    Some(n) if names.len() > 1 => Dim::Known(n as usize),
                    _ if names.len() > 1 => of.clone() / Dim::Known(known),
                    _ => of.clone(),
                };
                sizes.push((name, size));
            }
        }
        let place = |name: &str| sizes.iter().position(|(n, _)| *n == name);
        let order: Option<Vec<usize>> = right.iter().flatten().map(|n| place(n)).collect();
        let mut sorted = order.clone().unwrap_or_default();
        sorted.sort_unstable();
        let Some(order) = order.filter(|_| sorted.iter().copied().eq(0..sizes.len())) else {
            return Err(wrong("the sides have different names"));
        };
        let apart = reshaped(x, sizes.iter().map(|(_, d)| d.clone()).collect::<Shape>());
        let joined = |names: &Vec<&str>| {
            let parts = names.iter().filter_map(|n| place(n)).map(|a| sizes[a].1.clone());
            parts.fold(Dim::Known(1), |n, d| n * d)
        };
        let out = reshaped(&permute(&apart, &order), right.iter().map(joined).collect::<Shape>());
        Ok(out.check()?.into())
    }
}
