//! What a feature is, and a crossing of features.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::MODULE;
use super::parts::TFDIdentity;
use crate::error::{Error, Result};
use crate::layers::{
    CategoryEncoding, Discretization, HashedCrossing, Hashing, IntegerLookup, LayerObject, LayerRef, Normalization,
    Rescaling, StringLookup,
};
use crate::model::{deserialize_layer, serialize_layer};
use crate::naming::auto_name;
use crate::saving::Parts;
use crate::text;

/// The form of an encoded feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureMode {
    /// What the preprocessor gives, which is whole numbers.
    Int,
    /// A vector with 1 at the place of the number that the preprocessor gives.
    OneHot,
    /// What the preprocessor gives, which is floating-point numbers.
    Float,
}

/// One feature: the dtype of its data, a layer that prepares it, and the form of the result.
#[derive(Clone, Debug)]
pub struct Feature {
    /// Keras's name of the dtype; `string` for texts.
    pub(super) dtype: String,
    pub(super) preprocessor: LayerRef,
    pub(super) output_mode: FeatureMode,
}

/// The name that a preprocessor gets: of the feature, or the next automatic one of its kind.
fn named(name: Option<&str>, kind: &str) -> String {
    format!("{}_preprocessor", name.map_or_else(|| auto_name(kind), str::to_owned))
}

impl Feature {
    /// Data of `dtype` (`None` for texts) that `preprocessor` prepares.
    pub fn new(dtype: Option<DType>, preprocessor: impl LayerObject, output_mode: FeatureMode) -> Feature {
        let dtype = dtype.map_or(text::STRING, |d| d.name()).to_owned();
        Feature { dtype, preprocessor: preprocessor.share(), output_mode }
    }

    /// Numbers as they are.
    pub fn float(name: Option<&str>) -> Feature {
        Feature::new(Some(DType::F32), TFDIdentity::named(&named(name, "float")), FeatureMode::Float)
    }

    /// Numbers times `scale` plus `offset`.
    pub fn float_rescaled(scale: f64, offset: f64, name: Option<&str>) -> Feature {
        let layer = Rescaling::new(scale).offset(offset).name(&named(name, "float_rescaled"));
        Feature::new(Some(DType::F32), layer, FeatureMode::Float)
    }

    /// Numbers brought to mean 0 and variance 1.
    pub fn float_normalized(name: Option<&str>) -> Feature {
        let layer = Normalization::new().name(&named(name, "float_normalized"));
        Feature::new(Some(DType::F32), layer, FeatureMode::Float)
    }

    /// Numbers by the bin of equal shares of the data that they lie in.
    pub fn float_discretized(num_bins: usize, output_mode: FeatureMode, name: Option<&str>) -> Feature {
        let layer = Discretization::quantiles(num_bins).name(&named(name, "float_discretized"));
        Feature::new(Some(DType::F32), layer, output_mode)
    }

    /// Whole numbers by their place among those of the data.
    pub fn integer_categorical(max_tokens: Option<usize>, output_mode: FeatureMode, name: Option<&str>) -> Feature {
        let layer = IntegerLookup::new().name(&named(name, "integer_categorical"));
        let layer = max_tokens.into_iter().fold(layer, IntegerLookup::max_tokens);
        Feature::new(Some(DType::I32), layer, output_mode)
    }

    /// Texts by their place among those of the data.
    pub fn string_categorical(max_tokens: Option<usize>, output_mode: FeatureMode, name: Option<&str>) -> Feature {
        let layer = StringLookup::new().name(&named(name, "string_categorical"));
        let layer = max_tokens.into_iter().fold(layer, StringLookup::max_tokens);
        Feature::new(None, layer, output_mode)
    }

    /// Whole numbers spread over `num_bins` bins by a hash.
    pub fn integer_hashed(num_bins: usize, output_mode: FeatureMode, name: Option<&str>) -> Feature {
        let layer = Hashing::new(num_bins).name(&named(name, "integer_hashed"));
        Feature::new(Some(DType::I32), layer, output_mode)
    }

    /// Texts spread over `num_bins` bins by a hash.
    pub fn string_hashed(num_bins: usize, output_mode: FeatureMode, name: Option<&str>) -> Feature {
        Feature::new(None, Hashing::new(num_bins).name(&named(name, "string_hashed")), output_mode)
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "module": MODULE,
            "class_name": "Feature",
            "config": {
                "dtype": self.dtype,
                "preprocessor": serialize_layer(self.preprocessor.as_ref()),
                "output_mode": self.output_mode,
            },
            "registered_name": "Feature",
        })
    }

    pub(super) fn from_json(value: &Value) -> Result<Feature> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Config {
            dtype: String,
            preprocessor: Value,
            output_mode: FeatureMode,
        }
        let parts = Parts::of(value, "feature")?;
        let config: Config = crate::saving::from_config("Feature", parts.config)?;
        Ok(Feature {
            dtype: config.dtype,
            preprocessor: deserialize_layer(&config.preprocessor)?,
            output_mode: config.output_mode,
        })
    }
}

/// How many numbers a layer gives, if that is known.
pub(super) fn cardinality(layer: &LayerRef) -> Result<Option<usize>> {
    let any = layer.as_any();
    if let Some(lookup) = any.downcast_ref::<IntegerLookup>() {
        return lookup.vocabulary_size().map(Some);
    }
    if let Some(lookup) = any.downcast_ref::<StringLookup>() {
        return lookup.vocabulary_size().map(Some);
    }
    let discretization = any.downcast_ref::<Discretization>().and_then(Discretization::bins);
    let hashing = any.downcast_ref::<Hashing>().map(Hashing::bins);
    let crossing = any.downcast_ref::<HashedCrossing>().map(HashedCrossing::bins);
    let encoding = any.downcast_ref::<CategoryEncoding>().map(CategoryEncoding::tokens);
    Ok(discretization.or(hashing).or(crossing).or(encoding))
}

/// Features whose combinations are one more feature: the combinations are spread over `crossing_dim` bins by a hash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cross {
    pub(super) feature_names: Vec<String>,
    pub(super) crossing_dim: usize,
    pub(super) output_mode: FeatureMode,
}

impl Cross {
    /// Of the features of these names.
    ///
    /// # Errors
    /// If the mode is `Float`.
    pub fn new(
        feature_names: impl IntoIterator<Item = impl Into<String>>,
        crossing_dim: usize,
        output_mode: FeatureMode,
    ) -> Result<Cross> {
        if output_mode == FeatureMode::Float {
            return Err(Error::argument("output_mode", "crossings are whole numbers", "use Int or OneHot"));
        }
        Ok(Cross { feature_names: feature_names.into_iter().map(Into::into).collect(), crossing_dim, output_mode })
    }

    /// The name of the crossing: those of the features with `_X_` between them.
    pub fn name(&self) -> String {
        self.feature_names.join("_X_")
    }

    pub(super) fn to_json(&self) -> Value {
        let config = crate::saving::config_of(self);
        json!({"module": MODULE, "class_name": "Cross", "config": config, "registered_name": "Cross"})
    }
}
