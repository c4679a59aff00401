//! The groups of weights: each layer's under its name, with the order of its variables in an attribute.

use std::path::Path;

use rhyton_formats::hdf5::{Group, H5Writer, Value};
use rhyton_ir::{Array, DType};

use super::super::model::KERAS_VERSION;
use super::super::weights::{assign, check_shape, format_error};
use crate::error::{Error, Result};
use crate::layers::{Layer, LayerRef, describe};
use crate::model::Model;
use crate::variable::Variable;

/// How a layer finds its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::saving) enum By {
    /// The layers that have weights, one after the other.
    Order,
    /// Layers whose names are in the file; the others stay as they are.
    Name,
}

const TOP_LEVEL: &str = "top_level_model_weights";

/// An attribute takes at most this many bytes, of which a string takes 16; longer lists are split into `name0`, `name1`, ….
const MOST_NAMES: usize = 64_512 / 16;

/// In the legacy order: what trains first.
fn weights_of(layer: &dyn Layer) -> Vec<Variable> {
    let mut weights = layer.trainable_weights();
    weights.extend(layer.non_trainable_weights());
    weights
}

/// The weights that belong to the model itself rather than to a layer of it.
fn top_level(model: &Model) -> Vec<Variable> {
    let base = model.body_layer().map_or(&model.base, |layer| layer.base());
    let (trained, frozen): (Vec<_>, Vec<_>) = base.own_weights().into_iter().partition(Variable::trainable);
    trained.into_iter().chain(frozen).collect()
}

/// Writes the weights of all layers into `group`.
pub(super) fn save(model: &Model, file: &mut H5Writer, group: &str, path: &Path) -> Result<()> {
    let wrap = |e| format_error(path, e);
    let layers = model.layers();
    let names: Vec<String> = layers.iter().map(|l| l.name().to_owned()).collect();
    set_names(file, group, "layer_names", names, path)?;
    file.attribute(group, "backend", "tensorflow").map_err(wrap)?;
    file.attribute(group, "keras_version", KERAS_VERSION).map_err(wrap)?;
    for layer in &layers {
        save_variables(&weights_of(layer.as_ref()), file, &format!("{group}/{}", layer.name()), path)?;
    }
    save_variables(&top_level(model), file, &format!("{group}/{TOP_LEVEL}"), path)
}

/// Writes variables under their paths, and the paths in order.
pub(super) fn save_variables(variables: &[Variable], file: &mut H5Writer, group: &str, path: &Path) -> Result<()> {
    let wrap = |e| format_error(path, e);
    file.group(group).map_err(wrap)?;
    set_names(file, group, "weight_names", variables.iter().map(|v| v.path().to_owned()).collect(), path)?;
    variables.iter().try_for_each(|v| file.dataset(&format!("{group}/{}", v.path()), v.array()?).map_err(wrap))
}

fn set_names(file: &mut H5Writer, group: &str, name: &str, names: Vec<String>, path: &Path) -> Result<()> {
    let mut set = |name: &str, value: Value| file.attribute(group, name, value).map_err(|e| format_error(path, e));
    match names.len() {
        // What NumPy makes of an empty list.
        0 => set(name, Array::zeros(DType::F64, [0]).into()),
        n if n <= MOST_NAMES => set(name, names.into()),
        _ => (names.chunks(MOST_NAMES).enumerate())
            .try_for_each(|(i, part)| set(&format!("{name}{i}"), part.to_vec().into())),
    }
}

/// Whether the group has a list of names.
pub(super) fn has_names(group: &Group, name: &str, path: &Path) -> Result<bool> {
    let attributes = group.attribute_names().map_err(|e| format_error(path, e))?;
    Ok(attributes.iter().any(|a| a == name || a == &format!("{name}0")))
}

/// A list of names, whole or split.
fn names(group: &Group, name: &str, path: &Path) -> Result<Vec<String>> {
    let read = |name: &str| -> Result<Option<Vec<String>>> {
        let Some(value) = group.attribute(name).map_err(|e| format_error(path, e))? else { return Ok(None) };
        let names = value.as_strings().ok_or_else(|| {
            Error::content(
                format!("{}, /{} @{name}", path.display(), group.path()),
                "it is no list of names",
                "the file is damaged; save the weights again",
            )
        })?;
        Ok(Some(names.to_vec()))
    };
    if let Some(whole) = read(name)? {
        return Ok(whole);
    }
    let mut all = Vec::new();
    let mut part = 0;
    while let Some(names) = read(&format!("{name}{part}"))? {
        all.extend(names);
        part += 1;
    }
    Ok(all)
}

/// Sets the model's weights from a group that [`save`] or Keras wrote. With `skip_mismatch`, what does not fit stays as it
/// is and is listed in the result; otherwise nothing is changed unless everything fits.
///
/// # Errors
/// If layers or shapes differ; the message names the layer, the place in the file, and what was expected.
pub(in crate::saving) fn load(
    model: &Model,
    group: &Group,
    path: &Path,
    by: By,
    skip_mismatch: bool,
) -> Result<Vec<String>> {
    let wrap = |e| format_error(path, e);
    let mut reading = Reading::new(path, skip_mismatch);
    let saved = names(group, "layer_names", path)?;
    let layers = model.layers();
    for (layer, name) in pairs(&layers, saved, group, path, by)? {
        let place = group.group(&name).map_err(wrap)?;
        reading.read(&weights_of(layer.as_ref()), &place, &describe(layer.as_ref()))?;
    }
    if group.kind(TOP_LEVEL).map_err(wrap)?.is_some() {
        let place = group.group(TOP_LEVEL).map_err(wrap)?;
        reading.read(&top_level(model), &place, &format!("model {}", model.name()))?;
    }
    assign(reading.loaded)?;
    Ok(reading.skipped)
}

