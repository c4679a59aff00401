//! Comparison of arrays within tolerances.

use rhyton_ir::{Array, DType};

/// How far values may be from what is expected: `relative · |expected| + scaled · max |expected|`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tolerance {
    /// In the element itself.
    pub(crate) relative: f64,
    /// In the scale of the data: for elements that are differences of larger numbers.
    pub(crate) scaled: f64,
}

impl Tolerance {
    /// What agreement means for a dtype: 1e-5 for `float32`, three units in the last place for smaller ones, equality for
    /// integers.
    pub(crate) fn of(dtype: DType) -> Tolerance {
        Tolerance::relative(match dtype {
            DType::F64 => 1e-10,
            DType::F32 => 1e-5,
            DType::F16 => 3e-3,
            DType::BF16 => 2.5e-2,
            _ => 0.0,
        })
    }

    /// The same tolerance for elements and scale.
    pub(crate) fn relative(tolerance: f64) -> Tolerance {
        Tolerance { relative: tolerance, scaled: tolerance }
    }
}

/// Asserts that the arrays have one shape and dtype and are close; names the worst element if not.
#[track_caller]
pub(crate) fn assert_close(what: &str, actual: &Array, expected: &Array, tolerance: Tolerance) {
    assert_eq!(actual.shape(), expected.shape(), "{what}: shapes");
    assert_eq!(actual.dtype(), expected.dtype(), "{what}: dtypes");
    let (a, e) = (actual.to_f64_vec(), expected.to_f64_vec());
    let scale = e.iter().filter(|v| v.is_finite()).fold(0.0f64, |m, v| m.max(v.abs()));
    let excess = |(a, e): (&f64, &f64)| {
        if a == e || (a.is_nan() && e.is_nan()) {
            return 0.0;
        }
        let far = (a - e).abs() / (tolerance.relative * e.abs() + tolerance.scaled * scale);
        if far.is_nan() { f64::INFINITY } else { far }
    };
    let worst = a.iter().zip(&e).map(excess).enumerate().max_by(|x, y| x.1.total_cmp(&y.1));
    let Some((index, excess)) = worst else { return };
    let ulp = |v: f64| (v.abs() * f64::from(f32::EPSILON)).max(f64::from(f32::MIN_POSITIVE));
    assert!(
        excess <= 1.0,
        "{what}: element {index} of {:?} is {} where {} was expected ({:.1} units in the last place of float32, {excess:.1} \
         times the tolerance)\n  actual   {a:?}\n  expected {e:?}",
        actual.shape(),
        a[index],
        e[index],
        (a[index] - e[index]).abs() / ulp(e[index]),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "element 1")]
    fn the_worst_element_is_named() {
        let array = |v: Vec<f32>| Array::new([3], v);
        let (a, e) = (array(vec![1.0, 2.0, 3.0]), array(vec![1.0, 2.1, 3.00001]));
        assert_close("x", &a, &e, Tolerance::relative(1e-3));
    }

    #[test]
    #[should_panic(expected = "element 0")]
    fn nan_is_close_only_to_nan() {
        let array = |v: f32| Array::new([1], vec![v]);
        assert_close("x", &array(f32::NAN), &array(f32::NAN), Tolerance::of(DType::F32));
        assert_close("x", &array(f32::NAN), &array(1.0), Tolerance::of(DType::F32));
    }
}
