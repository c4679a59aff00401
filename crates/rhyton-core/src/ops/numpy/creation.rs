//! New tensors: `zeros`, `full`, `arange`, `linspace`, `eye`, …

use rhyton_ir::op::BroadcastInDim;
use rhyton_ir::{Array, DType, Shape, TensorType};
use serde::{Deserialize, Serialize};

use super::MODULE;
use super::arithmetic::{broadcast, common};
use crate::error::{Error, Result};
use crate::keras_object;
use crate::nest::{Args, Nest};
use crate::ops::axis as axis_of;
use crate::ops::class::{float_of, operations, strong};
use crate::ops::primitives::{filled, iota, scalar, select};
use crate::ops::{Number, Operand, Operation, OperationClass, apply};
use crate::promotion::{promote, result_type};
use crate::tensor::Tensor;

operations! { MODULE;
    ZerosLike { dtype: Option<DType> } (x) compute_zeros_like;
    OnesLike { dtype: Option<DType> } (x) compute_ones_like;
    EmptyLike { dtype: Option<DType> } (x) compute_empty_like;
    FullLike { dtype: Option<DType> } (x, fill_value) compute_full_like;
    Full { shape: Vec<usize>, dtype: Option<DType> } (fill_value) compute_full;
    Linspace { num: usize, endpoint: bool, retstep: bool, dtype: Option<DType>, axis: i64 } (start, stop) compute_linspace;
    Logspace { num: usize, endpoint: bool, base: Number, dtype: Option<DType>, axis: i64 } (start, stop) compute_logspace;
    Geomspace { num: usize, endpoint: bool, dtype: Option<DType>, axis: i64 } (start, stop) compute_geomspace;
    Vander {
        #[serde(rename = "N")] n: Option<usize>,
        increasing: bool
    } (x) compute_vander;
}

/// Zeros of `shape`; `float32` unless `dtype` is given.
#[track_caller]
pub fn zeros(shape: impl Into<Shape>, dtype: Option<DType>) -> Tensor {
    filled(dtype.unwrap_or_else(crate::config::floatx), &shape.into(), 0.0)
}

/// Ones of `shape`; `float32` unless `dtype` is given.
#[track_caller]
pub fn ones(shape: impl Into<Shape>, dtype: Option<DType>) -> Tensor {
    filled(dtype.unwrap_or_else(crate::config::floatx), &shape.into(), 1.0)
}

/// A tensor of `shape` whose elements do not matter (they are 0).
#[track_caller]
pub fn empty(shape: impl Into<Shape>, dtype: Option<DType>) -> Tensor {
    zeros(shape, dtype)
}

/// `fill_value` repeated to `shape`; `float32` unless `dtype` is given.
#[track_caller]
pub fn full(shape: impl Into<Shape>, fill_value: impl Into<Operand>, dtype: Option<DType>) -> Tensor {
    let value: Operand = fill_value.into();
    let shape = shape.into();
    match (&value, shape.known()) {
        (Operand::Tensor(t), Some(shape)) if t.is_symbol() => apply(Full { shape, dtype }, Args::new(value.to_nest())),
        _ => broadcast(&value.to_tensor(dtype.unwrap_or_else(crate::config::floatx)), &shape),
    }
}

fn compute_full(op: &Full, value: Operand) -> Tensor {
    broadcast(&value.to_tensor(op.dtype.unwrap_or_else(crate::config::floatx)), &op.shape[..].into())
}

/// Zeros of the dtype and shape of `x`.
#[track_caller]
pub fn zeros_like(x: &Tensor) -> Tensor {
    apply(ZerosLike { dtype: None }, Args::new(x))
}

fn compute_zeros_like(op: &ZerosLike, x: Tensor) -> Tensor {
    filled(op.dtype.unwrap_or(x.dtype()), x.shape(), 0.0)
}

/// Ones of the dtype and shape of `x`.
#[track_caller]
pub fn ones_like(x: &Tensor) -> Tensor {
    apply(OnesLike { dtype: None }, Args::new(x))
}

fn compute_ones_like(op: &OnesLike, x: Tensor) -> Tensor {
    filled(op.dtype.unwrap_or(x.dtype()), x.shape(), 1.0)
}

/// A tensor of the dtype and shape of `x` whose elements do not matter (they are 0).
#[track_caller]
pub fn empty_like(x: &Tensor) -> Tensor {
    apply(EmptyLike { dtype: None }, Args::new(x))
}

fn compute_empty_like(op: &EmptyLike, x: Tensor) -> Tensor {
    filled(op.dtype.unwrap_or(x.dtype()), x.shape(), 0.0)
}

/// `fill_value` in the dtype and repeated to the shape of `x`.
#[track_caller]
pub fn full_like(x: &Tensor, fill_value: impl Into<Operand>) -> Tensor {
    apply(FullLike { dtype: None }, Args::new(x).and(fill_value.into().to_nest()))
}

fn compute_full_like(op: &FullLike, x: Tensor, value: Operand) -> Tensor {
    broadcast(&value.to_tensor(op.dtype.unwrap_or(x.dtype())), x.shape())
}

