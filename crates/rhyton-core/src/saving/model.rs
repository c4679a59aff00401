//! Whole models in `.keras` files, and weights alone in `.weights.h5` files.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rhyton_formats::hdf5::H5File;
use rhyton_formats::keras_archive::{KerasArchive, WEIGHTS};
use serde_json::{Value, json};

use super::legacy;
use super::stores::OneFile;
use super::weights::{Omitted, assets, format_error, from_store, load_assets, to_hdf5};
use super::{CustomObjects, budget};
use crate::error::{Error, Result};
use crate::model::{Model, deserialize_layer, serialize_layer};

/// The version of Keras whose files these are.
pub const KERAS_VERSION: &str = "3.15.1";

impl Model {
    /// Writes the model to `path`: `.keras` (configuration, weights, compilation and the optimizer's state; Keras in Python
    /// reads it), `.h5` or `.hdf5` (the same in Keras's legacy format, without the files of layers) or `.weights.h5` (weights
    /// alone). The file is replaced at once or not at all.
    ///
    /// # Errors
    /// If the name has none of these endings, the model has no weights yet, or the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let name = path.to_string_lossy();
        if name.ends_with(".weights.h5") {
            return self.save_weights(path);
        }
        if legacy::is_legacy(path) {
            self.check_built()?;
            return legacy::save_model(self, path);
        }
        if !name.ends_with(".keras") {
            return Err(Error::argument(
                name,
                "the ending says no format that models are saved in",
                "use .keras or .h5 for the whole model, or .weights.h5 for the weights",
            ));
        }
        self.to_archive()?.write(path).map_err(|e| format_error(path, e))
    }

    /// The configuration with the compilation, as `config.json` holds it and Python's `model.to_json()` gives it.
    pub fn to_json(&self) -> Value {
        let mut object = serialize_layer(self);
        if let Some(compilation) = self.compile_config() {
            object["compile_config"] = compilation;
        }
        object
    }

    fn to_archive(&self) -> Result<KerasArchive> {
        self.check_built()?;
        let weights =
            to_hdf5(self, &Omitted::default())?.to_bytes().map_err(|e| format_error(Path::new(WEIGHTS), e))?;
        let metadata = json!({"keras_version": KERAS_VERSION, "date_saved": date(SystemTime::now())});
        Ok(KerasArchive {
            metadata: metadata.to_string().into_bytes(),
            config: self.to_json().to_string().into_bytes(),
            weights,
            assets: assets(self)?,
        })
    }

    pub(super) fn check_built(&self) -> Result<()> {
        if self.built() {
            return Ok(());
        }
        Err(Error::argument(
            crate::layers::Layer::name(self),
            "the model has no weights yet",
            "give it an Input, call build, or train it first",
        ))
    }
}

/// Reads a model from a `.keras` file, the folder of one that was unpacked, or a legacy `.h5` file, compiled as it was when
/// saved. Nothing in the file is run.
///
/// # Errors
/// If the file is damaged, names a class that is not known, or holds weights that do not fit its own configuration.
pub fn load_model(path: impl AsRef<Path>) -> Result<Model> {
    load_model_with(path, LoadModel::new())
}

/// How a model is loaded; [`load_model`] does what most need.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
/// use rhyton_core::saving::{LoadModel, load_model_with};
///
/// let model = Sequential::new().add(Input::new([4])).add(Dense::new(3));
/// model.compile(Adam::new(0.1), "mse", ["mae"])?;
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("model.keras");
/// model.save(&path)?;
/// assert!(load_model_with(&path, LoadModel::new().compile(false))?.optimizer().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct LoadModel {
    custom: CustomObjects,
    compile: bool,
}

impl Default for LoadModel {
    fn default() -> LoadModel {
        LoadModel { custom: CustomObjects::new(), compile: true }
    }
}

impl LoadModel {
    /// Compiled as it was when saved, of classes that are known.
    pub fn new() -> LoadModel {
        LoadModel::default()
    }

