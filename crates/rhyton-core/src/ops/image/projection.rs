//! Images seen through a projective map: `affine_transform` and `perspective_transform`.

use rhyton_ir::DType;
use rhyton_ir::op::{BroadcastInDim, Gather};

use super::{MODULE, batched, data_format};
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::class::operations;
use crate::ops::primitives::{iota, reshaped, size, sliced};
use crate::ops::{self, Number, apply};
use crate::tensor::Tensor;

operations! { MODULE;
    AffineTransform {
        interpolation: String,
        fill_mode: String,
        fill_value: Number,
        data_format: Option<String>
    } (images, transform) compute_affine;
    PerspectiveTransform {
        interpolation: String,
        fill_value: Number,
        data_format: Option<String>
    } (images, start_points, end_points) compute_perspective;
}

/// Images whose pixel `(x, y)` is that of `images` at `((a₀x + a₁y + a₂) / k, (b₀x + b₁y + b₂) / k)` with
/// `k = c₀x + c₁y + 1`, computed in `float32`.
///
/// Keras's defaults are `"bilinear"` (or `"nearest"`), `"constant"` (or `"nearest"`, `"wrap"`, `"reflect"`: `d c b a |
/// a b c d
/// | d c b a`) and 0.
///
/// # Shapes
/// Images `(batch, height, width, channels)` or one image; `transform`, `(a₀, a₁, a₂, b₀, b₁, b₂, c₀, c₁)`, is `(8)` or
/// `(1, 8)` for all, or `(batch, 8)`.
///
/// # Dtypes
/// Integers are truncated.
#[track_caller]
pub fn affine_transform(
    images: &Tensor,
    transform: &Tensor,
    interpolation: &str,
    fill_mode: &str,
    fill_value: impl Into<Number>,
    data_format: Option<&str>,
) -> Tensor {
    let op = AffineTransform {
        interpolation: interpolation.to_owned(),
        fill_mode: fill_mode.to_owned(),
        fill_value: fill_value.into(),
        data_format: self::data_format(data_format),
    };
    apply(op, Args::new(images).and(transform))
}

fn compute_affine(op: &AffineTransform, images: Tensor, transform: Tensor) -> Result<Tensor> {
    let transforms = match transform.rank() {
        1 => ops::expand_dims(&transform, 0),
        2 => transform,
        _ => {
            let what = format!("the transform is {}", transform.ty());
            return Err(Error::shape("affine_transform", what, "give 8 numbers, or 8 for each image"));
        }
    };
    let outside = Outside::of(&op.fill_mode, op.fill_value.value())?;
    batched("affine_transform", &images, op.data_format.as_deref(), |images| {
        projected(&images, &transforms, &op.interpolation, outside)
    })
}

/// Images in which what was at the four `start_points` is at the `end_points`, with `fill_value` where the images end.
///
/// # Shapes
/// Points `(x, y)`: `(4, 2)` for all images, or `(batch, 4, 2)`.
#[track_caller]
pub fn perspective_transform(
    images: &Tensor,
    start_points: &Tensor,
    end_points: &Tensor,
    interpolation: &str,
    fill_value: impl Into<Number>,
    data_format: Option<&str>,
) -> Tensor {
    let op = PerspectiveTransform {
        interpolation: interpolation.to_owned(),
        fill_value: fill_value.into(),
        data_format: self::data_format(data_format),
    };
    apply(op, Args::new(images).and(start_points).and(end_points))
}

fn compute_perspective(op: &PerspectiveTransform, images: Tensor, start: Tensor, end: Tensor) -> Result<Tensor> {
    for points in [&start, &end] {
        let fits = matches!(points.rank(), 2 | 3) && points.dim(-2).is(4) && points.dim(-1).is(2);
        if !fits || points.rank() != start.rank() {
            let what = format!("the points are {} and {}", start.ty(), end.ty());
            let fix = "give four pairs (x, y), or four for each image, in both";
            return Err(Error::shape("perspective_transform", what, fix));
        }
    }
    let several = |points: Tensor| if points.rank() == 2 { ops::expand_dims(&points, 0) } else { points };
    let transforms = homography(&several(start), &several(end))?;
    batched("perspective_transform", &images, op.data_format.as_deref(), |images| {
        projected(&images, &transforms, &op.interpolation, Outside::Constant(op.fill_value.value()))
    })
}

