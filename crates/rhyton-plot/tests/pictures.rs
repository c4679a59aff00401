//! Graphs of models: the text for Graphviz beside Keras's, and what the pictures show.

use rhyton_core::model::Model;
use rhyton_core::prelude::*;
use rhyton_core::saving::model_from_json;
use rhyton_plot::{PlotModel, RankDir, model_to_dot, plot_history, plot_model};
use serde_json::Value;

fn options(given: &Value) -> PlotModel {
    let flag = |name: &str| given[name].as_bool().unwrap_or(false);
    let mut options = PlotModel::new()
        .show_shapes(flag("show_shapes"))
        .show_dtype(flag("show_dtype"))
        .show_layer_activations(flag("show_layer_activations"))
        .show_trainable(flag("show_trainable"))
        .expand_nested(flag("expand_nested"));
    if let Some(show) = given["show_layer_names"].as_bool() {
        options = options.show_layer_names(show).rankdir(RankDir::LeftToRight).dpi(96).splines("curved");
    }
    options
}

#[test]
fn the_text_for_graphviz_is_that_of_keras() {
    let recorded: Value = serde_json::from_str(include_str!("../fixtures/models.json")).unwrap();
    let mut count = 0;
    for model in recorded["models"].as_array().unwrap() {
        let config = &model["config"];
        let built = model_from_json(config).unwrap();
        for (given, expected) in recorded["options"].as_array().unwrap().iter().zip(model["dots"].as_array().unwrap()) {
            let dot = model_to_dot(&built, &options(given)).unwrap();
            let expected = expected.as_str().unwrap();
            for (line, (a, b)) in dot.lines().zip(expected.lines()).enumerate() {
                assert_eq!(a, b, "line {line} of {} with {given}", config["config"]["name"]);
            }
            assert_eq!(dot.trim_end(), expected.trim_end());
            count += 1;
        }
    }
    assert_eq!(count, 9);
}

fn model() -> Model {
    Sequential::new()
        .named("m")
        .add(Input::new([4]))
        .add(Dense::new(5).name("hidden <&>").activation(Activation::Relu))
        .add(Dense::new(3).name("classes").trainable(false))
}

fn svg(model: &Model, shown: &PlotModel) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.SVG");
    plot_model(model, &path, shown).unwrap();
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn pictures_show_what_is_asked_for() {
    let has = |svg: &str, text: &str| svg.lines().any(|line| line.trim() == text);
    let plain = svg(&model(), &PlotModel::new());
    assert!(has(&plain, "Dense") && !has(&plain, "classes") && !has(&plain, "(None, 4)"), "{plain}");
    let all = PlotModel::new().show_layer_names(true).show_shapes(true).show_dtype(true);
    let all = svg(&model(), &all.show_layer_activations(true).show_trainable(true));
    let texts =
        ["hidden &lt;&amp;&gt;", "(Dense)", "classes", "(None, 4)", "(None, 5)", "(None, 3)", "float32", "relu"];
    for text in texts.into_iter().chain(["linear", "Activation:", "Trainable", "Non-trainable"]) {
        assert!(has(&all, text), "{text} in {all}");
    }
    // One arrow; the input of a stack is not drawn.
    assert_eq!(all.matches("<polygon").count(), 1, "{all}");
}

#[test]
fn files_are_told_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let size = |dpi: u32| {
        plot_model(&model(), path("m.png"), &PlotModel::new().dpi(dpi)).unwrap();
        let png = std::fs::read(path("m.png")).unwrap();
        assert!(png.starts_with(b"\x89PNG"));
        u32::from_be_bytes([png[16], png[17], png[18], png[19]])
    };
    assert!((size(200) as i64 - 2 * size(100) as i64).abs() <= 2);
    plot_model(&model(), path("m.dot"), &PlotModel::new()).unwrap();
    let dot = std::fs::read_to_string(path("m.dot")).unwrap();
    assert!(dot.contains("<b>Dense</b>") && dot.contains("1 -> 2"), "{dot}");
    let told = |name: &str, shown: PlotModel| plot_model(&model(), path(name), &shown).unwrap_err().to_string();
    assert!(told("m.pdf", PlotModel::new()).contains(".svg or .png"));
    assert!(told("m.svg", PlotModel::new().rankdir(RankDir::LeftToRight)).contains(".dot"));
    assert!(told("m.png", PlotModel::new().dpi(10)).contains("dpi"));
    let unbuilt = Sequential::new().add(Dense::new(2));
    assert!(plot_model(&unbuilt, path("u.svg"), &PlotModel::new()).unwrap_err().to_string().contains("not known"));
    assert!(model_to_dot(&unbuilt, &PlotModel::new()).unwrap_err().to_string().contains("not built"));
}

#[test]
fn curves_of_trainings_are_drawn() {
    let model = model();
    model.compile(SGD::new(0.1), "mse", [""; 0]).unwrap();
    let data = Data::new(Array::new([4, 4], vec![0.5f32; 16]), Array::new([4, 3], vec![0.25f32; 12]));
    let history = model.fit(&data, Fit::new().epochs(2).verbose(0)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    plot_history(&history, folder.path().join("curves.svg")).unwrap();
    let svg = std::fs::read_to_string(folder.path().join("curves.svg")).unwrap();
    assert!(svg.contains("loss") && svg.contains("epoch"));
}
