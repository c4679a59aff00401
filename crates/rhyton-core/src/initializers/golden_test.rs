//! Agreement of all initializers with Keras: configurations, names, exact values, and moments of random ones.

use rhyton_ir::DType;
use serde_json::{Value, json};

use super::{Initializer, InitializerRef, VarianceScaling};
use crate::testing::{Tolerance, array, assert_close, recorded};

fn rebuilt(case: &Value) -> InitializerRef {
    let object = &case["object"];
    let mut given = object.clone();
    // What Keras takes but does not write.
    for (key, value) in case["extra"].as_object().into_iter().flatten() {
        given["config"][key] = value.clone();
    }
    let one: InitializerRef = serde_json::from_value(given).unwrap_or_else(|e| panic!("{object}: {e}"));
    assert_eq!(serde_json::to_value(&one).unwrap(), *object);
    one
}

#[test]
fn initializers_agree_with_keras() {
    let (mut exact, mut random, mut names) = (0, 0, 0);
    for case in recorded("parts/initializers") {
        let what = case["object"].to_string();
        let one = rebuilt(&case);
        if let Some(alias) = case["alias"].as_str() {
            let named: InitializerRef = alias.parse().unwrap_or_else(|e| panic!("{alias}: {e}"));
            assert_eq!(serde_json::to_value(&named).unwrap(), case["object"], "{alias}");
            names += 1;
            continue;
        }
        let shape: Vec<usize> = serde_json::from_value(case["shape"].clone()).unwrap();
        let value = one.call(&shape, DType::F32).and_then(|t| t.eval()).unwrap_or_else(|e| panic!("{what}: {e}"));
        if let Some(expected) = case.get("value") {
            // Sums of cosines cancel: what is left of 1 at a zero is compared with 1.
            assert_close(&what, &value, &array(expected), Tolerance { relative: 1e-5, scaled: 1e-6 });
            exact += 1;
            continue;
        }
        assert_eq!(value.shape(), shape);
        let values: Vec<f64> = (0..value.len()).map(|i| value.data().get_f64(i)).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let stddev = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        let number = |key: &str| case[key].as_f64().unwrap();
        // Five standard errors, of 1200 numbers or more against Keras's 20 times as many.
        let error = 5.0 * number("stddev") / n.sqrt();
        assert!((mean - number("mean")).abs() < error, "{what}: mean {mean}");
        assert!((stddev / number("stddev") - 1.0).abs() < 5.0 / n.sqrt(), "{what}: stddev {stddev}");
        let largest = values.iter().fold(0.0f64, |m, v| m.max((v - mean).abs()));
        assert!(largest < 1.25 * number("largest"), "{what}: largest {largest}");
        random += 1;
    }
    assert!(exact > 20 && random > 20 && names > 20);
}

#[test]
fn seeds_repeat_and_without_them_numbers_differ() {
    let draw = |one: &VarianceScaling| one.call(&[4], DType::F32).unwrap().to_vec::<f32>().unwrap();
    let seeded = VarianceScaling::new().seed(7);
    assert_eq!(draw(&seeded), draw(&seeded));
    assert_ne!(draw(&VarianceScaling::new()), draw(&VarianceScaling::new()));
}

#[test]
fn wrong_arguments_are_refused() {
    assert!(VarianceScaling::new().scale(0.0).call(&[2], DType::F32).is_err());
    assert!(VarianceScaling::new().input_axes([3]).output_axes([0]).call(&[2, 2], DType::F32).is_err());
    let wrong = json!({"class_name": "VarianceScaling", "config": {"mode": "fan_both"}});
    assert!(serde_json::from_value::<InitializerRef>(wrong).is_err());
}
