//! Elements between those of a tensor: `map_coordinates` and `elastic_transform`.

use rhyton_ir::op::Gather;
use rhyton_ir::{DType, Dim};

use super::patches::{blurred, gaussian};
use super::projection::pixels;
use super::{MODULE, batched, data_format};
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::class::operations;
use crate::ops::primitives::{iota, size, sliced};
use crate::ops::{self, Number, apply};
use crate::random;
use crate::tensor::Tensor;

operations! { MODULE;
    MapCoordinates { order: usize, fill_mode: String, fill_value: Number } (inputs, coordinates) compute_map;
    ElasticTransform {
        alpha: f64,
        sigma: f64,
        interpolation: String,
        fill_mode: String,
        fill_value: f64,
        seed: Option<u64>,
        data_format: Option<String>
    } (images) compute_elastic;
}

/// The elements of `inputs` at `coordinates`, of which slice `i` along the first axis has the places along axis `i`:
/// the nearest (`order` 0), or linearly between neighbours (1). What lies outside is `"constant"` (Keras's default,
/// with the `fill_value` 0), `"nearest"`, `"wrap"`, `"mirror"` or `"reflect"`.
///
/// # Dtypes
/// That of the inputs; integers are rounded.
#[track_caller]
pub fn map_coordinates(
    inputs: &Tensor,
    coordinates: &Tensor,
    order: usize,
    fill_mode: &str,
    fill_value: impl Into<Number>,
) -> Tensor {
    let op = MapCoordinates { order, fill_mode: fill_mode.to_owned(), fill_value: fill_value.into() };
    apply(op, Args::new(inputs).and(coordinates))
}

fn compute_map(op: &MapCoordinates, inputs: Tensor, coordinates: Tensor) -> Result<Tensor> {
    let rank = inputs.rank();
    if coordinates.rank() < 2 || !coordinates.dim(0).is(rank) {
        let what = format!("the coordinates {} for {}", coordinates.ty(), inputs.ty());
        return Err(Error::shape("map_coordinates", what, "give one slice of at least rank 1 for each axis"));
    }
    let fill = Fill::of(&op.fill_mode)?;
    let along = |axis: usize| {
        let places = ops::squeeze(&sliced(&coordinates, 0, axis, axis + 1), 0);
        neighbours(&places, &inputs.shape()[axis], op.order, fill)
    };
    let neighbours = (0..rank).map(along).collect::<Result<Vec<_>>>()?;
    let read = |indices: &[Tensor]| {
        let indices = ops::stack(indices, -1).cast(DType::I32);
        let gather = Gather {
            offset_axes: vec![],
            collapsed_slice_axes: (0..rank).collect(),
            operand_batching_axes: vec![],
            indices_batching_axes: vec![],
            start_index_map: (0..rank).collect(),
            index_vector_axis: indices.rank() - 1,
            slice_sizes: vec![1usize; rank].into(),
        };
        Tensor::apply(gather, &[&inputs, &indices])
    };
    between(&neighbours, op.fill_value.value(), inputs.dtype(), &read)
}

/// What lies outside of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fill {
    Constant,
    Nearest,
    Wrap,
    Mirror,
    Reflect,
}

impl Fill {
    fn of(fill_mode: &str) -> Result<Fill> {
        Ok(match fill_mode {
            "constant" => Fill::Constant,
            "nearest" => Fill::Nearest,
            "wrap" => Fill::Wrap,
            "mirror" => Fill::Mirror,
            "reflect" => Fill::Reflect,
            other => {
                let what = format!("the fill mode {other:?}");
                let fix = "use constant, nearest, wrap, mirror or reflect";
                return Err(Error::argument("map_coordinates", what, fix));
            }
        })
    }

