//! Arrays in and out of `.npz` and `.npy` files, by the names that the contract gives them.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use rhyton::formats::npy::NpyValue;
use rhyton::formats::{npy, npz};
use rhyton::prelude::*;
use rhyton::trainer::{Batch, has_non_finite};
use serde_json::Value;

use crate::error::{Error, Result};

/// Named arrays of one file.
pub struct Arrays {
    path: String,
    arrays: Vec<(String, Array)>,
    /// The names of those that hold texts.
    texts: BTreeSet<String>,
}

impl Arrays {
    /// Reads a `.npz`, or a `.npy` as the array `x`.
    pub fn read(path: &Path) -> Result<Arrays> {
        let values = if path.extension().is_some_and(|e| e == "npy") {
            vec![("x".to_owned(), npy::read(path)?)]
        } else {
            npz::read_values(path)?
        };
        let (mut arrays, mut texts) = (Vec::new(), BTreeSet::new());
        for (name, value) in values {
            let array = match value {
                NpyValue::Array(array) => array,
                NpyValue::Strings { shape, values } => {
                    texts.insert(name.clone());
                    text::encode_shaped(&shape, &values).map_err(|e| Error::file(path, e))?
                }
            };
            arrays.push((name, array));
        }
        Ok(Arrays { path: path.display().to_string(), arrays, texts })
    }

