//! Dtype policies: in which dtype a layer computes and in which it keeps its weights.

use std::str::FromStr;
use std::sync::Mutex;

use rhyton_ir::DType;
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// In which dtype a layer computes and in which it keeps its weights (Keras's `DTypePolicy`); or a map that says so by the paths of
/// layers ([`DTypePolicyMap`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DTypePolicy {
    mixed: bool,
    compute: DType,
    map: Option<&'static DTypePolicyMap>,
}

/// Policies by the paths of layers, or by regular expressions that match the whole of them; what no key is for has the default.
///
/// A layer with such a policy passes it on to the layers inside it: `"encoder/attention/.*"` is for all within the layer at
/// `encoder/attention`.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
/// use rhyton_core::DTypePolicyMap;
///
/// let map = DTypePolicyMap::new(DType::F32).with("narrow", DTypePolicy::mixed(DType::BF16))?;
/// let layer = Dense::new(2).name("narrow").dtype(map.policy());
/// // Where a layer is called on values, its path is known from the first call on, as in Keras.
/// let x = Tensor::new([1, 2], vec![1.0f32, 2.0]);
/// layer.call(&x).check()?;
/// assert_eq!(layer.call(&x).dtype(), DType::BF16);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DTypePolicyMap {
    default_policy: DTypePolicy,
    /// Whether the default was given, not the global one.
    is_given: bool,
    policies: Vec<(String, DTypePolicy)>,
}

impl DTypePolicyMap {
    /// With `default_policy` for what no key is for.
    pub fn new(default_policy: impl Into<DTypePolicy>) -> DTypePolicyMap {
        DTypePolicyMap { default_policy: default_policy.into(), is_given: true, policies: Vec::new() }
    }

    /// Adds a policy for the layer whose path is `key`, or for those whose whole path it matches.
    ///
    /// # Errors
    /// If the key is there already, or no regular expression.
    pub fn with(mut self, key: &str, policy: impl Into<DTypePolicy>) -> Result<DTypePolicyMap> {
        if self.policies.iter().any(|(known, _)| known == key) {
            let what = format!("the key {key:?} is there already");
            return Err(Error::argument("DTypePolicyMap", what, "give each key once"));
        }
        pattern(key)?;
        self.policies.push((key.to_owned(), policy.into()));
        Ok(self)
    }

    /// The policy of the layer at `path`.
    ///
    /// # Errors
    /// If several keys match it.
    pub fn get(&self, path: &str) -> Result<DTypePolicy> {
        if let Some((_, policy)) = self.policies.iter().find(|(key, _)| key == path) {
            return Ok(*policy);
        }
        let mut found: Vec<&(String, DTypePolicy)> = Vec::new();
        for entry in &self.policies {
            if pattern(&entry.0)?.is_match(path) {
                found.push(entry);
            }
        }
        match found.as_slice() {
            [] => Ok(self.default_policy),
            [only] => Ok(only.1),
            several => {
                let keys: Vec<&String> = several.iter().map(|(key, _)| key).collect();
                let what = format!("the keys {keys:?} all match {path}");
                Err(Error::argument("DTypePolicyMap", what, "write keys of which one matches"))
            }
        }
    }

