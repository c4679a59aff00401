//! Boxes and points at computed places: `slice`, `slice_update`, `scatter`, `scatter_update`.

use rhyton_ir::op::{Combine, DynamicSlice, DynamicUpdateSlice, Scatter as Primitive, Slice as Fixed};
use rhyton_ir::{DType, Dim, Shape};
use serde_json::{Value, json};

use super::MODULE;
use crate::error::{Error, Result};
use crate::nest::{Args, Nest};
use crate::ops::apply;
use crate::ops::class::operations;
use crate::ops::primitives::{filled, reshaped, sliced};
use crate::tensor::Tensor;

operations! { MODULE;
    Slice { shape: Vec<i64> } (inputs, start_indices) compute_slice;
    SliceUpdate {} (inputs, start_indices, updates) compute_slice_update;
    Scatter { shape: Vec<usize> } (indices, values) compute_scatter;
    ScatterUpdate { reduction: Option<String> } (inputs, indices, updates) compute_scatter_update;
}

/// Where a box begins: one number an axis, or an integer vector of them.
#[derive(Clone, Debug)]
pub struct Starts(Nest);

impl<const N: usize> From<[i64; N]> for Starts {
    fn from(starts: [i64; N]) -> Starts {
        Starts(Nest::Plain(json!(starts.to_vec())))
    }
}

impl From<&[i64]> for Starts {
    fn from(starts: &[i64]) -> Starts {
        Starts(Nest::Plain(json!(starts)))
    }
}

impl From<&Tensor> for Starts {
    fn from(starts: &Tensor) -> Starts {
        Starts(starts.into())
    }
}

impl From<Vec<Tensor>> for Starts {
    fn from(starts: Vec<Tensor>) -> Starts {
        Starts(starts.into())
    }
}

/// Start indices as numbers, if all are, or else as one scalar tensor an axis.
enum Places {
    Fixed(Vec<usize>),
    Computed(Vec<Tensor>),
}

impl Places {
    fn of(op: &str, nest: &Nest, rank: usize) -> Result<Places> {
        let wrong = |what: String| Error::argument(op, what, format!("give {rank} start indices, none negative"));
        let scalar = |nest: &Nest| match nest {
            Nest::Tensor(t) => Ok(reshaped(&t.cast(DType::I32), Shape::scalar())),
            Nest::Plain(v) => v.as_i64().map(|i| Tensor::from(i as i32)).ok_or_else(|| wrong(format!("{v}"))),
            _ => Err(wrong("a nested list".into())),
        };
        let numbers =
            |items: &[Value]| items.iter().map(|v| v.as_u64().map(|i| i as usize)).collect::<Option<Vec<_>>>();
        let places = match nest {
            Nest::Plain(Value::Array(items)) => {
                Places::Fixed(numbers(items).ok_or_else(|| wrong(format!("start indices {items:?}")))?)
            }
            Nest::List(items) => {
                let plain: Option<Vec<Value>> = items.iter().map(|n| n.plain().cloned()).collect();
                match plain.and_then(|p| numbers(&p)) {
                    Some(fixed) => Places::Fixed(fixed),
                    None => Places::Computed(items.iter().map(scalar).collect::<Result<_>>()?),
                }
            }
            Nest::Tensor(t) if t.rank() == 1 && t.dim(0).compatible(&Dim::Known(rank)) => {
                let t = t.cast(DType::I32);
                let at = |i| reshaped(&sliced(&t, 0, i, i + 1), Shape::scalar());
                Places::Computed((0..rank).map(at).collect())
            }
            other => return Err(wrong(format!("start indices {other:?}"))),
        };
        let count = match &places {
            Places::Fixed(p) => p.len(),
            Places::Computed(p) => p.len(),
        };
        if count == rank { Ok(places) } else { Err(wrong(format!("{count} start indices for rank {rank}"))) }
    }

    fn tensors(self) -> Vec<Tensor> {
        match self {
            Places::Fixed(places) => places.into_iter().map(|p| Tensor::from(p as i32)).collect(),
            Places::Computed(tensors) => tensors,
        }
    }
}

/// The box of `shape` that begins at `start_indices`; a size of −1 reaches to the end. A box at a computed place that would
/// reach beyond is moved inside.
#[track_caller]
pub fn slice(inputs: &Tensor, start_indices: impl Into<Starts>, shape: &[i64]) -> Tensor {
    apply(Slice { shape: shape.to_vec() }, Args::new(inputs).and(start_indices.into().0))
}

