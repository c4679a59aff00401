//! Agreement of all metrics with Keras over several batches: configurations, results, variables, eager and compiled.

use rhyton_ir::DType;
use serde_json::{Value, json};

use super::{Direction, MetricRef};
use crate::jit;
use crate::naming::reset_names;
use crate::tensor::Tensor;
use crate::testing::{Tolerance, array, assert_close, recorded};

/// The object with what Keras takes but does not write.
fn with_extra(case: &Value) -> Value {
    let mut object = case["object"].clone();
    for (key, value) in case["extra"].as_object().into_iter().flatten() {
        object["config"][key] = value.clone();
    }
    object
}

fn make(case: &Value, what: &str) -> MetricRef {
    reset_names();
    MetricRef::from_json(&with_extra(case)).unwrap_or_else(|e| panic!("{what}: {e}"))
}

/// A batch as `[y_true, y_pred]` and what is not there in all of them.
fn batch(case: &Value) -> (Vec<Tensor>, Option<Tensor>, Option<Tensor>) {
    let given = |key: &str| case.get(key).map(|v| Tensor::from(array(v)));
    (vec![given("y_true").unwrap(), given("y_pred").unwrap()], given("sample_weight"), given("mask"))
}

fn check(name: &str) {
    for (i, case) in recorded(&format!("metrics/{name}")).iter().enumerate() {
        let what = format!("{name} {i}: {}", case["object"]);
        let metric = make(case, &what);
        assert_eq!(metric.to_json(), case["object"], "{what}");
        assert_eq!(metric.name(), case["name"], "{what}");
        let direction = match metric.direction() {
            Some(Direction::Up) => json!("up"),
            Some(Direction::Down) => json!("down"),
            None => Value::Null,
        };
        assert_eq!(direction, case["direction"], "{what}");
        let compiled = make(case, &what);
        for round in 0..2 {
            for (b, recorded) in case["batches"].as_array().unwrap().iter().enumerate() {
                let what = format!("{what}, batch {b}");
                let (args, weight, mask) = batch(recorded);
                let update = |metric: &MetricRef, args: &[Tensor]| {
                    metric.update_state(&args[0], &args[1].with_mask(mask.clone()), weight.as_ref())
                };
                update(&metric, &args).unwrap_or_else(|e| panic!("{what}: {e}"));
                let expected = array(&case["results"][b]);
                let result = metric.result().unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_close(&what, &result.eval().unwrap(), &expected, Tolerance::of(DType::F32));
                if round == 0 {
                    let step = jit(|args| {
                        update(&compiled, args)?;
                        Ok(vec![compiled.result()?])
                    });
                    let result = step.call(&args).unwrap_or_else(|e| panic!("{what}: {e}"));
                    assert_close(&what, &result[0].eval().unwrap(), &expected, Tolerance::of(DType::F32));
                }
            }
            for metric in [&metric, &compiled] {
                let variables = metric.variables();
                let expected = case["variables"].as_array().unwrap();
                let paths: Vec<&str> = variables.iter().map(|v| v.path()).collect();
                if case["object"].is_object() {
                    assert_eq!(
                        paths,
                        expected.iter().map(|v| v["path"].as_str().unwrap()).collect::<Vec<_>>(),
                        "{what}"
                    );
                }
                for (variable, expected) in variables.iter().zip(expected) {
                    let expected = array(expected);
                    assert_eq!(variable.dtype(), expected.dtype(), "{what}: {}", variable.path());
                    if round == 0 {
                        assert_close(&what, &variable.array().unwrap(), &expected, Tolerance::of(DType::F32));
                    }
                }
            }
            // The second round must not remember the first.
            metric.reset_state().unwrap();
        }
    }
}

#[test]
fn accuracies_agree_with_keras() {
    check("accuracies");
}

#[test]
fn metrics_of_regression_agree_with_keras() {
    check("regression");
}

#[test]
fn probabilistic_metrics_agree_with_keras() {
    check("probabilistic");
}

#[test]
fn confusion_metrics_agree_with_keras() {
    check("confusion");
}

#[test]
fn areas_under_curves_agree_with_keras() {
    check("auc");
}

#[test]
fn f_scores_agree_with_keras() {
    check("f_scores");
}

#[test]
fn intersections_over_unions_agree_with_keras() {
    check("iou");
}

#[test]
fn unknown_names_are_refused() {
    for name in ["acurracy", "huber", "mean_metric"] {
        assert!(name.parse::<MetricRef>().is_err(), "{name}");
    }
}

#[test]
fn arguments_out_of_range_are_refused() {
    let batch = Tensor::new([2, 1], vec![0.0f32, 1.0]);
    let wrong: [MetricRef; 6] = [
        super::Precision::new().thresholds(1.5).into(),
        super::AUC::new().num_thresholds(1).into(),
        super::Recall::new().top_k(3).into(),
        super::SensitivityAtSpecificity::new(-0.1).into(),
        super::F1Score::new().threshold(0.0).into(),
        super::Mean::new().into(),
    ];
    for metric in wrong {
        assert!(metric.update_state(&batch, &batch, None).is_err(), "{metric:?}");
    }
    let iou = super::IoU::new(2, [2]);
    super::Metric::update_state(&iou, &batch, &batch, None).unwrap();
    assert!(super::Metric::result(&iou).is_err());
}

#[test]
fn a_function_of_ones_own_is_a_metric() {
    let metric = super::custom("largest", |t, p| crate::ops::max(&crate::ops::absolute(&(t - p)), -1, false));
    let (t, p) = (Tensor::new([2, 2], vec![0.0f32; 4]), Tensor::new([2, 2], vec![1.0f32, -3.0, 0.5, 0.0]));
    metric.update_state(&t, &p, None).unwrap();
    assert_eq!(metric.result().unwrap().item().unwrap(), 1.75);
    assert_eq!(metric.results().unwrap().keys().collect::<Vec<_>>(), ["largest"]);
}

#[test]
fn a_metric_by_name_is_another_one_for_each_output() {
    let metric: MetricRef = "mae".parse().unwrap();
    let t = Tensor::new([2, 1], vec![0.0f32; 2]);
    let (one, other) = (metric.for_shapes(&t, &t).unwrap(), metric.for_shapes(&t, &t).unwrap());
    one.update_state(&t, &Tensor::new([2, 1], vec![1.0f32; 2]), None).unwrap();
    assert_eq!(one.result().unwrap().item().unwrap(), 1.0);
    assert_eq!(other.result().unwrap().item().unwrap(), 0.0);
    assert_eq!(one.name(), "mae");
}