/// The projective maps `(n, 8)` that take the four `end` points `(n, 4, 2)` to the `start` points: the solutions of
/// eight linear equations, two a point.
pub(crate) fn homography(start: &Tensor, end: &Tensor) -> Result<Tensor> {
    let (start, end) = (start.cast(DType::F32), end.cast(DType::F32));
    let zeros = ops::zeros_like(&ops::concatenate(&[end.clone(), sliced(&end, 2, 0, 1)], -1));
    let ones = ops::ones_like(&sliced(&end, 2, 0, 1));
    let equation = |parts: [&Tensor; 3], coordinate: usize| {
        let known = sliced(&start, 2, coordinate, coordinate + 1);
        let [first, second, third] = parts.map(Clone::clone);
        ops::concatenate(&[first, second, third, -(&known * &end)], -1)
    };
    let rows = ops::stack(&[equation([&end, &ones, &zeros], 0), equation([&zeros, &end, &ones], 1)], 2);
    let count = start.dim(0);
    let matrix = reshaped(&rows, vec![count.clone(), 8usize.into(), 8usize.into()]);
    let known = reshaped(&start, vec![count.clone(), 8usize.into(), 1usize.into()]);
    let solution = ops::solve(&matrix, &known);
    Ok(reshaped(solution.check()?, vec![count, 8usize.into()]))
}

/// What is seen where the image has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outside {
    /// A value.
    Constant(f64),
    /// The nearest pixel.
    Nearest,
    /// The image from its other end.
    Wrap,
    /// The image mirrored, the edge included.
    Reflect,
}

impl Outside {
    /// From Keras's name.
    pub(crate) fn of(fill_mode: &str, fill_value: f64) -> Result<Outside> {
        match fill_mode {
            "constant" => Ok(Outside::Constant(fill_value)),
            "nearest" => Ok(Outside::Nearest),
            "wrap" => Ok(Outside::Wrap),
            "reflect" => Ok(Outside::Reflect),
            other => {
                let what = format!("the fill mode {other:?}");
                Err(Error::argument("affine_transform", what, "use constant, nearest, wrap or reflect"))
            }
        }
    }

    /// Where a coordinate along an axis of `length` pixels is found in the image, as TensorFlow has it: coordinates
    /// that are outside by less than a pixel already count as outside when the image is wrapped.
    fn inside(self, coordinate: &Tensor, length: &Tensor) -> Tensor {
        let last = length - 1.0;
        let found = match self {
            Outside::Constant(_) => return coordinate.clone(),
            Outside::Nearest => coordinate.clone(),
            Outside::Wrap => {
                let period = ops::maximum(&last, 1.0);
                let below = coordinate + length * (ops::floor(&(-coordinate / &period)) + 1.0);
                let above = coordinate - length * ops::floor(&(coordinate / &period));
                let above = ops::r#where(ops::greater(coordinate, &last), above, coordinate);
                ops::r#where(ops::less(coordinate, 0.0), below, above)
            }
            Outside::Reflect => {
                let period = length * 2.0;
                let shifted = coordinate + &period * ops::floor(&(-coordinate / &period));
                let far = ops::less(&shifted, -length);
                let below = ops::r#where(far, &shifted + &period, -&shifted - 1.0);
                let shifted = coordinate - &period * ops::floor(&(coordinate / &period));
                let above = ops::r#where(ops::greater_equal(&shifted, length), &period - &shifted - 1.0, &shifted);
                let above = ops::r#where(ops::greater(coordinate, &last), above, coordinate);
                ops::r#where(ops::less(coordinate, 0.0), below, above)
            }
        };
        ops::minimum(ops::maximum(found, 0.0), last)
    }
}