    /// The map as a policy of layers.
    pub fn policy(&self) -> DTypePolicy {
        // Policies are copied everywhere: maps stay for good, each once.
        static MAPS: Mutex<Vec<&'static DTypePolicyMap>> = Mutex::new(Vec::new());
        let mut maps = MAPS.lock().unwrap_or_else(|e| e.into_inner());
        let map: &'static DTypePolicyMap = match maps.iter().find(|known| **known == self) {
            Some(known) => known,
            None => {
                let kept: &'static DTypePolicyMap = Box::leak(Box::new(self.clone()));
                maps.push(kept);
                kept
            }
        };
        DTypePolicy { map: Some(map), ..self.default_policy }
    }

    fn to_json(&self) -> Value {
        let policies: serde_json::Map<String, Value> =
            self.policies.iter().map(|(key, policy)| (key.clone(), policy.to_json())).collect();
        let default = if self.is_given { self.default_policy.name().into() } else { Value::Null };
        json!({
            "module": "keras.dtype_policies",
            "class_name": "DTypePolicyMap",
            "config": {"default_policy": default, "policy_map": policies},
            "registered_name": null,
        })
    }

    fn from_json(config: &Value) -> Result<DTypePolicyMap> {
        let default = &config["default_policy"];
        let mut map = DTypePolicyMap::new(DTypePolicy::from_json(default)?);
        map.is_given = !default.is_null();
        for (key, policy) in config["policy_map"].as_object().into_iter().flatten() {
            map = map.with(key, DTypePolicy::from_json(policy)?)?;
        }
        Ok(map)
    }
}

/// A regular expression for the whole of a path.
fn pattern(key: &str) -> Result<regex_lite::Regex> {
    regex_lite::Regex::new(&format!("^(?:{key})$")).map_err(|e| {
        Error::argument("DTypePolicyMap", format!("{key:?} is no regular expression: {e}"), "give a path or a pattern")
    })
}

static GLOBAL: Mutex<Option<DTypePolicy>> = Mutex::new(None);

impl DTypePolicy {
    /// Computes in and keeps `dtype`.
    pub const fn of(dtype: DType) -> DTypePolicy {
        DTypePolicy { mixed: false, compute: dtype, map: None }
    }

    /// Computes in `compute` (`float16` or `bfloat16`) and keeps `float32`.
    pub const fn mixed(compute: DType) -> DTypePolicy {
        DTypePolicy { mixed: true, compute, map: None }
    }

    /// The policy of layers that are not given one: that which was set, or of [`floatx`](crate::config::floatx).
    pub fn global() -> DTypePolicy {
        let global = *GLOBAL.lock().unwrap_or_else(|e| e.into_inner());
        global.unwrap_or_else(|| DTypePolicy::of(crate::config::floatx()))
    }

    /// Forgets what [`DTypePolicy::set_global`] set.
    pub(crate) fn reset_global() {
        *GLOBAL.lock().unwrap_or_else(|e| e.into_inner()) = None;
    }

    /// Sets the policy of layers that are not given one, from now on.
    pub fn set_global(policy: DTypePolicy) {
        *GLOBAL.lock().unwrap_or_else(|e| e.into_inner()) = Some(policy);
    }

    /// The policy of the layer at `path`: of a map the one that it has for it, else the policy itself.
    ///
    /// # Errors
    /// If several keys of a map match the path.
    pub fn at(&self, path: Option<&str>) -> Result<DTypePolicy> {
        match (self.map, path) {
            (Some(map), Some(path)) => map.get(path),
            (Some(map), None) => Ok(map.default_policy),
            (None, _) => Ok(*self),
        }
    }

    /// The dtype of computations; of a map that of its default.
    pub fn compute_dtype(&self) -> DType {
        self.compute
    }

    /// The dtype of weights.
    pub fn variable_dtype(&self) -> DType {
        if self.mixed { DType::F32 } else { self.compute }
    }

    /// Keras's name: `float32`, `mixed_bfloat16`, …
    pub fn name(&self) -> String {
        format!("{}{}", if self.mixed { "mixed_" } else { "" }, self.compute)
    }

    /// As Keras writes it into configurations.
    pub fn to_json(&self) -> Value {
        if let Some(map) = self.map {
            return map.to_json();
        }
        json!({"module": "keras", "class_name": "DTypePolicy", "config": {"name": self.name()}, "registered_name": null})
    }

