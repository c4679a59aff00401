//! `rhyton weights`: lists a model's weights, or writes them to a `.npz`.

use std::collections::HashMap;
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
            by_path(model.weights()).into_iter().map(row).collect::<Result<_>>()?
        };
        match &self.output {
            Some(output) => {
                // bfloat16 has no name in NumPy's format; float32 holds every value of it.
                let widened = |a: Array| if a.dtype() == DType::BF16 { a.cast(DType::F32) } else { a };
                let named: Vec<(String, Array)> = rows.into_iter().map(|(n, a, _)| (n, widened(a))).collect();
                arrays::write(output, &named)
            }
            None => {
                for (path, array, kind) in rows {
                    print_line(format_args!("{path}\t{}\t{:?}\t{kind}", array.dtype(), array.shape()))?;
                }
                Ok(())
            }
        }
    }
}

/// Variables by path; a path met again gets `#1`, `#2`, … in order.
fn by_path(variables: Vec<Variable>) -> Vec<(String, Variable)> {
    let mut met: HashMap<String, usize> = HashMap::new();
    let named = variables.into_iter().map(|v| {
        let path = v.path().to_owned();
        let count = met.entry(path.clone()).and_modify(|n| *n += 1).or_insert(0);
        (if *count == 0 { path } else { format!("{path}#{count}") }, v)
    });
    named.collect()
}