    /// Classes of your own that the file may name.
    pub fn custom_objects(mut self, custom: &CustomObjects) -> LoadModel {
        self.custom = custom.clone();
        self
    }

    /// Whether the model is compiled as it was when saved, which it is unless said. Otherwise losses, metrics and the optimizer
    /// that the file names are not looked at.
    pub fn compile(mut self, compile: bool) -> LoadModel {
        self.compile = compile;
        self
    }
}

impl From<&CustomObjects> for LoadModel {
    fn from(custom: &CustomObjects) -> LoadModel {
        LoadModel::new().custom_objects(custom)
    }
}

/// [`load_model`] in another way: with classes of your own that the file may name (`&CustomObjects` will do), or uncompiled.
///
/// # Errors
/// As there.
pub fn load_model_with(path: impl AsRef<Path>, options: impl Into<LoadModel>) -> Result<Model> {
    let (path, LoadModel { custom, compile }) = (path.as_ref(), options.into());
    if legacy::is_legacy(path) {
        return legacy::load_model(path, &custom, compile);
    }
    let wrap = |e| format_error(path, e);
    let archive = KerasArchive::read(path).map_err(wrap)?;
    let at = path.to_string_lossy();
    let config: Value = serde_json::from_slice(&archive.config).map_err(|error| {
        Error::content(format!("{at}, config.json"), error.to_string(), "the file is damaged; save the model again")
    })?;
    let described = budget::within(archive.weights.len() as u64, || custom.scope(|| described_model(&config, compile)));
    let model = described.map_err(|e| e.within(&at))?;
    load_assets(&model, &archive.assets).map_err(|e| e.within(&at))?;
    let file = H5File::from_member(archive.weights, path, WEIGHTS).map_err(wrap)?;
    for skipped in from_store(&model, &OneFile::new(file, path), &Omitted::default(), false)? {
        // Nobody is left to tell if standard error is closed.
        let _ = writeln!(std::io::stderr(), "warning: not loaded: {skipped}");
    }
    Ok(model)
}

/// The model that a configuration describes, compiled if it holds a compilation; what [`Model::to_json`] gives, or what
/// `model.to_json()` gives in Keras 2 or 3.
///
/// # Errors
/// If it is no model, or names a class that is not known.
pub fn model_from_json(config: &Value) -> Result<Model> {
    let model = described_model(config, true)?;
    model.build_optimizer()?;
    Ok(model)
}

/// [`model_from_json`] without the optimizer's slots, or uncompiled.
fn described_model(config: &Value, compile: bool) -> Result<Model> {
    let model = model_of(&legacy::modern(config))?;
    let compilation = config.get("compile_config").filter(|_| compile);
    if let Some(compilation) = compilation.filter(|c| c.as_object().is_some_and(|o| !o.is_empty())) {
        model.compile_from_config(compilation)?;
    }
    Ok(model)
}

/// The model that an object describes, uncompiled.
pub(super) fn model_of(object: &Value) -> Result<Model> {
    let layer = deserialize_layer(object)?;
    Ok(match layer.as_any().downcast_ref::<Model>() {
        Some(model) => model.clone(),
        None => Model::subclass(layer),
    })
}

/// `2026-11-23@06:29:38`, UTC.
fn date(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, seconds) = (since / 86_400, since % 86_400);
    // Civil date from a day count: shifting the year to begin in March makes the leap day its last (H. Hinnant, 2014,
    // "chrono-Compatible Low-Level Date Algorithms").
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}@{hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_civil_dates() {
        let at = |s| date(UNIX_EPOCH + Duration::from_secs(s));
        assert_eq!(at(0), "1970-01-01@00:00:00");
        assert_eq!(at(951_782_400 + 3_661), "2000-02-29@01:01:01");
        assert_eq!(at(1_795_415_378), "2026-11-23@06:29:38");
    }
}
