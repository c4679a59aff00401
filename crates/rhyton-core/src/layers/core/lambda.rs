//! `Lambda`: a function as a layer.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::activations::Activation;
use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::{Base, Context, Layer, LayerRef, make};
use crate::nest::{Args, Nest};
use crate::ops::{self, OperationLayer};
use crate::saving::{custom, function_json, function_name};
use crate::tensor::Tensor;

/// `function(x)`: what a function makes of the inputs. The function has no weights and is known by a name: files hold the
/// name alone, and what it does is registered by the program that reads them
/// ([`CustomObjects::function`](crate::saving::CustomObjects::function)). The activations and operations of Keras are known.
///
/// Python's own `lambda`s are saved as bytecode of Python, which is never run here: reading such a layer is an error that says
/// what to do in Python.
///
/// # Shapes
/// What the function makes of those of the inputs; `output_shape`, which Keras asks for where it cannot tell, is kept and not
/// needed.
///
/// # Errors
/// Those of the function; on reading, if no function of the name is known.
///
/// # Examples
/// ```
/// use rhyton_core::layers::Lambda;
/// use rhyton_core::prelude::*;
/// use rhyton_core::saving::{CustomObjects, load_model_with};
///
/// fn scaled(args: &Args, _: &mut Context) -> Result<Nest> {
///     let factor = args.named("factor").and_then(Nest::plain).and_then(|f| f.as_f64()).unwrap_or(1.0);
///     Ok((args.tensor()? * factor).into())
/// }
///
/// let model = Sequential::new().add(Input::new([2])).add(Lambda::new("mine>scaled", scaled).argument("factor", 3.0));
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("model.keras");
/// model.save(&path)?;
/// let model = load_model_with(&path, &CustomObjects::new().function("mine>scaled", scaled))?;
/// assert_eq!(model.predict(Array::new([1, 2], vec![1.0f32, 2.0]))?[0].to_f64_vec(), [3.0, 6.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lambda {
    #[serde(skip)]
    base: Base,
    function: Function,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_shape: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mask: Option<Function>,
    #[serde(default)]
    arguments: Map<String, Value>,
}

keras_layer!(Lambda);

/// What a [`Lambda`] computes: the inputs are the first argument, the layer's `arguments` are named ones.
pub type LambdaFunction = dyn Fn(&Args, &mut Context) -> Result<Nest> + Send + Sync;

impl Lambda {
    /// A layer of `function`, which files know as `name`.
    pub fn new(
        name: impl Into<String>,
        function: impl Fn(&Args, &mut Context) -> Result<Nest> + Send + Sync + 'static,
    ) -> Lambda {
        Lambda::of(Function { name: name.into(), call: Arc::new(function) })
    }

    /// A layer of a function that is known by `name`: one that was registered, an activation, or an operation.
    ///
    /// # Errors
    /// If none is.
    pub fn named(name: &str) -> Result<Lambda> {
        Function::find(name).map(Lambda::of)
    }

    fn of(function: Function) -> Lambda {
        Lambda { base: Base::default(), function, output_shape: None, mask: None, arguments: Map::new() }
    }

    /// Gives the function an argument beside the inputs.
    pub fn argument(mut self, name: &str, value: impl Into<Value>) -> Lambda {
        self.arguments.insert(name.to_owned(), value.into());
        self
    }

    /// Gives the output the mask that a function makes of the inputs, and of their mask, which it gets as the named argument
    /// `mask` where there is one (on symbols there never is). Files know the function as `name`. Without a function the output
    /// has no mask.
    pub fn mask(
        mut self,
        name: impl Into<String>,
        function: impl Fn(&Args, &mut Context) -> Result<Nest> + Send + Sync + 'static,
    ) -> Lambda {
        self.mask = Some(Function { name: name.into(), call: Arc::new(function) });
        self
    }

