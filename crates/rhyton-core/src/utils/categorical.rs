//! Labels as vectors, and vectors of length 1.

use rhyton_ir::{Array, DType};

use crate::error::{Error, Result};

/// Labels as vectors with 1 at their place, in `float64` as NumPy has it. There are as many classes as the largest label asks for
/// unless `num_classes` says otherwise. A last axis of size 1 goes away.
///
/// # Errors
/// If a label is no class.
///
/// # Examples
/// ```
/// use rhyton_core::{Array, utils};
///
/// let y = utils::to_categorical(&Array::new([2], vec![2i32, 0]), None)?;
/// assert_eq!((y.shape(), y.to_f64_vec()), (&[2, 3][..], vec![0.0, 0.0, 1.0, 1.0, 0.0, 0.0]));
/// # Ok::<(), rhyton_core::Error>(())
/// ```
pub fn to_categorical(x: &Array, num_classes: Option<usize>) -> Result<Array> {
    let labels = x.cast(DType::I64);
    let labels = labels.as_slice::<i64>().unwrap_or_default();
    let largest = labels.iter().copied().max().unwrap_or(-1);
    let classes = num_classes.filter(|&n| n > 0).unwrap_or((largest + 1).max(0) as usize);
    let mut shape = x.shape().to_vec();
    if shape.len() > 1 && shape.last() == Some(&1) {
        shape.pop();
    }
    shape.push(classes);
    let mut rows = vec![0.0f64; labels.len() * classes];
    for (row, &label) in labels.iter().enumerate() {
        // NumPy counts negative ones from the end.
        let class = if label < 0 { label + classes as i64 } else { label };
        let class = usize::try_from(class).ok().filter(|&c| c < classes).ok_or_else(|| {
            let what = format!("the label {label} is none of {classes} classes");
            Error::argument("to_categorical", what, "number the classes from 0, or give num_classes")
        })?;
        rows[row * classes + class] = 1.0;
    }
    Ok(Array::new(shape, rows))
}

/// `x` divided by its norm of `order` along `axis`, where that is not 0; whole numbers as `float64`.
///
/// # Errors
/// If there is no such axis.
pub fn normalize(x: &Array, axis: i64, order: f64) -> Result<Array> {
    let dtype = if x.dtype().is_float() { x.dtype() } else { DType::F64 };
    let axis = crate::ops::axis(axis, x.rank())?;
    let (size, inner) = (x.shape()[axis], x.shape()[axis + 1..].iter().product::<usize>());
    let mut values = x.to_f64_vec();
    for start in (0..values.len()).filter(|i| (i / inner.max(1)).is_multiple_of(size.max(1))) {
        let along = |k: usize| start + k * inner;
        let norm = norm((0..size).map(|k| values[along(k)].abs()), order);
        if norm != 0.0 {
            (0..size).for_each(|k| values[along(k)] /= norm);
        }
    }
    Ok(Array::new(x.shape(), values).cast(dtype))
}

/// NumPy's norm of a vector, of whose elements these are the absolute values.
fn norm(values: impl Iterator<Item = f64>, order: f64) -> f64 {
    match order {
        f64::INFINITY => values.fold(0.0, f64::max),
        f64::NEG_INFINITY => values.fold(f64::INFINITY, f64::min),
        0.0 => values.filter(|&v| v != 0.0).count() as f64,
        1.0 => values.sum(),
        2.0 => values.map(|v| v * v).sum::<f64>().sqrt(),
        order => values.map(|v| v.powf(order)).sum::<f64>().powf(1.0 / order),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_as_in_keras() {
        // keras.utils.to_categorical, Keras 3.15.1.
        let y = to_categorical(&Array::new([2, 2, 1], vec![0i32, 1, 3, -1]), Some(4)).unwrap();
        assert_eq!(y.shape(), [2, 2, 4]);
        let expected = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1].map(f64::from);
        assert_eq!((y.dtype(), y.to_f64_vec()), (DType::F64, expected.to_vec()));
        assert!(to_categorical(&Array::new([1], vec![4i32]), Some(4)).unwrap_err().to_string().contains("label 4"));
    }

    #[test]
    fn norms_are_as_in_keras() {
        // keras.utils.normalize(np.array([[3, 4], [0, 0], [-6, 8]]), axis, order), Keras 3.15.1.
        let x = Array::new([3, 2], vec![3i32, 4, 0, 0, -6, 8]);
        assert_eq!(normalize(&x, -1, 2.0).unwrap().to_f64_vec(), [0.6, 0.8, 0.0, 0.0, -0.6, 0.8]);
        let columns = normalize(&x, 0, 1.0).unwrap().to_f64_vec();
        for (y, expected) in columns.iter().zip([1.0 / 3.0, 1.0 / 3.0, 0.0, 0.0, -2.0 / 3.0, 2.0 / 3.0]) {
            assert!((y - expected).abs() < 1e-15);
        }
        assert_eq!(normalize(&x, 1, f64::INFINITY).unwrap().to_f64_vec(), [0.75, 1.0, 0.0, 0.0, -0.75, 1.0]);
    }
}