    /// From what Keras writes: an object, or a name.
    ///
    /// # Errors
    /// If it is a policy that is not known, such as a quantized one.
    pub fn from_json(value: &Value) -> Result<DTypePolicy> {
        let name = match value {
            Value::Null => return Ok(DTypePolicy::global()),
            Value::String(name) => Some(name.as_str()),
            map if map["class_name"] == "DTypePolicyMap" => {
                return Ok(DTypePolicyMap::from_json(&map["config"])?.policy());
            }
            object => object["config"]["name"].as_str(),
        };
        name.and_then(|n| n.parse().ok()).ok_or_else(|| {
            Error::content(
                "dtype policy",
                format!("{value} is not a known policy"),
                "known are the floating-point and integer dtypes, mixed_float16 and mixed_bfloat16",
            )
        })
    }
}

impl From<DType> for DTypePolicy {
    fn from(dtype: DType) -> DTypePolicy {
        DTypePolicy::of(dtype)
    }
}

impl FromStr for DTypePolicy {
    type Err = Error;

    fn from_str(name: &str) -> Result<DTypePolicy> {
        match name.strip_prefix("mixed_") {
            None => name.parse().map(DTypePolicy::of).ok(),
            Some("float16") => Some(DTypePolicy::mixed(DType::F16)),
            Some("bfloat16") => Some(DTypePolicy::mixed(DType::BF16)),
            Some(_) => None,
        }
        .ok_or_else(|| {
            Error::argument(
                "dtype policy",
                format!("{name:?} is not a known policy"),
                "known are the dtypes, mixed_float16 and mixed_bfloat16",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{Call, Layer, LayerObject, MultiHeadAttention};
    use crate::model::{deserialize_layer, serialize_layer};
    use crate::tensor::Tensor;

    #[test]
    fn layers_inside_have_the_policies_of_their_paths() {
        // keras.layers.MultiHeadAttention(2, 3, dtype=map, name="mha"): compute dtypes of the layer and of its query, Keras 3.15.1.
        let map = DTypePolicyMap::new(DType::F32).with("mha/.*", DTypePolicy::mixed(DType::BF16)).unwrap();
        let layer = MultiHeadAttention::new(2, 3).name("mha").dtype(map.policy());
        let x = Tensor::new([1, 2, 4], vec![0.5f32; 8]);
        layer.call(crate::Args::new(&x).and(&x)).check().unwrap();
        assert_eq!(layer.base().compute_dtype(), DType::F32);
        let (_, query) = layer.children().into_iter().find(|(_, l)| l.name() == "query").unwrap();
        assert_eq!((query.base().compute_dtype(), query.base().variable_dtype()), (DType::BF16, DType::F32));
        let form = serialize_layer(&layer);
        let map_form = json!({
            "module": "keras.dtype_policies", "class_name": "DTypePolicyMap", "registered_name": null,
            "config": {"default_policy": "float32", "policy_map": {"mha/.*": DTypePolicy::mixed(DType::BF16).to_json()}},
        });
        assert_eq!(form["config"]["dtype"], map_form);
        assert_eq!(serialize_layer(deserialize_layer(&form).unwrap().as_ref()), form);
    }

    #[test]
    fn one_key_alone_matches() {
        let map = DTypePolicyMap::new(DType::F32).with("a/.*", DType::F16).unwrap().with("a/b", DType::BF16).unwrap();
        assert_eq!(map.get("a/b").unwrap().compute_dtype(), DType::BF16);
        assert_eq!(map.get("a/c").unwrap().compute_dtype(), DType::F16);
        assert_eq!(map.get("a").unwrap().compute_dtype(), DType::F32);
        let twice = map.with(".*/c", DType::F64).unwrap();
        assert!(twice.get("a/c").unwrap_err().to_string().contains("all match"));
        let layer = crate::layers::Dense::new(1).name("a/c").dtype(twice.policy());
        assert!(layer.call(Tensor::new([1, 1], vec![1.0f32])).check().is_err());
        assert!(std::ptr::eq(twice.policy().map.unwrap(), twice.clone().policy().map.unwrap()));
    }
}
