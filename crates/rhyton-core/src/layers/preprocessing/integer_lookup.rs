//! `IntegerLookup`: whole numbers by their place in a vocabulary.

use std::collections::BTreeMap;

use rhyton_ir::{Array, DType};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::OutputMode;
use super::index_lookup::{IndexLookup, OovMethod};
use crate::error::Result;
use crate::keras_layer;
use crate::layers::{Base, Context, InputShapes, Layer};
use crate::nest::{Args, Nest};
use crate::variable::Variable;

/// The index of each number in a vocabulary, or with `invert` the number at each index.
///
/// First comes the index 0 of the mask, if there is one and the result is indices; then `num_oov_indices` for numbers that are no
/// terms; then the terms. The vocabulary is given, or found from data by [`adapt`](IntegerLookup::adapt).
///
/// # Shapes
/// The shape of the input with `OutputMode::Int`; else as [`CategoryEncoding`](super::CategoryEncoding).
///
/// # Dtypes
/// `int64`; with `OutputMode::TfIdf` `float32`.
///
/// # Errors
/// If there is no vocabulary, or it repeats terms, or has the mask among them; if there is no index for numbers that are no
/// terms and one comes in.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let layer = IntegerLookup::new().vocabulary([12, 36, 42]);
/// assert_eq!(layer.call(&Tensor::new([3], vec![42i64, 12, 7])).to_vec::<i64>()?, [3, 1, 0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IntegerLookup {
    #[serde(skip)]
    base: Base,
    lookup: IndexLookup<i64>,
}

keras_layer!(IntegerLookup);

impl IntegerLookup {
    /// A lookup in a vocabulary that is given with [`vocabulary`](IntegerLookup::vocabulary), or found by
    /// [`adapt`](IntegerLookup::adapt).
    pub fn new() -> IntegerLookup {
        IntegerLookup::default()
    }

    /// The terms in order; it may begin with mask and oov tokens. Found by `adapt` unless given.
    pub fn vocabulary(mut self, vocabulary: impl Into<Vec<i64>>) -> IntegerLookup {
        self.lookup.vocabulary = Some(vocabulary.into());
        self
    }

    /// For `OutputMode::TfIdf`: what the counts of each term of the vocabulary are multiplied by.
    pub fn idf_weights(mut self, idf_weights: impl Into<Vec<f64>>) -> IntegerLookup {
        self.lookup.idf_weights = Some(idf_weights.into());
        self
    }

    /// The largest size of the vocabulary, mask and oov indices included; any unless said.
    pub fn max_tokens(mut self, max_tokens: usize) -> IntegerLookup {
        self.lookup.max_tokens = Some(max_tokens);
        self
    }

    /// How many indices numbers have that are no terms; 1 unless said. With 0 they are refused.
    pub fn num_oov_indices(mut self, num_oov_indices: usize) -> IntegerLookup {
        self.lookup.num_oov_indices = num_oov_indices;
        self
    }

    /// The number that is masked: index 0, or left out of vectors; none unless said.
    pub fn mask_token(mut self, mask_token: i64) -> IntegerLookup {
        self.lookup.mask_token = Some(mask_token);
        self
    }

    /// What stands for numbers that are no terms when indices are looked up; −1 unless said.
    pub fn oov_token(mut self, oov_token: i64) -> IntegerLookup {
        self.lookup.oov_token = oov_token;
        self
    }

    /// Whether indices are looked up; not unless said.
    pub fn invert(mut self, invert: bool) -> IntegerLookup {
        self.lookup.invert = invert;
        self
    }

    /// The form of the result; indices unless said.
    pub fn output_mode(mut self, output_mode: OutputMode) -> IntegerLookup {
        self.lookup.output_mode = output_mode;
        self
    }

    /// Whether vectors have `max_tokens` elements whatever the size of the vocabulary; not unless said.
    pub fn pad_to_max_tokens(mut self, pad_to_max_tokens: bool) -> IntegerLookup {
        self.lookup.pad_to_max_tokens = pad_to_max_tokens;
        self
    }

