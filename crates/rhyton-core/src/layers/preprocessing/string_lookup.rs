//! `StringLookup`: texts by their place in a vocabulary.

use serde::{Deserialize, Serialize};

use super::OutputMode;
use super::index_lookup::{IndexLookup, lookup_layer_methods, lookup_methods};
use crate::error::Result;
use crate::keras_layer;
use crate::layers::{Base, Context, Layer, TextInput};
use crate::nest::{Args, Nest};
use crate::text;

/// The index of each text in a vocabulary, or with `invert` the text at each index.
///
/// First comes the index 0 of the mask, if there is one and the result is indices; then `num_oov_indices` for texts that are no
/// terms, which are spread over several by FarmHash64; then the terms. The vocabulary is given, or found from data by
/// [`adapt`](StringLookup::adapt). Texts are arrays that [`text::encode`](crate::text::encode) makes.
///
/// # Shapes
/// The shape of the input (the bytes of texts are no axis) with `OutputMode::Int`; else as
/// [`CategoryEncoding`](super::CategoryEncoding).
///
/// # Dtypes
/// `int64`; with `OutputMode::TfIdf` `float32`; with `invert` texts.
///
/// # Errors
/// If there is no vocabulary, or it repeats terms, or has the mask among them; if there is no index for texts that are no
/// terms and one comes in; if the input is no texts.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let layer = StringLookup::new().vocabulary(["red", "green"]);
/// let colours = Tensor::from(text::encode(["green", "blue"]));
/// assert_eq!(layer.call(&colours).to_vec::<i64>()?, [2, 0]);
/// let back = StringLookup::new().vocabulary(["red", "green"]).invert(true).call(&layer.call(&colours));
/// assert_eq!(text::decode(&back.eval()?)?, ["green", "[UNK]"]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StringLookup {
    #[serde(skip)]
    base: Base,
    pub(super) lookup: IndexLookup<String>,
}

keras_layer!(StringLookup);

impl StringLookup {
    /// A lookup in a vocabulary that is given with [`vocabulary`](StringLookup::vocabulary), or found by
    /// [`adapt`](StringLookup::adapt).
    pub fn new() -> StringLookup {
        StringLookup::default()
    }

    /// The terms in order; it may begin with mask and oov tokens. Found by `adapt` unless given.
    pub fn vocabulary(mut self, vocabulary: impl IntoIterator<Item = impl Into<String>>) -> StringLookup {
        self.lookup.vocabulary = Some(vocabulary.into_iter().map(Into::into).collect());
        self
    }

    /// The text that is masked: index 0, or left out of vectors; none unless said.
    pub fn mask_token(mut self, mask_token: &str) -> StringLookup {
        self.lookup.mask_token = Some(mask_token.to_owned());
        self
    }

    /// What stands for texts that are no terms when indices are looked up; `[UNK]` unless said.
    pub fn oov_token(mut self, oov_token: &str) -> StringLookup {
        self.lookup.oov_token = oov_token.to_owned();
        self
    }

    /// Sets the vocabulary, and for `OutputMode::TfIdf` the weight of each of its terms.
    ///
    /// # Errors
    /// If it is none, or has another size than the vectors that the layer has given already.
    pub fn set_vocabulary(&self, vocabulary: &[impl AsRef<str>], idf_weights: Option<&[f64]>) -> Result<()> {
        let vocabulary: Vec<String> = vocabulary.iter().map(|term| term.as_ref().to_owned()).collect();
        self.lookup.set_vocabulary(&vocabulary, idf_weights, self.base.built())
    }
}

lookup_methods!(StringLookup, String, "texts");

