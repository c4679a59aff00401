//! `TextVectorization`: texts as the indices of their words, or as vectors.

use std::collections::BTreeMap;
use std::sync::Arc;

use rhyton_ir::op::{CustomCall, HostFunction};
use rhyton_ir::{Array, DType, Dim, Shape, TensorType};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::term::Term;
use super::tokens::{Ngrams, Split, Standardize, joined, split, standardized};
use super::vocabulary::{Lookup, read};
use super::{OutputMode, StringLookup};
use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::{Base, Context, InputShapes, Layer, LayerRef, TextInput, config_with, make, unknown_dim};
use crate::nest::{Args, Nest};
use crate::tensor::Tensor;
use crate::text;
use crate::variable::Variable;

/// The indices of the tokens of each text, or for each text a vector of them.
///
/// Texts are standardized (lower case, no punctuation), split into tokens (at white space), joined to runs if `ngrams` says so,
/// and looked up in a vocabulary, which is given or found from data by [`adapt`](TextVectorization::adapt). Index 0 is for what
/// is filled up, and 1 for tokens that are no terms; vectors have no element for the former.
///
/// # Shapes
/// Texts `(batch)` or `(batch, 1)` (the bytes of texts are no axis) give `(batch, output_sequence_length)`, or as many columns as
/// the longest of these texts has tokens; vectors are `(batch, size of the vocabulary)`. Without `split`, each text is a token.
///
/// # Dtypes
/// `int64`; with `OutputMode::TfIdf` `float32`.
///
/// # Errors
/// If there is no vocabulary; if the input is no texts, or has several in a row that would have to be split; if `ragged` or
/// `sparse` results are asked for, which are not there. Without `output_sequence_length` the layer is not compiled: models that
/// have it run layer by layer.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let layer = TextVectorization::new().output_sequence_length(4);
/// layer.adapt(&text::encode(["The cat sat.", "The dog!"]))?;
/// assert_eq!(layer.get_vocabulary()?, ["", "[UNK]", "the", "sat", "dog", "cat"]);
/// let y = layer.call(&Tensor::from(text::encode(["the cat barked"])));
/// assert_eq!(y.to_vec::<i64>()?, [2, 5, 1, 0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Settings", into = "Settings")]
pub struct TextVectorization {
    base: Base,
    settings: Settings,
    lookup: StringLookup,
}

/// The configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    max_tokens: Option<usize>,
    standardize: Option<Standardize>,
    split: Option<Split>,
    ngrams: Option<Ngrams>,
    output_mode: OutputMode,
    output_sequence_length: Option<usize>,
    pad_to_max_tokens: bool,
    sparse: bool,
    ragged: bool,
    vocabulary: Option<Vec<String>>,
    idf_weights: Option<Vec<f64>>,
    encoding: String,
    vocabulary_size: Option<usize>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            max_tokens: None,
            standardize: Some(Standardize::LowerAndStripPunctuation),
            split: Some(Split::Whitespace),
            ngrams: None,
            output_mode: OutputMode::Int,
            output_sequence_length: None,
            pad_to_max_tokens: false,
            sparse: false,
            ragged: false,
            vocabulary: None,
            idf_weights: None,
            encoding: "utf-8".into(),
            vocabulary_size: None,
        }
    }
}

impl Settings {
    /// The lookup of the tokens.
    fn lookup(&self) -> StringLookup {
        let mut layer = StringLookup::new();
        let lookup = &mut layer.lookup;
        lookup.max_tokens = self.max_tokens;
        lookup.mask_token = Some(String::new());
        lookup.output_mode = self.output_mode;
        lookup.pad_to_max_tokens = self.pad_to_max_tokens;
        lookup.sparse = self.sparse;
        lookup.vocabulary = self.vocabulary.clone();
        lookup.idf_weights = self.idf_weights.clone();
        lookup.encoding = Some(self.encoding.clone());
        lookup.vocabulary_size = self.vocabulary_size;
        layer
    }
}

keras_layer!(TextVectorization);

impl From<Settings> for TextVectorization {
    fn from(settings: Settings) -> TextVectorization {
        TextVectorization { base: Base::default(), lookup: settings.lookup(), settings }
    }
}

impl From<TextVectorization> for Settings {
    fn from(layer: TextVectorization) -> Settings {
        layer.settings
    }
}

impl Default for TextVectorization {
    fn default() -> TextVectorization {
        Settings::default().into()
    }
}