/// `start, start + step, …` up to but not including `stop`; from 0 to `start` if `stop` is `None`. `int32` for whole
/// numbers and `float32` for others, unless `dtype` is given.
#[track_caller]
pub fn arange(start: impl Into<Number>, stop: Option<Number>, step: Option<Number>, dtype: Option<DType>) -> Tensor {
    let start = start.into();
    let whole = [Some(start), stop, step].iter().flatten().all(|n| matches!(n, Number::Int(_)));
    let dtype = dtype.unwrap_or(if whole { DType::I32 } else { crate::config::floatx() });
    let (start, stop) = stop.map_or((0.0, start.value()), |stop| (start.value(), stop.value()));
    let step = step.map_or(1.0, Number::value);
    let count = ((stop - start) / step).ceil();
    // Beyond this, an allocation could only fail.
    const LARGEST: f64 = (1u64 << 40) as f64;
    if step == 0.0 || !count.is_finite() || count > LARGEST {
        return Tensor::invalid(Error::argument(
            "arange",
            format!("from {start} to {stop} by {step}"),
            "give finite numbers and a step other than 0",
        ));
    }
    let count = count.max(0.0) as usize;
    if start == 0.0 && step == 1.0 && dtype != DType::Bool {
        return iota(dtype, [count], 0);
    }
    let values: Vec<f64> = (0..count).map(|i| start + i as f64 * step).collect();
    Tensor::from(Array::new([count], values).cast(dtype))
}

/// `num` numbers evenly spaced from `start` to `stop`, which is the last one if `endpoint` (Keras's defaults: 50, true),
/// along a new `axis` (0).
#[track_caller]
pub fn linspace(
    start: impl Into<Operand>,
    stop: impl Into<Operand>,
    num: usize,
    endpoint: bool,
    dtype: Option<DType>,
    axis: i64,
) -> Tensor {
    let args = Args::new(start.into().to_nest()).and(stop.into().to_nest());
    apply(Linspace { num, endpoint, retstep: false, dtype, axis }, args)
}

fn compute_linspace(op: &Linspace, start: Operand, stop: Operand) -> Result<Vec<Tensor>> {
    let (points, step) = spaced(op.num, op.endpoint, op.dtype, op.axis, &start, &stop)?;
    Ok(if op.retstep { vec![points, step] } else { vec![points] })
}

/// The points and the distance of neighbours.
fn spaced(
    num: usize,
    endpoint: bool,
    dtype: Option<DType>,
    axis: i64,
    start: &Operand,
    stop: &Operand,
) -> Result<(Tensor, Tensor)> {
    let result = dtype.unwrap_or_else(|| float_of(result_type(&[start, stop])));
    let dtype = float_of(result);
    let (start, stop) = common(&start.to_tensor(dtype), &stop.to_tensor(dtype))?;
    let axis = axis_of(axis, start.rank() + 1)?;
    let steps = if endpoint { num.saturating_sub(1) } else { num };
    let step = (&stop - &start) / scalar(dtype, steps as f64);
    let (start, stop) = (super::expand_dims(&start, axis as i64), super::expand_dims(&stop, axis as i64));
    let mut shape = start.check()?.shape().clone();
    shape[axis] = num.into();
    if num == 0 {
        return Ok((filled(result, &shape, 0.0), step));
    }
    let count = iota(dtype, shape.clone(), axis);
    let points = broadcast(&start, &shape) + count * super::expand_dims(&step, axis as i64);
    let mut points = if num == 1 { broadcast(&start, &shape) } else { points };
    if endpoint && num > 1 {
        // Exactly the end, whatever the rounding of the steps.
        let last = super::equal(iota(DType::I32, shape.clone(), axis), num as i64 - 1);
        points = select(&last, &broadcast(&stop, &shape), &points);
    }
    let points = if result.is_float() { points } else { super::floor(&points) };
    Ok((points.cast(result), step))
}

/// `base` to the power of what [`linspace`] gives.
#[track_caller]
pub fn logspace(
    start: impl Into<Operand>,
    stop: impl Into<Operand>,
    num: usize,
    endpoint: bool,
    base: impl Into<Number>,
    dtype: Option<DType>,
    axis: i64,
) -> Tensor {
    let args = Args::new(start.into().to_nest()).and(stop.into().to_nest());
    apply(Logspace { num, endpoint, base: base.into(), dtype, axis }, args)
}

fn compute_logspace(op: &Logspace, start: Operand, stop: Operand) -> Result<Tensor> {
    let (points, _) = spaced(op.num, op.endpoint, op.dtype, op.axis, &start, &stop)?;
    Ok(super::power(scalar(points.dtype(), op.base.value()), &points))
}

/// `num` numbers from `start` to `stop` of which neighbours have the same quotient.
#[track_caller]
pub fn geomspace(
    start: impl Into<Operand>,
    stop: impl Into<Operand>,
    num: usize,
    endpoint: bool,
    dtype: Option<DType>,
    axis: i64,
) -> Tensor {
    let args = Args::new(start.into().to_nest()).and(stop.into().to_nest());
    apply(Geomspace { num, endpoint, dtype, axis }, args)
}

