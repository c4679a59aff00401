//! `rhyton convert`: a model, its architecture or its weights in another format.

use std::path::{Path, PathBuf};

use clap::Args;
use rhyton::formats::atomic::check_writable;
use rhyton::formats::{npz, safetensors};
use rhyton::prelude::*;
use rhyton::saving::{SaveWeights, model_from_json};

use super::{Common, open, write_text};
use crate::arrays::{self, by_path};
use crate::error::{Error, Result};

#[derive(Args)]
#[command(after_help = "Example: rhyton convert model.keras model.weights.h5\n         \
                        rhyton convert model.h5 model.json\n         \
                        rhyton convert weights.safetensors model.keras --config model.json")]
pub struct Convert {
    /// A model (.keras, .h5), an architecture (.json), or weights (.weights.h5, .weights.json, .h5, .npz, .safetensors)
    input: PathBuf,
    /// The same formats; .json holds the architecture alone
    output: PathBuf,
    /// The format of OUTPUT, where the name does not tell
    #[arg(long, value_name = "FORMAT", value_parser = Format::NAMES)]
    to: Option<String>,
    /// The architecture of weights: a .json, or a model
    #[arg(long, value_name = "MODEL")]
    config: Option<PathBuf>,
    /// Write .weights.json, with files of at most so many GB
    #[arg(long, value_name = "GB")]
    max_shard_size: Option<f64>,
}

/// What files hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Keras,
    WeightsH5,
    Sharded,
    /// A whole model or weights alone; only reading tells.
    LegacyH5,
    Json,
    Npz,
    SafeTensors,
}

impl Format {
    const NAMES: [&'static str; 7] = ["keras", "weights.h5", "weights.json", "h5", "json", "npz", "safetensors"];

    fn named(name: &str) -> Option<Format> {
        Some(match name {
            "keras" => Format::Keras,
            "weights.h5" => Format::WeightsH5,
            "weights.json" => Format::Sharded,
            "h5" | "hdf5" => Format::LegacyH5,
            "json" => Format::Json,
            "npz" => Format::Npz,
            "safetensors" => Format::SafeTensors,
            _ => return None,
        })
    }

    /// By the ending, the longest first.
    fn of(path: &Path) -> Option<Format> {
        let name = path.to_string_lossy().to_lowercase();
        let endings = Format::NAMES.iter().chain(&["hdf5"]);
        let longest = endings.filter(|e| name.ends_with(&format!(".{e}"))).max_by_key(|e| e.len());
        longest.and_then(|e| Format::named(e))
    }
}

impl Convert {
    pub(super) fn run(self, common: &Common) -> Result<()> {
        let to = self.to.as_deref().map_or_else(|| Format::of(&self.output), Format::named);
        let endings = Format::NAMES.map(|n| format!(".{n}")).join(", ");
        let to = to.ok_or_else(|| {
            Error::file(&self.output, format!("the name says no known format; end it in one of {endings}"))
        })?;
        if self.max_shard_size.is_some() && to != Format::Sharded {
            return Err(Error::new("--max-shard-size: only sharded weights are divided; write a .weights.json"));
        }
        if self.max_shard_size.is_some_and(|gb| gb.is_nan() || gb <= 0.0) {
            return Err(Error::new("--max-shard-size: give a number of gigabytes above 0"));
        }
        check_writable(&self.output)?;
        let from = if self.input.is_dir() { Some(Format::Keras) } else { Format::of(&self.input) };
        if !self.input.exists() {
            return Err(Error::file(&self.input, "there is no such file; check the path"));
        }
        let from = from.ok_or_else(|| {
            Error::file(&self.input, format!("the name says no known format; these are read: {endings}"))
        })?;
        let named = |format| matches!(format, Format::Npz | Format::SafeTensors);
        if named(from) && named(to) && self.config.is_none() {
            // Arrays under names need no model to change their container.
            self.write_named(to, read_named(from, &self.input)?)?;
        } else {
            self.write(to, &self.read(from, common)?)?;
        }
        common.say(format_args!("wrote {}", self.output.display()));
        Ok(())
    }

    /// The model that the input holds, or that its weights are of.
    fn read(&self, from: Format, common: &Common) -> Result<Model> {
        let holds_weights = match from {
            Format::Keras | Format::Json => false,
            Format::LegacyH5 => !has_model(&self.input)?,
            _ => true,
        };
        match (&self.config, holds_weights) {
            (Some(_), false) => {
                Err(Error::file(&self.input, "the file holds an architecture of its own; leave --config out"))
            }
            (None, true) => Err(Error::file(
                &self.input,
                "the file holds weights without a model; name its architecture with --config model.json (which rhyton \
                 convert makes of a model, and model.to_json() of Keras)",
            )),
            (None, false) if from == Format::Json => {
                common.say("the weights are new, for an architecture holds none");
                architecture(&self.input)
            }
            (None, false) => open(&self.input),
            (Some(config), true) => {
                let model = architecture(config)?;
                if !model.built() {
                    return Err(Error::file(config, "the model has no weights yet; give it an Input"));
                }
                match from {
                    Format::Npz | Format::SafeTensors => assign(&model, &self.input, read_named(from, &self.input)?)?,
                    _ => model.load_weights(&self.input)?,
                }
                Ok(model)
            }
        }
    }

