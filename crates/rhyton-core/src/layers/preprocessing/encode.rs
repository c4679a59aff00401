//! How layers that give categories write them.

use rhyton_ir::{Array, DType, Dim, Shape, TensorType};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::ops;
use crate::tensor::Tensor;

/// The form of categories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputMode {
    /// Their numbers.
    Int,
    /// For each number a vector with 1 at its place.
    OneHot,
    /// For each example a vector with 1 at the places of its numbers.
    #[serde(alias = "binary")]
    MultiHot,
    /// For each example a vector with how often each number occurs.
    Count,
    /// Counts weighed by how rare the examples are that have the number: `count · ln(1 + examples / (1 + those with it))`.
    /// Only for lookups.
    #[serde(alias = "tf-idf")]
    TfIdf,
}

/// `indices` in the form `mode` with `depth` categories; numbers that are none of them count nowhere. Weights are for
/// counts.
pub(super) fn encode(
    indices: &Tensor,
    mode: OutputMode,
    depth: usize,
    dtype: DType,
    weights: Option<&Tensor>,
) -> Result<Tensor> {
    let indices =
        if indices.rank() == 0 && mode != OutputMode::Int { ops::reshape(indices, &[1]) } else { indices.clone() };
    let one_hot = |indices: &Tensor| {
        let numbers: Vec<i32> = (0..depth as i32).collect();
        let numbers = Tensor::from(Array::new([depth], numbers).cast(indices.dtype()));
        ops::equal(ops::expand_dims(indices, -1), &numbers).cast(dtype)
    };
    let examples = if indices.rank() > 1 { 1 } else { 0 };
    let encoded = match mode {
        OutputMode::Int => indices.cast(dtype),
        OutputMode::OneHot if indices.rank() > 1 && indices.dim(-1).is(1) => one_hot(&ops::squeeze(&indices, -1)),
        OutputMode::OneHot => one_hot(&indices),
        OutputMode::MultiHot => ops::max(&one_hot(&indices), examples, false),
        OutputMode::Count | OutputMode::TfIdf => {
            let counted = match weights {
                Some(weights) => one_hot(&indices) * ops::expand_dims(&weights.cast(dtype), -1),
                None => one_hot(&indices),
            };
            ops::sum(&counted, examples, false)
        }
    };
    encoded.check().cloned()
}

/// The type that [`encode_on_host`] gives for indices of `shape`.
pub(super) fn encoded_type(shape: &Shape, mode: OutputMode, depth: usize, dtype: DType) -> TensorType {
    if mode == OutputMode::Int {
        return TensorType::new(DType::I64, shape.clone());
    }
    let mut dims: Vec<Dim> = if shape.rank() == 0 { vec![Dim::Known(1)] } else { shape.to_vec() };
    match mode {
        OutputMode::OneHot if dims.len() > 1 && dims.last().is_some_and(|d| d.is(1)) => drop(dims.pop()),
        OutputMode::OneHot => {}
        _ => drop(dims.remove(usize::from(dims.len() > 1))),
    }
    dims.push(Dim::Known(depth));
    TensorType::new(dtype, Shape::from(dims))
}

/// [`encode`] of indices that are known: nothing as large as the product of indices and categories is made on the way.
pub(super) fn encode_on_host(
    indices: Vec<i64>,
    shape: &[usize],
    mode: OutputMode,
    depth: usize,
    dtype: DType,
) -> Array {
    if mode == OutputMode::Int {
        return Array::new(shape, indices);
    }
    let ty = encoded_type(&Shape::from(shape), mode, depth, dtype);
    let out_shape = ty.shape.known().expect("known sizes give known sizes");
    let mut out = vec![0.0f64; out_shape.iter().product()];
    // Rows of the result: one a number, or one for all numbers along the axis of an example.
    let (along, inner) = match (mode, shape) {
        (OutputMode::OneHot, _) | (_, []) => (1, 1),
        (_, [only]) => (*only, 1),
        (_, [_, along, inner @ ..]) => (*along, inner.iter().product::<usize>()),
    };
    for (i, &index) in indices.iter().enumerate() {
        let Some(index) = usize::try_from(index).ok().filter(|&index| index < depth) else { continue };
        let row = i / (along * inner) * inner + i % inner;
        let cell = &mut out[row * depth + index];
        *cell = if matches!(mode, OutputMode::Count | OutputMode::TfIdf) { *cell + 1.0 } else { 1.0 };
    }
    Array::new(out_shape, out).cast(dtype)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_on_the_host_is_encoding() {
        let indices: Vec<i64> = vec![0, 3, 2, 2, -1, i64::MAX, 1, 1, 2, 0, 0, 2];
        let modes = [OutputMode::OneHot, OutputMode::MultiHot, OutputMode::Count];
        for shape in [vec![12], vec![3, 4], vec![12, 1], vec![2, 3, 2], vec![3, 2, 1, 2]] {
            for mode in modes {
                let x = Tensor::from(Array::new(shape.clone(), indices.clone()));
                let expected = encode(&x, mode, 4, DType::F32, None).unwrap().eval().unwrap();
                assert_eq!(
                    encode_on_host(indices.clone(), &shape, mode, 4, DType::F32),
                    expected,
                    "{shape:?} {mode:?}"
                );
            }
        }
        let scalar = encode_on_host(vec![1], &[], OutputMode::Count, 3, DType::I64);
        assert_eq!((scalar.shape(), scalar.to_f64_vec()), (&[3][..], vec![0.0, 1.0, 0.0]));
        assert_eq!(encode_on_host(vec![1], &[], OutputMode::OneHot, 2, DType::I64).shape(), [1, 2]);
    }
}
