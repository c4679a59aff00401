//! `Orthogonal`: random matrices with orthonormal rows or columns.

use rhyton_ir::{Array, DType};
use serde::{Deserialize, Serialize};

use super::Initializer;
use crate::error::{Error, Result};
use crate::keras_object;
use crate::random;
use crate::tensor::Tensor;

/// `gain` times a random orthogonal matrix (Saxe et al., 2014): all axes but the last make the rows. If there are fewer
/// rows than columns, the rows are orthonormal, else the columns.
///
/// Without a seed, other numbers each time; with one, the same.
///
/// # Errors
/// If the shape has fewer than two axes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Orthogonal {
    seed: Option<u64>,
    gain: f64,
}
keras_object!(Orthogonal);

impl Default for Orthogonal {
    fn default() -> Orthogonal {
        Orthogonal { seed: None, gain: 1.0 }
    }
}

impl Orthogonal {
    /// With gain 1 and without a seed.
    pub fn new() -> Orthogonal {
        Orthogonal::default()
    }

    /// Multiplies the matrix; 1 unless said.
    pub fn gain(mut self, gain: f64) -> Orthogonal {
        self.gain = gain;
        self
    }

    /// Where the random numbers start.
    pub fn seed(mut self, seed: u64) -> Orthogonal {
        self.seed = Some(seed);
        self
    }
}

impl Initializer for Orthogonal {
    fn call(&self, shape: &[usize], dtype: DType) -> Result<Tensor> {
        let [rows @ .., columns] = shape else { return Err(too_flat(shape)) };
        if rows.is_empty() {
            return Err(too_flat(shape));
        }
        let (rows, columns) = (rows.iter().product::<usize>(), *columns);
        let (count, length) = (rows.min(columns), rows.max(columns));
        let seed = self.seed.unwrap_or_else(random::next_seed);
        let mut vectors = random::normal([count, length], 0.0, 1.0, DType::F32, seed)?.to_vec::<f64>()?;
        orthonormalise(&mut vectors, length);
        // `vectors` are the rows of the matrix, or its columns.
        let value = |i: usize| {
            let (row, column) = (i / columns.max(1), i % columns.max(1));
            self.gain * if rows < columns { vectors[i] } else { vectors[column * length + row] }
        };
        let values: Vec<f64> = (0..rows * columns).map(value).collect();
        Ok(Array::new(shape, values).cast(dtype).into())
    }
}

fn too_flat(shape: &[usize]) -> Error {
    Error::shape(
        "Orthogonal",
        format!("the shape {shape:?} has fewer than two axes"),
        "use it for matrices and kernels",
    )
}

/// Makes vectors of `length`, one after the other, orthonormal by Gram and Schmidt's method (modified, in `f64`): the
/// factor `q` of a QR decomposition whose `r` has a positive diagonal, which makes the result uniform over the orthogonal
/// matrices (Mezzadri, 2007).
fn orthonormalise(vectors: &mut [f64], length: usize) {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    for start in (0..vectors.len()).step_by(length.max(1)) {
        let (done, rest) = vectors.split_at_mut(start);
        let vector = &mut rest[..length];
        for earlier in done.chunks_exact(length) {
            let along = dot(earlier, vector);
            vector.iter_mut().zip(earlier).for_each(|(v, e)| *v -= along * e);
        }
        let norm = dot(vector, vector).sqrt();
        vector.iter_mut().for_each(|v| *v /= norm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_side_is_orthonormal() {
        for (shape, rows, columns) in
            [(vec![5, 3], 5, 3), (vec![3, 5], 3, 5), (vec![2, 2, 3], 4, 3), (vec![4, 4], 4, 4)]
        {
            let w = Orthogonal::new().gain(2.0).seed(3).call(&shape, DType::F64).unwrap().to_vec::<f64>().unwrap();
            let at = |r: usize, c: usize| w[r * columns + c];
            for i in 0..rows.min(columns) {
                for j in 0..rows.min(columns) {
                    let dot: f64 = if rows < columns {
                        (0..columns).map(|k| at(i, k) * at(j, k)).sum()
                    } else {
                        (0..rows).map(|k| at(k, i) * at(k, j)).sum()
                    };
                    let expected = if i == j { 4.0 } else { 0.0 };
                    assert!((dot - expected).abs() < 1e-6, "{shape:?} {i} {j}: {dot}");
                }
            }
        }
        assert!(Orthogonal::new().call(&[3], DType::F32).is_err());
        assert!(Orthogonal::new().call(&[0, 3], DType::F32).is_ok());
    }
}
