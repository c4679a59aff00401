//! Weights alone, in files: `.weights.h5`, sharded ones, and those of the legacy format.

use std::io::Write;
use std::path::{Path, PathBuf};

use rhyton_formats::atomic::write_atomically;
use rhyton_formats::hdf5::H5File;
use rhyton_formats::keras_archive::{KerasArchive, WEIGHTS};

use super::legacy;
use super::stores::{INDEX, OneFile, Shards, Store, to_shards};
use super::weights::{Omitted, entries, format_error, from_store, to_hdf5};
use crate::error::{Error, Result};
use crate::layers::{Call, LayerRef};
use crate::model::Model;

/// How weights are saved; [`Model::save_weights`] does what most need.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
/// use rhyton_core::saving::{LoadWeights, SaveWeights};
///
/// let model = Sequential::new().add(Input::new([4])).add(Dense::new(3)).add(Dense::new(2));
/// let folder = tempfile::tempdir()?;
/// let index = folder.path().join("model.weights.json");
/// model.save_weights_with(&index, SaveWeights::new().max_shard_size(6e-8))?;
/// assert!(folder.path().join("model_00001.weights.h5").exists());
/// model.load_weights_with(&index, LoadWeights::new())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct SaveWeights {
    max_shard_size: Option<f64>,
    omitted: Omitted,
}

impl SaveWeights {
    /// Everything into one file.
    pub fn new() -> SaveWeights {
        SaveWeights::default()
    }

    /// Into files of at most this many GB (2³⁰ bytes) of weights, and an index that ends in `.weights.json`.
    pub fn max_shard_size(mut self, gigabytes: f64) -> SaveWeights {
        self.max_shard_size = Some(gigabytes);
        self
    }

    /// Leaves out a layer, and what is in it (one of Keras's `objects_to_skip`).
    pub fn skip(mut self, layer: &impl Call) -> SaveWeights {
        self.omitted.layer(&layer.layer_ref());
        self
    }

    /// Leaves out the state of the optimizer.
    pub fn skip_optimizer(mut self) -> SaveWeights {
        self.omitted.optimizer = true;
        self
    }
}

/// How weights are loaded; [`Model::load_weights`] does what most need.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
/// use rhyton_core::saving::LoadWeights;
///
/// let model = |units: usize| Sequential::new().add(Input::new([4])).add(Dense::new(3)).add(Dense::new(units));
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("model.weights.h5");
/// model(2).save_weights(&path)?;
/// assert!(model(5).load_weights(&path).is_err());
/// let skipped = model(5).load_weights_with(&path, LoadWeights::new().skip_mismatch(true))?;
/// assert_eq!(skipped.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct LoadWeights {
    skip_mismatch: bool,
    by_name: bool,
    omitted: Omitted,
}

impl LoadWeights {
    /// All weights, which must fit.
    pub fn new() -> LoadWeights {
        LoadWeights::default()
    }

    /// Whether what does not fit stays as it is rather than being an error.
    pub fn skip_mismatch(mut self, skip_mismatch: bool) -> LoadWeights {
        self.skip_mismatch = skip_mismatch;
        self
    }

    /// Whether layers find their weights by name; only in files of the legacy format. Layers that the file does not name
    /// stay as they are.
    pub fn by_name(mut self, by_name: bool) -> LoadWeights {
        self.by_name = by_name;
        self
    }

    /// Leaves a layer as it is, and what is in it (one of Keras's `objects_to_skip`); only from `.weights.h5` and
    /// `.weights.json`.
    pub fn skip(mut self, layer: &impl Call) -> LoadWeights {
        self.omitted.layer(&layer.layer_ref());
        self
    }

    /// Leaves the state of the optimizer as it is.
    pub fn skip_optimizer(mut self) -> LoadWeights {
        self.omitted.optimizer = true;
        self
    }
}

impl Omitted {
    fn layer(&mut self, layer: &LayerRef) {
        self.layers.push(layer.base().key());
    }
}

impl Model {
    /// Writes the weights and the optimizer's state to a `.weights.h5` file.
    ///
    /// # Errors
    /// If the name has another ending, the model has no weights yet, or the file cannot be written.
    pub fn save_weights(&self, path: impl AsRef<Path>) -> Result<()> {
        self.save_weights_with(path, SaveWeights::new())
    }

