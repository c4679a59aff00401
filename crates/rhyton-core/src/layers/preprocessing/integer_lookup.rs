//! `IntegerLookup`: whole numbers by their place in a vocabulary.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::OutputMode;
use super::index_lookup::{IndexLookup, OovMethod, lookup_layer_methods, lookup_methods};
use crate::error::Result;
use crate::keras_layer;
use crate::layers::{Base, Context, Layer};
use crate::nest::{Args, Nest};

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

    /// How numbers that are no terms are spread over several indices; by their remainder unless said.
    pub fn oov_method(mut self, oov_method: OovMethod) -> IntegerLookup {
        self.lookup.oov_method = oov_method;
        self
    }

    /// Sets the vocabulary, and for `OutputMode::TfIdf` the weight of each of its terms.
    ///
    /// # Errors
    /// If it is none, or has another size than the vectors that the layer has given already.
    pub fn set_vocabulary(&self, vocabulary: &[i64], idf_weights: Option<&[f64]>) -> Result<()> {
        self.lookup.set_vocabulary(vocabulary, idf_weights, self.base.built())
    }
}

lookup_methods!(IntegerLookup, i64, "numbers");

impl Layer for IntegerLookup {
    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        Ok(self.lookup.forward(&inputs.tensor()?.cast(DType::I64), cx)?.into())
    }

    lookup_layer_methods!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Call;
    use crate::prelude::{Array, Input, Sequential, Tensor};
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