/// Which layer takes the weights of which group.
fn pairs(
    layers: &[LayerRef],
    saved: Vec<String>,
    group: &Group,
    path: &Path,
    by: By,
) -> Result<Vec<(LayerRef, String)>> {
    if by == By::Name {
        let named = |name: &String| layers.iter().filter(|l| l.name() == name).cloned().collect::<Vec<_>>();
        return Ok(saved.iter().flat_map(|name| named(name).into_iter().map(|l| (l, name.clone()))).collect());
    }
    let layers: Vec<LayerRef> = layers.iter().filter(|l| !weights_of(l.as_ref()).is_empty()).cloned().collect();
    let mut with_weights = Vec::new();
    for name in saved {
        let place = group.group(&name).map_err(|e| format_error(path, e))?;
        if !names(&place, "weight_names", path)?.is_empty() {
            with_weights.push(name);
        }
    }
    if layers.len() != with_weights.len() {
        return Err(Error::content(
            format!("{}, /{}", path.display(), group.path()),
            format!("the model has {} layers with weights but the file holds {}", layers.len(), with_weights.len()),
            "load the weights of a model with the same layers, or those of layers with the same names by_name",
        ));
    }
    Ok(layers.into_iter().zip(with_weights).collect())
}

/// Sets the variables of an optimizer from a group, all or none.
///
/// Keras 2 kept the learning rate in the configuration alone, so that it is not among the weights, and its optimizers up to 2.10
/// kept the slots of one kind together where Keras 3 keeps those of one weight.
pub(super) fn load_optimizer(variables: &[Variable], group: &Group, path: &Path, described: &str) -> Result<()> {
    let mut places = names(group, "weight_names", path)?;
    let mut variables = variables.to_vec();
    if places.iter().any(|place| place.ends_with(":0")) {
        variables.retain(|v| v.name() != "learning_rate");
        if has_slots_by_weight(&variables) {
            places = by_weight(places);
        }
    }
    let mut reading = Reading::new(path, false);
    reading.read_places(&variables, &places, group, described)?;
    assign(reading.loaded)
}

/// Whether the slots of the first weight follow each other: they end in words of their own (`momentum`, `velocity`).
fn has_slots_by_weight(variables: &[Variable]) -> bool {
    let kind = |v: &Variable| v.path().rsplit('_').next().map(str::to_owned);
    matches!(variables, [_, first, second, ..] if kind(first) != kind(second))
}

/// Places such as `Adam/dense/kernel/m:0` ordered by the weight that they are slots of; others as they are.
fn by_weight(places: Vec<String>) -> Vec<String> {
    if !places.iter().any(|place| place.ends_with("/iter:0")) {
        return places;
    }
    let weight = |place: &str| place.rsplit_once('/').map(|(weight, _)| weight.to_owned());
    let mut order: Vec<Option<String>> = Vec::new();
    for place in &places {
        let weight = weight(place);
        if !order.contains(&weight) {
            order.push(weight);
        }
    }
    let mut places = places;
    places.sort_by_key(|place| order.iter().position(|w| *w == weight(place)));
    places
}

/// What is read from a group, before any of it is set.
struct Reading<'a> {
    path: &'a Path,
    /// Whether what does not fit is listed and left as it is, rather than an error.
    skip_mismatch: bool,
    loaded: Vec<(Variable, Array)>,
    skipped: Vec<String>,
}

impl<'a> Reading<'a> {
    fn new(path: &'a Path, skip_mismatch: bool) -> Reading<'a> {
        Reading { path, skip_mismatch, loaded: Vec::new(), skipped: Vec::new() }
    }

    /// Reads the values of `variables`, in the order that the group lists.
    fn read(&mut self, variables: &[Variable], group: &Group, described: &str) -> Result<()> {
        let places = names(group, "weight_names", self.path)?;
        self.read_places(variables, &places, group, described)
    }

    /// Reads the values of `variables` from `places` within the group.
    fn read_places(&mut self, variables: &[Variable], places: &[String], group: &Group, described: &str) -> Result<()> {
        let at = format!("{}, /{}", self.path.display(), group.path());
        if places.len() != variables.len() {
            let error = Error::content(
                at,
                format!("{described} has {} variables but the file holds {}", variables.len(), places.len()),
                "load the weights of a model with the same layers",
            );
            return self.skip_or_fail(described, error);
        }
        for (variable, place) in variables.iter().zip(places) {
            let array = group.dataset(place).and_then(|d| d.array()).map_err(|e| format_error(self.path, e))?;
            match check_shape(variable, &array, &format!("{at}/{place}")) {
                Ok(()) => self.loaded.push((variable.clone(), array)),
                Err(error) => self.skip_or_fail(&variable.describe(), error)?,
            }
        }
        Ok(())
    }

    fn skip_or_fail(&mut self, described: &str, error: Error) -> Result<()> {
        if !self.skip_mismatch {
            return Err(error);
        }
        self.skipped.push(format!("{described}: {error}"));
        Ok(())
    }
}