    fn write(&self, to: Format, model: &Model) -> Result<()> {
        // The library goes by the ending, which `--to` may contradict.
        let ending = Format::of(&self.output);
        let save = |how: &dyn Fn(&Path) -> rhyton::Result<()>| -> Result<()> {
            if ending == Some(to) {
                return Ok(how(&self.output)?);
            }
            let name = Format::NAMES.into_iter().find(|n| Format::named(n) == Some(to)).unwrap_or_default();
            let mut whole = self.output.clone().into_os_string();
            whole.push(format!(".{name}"));
            how(Path::new(&whole))?;
            std::fs::rename(&whole, &self.output).map_err(|e| Error::file(&self.output, e))
        };
        match to {
            Format::Keras | Format::LegacyH5 => save(&|path| model.save(path)),
            Format::WeightsH5 => save(&|path| model.save_weights(path)),
            Format::Sharded => {
                const DEFAULT_GB: f64 = 5.0;
                let options = SaveWeights::new().max_shard_size(self.max_shard_size.unwrap_or(DEFAULT_GB));
                save(&|path| model.save_weights_with(path, options.clone()))
            }
            Format::Json => write_text(&self.output, &format!("{}\n", model.to_json())),
            Format::Npz | Format::SafeTensors => {
                let named = by_path(model.weights()).into_iter().map(|(path, v)| Ok((path, v.array()?)));
                self.write_named(to, named.collect::<Result<_>>()?)
            }
        }
    }

    fn write_named(&self, to: Format, arrays: Vec<(String, Array)>) -> Result<()> {
        let named: Vec<(&str, &Array)> = arrays.iter().map(|(n, a)| (n.as_str(), a)).collect();
        match to {
            Format::SafeTensors => Ok(safetensors::write(&self.output, &named)?),
            _ => arrays::write_npz(&self.output, arrays),
        }
    }
}

fn read_named(from: Format, path: &Path) -> Result<Vec<(String, Array)>> {
    Ok(match from {
        Format::SafeTensors => safetensors::read(path)?,
        _ => npz::read(path)?,
    })
}

/// Whether a legacy file holds a model beside the weights.
fn has_model(path: &Path) -> Result<bool> {
    let file = rhyton::formats::hdf5::H5File::open(path)?;
    Ok(file.root()?.attribute_names()?.iter().any(|name| name == "model_config"))
}

/// The model of a `.json`, or of a whole model.
fn architecture(path: &Path) -> Result<Model> {
    if Format::of(path) != Some(Format::Json) {
        return open(path);
    }
    let text = std::fs::read(path).map_err(|e| Error::file(path, format!("cannot be read: {e}")))?;
    let json =
        serde_json::from_slice(&text).map_err(|e| Error::file(path, format!("not JSON: {e}; get a fresh copy")))?;
    model_from_json(&json).map_err(|e| Error::file(path, e))
}

/// Sets the weights of a model from arrays named by their paths, or in order if they are `arr_0`, `arr_1`, … of NumPy.
fn assign(model: &Model, path: &Path, arrays: Vec<(String, Array)>) -> Result<()> {
    let weights = by_path(model.weights());
    let numbered = |i: usize| arrays.iter().find(|(name, _)| *name == format!("arr_{i}"));
    let in_order = !arrays.is_empty() && (0..arrays.len()).all(|i| numbered(i).is_some());
    if in_order && arrays.len() != weights.len() {
        let what = format!("it holds {} arrays, the model has {} weights", arrays.len(), weights.len());
        return Err(Error::file(path, format!("{what}; give the weights of a model with the same layers")));
    }
    let mut values = Vec::with_capacity(weights.len());
    for (i, (name, variable)) in weights.iter().enumerate() {
        let found = if in_order { numbered(i) } else { arrays.iter().find(|(n, _)| n == name) };
        let Some((found, array)) = found else {
            let there: Vec<&str> = arrays.iter().take(12).map(|(n, _)| n.as_str()).collect();
            let there = if there.is_empty() { "nothing".to_owned() } else { there.join(", ") };
            return Err(Error::file(path, format!("there is no array named {name}; the file holds {there}")));
        };
        if array.shape() != variable.shape() {
            let (is, should) = (array.shape(), variable.shape());
            let what = format!("{found} has shape {is:?} but the weight {name} has {should:?}");
            return Err(Error::file(path, format!("{what}; give the weights of a model with the same layers")));
        }
        values.push(array.clone());
    }
    weights.iter().zip(values).try_for_each(|((_, variable), value)| Ok(variable.assign(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_the_longest_ending() {
        for (name, format) in [
            ("a.keras", Some(Format::Keras)),
            ("a.weights.h5", Some(Format::WeightsH5)),
            ("a.weights.json", Some(Format::Sharded)),
            ("a.h5", Some(Format::LegacyH5)),
            ("a.hdf5", Some(Format::LegacyH5)),
            ("a.json", Some(Format::Json)),
            ("A.NPZ", Some(Format::Npz)),
            ("h5", None),
            ("a.tflite", None),
        ] {
            assert_eq!(Format::of(Path::new(name)), format, "{name}");
        }
    }
}
