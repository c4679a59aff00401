//! Agreement of feature spaces with Keras.

use super::*;
use crate::layers::Call;
use crate::model::{deserialize_layer, serialize_layer};
use crate::prelude::Dense;
use crate::saving::load_model;
use crate::testing::{Tolerance, array, assert_close, recorded};

fn columns(value: &Value) -> IndexMap<String, Array> {
    value.as_object().unwrap().iter().map(|(name, column)| (name.clone(), array(column))).collect()
}

fn spaces() -> impl Iterator<Item = (FeatureSpace, Value)> {
    recorded("parts/feature_space").into_iter().map(|case| {
        let layer = deserialize_layer(&case["space"]).unwrap();
        let space = layer.as_any().downcast_ref::<FeatureSpace>().unwrap().clone();
        space.adapt(&columns(&case["table"])).unwrap();
        (space, case)
    })
}

fn call(space: &FeatureSpace, table: &IndexMap<String, Array>) -> Vec<(String, Array)> {
    let columns = table.iter().map(|(name, column)| (name.clone(), Nest::Tensor(column.clone().into()))).collect();
    let outputs = call_layer(&space.share(), Args::new(Nest::Dict(columns)), &mut Context::default()).unwrap();
    match outputs {
        Nest::Dict(items) => items.into_iter().map(|(k, n)| (k, n.single().unwrap().eval().unwrap())).collect(),
        one => vec![(String::new(), one.single().unwrap().eval().unwrap())],
    }
}

#[test]
fn spaces_learn_and_give_what_those_of_keras_do() {
    for (i, (space, case)) in spaces().enumerate() {
        let outputs = call(&space, &columns(&case["rows"]));
        assert_eq!(outputs.len(), case["outputs"].as_object().unwrap().len());
        for (name, output) in outputs {
            let expected = array(&case["outputs"][&name]);
            assert_close(&format!("case {i} {name}"), &output, &expected, Tolerance::relative(1e-5));
        }
        let mut written = serialize_layer(&space);
        let mut expected = case["space"].clone();
        // The same numbers may be written in other ways.
        for value in [&mut written, &mut expected] {
            let features = value["config"]["features"].as_object_mut().unwrap();
            for (_, feature) in features.iter_mut() {
                let preprocessor = &mut feature["config"]["preprocessor"]["config"];
                if preprocessor.get("bin_boundaries").is_some() {
                    preprocessor["bin_boundaries"] = Value::Null;
                }
                if let Some(dtype) = preprocessor.get_mut("dtype").and_then(Value::as_object_mut) {
                    // A number of the run of Python that made the file.
                    dtype.remove("shared_object_id");
                }
            }
        }
        assert_eq!(written, expected, "case {i}");
    }
}

#[test]
fn spaces_are_saved_alone_and_within_models() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("space.keras");
    for (space, case) in spaces() {
        let rows = columns(&case["rows"]);
        let expected = call(&space, &rows);
        space.to_model().unwrap().save(&path).unwrap();
        let loaded = FeatureSpace::of_model(&load_model(&path).unwrap()).unwrap();
        assert_eq!(call(&loaded, &rows), expected);
        if space.output_mode == SpaceMode::Concat {
            let y = Dense::new(1).call(space.get_encoded_features().unwrap());
            let model = Model::new(space.get_inputs(), &y).unwrap();
            model.save(&path).unwrap();
            let y = model.predict(rows.clone()).unwrap();
            assert_eq!(load_model(&path).unwrap().predict(rows).unwrap(), y);
        }
    }
}

#[test]
fn mistakes_are_named() {
    let colours = || Feature::string_categorical(None, FeatureMode::OneHot, Some("colour"));
    let table = IndexMap::from([("colour".to_owned(), text::encode(["red"]))]);
    let space = FeatureSpace::new([("colour", colours())]).unwrap();
    assert!(space.encode(&table).unwrap_err().to_string().contains("call adapt"));
    assert!(space.adapt(&IndexMap::new()).unwrap_err().to_string().contains("no column \"colour\""));
    let cross = Cross::new(["colour", "size"], 4, FeatureMode::OneHot).unwrap();
    let error = FeatureSpace::new([("colour", colours())]).unwrap().crosses([cross]).unwrap_err().to_string();
    assert!(error.contains("no feature \"size\""), "{error}");
    assert!(Cross::new(["a"], 4, FeatureMode::Float).is_err());
    let whole = Feature::string_categorical(None, FeatureMode::Int, Some("colour"));
    let space = FeatureSpace::new([("colour", whole)]).unwrap();
    space.adapt(&table).unwrap();
    assert!(space.encode(&table).unwrap_err().to_string().contains("not encoded"));
    assert!(FeatureSpace::new(Vec::<(String, Feature)>::new()).is_err());
}
