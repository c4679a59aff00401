//! Agreement of all activations with Keras: names, values and gradients, away from kinks and at them.

use rhyton_ir::Array;
use serde_json::Value;

use super::{Activation, relu_with};
use crate::ops::{self, Axes};
use crate::tensor::{Tensor, grad};
use crate::testing::{Tolerance, array, assert_close, recorded};

/// Elements far from the largest one count, too.
const STRICT: Tolerance = Tolerance { relative: 1e-5, scaled: 1e-7 };

/// A gradient computed from the result, as tanh's `1 - y²`, inherits the result's last place, and so does Keras's: two
/// places of 1 apart at the most.
const GRADIENT: Tolerance = Tolerance { relative: 1e-5, scaled: 2.4e-7 };

/// Checks the values of `call` and the gradient of their scalar product with a fixed cotangent.
pub(crate) fn check(case: &Value, what: &str, call: impl Fn(&Tensor) -> Tensor) {
    let x = Tensor::from(array(&case["x"]));
    let y = call(&x).eval().unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_close(what, &y, &array(&case["y"]), STRICT);
    let count = y.shape().iter().product::<usize>();
    let cotangent: Vec<f32> = (0..count).map(|i| ((i * 7 % 11) as f32 - 5.0) / 4.0).collect();
    let cotangent = Tensor::from(Array::new(y.shape(), cotangent));
    let gradient = grad(|x| ops::sum(&(call(x) * cotangent), Axes::All, false), &x);
    let gradient = gradient.and_then(|g| g.eval()).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_close(&format!("gradient of {what}"), &gradient, &array(&case["gradient"]), GRADIENT);
}

#[test]
fn activations_agree_with_keras() {
    let mut seen = std::collections::BTreeSet::new();
    for case in recorded("parts/activations") {
        let name = case["name"].as_str().unwrap();
        let activation: Activation = name.parse().unwrap();
        seen.insert(activation.name());
        if let Some(written) = case.get("written") {
            assert_eq!(serde_json::to_value(activation).unwrap(), *written);
            assert_eq!(serde_json::from_value::<Activation>(written.clone()).unwrap(), activation);
        }
        check(&case, &format!("{name} at {}", case["x"]["values"]), |x| activation.call(x));
    }
    assert_eq!(seen.len(), Activation::ALL.len());
}

#[test]
fn rectifiers_with_arguments_agree_with_keras() {
    for case in recorded("parts/relu") {
        let number = |key: &str| case[key].as_f64();
        let (slope, threshold) = (number("negative_slope").unwrap(), number("threshold").unwrap());
        let what = format!("relu {slope} {:?} {threshold}", number("max_value"));
        check(&case, &what, |x| relu_with(x, slope, number("max_value"), threshold));
    }
}

#[test]
fn unknown_activations_are_refused_with_a_suggestion() {
    let error = "reluu".parse::<Activation>().unwrap_err();
    assert!(error.to_string().contains("relu"), "{error}");
    assert!("threshold".parse::<Activation>().is_err());
}