impl TextVectorization {
    /// Words in lower case, at white space, whose vocabulary is given or found by [`adapt`](TextVectorization::adapt).
    pub fn new() -> TextVectorization {
        TextVectorization::default()
    }

    /// Sets one argument, for which the lookup is made anew.
    fn set(mut self, change: impl FnOnce(&mut Settings)) -> TextVectorization {
        change(&mut self.settings);
        self.lookup = self.settings.lookup();
        self
    }

    /// The largest size of the vocabulary, the indices of what is filled up and of unknown tokens included; any unless said.
    pub fn max_tokens(self, max_tokens: usize) -> TextVectorization {
        self.set(|s| s.max_tokens = Some(max_tokens))
    }

    /// What is done to texts before they are split; lower case without punctuation unless said, `None` for nothing.
    pub fn standardize(self, standardize: impl Into<Option<Standardize>>) -> TextVectorization {
        let standardize = standardize.into();
        self.set(|s| s.standardize = standardize)
    }

    /// Where texts are split; at white space unless said, `None` for nowhere.
    pub fn split(self, split: impl Into<Option<Split>>) -> TextVectorization {
        let split = split.into();
        self.set(|s| s.split = split)
    }

    /// How many tokens are joined; none unless said. `2` stands for tokens and pairs, `[2, 3]` for pairs and triples.
    pub fn ngrams(self, ngrams: impl Into<Ngrams>) -> TextVectorization {
        let ngrams = ngrams.into();
        self.set(|s| s.ngrams = Some(ngrams))
    }

    /// The form of the result; indices unless said.
    pub fn output_mode(self, output_mode: OutputMode) -> TextVectorization {
        self.set(|s| s.output_mode = output_mode)
    }

    /// For indices: to how many each text is cut or filled up; that of the longest text of a batch unless said.
    pub fn output_sequence_length(self, length: usize) -> TextVectorization {
        self.set(|s| s.output_sequence_length = Some(length))
    }

    /// Whether vectors have `max_tokens` elements whatever the size of the vocabulary; not unless said.
    pub fn pad_to_max_tokens(self, pad_to_max_tokens: bool) -> TextVectorization {
        self.set(|s| s.pad_to_max_tokens = pad_to_max_tokens)
    }

    /// The terms in order; found by `adapt` unless given.
    pub fn vocabulary(self, vocabulary: impl IntoIterator<Item = impl Into<String>>) -> TextVectorization {
        let vocabulary = vocabulary.into_iter().map(Into::into).collect();
        self.set(|s| s.vocabulary = Some(vocabulary))
    }

    /// For `OutputMode::TfIdf`: what the counts of each term of the vocabulary are multiplied by.
    pub fn idf_weights(self, idf_weights: impl Into<Vec<f64>>) -> TextVectorization {
        let idf_weights = idf_weights.into();
        self.set(|s| s.idf_weights = Some(idf_weights))
    }

    /// Finds the vocabulary: the tokens of texts, the most frequent first, and of those as frequent the larger first.
    ///
    /// # Errors
    /// If the vocabulary was given, or has another size than the vectors that the layer has given already; if `texts` are none.
    pub fn adapt(&self, texts: &Array) -> Result<()> {
        self.lookup.lookup.reset_state();
        self.update_state(texts)?;
        self.finalize_state()
    }

    /// Counts the tokens of more texts; [`finalize_state`](TextVectorization::finalize_state) makes the vocabulary of them.
    ///
    /// # Errors
    /// If the vocabulary was given, or `texts` are none.
    pub fn update_state(&self, texts: &Array) -> Result<()> {
        self.check()?;
        let (shape, texts) = String::read(texts)?;
        let tokens = self.tokenizer().rows(&shape, &texts)?;
        let examples: Vec<&[String]> = match tokens.as_slice() {
            // Without a split, the texts of one axis are an example each.
            [only] if self.settings.split.is_none() && shape.len() < 2 => only.chunks(1).collect(),
            rows => rows.iter().map(Vec::as_slice).collect(),
        };
        self.lookup.lookup.count(examples)
    }

    /// Makes the vocabulary of what was counted since the last time.
    ///
    /// # Errors
    /// As [`TextVectorization::adapt`].
    pub fn finalize_state(&self) -> Result<()> {
        self.lookup.lookup.finalize_state(self.base.built())
    }

