//! `rhyton evaluate`: the losses and metrics of a saved model on data.

use std::path::PathBuf;

use clap::Args;
use rhyton::trainer::Score;

use super::{at_least_one, open};
use crate::arrays::Arrays;
use crate::error::Result;
use crate::output::print_line;

#[derive(Args)]
#[command(after_help = "Example: rhyton evaluate model.keras --data test.npz --json")]
pub struct Evaluate {
    /// A compiled model
    model: PathBuf,
    /// Arrays x and y (or x0, x1, …), and sample_weight
    #[arg(long, value_name = "D.npz")]
    data: PathBuf,
    /// Samples a step
    #[arg(long, default_value_t = 32, value_parser = at_least_one, allow_negative_numbers = true)]
    batch_size: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Evaluate {
    pub(super) fn run(self) -> Result<()> {
        let model = open(&self.model)?;
        let data = Arrays::read(&self.data)?.data(&model)?;
        let scores = model.evaluate(&data, rhyton::trainer::Evaluate::new().batch_size(self.batch_size))?;
        if self.json {
            print_line(format_args!("{}", serde_json::to_string(&scores)?))?;
            return Ok(());
        }
        for (name, score) in &scores {
            print_line(format_args!("{name}: {}", shown(score)?))?;
        }
        Ok(())
    }
}

/// JSON has no NaN and no infinity.
fn shown(score: &Score) -> Result<String> {
    match score.number().filter(|n| !n.is_finite()) {
        Some(number) => Ok(number.to_string()),
        None => Ok(serde_json::to_string(score)?),
    }
}
