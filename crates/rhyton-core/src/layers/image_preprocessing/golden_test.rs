//! Layers on images against Keras: `fixtures/image_layers/*.json`, made by `fixtures/make_image_layers.py`.
//!
//! Random numbers cannot be Keras's, so that a case holds the transformation that Keras drew, which is applied here;
//! how transformations are distributed, each layer's file tests.

use rhyton_ir::{DType, TensorType};
use serde_json::Value;

use super::ImageLayer;
use super::base::part;
use super::data::transformed;
use crate::dtype_policy::DTypePolicy;
use crate::layers::{Context, LayerRef, call_layer, unknown_dim};
use crate::model::{deserialize_layer, serialize_layer};
use crate::nest::{Args, Nest};
use crate::random::SeedGenerator;
use crate::tensor::Tensor;
use crate::testing::{Tolerance, assert_close, assert_same_json, recorded, recorded_nest};

/// Checks all cases of `fixtures/image_layers/<name>.json`: the configuration, what the recorded transformation and
/// inference give, and that training works compiled and with an unknown batch.
pub(super) fn check_image_layer(name: &str) {
    for (i, case) in recorded(&format!("image_layers/{name}")).iter().enumerate() {
        let at = format!("{name}.json, case {i} ({})", case["layer"]["config"]);
        let layer = deserialize_layer(&case["layer"]).unwrap_or_else(|e| panic!("{at}: {e}"));
        assert_same_json(&format!("{at}: configuration"), &serialize_layer(layer.as_ref()), &case["layer"]);
        let data = recorded_nest(&case["data"]);
        let image_layer = layer.as_image_layer().expect("these are layers on images");
        let after = transformed(image_layer, &data, &recorded_nest(&case["transformation"]));
        let after = after.unwrap_or_else(|e| panic!("{at}: {e}"));
        compare(&format!("{at}: transformed"), &after, &case["outputs"], case);
        if !case["inference"].is_null() {
            let untouched = call_layer(&layer, Args::new(data.clone()), &mut Context::new(false));
            let untouched = untouched.unwrap_or_else(|e| panic!("{at}: {e}"));
            compare(&format!("{at}: at inference"), &untouched, &case["inference"], case);
        }
        trained(&at, &layer, &data, &after);
        in_half(&at, &case["layer"], &data, &after);
    }
}

fn compare(at: &str, found: &Nest, expected: &Value, case: &Value) {
    let expected = recorded_nest(expected);
    let (found, expected) = (found.tensors(), expected.tensors());
    assert_eq!(found.len(), expected.len(), "{at}: the number of tensors");
    for (k, (found, expected)) in found.into_iter().zip(expected).enumerate() {
        let expected = expected.eval().unwrap();
        let usual = Tolerance::of(expected.dtype());
        let tolerance = match case["tolerance"].as_f64() {
            Some(given) if expected.dtype().is_float() => Tolerance::relative(given),
            _ => usual,
        };
        let found = found.eval().unwrap_or_else(|e| panic!("{at}: {e}"));
        assert_close(&format!("{at}, tensor {k}"), &found, &expected, tolerance);
    }
}

/// In training, compiled: the types of what Keras gives, also for a batch whose size is not known, and other numbers
/// each time.
fn trained(at: &str, layer: &LayerRef, data: &Nest, after: &Nest) {
    let inputs: Vec<Tensor> = data.tensors().into_iter().cloned().collect();
    let step = |tensors: &[Tensor]| {
        let mut tensors = tensors.iter();
        let data = data.map(&mut |_| Ok(tensors.next().expect("as many as before").clone()))?;
        let outputs = call_layer(layer, Args::new(data), &mut Context::new(true))?;
        Ok(outputs.tensors().into_iter().cloned().collect::<Vec<Tensor>>())
    };
    let program = crate::jit(step);
    let outputs = program.call(&inputs).unwrap_or_else(|e| panic!("{at}: compiled: {e}"));
    for (output, expected) in outputs.iter().zip(after.tensors()) {
        assert_eq!(output.ty(), expected.ty(), "{at}: the type of what is compiled");
        let values = output.to_vec::<f64>().unwrap_or_else(|e| panic!("{at}: compiled: {e}"));
        assert!(values.iter().all(|v| v.is_finite()), "{at}: compiled: {values:?}");
    }
    let images = match data {
        Nest::Dict(parts) => &parts["images"],
        images => images,
    };
    if images.single().unwrap().rank() != 4 {
        return;
    }
    let open: Vec<Tensor> = inputs
        .iter()
        .map(|t| {
            let mut shape = t.shape().clone();
            shape[0] = unknown_dim(0);
            Tensor::placeholder(TensorType::new(t.dtype(), shape))
        })
        .collect();
    let outputs = step(&open).unwrap_or_else(|e| panic!("{at}: with an unknown batch: {e}"));
    for (output, expected) in outputs.iter().zip(after.tensors()) {
        let same = output.dtype() == expected.dtype() && output.shape().compatible(expected.shape());
        assert!(same && output.shape()[1..] == expected.shape()[1..], "{at}: with an unknown batch: {}", output.ty());
    }
}

