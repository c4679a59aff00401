//! The modified Bessel function `i0`.

use crate::ops;
use crate::ops::class::{float_of, unary_operations};
use crate::tensor::Tensor;

unary_operations! { MODULE_NUMPY;
    /// The modified Bessel function of the first kind of order 0, `1/π ∫₀^π exp(x·cos t) dt`.
    i0 I0 |x| bessel_i0(&x.cast(float_of(x.dtype())));
}

/// Keras counts it among NumPy's functions.
const MODULE_NUMPY: &str = ops::numpy::MODULE;

// Coefficients of Chebyshev polynomials that interpolate exp(−x)·I₀(x) for x in [0, 8], in x/4 − 1, and √x·exp(−x)·I₀(x) for x
// from 8 on, in 16/x − 1. The values were computed in extended precision by the trapezoidal rule on the integral above; the
// relative error is below 3e-14.
const NEAR: &[f64] = &[
    0.33839763720473803,
    -0.3046826723431984,
    0.1716209015222088,
    -0.09490109704804763,
    0.049305284239670635,
    -0.023737414805899405,
    0.010546460394594902,
    -0.004324309995050482,
    0.0016394756169412024,
    -0.0005763755745384287,
    0.00018850288509560017,
    -5.754195010052923e-05,
    1.644844807024747e-05,
    -4.416738358044068e-06,
    1.1173875384664689e-06,
    -2.6707938485211326e-07,
    6.046994943353314e-08,
    -1.3000249317666059e-08,
    2.6598225656502378e-09,
    -5.189785863569056e-10,
    9.67566306418575e-11,
    -1.7267226264154788e-11,
    2.9536931517413694e-12,
    -4.846337745848023e-13,
    7.543581696444053e-14,
    -1.065194830171032e-14,
    3.6988486987866443e-16,
    7.037817263101521e-16,
    -1.2200308913893283e-15,
];
const FAR: &[f64] = &[
    0.4022452055070544,
    0.0033691164782557012,
    6.889758346912097e-05,
    2.8913705208338563e-06,
    2.048918587644019e-07,
    2.2666689897013603e-08,
    3.396231711320134e-09,
    4.940602347526101e-10,
    1.1888673017060917e-11,
    -3.1499158354117306e-11,
    -1.3216427952045251e-11,
    -1.794192813643685e-12,
    7.174840431923218e-13,
    3.852884195262742e-13,
    1.498559730412521e-14,
    -4.150725656901584e-14,
    -1.0086738207966708e-14,
    3.7988935668695576e-15,
    1.0764336282235213e-15,
    -3.547886622171696e-16,
    -1.1584935909132068e-15,
    1.68946982008176e-17,
    -9.557572125033955e-16,
];

fn bessel_i0(x: &Tensor) -> Tensor {
    let size = ops::absolute(x);
    let near = chebyshev(&(ops::minimum(&size, 8.0) / 4.0 - 1.0), NEAR);
    let large = ops::maximum(&size, 8.0);
    let far = chebyshev(&(16.0 / &large - 1.0), FAR) / ops::sqrt(&large);
    ops::exp(&size) * ops::r#where(ops::less(&size, 8.0), near, far)
}

/// `Σ cₖ·Tₖ(t)`, by Clenshaw's recurrence.
fn chebyshev(t: &Tensor, coefficients: &[f64]) -> Tensor {
    let (first, rest) = coefficients.split_first().expect("there are coefficients");
    let zero = ops::zeros_like(t);
    let (mut next, mut after) = (zero.clone(), zero);
    for &c in rest.iter().rev() {
        let this = t * 2.0 * &next - &after + c;
        after = std::mem::replace(&mut next, this);
    }
    t * next - after + *first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::gradients;
    use rhyton_ir::DType;

    #[test]
    fn values_and_slopes_are_those_of_bessel_functions() {
        // numpy.i0, and scipy.special.i1 for the slopes.
        let x = [0.0, 0.5, -3.0, 7.9, 8.1, 20.0];
        let values =
            [1.0, 1.0634833707413234, 4.880792585865024, 389.406283282158, 469.5006067101214, 43558282.559553534];
        let slopes =
            [0.0, 0.25789430539089625, -3.9533702174026075, 363.85394408450844, 439.4843089103585, 42454973.38512778];
        let t = Tensor::new([6], x.to_vec());
        assert_eq!(t.dtype(), DType::F64);
        let y = i0(&t);
        let found = gradients(&ops::sum(&y, ops::Axes::All, false), &[t]).unwrap();
        for (found, expected, tolerance) in [(&y, values, 1e-12), (&found[0], slopes, 1e-10)] {
            for (found, expected) in found.to_vec::<f64>().unwrap().iter().zip(expected) {
                assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{found} {expected}");
            }
        }
    }
}
