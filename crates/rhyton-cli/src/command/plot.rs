//! `rhyton plot`: a model's graph as a picture.

use std::path::PathBuf;

use clap::Args;
use rhyton::plot::{PlotModel, plot_model};

use super::{Common, check_output, open};
use crate::error::Result;

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
        let shown = PlotModel::new().show_shapes(true).show_layer_names(true).expand_nested(self.expand_nested);
        plot_model(&model, &self.output, &shown)?;
        common.say(format_args!("wrote {}", self.output.display()));
        Ok(())
    }
}
