//! What `IntegerLookup` and `StringLookup` share: their configuration, vocabulary and weights.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use rhyton_ir::op::CustomCall;
use rhyton_ir::{Array, DType};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::OutputMode;
use super::hashing::salt;
use super::term::Term;
use super::vocabulary::{
    Counts, Inverse, Known, Lookup, NO_VOCABULARY, Rules, Vocabulary, after_special, lines, parse_lines,
};
use crate::config::floatx;
use crate::error::{Error, Result};
use crate::layers::{Base, Context, config_with};
use crate::tensor::Tensor;
use crate::variable::Variable;

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

/// The configuration of a lookup, which is that of the layer, and its state.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, bound = "T: Term")]
pub(super) struct IndexLookup<T: Term> {
    pub invert: bool,
    pub max_tokens: Option<usize>,
    pub num_oov_indices: usize,
    pub oov_token: T,
    pub mask_token: Option<T>,
    pub output_mode: OutputMode,
    pub sparse: bool,
    pub pad_to_max_tokens: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocabulary_dtype: Option<DType>,
    pub idf_weights: Option<Vec<f64>>,
    pub vocabulary: Option<Vec<T>>,
    pub vocabulary_size: Option<usize>,
    pub oov_method: OovMethod,
    #[serde(deserialize_with = "salt")]
    pub salt: Option<[u64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    #[serde(skip)]
    state: State<T>,
}

#[derive(Clone, Debug)]
struct State<T> {
    known: Known<T>,
    counts: Arc<Mutex<Counts<T>>>,
    /// What counts are weighed by with `OutputMode::TfIdf`.
    weights: Arc<Mutex<Option<Variable>>>,
}

impl<T> Default for State<T> {
    fn default() -> State<T> {
        State { known: Arc::default(), counts: Arc::default(), weights: Arc::default() }
    }
}

const ASSET: &str = "vocabulary.txt";

impl<T: Term> Default for IndexLookup<T> {
    fn default() -> IndexLookup<T> {
        IndexLookup {
            invert: false,
            max_tokens: None,
            num_oov_indices: 1,
            oov_token: T::oov_token(),
            mask_token: None,
            output_mode: OutputMode::Int,
            sparse: false,
            pad_to_max_tokens: false,
            vocabulary_dtype: T::vocabulary_dtype(),
            idf_weights: None,
            vocabulary: None,
            vocabulary_size: None,
            oov_method: OovMethod::FloorMod,
            salt: None,
            encoding: T::encoding(),
            state: State::default(),
        }
    }
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl<T: Term> IndexLookup<T> {
    /// Finds the vocabulary in `data`; `is_fixed` says whether the layer has given vectors already.
    pub(super) fn adapt(&self, data: &Array, is_fixed: bool) -> Result<()> {
        self.reset_state();
        self.update_state(data)?;
        self.finalize_state(is_fixed)
    }

    /// Counts the terms of more data.
    pub(super) fn update_state(&self, data: &Array) -> Result<()> {
        let (shape, terms) = T::read(data)?;
        // As Keras: examples along the first axis; of one axis alone, each element is an example.
        let example = shape.get(1..).map_or(1, |rest| rest.iter().product::<usize>()).max(1);
        self.count(terms.chunks(example))
    }

    /// Counts the terms of examples.
    pub(super) fn count<'t>(&self, examples: impl IntoIterator<Item = &'t [T]>) -> Result<()> {
        self.check()?;
        if self.vocabulary.is_some() {
            return Err(Error::argument("adapt", "the vocabulary was given", "make the layer without it"));
        }
        let mut counts = lock(&self.state.counts);
        examples.into_iter().for_each(|example| counts.add(example));
        Ok(())
    }

    /// Makes the vocabulary of what was counted.
    pub(super) fn finalize_state(&self, is_fixed: bool) -> Result<()> {
        let counts = std::mem::take(&mut *lock(&self.state.counts));
        if counts.is_empty() {
            return Ok(());
        }
        let limit = self.max_tokens.map(|n| n.saturating_sub(self.start()));
        let special: Vec<&T> = self.mask_token.iter().chain([&self.oov_token]).collect();
        let (vocabulary, weights) = counts.most_frequent(&special, limit);
        let weights = (self.output_mode == OutputMode::TfIdf).then(|| self.padded_weights(&weights, false));
        self.replace(vocabulary, weights.transpose()?, is_fixed)
    }

    /// Forgets what was counted.
    pub(super) fn reset_state(&self) {
        *lock(&self.state.counts) = Counts::default();
    }

