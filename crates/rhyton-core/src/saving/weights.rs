//! Weights in `model.weights.h5`: where each layer's variables stand, as Keras lays them out.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use rhyton_formats::hdf5::{H5File, H5Writer, Value};
use rhyton_ir::Array;

use super::stores::Store;
use crate::error::{Error, Result};
use crate::layers::{Layer, describe};
use crate::model::Model;
use crate::optimizers::OptimizerRef;
use crate::variable::Variable;

/// The group of the optimizer.
const OPTIMIZER: &str = "optimizer";

/// A place in the file: the group of an object, its name, and the variables in it.
pub(super) struct Entry {
    pub group: String,
    pub name: String,
    /// How errors call the object.
    described: String,
    /// The variables by their names in the group, mostly `0`, `1`, ….
    pub variables: Vec<(String, Variable)>,
}

/// What is left out of files, or left as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Omitted {
    /// The keys of layers.
    pub layers: Vec<usize>,
    pub optimizer: bool,
}

/// The files of all layers, by their paths below `assets/`: the groups of the weights, then the layers' own names.
pub(super) fn assets(model: &Model) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    each_layer(model, &Omitted::default(), &mut |group, layer| {
        let own = layer.assets().map_err(|e| e.within(&describe(layer)))?;
        found.extend(own.into_iter().map(|(name, bytes)| (join(group, &name), bytes)));
        Ok(())
    })?;
    Ok(found)
}

/// Gives all layers their files.
pub(super) fn load_assets(model: &Model, assets: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    each_layer(model, &Omitted::default(), &mut |group, layer| {
        let own = |(path, bytes): (&String, &Vec<u8>)| {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            (folder == group).then(|| (name.to_owned(), bytes.clone()))
        };
        layer.load_assets(&assets.iter().filter_map(own).collect()).map_err(|e| e.within(&describe(layer)))
    })
}

/// Every object with state, in the order and under the groups in which Keras walks them: the model, its layers and what
/// is in them, then the optimizer. An object met again (a shared layer) is stored once.
pub(super) fn entries(model: &Model, omitted: &Omitted) -> Vec<Entry> {
    let mut entries = layer_entries(model, omitted);
    entries.extend(optimizer_entry(model).filter(|_| !omitted.optimizer));
    if !omitted.optimizer {
        entries.extend(inner_optimizer_entries(model));
    }
    entries
}

fn layer_entries(model: &Model, omitted: &Omitted) -> Vec<Entry> {
    let mut entries = Vec::new();
    let visited = each_layer(model, omitted, &mut |group, layer| {
        entries.push(Entry {
            group: group.to_owned(),
            name: layer.name().to_owned(),
            described: describe(layer),
            variables: named(layer.saved_variables(), |i| layer.saved_name(i)),
        });
        Ok(())
    });
    visited.expect("collecting cannot fail");
    entries
}

fn optimizer_entry(model: &Model) -> Option<Entry> {
    let optimizer = model.optimizer()?;
    Some(Entry {
        group: OPTIMIZER.into(),
        name: optimizer.name().to_owned(),
        described: format!("optimizer {}", optimizer.name()),
        variables: named(optimizer.variables(), |i| i.to_string()),
    })
}

/// The optimizers inside the optimizer. The optimizer's own entry has their state, too, which is the one that is read.
fn inner_optimizer_entries(model: &Model) -> Vec<Entry> {
    let mut used: BTreeMap<String, usize> = BTreeMap::new();
    let children = model.optimizer().map(|o| o.children()).unwrap_or_default();
    let entry = |optimizer: OptimizerRef| {
        let name = crate::naming::snake_case(optimizer.class_name());
        let count = used.entry(name.clone()).and_modify(|n| *n += 1).or_insert(0);
        let unique = if *count == 0 { name } else { format!("{name}_{count}") };
        Entry {
            group: format!("{OPTIMIZER}/optimizers/{unique}"),
            name: optimizer.name().to_owned(),
            described: format!("optimizer {}", optimizer.name()),
            variables: named(optimizer.variables(), |i| i.to_string()),
        }
    };
    children.into_iter().map(entry).collect()
}

fn named(variables: Vec<Variable>, name: impl Fn(usize) -> String) -> Vec<(String, Variable)> {
    variables.into_iter().enumerate().map(|(i, v)| (name(i), v)).collect()
}

/// Calls `visit` with each layer that is not omitted and its group, the model itself first.
fn each_layer(model: &Model, omitted: &Omitted, visit: &mut dyn FnMut(&str, &dyn Layer) -> Result<()>) -> Result<()> {
    fn walk(
        layer: &dyn Layer,
        group: &str,
        seen: &mut HashSet<usize>,
        visit: &mut dyn FnMut(&str, &dyn Layer) -> Result<()>,
    ) -> Result<()> {
        if !seen.insert(layer.base().key()) {
            return Ok(());
        }
        visit(group, layer)?;
        let children = layer.children();
        children.iter().try_for_each(|(name, child)| walk(child.as_ref(), &join(group, name), seen, visit))
    }
    walk(model, "", &mut omitted.layers.iter().copied().collect(), visit)
}

