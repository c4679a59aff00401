//! Fine-tuning: a trained model gets a classifier for other classes, and most of its layers are frozen.

use std::str::FromStr;

use rhyton::layers::LayerRef;
use rhyton::prelude::*;

use crate::error::{Error, Result};

/// Which layers are trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trained {
    /// The classifier alone.
    Classifier,
    /// The last layers with weights, so many of them.
    Last(usize),
    /// The layer of this name and all after it.
    From(String),
    /// All.
    All,
}

impl FromStr for Trained {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> std::result::Result<Trained, Self::Err> {
        Ok(match text {
            "classifier" => Trained::Classifier,
            "all" => Trained::All,
            _ => text.parse().map_or_else(|_| Trained::From(text.to_owned()), Trained::Last),
        })
    }
}

/// `model` with a classifier of `classes` classes, of which only `trained` is trained. Its weights are those of `model` but for
/// the classifier, which is new unless the number of classes is the same.
///
/// # Errors
/// If the model does not end in a dense layer that could be replaced, or has no layer of the name.
pub fn prepare(model: &Model, classes: usize, trained: &Trained) -> Result<Model> {
    let model = match classes_of(model) {
        Some(n) if n == classes => model.clone(),
        _ => with_classifier(model, classes)?,
    };
    let layers: Vec<LayerRef> = model.layers();
    let weighted: Vec<usize> = (0..layers.len()).filter(|&i| !layers[i].weights().is_empty()).collect();
    let first = match trained {
        Trained::All => 0,
        Trained::Classifier => weighted.last().copied().unwrap_or(0),
        Trained::Last(0) => return Err(Error::new("--fine-tune 0: nothing would be trained; give at least 1")),
        Trained::Last(n) => weighted.iter().rev().nth(n - 1).copied().unwrap_or(0),
        Trained::From(name) => layers.iter().position(|l| l.name() == *name).ok_or_else(|| {
            let names: Vec<&str> = weighted.iter().map(|&i| layers[i].name()).collect();
            Error::new(format!(
                "--fine-tune {name}: the model has no layer of this name; give classifier, all, a number of layers, or one \
                 of {}",
                names.join(", ")
            ))
        })?,
    };
    for (i, layer) in layers.iter().enumerate() {
        layer.set_trainable(i >= first);
    }
    if model.trainable_weights().is_empty() {
        return Err(Error::new(format!(
            "--fine-tune: no layer from {} on has weights to train; start at an earlier one",
            layers.get(first).map_or("the end", |l| l.name())
        )));
    }
    Ok(model)
}

/// The size of the last axis of the first output.
pub fn classes_of(model: &Model) -> Option<usize> {
    model.outputs().first().and_then(|y| y.dim(-1).known())
}

/// The model up to its last dense layer, and a new one.
fn with_classifier(model: &Model, classes: usize) -> Result<Model> {
    let cannot = |why: String| {
        Error::new(format!(
            "--fine-tune: the classifier of the model {} cannot be replaced: {why}; give a model that ends in a Dense layer",
            Layer::name(model)
        ))
    };
    let outputs = model.outputs();
    let [output] = outputs.as_slice() else { return Err(cannot(format!("it has {} outputs", outputs.len()))) };
    let mut symbol = output.clone();
    loop {
        let node =
            symbol.history().map(|h| std::sync::Arc::clone(&h.node)).ok_or_else(|| cannot("it is empty".into()))?;
        let class = node.layer.class_name();
        let below: Vec<Tensor> = node.arguments.tensors().into_iter().filter(|t| t.is_symbol()).cloned().collect();
        let [below] = below.as_slice() else {
            return Err(cannot(format!("its last layer with weights, {}, is no Dense", node.layer.name())));
        };
        if class == "Dense" {
            // Not the name of the old one: its weights are others.
            let head = Dense::new(classes).activation(Activation::Softmax).name("classifier");
            return Ok(Model::new(model.inputs(), head.call(below))?);
        }
        if !node.layer.weights().is_empty() {
            return Err(cannot(format!("its last layer with weights, {}, is a {class}", node.layer.name())));
        }
        symbol = below.clone();
    }
}

/// Whether the model gives logits: its last layer is dense and has no activation.
pub fn gives_logits(model: &Model) -> bool {
    let outputs = model.outputs();
    let Some(history) = outputs.first().and_then(|y| y.history()) else { return false };
    let layer = &history.node.layer;
    layer.class_name() == "Dense" && matches!(layer.config()["activation"].as_str(), None | Some("linear"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Model {
        Sequential::new()
            .add(Input::new([4]))
            .add(Dense::new(5).name("a"))
            .add(BatchNormalization::new().name("b"))
            .add(Dense::new(3).name("old"))
            .add(layers::Softmax::new())
    }

    fn trained(model: &Model) -> Vec<String> {
        model.trainable_weights().iter().map(|v| v.path().to_owned()).collect()
    }

    #[test]
    fn a_new_classifier_keeps_all_weights_below_it() {
        let base = base();
        let tuned = prepare(&base, 7, &Trained::Classifier).unwrap();
        assert_eq!(classes_of(&tuned), Some(7));
        assert_eq!(trained(&tuned), ["classifier/kernel", "classifier/bias"]);
        let kernel = |model: &Model| model.weights()[0].array().unwrap().to_f64_vec();
        assert_eq!(kernel(&tuned), kernel(&base));
    }

    #[test]
    fn what_is_trained_is_chosen_by_number_name_or_all() {
        let base = base();
        let paths = |what: &str| trained(&prepare(&base, 3, &what.parse().unwrap()).unwrap()).len();
        assert_eq!(
            [paths("classifier"), paths("1"), paths("2"), paths("99"), paths("b"), paths("all")],
            [2, 2, 4, 6, 4, 6]
        );
        assert!(!gives_logits(&base));
    }

    #[test]
    fn what_cannot_be_tuned_is_named() {
        let message = |model: &Model, what: &str| match prepare(model, 7, &what.parse().unwrap()) {
            Ok(_) => panic!("tuned"),
            Err(error) => error.one_line(),
        };
        assert!(message(&base(), "nope").contains("one of a, b, classifier"));
        assert!(message(&base(), "0").contains("nothing would be trained"));
        let convolutional = Sequential::new().add(Input::new([4, 4, 1])).add(Conv2D::new(3, 3).name("last"));
        assert!(message(&convolutional, "all").contains("last, is a Conv2D"));
    }
}
