//! `rhyton data`: the built-in data sets.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use rhyton::data::{datasets, image_directory};
use rhyton::prelude::*;

use super::Common;
use crate::arrays;
use crate::error::Result;
use crate::output::print_line;

#[derive(Args)]
#[command(after_help = "Example: rhyton data export digits test.npz --split test")]
pub struct Data {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// List the data sets (also without a word)
    List,
    /// Say what a data set is and where it is from
    Describe {
        /// Its name
        name: String,
    },
    /// Write a data set as a .npz, or as a directory of images
    Export {
        /// Its name
        name: String,
        /// A .npz, or a directory
        output: PathBuf,
        /// Which samples: train, test or all
        #[arg(long, default_value = "all", value_parser = ["train", "test", "all"])]
        split: String,
    },
}

impl Data {
    pub(super) fn run(self, common: &Common) -> Result<()> {
        match self.action.unwrap_or(Action::List) {
            Action::List => {
                for dataset in datasets::TABLE {
                    let (train, test) = dataset.samples;
                    print_line(format_args!(
                        "{}\t{} train, {} test\t{}",
                        dataset.name, train, test, dataset.description
                    ))?;
                }
                Ok(())
            }
            Action::Describe { name } => describe(datasets::find(&name)?),
            Action::Export { name, output, split } => export(datasets::find(&name)?, &output, &split, common),
        }
    }
}

fn describe(dataset: &datasets::Dataset) -> Result<()> {
    print_line(format_args!("{}: {}", dataset.name, dataset.description))?;
    print_line(format_args!("source:  {}", dataset.source))?;
    print_line(format_args!("licence: {}", dataset.licence))?;
    print_line(format_args!("x:       {:?} from {} to {}", dataset.x_shape, dataset.x_range.0, dataset.x_range.1))?;
    print_line(format_args!("classes: {}", dataset.class_names.join(", ")))?;
    print_line(format_args!("samples: {} train, {} test", dataset.samples.0, dataset.samples.1))?;
    Ok(())
}

fn export(dataset: &datasets::Dataset, output: &std::path::Path, split: &str, common: &Common) -> Result<()> {
    let (train, test) = (dataset.load)()?;
    let parts = match split {
        "train" => vec![train],
        "test" => vec![test],
        _ => vec![train, test],
    };
    let joined = |pick: fn(&(Array, Array)) -> &Array| -> Result<Array> {
        let tensors: Vec<Tensor> = parts.iter().map(|p| Tensor::from(pick(p).clone())).collect();
        Ok(ops::concatenate(&tensors, 0).eval()?)
    };
    let (x, y) = (joined(|p| &p.0)?, joined(|p| &p.1)?);
    if output.extension().is_some_and(|e| e == "npz") {
        arrays::write(output, &[("x".into(), x), ("y".into(), y)])?;
    } else {
        // Images hold 0 to 255.
        let scaled = (Tensor::from(x).cast(DType::F32) * (255.0 / dataset.x_range.1)).eval()?;
        image_directory::write(output, &scaled, &y, dataset.class_names)?;
    }
    common.say(format_args!("wrote {}", output.display()));
    Ok(())
}