pub(super) fn join(group: &str, name: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{group}/{name}") }
}

/// The content of `model.weights.h5`.
///
/// # Errors
/// If a weight cannot be computed.
pub(super) fn to_hdf5(model: &Model, omitted: &Omitted) -> Result<H5Writer> {
    let mut file = H5Writer::new();
    let wrap = |e| format_error(Path::new("model.weights.h5"), e);
    for entry in entries(model, omitted) {
        let group = join(&entry.group, "vars");
        file.group(&group).map_err(wrap)?;
        file.attribute(&group, "name", entry.name.as_str()).map_err(wrap)?;
        for (name, variable) in &entry.variables {
            file.dataset(&format!("{group}/{name}"), variable.array()?).map_err(wrap)?;
        }
    }
    Ok(file)
}

/// Sets the model's weights from a file laid out by Keras. With `skip_mismatch`, objects that do not fit stay as they are
/// and are listed in the result; otherwise nothing is changed unless everything fits.
///
/// The optimizer's slots are made once the weights are there. Keras makes them before: where the file has no state of the
/// optimizer, the slots that start as copies of the weights (`ScheduleFreeAdamW`) are copies of random ones there.
///
/// # Errors
/// If a group is missing or has another number of variables or shapes; the message names the layer, the place in the file
/// and both shapes.
pub(super) fn from_store(
    model: &Model,
    store: &dyn Store,
    omitted: &Omitted,
    skip_mismatch: bool,
) -> Result<Vec<String>> {
    let mut loaded: Vec<(Variable, Array)> = Vec::new();
    let mut skipped = Vec::new();
    for entry in layer_entries(model, omitted) {
        match read_entry(&entry, store) {
            Ok(values) => loaded.extend(entry.variables.iter().map(|(_, v)| v.clone()).zip(values)),
            Err(error) if skip_mismatch => skipped.push(format!("{}: {error}", entry.described)),
            Err(error) => return Err(error),
        }
    }
    assign(loaded)?;
    model.build_optimizer()?;
    if let Some(entry) = optimizer_entry(model).filter(|_| !omitted.optimizer) {
        match read_entry(&entry, store) {
            Ok(values) => assign(entry.variables.into_iter().map(|(_, v)| v).zip(values))?,
            // Keras, too, goes on without the state of an optimizer that does not fit, and says so.
            Err(error) => skipped.push(format!("{}: {error}", entry.described)),
        }
    }
    Ok(skipped)
}

pub(super) fn assign(values: impl IntoIterator<Item = (Variable, Array)>) -> Result<()> {
    values.into_iter().try_for_each(|(variable, value)| variable.assign(value))
}

fn read_entry(entry: &Entry, store: &dyn Store) -> Result<Vec<Array>> {
    let group = join(&entry.group, "vars");
    let found = store.len(&group)?;
    if found != entry.variables.len() {
        return Err(Error::content(
            store.at(&group),
            format!("{} has {} variables but the file holds {found}", entry.described, entry.variables.len()),
            "load the weights of a model with the same layers",
        ));
    }
    let read = |(name, variable): &(String, Variable)| {
        let array = store.array(&group, name)?;
        check_shape(variable, &array, &store.at(&format!("{group}/{name}")))?;
        Ok(array)
    };
    entry.variables.iter().map(read).collect()
}

/// Refuses an array at `at` in a file that is not of the variable's shape.
pub(super) fn check_shape(variable: &Variable, array: &Array, at: &str) -> Result<()> {
    if array.shape() == variable.shape() {
        return Ok(());
    }
    let (found, name, expected) = (array.shape(), variable.describe(), variable.shape());
    Err(Error::shape(
        at,
        format!("the file has shape {found:?} but {name} has {expected:?}"),
        "load the weights of a model with the same layers",
    ))
}

/// Every array of an HDF5 file by its place, for files without a model.
///
/// # Errors
/// If the file is damaged.
pub fn arrays_of_hdf5(path: &Path) -> Result<Vec<(String, Array)>> {
    let wrap = |e| format_error(path, e);
    let file = H5File::open(path).map_err(wrap)?;
    let mut arrays = Vec::new();
    for place in file.datasets().map_err(wrap)? {
        if let Value::Array(array) = file.dataset(&place).and_then(|d| d.value()).map_err(wrap)? {
            arrays.push((place, array));
        }
    }
    Ok(arrays)
}

/// An error in a file.
pub(crate) fn format_error(path: &Path, source: rhyton_formats::Error) -> Error {
    Error::Format { path: path.to_owned(), source: std::sync::Arc::new(source) }
}
