//! `KerasFileEditor`: looks into a file of weights and changes what is in it, without a model.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use rhyton_formats::hdf5::{Group, H5File, H5Writer, Kind};
use rhyton_formats::keras_archive::{KerasArchive, WEIGHTS};
use rhyton_ir::Array;

use super::weights::{Omitted, entries, format_error, join};
use crate::error::{Error, Result};
use crate::model::Model;

/// The weights of a `.weights.h5` or `.keras` file by the objects that they are of, to be looked at, compared, changed and
/// saved again: for models whose layers changed since the weights were saved.
///
/// An object is named by its path (`layers/dense_1`), or by the last part of it where that is unique. Its weights are `0`,
/// `1`, ….
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
/// use rhyton_core::saving::KerasFileEditor;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("m.weights.h5");
/// let model = |layers: usize| {
///     (0..layers).fold(Sequential::new().add(Input::new([3])), |model, _| model.add(Dense::new(3)))
/// };
/// model(2).save_weights(&path)?;
/// let mut editor = KerasFileEditor::open(&path)?;
/// editor.delete_object("dense_1")?;
/// assert!(editor.compare(&model(1))?.mismatches.is_empty());
/// editor.save(&path)?;
/// model(1).load_weights(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct KerasFileEditor {
    /// By path.
    objects: BTreeMap<String, Object>,
}

#[derive(Clone, Debug, Default)]
struct Object {
    /// What the object was called when it was saved.
    name: Option<String>,
    weights: BTreeMap<String, Array>,
}

/// What [`KerasFileEditor::compare`] found.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// What is in one of the two alone, or has another shape there.
    pub mismatches: Vec<String>,
    /// How many weights are in both, with the same shape.
    pub matches: usize,
}

impl KerasFileEditor {
    /// Reads the weights of a file.
    ///
    /// # Errors
    /// If it cannot be read, or its ending is none of the two.
    pub fn open(path: impl AsRef<Path>) -> Result<KerasFileEditor> {
        let path = path.as_ref();
        let wrap = |e| format_error(path, e);
        let name = path.to_string_lossy();
        let file = if name.ends_with(".keras") {
            H5File::from_member(KerasArchive::read(path).map_err(wrap)?.weights, path, WEIGHTS)
        } else if name.ends_with(".weights.h5") {
            H5File::open(path)
        } else {
            return Err(Error::argument(name, "it is no file of weights", "give a .weights.h5 or .keras file"));
        };
        let file = file.map_err(wrap)?;
        let mut editor = KerasFileEditor::default();
        // Depth first without recursion: a file may nest deeper than the stack.
        let mut pending = vec![String::new()];
        while let Some(group) = pending.pop() {
            // Keras nests layers, and so do groups; deeper ones go round in a circle of links.
            const DEEPEST: usize = 64;
            let found = file.group(&group).map_err(wrap)?;
            for key in found.keys().map_err(wrap)? {
                if found.kind(&key).map_err(wrap)? != Some(Kind::Group) {
                    continue;
                }
                if key == "vars" {
                    editor.objects.insert(group.clone(), object(&found.group(&key).map_err(wrap)?).map_err(wrap)?);
                } else if group.split('/').count() < DEEPEST {
                    pending.push(join(&group, &key));
                }
            }
        }
        Ok(editor)
    }

    /// The paths of all objects, sorted; that of the model itself is empty.
    pub fn objects(&self) -> impl Iterator<Item = &str> {
        self.objects.keys().map(String::as_str)
    }

    /// The weights of an object by name.
    ///
    /// # Errors
    /// If there is no such object.
    pub fn weights(&self, object: &str) -> Result<&BTreeMap<String, Array>> {
        let path = self.find(object)?;
        self.objects.get(&path).map(|o| &o.weights).ok_or_else(|| missing(object))
    }

