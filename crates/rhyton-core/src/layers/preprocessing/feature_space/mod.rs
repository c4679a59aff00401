//! `FeatureSpace`: tables of numbers and texts as vectors.

mod feature;
mod parts;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use indexmap::IndexMap;
use rhyton_ir::{Array, DType};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::OutputMode;
use crate::error::{Error, Result};
use crate::keras_layer_object;
use crate::layers::{
    Base, CategoryEncoding, Context, Discretization, HashedCrossing, Input, InputShapes, IntegerLookup, Layer,
    LayerObject, LayerRef, Normalization, StringLookup, TextInput, TextVectorization, call_layer,
};
use crate::model::Model;
use crate::nest::{Args, Nest};
use crate::ops;
use crate::tensor::Tensor;
use crate::text;
use crate::variable::Variable;

use feature::cardinality;
pub use feature::{Cross, Feature, FeatureMode};
pub(super) use parts::{TFDConcat, TFDIdentity};

/// The Python module of what only feature spaces have.
const MODULE: &str = "keras.src.layers.preprocessing.feature_space";

/// The form of the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpaceMode {
    /// All encoded features in one vector, in the order of their names, the crossings after them.
    #[default]
    Concat,
    /// A dictionary of the encoded features and crossings.
    Dict,
}

/// Encodes tables: each feature by a layer of its own, and combinations of features by hashes (Keras's `keras.utils.FeatureSpace`).
///
/// A feature space is a layer that takes a dictionary of columns: `(batch)` or `(batch, 1)` each, texts as
/// [`text::encode`](crate::text::encode) makes them. It learns vocabularies, means and bins from data by
/// [`adapt`](FeatureSpace::adapt). To train a model on it, build on [`get_encoded_features`](FeatureSpace::get_encoded_features);
/// to save it alone, save [`to_model`](FeatureSpace::to_model).
///
/// # Errors
/// If a column is missing, a crossing names a feature that there is not, a feature cannot be encoded as its mode says, or the
/// space has not been adapted.
///
/// # Examples
/// ```
/// use indexmap::IndexMap;
/// use rhyton_core::prelude::*;
///
/// let space = FeatureSpace::new([
///     ("size", Feature::float_rescaled(0.5, 0.0, Some("size"))),
///     ("colour", Feature::string_categorical(None, FeatureMode::OneHot, Some("colour"))),
/// ])?;
/// let table = IndexMap::from([
///     ("size".to_owned(), Array::new([2], vec![2.0f32, 4.0])),
///     ("colour".to_owned(), text::encode(["red", "blue"])),
/// ]);
/// space.adapt(&table)?;
/// // The unknown colour, red, blue; then the size.
/// assert_eq!(space.encode(&table)?.to_vec::<f32>()?, [0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 2.0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FeatureSpace {
    base: Base,
    features: IndexMap<String, Feature>,
    output_mode: SpaceMode,
    crosses: Vec<Cross>,
    crossing_dim: usize,
    hashing_dim: usize,
    num_discretization_bins: usize,
    crossers: IndexMap<String, LayerRef>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    adapted: OnceLock<()>,
    encoders: Mutex<IndexMap<String, LayerRef>>,
    concat: TFDConcat,
    inputs: OnceLock<IndexMap<String, Input>>,
    encoded: Mutex<Option<Nest>>,
}

impl FeatureSpace {
    /// Of these features, in one vector.
    ///
    /// # Errors
    /// If there are none.
    pub fn new(features: impl IntoIterator<Item = (impl Into<String>, Feature)>) -> Result<FeatureSpace> {
        let features: IndexMap<String, Feature> = features.into_iter().map(|(k, f)| (k.into(), f)).collect();
        if features.is_empty() {
            return Err(Error::argument("features", "there are none", "give at least one"));
        }
        Ok(FeatureSpace {
            base: Base::default(),
            features,
            output_mode: SpaceMode::Concat,
            crosses: Vec::new(),
            crossing_dim: 32,
            hashing_dim: 32,
            num_discretization_bins: 32,
            crossers: IndexMap::new(),
            state: Arc::default(),
        })
    }

    /// Names the space.
    pub fn name(self, name: &str) -> FeatureSpace {
        self.base.set_name(name);
        self
    }

    /// The form of the result; one vector unless said.
    pub fn output_mode(mut self, output_mode: SpaceMode) -> FeatureSpace {
        self.output_mode = output_mode;
        self
    }

