//! `IntegerLookup`: whole numbers by their place in a vocabulary.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard};

use rhyton_ir::op::CustomCall;
use rhyton_ir::{Array, DType};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::OutputMode;
use super::encode::encode;
use super::hashing::salt;
use super::vocabulary::{Known, Lookup, NO_VOCABULARY, Rules, Unknown, Vocabulary};
use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, InputShapes, Layer, config_with};
use crate::nest::{Args, Nest};
use crate::tensor::Tensor;

/// How numbers that are no terms are spread over several indices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OovMethod {
    /// By their remainder, which is never negative.
    #[default]
    FloorMod,
    /// By FarmHash64 of their text, or with a salt by SipHash.
    FarmHash,
}

/// The index of each number in a vocabulary, or with `invert` the number at each index.
///
/// First comes the index 0 of the mask, if there is one and the result is indices; then `num_oov_indices` for numbers that are no
/// terms; then the terms. The vocabulary is given, or found from data by [`adapt`](IntegerLookup::adapt).
///
/// # Shapes
/// The shape of the input with `OutputMode::Int`; else as [`CategoryEncoding`](super::CategoryEncoding).
///
/// # Dtypes
/// `int64`.
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
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntegerLookup {
    #[serde(skip)]
    base: Base,
    invert: bool,
    max_tokens: Option<usize>,
    num_oov_indices: usize,
    oov_token: i64,
    mask_token: Option<i64>,
    output_mode: OutputMode,
    sparse: bool,
    pad_to_max_tokens: bool,
    vocabulary_dtype: DType,
    idf_weights: Option<Vec<f64>>,
    vocabulary: Option<Vec<i64>>,
    vocabulary_size: Option<usize>,
    oov_method: OovMethod,
    #[serde(deserialize_with = "salt")]
    salt: Option<[u64; 2]>,
    #[serde(skip)]
    known: Known,
}

const ASSET: &str = "vocabulary.txt";

keras_layer!(IntegerLookup);

impl Default for IntegerLookup {
    fn default() -> IntegerLookup {
        IntegerLookup {
            base: Base::default(),
            invert: false,
            max_tokens: None,
            num_oov_indices: 1,
            oov_token: -1,
            mask_token: None,
            output_mode: OutputMode::Int,
            sparse: false,
            pad_to_max_tokens: false,
            vocabulary_dtype: DType::I64,
            idf_weights: None,
            vocabulary: None,
            vocabulary_size: None,
            oov_method: OovMethod::FloorMod,
            salt: None,
            known: Known::default(),
        }
    }
}

impl IntegerLookup {
    /// A lookup in a vocabulary that is given with [`vocabulary`](IntegerLookup::vocabulary), or found by
    /// [`adapt`](IntegerLookup::adapt).
    pub fn new() -> IntegerLookup {
        IntegerLookup::default()
    }

    builders! {
        /// The terms in order; it may begin with mask and oov tokens. Found by `adapt` unless given.
        vocabulary: some Vec<i64>,
        /// The largest size of the vocabulary, mask and oov indices included; any unless said.
        max_tokens: some usize,
        /// How many indices numbers have that are no terms; 1 unless said. With 0 they are refused.
        num_oov_indices: usize,
        /// The number that is masked: index 0, or left out of vectors; none unless said.
        mask_token: some i64,
        /// What stands for numbers that are no terms when indices are looked up; −1 unless said.
        oov_token: i64,
        /// Whether indices are looked up; not unless said.
        invert: bool,
        /// The form of the result; indices unless said.
        output_mode: OutputMode,
        /// Whether vectors have `max_tokens` elements whatever the size of the vocabulary; not unless said.
        pad_to_max_tokens: bool,
        /// How numbers that are no terms are spread over several indices; by their remainder unless said.
        oov_method: OovMethod,
        /// Hashes numbers that are no terms in another way for each salt; without one unless said.
        salt: some [u64; 2],
    }

    /// Finds the vocabulary: the numbers in `data`, the most frequent first, and of those as frequent the larger first.
    ///
    /// # Errors
    /// If the vocabulary was given, or has another size than the vectors that the layer has given already.
    pub fn adapt(&self, data: &Array) -> Result<()> {
        self.check()?;
        if self.vocabulary.is_some() {
            return Err(Error::argument("adapt", "the vocabulary was given", "make the layer without it"));
        }
        let data = data.cast(DType::I64);
        let limit = self.max_tokens.map(|n| n.saturating_sub(self.start()));
        let special = [self.mask_token, Some(self.oov_token)];
        let data = data.as_slice::<i64>().unwrap_or_default();
        if data.is_empty() {
            return Ok(());
        }
        self.replace(Vocabulary::most_frequent(data, &special, limit))
    }

