//! Agreement of all losses with Keras: configurations, values, gradients, eager and compiled.

use rhyton_ir::{Array, DType};
use serde_json::Value;

use super::LossRef;
use crate::jit;
use crate::ops::{self, Axes};
use crate::tensor::{Tensor, gradients};
use crate::testing::{Tolerance, array, assert_close, recorded};

/// The object with what Keras takes but does not write.
fn with_extra(case: &Value) -> Value {
    let mut object = case["object"].clone();
    for (key, value) in case["extra"].as_object().into_iter().flatten() {
        object["config"][key] = value.clone();
    }
    object
}

/// The fixed cotangent of an output: element `i` is `((7i mod 11) − 5) / 4`; 1 of a scalar.
fn cotangent(shape: &[usize]) -> Tensor {
    let count = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..count).map(|i| ((i * 7 % 11) as f32 - 5.0) / 4.0).collect();
    if shape.is_empty() { Tensor::from(1.0f32) } else { Array::new(shape, values).into() }
}

fn check(name: &str) {
    for (i, case) in recorded(&format!("losses/{name}")).iter().enumerate() {
        let what = format!("{name} {i}: {}", case["object"]);
        let loss = LossRef::from_json(&with_extra(case)).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(loss.to_json(), case["object"], "{what}");
        assert_eq!(loss.name(), case["name"], "{what}");
        let given = |key: &str| case.get(key).map(|v| Tensor::from(array(v)));
        let (t, p) = (given("y_true").unwrap(), given("y_pred").unwrap());
        let (weight, mask) = (given("sample_weight"), given("mask"));
        let compute = |t: &Tensor, p: &Tensor| loss.compute(t, &p.with_mask(mask.clone()), weight.as_ref());
        let value = compute(&t, &p).unwrap_or_else(|e| panic!("{what}: {e}"));
        let expected = array(&case["value"]);
        assert_close(&what, &value.eval().unwrap(), &expected, Tolerance::of(DType::F32));
        let step = jit(|args| {
            let value = compute(&args[0], &args[1])?;
            let total = ops::sum(&(&value * cotangent(expected.shape())), Axes::All, false);
            let gradient = gradients(&total, &args[1..])?.swap_remove(0);
            Ok(vec![value, gradient])
        });
        let results = step.call(&[t, p]).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_close(&what, &results[0].eval().unwrap(), &expected, Tolerance::of(DType::F32));
        assert_close(&what, &results[1].eval().unwrap(), &array(&case["gradient"]), Tolerance::of(DType::F32));
    }
}

#[test]
fn losses_of_regression_agree_with_keras() {
    check("regression");
}

#[test]
fn losses_of_classification_agree_with_keras() {
    check("classification");
}

#[test]
fn losses_of_embeddings_and_overlap_agree_with_keras() {
    check("embedding_and_overlap");
}

#[test]
fn connectionist_temporal_classification_agrees_with_keras() {
    check("ctc");
}

#[test]
fn unknown_names_and_arguments_are_refused() {
    for name in ["l1", "huber_loss", "categorical_generalized_cross_entropy", "Loss", "accuracy"] {
        assert!(name.parse::<LossRef>().is_err(), "{name}");
    }
    let wrong = serde_json::json!({"class_name": "Huber", "config": {"deltas": 1.0}});
    let error = LossRef::from_json(&wrong).unwrap_err();
    assert!(error.to_string().contains("deltas"), "{error}");
}

#[test]
fn shapes_that_do_not_fit_name_the_loss() {
    let loss = LossRef::from(super::MeanSquaredError::new());
    let error = loss.compute(&Tensor::new([2, 3], vec![0.0f32; 6]), &Tensor::new([2, 2], vec![0.0f32; 4]), None);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("mean_squared_error") && error.contains("[2,3]") && error.contains("[2,2]"), "{error}");
}