    /// Sets the vocabulary, and for `OutputMode::TfIdf` the weight of each of its terms.
    ///
    /// # Errors
    /// If it is none, or has another size than the vectors that the layer has given already.
    pub fn set_vocabulary(&self, vocabulary: &[impl AsRef<str>], idf_weights: Option<&[f64]>) -> Result<()> {
        let vocabulary: Vec<String> = vocabulary.iter().map(|term| term.as_ref().to_owned()).collect();
        self.lookup.lookup.set_vocabulary(&vocabulary, idf_weights, self.base.built())
    }

    /// The term at each index, those for what is filled up and for unknown tokens included.
    ///
    /// # Errors
    /// If the vocabulary that was given is none.
    pub fn get_vocabulary(&self) -> Result<Vec<String>> {
        self.lookup.get_vocabulary()
    }

    /// How many indices there are, those for what is filled up and for unknown tokens included.
    ///
    /// # Errors
    /// If the vocabulary that was given is none.
    pub fn vocabulary_size(&self) -> Result<usize> {
        self.lookup.vocabulary_size()
    }

    /// Whether the vocabulary was given.
    pub(super) fn is_given(&self) -> bool {
        self.settings.vocabulary.is_some()
    }

    fn check(&self) -> Result<()> {
        let settings = &self.settings;
        let wrong = |argument: &str, what: &str, fix: &str| Err(Error::argument(argument, what, fix));
        if settings.ragged {
            let what = "ragged tensors are not there";
            return Err(Error::unsupported("ragged", what, "leave it out: rows are filled up with zeros"));
        }
        if settings.output_mode != OutputMode::Int && settings.output_sequence_length.is_some() {
            return wrong("output_sequence_length", "vectors have no sequence", "leave it out");
        }
        if settings.output_mode == OutputMode::OneHot && settings.split.is_some() {
            return wrong("output_mode", "texts of several tokens have no one-hot form", "use OutputMode::MultiHot");
        }
        if settings.ngrams.as_ref().is_some_and(|n| !n.is_valid()) {
            return wrong("ngrams", "there are no runs of 0 tokens", "give at least 1");
        }
        self.lookup.lookup.check()
    }

    fn tokenizer(&self) -> Tokenizer {
        Tokenizer {
            standardize: self.settings.standardize,
            split: self.settings.split,
            ngrams: self.settings.ngrams.clone(),
        }
    }
}

/// Rebuilds the layer; functions of Python in its place are refused.
pub(super) fn from_config(config: Value) -> Result<LayerRef> {
    for argument in ["standardize", "split"] {
        if config.get(argument).is_some_and(Value::is_object) {
            return Err(Error::unsupported(
                argument,
                "it is a function of Python, which is never run",
                "save the layer with one of Keras's own ways, and do the rest to texts before the model",
            ));
        }
    }
    make::<TextVectorization>(config)
}

impl Layer for TextVectorization {
    fn build(&self, _: &InputShapes) -> Result<()> {
        self.check()?;
        self.lookup.lookup.build()
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        let x = text::expect(inputs.tensor()?, "TextVectorization")?;
        let lookup = self.lookup.lookup.lookup()?;
        let tokenizer = self.tokenizer();
        let name = format!("{}_{tokenizer:?}_{:?}", lookup.name(), self.settings.output_sequence_length);
        let length = self.settings.output_sequence_length;
        let vectorize = Vectorize { tokenizer, lookup, mode: self.settings.output_mode, length, name };
        if self.supports_jit() || cx.symbolic {
            let encoded = Tensor::apply(CustomCall { target: Arc::new(vectorize) }, &[x]);
            return Ok(self.lookup.lookup.weighed(encoded.check()?)?.into());
        }
        let fix = "set output_sequence_length, so that the function can be compiled";
        let texts = x.eval().map_err(|e| {
            Error::unsupported("TextVectorization", format!("the length of the result hangs on the texts: {e}"), fix)
        })?;
        let indices = vectorize.call(&[&texts])?.swap_remove(0);
        Ok(Tensor::from(indices).into())
    }

    fn children(&self) -> Vec<(String, LayerRef)> {
        vec![("_lookup_layer".into(), Arc::new(self.lookup.clone()))]
    }

    fn text_input(&self) -> TextInput {
        TextInput::Always
    }

    /// Where rows are as long as the longest, the shape hangs on the texts.
    fn supports_jit(&self) -> bool {
        let settings = &self.settings;
        settings.output_mode != OutputMode::Int || settings.output_sequence_length.is_some() || settings.split.is_none()
    }

    fn autocasts_inputs(&self) -> bool {
        false
    }

