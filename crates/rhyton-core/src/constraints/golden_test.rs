//! Agreement of all constraints with Keras: configurations, names and values.

use rhyton_ir::DType;

use super::ConstraintRef;
use crate::tensor::Tensor;
use crate::testing::{Tolerance, array, assert_close, recorded};

#[test]
fn constraints_agree_with_keras() {
    for case in recorded("parts/constraints") {
        let object = &case["object"];
        let one: ConstraintRef = serde_json::from_value(object.clone()).unwrap_or_else(|e| panic!("{object}: {e}"));
        assert_eq!(serde_json::to_value(&one).unwrap(), *object);
        match case["alias"].as_str() {
            Some(alias) => {
                let named: ConstraintRef = alias.parse().unwrap_or_else(|e| panic!("{alias}: {e}"));
                assert_eq!(serde_json::to_value(&named).unwrap(), *object, "{alias}");
            }
            None => {
                let y = one.call(&Tensor::from(array(&case["x"]))).and_then(|y| y.eval());
                let y = y.unwrap_or_else(|e| panic!("{object}: {e}"));
                assert_close(&object.to_string(), &y, &array(&case["y"]), Tolerance::of(DType::F32));
            }
        }
    }
}

#[test]
fn unknown_constraints_are_refused() {
    assert!("max_norms".parse::<ConstraintRef>().is_err());
}