/// A batch of images, channels last, through the maps `(1, 8)` or `(batch, 8)`; see [`affine_transform`].
pub(crate) fn projected(images: &Tensor, transforms: &Tensor, interpolation: &str, outside: Outside) -> Result<Tensor> {
    let transforms = transforms.check()?.cast(DType::F32);
    if transforms.rank() != 2 || !transforms.dim(1).is(8) {
        let what = format!("the transforms are {}", transforms.ty());
        return Err(Error::shape("affine_transform", what, "give 8 numbers, or 8 for each image"));
    }
    let [batch, height, width] = [0, 1, 2].map(|axis| images.dim(axis));
    let plane = vec![height.clone(), width.clone()];
    let (x, y) = (iota(DType::F32, plane.clone(), 1), iota(DType::F32, plane, 0));
    let part = |k: usize| ops::expand_dims(&sliced(&transforms, 1, k, k + 1), -1);
    let depth = part(6) * &x + part(7) * &y + 1.0;
    let infinite = ops::equal(&depth, 0.0);
    let safe = ops::r#where(&infinite, 1.0, &depth);
    let (high, wide) = (size(&height, DType::F32), size(&width, DType::F32));
    let column = outside.inside(&((part(0) * &x + part(1) * &y + part(2)) / &safe), &wide);
    let row = outside.inside(&((part(3) * &x + part(4) * &y + part(5)) / &safe), &high);

    let read = |row: &Tensor, column: &Tensor| -> Tensor {
        let places = ops::stack(&[row.clone(), column.clone()], -1).cast(DType::I32);
        let places = if transforms.dim(0).is(1) && !batch.is(1) {
            let shape = vec![batch.clone(), height.clone(), width.clone(), 2usize.into()];
            let one = reshaped(&places, shape[1..].to_vec());
            Tensor::apply(BroadcastInDim { shape: shape.into(), axes: vec![1, 2, 3] }, &[&one])
        } else {
            places
        };
        let found = pixels(images, &places);
        let Outside::Constant(fill) = outside else { return found };
        let within =
            |at: &Tensor, length: &Tensor| ops::logical_and(ops::greater_equal(at, 0.0), ops::less(at, length));
        let within = ops::logical_and(within(row, &high), within(column, &wide));
        ops::r#where(ops::expand_dims(&within, -1), found, Tensor::from(fill).cast(images.dtype()))
    };
    let y = match interpolation {
        "nearest" => read(&half_away(&row), &half_away(&column)),
        "bilinear" => {
            let (top, left) = (ops::floor(&row), ops::floor(&column));
            let (bottom, right) = (&top + 1.0, &left + 1.0);
            let weight = |t: Tensor| ops::expand_dims(&t, -1);
            let (to_left, to_right) = (weight(&right - &column), weight(&column - &left));
            let line = |row: &Tensor| &to_left * read(row, &left) + &to_right * read(row, &right);
            weight(&bottom - &row) * line(&top) + weight(&row - &top) * line(&bottom)
        }
        other => {
            let what = format!("the interpolation {other:?}");
            return Err(Error::argument("affine_transform", what, "use bilinear or nearest"));
        }
    };
    let fill = match outside {
        Outside::Constant(fill) => fill,
        _ => 0.0,
    };
    let y = ops::r#where(ops::expand_dims(&infinite, -1), fill, y);
    y.check().map(|y| y.cast(images.dtype()))
}

/// Rounded to the nearest whole number, halves away from zero.
fn half_away(x: &Tensor) -> Tensor {
    ops::sign(x) * ops::floor(&(ops::absolute(x) + 0.5))
}

/// The pixels of a batch of images, channels last, at `places` (row, column) `(batch, …, 2)`; the nearest ones to
/// places outside.
pub(super) fn pixels(images: &Tensor, places: &Tensor) -> Tensor {
    let last = places.rank() - 1;
    let gather = Gather {
        offset_axes: vec![last],
        collapsed_slice_axes: vec![1, 2],
        operand_batching_axes: vec![0],
        indices_batching_axes: vec![0],
        start_index_map: vec![1, 2],
        index_vector_axis: last,
        slice_sizes: vec![1usize.into(), 1usize.into(), 1usize.into(), images.dim(3)].into(),
    };
    Tensor::apply(gather, &[images, places])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Axes;

    #[test]
    fn what_cannot_be_projected_is_an_error() {
        let x = ops::zeros([1, 2, 2, 1], None);
        let identity = Tensor::new([8], vec![1.0f32, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
        let text = |y: Tensor| y.eval().unwrap_err().to_string();
        assert!(text(affine_transform(&x, &identity, "bicubic", "wrap", 0, None)).contains("bicubic"));
        assert!(text(affine_transform(&x, &identity, "nearest", "mirror", 0, None)).contains("mirror"));
        assert!(text(affine_transform(&x, &ops::ones([7], None), "nearest", "wrap", 0, None)).contains("8 numbers"));
        let points = ops::ones([3, 2], None);
        assert!(text(perspective_transform(&x, &points, &points, "nearest", 0, None)).contains("four pairs"));
    }

    #[test]
    fn images_have_the_gradient_of_interpolation() {
        let x = Tensor::new([1, 2, 2, 1], vec![1.0f32, 2.0, 3.0, 4.0]);
        // A quarter of a pixel to the left.
        let shift = Tensor::new([8], vec![1.0f32, 0.0, 0.25, 0.0, 1.0, 0.0, 0.0, 0.0]);
        let sum =
            |x: &Tensor| ops::sum(&affine_transform(x, &shift, "bilinear", "constant", 0, None), Axes::All, false);
        let g = crate::grad(sum, &x).unwrap().to_vec::<f32>().unwrap();
        assert_eq!(g, [0.75, 1.0, 0.75, 1.0]);
    }
}