    fn config(&self) -> Value {
        let mut own = crate::saving::config_of(self);
        // A vocabulary that is none is refused when the layer is built.
        own["vocabulary_size"] = json!(self.vocabulary_size().ok());
        config_with(self.name(), &self.base, own)
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

    fn saved_name(&self, index: usize) -> String {
        self.lookup.saved_name(index)
    }
}

/// From texts to tokens.
#[derive(Clone, Debug)]
struct Tokenizer {
    standardize: Option<Standardize>,
    split: Option<Split>,
    /// The lengths of runs of tokens.
    ngrams: Option<Ngrams>,
}

impl Tokenizer {
    /// The tokens of each row of texts of `shape`: of each text, or without a split of the texts along the last axis.
    fn rows(&self, shape: &[usize], texts: &[String]) -> Result<Vec<Vec<String>>> {
        let standard = texts.iter().map(|t| standardized(t, self.standardize));
        let rows: Vec<Vec<String>> = match self.split {
            Some(at) => {
                split_rank(&Shape::from(shape))?;
                standard.map(|t| split(&t, at)).collect()
            }
            None => {
                let standard: Vec<String> = standard.collect();
                standard.chunks(shape.last().copied().unwrap_or(1).max(1)).map(<[String]>::to_vec).collect()
            }
        };
        Ok(match &self.ngrams {
            Some(ngrams) => rows.iter().map(|tokens| joined(tokens, ngrams)).collect(),
            None => rows,
        })
    }

    /// The shape of the rows, and how many tokens each has, if that hangs on the shape alone.
    fn rows_of(&self, shape: &Shape) -> Result<(Vec<Dim>, Option<Dim>)> {
        if self.split.is_some() {
            return Ok((shape[..split_rank(shape)?].to_vec(), None));
        }
        let Some((last, outer)) = shape.split_last() else { return Ok((Vec::new(), None)) };
        let tokens = match (&self.ngrams, last.known()) {
            (None, _) => Some(last.clone()),
            (Some(ngrams), Some(n)) => Some(Dim::Known(ngrams.widths(n).iter().map(|width| n + 1 - width).sum())),
            (Some(_), None) => None,
        };
        Ok((outer.to_vec(), tokens))
    }
}

/// How many axes texts to be split have, but for one of size 1.
fn split_rank(shape: &Shape) -> Result<usize> {
    match shape.rank() {
        rank @ (0 | 1) => Ok(rank),
        2 if shape[1].known().is_none_or(|n| n == 1) => Ok(1),
        _ => Err(Error::shape(
            "TextVectorization",
            format!("texts of shape {shape} cannot be split"),
            "give texts of shape (batch) or (batch, 1), or set split to None",
        )),
    }
}

/// From texts to indices or vectors, on the host.
#[derive(Debug)]
struct Vectorize {
    tokenizer: Tokenizer,
    lookup: Lookup<String>,
    mode: OutputMode,
    length: Option<usize>,
    name: String,
}

impl HostFunction for Vectorize {
    fn name(&self) -> &str {
        &self.name
    }

    fn infer(&self, inputs: &[&TensorType]) -> rhyton_ir::Result<Vec<TensorType>> {
        let texts: Shape = inputs[0].shape[..inputs[0].rank().saturating_sub(1)].iter().cloned().collect();
        let (mut shape, tokens) = self.tokenizer.rows_of(&texts).map_err(|e| failed(&e))?;
        if texts.rank() > 0 || self.tokenizer.split.is_some() {
            let length = self.length.filter(|_| self.mode == OutputMode::Int).map(Dim::Known);
            shape.push(length.or(tokens).unwrap_or_else(|| unknown_dim(1)));
        }
        Ok(vec![self.lookup.encoded_type(&TensorType::new(DType::I64, Shape::from(shape)))])
    }