    /// Sets the vocabulary, which may begin with mask and oov tokens, and for `OutputMode::TfIdf` the weight of each.
    pub(super) fn set_vocabulary(&self, terms: &[T], weights: Option<&[f64]>, is_fixed: bool) -> Result<()> {
        self.check()?;
        let weights = self.checked_weights(terms, weights)?;
        self.replace(self.checked(terms)?, weights, is_fixed)
    }

    /// The term at each index, mask and oov tokens included unless it is said otherwise.
    pub(super) fn get_vocabulary(&self, include_special_tokens: bool) -> Result<Vec<T>> {
        let Some(vocabulary) = self.known()? else { return Ok(Vec::new()) };
        let rules = self.rules();
        let first = if include_special_tokens { 0 } else { self.start() };
        let size = self.start() + vocabulary.terms().len();
        Ok((first as i64..size as i64).map(|index| vocabulary.term_at(index, &rules).clone()).collect())
    }

    /// How many indices there are; those of mask and oov tokens alone if there is no vocabulary yet.
    pub(super) fn size(&self) -> Result<usize> {
        Ok(self.start() + self.known()?.map_or(0, |v| v.terms().len()))
    }

    fn has_mask_index(&self) -> bool {
        self.mask_token.is_some() && self.output_mode == OutputMode::Int
    }

    /// The index of the first term.
    fn start(&self) -> usize {
        usize::from(self.has_mask_index()).saturating_add(self.num_oov_indices)
    }

    /// The tokens before the terms, to be compared with the begin of `count` terms; a file may ask for any number of them.
    fn special(&self, count: usize) -> Vec<T> {
        let mask = self.mask_token.clone().filter(|_| self.has_mask_index());
        mask.into_iter()
            .chain(std::iter::repeat_n(self.oov_token.clone(), self.num_oov_indices.min(count + 1)))
            .collect()
    }

    fn rules(&self) -> Rules<T> {
        // Vectors have no element at the largest index: what is masked counts nowhere.
        let masked = if self.output_mode == OutputMode::Int { 0 } else { i64::MAX };
        Rules {
            mask: self.mask_token.clone().map(|token| (token, masked)),
            unknown_start: i64::from(self.has_mask_index()),
            unknown: self.num_oov_indices,
            method: self.oov_method,
            salt: self.salt,
            start: self.start() as i64,
            oov_token: self.oov_token.clone(),
        }
    }

    /// The vocabulary: what was found, or what was given.
    fn known(&self) -> Result<Option<Arc<Vocabulary<T>>>> {
        let found = lock(&self.state.known).clone();
        let (None, Some(given)) = (&found, &self.vocabulary) else { return Ok(found) };
        let weights = self.checked_weights(given, self.idf_weights.as_deref())?;
        self.replace(self.checked(given)?, weights, false)?;
        Ok(lock(&self.state.known).clone())
    }

    fn replace(&self, vocabulary: Vocabulary<T>, weights: Option<Array>, is_fixed: bool) -> Result<()> {
        let mut known = lock(&self.state.known);
        let sized = is_fixed && self.output_mode != OutputMode::Int && !self.pad_to_max_tokens;
        let (new, old) = (vocabulary.terms().len(), known.as_ref().map(|v| v.terms().len()));
        if let Some(old) = old.filter(|&old| sized && old != new) {
            return Err(Error::argument(
                "vocabulary",
                format!("{new} terms in place of {old} change the size of vectors, for which the model is made"),
                "adapt before the layer is called, or set pad_to_max_tokens",
            ));
        }
        *known = Some(Arc::new(vocabulary));
        if let Some(weights) = weights {
            self.set_weights(weights)?;
        }
        Ok(())
    }

    fn set_weights(&self, weights: Array) -> Result<()> {
        let mut variable = lock(&self.state.weights);
        match variable.as_ref().filter(|v| v.shape() == weights.shape()) {
            Some(variable) => variable.assign(weights)?,
            None => *variable = Some(Variable::state("idf_weights", weights)),
        }
        Ok(())
    }

    /// The weights of a vocabulary that was given: of its terms, or also of the tokens before them.
    fn checked_weights(&self, terms: &[T], weights: Option<&[f64]>) -> Result<Option<Array>> {
        let wrong = |what: String, fix: &str| Err(Error::argument("idf_weights", what, fix));
        match (self.output_mode == OutputMode::TfIdf, weights) {
            (false, None) => Ok(None),
            (false, Some(_)) => wrong("only OutputMode::TfIdf has weights".into(), "leave them out"),
            (true, None) => wrong("OutputMode::TfIdf weighs terms".into(), "give a weight for each term, or adapt"),
            (true, Some(weights)) if weights.len() != terms.len() => {
                wrong(format!("{} weights for {} terms", weights.len(), terms.len()), "give one for each term")
            }
            (true, Some(weights)) => {
                let (complete, _) = after_special(terms, &self.special(terms.len()));
                self.padded_weights(weights, complete).map(Some)
            }
        }
    }

