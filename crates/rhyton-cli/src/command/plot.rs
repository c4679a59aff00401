//! `rhyton plot`: a model's graph as a picture.

use std::path::PathBuf;

use clap::Args;

use super::{Common, check_output, open};
use crate::error::Result;
use crate::plot;

#[derive(Args)]
#[command(after_help = "Example: rhyton plot model.keras --output model.svg")]
pub struct Plot {
    /// A model
    model: PathBuf,
    /// Where to draw it: a .svg or a .png
    #[arg(long, value_name = "G.svg|G.png")]
    output: PathBuf,
    /// Also draw the layers of models within the model
    #[arg(long)]
    expand_nested: bool,
}

impl Plot {
    pub(super) fn run(self, common: &Common) -> Result<()> {
        check_output(&self.output, &[".svg", ".png"])?;
        let model = open(&self.model)?;
        plot::draw(&model, self.expand_nested, &self.output)?;
        common.say(format_args!("wrote {}", self.output.display()));
        Ok(())
    }
}
