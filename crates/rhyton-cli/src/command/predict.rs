//! `rhyton predict`: the outputs of a model for arrays or images.

use std::path::PathBuf;

use clap::Args;
use rhyton::data::image_directory::read_images;
use rhyton::prelude::*;

use super::{Common, at_least_one, check_output, open};
use crate::arrays::{self, Arrays};
use crate::error::{Error, Result};
use crate::images::Format;

#[derive(Args)]
#[command(after_help = "Example: rhyton predict model.keras --inputs x.npz --output y.npz")]
pub struct Predict {
    /// A model
    model: PathBuf,
    /// A .npz or .npy, or images
    #[arg(long, value_name = "I.npz", num_args = 1.., required = true)]
    inputs: Vec<PathBuf>,
    /// Where to write y (or y0, y1, …)
    #[arg(long, value_name = "O.npz")]
    output: PathBuf,
    /// Samples a step
    #[arg(long, default_value_t = 32, value_parser = at_least_one, allow_negative_numbers = true)]
    batch_size: usize,
}

impl Predict {
    pub(super) fn run(self, common: &Common) -> Result<()> {
        check_output(&self.output, &[".npz", ".npy"])?;
        let model = open(&self.model)?;
        let is_arrays = |p: &PathBuf| p.extension().is_some_and(|e| e == "npz" || e == "npy");
        let x = match self.inputs.as_slice() {
            [only] if is_arrays(only) => Arrays::read(only)?.inputs(&model)?,
            images if !images.iter().any(is_arrays) => images_for(&model, images)?,
            _ => return Err(Error::new("--inputs: give one .npz or .npy, or only images")),
        };
        let data = Data::inputs(x);
        data.samples().map_err(|e| Error::file(&self.inputs[0], e))?;
        let outputs = model.predict_with(&data, rhyton::trainer::Predict::new().batch_size(self.batch_size))?;
        let named: Vec<(String, Array)> = match outputs.len() {
            1 => outputs.into_iter().map(|a| ("y".to_owned(), a)).collect(),
            _ => outputs.into_iter().enumerate().map(|(i, a)| (format!("y{i}"), a)).collect(),
        };
        let told: Vec<String> = named.iter().map(|(n, a)| format!("{n}: {} {:?}", a.dtype(), a.shape())).collect();
        arrays::write_outputs(&self.output, &model, named)?;
        told.iter().for_each(|array| common.say(format_args!("{array} in {}", self.output.display())));
        Ok(())
    }
}

/// Images brought to the size and colours of the model's input.
fn images_for(model: &Model, paths: &[PathBuf]) -> Result<Nest> {
    const SIZE: usize = 256;
    let format = Format::of(model, SIZE).map_err(|e| Error::new(format!("--inputs: {}", e.one_line())))?;
    Ok(read_images(paths, format.size, format.colors)?.into_arrays())
}