    /// Weights with those of the tokens before the terms, the mean of all unless they are there, and zeros up to
    /// `max_tokens`.
    fn padded_weights(&self, weights: &[f64], complete: bool) -> Result<Array> {
        let mean = weights.iter().sum::<f64>() / weights.len().max(1) as f64;
        let before = if complete { 0 } else { self.start() };
        let most = self.max_tokens.filter(|_| self.pad_to_max_tokens).unwrap_or(0);
        afford(before.saturating_add(weights.len()).max(most))?;
        let mut padded = vec![mean; before];
        padded.extend_from_slice(weights);
        padded.resize(most.max(padded.len()), 0.0);
        Ok(Array::new([padded.len()], padded).cast(floatx()))
    }

    /// The terms among `given`, which may begin with mask and oov tokens.
    fn checked(&self, given: &[T]) -> Result<Vocabulary<T>> {
        let wrong = |what: String, fix: &str| Err(Error::argument("vocabulary", what, fix));
        if given.is_empty() {
            return wrong("it is empty".into(), "give at least one term");
        }
        let special = self.special(given.len());
        let (_, terms) = after_special(given, &special);
        let vocabulary = Vocabulary::new(terms.to_vec());
        if let Some(term) = vocabulary.repeated() {
            return wrong(format!("it has {term:?} more than once"), "give each term once");
        }
        let reserved = self.mask_token.iter().chain(Some(&self.oov_token).filter(|_| self.invert));
        if let Some(token) = reserved.into_iter().find(|token| vocabulary.has(token)) {
            let fix = format!("leave mask and oov tokens out, or begin with {special:?}");
            return wrong(format!("the reserved token {token:?} is among the terms"), &fix);
        }
        let size = self.start().saturating_add(terms.len());
        match self.max_tokens.filter(|&most| size > most) {
            Some(most) => wrong(format!("its size is {size}, above max_tokens {most}"), "give fewer terms"),
            None => Ok(vocabulary),
        }
    }

    /// Refuses what no lookup can do.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |argument: &str, what: String, fix: &str| Err(Error::argument(argument, what, fix));
        if let Some(most) = self.max_tokens.filter(|&n| n <= 1) {
            return wrong("max_tokens", format!("{most} leaves no room for terms"), "give at least 2");
        }
        if self.pad_to_max_tokens && self.max_tokens.is_none() {
            return wrong("pad_to_max_tokens", "there are no max_tokens to pad to".into(), "set max_tokens");
        }
        if self.salt.is_some() && self.oov_method != OovMethod::FarmHash && !T::ALWAYS_HASHED {
            return wrong("salt", "only hashes have a salt".into(), "set oov_method to FarmHash");
        }
        if self.invert && self.output_mode != OutputMode::Int {
            return wrong("invert", "terms that are looked up have no vectors".into(), "leave output_mode out");
        }
        if self.vocabulary_dtype != T::vocabulary_dtype() {
            return wrong("vocabulary_dtype", format!("it is {:?}", self.vocabulary_dtype), "only int64 is known");
        }
        if self.encoding.as_deref().is_some_and(|e| !is_utf8(e)) {
            let what = format!("{:?} is not read", self.encoding);
            return Err(Error::unsupported("encoding", what, "use utf-8"));
        }
        if self.sparse {
            return Err(Error::unsupported(T::CLASS, "sparse output is not there", "use dense output"));
        }
        if self.output_mode == OutputMode::TfIdf && self.vocabulary.is_some() && self.idf_weights.is_none() {
            return wrong("idf_weights", "OutputMode::TfIdf weighs terms".into(), "give a weight for each term");
        }
        Ok(())
    }

    /// Checks the configuration and the vocabulary in it.
    pub(super) fn build(&self) -> Result<()> {
        self.check()?;
        self.known().map(|_| ())
    }

    /// The size of vectors.
    fn depth(&self) -> Result<usize> {
        if self.output_mode == OutputMode::Int {
            return Ok(0);
        }
        if let Some(most) = self.max_tokens.filter(|_| self.pad_to_max_tokens) {
            return Ok(most);
        }
        let size = self.known()?.map(|v| v.terms().len() + self.start()).or(self.vocabulary_size);
        size.ok_or_else(|| Error::argument(T::CLASS, "there is no vocabulary", NO_VOCABULARY))
    }

