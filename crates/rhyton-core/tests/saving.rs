//! Files: what is saved is what is loaded.

use rhyton_core::prelude::*;
use rhyton_core::random::set_random_seed;
use rhyton_core::saving::{LoadWeights, load_model};

fn data() -> Data {
    let x: Vec<f32> = (0..48).map(|i| (i as f32 * 0.37).sin()).collect();
    let y: Vec<f32> = (0..24).map(|i| (i as f32 * 0.11).cos()).collect();
    Data::new(Array::new([12, 4], x), Array::new([12, 2], y))
}

fn trained() -> Model {
    set_random_seed(11);
    let input = Input::new([4]).name("features");
    let hidden = Dense::new(5).activation(Activation::Tanh).call(&input);
    let normalized = BatchNormalization::new().call(&hidden);
    let model = Model::new(&input, Dense::new(2).call(&(&normalized + &hidden))).unwrap();
    model.compile(Adam::new(0.01), "mse", ["mae"]).unwrap();
    model.fit(&data(), Fit::new().epochs(2).shuffle(false).verbose(0)).unwrap();
    model
}

#[test]
fn a_saved_model_predicts_and_goes_on_training_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.keras");
    let model = trained();
    model.save(&path).unwrap();
    let loaded = load_model(&path).unwrap();
    assert_eq!(loaded.to_json(), model.to_json());
    let x = data().as_batch().x.single().unwrap().eval().unwrap();
    assert_eq!(loaded.predict(x.clone()).unwrap(), model.predict(x).unwrap());
    let go_on = |model: &Model| {
        let history = model.fit(&data(), Fit::new().epochs(2).shuffle(false).verbose(0)).unwrap();
        (history.get("loss"), model.get_weights().unwrap())
    };
    assert_eq!(go_on(&loaded), go_on(&model));
}

#[test]
fn an_optimizer_saved_before_its_first_step_starts_from_the_weights_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.keras");
    // Compiled before there are weights: the file has no slots, and this optimizer's start as copies of the weights.
    let model = Sequential::new().add(Dense::new(3)).add(Dense::new(2));
    model.compile_with(Compile::new(ScheduleFreeAdamW::new(0.1)).loss("mse")).unwrap();
    model.call(Tensor::new([1, 4], vec![0.5f32; 4])).eval().unwrap();
    assert!(!model.optimizer().unwrap().built());
    model.save(&path).unwrap();
    let loaded = load_model(&path).unwrap();
    assert!(loaded.optimizer().unwrap().built());
    let history = |model: &Model| model.fit(&data(), Fit::new().epochs(2).shuffle(false).verbose(0)).unwrap();
    assert_eq!(history(&loaded).get("loss"), history(&model).get("loss"));
}

#[test]
fn weights_alone_travel_between_models_of_one_architecture() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.weights.h5");
    let model = trained();
    model.save_weights(&path).unwrap();
    let other = trained();
    for weight in other.weights() {
        weight.assign(Array::zeros(weight.dtype(), weight.shape())).unwrap();
    }
    other.load_weights(&path).unwrap();
    assert_eq!(other.get_weights().unwrap(), model.get_weights().unwrap());
}

#[test]
fn weights_of_another_architecture_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.weights.h5");
    trained().save_weights(&path).unwrap();
    let other = Sequential::new().add(Input::new([4])).add(Dense::new(3));
    let before = other.get_weights().unwrap();
    let error = other.load_weights(&path).unwrap_err().to_string();
    assert!(error.contains("dense") && error.contains("m.weights.h5"), "{error}");
    assert_eq!(other.get_weights().unwrap(), before);
    assert!(!other.load_weights_with(&path, LoadWeights::new().skip_mismatch(true)).unwrap().is_empty());
}

/// Classes of a user's own.
mod own {
    use rhyton_core::prelude::*;
    use rhyton_core::saving::{Json, KerasObject};
    use rhyton_core::{keras_layer, keras_object};
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Scale {
        #[serde(skip)]
        pub base: Base,
        pub by: f64,
        pub initializer: InitializerRef,
    }
    keras_layer!(Scale);

    impl Layer for Scale {
        fn build(&self, inputs: &InputShapes) -> Result<()> {
            let shape = [inputs.features()?];
            self.base.add_weight("scale", shape).initializer(self.initializer.clone()).add().map(|_| ())
        }
        fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
            Ok((inputs.tensor()? * self.base.weight("scale")? * self.by).into())
        }
    }

    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Steps {
        pub size: f64,
    }
    keras_object!(Steps);

    impl Initializer for Steps {
        fn call(&self, shape: &[usize], dtype: DType) -> Result<Tensor> {
            let values = (0..shape.iter().product()).map(|i| i as f64 * self.size).collect::<Vec<_>>();
            Ok(Tensor::from(Array::new(shape, values).cast(dtype)))
        }
    }

    #[derive(Debug, Default, Serialize, Deserialize)]
    pub struct Gap {}
    keras_object!(Gap);

    impl Loss for Gap {
        fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
            Ok(ops::mean(&ops::absolute(&(y_true - y_pred)), -1, false))
        }
        fn name(&self) -> &str {
            "gap"
        }
    }

    /// Named like a class of Keras, and another one.
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    pub struct Mean {
        #[serde(skip)]
        base: MetricBase,
    }

    impl KerasObject for Mean {
        fn class_name(&self) -> &'static str {
            "Mean"
        }
        fn config(&self) -> Json {
            serde_json::json!({"name": Metric::name(self), "dtype": "float32"})
        }
    }

    impl Metric for Mean {
        fn base(&self) -> &MetricBase {
            &self.base
        }
        fn update_state(&self, _: &Tensor, y_pred: &Tensor, _: Option<&Tensor>) -> Result<()> {
            self.add_variable("mean", &[]).assign(ops::mean(y_pred, Axes::All, false))
        }
        fn result(&self) -> Result<Tensor> {
            Ok(self.add_variable("mean", &[]).value())
        }
    }
}