    /// From Keras's configuration.
    pub(crate) fn from_config(config: Value) -> Result<LayerRef> {
        let is_code = |key: &str| config[key]["class_name"] == "__lambda__";
        if ["function", "output_shape", "mask"].into_iter().any(is_code) || function_name(&config["function"]).is_none()
        {
            return Err(Error::unsupported(
                "Lambda",
                "a Lambda of a Python lambda holds Python bytecode, which is never run",
                "in Python give the layer a function that @keras.saving.register_keras_serializable() names, or an operation \
                 of Keras, save the model again, and load it here with that function registered",
            ));
        }
        if config.get("mask").is_some_and(|mask| !mask.is_null() && function_name(mask).is_none()) {
            let fix = "make it a function with a name, or mask in a layer of your own";
            return Err(Error::unsupported("Lambda", "its argument `mask` is no function but an array", fix));
        }
        make::<Lambda>(config)
    }
}

impl Layer for Lambda {
    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        let mut args = inputs.clone();
        for (name, value) in &self.arguments {
            args = args.with(name, Nest::Plain(value.clone()));
        }
        (self.function.call)(&args, cx).map_err(|e| e.within(&self.function.name))
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn compute_mask(&self, inputs: &Args, mask: Option<&Tensor>) -> Result<Vec<Option<Tensor>>> {
        let Some(function) = &self.mask else { return Ok(Vec::new()) };
        let args = inputs.clone().with("mask", mask.map_or_else(Nest::none, Nest::from));
        let masks = (function.call)(&args, &mut Context::default()).map_err(|e| e.within(&function.name))?;
        Ok(masks.tensors().into_iter().map(|mask| Some(mask.clone())).collect())
    }

    fn is_built_at_init(&self) -> bool {
        false
    }
}

/// A function with the name that files have for it.
#[derive(Clone)]
struct Function {
    name: String,
    call: Arc<LambdaFunction>,
}

impl Function {
    fn find(name: &str) -> Result<Function> {
        let call = match custom::function(name) {
            Some(call) => call,
            None => keras_function(name).ok_or_else(|| unknown(name))?,
        };
        Ok(Function { name: name.to_owned(), call })
    }
}

fn unknown(name: &str) -> Error {
    Error::content(
        "Lambda",
        format!("the function {name:?} is not known"),
        format!("load with load_model_with(path, &CustomObjects::new().function({name:?}, …))"),
    )
}