    /// [`Model::save_weights`], with what can be chosen.
    ///
    /// # Errors
    /// As there, and if a weight is larger than a shard may be.
    pub fn save_weights_with(&self, path: impl AsRef<Path>, options: SaveWeights) -> Result<()> {
        let path = path.as_ref();
        let name = path.to_string_lossy();
        let is_index = options.max_shard_size.is_some() && name.ends_with(INDEX);
        if !is_index && !name.ends_with(".weights.h5") {
            let what = "the ending says no format that weights are saved in";
            let fix = "end the name in .weights.h5, or with max_shard_size in .weights.json";
            return Err(Error::argument(name, what, fix));
        }
        self.check_built()?;
        let Some(gigabytes) = options.max_shard_size else {
            return to_hdf5(self, &options.omitted)?.write(path).map_err(|e| format_error(path, e));
        };
        // The index has the name of the one file that there would be.
        let index = PathBuf::from(name.strip_suffix(".weights.h5").map_or(name.to_string(), |n| format!("{n}{INDEX}")));
        let most = gigabytes * f64::from(1u32 << 30);
        let (files, json) = to_shards(&entries(self, &options.omitted), most, &index)?;
        for (name, file) in files {
            let path = index.with_file_name(name);
            file.write(&path).map_err(|e| format_error(&path, e))?;
        }
        // Last, so that an index never names files that are not there.
        let text = format!("{json:#}");
        write_atomically(&index, |file| file.write_all(text.as_bytes())).map_err(|e| format_error(&index, e))
    }

    /// Reads weights from a `.weights.h5`, `.weights.json`, `.keras` or legacy `.h5` file into this model.
    ///
    /// # Errors
    /// If a layer's weights are missing or have other shapes; nothing is changed then.
    pub fn load_weights(&self, path: impl AsRef<Path>) -> Result<()> {
        self.load_weights_with(path, LoadWeights::new()).map(|_| ())
    }

    /// [`Model::load_weights`], with what can be chosen; the result says what was left as it is, and why.
    ///
    /// # Errors
    /// If the file cannot be read; unless mismatches are skipped, if weights are missing or have other shapes; if its format
    /// has no place for what was chosen.
    pub fn load_weights_with(&self, path: impl AsRef<Path>, options: LoadWeights) -> Result<Vec<String>> {
        let path = path.as_ref();
        let wrap = |e| format_error(path, e);
        self.check_built()?;
        let name = path.to_string_lossy();
        let is_legacy = legacy::is_legacy(path);
        if options.by_name && !is_legacy {
            let fix = "leave by_name out; layers are found by their place in the model";
            return Err(Error::argument(name, "by_name is for legacy .h5 files only", fix));
        }
        if !options.omitted.layers.is_empty() && (is_legacy || name.ends_with(".keras")) {
            let what = "layers can be skipped in .weights.h5 and .weights.json files only";
            return Err(Error::argument(name, what, "use skip_mismatch, or save the weights as .weights.h5"));
        }
        if is_legacy {
            let file = H5File::open(path).map_err(wrap)?;
            let by = if options.by_name { legacy::By::Name } else { legacy::By::Order };
            return legacy::load(self, &legacy::weights_group(&file, path)?, path, by, options.skip_mismatch);
        }
        let store: Box<dyn Store> = if name.ends_with(".weights.json") {
            Box::new(Shards::open(path)?)
        } else if name.ends_with(".keras") {
            let weights = KerasArchive::read(path).map_err(wrap)?.weights;
            Box::new(OneFile::new(H5File::from_member(weights, path, WEIGHTS).map_err(wrap)?, path))
        } else if name.ends_with(".weights.h5") {
            Box::new(OneFile::new(H5File::open(path).map_err(wrap)?, path))
        } else {
            let fix = "weights are read from .weights.h5, .weights.json, .keras and .h5 files";
            return Err(Error::argument(name, "the ending says no format that weights are read from", fix));
        };
        from_store(self, store.as_ref(), &options.omitted, options.skip_mismatch)
    }
}