    /// Adds crossings.
    ///
    /// # Errors
    /// If one names a feature that there is not.
    pub fn crosses(mut self, crosses: impl IntoIterator<Item = Cross>) -> Result<FeatureSpace> {
        for cross in crosses {
            if let Some(unknown) = cross.feature_names.iter().find(|name| !self.features.contains_key(*name)) {
                let known: Vec<&String> = self.features.keys().collect();
                let what = format!("there is no feature {unknown:?}, there are {known:?}");
                return Err(Error::argument("crosses", what, "name features of the space"));
            }
            let layer = HashedCrossing::new(cross.crossing_dim).name(&cross.name());
            self.crossers.insert(cross.name(), layer.share());
            self.crosses.push(cross);
        }
        Ok(self)
    }

    /// The layer that prepares each feature, by name.
    pub fn preprocessors(&self) -> IndexMap<String, LayerRef> {
        self.features.iter().map(|(name, feature)| (name.clone(), feature.preprocessor.clone())).collect()
    }

    /// The layer of each crossing, by name.
    pub fn crossers(&self) -> &IndexMap<String, LayerRef> {
        &self.crossers
    }

    /// Learns vocabularies, means and bins from a table: a column for each feature. As in Keras, bins are found from 32 rows at a
    /// time.
    ///
    /// # Errors
    /// If a column is missing, or does not fit the layer of its feature.
    pub fn adapt(&self, table: &IndexMap<String, Array>) -> Result<()> {
        for (name, feature) in self.features.iter().filter(|(_, f)| is_adaptable(&f.preprocessor)) {
            let column = table.get(name).ok_or_else(|| self.missing(name))?;
            let column = as_column(&Tensor::from(column.clone()), &feature.dtype).eval()?;
            adapt_layer(&feature.preprocessor, &column).map_err(|e| e.within(name))?;
        }
        let _ = self.state.adapted.set(());
        // What was made for what had been learnt before is made anew.
        self.encoders().clear();
        *self.state.encoded.lock().unwrap_or_else(|e| e.into_inner()) = None;
        Ok(())
    }

    /// The encoded rows of a table.
    ///
    /// # Errors
    /// See [`FeatureSpace`]; if the result is a dictionary: call the layer for that.
    pub fn encode(&self, table: &IndexMap<String, Array>) -> Result<Tensor> {
        let columns = table.iter().map(|(name, column)| (name.clone(), Nest::Tensor(column.clone().into()))).collect();
        call_layer(&self.share(), Args::new(Nest::Dict(columns)), &mut Context::default())?.single().cloned()
    }

    /// A symbol for each feature, by name.
    pub fn get_inputs(&self) -> Nest {
        let symbols = self.inputs().iter().map(|(name, input)| (name.clone(), Nest::from(input)));
        Nest::Dict(symbols.collect())
    }

    /// What becomes of the symbols of [`get_inputs`](FeatureSpace::get_inputs): the vector, or the dictionary.
    ///
    /// # Errors
    /// See [`FeatureSpace`].
    pub fn get_encoded_features(&self) -> Result<Nest> {
        let mut known = self.state.encoded.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(encoded) = &*known {
            return Ok(encoded.clone());
        }
        self.check_adapted()?;
        let columns = self.inputs().iter().map(|(name, input)| (name.clone(), input.symbol())).collect();
        let encoded = self.encoded(&columns, &mut Context::default())?;
        Ok(known.insert(encoded).clone())
    }

    /// The model from the columns to the encoded features.
    ///
    /// # Errors
    /// See [`FeatureSpace`].
    pub fn get_preprocessing_model(&self) -> Result<Model> {
        Model::new(self.get_inputs(), self.get_encoded_features()?)
    }

    /// The space as a model, to be saved; [`FeatureSpace::of_model`] finds it in a model that was loaded.
    ///
    /// # Errors
    /// See [`FeatureSpace`].
    pub fn to_model(&self) -> Result<Model> {
        self.get_encoded_features()?;
        let model = Model::subclass(self.clone());
        crate::layers::build_layer(&model, &InputShapes::default())?;
        Ok(model)
    }

    /// The space that a model is, if it is one.
    pub fn of_model(model: &Model) -> Option<FeatureSpace> {
        model.body_layer()?.as_any().downcast_ref::<FeatureSpace>().cloned()
    }

    fn inputs(&self) -> &IndexMap<String, Input> {
        self.state.inputs.get_or_init(|| {
            let input = |(name, feature): (&String, &Feature)| {
                let input = Input::new([1]).name(name);
                let input = match feature.dtype.parse::<DType>() {
                    Ok(dtype) => input.dtype(dtype),
                    Err(_) => input.string(),
                };
                (name.clone(), input)
            };
            self.features.iter().map(input).collect()
        })
    }

    fn missing(&self, name: &str) -> Error {
        Error::argument("FeatureSpace", format!("there is no column {name:?}"), "give one for each feature")
    }

