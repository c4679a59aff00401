//! Functions of bounding boxes against Keras: `fixtures/bounding_boxes.json`, made by
//! `fixtures/make_bounding_boxes.py`.

use rhyton_ir::DType;
use serde_json::Value;

use super::*;
use crate::testing::{Tolerance, array, assert_close, recorded};

/// Cases are of images of height 9 and width 12.
fn called(case: &Value, t: &[Tensor]) -> Vec<Tensor> {
    let arguments = &case["arguments"];
    let size = ImageSize::from([9, 12]);
    let number = |key: &str| arguments[key].as_f64().unwrap();
    let format = |key: &str| BoxFormat::named(arguments[key].as_str().unwrap()).unwrap();
    let variance = || serde_json::from_value::<Option<[f64; 4]>>(arguments["variance"].clone()).unwrap();
    match case["function"].as_str().unwrap() {
        "convert_format" => vec![convert_format(&t[0], format("source"), format("target"), Some(&size), DType::F32)],
        "clip_to_image_size" => {
            let given = BoundingBoxes { boxes: t[0].clone(), labels: t[1].clone() };
            let clipped = clip_to_image_size(&given, Some(&size), format("bounding_box_format")).unwrap();
            vec![clipped.boxes, clipped.labels]
        }
        "crop" => vec![crop(&t[0], number("top"), number("left"), number("height"), number("width"))],
        "pad" => vec![pad(&t[0], number("top"), number("left"))],
        "affine_transform" => {
            let [angle, translate_x, translate_y, scale, shear_x, shear_y] =
                [1, 2, 3, 4, 5, 6].map(|i: usize| t[i].clone());
            let affine = Affine { angle, translate_x, translate_y, scale, shear_x, shear_y };
            let center: [f64; 2] = serde_json::from_value(arguments["center"].clone()).unwrap();
            vec![affine_transform(&t[0], &affine, &size, center)]
        }
        "compute_iou" => {
            let mask_val = arguments["mask_val"].as_f64();
            vec![compute_iou(&t[0], &t[1], format("bounding_box_format"), mask_val, Some(&size))]
        }
        "compute_ciou" => vec![compute_ciou(&t[0], &t[1], format("bounding_box_format"))],
        function => {
            let change = match function {
                "encode_box_to_deltas" => encode_box_to_deltas,
                "decode_deltas_to_boxes" => decode_deltas_to_boxes,
                other => panic!("there is no {other}"),
            };
            let formats = [format("anchor_format"), format("box_format"), format("encoding_format")];
            vec![change(&t[0], &t[1], formats[0], formats[1], formats[2], variance(), Some(&size))]
        }
    }
}

#[test]
fn functions_give_what_keras_gives() {
    for (i, case) in recorded("bounding_boxes").iter().enumerate() {
        let at = format!("case {i}, {} {}", case["function"], case["arguments"]);
        let arrays = |key: &str| case[key].as_array().unwrap().iter().map(array).collect::<Vec<_>>();
        let tensors: Vec<Tensor> = arrays("tensors").into_iter().map(Tensor::from).collect();
        let outputs = called(case, &tensors);
        let expected = arrays("outputs");
        assert_eq!(outputs.len(), expected.len(), "{at}");
        for (output, expected) in outputs.iter().zip(&expected) {
            let found = output.eval().unwrap_or_else(|e| panic!("{at}: {e}"));
            assert_close(&at, &found, expected, Tolerance::of(expected.dtype()));
        }
    }
}

#[test]
fn wrong_formats_are_refused() {
    let boxes = Tensor::new([1, 4], vec![0.0f32; 4]);
    let given = BoundingBoxes { boxes: boxes.clone(), labels: Tensor::new([1], vec![0i32]) };
    assert!(clip_to_image_size(&given, None, BoxFormat::Xyxy).is_err());
    assert!(clip_to_image_size(&given, None, BoxFormat::Xywh).is_err());
    let message = |t: Tensor| t.eval().unwrap_err().to_string();
    assert!(message(compute_ciou(&boxes, &boxes, BoxFormat::RelXyxy)).contains("pixels"));
    assert!(message(compute_iou(&Tensor::from(1.0f32), &boxes, BoxFormat::Xyxy, None, None)).contains("(boxes, 4)"));
    let encoded = encode_box_to_deltas(&boxes, &boxes, BoxFormat::Xyxy, BoxFormat::Xyxy, BoxFormat::Xyxy, None, None);
    assert!(message(encoded).contains("center_xywh"));
}