fn compute_slice(op: &Slice, x: Tensor, starts: Nest) -> Result<Tensor> {
    let wrong = |what: String| Error::shape("slice", what, "give a box inside the tensor, one size an axis");
    if op.shape.len() != x.rank() {
        return Err(wrong(format!("the shape {:?} for {}", op.shape, x.ty())));
    }
    match Places::of("slice", &starts, x.rank())? {
        Places::Fixed(start) => {
            let mut limit = Vec::new();
            for (axis, (&size, &at)) in op.shape.iter().zip(&start).enumerate() {
                let of = &x.shape()[axis];
                let end = usize::try_from(size).ok().map(|size| at + size);
                if end.is_none() && size != -1 || of.known().is_some_and(|n| end.unwrap_or(at) > n) {
                    return Err(wrong(format!("{:?} at {start:?} in {}", op.shape, x.ty())));
                }
                limit.push(end.map_or_else(|| of.clone(), Dim::Known));
            }
            Ok(Tensor::apply(Fixed { stride: vec![1; start.len()], start, limit }, &[&x]))
        }
        Places::Computed(starts) => {
            let sizes = op.shape.iter().map(|&d| usize::try_from(d).map(Dim::Known));
            let sizes: Shape = sizes.collect::<Result<Vec<Dim>, _>>().map_err(|_| wrong("a size of -1".into()))?.into();
            let operands: Vec<&Tensor> = std::iter::once(&x).chain(&starts).collect();
            Ok(Tensor::apply(DynamicSlice { sizes }, &operands))
        }
    }
}

/// `inputs` with `updates` written over the box that begins at `start_indices`; moved inside if it would reach beyond.
#[track_caller]
pub fn slice_update(inputs: &Tensor, start_indices: impl Into<Starts>, updates: &Tensor) -> Tensor {
    apply(SliceUpdate {}, Args::new(inputs).and(start_indices.into().0).and(updates))
}

fn compute_slice_update(_: &SliceUpdate, x: Tensor, starts: Nest, updates: Tensor) -> Result<Tensor> {
    let starts = Places::of("slice_update", &starts, x.rank())?.tensors();
    let updates = updates.cast(x.dtype());
    let operands: Vec<&Tensor> = [&x, &updates].into_iter().chain(&starts).collect();
    Ok(Tensor::apply(DynamicUpdateSlice, &operands))
}

/// Combines `values` into `x` at the places that the last axis of `indices` addresses.
fn scattered(x: &Tensor, indices: &Tensor, values: &Tensor, combine: Combine) -> Result<Tensor> {
    let wrong = |what: String| {
        let fix = "give integer indices (…, k) that address the first k axes, and values (…, rest of the shape)";
        Err(Error::shape("scatter", what, fix))
    };
    let Some(addressed) = indices.dim(-1).known().filter(|&k| indices.rank() > 0 && k <= x.rank()) else {
        return wrong(format!("indices {} for {}", indices.ty(), x.ty()));
    };
    let batch = indices.rank() - 1;
    if values.rank() != batch + x.rank() - addressed {
        return wrong(format!("values {} for indices {} and {}", values.ty(), indices.ty(), x.ty()));
    }
    let scatter = Primitive {
        update_window_axes: (batch..values.rank()).collect(),
        inserted_window_axes: (0..addressed).collect(),
        operand_batching_axes: vec![],
        indices_batching_axes: vec![],
        scatter_axes_to_operand_axes: (0..addressed).collect(),
        index_vector_axis: batch,
        combine,
    };
    Ok(Tensor::apply(scatter, &[x, indices, &values.cast(x.dtype())]))
}

/// Zeros of `shape` with `values` added at the places that the last axis of `indices` addresses; places outside are left
/// out.
///
/// # Shapes
/// Indices `(…, k)` address the first `k` axes; values `(…, rest of the shape)`.
#[track_caller]
pub fn scatter(indices: &Tensor, values: &Tensor, shape: &[usize]) -> Tensor {
    apply(Scatter { shape: shape.to_vec() }, Args::new(indices).and(values))
}

fn compute_scatter(op: &Scatter, indices: Tensor, values: Tensor) -> Result<Tensor> {
    let zeros = filled(values.dtype(), &op.shape[..].into(), 0.0);
    scattered(&zeros, &indices, &values, Combine::Add)
}

/// `inputs` with `updates` at the places that the last axis of `indices` addresses: in place of what is there, or combined
/// with it by the reduction `"add"`, `"max"`, `"min"` or `"mul"`. Places outside are left out.
#[track_caller]
pub fn scatter_update(inputs: &Tensor, indices: &Tensor, updates: &Tensor, reduction: Option<&str>) -> Tensor {
    let reduction = reduction.map(str::to_lowercase);
    apply(ScatterUpdate { reduction }, Args::new(inputs).and(indices).and(updates))
}

fn compute_scatter_update(op: &ScatterUpdate, x: Tensor, indices: Tensor, updates: Tensor) -> Result<Tensor> {
    let combine = match op.reduction.as_deref() {
        None => Combine::Assign,
        Some("add") => Combine::Add,
        Some("max") => Combine::Max,
        Some("min") => Combine::Min,
        Some("mul") => Combine::Mul,
        Some(other) => {
            let what = format!("the reduction {other:?}");
            return Err(Error::argument("scatter_update", what, "use add, max, min or mul, or none"));
        }
    };
    scattered(&x, &indices, &updates, combine)
}