/// Under `mixed_bfloat16`, images of what Keras gives in `float32` are `bfloat16`, and finite.
fn in_half(at: &str, layer: &Value, data: &Nest, after: &Nest) {
    let layer = deserialize_layer(layer).unwrap();
    layer.base().set_policy(DTypePolicy::mixed(DType::BF16));
    let images = |nest: &Nest| match nest {
        Nest::Dict(parts) => parts["images"].single().unwrap().clone(),
        images => images.single().unwrap().clone(),
    };
    // Resized images stay float32 in Keras.
    if images(after).dtype() != DType::F32 || layer.class_name() == "CenterCrop" {
        return;
    }
    let after = call_layer(&layer, Args::new(data.clone()), &mut Context::new(true));
    let after = images(&after.unwrap_or_else(|e| panic!("{at}: in bfloat16: {e}")));
    assert_eq!(after.dtype(), DType::BF16, "{at}: in bfloat16");
    let values = after.to_vec::<f64>().unwrap_or_else(|e| panic!("{at}: in bfloat16: {e}"));
    assert!(values.iter().all(|v| v.is_finite()), "{at}: in bfloat16: {values:?}");
}

/// The part `key` of a transformation that `layer` draws (all of it if there is no key).
pub(super) fn drawn(layer: &dyn ImageLayer, images: &Tensor, key: &str) -> Vec<f64> {
    let seed = SeedGenerator::new(Some(layer.seed().map_or(0, |seed| seed as u64)));
    let transformation = layer.get_random_transformation(images, &seed).unwrap();
    let found = if key.is_empty() { transformation.single().unwrap() } else { part(&transformation, key).unwrap() };
    found.to_vec().unwrap()
}

/// Asserts that many numbers are uniform between two.
pub(super) fn assert_uniform(values: &[f64], low: f64, high: f64) {
    let (count, width) = (values.len() as f64, high - low);
    let slack = 1e-6 * width;
    assert!(values.iter().all(|v| (low - slack..=high + slack).contains(v)), "{values:?}");
    // Five standard errors; and of some hundreds of numbers, one lies within 5 % of either end.
    let mean = values.iter().sum::<f64>() / count;
    assert!((mean - (low + high) / 2.0).abs() < 5.0 * width / (12.0 * count).sqrt(), "the mean is {mean}");
    let (least, most) = values.iter().fold((f64::MAX, f64::MIN), |(l, m), v| (l.min(*v), m.max(*v)));
    assert!(least < low + 0.05 * width && most > high - 0.05 * width, "from {least} to {most}");
}

/// Configurations that Keras refuses are refused when the layer is built.
#[test]
fn wrong_arguments_are_refused() {
    use super::*;
    use crate::layers::Call;
    use crate::ops;

    let x = ops::zeros([1, 4, 4, 3], None);
    let message = |y: Tensor| y.eval().unwrap_err().to_string();
    assert!(message(RandomContrast::new((-3.0, -2.0)).call(&x)).contains("from 0 to 1"));
    assert!(message(RandomZoom::new(-1.0).call(&x)).contains("above -1"));
    assert!(message(RandomTranslation::new(0.5, 1.5).call(&x)).contains("width_factor"));
    assert!(message(RandomShear::new().x_factor(-0.5).call(&x)).contains("x_factor"));
    assert!(message(RandomPerspective::new().scale(2.0).call(&x)).contains("scale"));
    assert!(message(RandomPosterization::new(9).call(&x)).contains("from 1 to 8"));
    assert!(message(Solarization::new().addition_factor(2.0).call(&x)).contains("addition_factor"));
    assert!(message(RandomGrayscale::new().factor(1.5).call(&x)).contains("probability"));
    assert!(message(RandomErasing::new().fill_value([1.0, 2.0]).call(&x)).contains("three"));
    assert!(message(MixUp::new().alpha(0.0).call(&x)).contains("positive"));
    assert!(message(AugMix::new().num_chains(0).call(&x)).contains("chain"));
    assert!(message(RandomCrop::new(0, 2).call(&x)).contains("at least 1"));
    assert!(message(RandomFlip::new().call(ops::zeros([2, 2], None))).contains("batch of images"));
    assert!(message(RandomHue::new(0.1).call(ops::zeros([1, 2, 2, 1], None))).contains("3 channels"));
}