    /// All objects with the shapes of their weights, one a line.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        for (path, object) in &self.objects {
            let name = object.name.as_deref().map_or_else(String::new, |name| format!(" ({name})"));
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}{name}", if path.is_empty() { "/" } else { path });
            for (weight, array) in &object.weights {
                let _ = writeln!(text, "    {weight}: {:?} {}", array.shape(), array.dtype());
            }
        }
        text
    }

    /// Where the file and what `model` would save differ.
    ///
    /// # Errors
    /// If the model has no weights yet.
    pub fn compare(&self, model: &Model) -> Result<Comparison> {
        model.check_built()?;
        let mut found = Comparison::default();
        let mut expected = BTreeMap::new();
        for entry in entries(model, &Omitted::default()) {
            for (name, variable) in &entry.variables {
                expected.insert((entry.group.clone(), name.clone()), variable.shape().to_vec());
            }
        }
        for ((path, weight), shape) in &expected {
            match self.objects.get(path).and_then(|o| o.weights.get(weight)) {
                None => found.mismatches.push(format!("{path}/{weight} is missing from the file")),
                Some(array) if array.shape() != shape => {
                    let is = array.shape();
                    found
                        .mismatches
                        .push(format!("{path}/{weight} has shape {is:?} in the file, {shape:?} in the model"));
                }
                Some(_) => found.matches += 1,
            }
        }
        for (path, object) in &self.objects {
            let alone = object.weights.keys().filter(|w| !expected.contains_key(&(path.clone(), (*w).clone())));
            found.mismatches.extend(alone.map(|w| format!("{path}/{w} is missing from the model")));
        }
        Ok(found)
    }

    /// Gives an object, with what is in it, another name: the last part of its path.
    ///
    /// # Errors
    /// If there is no such object, `new_name` is no single name, or another object has it.
    pub fn rename_object(&mut self, object: &str, new_name: &str) -> Result<()> {
        let path = self.find(object)?;
        if path.is_empty() || new_name.is_empty() || new_name.contains('/') || new_name == "vars" {
            let fix = "give one part of a path, without /";
            return Err(Error::argument(object, format!("{new_name:?} cannot be its name"), fix));
        }
        let target = path.rsplit_once('/').map_or_else(|| new_name.to_owned(), |(parent, _)| join(parent, new_name));
        if self.objects.keys().any(|p| is_within(p, &target)) {
            return Err(Error::argument(object, format!("there is an object {target} already"), "choose another name"));
        }
        for old in self.within(&path) {
            if let Some(moved) = self.objects.remove(&old) {
                self.objects.insert(format!("{target}{}", &old[path.len()..]), moved);
            }
        }
        Ok(())
    }

    /// Removes an object, with what is in it.
    ///
    /// # Errors
    /// If there is no such object.
    pub fn delete_object(&mut self, object: &str) -> Result<()> {
        let path = self.find(object)?;
        for old in self.within(&path) {
            self.objects.remove(&old);
        }
        Ok(())
    }

    /// Adds an object of these weights at a path, or replaces its weights.
    ///
    /// # Errors
    /// If the path is none.
    pub fn add_object<'w>(&mut self, path: &str, weights: impl IntoIterator<Item = (&'w str, Array)>) -> Result<()> {
        if path.split('/').any(|part| matches!(part, "" | "." | ".." | "vars")) {
            return Err(Error::argument(path, "it is no path of an object", "write layers/name"));
        }
        let weights = weights.into_iter().map(|(name, array)| (name.to_owned(), array)).collect();
        self.objects.insert(path.to_owned(), Object { name: None, weights });
        Ok(())
    }

    /// Adds weights to an object, or replaces them.
    ///
    /// # Errors
    /// If there is no such object.
    pub fn add_weights<'w>(&mut self, object: &str, weights: impl IntoIterator<Item = (&'w str, Array)>) -> Result<()> {
        let path = self.find(object)?;
        let found = self.objects.get_mut(&path).ok_or_else(|| missing(object))?;
        found.weights.extend(weights.into_iter().map(|(name, array)| (name.to_owned(), array)));
        Ok(())
    }

    /// Removes a weight from an object.
    ///
    /// # Errors
    /// If there is no such object, or it has no such weight.
    pub fn delete_weight(&mut self, object: &str, weight: &str) -> Result<()> {
        let path = self.find(object)?;
        let found = self.objects.get_mut(&path).ok_or_else(|| missing(object))?;
        let names: Vec<&str> = found.weights.keys().map(String::as_str).collect();
        let error = Error::argument(object, format!("it has no weight {weight:?}"), format!("it has {names:?}"));
        found.weights.remove(weight).map(|_| ()).ok_or(error)
    }

    /// Writes a `.weights.h5` file.
    ///
    /// # Errors
    /// If the name has another ending, or the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let wrap = |e| format_error(path, e);
        if !path.to_string_lossy().ends_with(".weights.h5") {
            let what = "the ending says no format that weights are saved in";
            return Err(Error::argument(path.to_string_lossy(), what, "end the name in .weights.h5"));
        }
        let mut file = H5Writer::new();
        for (path, object) in &self.objects {
            let group = join(path, "vars");
            file.group(&group).map_err(wrap)?;
            if let Some(name) = &object.name {
                file.attribute(&group, "name", name.as_str()).map_err(wrap)?;
            }
            for (weight, array) in &object.weights {
                file.dataset(&join(&group, weight), array).map_err(wrap)?;
            }
        }
        file.write(path).map_err(wrap)
    }

    /// The path that `object` names.
    fn find(&self, object: &str) -> Result<String> {
        if self.objects.keys().any(|path| is_within(path, object)) {
            return Ok(object.to_owned());
        }
        let mut found: Vec<String> = Vec::new();
        for path in self.objects.keys() {
            let parts: Vec<&str> = path.split('/').collect();
            let ends = parts.iter().enumerate().filter(|(_, part)| **part == object);
            for candidate in ends.map(|(i, _)| parts[..=i].join("/")) {
                if !found.contains(&candidate) {
                    found.push(candidate);
                }
            }
        }
        match found.len() {
            0 => Err(missing(object)),
            1 => Ok(found.swap_remove(0)),
            _ => {
                Err(Error::argument(object, format!("several objects are named so: {found:?}"), "give the whole path"))
            }
        }
    }

    /// The paths of an object and of what is in it.
    fn within(&self, path: &str) -> Vec<String> {
        self.objects.keys().filter(|p| is_within(p, path)).cloned().collect()
    }
}