    /// Texts go to inputs that take texts, and numbers to those that take numbers.
    fn check_kinds(&self, model: &Model) -> Result<()> {
        let symbols = model.inputs();
        for (i, (name, symbol)) in model.input_names().iter().zip(&symbols).enumerate() {
            let given = ["x".to_owned(), format!("x{i}"), name.clone()];
            let Some(array) = given.iter().find(|n| (symbols.len() == 1 || *n != "x") && self.get(n).is_some()) else {
                continue;
            };
            match (self.texts.contains(array), text::is_text(symbol)) {
                (true, false) => {
                    let what = format!("{array} holds texts but the input {name} takes numbers; encode them first");
                    return Err(Error::new(format!("{}: {what}", self.path)));
                }
                (false, true) => {
                    let what = format!("{array} holds numbers but the input {name} takes texts; save an array of str");
                    return Err(Error::new(format!("{}: {what}", self.path)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn get(&self, name: &str) -> Option<&Array> {
        self.arrays.iter().find(|(n, _)| n == name).map(|(_, a)| a)
    }

    /// The arrays of one role: `x` alone, or one by each of `names`, or `x0`, `x1`, …
    fn role(&self, letter: &str, names: &[String]) -> Result<Vec<Array>> {
        if names.len() <= 1 {
            let by_name = names.first().and_then(|n| self.get(n));
            return match self.get(letter).or(by_name) {
                Some(array) => Ok(vec![array.clone()]),
                None => Err(self.missing(&[letter.to_owned()])),
            };
        }
        let numbered = |i: usize| self.get(&format!("{letter}{i}"));
        let find = |(i, name): (usize, &String)| {
            let found = numbered(i).or_else(|| self.get(name));
            found.cloned().ok_or_else(|| self.missing(&[name.clone(), format!("{letter}{i}")]))
        };
        names.iter().enumerate().map(find).collect()
    }

    fn missing(&self, wanted: &[String]) -> Error {
        let there: Vec<&str> = self.arrays.iter().map(|(n, _)| n.as_str()).collect();
        Error::new(format!(
            "{}: there is no array named {}; the file holds {}",
            self.path,
            wanted.join(" or "),
            if there.is_empty() { "nothing".to_owned() } else { there.join(", ") }
        ))
    }

    /// The inputs of `model`.
    pub fn inputs(&self, model: &Model) -> Result<Nest> {
        let arrays = self.role("x", &model.input_names())?;
        self.check_kinds(model)?;
        Ok(packed(arrays, model.graph().map(|g| g.inputs().clone()).as_ref()))
    }

    /// Inputs, targets and weights for `model`.
    pub fn data(&self, model: &Model) -> Result<Data> {
        let outputs = model.output_names();
        let numbered = (0..outputs.len()).map(|i| format!("y{i}"));
        if let Some(name) =
            outputs.iter().cloned().chain(numbered).chain(["y".to_owned()]).find(|n| self.texts.contains(n))
        {
            return Err(Error::new(format!(
                "{}: {name} holds texts but targets are numbers; encode them first",
                self.path
            )));
        }
        let y = packed(self.role("y", &outputs)?, model.graph().map(|g| g.outputs().clone()).as_ref());
        let sample_weight = match self.get("sample_weight") {
            Some(weight) => Some(Nest::from(Tensor::from(weight.clone()))),
            None if self.get("sample_weight0").is_some() => {
                Some(Nest::List(self.role("sample_weight", &outputs)?.into_iter().map(tensor).collect()))
            }
            None => None,
        };
        let data = Data::from_batch(Batch { x: self.inputs(model)?, y: Some(y), sample_weight });
        data.samples().map_err(|e| Error::new(format!("{}: {e}", self.path)))?;
        for (output, (array, name)) in self.role("y", &outputs)?.iter().zip(&outputs).enumerate() {
            self.check_labels(model, output, name, array)?;
        }
        Ok(data)
    }

    /// Labels of a sparse loss must be classes of the output: others have no probability, and count as nothing.
    fn check_labels(&self, model: &Model, output: usize, name: &str, labels: &Array) -> Result<()> {
        let Some(ignored) = sparse_loss(model, output, name) else { return Ok(()) };
        let Some(classes) = model.outputs().get(output).and_then(|y| y.dim(-1).known()) else { return Ok(()) };
        let is_wrong = |&label: &f64| !(label >= 0.0 && label < classes as f64) && Some(label) != ignored;
        let values = labels.to_f64_vec();
        let Some(at) = values.iter().position(is_wrong) else { return Ok(()) };
        let sample = at / (values.len() / labels.shape().first().copied().unwrap_or(1).max(1)).max(1);
        Err(Error::new(format!(
            "{}: the label of sample {sample} for the output {name} is {} but its {classes} classes are 0 to {}; \
             number the classes from 0",
            self.path,
            values[at],
            classes - 1
        )))
    }

    /// Which arrays hold NaN or infinity, and where first; `None` if none does.
    pub fn non_finite(&self) -> Option<String> {
        let told = self.arrays.iter().filter(|(_, a)| has_non_finite(a)).map(|(name, array)| {
            let values = array.to_f64_vec();
            let at = values.iter().position(|v| !v.is_finite()).unwrap_or(0);
            let samples = array.shape().first().copied().unwrap_or(1).max(1);
            format!("{name} holds {} in sample {}", values[at], at / (values.len() / samples).max(1))
        });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| format!("in {} {}", self.path, told.join(", ")))
    }
}

/// If the loss of an output takes labels: the label that it ignores, if any.
fn sparse_loss(model: &Model, output: usize, name: &str) -> Option<Option<f64>> {
    let config = model.compile_config()?;
    let loss = match &config["loss"] {
        Value::Array(losses) => losses.get(output)?,
        Value::Object(object) if !object.contains_key("class_name") => object.get(name)?,
        loss => loss,
    };
    match (loss.as_str(), loss["class_name"].as_str()) {
        (Some("sparse_categorical_crossentropy" | "SparseCategoricalCrossentropy"), _) => Some(None),
        (None, Some("SparseCategoricalCrossentropy")) => Some(loss["config"]["ignore_class"].as_f64()),
        _ => None,
    }
}

fn tensor(array: Array) -> Nest {
    array.into_arrays()
}

/// Flat arrays in the structure of the model's inputs or outputs.
fn packed(arrays: Vec<Array>, structure: Option<&Nest>) -> Nest {
    let mut arrays = arrays.into_iter();
    match structure {
        Some(structure) => {
            let packed = structure.map(&mut |t| Ok(arrays.next().map_or_else(|| t.clone(), into_tensor)));
            // The closure cannot fail.
            packed.unwrap_or_else(|_| Nest::none())
        }
        None => {
            let mut all: Vec<Nest> = arrays.map(tensor).collect();
            if all.len() == 1 { all.swap_remove(0) } else { Nest::List(all) }
        }
    }
}

fn into_tensor(array: Array) -> Tensor {
    // Keras feeds float64 as float32.
    Tensor::from(if array.dtype() == DType::F64 { array.cast(DType::F32) } else { array })
}

/// Writes the outputs of a model: texts as strings.
pub fn write_outputs(path: &Path, model: &Model, arrays: Vec<(String, Array)>) -> Result<()> {
    let is_text: Vec<bool> = model.outputs().iter().map(text::is_text).collect();
    if !is_text.contains(&true) {
        return write(path, &arrays);
    }
    let value = |(i, (name, array)): (usize, (String, Array))| {
        if !is_text.get(i).copied().unwrap_or(false) {
            return Ok((name, NpyValue::Array(array)));
        }
        let values = text::decode(&array)?;
        Ok((name, NpyValue::Strings { shape: array.shape()[..array.rank() - 1].to_vec(), values }))
    };
    let values = arrays.into_iter().enumerate().map(value).collect::<Result<Vec<(String, NpyValue)>>>()?;
    if path.extension().is_some_and(|e| e == "npy") {
        return Err(Error::file(path, "texts are written to a .npz; name one"));
    }
    let named: Vec<(&str, &NpyValue)> = values.iter().map(|(n, v)| (n.as_str(), v)).collect();
    Ok(npz::write_values(path, &named)?)
}

/// Variables by path; a path met again gets `#1`, `#2`, … in order.
pub fn by_path(variables: Vec<Variable>) -> Vec<(String, Variable)> {
    let mut met: HashMap<String, usize> = HashMap::new();
    let named = variables.into_iter().map(|v| {
        let path = v.path().to_owned();
        let count = met.entry(path.clone()).and_modify(|n| *n += 1).or_insert(0);
        (if *count == 0 { path } else { format!("{path}#{count}") }, v)
    });
    named.collect()
}

/// Writes named weights to a `.npz`. bfloat16 has no name in NumPy's format; float32 holds every value of it.
pub fn write_npz(path: &Path, arrays: Vec<(String, Array)>) -> Result<()> {
    let widened = |a: Array| if a.dtype() == DType::BF16 { a.cast(DType::F32) } else { a };
    let arrays: Vec<(String, Array)> = arrays.into_iter().map(|(n, a)| (n, widened(a))).collect();
    let named: Vec<(&str, &Array)> = arrays.iter().map(|(n, a)| (n.as_str(), a)).collect();
    Ok(npz::write(path, &named)?)
}

/// Writes named arrays to a `.npz`, or a single one to a `.npy`.
pub fn write(path: &Path, arrays: &[(String, Array)]) -> Result<()> {
    if path.extension().is_some_and(|e| e == "npy") {
        return match arrays {
            [(_, array)] => Ok(npy::write(path, array)?),
            _ => Err(Error::file(path, format!("a .npy holds one array, not {}; name a .npz", arrays.len()))),
        };
    }
    let named: Vec<(&str, &Array)> = arrays.iter().map(|(n, a)| (n.as_str(), a)).collect();
    Ok(npz::write(path, &named)?)
}