    /// How numbers that are no terms are spread over several indices; by their remainder unless said.
    pub fn oov_method(mut self, oov_method: OovMethod) -> IntegerLookup {
        self.lookup.oov_method = oov_method;
        self
    }

    /// Hashes numbers that are no terms in another way for each salt; without one unless said.
    pub fn salt(mut self, salt: [u64; 2]) -> IntegerLookup {
        self.lookup.salt = Some(salt);
        self
    }

    /// Finds the vocabulary: the numbers in `data`, the most frequent first, and of those as frequent the larger first.
    ///
    /// # Errors
    /// If the vocabulary was given, or has another size than the vectors that the layer has given already.
    pub fn adapt(&self, data: &Array) -> Result<()> {
        self.lookup.adapt(data, self.base.built())
    }

    /// Counts the numbers in more data; [`finalize_state`](IntegerLookup::finalize_state) makes the vocabulary of them.
    ///
    /// # Errors
    /// If the vocabulary was given.
    pub fn update_state(&self, data: &Array) -> Result<()> {
        self.lookup.update_state(data)
    }

    /// Makes the vocabulary of what was counted since the last time.
    ///
    /// # Errors
    /// As [`IntegerLookup::adapt`].
    pub fn finalize_state(&self) -> Result<()> {
        self.lookup.finalize_state(self.base.built())
    }

    /// Sets the vocabulary, and for `OutputMode::TfIdf` the weight of each of its terms.
    ///
    /// # Errors
    /// If it is none, or has another size than the vectors that the layer has given already.
    pub fn set_vocabulary(&self, vocabulary: &[i64], idf_weights: Option<&[f64]>) -> Result<()> {
        self.lookup.set_vocabulary(vocabulary, idf_weights, self.base.built())
    }

    /// The number at each index, mask and oov tokens included; empty if there is no vocabulary yet.
    ///
    /// # Errors
    /// If the vocabulary that was given is none.
    pub fn get_vocabulary(&self) -> Result<Vec<i64>> {
        self.lookup.get_vocabulary(true)
    }

    /// How many indices there are, those of mask and oov tokens included.
    ///
    /// # Errors
    /// If the vocabulary that was given is none.
    pub fn vocabulary_size(&self) -> Result<usize> {
        self.lookup.size()
    }
}

impl Layer for IntegerLookup {
    fn build(&self, _: &InputShapes) -> Result<()> {
        self.lookup.build()
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        Ok(self.lookup.forward(&inputs.tensor()?.cast(DType::I64), cx)?.into())
    }

    fn autocasts_inputs(&self) -> bool {
        false
    }

    fn config(&self) -> Value {
        self.lookup.config(self.name(), &self.base)
    }

    /// Keras stores an empty one.
    fn build_config(&self) -> Option<Value> {
        Some(json!({}))
    }

    fn build_from_config(&self, _: &Value) -> Result<()> {
        self.build(&InputShapes::default())
    }

    fn assets(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        self.lookup.assets()
    }

    fn load_assets(&self, assets: &BTreeMap<String, Vec<u8>>) -> Result<()> {
        self.lookup.load_assets(assets)
    }

    fn saved_variables(&self) -> Vec<Variable> {
        self.lookup.saved_variables()
    }

    fn saved_name(&self, _: usize) -> String {
        "idf_weights".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Call;
    use crate::prelude::{Input, Sequential, Tensor};
    use crate::saving::load_model;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("integer_lookup");
    }

    #[test]
    fn any_number_of_oov_indices_is_taken_without_making_so_many() {
        let layer = IntegerLookup::new().vocabulary([5, 6]).num_oov_indices(usize::MAX >> 3);
        assert_eq!(layer.vocabulary_size().unwrap(), (usize::MAX >> 3) + 2);
        let given = IntegerLookup::new().vocabulary([-1, -1, 5]).num_oov_indices(2);
        assert_eq!(given.get_vocabulary().unwrap(), [-1, -1, 5]);
    }