#[test]
fn custom_classes_are_saved_by_registered_names_and_found_when_added() {
    use own::{Gap, Mean, Scale, Steps};
    use rhyton_core::saving::{CustomObjects, LoadModel, load_model_with};

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.keras");
    let layer = Scale { by: 3.0, initializer: Steps { size: 0.5 }.into(), ..Scale::default() };
    let model = Sequential::new().add(Input::new([2])).add(layer);
    model.compile(SGD::new(0.1), Gap {}, [MetricRef::from(Mean::default())]).unwrap();
    let json = model.to_json();
    let saved = &json["config"]["layers"][1];
    assert_eq!(saved["registered_name"], "Custom>Scale");
    assert_eq!(saved["module"], serde_json::Value::Null);
    assert_eq!(saved["config"]["initializer"]["registered_name"], "Custom>Steps");
    assert_eq!(json["compile_config"]["loss"]["registered_name"], "Custom>Gap");
    assert_eq!(json["compile_config"]["metrics"][0]["registered_name"], "Custom>Mean");
    assert_eq!(json["compile_config"]["optimizer"]["registered_name"], serde_json::Value::Null);
    model.save(&path).unwrap();

    let mut custom = CustomObjects::new();
    let missing = |custom: &CustomObjects, class: &str, call: &str| {
        let error = load_model_with(&path, custom).err().unwrap().to_string();
        assert!(error.contains(&format!("Custom>{class}")) && error.contains(call), "{error}");
    };
    missing(&custom, "Scale", "CustomObjects::new().layer::<Scale>()");
    custom = custom.layer::<Scale>();
    missing(&custom, "Steps", "initializer::<Steps>()");
    custom = custom.initializer::<Steps>();
    missing(&custom, "Gap", "loss::<Gap>()");
    // Uncompiled, neither the loss nor the metric is looked for.
    let uncompiled = load_model_with(&path, LoadModel::from(&custom).compile(false)).unwrap();
    assert!(uncompiled.optimizer().is_none() && uncompiled.to_json().get("compile_config").is_none());
    assert_eq!(uncompiled.predict(Array::new([1, 2], vec![1.0f32, 2.0])).unwrap()[0].to_f64_vec(), [0.0, 3.0]);
    custom = custom.loss::<Gap>();
    missing(&custom, "Mean", "metric::<Mean>()");
    let loaded = load_model_with(&path, &custom.metric::<Mean>()).unwrap();
    assert_eq!(loaded.to_json(), json);
    assert_eq!(loaded.predict(Array::new([1, 2], vec![1.0f32, 2.0])).unwrap()[0].to_f64_vec(), [0.0, 3.0]);
}

#[test]
fn whether_a_stack_trains_is_said_by_its_layers_when_it_is_read() {
    // As Keras: a stack's own "trainable" is written and not read, and of models within a model only the weights are asked.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.keras");
    let trained = |frozen_first: bool, functional: bool| {
        let layers = [Dense::new(3).name("a"), Dense::new(3).name("b")];
        let base = if functional {
            let x = Input::new([3]);
            Model::new(&x, layers[1].call(layers[0].call(&x))).unwrap().named("base")
        } else {
            Sequential::new().named("base").add(Input::new([3])).add(layers[0].clone()).add(layers[1].clone())
        };
        let model = Sequential::new().add(Input::new([3])).add(base.clone()).add(Dense::new(2).name("top"));
        Layer::set_trainable(&base, false);
        Layer::set_trainable(&layers[0], !frozen_first);
        model.save(&path).unwrap();
        let loaded = load_model(&path).unwrap();
        let weights = loaded.trainable_weights();
        weights.iter().map(|w| w.path().rsplit('/').nth(1).unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(trained(true, false), ["top", "top"]);
    assert_eq!(trained(false, false), ["a", "a", "top", "top"]);
    assert_eq!(trained(false, true), ["a", "a", "top", "top"]);
}

#[test]
fn arrays_of_numpy_among_the_arguments_of_operations_are_read() {
    let x = Input::new([4]);
    let y = ops::take(&x.symbol(), Tensor::new([2], vec![2i32, 0]), Some(1));
    let json = Model::new(&x, &y).unwrap().to_json().to_string();
    assert!(json.contains("__tensor__"), "{json}");
    let numpy = serde_json::from_str(&json.replace("__tensor__", "__numpy__")).unwrap();
    let model = rhyton_core::saving::model_from_json(&numpy).unwrap();
    let y = model.predict(Array::new([1, 4], vec![1.0f32, 2.0, 3.0, 4.0])).unwrap();
    assert_eq!(y[0].to_f64_vec(), [3.0, 1.0]);
}