    /// From terms to the form of the result.
    pub(super) fn lookup(&self) -> Result<Lookup<T>> {
        let dtype = if self.output_mode == OutputMode::TfIdf { floatx() } else { DType::I64 };
        Ok(Lookup::new(&self.state.known, self.rules(), self.output_mode, self.depth()?, dtype))
    }

    /// The result of a layer for terms, or with `invert` for indices.
    pub(super) fn forward(&self, x: &Tensor, cx: &Context) -> Result<Tensor> {
        if self.invert {
            let width = match self.known()? {
                Some(vocabulary) if !cx.symbolic => Some(vocabulary.width(&self.rules())),
                None if !cx.symbolic => {
                    return Err(Error::argument(T::CLASS, "there is no vocabulary", NO_VOCABULARY));
                }
                _ => None,
            };
            let inverse = Inverse::new(&self.state.known, self.rules(), width);
            let terms = Tensor::apply(CustomCall { target: Arc::new(inverse) }, &[&x.cast(DType::I64)]);
            return terms.check().cloned();
        }
        let encoded = Tensor::apply(CustomCall { target: Arc::new(self.lookup()?) }, &[x]);
        self.weighed(encoded.check()?)
    }

    /// Counts times weights, if the layer weighs them.
    pub(super) fn weighed(&self, counts: &Tensor) -> Result<Tensor> {
        if self.output_mode != OutputMode::TfIdf {
            return Ok(counts.clone());
        }
        let weighed = counts * self.weights()?.value();
        weighed.check().cloned()
    }

    /// The weights; zeros for those that are still to be loaded.
    fn weights(&self) -> Result<Variable> {
        let depth = self.depth()?;
        let mut weights = lock(&self.state.weights);
        if weights.is_none() {
            afford(depth)?;
        }
        Ok(weights.get_or_insert_with(|| Variable::state("idf_weights", Array::zeros(floatx(), [depth]))).clone())
    }

    /// What is saved beside the configuration and the vocabulary.
    pub(super) fn saved_variables(&self) -> Vec<Variable> {
        if self.output_mode != OutputMode::TfIdf {
            return Vec::new();
        }
        // Without a vocabulary there is nothing to save.
        self.weights().into_iter().collect()
    }

    /// The configuration with the size of the vocabulary that is there.
    pub(super) fn config(&self, name: &str, base: &Base) -> Value {
        let mut own = crate::saving::config_of(self);
        // What cannot be read is refused when the layer is built.
        let size = self.known().ok().flatten().map(|v| v.terms().len() + self.start()).or(self.vocabulary_size);
        own["vocabulary_size"] = json!(size);
        config_with(name, base, own)
    }

    /// The vocabulary's file, unless the configuration has it.
    pub(super) fn assets(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        if self.vocabulary.is_some() {
            return Ok(BTreeMap::new());
        }
        Ok(BTreeMap::from([(ASSET.to_owned(), lines(&self.get_vocabulary(true)?))]))
    }

    /// Takes the vocabulary's file; weights come from `model.weights.h5`.
    pub(super) fn load_assets(&self, assets: &BTreeMap<String, Vec<u8>>) -> Result<()> {
        let Some(bytes) = assets.get(ASSET).filter(|_| self.vocabulary.is_none()) else { return Ok(()) };
        let terms = parse_lines::<T>(ASSET, bytes)?;
        if terms.is_empty() {
            return Ok(());
        }
        self.replace(self.checked(&terms)?, None, false)
    }
}