    fn check_adapted(&self) -> Result<()> {
        if self.state.adapted.get().is_some() || !self.features.values().any(|f| is_adaptable(&f.preprocessor)) {
            return Ok(());
        }
        Err(Error::argument("FeatureSpace", "it has learnt nothing from data yet", "call adapt first"))
    }

    fn encoders(&self) -> MutexGuard<'_, IndexMap<String, LayerRef>> {
        self.state.encoders.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The encoder of the numbers that a feature or crossing is, made when it is first met.
    fn encoder(&self, name: &str, layer: &LayerRef) -> Result<LayerRef> {
        let mut encoders = self.encoders();
        if let Some(encoder) = encoders.get(name) {
            return Ok(Arc::clone(encoder));
        }
        let tokens = cardinality(layer)?.ok_or_else(|| {
            let what = "how many numbers its preprocessor gives is not known";
            Error::argument(name, what, "use FeatureMode::Int, or a layer of Keras that encodes")
        })?;
        let encoder = CategoryEncoding::new(tokens).output_mode(OutputMode::MultiHot).share();
        encoders.insert(name.to_owned(), Arc::clone(&encoder));
        Ok(encoder)
    }

    fn encoded(&self, columns: &IndexMap<String, Tensor>, cx: &mut Context) -> Result<Nest> {
        let mut call = |layer: &LayerRef, x: Nest| call_layer(layer, Args::new(x), cx)?.single().cloned();
        let mut prepared: IndexMap<&String, Tensor> = IndexMap::new();
        for (name, feature) in &self.features {
            let column = columns.get(name).ok_or_else(|| self.missing(name))?;
            prepared.insert(name, call(&feature.preprocessor, column.into()).map_err(|e| e.within(name))?);
        }
        let mut all: Vec<(String, Tensor, FeatureMode, &LayerRef)> = Vec::new();
        let mut names: Vec<&String> = self.features.keys().collect();
        names.sort();
        for name in names {
            let feature = &self.features[name];
            all.push((name.clone(), prepared[name].clone(), feature.output_mode, &feature.preprocessor));
        }
        let mut crosses: Vec<&Cross> = self.crosses.iter().collect();
        crosses.sort_by_key(|c| c.name());
        for cross in crosses {
            let parts: Vec<Tensor> = cross.feature_names.iter().map(|n| prepared[n].clone()).collect();
            let crosser = &self.crossers[&cross.name()];
            all.push((cross.name(), call(crosser, parts.into())?, cross.output_mode, crosser));
        }
        let mut encoded: IndexMap<String, Nest> = IndexMap::new();
        for (name, value, mode, layer) in all {
            let value = match mode {
                FeatureMode::OneHot => call(&self.encoder(&name, layer)?, value.into()).map_err(|e| e.within(&name))?,
                _ => value,
            };
            if self.output_mode == SpaceMode::Concat && (!value.dtype().is_float()) {
                let what = format!("it is not encoded: its dtype is {}", value.dtype());
                return Err(Error::argument(name, what, "use FeatureMode::OneHot, or SpaceMode::Dict"));
            }
            encoded.insert(name, value.into());
        }
        match self.output_mode {
            SpaceMode::Dict => Ok(Nest::Dict(encoded)),
            SpaceMode::Concat => {
                let parts: Vec<Nest> = encoded.into_values().collect();
                call(&self.state.concat.share(), Nest::List(parts)).map(Nest::Tensor)
            }
        }
    }
}

/// A column of shape `(batch)` as `(batch, 1)`; the bytes of texts are no axis.
fn as_column(x: &Tensor, dtype: &str) -> Tensor {
    let logical = text::shape_of(x).rank();
    match (dtype == text::STRING && x.dtype() == DType::U8, logical, x.rank()) {
        (true, 1, _) => ops::expand_dims(x, -2),
        (false, _, 1) => ops::expand_dims(x, -1),
        _ => x.clone(),
    }
}

/// Whether a layer learns from data.
fn is_adaptable(layer: &LayerRef) -> bool {
    let any = layer.as_any();
    if let Some(normalization) = any.downcast_ref::<Normalization>() {
        return !normalization.is_given();
    }
    if let Some(vectorization) = any.downcast_ref::<TextVectorization>() {
        return !vectorization.is_given();
    }
    any.is::<Discretization>() || any.is::<IntegerLookup>() || any.is::<StringLookup>()
}