    #[test]
    fn more_weights_than_fit_are_refused() {
        let layer = IntegerLookup::new().vocabulary([5]).idf_weights([1.0]).output_mode(OutputMode::TfIdf);
        let error = looked_up(&layer.num_oov_indices(usize::MAX), &[5]).unwrap_err().to_string();
        assert!(error.contains("do not fit into memory"), "{error}");
        let padded = IntegerLookup::new().output_mode(OutputMode::TfIdf).max_tokens(1 << 60).pad_to_max_tokens(true);
        assert!(padded.adapt(&Array::new([1, 1], vec![4i64])).is_err());
    }

    fn looked_up(layer: &IntegerLookup, values: &[i64]) -> Result<Vec<i64>> {
        layer.call(Tensor::new([values.len()], values.to_vec())).to_vec::<i64>()
    }

    #[test]
    fn adapting_lists_the_most_frequent_first() {
        // keras.layers.IntegerLookup(max_tokens=5, mask_token=0).adapt([3, 7, 7, 0, 9, 3, 7, -1, 2, 9]).get_vocabulary(),
        // Keras 3.15.1.
        let layer = IntegerLookup::new().max_tokens(5).mask_token(0);
        assert!(looked_up(&layer, &[1]).unwrap_err().to_string().contains("adapt"));
        layer.adapt(&Array::new([10], vec![3i64, 7, 7, 0, 9, 3, 7, -1, 2, 9])).unwrap();
        assert_eq!(layer.get_vocabulary().unwrap(), [0, -1, 7, 9, 3]);
        assert_eq!(looked_up(&layer, &[0, 2, 3, 9, 7]).unwrap(), [0, 1, 4, 3, 2]);
    }

    #[test]
    fn a_vocabulary_that_was_found_is_saved_beside_the_weights() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.keras");
        let layer = IntegerLookup::new().output_mode(OutputMode::Count);
        layer.adapt(&Array::new([1, 5], vec![4i64, 4, 6, 5, 6])).unwrap();
        let model = Sequential::new().add(Input::new([3]).dtype(DType::I64)).add(layer);
        model.save(&path).unwrap();
        let loaded = load_model(&path).unwrap();
        assert_eq!(loaded.to_json(), model.to_json());
        let x = Array::new([1, 3], vec![4i64, 4, 9]);
        assert_eq!(loaded.predict(x.clone()).unwrap(), model.predict(x).unwrap());
        assert_eq!(loaded.predict(Array::new([1, 3], vec![4i64, 4, 9])).unwrap()[0].to_f64_vec(), [1.0, 0.0, 2.0, 0.0]);
    }

    #[test]
    fn mistakes_are_named() {
        let error = |layer: IntegerLookup| looked_up(&layer, &[5]).unwrap_err().to_string();
        assert!(error(IntegerLookup::new().vocabulary([5, 6, 5])).contains("5 more than once"));
        assert!(error(IntegerLookup::new().vocabulary([6]).num_oov_indices(0)).contains("5 is no term"));
        assert!(error(IntegerLookup::new().vocabulary([6, 0]).mask_token(0)).contains("reserved"));
        assert!(error(IntegerLookup::new().vocabulary([6, 7]).max_tokens(2)).contains("max_tokens"));
        assert!(error(IntegerLookup::new().vocabulary([6]).salt([1, 2])).contains("FarmHash"));
        assert!(error(IntegerLookup::new().vocabulary([6]).output_mode(OutputMode::TfIdf)).contains("idf_weights"));
        assert!(error(IntegerLookup::new().vocabulary([6]).idf_weights([1.0])).contains("TfIdf"));
        let given = IntegerLookup::new().vocabulary([6]);
        assert!(given.adapt(&Array::new([1], vec![1i64])).is_err());
    }
}
