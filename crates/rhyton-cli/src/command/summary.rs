//! `rhyton summary`: a model as a table or as JSON.

use std::path::PathBuf;

use clap::Args;
use rhyton::prelude::*;
use serde_json::{Value, json};

use super::open;
use crate::error::Result;
use crate::output::{print, print_line};

#[derive(Args)]
#[command(after_help = "Example: rhyton summary model.keras")]
pub struct Summary {
    /// A model
    model: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Summary {
    pub(super) fn run(self) -> Result<()> {
        let model = open(&self.model)?;
        if !self.json {
            print(model.summary())?;
            return Ok(());
        }
        let shapes = |tensors: Vec<Tensor>| -> Vec<Value> {
            tensors.iter().map(|t| json!({"shape": shape_to_json(t.shape()), "dtype": t.dtype().name()})).collect()
        };
        let layers: Vec<Value> = model
            .layers()
            .iter()
            .map(|l| json!({"name": l.name(), "class_name": l.class_name(), "params": l.count_params(), "trainable": l.base().trainable()}))
            .collect();
        let count = |variables: Vec<Variable>| -> usize { variables.iter().map(Variable::count).sum() };
        let summary = json!({
            "name": Layer::name(&model),
            "class_name": model.class_name(),
            "inputs": shapes(model.inputs()),
            "outputs": shapes(model.outputs()),
            "layers": layers,
            "total_params": model.count_params(),
            "trainable_params": count(model.trainable_weights()),
            "non_trainable_params": count(model.non_trainable_weights()),
        });
        print_line(summary)?;
        Ok(())
    }
}
