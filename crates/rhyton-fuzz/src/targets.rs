//! What is damaged and how it is read.

use std::path::{Path, PathBuf};

use rhyton::formats::keras_archive::KerasArchive;
use rhyton::formats::{npy, npz, safetensors};
use rhyton::saving::load_model;
use rhyton_formats::hdf5::{self, H5File};
use serde_json::{Value, json};

use crate::random::Random;
use crate::{damage, json as damage_json};

/// A format with files of it.
pub struct Target {
    kind: Kind,
    files: Vec<Vec<u8>>,
    /// The configurations of all layers with golden data.
    layers: Vec<Value>,
    folder: tempfile::TempDir,
}

enum Kind {
    /// Whole `.keras` files, damaged as bytes, in their configuration or in their weights.
    Archive,
    /// Models of one damaged layer.
    Config,
    Hdf5,
    /// Whole models in the legacy format.
    Legacy,
    /// `.npz`, `.npy` and `.safetensors`.
    Npz,
}

impl Target {
    /// The target `name` with the golden files of the repository at `root`.
    pub fn new(root: &Path, name: &str) -> Result<Target, String> {
        let formats = root.join("crates/rhyton-formats/fixtures");
        let saving = root.join("crates/rhyton-core/fixtures/saving");
        let (kind, paths): (Kind, Vec<PathBuf>) = match name {
            "archive" => (Kind::Archive, vec![formats.join("model.keras")]),
            "config" => (Kind::Config, vec![formats.join("model.keras")]),
            "hdf5" => (Kind::Hdf5, with_ending(&formats, "h5").chain(with_ending(&saving, "h5")).collect()),
            "legacy" => (Kind::Legacy, with_ending(&saving, "h5").chain([formats.join("legacy.h5")]).collect()),
            "npz" => (Kind::Npz, with_ending(&formats, "npz").chain(with_ending(&formats, "npy")).collect()),
            other => return Err(format!("there is no target {other}; give archive, config, hdf5, legacy or npz")),
        };
        let read = |path: &PathBuf| std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
        let mut files = paths.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        files.retain(|f| f.len() < 80_000);
        if let Kind::Npz = kind {
            let arrays = npz::from_bytes(&files[0]).unwrap_or_default();
            let named: Vec<_> = arrays.iter().map(|(n, a)| (n.as_str(), a)).collect();
            files.push(safetensors::to_bytes(&named).map_err(|e| e.to_string())?);
        }
        if files.is_empty() {
            return Err(format!("there are no golden files for {name} below {}", root.display()));
        }
        let layers = match kind {
            Kind::Config => layers(&root.join("crates/rhyton-core/fixtures/layers")),
            _ => Vec::new(),
        };
        if let Kind::Hdf5 = kind {
            hdf5::ignore_checksums();
        }
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        Ok(Target { kind, files, layers, folder })
    }

    /// The damaged file of a run.
    pub fn input(&self, run: u64) -> Vec<u8> {
        let mut random = Random::new(run.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let mut bytes = random.of(&self.files).clone();
        match self.kind {
            Kind::Archive if random.below(2) == 0 => {
                let mut archive = KerasArchive::from_bytes(&bytes).unwrap_or_default();
                if random.below(4) == 0 {
                    damage::damage(&mut archive.weights, &self.files, &mut random);
                } else {
                    let mut config = serde_json::from_slice(&archive.config).unwrap_or_default();
                    let other = Value::clone(&config);
                    damage_json::damage(&mut config, &other, &mut random);
                    archive.config = config.to_string().into_bytes();
                }
                archive.to_bytes().unwrap_or_default()
            }
            Kind::Config => {
                let mut layer = random.of(&self.layers).clone();
                let other = random.of(&self.layers).clone();
                damage_json::damage(&mut layer, &other, &mut random);
                let mut archive = KerasArchive::from_bytes(&bytes).unwrap_or_default();
                archive.config = stack_of(layer).to_string().into_bytes();
                archive.to_bytes().unwrap_or_default()
            }
            _ => {
                damage::damage(&mut bytes, &self.files, &mut random);
                bytes
            }
        }
    }

    /// Reads a damaged file; whether that went without an error.
    pub fn read(&mut self, bytes: &[u8]) -> bool {
        match self.kind {
            Kind::Archive | Kind::Config => self.load(bytes, "x.keras"),
            Kind::Legacy => self.load(bytes, "x.h5"),
            Kind::Hdf5 => read_all(bytes).is_ok(),
            Kind::Npz => {
                [npz::from_bytes(bytes).is_ok(), npy::from_bytes(bytes).is_ok(), safetensors::from_bytes(bytes).is_ok()]
                    .contains(&true)
            }
        }
    }

    fn load(&self, bytes: &[u8], name: &str) -> bool {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).is_ok() && load_model(&path).is_ok()
    }
}

fn with_ending(folder: &Path, ending: &'static str) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> =
        entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == ending)).collect();
    // Whatever the order of the folder, a run damages the same file.
    paths.sort();
    paths.into_iter()
}

fn layers(folder: &Path) -> Vec<Value> {
    let mut found = Vec::new();
    for path in with_ending(folder, "json") {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let Ok(json) = serde_json::from_str::<Value>(&text) else { continue };
        found.extend(json["cases"].as_array().into_iter().flatten().map(|case| case["layer"].clone()));
    }
    found
}

fn stack_of(layer: Value) -> Value {
    json!({
        "module": "keras", "class_name": "Sequential", "registered_name": null,
        "config": {"name": "stack", "trainable": true, "layers": [layer]},
    })
}

/// Reads everything that can be read, past errors.
fn read_all(bytes: &[u8]) -> rhyton_formats::Result<()> {
    let file = H5File::from_bytes(bytes)?;
    let root = file.root()?;
    for name in root.attribute_names()? {
        let _ = root.attribute(&name);
    }
    for path in file.datasets()? {
        let Ok(dataset) = file.dataset(&path) else { continue };
        for name in dataset.attribute_names().unwrap_or_default() {
            let _ = dataset.attribute(&name);
        }
        let _ = dataset.value();
    }
    Ok(())
}