impl Layer for StringLookup {
    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?;
        let x = if self.lookup.invert { x } else { text::expect(x, "StringLookup")? };
        Ok(self.lookup.forward(x, cx)?.into())
    }

    fn text_input(&self) -> TextInput {
        if self.lookup.invert { TextInput::Never } else { TextInput::Always }
    }

    lookup_layer_methods!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Call;
    use crate::prelude::{Array, DType, Dense, Input, Model, Sequential, Tensor};
    use crate::saving::load_model;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("string_lookup");
    }

    #[test]
    fn what_was_adapted_is_saved_in_each_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.keras");
        let x = text::encode_shaped(&[2, 2], ["b", "é", "zz", "b"]).unwrap();
        for mode in [OutputMode::Int, OutputMode::MultiHot, OutputMode::Count, OutputMode::TfIdf] {
            let layer = StringLookup::new().output_mode(mode);
            layer.adapt(&text::encode_shaped(&[2, 2], ["é", "b", "b", "c"]).unwrap()).unwrap();
            assert_eq!(layer.get_vocabulary().unwrap(), ["[UNK]", "b", "é", "c"]);
            let model = Sequential::new().add(Input::new([2]).string()).add(layer);
            model.save(&path).unwrap();
            let loaded = load_model(&path).unwrap();
            assert_eq!(loaded.to_json(), model.to_json());
            assert_eq!(loaded.predict(x.clone()).unwrap(), model.predict(x.clone()).unwrap(), "{mode:?}");
        }
    }

    #[test]
    fn rarer_terms_weigh_more() {
        // keras.layers.StringLookup(output_mode="tf_idf").adapt([["a", "b"], ["b", "c"]]), called with [["a", "b"]], Keras 3.15.1.
        let layer = StringLookup::new().output_mode(OutputMode::TfIdf);
        layer.update_state(&text::encode_shaped(&[1, 2], ["a", "b"]).unwrap()).unwrap();
        layer.update_state(&text::encode_shaped(&[1, 2], ["b", "c"]).unwrap()).unwrap();
        layer.finalize_state().unwrap();
        let y = layer.call(Tensor::from(text::encode_shaped(&[1, 2], ["a", "b"]).unwrap())).to_vec::<f32>().unwrap();
        let (twice, once) = ((1.0f32 + 2.0 / 3.0).ln(), 2.0f32.ln());
        for (y, expected) in y.iter().zip([0.0, twice, 0.0, once]) {
            assert!((y - expected).abs() < 1e-6, "{y} {expected}");
        }
    }

    #[test]
    fn a_model_may_give_texts() {
        let ids = Input::new([2]).dtype(DType::I64);
        let layer = StringLookup::new().vocabulary(["a", "bcd"]).invert(true);
        let model = Model::new(&ids, layer.call(&ids)).unwrap();
        let y = model.predict(Array::new([2, 2], vec![0i64, 1, 2, 2])).unwrap();
        assert_eq!(text::decode(&y[0]).unwrap(), ["[UNK]", "a", "bcd", "bcd"]);
        assert!(model.summary().contains("(None, 2)"), "{}", model.summary());
        assert!(crate::text::is_symbolic(model.outputs()[0].ty()));
    }

    #[test]
    fn texts_and_numbers_are_told_apart() {
        let layer = StringLookup::new().vocabulary(["a"]);
        let error = layer.call(Tensor::new([1], vec![1i64])).eval().unwrap_err().to_string();
        assert!(error.contains("takes texts"), "{error}");
        let error = Dense::new(1).call(&Input::new([2]).string()).eval().unwrap_err().to_string();
        assert!(error.contains("takes numbers"), "{error}");
        let model = Sequential::new().add(Input::new([2]).string()).add(StringLookup::new().vocabulary(["a"]));
        let error = model.predict(Array::new([1, 2], vec![1i32, 2])).unwrap_err().to_string();
        assert!(error.contains("numbers of dtype int32"), "{error}");
        let error = model.predict(text::encode_shaped(&[1, 3], ["a", "b", "c"]).unwrap()).unwrap_err().to_string();
        assert!(error.contains("texts of shape [batch,2] but the data has [1,3]"), "{error}");
    }
}
