//! `rhyton convert`: a model or its weights in another format.

use std::path::PathBuf;

use clap::Args;
use rhyton::formats::atomic::check_writable;
use rhyton::prelude::*;

use super::{Common, open};
use crate::arrays;
use crate::error::{Error, Result};

#[derive(Args)]
#[command(after_help = "Example: rhyton convert model.keras model.weights.h5")]
pub struct Convert {
    /// A model
    input: PathBuf,
    /// .keras (whole model), .weights.h5 or .npz (weights)
    output: PathBuf,
    /// The format, where the name does not tell
    #[arg(long, value_name = "FORMAT", value_parser = ["keras", "weights.h5", "npz"])]
    to: Option<String>,
}

impl Convert {
    pub(super) fn run(self, common: &Common) -> Result<()> {
        check_writable(&self.output)?;
        let model = open(&self.input)?;
        let name = self.output.to_string_lossy();
        let format = self.to.clone().or_else(|| {
            let known = [".weights.h5", ".keras", ".npz"];
            known.iter().find(|f| name.ends_with(**f)).map(|f| f[1..].to_owned())
        });
        match format.as_deref() {
            Some("keras") => model.save(&self.output)?,
            Some("weights.h5") => model.save_weights(&self.output)?,
            Some("npz") => {
                let weights = model.weights();
                let named = weights.iter().map(|v| Ok((v.path().to_owned(), v.array()?)));
                arrays::write(&self.output, &named.collect::<Result<Vec<_>>>()?)?;
            }
            _ => {
                return Err(Error::file(
                    &self.output,
                    "the name says no known format; end it in .keras, .weights.h5 or .npz",
                ));
            }
        }
        common.say(format_args!("wrote {}", self.output.display()));
        Ok(())
    }
}