/// What layers of a field `lookup: IndexLookup` have in common, whatever their terms are: builders and methods. Documentation calls
/// the terms by `$terms`.
macro_rules! lookup_methods {
    ($name:ident, $term:ty, $terms:literal) => {
        impl $name {
            /// For `OutputMode::TfIdf`: what the counts of each term of the vocabulary are multiplied by.
            pub fn idf_weights(mut self, idf_weights: impl Into<Vec<f64>>) -> $name {
                self.lookup.idf_weights = Some(idf_weights.into());
                self
            }

            /// The largest size of the vocabulary, mask and oov indices included; any unless said.
            pub fn max_tokens(mut self, max_tokens: usize) -> $name {
                self.lookup.max_tokens = Some(max_tokens);
                self
            }

            #[doc = concat!("How many indices ", $terms, " have that are no terms; 1 unless said. With 0 they are refused.")]
            pub fn num_oov_indices(mut self, num_oov_indices: usize) -> $name {
                self.lookup.num_oov_indices = num_oov_indices;
                self
            }

            /// Whether indices are looked up; not unless said.
            pub fn invert(mut self, invert: bool) -> $name {
                self.lookup.invert = invert;
                self
            }

            /// The form of the result; indices unless said.
            pub fn output_mode(mut self, output_mode: OutputMode) -> $name {
                self.lookup.output_mode = output_mode;
                self
            }

            /// Whether vectors have `max_tokens` elements whatever the size of the vocabulary; not unless said.
            pub fn pad_to_max_tokens(mut self, pad_to_max_tokens: bool) -> $name {
                self.lookup.pad_to_max_tokens = pad_to_max_tokens;
                self
            }

            #[doc = concat!("Hashes ", $terms, " that are no terms in another way for each salt; without one unless said.")]
            pub fn salt(mut self, salt: [u64; 2]) -> $name {
                self.lookup.salt = Some(salt);
                self
            }

            #[doc = concat!("Finds the vocabulary: the ", $terms, " in `data`, the most frequent first, and of those as ")]
            /// frequent the larger first.
            ///
            /// # Errors
            /// If the vocabulary was given, or has another size than the vectors that the layer has given already.
            pub fn adapt(&self, data: &rhyton_ir::Array) -> crate::error::Result<()> {
                self.lookup.adapt(data, self.base.built())
            }

            #[doc = concat!("Counts the ", $terms, " in more data; [`finalize_state`](Self::finalize_state) makes the ")]
            /// vocabulary of them.
            ///
            /// # Errors
            /// If the vocabulary was given.
            pub fn update_state(&self, data: &rhyton_ir::Array) -> crate::error::Result<()> {
                self.lookup.update_state(data)
            }

            /// Makes the vocabulary of what was counted since the last time.
            ///
            /// # Errors
            /// As [`adapt`](Self::adapt).
            pub fn finalize_state(&self) -> crate::error::Result<()> {
                self.lookup.finalize_state(self.base.built())
            }

            /// The term at each index, mask and oov tokens included; empty if there is no vocabulary yet.
            ///
            /// # Errors
            /// If the vocabulary that was given is none.
            pub fn get_vocabulary(&self) -> crate::error::Result<Vec<$term>> {
                self.lookup.get_vocabulary(true)
            }

            /// How many indices there are, those of mask and oov tokens included.
            ///
            /// # Errors
            /// If the vocabulary that was given is none.
            pub fn vocabulary_size(&self) -> crate::error::Result<usize> {
                self.lookup.size()
            }
        }
    };
}
pub(super) use lookup_methods;

/// The methods of [`Layer`](crate::layers::Layer) that such layers have in common.
macro_rules! lookup_layer_methods {
    () => {
        fn build(&self, _: &$crate::layers::InputShapes) -> $crate::error::Result<()> {
            self.lookup.build()
        }

        fn autocasts_inputs(&self) -> bool {
            false
        }

        fn config(&self) -> serde_json::Value {
            self.lookup.config(self.name(), &self.base)
        }

        /// Keras stores an empty one.
        fn build_config(&self) -> Option<serde_json::Value> {
            Some(serde_json::json!({}))
        }

        fn build_from_config(&self, _: &serde_json::Value) -> $crate::error::Result<()> {
            self.build(&$crate::layers::InputShapes::default())
        }

        fn assets(&self) -> $crate::error::Result<std::collections::BTreeMap<String, Vec<u8>>> {
            self.lookup.assets()
        }

        fn load_assets(&self, assets: &std::collections::BTreeMap<String, Vec<u8>>) -> $crate::error::Result<()> {
            self.lookup.load_assets(assets)
        }

        fn saved_variables(&self) -> Vec<$crate::variable::Variable> {
            self.lookup.saved_variables()
        }

        fn saved_name(&self, _: usize) -> String {
            "idf_weights".into()
        }
    };
}
pub(super) use lookup_layer_methods;

/// Refuses more weights than memory, or the file that is being read, can hold.
fn afford(weights: usize) -> Result<()> {
    crate::saving::budget::spend("idf_weights", &[weights], floatx())?;
    Vec::<f64>::new().try_reserve_exact(weights).map_err(|_| {
        Error::argument(
            "idf_weights",
            format!("{weights} weights do not fit into memory"),
            "choose smaller num_oov_indices and max_tokens",
        )
    })
}

fn is_utf8(encoding: &str) -> bool {
    matches!(encoding.to_lowercase().as_str(), "utf-8" | "utf8" | "utf_8")
}