    fn call(&self, inputs: &[&Array]) -> rhyton_ir::Result<Vec<Array>> {
        let (shape, texts) = read::<String>(inputs[0])?;
        let rows = self.tokenizer.rows(&shape, &texts).map_err(|e| failed(&e))?;
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        // What is filled up is index 0, and counts nowhere in vectors.
        let (length, filler) = match self.mode {
            OutputMode::Int => (self.length.unwrap_or(longest), 0),
            _ => (longest, i64::MAX),
        };
        let mut indices = Vec::with_capacity(rows.len() * length);
        for row in &rows {
            indices.extend(self.lookup.indices(row.iter().take(length))?);
            indices.resize(indices.len() + length.saturating_sub(row.len()), filler);
        }
        let outer = self.tokenizer.rows_of(&Shape::from(shape.as_slice())).map_err(|e| failed(&e))?.0;
        let mut shape_of_indices: Vec<usize> = outer.iter().filter_map(Dim::known).collect();
        if !shape.is_empty() || self.tokenizer.split.is_some() {
            shape_of_indices.push(length);
        }
        Ok(vec![self.lookup.encode(indices, &shape_of_indices)])
    }
}

fn failed(error: &Error) -> rhyton_ir::Error {
    rhyton_ir::Error::execution("TextVectorization", error.to_string(), "give other texts")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Call;
    use crate::prelude::{Dense, Embedding, Fit, GlobalAveragePooling1D, Input, Model, SGD, Sequential};
    use crate::saving::load_model;
    use crate::testing::check_layer;
    use crate::trainer::Data;

    #[test]
    fn agrees_with_keras() {
        check_layer("text_vectorization");
    }

    fn sentences() -> Array {
        text::encode(["The cat sat, on the mat.", "A dog! barked", "the dog sat"])
    }

    #[test]
    fn a_model_of_texts_trains_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.keras");
        for length in [Some(5), None] {
            let layer = TextVectorization::new().max_tokens(20);
            let layer = match length {
                Some(length) => layer.output_sequence_length(length),
                None => layer,
            };
            layer.adapt(&sentences()).unwrap();
            let input = Input::new([1]).string();
            let x = Embedding::new(20, 3).call(layer.call(&input));
            let y = Dense::new(1).call(GlobalAveragePooling1D::new().call(&x));
            let model = Model::new(&input, &y).unwrap();
            model.compile(SGD::new(0.1), "mse", [] as [&str; 0]).unwrap();
            let data = Data::new(sentences(), Array::new([3, 1], vec![1.0f32, 0.0, 0.5]));
            let history = model.fit(&data, Fit::new().epochs(3).verbose(0)).unwrap();
            assert!(history.history["loss"][2].number().unwrap() < history.history["loss"][0].number().unwrap());
            model.save(&path).unwrap();
            let loaded = load_model(&path).unwrap();
            assert_eq!(loaded.to_json(), model.to_json());
            assert_eq!(loaded.predict(sentences()).unwrap(), model.predict(sentences()).unwrap());
            assert!(model.summary().contains(if length.is_some() { "(None, 5)" } else { "(None, None)" }));
        }
    }

    #[test]
    fn weighed_counts_are_saved() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.keras");
        let layer = TextVectorization::new().output_mode(OutputMode::TfIdf);
        layer.adapt(&sentences()).unwrap();
        // The stack learns from its first layer that its input is texts.
        let model = Sequential::new().add(layer).add(Dense::new(2));
        let y = model.predict(sentences()).unwrap();
        model.save(&path).unwrap();
        assert_eq!(load_model(&path).unwrap().predict(sentences()).unwrap(), y);
    }

    #[test]
    fn mistakes_are_named() {
        let error = |layer: TextVectorization| {
            let texts = text::encode_shaped(&[1, 2], ["a", "b"]).unwrap();
            layer.call(Tensor::from(texts)).eval().unwrap_err().to_string()
        };
        let given = || TextVectorization::new().vocabulary(["a"]);
        assert!(error(given()).contains("cannot be split"), "{}", error(given()));
        assert!(error(given().output_mode(OutputMode::OneHot)).contains("one-hot"));
        assert!(error(given().output_mode(OutputMode::Count).output_sequence_length(2)).contains("sequence"));
        assert!(error(given().ngrams(0)).contains("runs of 0"));
        let ragged = from_config(json!({"ragged": true, "vocabulary": ["a"]})).unwrap();
        let error = ragged.call(Tensor::from(text::encode(["a"]))).eval().unwrap_err().to_string();
        assert!(error.contains("ragged tensors are not there"), "{error}");
        let function = json!({"split": {"module": "builtins", "class_name": "function", "config": "f"}});
        assert!(from_config(function).unwrap_err().to_string().contains("never run"));
    }

    #[test]
    fn a_compiled_function_needs_a_length() {
        let layer = TextVectorization::new().vocabulary(["a"]);
        let program = crate::jit(|x| Ok(vec![layer.call(&x[0])]));
        let error = program.call(&[Tensor::from(text::encode(["a"]))]).unwrap_err().to_string();
        assert!(error.contains("output_sequence_length"), "{error}");
    }
}