/// Whether `path` is the object at `outer`, or in it.
fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) || outer.is_empty()
}

fn missing(object: &str) -> Error {
    Error::argument(object, "there is no such object in the file", "objects() names those that there are")
}

/// The weights of a group `vars`.
fn object(group: &Group) -> rhyton_formats::Result<Object> {
    let name = group.attribute("name")?.and_then(|name| name.as_str().map(str::to_owned));
    let weights = group.keys()?.into_iter().map(|key| {
        let array = group.dataset(&key)?.array()?;
        Ok((key, array))
    });
    Ok(Object { name, weights: weights.collect::<rhyton_formats::Result<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    fn model() -> Model {
        let model = Sequential::new().add(Input::new([4, 3])).add(Bidirectional::new(LSTM::new(2)));
        model.add(Dense::new(3)).add(Dense::new(2))
    }

    #[test]
    fn objects_are_renamed_added_and_removed_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.weights.h5");
        let saved = model();
        saved.save_weights(&path).unwrap();
        let mut editor = KerasFileEditor::open(&path).unwrap();
        let compared = editor.compare(&saved).unwrap();
        assert!(compared.mismatches.is_empty() && compared.matches == 10, "{compared:?}");
        assert!(editor.summary().contains("layers/dense_1"), "{}", editor.summary());

        editor.rename_object("layers/bidirectional", "twice").unwrap();
        assert!(editor.objects().any(|o| o == "layers/twice/forward_layer/cell"));
        let compared = editor.compare(&saved).unwrap();
        assert_eq!((compared.mismatches.len(), compared.matches), (12, 4), "{compared:?}");
        editor.rename_object("twice", "bidirectional").unwrap();

        let kernel = editor.weights("dense").unwrap()["0"].clone();
        editor.delete_weight("dense", "0").unwrap();
        assert!(editor.compare(&saved).unwrap().mismatches[0].contains("layers/dense/0"));
        editor.add_weights("dense", [("0", kernel)]).unwrap();
        editor.delete_object("dense_1").unwrap();
        let (a, b) = (Array::zeros(DType::F32, [3, 2]), Array::zeros(DType::F32, [2]));
        editor.add_object("layers/dense_1", [("0", a.clone()), ("1", b)]).unwrap();
        editor.save(&path).unwrap();
        let loaded = model();
        loaded.load_weights(&path).unwrap();
        let (before, after) = (saved.get_weights().unwrap(), loaded.get_weights().unwrap());
        assert_eq!(before[..8], after[..8]);
        assert_eq!(after[8], a);
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.keras");
        model().save(&path).unwrap();
        let mut editor = KerasFileEditor::open(&path).unwrap();
        let told = |result: Result<()>, what: &str| {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        };
        told(editor.delete_object("dense_7"), "no such object");
        told(editor.delete_object("cell"), "several objects");
        told(editor.rename_object("dense", "dense_1"), "already");
        told(editor.rename_object("dense", "a/b"), "a/b");
        told(editor.delete_weight("dense", "7"), "no weight");
        told(editor.add_object("layers//x", []), "no path");
        told(editor.save(folder.path().join("m.keras")), ".weights.h5");
        told(KerasFileEditor::open("m.txt").map(|_| ()), "no file of weights");
    }
}
