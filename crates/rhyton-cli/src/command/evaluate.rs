//! `rhyton evaluate`: the losses and metrics of a saved model on data.

use std::path::PathBuf;

use clap::Args;

use super::open;
use crate::arrays::Arrays;
use crate::error::{Error, Result};

#[derive(Args)]
#[command(after_help = "Example: rhyton evaluate model.keras --data test.npz --json")]
pub struct Evaluate {
    /// A compiled model
    model: PathBuf,
    /// Arrays x and y (or x0, x1, …), and sample_weight
    #[arg(long, value_name = "D.npz")]
    data: PathBuf,
    /// Samples a step
    #[arg(long, default_value_t = 32)]
    batch_size: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Evaluate {
    pub(super) fn run(self) -> Result<()> {
        if self.batch_size == 0 {
            return Err(Error::new("--batch-size 0: a step needs at least one sample"));
        }
        let model = open(&self.model)?;
        let data = Arrays::read(&self.data)?.data(&model)?;
        let scores = model.evaluate(&data, rhyton::trainer::Evaluate::new().batch_size(self.batch_size))?;
        if self.json {
            println!("{}", serde_json::to_string(&scores)?);
            return Ok(());
        }
        for (name, score) in &scores {
            println!("{name}: {}", serde_json::to_string(score)?);
        }
        Ok(())
    }
}
