//! Agreement of all regularizers with Keras: configurations, names, penalties and gradients.

use super::{L1, Regularizer, RegularizerRef};
use crate::activations::golden_test::check;
use crate::tensor::Tensor;
use crate::testing::recorded;

#[test]
fn regularizers_agree_with_keras() {
    for case in recorded("parts/regularizers") {
        let object = &case["object"];
        let one: RegularizerRef = serde_json::from_value(object.clone()).unwrap_or_else(|e| panic!("{object}: {e}"));
        assert_eq!(serde_json::to_value(&one).unwrap(), *object);
        match case["alias"].as_str() {
            Some(alias) => {
                let named: RegularizerRef = alias.parse().unwrap_or_else(|e| panic!("{alias}: {e}"));
                assert_eq!(serde_json::to_value(&named).unwrap(), *object, "{alias}");
            }
            None => check(&case, &object.to_string(), |x| Tensor::from(one.call(x))),
        }
    }
}

#[test]
fn wrong_factors_and_names_are_refused() {
    assert!(L1::new(-1.0).call(&Tensor::from(1.0f32)).is_err());
    assert!(L1::new(f64::NAN).call(&Tensor::from(1.0f32)).is_err());
    assert!("l1_l2".parse::<RegularizerRef>().is_err());
    assert!(super::OrthogonalRegularizer::new().call(&Tensor::from(1.0f32)).is_err());
}