/// The default of `training` is true, as in Keras, unless an outer call says otherwise.
#[test]
fn a_call_that_does_not_say_trains() {
    use super::RandomBrightness;
    use crate::layers::{Call, Input};
    use crate::model::Model;
    use crate::ops;

    let x = ops::zeros([2, 2, 2, 1], None);
    let layer = RandomBrightness::new((0.5, 0.5)).value_range((0.0, 1.0));
    let first = |y: Tensor| y.to_vec::<f32>().unwrap()[0];
    let said = |training: bool| Args::new(&x).with("training", Value::from(training));
    assert_eq!(first(layer.call(&x)), 0.5);
    assert_eq!(first(layer.call(said(true))), 0.5);
    assert_eq!(first(layer.call(said(false))), 0.0);
    let input = Input::new([2, 2, 1]).symbol();
    let model = Model::new(&input, layer.call(&input)).unwrap();
    assert_eq!(first(model.call(&x)), 0.5);
    assert_eq!(first(model.call(said(false))), 0.0);
    assert_eq!(model.predict(&x).unwrap()[0].to_f64_vec()[0], 0.0);
}

/// Height and width need not be known where nothing depends on them but places.
#[test]
fn images_may_be_of_unknown_size() {
    use super::*;
    use crate::layers::LayerObject;

    let layers: Vec<LayerRef> = vec![
        RandomFlip::new().share(),
        RandomRotation::new(0.1).share(),
        RandomZoom::new(0.2).share(),
        RandomTranslation::new(0.1, 0.1).share(),
        RandomShear::new().x_factor(0.2).share(),
        RandomPerspective::new().share(),
        RandomColorJitter::new().brightness_factor(0.2).hue_factor(0.1).share(),
        RandomErasing::new().share(),
        CutMix::new().share(),
        RandAugment::new().share(),
    ];
    let open: Vec<_> = [0, 1, 2].map(unknown_dim).into_iter().chain([3usize.into()]).collect();
    let images = Tensor::placeholder(TensorType::new(DType::F32, open));
    for layer in layers {
        let y = call_layer(&layer, Args::new(&images), &mut Context::new(true));
        let y = y.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(y.single().unwrap().ty(), images.ty(), "{}", layer.class_name());
    }
    let message =
        |layer: LayerRef| call_layer(&layer, Args::new(&images), &mut Context::new(true)).unwrap_err().to_string();
    assert!(message(RandomCrop::new(2, 2).share()).contains("known"));
    assert!(message(RandomElasticTransform::new().share()).contains("known"));
}

/// What cannot be done to boxes says so.
#[test]
fn boxes_need_a_format_and_a_layer_that_moves_them() {
    use super::{CutMix, RandomFlip};
    use crate::bounding_boxes::BoxFormat;
    use crate::layers::LayerObject;
    use crate::ops;

    let boxes = Nest::Dict(
        [
            ("boxes".to_owned(), ops::zeros([1, 2, 4], None).into()),
            ("labels".to_owned(), ops::zeros([1, 2], None).into()),
        ]
        .into(),
    );
    let data = |boxes: Nest| {
        let images = ops::zeros([1, 2, 2, 1], None);
        Nest::Dict([("images".to_owned(), images.into()), ("bounding_boxes".to_owned(), boxes)].into())
    };
    let message = |layer: LayerRef, data: Nest| {
        call_layer(&layer, Args::new(data), &mut Context::new(true)).unwrap_err().to_string()
    };
    assert!(message(RandomFlip::new().share(), data(boxes.clone())).contains("bounding_box_format"));
    let flip = || RandomFlip::new().bounding_box_format(BoxFormat::Xyxy).share();
    assert!(message(flip(), data(Nest::none())).contains("\"labels\""));
    assert!(message(CutMix::new().bounding_box_format(BoxFormat::Xyxy).share(), data(boxes)).contains("boxes"));
    assert!(message(flip(), Nest::Dict(Default::default())).contains("no images"));
}