/// An activation or an operation of Keras; the layer's arguments are those of the operation.
fn keras_function(name: &str) -> Option<Arc<LambdaFunction>> {
    if let Ok(activation) = name.parse::<Activation>() {
        return Some(Arc::new(move |args, _| Ok(activation.call(args.tensor()?).into())));
    }
    let class = ops::classes().find(|c| crate::naming::snake_case(c.name) == name)?;
    Some(Arc::new(move |args, cx| {
        let arguments = args.named.iter().filter_map(|(k, v)| Some((k.clone(), v.plain()?.clone())));
        let operation = (class.from_config)(Value::Object(arguments.collect()))?;
        OperationLayer::new(operation).forward(&Args::new(args.first()?.clone()), cx)
    }))
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Serialize for Function {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        function_json(&self.name).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Function {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Function, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let name = function_name(&value).ok_or_else(|| serde::de::Error::custom("it is no function"))?;
        Function::find(name).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Call;
    use crate::model::{deserialize_layer, serialize_layer};
    use crate::prelude::{Input, Masking, Model};
    use crate::saving::{CustomObjects, load_model_with};
    use serde_json::json;

    /// What Keras 3.15 writes for `Lambda(f, name="l", **more)`.
    fn saved(function: Value, more: Value) -> Value {
        let policy = json!({"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": null});
        let mut config = json!({"name": "l", "trainable": true, "dtype": policy, "function": function});
        config.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        json!({"module": "keras.layers", "class_name": "Lambda", "config": config, "registered_name": null})
    }

    fn apply(layer: &LayerRef) -> Vec<f64> {
        let x = Tensor::new([1, 2], vec![-1.0f32, 2.0]);
        let y = crate::layers::call_layer(layer, Args::new(x), &mut Context::default()).unwrap();
        y.single().unwrap().eval().unwrap().to_f64_vec()
    }

    #[test]
    fn registered_functions_and_those_of_keras_are_found_by_name() {
        let scaled = saved(function_json("mine>scaled"), json!({"output_shape": [2], "arguments": {"factor": 2.0}}));
        let custom = CustomObjects::new().function("mine>scaled", |args, _| {
            let factor = args.named("factor").and_then(Nest::plain).and_then(Value::as_f64).unwrap();
            Ok((args.tensor()? * factor).into())
        });
        let layer = custom.scope(|| deserialize_layer(&scaled)).unwrap();
        assert_eq!(apply(&layer), [-2.0, 4.0]);
        let mut again = serialize_layer(layer.as_ref());
        again.as_object_mut().unwrap().shift_remove("build_config");
        assert_eq!(again.to_string(), scaled.to_string());
        let of_keras = |name: &str, arguments: Value| {
            let saved = saved(function_json(name), json!({"arguments": arguments}));
            apply(&deserialize_layer(&saved).unwrap())
        };
        assert_eq!(of_keras("relu", json!({})), [0.0, 2.0]);
        assert_eq!(of_keras("square", json!({})), [1.0, 4.0]);
        assert_eq!(of_keras("sum", json!({"axis": -1, "keepdims": false})), [1.0]);
    }

    #[test]
    fn a_function_makes_the_mask() {
        // The inverse of the mask that comes in; as keras.layers.Lambda(square, mask=inverse) in Keras 3.15.1.
        let inverse = |args: &Args, _: &mut Context| {
            let Some(mask) = args.named("mask") else { return Ok(Nest::none()) };
            Ok(crate::ops::logical_not(mask.single()?).into())
        };
        let square = |args: &Args, _: &mut Context| Ok(crate::ops::square(args.tensor()?).into());
        let x = Input::new([3, 1]);
        let masked = Masking::new().call(&x);
        let y = Lambda::new("mine>square", square).mask("mine>inverse", inverse).call(&masked);
        let pooled = crate::layers::GlobalAveragePooling1D::new();
        let model = Model::new(&x, pooled.call(&y)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        model.save(dir.path().join("m.keras")).unwrap();
        let custom = CustomObjects::new().function("mine>square", square).function("mine>inverse", inverse);
        let loaded = load_model_with(dir.path().join("m.keras"), &custom).unwrap();
        assert_eq!(loaded.to_json(), model.to_json());
        let data = crate::Array::new([1, 3, 1], vec![0.0f32, 2.0, 4.0]);
        for model in [model, loaded] {
            // Only the first step, 0, counts.
            assert_eq!(model.predict(data.clone()).unwrap()[0].to_f64_vec(), [0.0]);
        }
        let plain = Model::new(&x, pooled.call(Lambda::new("mine>square", square).call(&masked))).unwrap();
        let mean = plain.predict(data).unwrap()[0].to_f64_vec()[0];
        assert!((mean - 20.0 / 3.0).abs() < 1e-5, "without a mask function there is no mask: {mean}");
    }

    #[test]
    fn bytecode_and_unknown_functions_are_refused_with_the_way_out() {
        let code =
            json!({"class_name": "__lambda__", "config": {"code": "4wEAAAAA", "defaults": null, "closure": null}});
        let error = |function: Value, more: Value| deserialize_layer(&saved(function, more)).unwrap_err().to_string();
        let bytecode = error(code.clone(), json!({"arguments": {}}));
        assert!(bytecode.contains("never run") && bytecode.contains("register_keras_serializable"), "{bytecode}");
        let relu = || function_json("relu");
        assert!(error(relu(), json!({"output_shape": code})).contains("never run"));
        assert!(error(relu(), json!({"mask": [true, false]})).contains("mask"));
        assert!(error(relu(), json!({"mask": code})).contains("never run"));
        assert!(error(relu(), json!({"no_such_key": 1})).contains("no_such_key"));
        let unknown = error(function_json("mine>other"), json!({}));
        assert!(unknown.contains("mine>other") && unknown.contains("CustomObjects::new().function("), "{unknown}");
        assert!(error(json!(3), json!({})).contains("never run"));
    }
}
