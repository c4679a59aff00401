//! `rhyton weights`: lists a model's weights, or writes them to a `.npz`.

use std::path::PathBuf;

use clap::Args;
use rhyton::prelude::*;
use rhyton::saving::arrays_of_hdf5;

use super::{check_output, open};
use crate::arrays;
use crate::error::{Error, Result};
use crate::output::print_line;

#[derive(Args)]
#[command(after_help = "Example: rhyton weights model.keras --output weights.npz")]
pub struct Weights {
    /// A model, or a .weights.h5 file
    model: PathBuf,
    /// Where to write them, each under its path
    #[arg(long, value_name = "W.npz")]
    output: Option<PathBuf>,
}

impl Weights {
    pub(super) fn run(self) -> Result<()> {
        if let Some(output) = &self.output {
            check_output(output, &[".npz"])?;
        }
        let rows: Vec<(String, Array, &str)> = if self.model.to_string_lossy().ends_with(".weights.h5") {
            if !self.model.exists() {
                return Err(Error::file(&self.model, "there is no such file; check the path"));
            }
            arrays_of_hdf5(&self.model)?.into_iter().map(|(place, array)| (place, array, "-")).collect()
        } else {
            let model = open(&self.model)?;
            let trained: Vec<u64> = model.trainable_weights().iter().map(Variable::id).collect();
            let row = |(path, v): (String, Variable)| {
                let kind = if trained.contains(&v.id()) { "trainable" } else { "frozen" };
                Ok((path, v.array()?, kind))
            };
            arrays::by_path(model.weights()).into_iter().map(row).collect::<Result<_>>()?
        };
        match &self.output {
            Some(output) => arrays::write_npz(output, rows.into_iter().map(|(n, a, _)| (n, a)).collect()),
            None => {
                for (path, array, kind) in rows {
                    print_line(format_args!("{path}\t{}\t{:?}\t{kind}", array.dtype(), array.shape()))?;
                }
                Ok(())
            }
        }
    }
}