fn compute_geomspace(op: &Geomspace, start: Operand, stop: Operand) -> Result<Tensor> {
    let dtype = op.dtype.unwrap_or_else(crate::config::floatx);
    let logarithm = |x: &Operand| Operand::Tensor(super::log10(&super::absolute(&strong(x).cast(dtype))));
    let (points, _) = spaced(op.num, op.endpoint, op.dtype, op.axis, &logarithm(&start), &logarithm(&stop))?;
    let sign = super::sign(&strong(&start).cast(points.dtype()));
    Ok(super::power(scalar(points.dtype(), 10.0), &points) * sign)
}

/// 1 where the column is the row plus `k`, else 0, for `n` rows and `m` columns (as many as rows if `None`).
#[track_caller]
pub fn eye(n: usize, m: Option<usize>, k: i64, dtype: Option<DType>) -> Tensor {
    let (rows, columns) = positions(n, m.unwrap_or(n));
    super::equal(rows + k, columns).cast(dtype.unwrap_or_else(crate::config::floatx))
}

/// [`eye`] of `n` rows and columns.
#[track_caller]
pub fn identity(n: usize, dtype: Option<DType>) -> Tensor {
    eye(n, None, 0, dtype)
}

/// 1 where the column is at most the row plus `k`, else 0, for `n` rows and `m` columns (as many as rows if `None`).
#[track_caller]
pub fn tri(n: usize, m: Option<usize>, k: i64, dtype: Option<DType>) -> Tensor {
    let (rows, columns) = positions(n, m.unwrap_or(n));
    super::greater_equal(rows + k, columns).cast(dtype.unwrap_or_else(crate::config::floatx))
}

/// The row and the column of every element of a matrix.
fn positions(rows: usize, columns: usize) -> (Tensor, Tensor) {
    let ty = TensorType::new(DType::I64, [rows, columns]);
    (iota(ty.dtype, ty.shape.clone(), 0), iota(ty.dtype, ty.shape, 1))
}

/// For vectors of coordinates, grids of every coordinate: of shape `(n₁, n₀, …)` for `"xy"` (Keras's default), where the
/// first vector runs along the second axis, and `(n₀, n₁, …)` for `"ij"`.
#[track_caller]
pub fn meshgrid(x: &[Tensor], indexing: &str) -> Vec<Tensor> {
    let mut args = Args::default();
    args.positional = x.iter().map(Into::into).collect();
    let results = crate::ops::apply_all(Meshgrid { indexing: indexing.to_owned() }, args);
    match &results[..] {
        [only] if only.error().is_some() => vec![only.clone(); x.len().max(1)],
        _ => results,
    }
}

/// [`meshgrid`] as configurations name it.
pub(crate) const MESHGRID: &[OperationClass] =
    &[OperationClass { name: "Meshgrid", from_config: crate::ops::class::make::<Meshgrid> }];

/// The class of [`meshgrid`]: the only argument is variadic, so it is none of the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Meshgrid {
    indexing: String,
}
keras_object!(Meshgrid);

impl Operation for Meshgrid {
    fn module(&self) -> &'static str {
        MODULE
    }

    fn compute(&self, args: &Args) -> Result<Nest> {
        let x: Vec<Tensor> = args.tensors().into_iter().cloned().collect();
        Ok(self.grids(&x)?.into())
    }
}

impl Meshgrid {
    fn grids(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        if !matches!(self.indexing.as_str(), "xy" | "ij") {
            let what = format!("indexing {:?}", self.indexing);
            return Err(Error::argument("meshgrid", what, "use xy or ij"));
        }
        // Which axis each vector runs along.
        let mut axes: Vec<usize> = (0..x.len()).collect();
        if self.indexing == "xy" && x.len() > 1 {
            axes.swap(0, 1);
        }
        let mut shape = Shape::from(vec![1usize; x.len()]);
        for (x, &axis) in x.iter().zip(&axes) {
            shape[axis] = x.shape().elements();
        }
        let grid = |(x, &axis): (&Tensor, &usize)| {
            Tensor::apply(BroadcastInDim { shape: shape.clone(), axes: vec![axis] }, &[&super::ravel(x)])
        };
        Ok(x.iter().zip(&axes).map(grid).collect())
    }
}

/// The powers `n − 1, …, 0` of each element of a vector as a row; ascending if `increasing`. `n` is the length unless given.
#[track_caller]
pub fn vander(x: &Tensor, n: Option<usize>, increasing: bool) -> Tensor {
    apply(Vander { n, increasing }, Args::new(x))
}

fn compute_vander(op: &Vander, x: Tensor) -> Result<Tensor> {
    let n = match op.n {
        Some(n) => rhyton_ir::Dim::Known(n),
        None => x.dim(0),
    };
    let compute = promote(x.dtype(), DType::F32);
    let count = iota(compute, vec![n.clone()], 0);
    let powers = if op.increasing { count } else { super::flip(&count, None::<i64>) };
    Ok(super::power(super::expand_dims(&x.cast(compute), -1), powers).cast(x.dtype()))
}