    /// The index in the tensor for one along an axis of `length`, and whether there is one; as Keras has it, for which
    /// index −1 mirrors to 1 in both modes.
    fn inside(self, index: &Tensor, length: &Tensor) -> (Tensor, Option<Tensor>) {
        match self {
            Fill::Constant => {
                (index.clone(), Some(ops::logical_and(ops::greater_equal(index, 0.0), ops::less(index, length))))
            }
            // Gathering takes the nearest element for a place outside.
            Fill::Nearest => (index.clone(), None),
            Fill::Wrap => (ops::r#mod(index, length), None),
            Fill::Mirror | Fill::Reflect => {
                let within = ops::r#mod(ops::absolute(index), length * 2.0);
                let back = length * 2.0 - &within - f64::from(u8::from(self == Fill::Reflect));
                (ops::r#where(ops::less(&within, length), &within, back), None)
            }
        }
    }
}

/// An element that a coordinate lies at or beside: its index (a whole `float32` or `float64`), whether it is there (if
/// it may not be), and its share.
struct Neighbour {
    index: Tensor,
    there: Option<Tensor>,
    weight: Option<Tensor>,
}

/// The neighbours of coordinates along an axis of `length`.
fn neighbours(coordinate: &Tensor, length: &Dim, order: usize, fill: Fill) -> Result<Vec<Neighbour>> {
    let dtype = if coordinate.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
    let (coordinate, length) = (coordinate.cast(dtype), size(length, dtype));
    let neighbour = |index: Tensor, weight: Option<Tensor>| {
        let (index, there) = fill.inside(&index, &length);
        Neighbour { index, there, weight }
    };
    match order {
        0 => Ok(vec![neighbour(ops::round(&coordinate, 0), None)]),
        1 => {
            let lower = ops::floor(&coordinate);
            let share = &coordinate - &lower;
            Ok(vec![neighbour(lower.clone(), Some(1.0 - &share)), neighbour(lower + 1.0, Some(share))])
        }
        _ => Err(Error::unsupported("map_coordinates", format!("the order {order}"), "use 0 or 1")),
    }
}

/// The sum over all combinations of neighbours, one an axis, of what `read` finds there times their shares.
fn between(axes: &[Vec<Neighbour>], fill: f64, dtype: DType, read: &dyn Fn(&[Tensor]) -> Tensor) -> Result<Tensor> {
    let combinations = axes.iter().fold(vec![vec![]], |all: Vec<Vec<&Neighbour>>, axis| {
        let with = |n: &Vec<_>| axis.iter().map(|a| n.iter().copied().chain([a]).collect()).collect::<Vec<Vec<_>>>();
        all.iter().flat_map(with).collect()
    });
    let float = if dtype == DType::F64 { DType::F64 } else { DType::F32 };
    let part = |combination: &Vec<&Neighbour>| {
        let indices: Vec<Tensor> = combination.iter().map(|n| n.index.clone()).collect();
        let mut found = read(&indices).cast(float);
        // Channels that come along have an axis of their own behind those of the indices.
        let fitted = |t: Tensor| if found.rank() > t.rank() { ops::expand_dims(&t, -1) } else { t };
        let there = combination.iter().filter_map(|n| n.there.clone()).reduce(|a, b| ops::logical_and(a, b));
        let weight = combination.iter().filter_map(|n| n.weight.clone()).reduce(|a, b| a * b);
        let (there, weight) = (there.map(fitted), weight.map(fitted));
        if let Some(there) = there {
            found = ops::r#where(there, found, fill);
        }
        weight.map_or(found.clone(), |weight| weight.cast(float) * found)
    };
    let sum = combinations.iter().map(part).reduce(|a, b| a + b);
    let sum = sum.ok_or_else(|| Error::shape("map_coordinates", "the input is a scalar", "give a tensor with axes"))?;
    let sum = if dtype.is_float() { sum } else { ops::round(&sum, 0) };
    sum.check().map(|sum| sum.cast(dtype))
}

/// Images whose pixels are moved by `alpha` times a smooth random field: normal noise of deviation `sigma`, blurred by
/// a normal distribution of the same deviation. Keras's defaults are 20, 5, `"bilinear"`, `"reflect"` and 0.
///
/// As in Keras, one field moves the rows and the columns. Without a seed it is another one each time the operation is
/// built; a compiled function that is to draw anew uses `RandomElasticTransform`.
#[track_caller]
#[expect(clippy::too_many_arguments, reason = "these are Keras's")]
pub fn elastic_transform(
    images: &Tensor,
    alpha: f64,
    sigma: f64,
    interpolation: &str,
    fill_mode: &str,
    fill_value: f64,
    seed: Option<u64>,
    data_format: Option<&str>,
) -> Tensor {
    let op = ElasticTransform {
        alpha,
        sigma,
        interpolation: interpolation.to_owned(),
        fill_mode: fill_mode.to_owned(),
        fill_value,
        seed,
        data_format: self::data_format(data_format),
    };
    apply(op, Args::new(images))
}

fn compute_elastic(op: &ElasticTransform, images: Tensor) -> Result<Tensor> {
    batched("elastic_transform", &images, op.data_format.as_deref(), |images| {
        let seed = op.seed.unwrap_or_else(random::next_seed);
        let noise = random::normal(images.shape()[..3].to_vec(), 0.0, 1.0, DType::F32, seed)?;
        let field = Field { noise, alpha: Tensor::from(op.alpha as f32), sigma: Tensor::from(op.sigma as f32) };
        moved(&images, &field, op.sigma, &op.interpolation, &op.fill_mode, op.fill_value)
    })
}

/// A random field that moves pixels: normal noise `(batch, height, width)`, how far it moves them, and how smooth it
/// is.
pub(crate) struct Field {
    pub(crate) noise: Tensor,
    pub(crate) alpha: Tensor,
    pub(crate) sigma: Tensor,
}

/// A batch of images, channels last, moved by a field whose `sigma` is at most `largest`; see [`elastic_transform`].
pub(crate) fn moved(
    images: &Tensor,
    field: &Field,
    largest: f64,
    interpolation: &str,
    fill_mode: &str,
    fill_value: f64,
) -> Result<Tensor> {
    let order = match interpolation {
        "nearest" => 0,
        "bilinear" => 1,
        other => {
            let what = format!("the interpolation {other:?}");
            return Err(Error::argument("elastic_transform", what, "use bilinear or nearest"));
        }
    };
    let fill = Fill::of(fill_mode)?;
    if !images.check()?.dtype().is_float() || fill == Fill::Mirror || !(0.0..=1e4).contains(&largest) {
        let what = format!("{} with the fill mode {fill_mode:?} and sigma {largest}", images.ty());
        let fix = "give floats, constant, nearest, wrap or reflect, and a sigma from 0 to 10,000";
        return Err(Error::argument("elastic_transform", what, fix));
    }
    // The kernel is 6⌊sigma⌋ + 1 wide. Of a sigma that is computed only the largest value is known: the kernel has room
    // for that, and is 0 beyond its own width.
    let sigma = field.sigma.cast(DType::F32);
    let radius = ops::floor(&sigma) * 3.0;
    let width = 6 * (largest.floor() as usize) + 1;
    let kernel = gaussian([width, width], [&sigma, &sigma], Some(&radius));
    let noise = ops::expand_dims(&(&field.noise * &sigma), -1);
    let shift = ops::squeeze(&blurred(&noise, &kernel)?, -1) * field.alpha.cast(DType::F32);
    let along = |axis: usize| {
        let shape = images.shape()[..3].to_vec();
        neighbours(&(iota(DType::F32, shape, axis) + &shift), &images.shape()[axis], order, fill)
    };
    let read = |indices: &[Tensor]| pixels(images, &ops::stack(indices, -1).cast(DType::I32));
    between(&[along(1)?, along(2)?], fill_value, images.dtype(), &read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_elastic_transform_moves_pixels_a_little() {
        let x = ops::reshape(&ops::arange(64, None, None, Some(DType::F32)), &[8, 8, 1]);
        let at = |seed| elastic_transform(&x, 1.0, 1.0, "bilinear", "nearest", 0.0, Some(seed), None);
        let (y, z) = (at(1).to_vec::<f32>().unwrap(), at(2).to_vec::<f32>().unwrap());
        assert_eq!(y, at(1).to_vec::<f32>().unwrap());
        assert_ne!(y, z);
        // Moved by d, a pixel inside changes by 9 d; the smooth field is hardly above 1 anywhere.
        let x = x.to_vec::<f32>().unwrap();
        assert!(x.iter().zip(&y).all(|(x, y)| (x - y).abs() < 18.0) && x != y);
        assert!(
            elastic_transform(&ops::zeros([2, 2], None), 1.0, 1.0, "bilinear", "wrap", 0.0, None, None).eval().is_err()
        );
    }

    #[test]
    fn orders_above_one_are_refused() {
        let error =
            map_coordinates(&ops::zeros([3], None), &ops::zeros([1, 2], None), 2, "wrap", 0).eval().unwrap_err();
        assert!(error.to_string().contains("order 2"), "{error}");
    }
}