    /// The number at each index, mask and oov tokens included; empty if there is no vocabulary yet.
    ///
    /// # Errors
    /// If the vocabulary that was given is none.
    pub fn get_vocabulary(&self) -> Result<Vec<i64>> {
        let Some(vocabulary) = self.known()? else { return Ok(Vec::new()) };
        let rules = self.rules();
        let size = self.start() + vocabulary.terms().len();
        Ok((0..size as i64).map(|index| vocabulary.term_at(index, &rules)).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Vocabulary>>> {
        self.known.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn has_mask_index(&self) -> bool {
        self.mask_token.is_some() && self.output_mode == OutputMode::Int
    }

    /// The index of the first term.
    fn start(&self) -> usize {
        usize::from(self.has_mask_index()).saturating_add(self.num_oov_indices)
    }

    fn rules(&self) -> Rules {
        let count = self.num_oov_indices;
        let unknown = match (count, self.oov_method) {
            (0, _) => Unknown::Refused,
            (1, _) => Unknown::One,
            (_, OovMethod::FloorMod) => Unknown::Remainder(count as i64),
            (_, OovMethod::FarmHash) => Unknown::Hash(count as u64, self.salt),
        };
        // Vectors have no element at the largest index: what is masked counts nowhere.
        let masked = if self.output_mode == OutputMode::Int { 0 } else { i64::MAX };
        Rules {
            mask: self.mask_token.map(|token| (token, masked)),
            unknown_start: i64::from(self.has_mask_index()),
            unknown,
            start: self.start() as i64,
            oov_token: self.oov_token,
        }
    }

    /// The vocabulary: what was found, or what was given.
    fn known(&self) -> Result<Option<Arc<Vocabulary>>> {
        let mut known = self.lock();
        if let (None, Some(given)) = (&*known, &self.vocabulary) {
            *known = Some(Arc::new(self.checked(given)?));
        }
        Ok(known.clone())
    }

    fn replace(&self, vocabulary: Vocabulary) -> Result<()> {
        let mut known = self.lock();
        let sized = self.base.built() && self.output_mode != OutputMode::Int && !self.pad_to_max_tokens;
        let (new, old) = (vocabulary.terms().len(), known.as_ref().map(|v| v.terms().len()));
        if let Some(old) = old.filter(|&old| sized && old != new) {
            return Err(Error::argument(
                "IntegerLookup",
                format!("{new} terms in place of {old} change the size of vectors, for which the model is made"),
                "adapt before the layer is called, or set pad_to_max_tokens",
            ));
        }
        *known = Some(Arc::new(vocabulary));
        Ok(())
    }

    /// The terms among `given`, which may begin with mask and oov tokens.
    fn checked(&self, given: &[i64]) -> Result<Vocabulary> {
        let wrong = |what: String, fix: &str| Err(Error::argument("vocabulary", what, fix));
        if given.is_empty() {
            return wrong("it is empty".into(), "give at least one term");
        }
        let mask = self.mask_token.filter(|_| self.has_mask_index());
        // The tokens are compared where they are: a file may ask for any number of them.
        let unmasked = match (mask, given) {
            (Some(mask), [first, rest @ ..]) if *first == mask => Some(rest),
            (Some(_), _) => None,
            (None, given) => Some(given),
        };
        let begins = |terms: &[i64]| terms.iter().all(|&term| term == self.oov_token);
        let split = unmasked.and_then(|terms| terms.split_at_checked(self.num_oov_indices));
        let terms = split.filter(|(oov, _)| begins(oov)).map_or(given, |(_, terms)| terms);
        let vocabulary = Vocabulary::new(terms.to_vec());
        if let Some(term) = vocabulary.repeated() {
            return wrong(format!("it has {term} more than once"), "give each term once");
        }
        let reserved = self.mask_token.into_iter().chain(Some(self.oov_token).filter(|_| self.invert));
        if let Some(token) = reserved.into_iter().find(|&token| vocabulary.has(token)) {
            let oov = format!("{} times the oov token {}", self.num_oov_indices, self.oov_token);
            let mask = mask.map_or_else(String::new, |mask| format!("the mask token {mask} and "));
            let fix = format!("leave mask and oov tokens out, or begin with {mask}{oov}");
            return wrong(format!("the reserved token {token} is among the terms"), &fix);
        }
        let size = self.start().saturating_add(terms.len());
        match self.max_tokens.filter(|&most| size > most) {
            Some(most) => wrong(format!("its size is {size}, above max_tokens {most}"), "give fewer terms"),
            None => Ok(vocabulary),
        }
    }

    fn check(&self) -> Result<()> {
        let wrong = |argument: &str, what: String, fix: &str| Err(Error::argument(argument, what, fix));
        if let Some(most) = self.max_tokens.filter(|&n| n <= 1) {
            return wrong("max_tokens", format!("{most} leaves no room for terms"), "give at least 2");
        }
        if self.pad_to_max_tokens && self.max_tokens.is_none() {
            return wrong("pad_to_max_tokens", "there are no max_tokens to pad to".into(), "set max_tokens");
        }
        if self.salt.is_some() && self.oov_method != OovMethod::FarmHash {
            return wrong("salt", "only hashes have a salt".into(), "set oov_method to FarmHash");
        }
        if self.invert && self.output_mode != OutputMode::Int {
            return wrong("invert", "numbers that are looked up have no vectors".into(), "leave output_mode out");
        }
        if self.vocabulary_dtype != DType::I64 {
            return wrong("vocabulary_dtype", format!("it is {}", self.vocabulary_dtype), "only int64 is known");
        }
        if self.sparse || self.idf_weights.is_some() {
            let what = "neither sparse output nor tf_idf is there";
            return Err(Error::unsupported("IntegerLookup", what, "use dense output without idf_weights"));
        }
        Ok(())
    }

    /// The size of vectors.
    fn depth(&self) -> Result<usize> {
        if let Some(most) = self.max_tokens.filter(|_| self.pad_to_max_tokens) {
            return Ok(most);
        }
        let size = self.known()?.map(|v| v.terms().len() + self.start()).or(self.vocabulary_size);
        size.ok_or_else(|| Error::argument("IntegerLookup", "there is no vocabulary", NO_VOCABULARY))
    }
}

impl Layer for IntegerLookup {
    fn build(&self, _: &InputShapes) -> Result<()> {
        self.check()?;
        self.known().map(|_| ())
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let depth = if self.output_mode == OutputMode::Int { 0 } else { self.depth()? };
        let lookup = Lookup::new(&self.known, self.rules(), self.invert);
        let x = inputs.tensor()?.cast(DType::I64);
        let found = Tensor::apply(CustomCall { target: Arc::new(lookup) }, &[&x]);
        Ok(encode(found.check()?, self.output_mode, depth, DType::I64, None)?.into())
    }

    fn autocasts_inputs(&self) -> bool {
        false
    }

    fn config(&self) -> Value {
        let mut own = crate::saving::config_of(self);
        // What cannot be read is refused when the layer is built.
        let size = self.known().ok().flatten().map(|v| v.terms().len() + self.start()).or(self.vocabulary_size);
        own["vocabulary_size"] = json!(size);
        config_with(self.name(), &self.base, own)
    }

    /// Keras stores an empty one.
    fn build_config(&self) -> Option<Value> {
        Some(json!({}))
    }

    fn build_from_config(&self, _: &Value) -> Result<()> {
        self.build(&InputShapes::default())
    }

    fn assets(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        if self.vocabulary.is_some() {
            return Ok(BTreeMap::new());
        }
        let lines: Vec<String> = self.get_vocabulary()?.iter().map(i64::to_string).collect();
        Ok(BTreeMap::from([(ASSET.to_owned(), lines.join("\n").into_bytes())]))
    }

    fn load_assets(&self, assets: &BTreeMap<String, Vec<u8>>) -> Result<()> {
        let Some(text) = assets.get(ASSET).filter(|_| self.vocabulary.is_none()) else { return Ok(()) };
        let damaged = |what: String| Error::content(ASSET, what, "the file is damaged; save the model again");
        let text = std::str::from_utf8(text).map_err(|e| damaged(e.to_string()))?;
        let terms = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| line.parse::<i64>().map_err(|_| damaged(format!("{line:?} is no whole number"))));
        let terms = terms.collect::<Result<Vec<i64>>>()?;
        if !terms.is_empty() {
            self.replace(self.checked(&terms)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Call;
    use crate::prelude::{Input, Sequential};
    use crate::saving::load_model;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("integer_lookup");
    }

    #[test]
    fn any_number_of_oov_indices_is_taken_without_making_so_many() {
        let layer = IntegerLookup::new().vocabulary([5, 6]).num_oov_indices(usize::MAX >> 3);
        assert!(layer.known().unwrap().is_some());
        let given = IntegerLookup::new().vocabulary([-1, -1, 5]).num_oov_indices(2);
        assert_eq!(given.known().unwrap().unwrap().terms(), [5]);
    }

    fn looked_up(layer: &IntegerLookup, values: &[i64]) -> Result<Vec<i64>> {
        layer.call(Tensor::new([values.len()], values.to_vec())).to_vec::<i64>()
    }

    #[test]
    fn adapting_lists_the_most_frequent_first() {
        // keras.layers.IntegerLookup(max_tokens=5, mask_token=0).adapt([3, 7, 7, 0, 9, 3, 7, -1, 2, 9]).get_vocabulary(),
        // Keras 3.15.1.
        let layer = IntegerLookup::new().max_tokens(5usize).mask_token(0);
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
        assert!(error(IntegerLookup::new().vocabulary([6, 7]).max_tokens(2usize)).contains("max_tokens"));
        assert!(error(IntegerLookup::new().vocabulary([6]).salt([1, 2])).contains("FarmHash"));
        let given = IntegerLookup::new().vocabulary([6]);
        assert!(given.adapt(&Array::new([1], vec![1i64])).is_err());
    }
}
