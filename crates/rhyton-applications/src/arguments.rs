//! The arguments that every application takes, and what all networks have in common: an input, a top, and weights.

use rhyton_core::activations::Activation;
use rhyton_core::layers::{Call, Dense, GlobalAveragePooling2D, GlobalMaxPooling2D, Input};
use rhyton_core::model::Model;
use rhyton_core::{Error, Result, Tensor};

use crate::Weights;
use crate::imagenet_utils::{obtain_input_shape, source_inputs, validate_activation};

/// The classes of ImageNet.
pub(crate) const IMAGENET_CLASSES: usize = 1000;

/// How features are pooled where there is no top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// By their mean.
    Avg,
    /// By their greatest.
    Max,
}

/// Height, width and channels, `None` for what is not known: made from an array of numbers, or of options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputShape(pub(crate) Option<[Option<usize>; 3]>);

impl From<[usize; 3]> for InputShape {
    fn from(shape: [usize; 3]) -> InputShape {
        InputShape(Some(shape.map(Some)))
    }
}

impl From<[Option<usize>; 3]> for InputShape {
    fn from(shape: [Option<usize>; 3]) -> InputShape {
        InputShape(Some(shape))
    }
}

/// The arguments that every application takes, with Keras's names.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// Whether the classifier is part of the model.
    pub include_top: bool,
    /// Where the weights come from.
    pub weights: Weights,
    /// A symbol to start from in place of an input of the model's own.
    pub input_tensor: Option<Tensor>,
    /// Height, width and channels.
    pub input_shape: InputShape,
    /// How features are pooled without top.
    pub pooling: Option<Pooling>,
    /// How many classes the top has.
    pub classes: usize,
    /// What is applied to the classes' scores; `None` for nothing.
    pub classifier_activation: Option<Activation>,
    /// The name of the model; the application's own unless said.
    pub name: Option<String>,
}

impl Default for Arguments {
    fn default() -> Arguments {
        Arguments {
            include_top: true,
            weights: Weights::default(),
            input_tensor: None,
            input_shape: InputShape::default(),
            pooling: None,
            classes: IMAGENET_CLASSES,
            classifier_activation: Some(Activation::Softmax),
            name: None,
        }
    }
}

impl Arguments {
    /// Checks the arguments that concern weights, makes the network and loads them.
    pub(crate) fn build(&self, application: &str, network: impl FnOnce() -> Result<Model>) -> Result<Model> {
        let file = self.weights.file(application, self.include_top)?;
        if self.weights == Weights::ImageNet && self.include_top && self.classes != IMAGENET_CLASSES {
            return Err(Error::argument(
                application,
                format!("classes is {} with weights trained on ImageNet", self.classes),
                "leave the top away with include_top(false), or give 1000 classes",
            ));
        }
        let model = network().map_err(|e| e.within(application))?;
        if let Some(file) = file {
            model.load_weights(file)?;
        }
        Ok(model)
    }

    /// The shape of the images and the symbol that the network starts from.
    pub(crate) fn input(&self, default_size: usize, min_size: usize) -> Result<Tensor> {
        let shape = obtain_input_shape(self.input_shape.0, default_size, min_size, self.include_top, &self.weights)?;
        let Some(tensor) = &self.input_tensor else { return Ok(Input::open(shape).symbol()) };
        if tensor.check()?.is_symbol() {
            return Ok(tensor.clone());
        }
        Err(Error::argument("input_tensor", "it is a value, not a symbol", "pass Input::new(…).symbol()"))
    }

    /// The layer of the classes, `predictions`.
    pub(crate) fn predictions(&self) -> Result<Dense> {
        validate_activation(self.classifier_activation, &self.weights)?;
        let activation = self.classifier_activation.unwrap_or_default();
        Ok(Dense::new(self.classes).activation(activation).name("predictions"))
    }

    /// What a model without top ends in; `names` are those of the layers that pool by mean and by greatest, automatic ones
    /// unless said.
    pub(crate) fn pooled(&self, x: &Tensor, names: Option<[&str; 2]>) -> Tensor {
        match (self.pooling, names) {
            (None, _) => x.clone(),
            (Some(Pooling::Avg), None) => GlobalAveragePooling2D::new().call(x),
            (Some(Pooling::Avg), Some([name, _])) => GlobalAveragePooling2D::new().name(name).call(x),
            (Some(Pooling::Max), None) => GlobalMaxPooling2D::new().call(x),
            (Some(Pooling::Max), Some([_, name])) => GlobalMaxPooling2D::new().name(name).call(x),
        }
    }

    /// The model from `input` to `output`; where `input_tensor` was given, from the list of all inputs that it is computed
    /// from.
    pub(crate) fn model(&self, input: &Tensor, output: Tensor, name: &str) -> Result<Model> {
        let model = match &self.input_tensor {
            Some(tensor) => Model::new(source_inputs(tensor), output),
            None => Model::new(input, output),
        };
        Ok(model?.named(self.name.as_deref().unwrap_or(name)))
    }
}

#[cfg(test)]
mod tests {
    use rhyton_core::layers::Layer;
    use rhyton_core::{Array, DType};

    use super::*;
    use crate::MobileNetV2;

    fn small(classes: usize) -> MobileNetV2 {
        MobileNetV2::new().alpha(0.35).input_shape([32, 32, 3]).classes(classes)
    }

    #[test]
    fn weights_are_read_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let saved = small(2).weights(None).build().unwrap();
        let x = Array::new([1, 32, 32, 3], vec![0.5f32; 32 * 32 * 3]);
        let expected = saved.predict(x.clone()).unwrap();
        for name in ["a.weights.h5", "a.keras"] {
            let path = folder.path().join(name);
            saved.save(&path).unwrap();
            let loaded = small(2).weights(path.as_path()).build().unwrap();
            assert_eq!(loaded.predict(x.clone()).unwrap()[0].to_f64_vec(), expected[0].to_f64_vec());
            let error = small(3).weights(path.as_path()).build().unwrap_err();
            assert!(error.to_string().contains("predictions"), "{error}");
        }
        let path = folder.path().join("a.keras");
        let relu = small(2).weights(path).classifier_activation(Activation::Relu).build().unwrap_err();
        assert!(relu.to_string().contains("softmax"), "{relu}");
    }

    #[test]
    fn impossible_arguments_are_refused() {
        let refused = |model: MobileNetV2, what: &str| {
            let error = model.build().unwrap_err().to_string();
            assert!(error.starts_with("MobileNetV2") && error.contains(what), "{error}");
        };
        refused(small(2).weights("nowhere.h5"), "nowhere.h5");
        refused(small(2).weights(None).input_shape([16, 32, 3]), "at least 32 x 32");
        refused(small(2).weights(None).alpha(0.0), "alpha");
        let value = Tensor::from(Array::new([1, 32, 32, 3], vec![0.0; 32 * 32 * 3]).cast(DType::F32));
        refused(small(2).weights(None).input_tensor(value), "not a symbol");
    }

    #[test]
    fn a_frozen_base_leaves_only_the_head_to_train() {
        let base = small(2).weights(None).include_top(false).pooling(Pooling::Avg).build().unwrap();
        base.set_trainable(false);
        let input = Input::new([32, 32, 3]);
        let model = Model::new(&input, Dense::new(2).call(base.call(&input))).unwrap();
        assert_eq!(model.trainable_weights().len(), 2);
    }
}