fn adapt_layer(layer: &LayerRef, column: &Array) -> Result<()> {
    /// Rows that bins are found from at a time.
    const BATCH: usize = 32;
    let any = layer.as_any();
    if let Some(layer) = any.downcast_ref::<Normalization>() {
        return layer.adapt(column);
    }
    if let Some(layer) = any.downcast_ref::<IntegerLookup>() {
        return layer.adapt(column);
    }
    if let Some(layer) = any.downcast_ref::<StringLookup>() {
        return layer.adapt(column);
    }
    if let Some(layer) = any.downcast_ref::<TextVectorization>() {
        return layer.adapt(column);
    }
    if let Some(layer) = any.downcast_ref::<Discretization>() {
        layer.reset_state();
        let rows = column.shape().first().copied().unwrap_or(0);
        (0..rows).step_by(BATCH).try_for_each(|at| layer.update_state(&column.rows(at, rows.min(at + BATCH))))?;
        return layer.finalize_state();
    }
    Ok(())
}

keras_layer_object!(FeatureSpace);

impl Serialize for FeatureSpace {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Layer::config(self).serialize(serializer)
    }
}

/// Rebuilds a space.
pub(super) fn from_config(config: Value) -> Result<LayerRef> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        features: IndexMap<String, Value>,
        output_mode: SpaceMode,
        crosses: Vec<Value>,
        crossing_dim: usize,
        hashing_dim: usize,
        num_discretization_bins: usize,
    }
    let config: Config = crate::saving::from_config("FeatureSpace", config)?;
    let features = config.features.iter().map(|(name, f)| Ok((name.clone(), Feature::from_json(f)?)));
    let mut space = FeatureSpace::new(features.collect::<Result<Vec<_>>>()?)?.output_mode(config.output_mode);
    let cross = |value: &Value| crate::saving::from_config::<Cross>("Cross", value["config"].clone());
    space = space.crosses(config.crosses.iter().map(cross).collect::<Result<Vec<_>>>()?)?;
    space.crossing_dim = config.crossing_dim;
    space.hashing_dim = config.hashing_dim;
    space.num_discretization_bins = config.num_discretization_bins;
    Ok(space.share())
}

impl Layer for FeatureSpace {
    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        self.check_adapted()?;
        let Nest::Dict(columns) = inputs.first()? else {
            let what = "the input is no dictionary";
            return Err(Error::argument("FeatureSpace", what, "give a column for each feature, by name"));
        };
        let column = |(name, feature): (&String, &Feature)| {
            let column = columns.get(name).ok_or_else(|| self.missing(name))?.single()?;
            Ok((name.clone(), as_column(column, &feature.dtype)))
        };
        let columns = self.features.iter().map(column).collect::<Result<IndexMap<String, Tensor>>>()?;
        self.encoded(&columns, cx)
    }

    fn module(&self) -> &'static str {
        "keras.utils"
    }

    fn text_input(&self) -> TextInput {
        TextInput::Possibly
    }

    fn autocasts_inputs(&self) -> bool {
        false
    }

    fn children(&self) -> Vec<(String, LayerRef)> {
        let named = crate::model::container_names;
        let mut children = named("preprocessors", self.features.values().map(|f| f.preprocessor.clone()).collect());
        children.extend(named("crossers", self.crossers.values().cloned().collect()));
        children.extend(named("one_hot_encoders", self.encoders().values().cloned().collect()));
        if self.output_mode == SpaceMode::Concat {
            children.push(("concat".into(), self.state.concat.share()));
        }
        children
    }

    /// Keras writes this layer in a form of its own, without a name.
    fn config(&self) -> Value {
        let features: serde_json::Map<String, Value> =
            self.features.iter().map(|(name, feature)| (name.clone(), feature.to_json())).collect();
        json!({
            "features": features,
            "output_mode": self.output_mode,
            "crosses": self.crosses.iter().map(Cross::to_json).collect::<Vec<_>>(),
            "crossing_dim": self.crossing_dim,
            "hashing_dim": self.hashing_dim,
            "num_discretization_bins": self.num_discretization_bins,
        })
    }

    fn build_config(&self) -> Option<Value> {
        let layers = self.features.iter();
        Some(Value::Object(layers.map(|(n, f)| (n.clone(), f.preprocessor.build_config().into())).collect()))
    }

    fn build_from_config(&self, config: &Value) -> Result<()> {
        for (name, feature) in &self.features {
            if let Some(own) = config.get(name).filter(|c| !c.is_null() && !feature.preprocessor.base().built()) {
                feature.preprocessor.build_from_config(own)?;
            }
        }
        let _ = self.state.adapted.set(());
        Ok(())
    }

    /// None of its own; but the encoders are made here, once vocabularies are there, so that they have their places in the file.
    fn saved_variables(&self) -> Vec<Variable> {
        let made = self.get_encoded_features();
        // A space that is not adapted is refused when it is used.
        drop(made);
        Vec::new()
    }
}

#[cfg(test)]
mod tests;
