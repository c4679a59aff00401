//! `rhyton devices`: back ends and devices, with dtypes and instruction sets.

use clap::Args;
use rhyton::prelude::DType;
use serde_json::json;

use crate::error::Result;
use crate::output::print_line;

#[derive(Args)]
#[command(after_help = "Example: rhyton devices")]
pub struct Devices {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Devices {
    pub(super) fn run(self) -> Result<()> {
        let backend = rhyton::backend::current()?;
        let dtypes: Vec<&str> = DType::ALL.iter().map(|d| d.name()).collect();
        if self.json {
            let devices: Vec<_> = backend
                .devices()
                .into_iter()
                .map(|d| json!({"name": d.name, "description": d.description, "threads": d.threads, "dtypes": dtypes}))
                .collect();
            print_line(format_args!("{}", json!({"backend": backend.name(), "devices": devices})))?;
            return Ok(());
        }
        for device in backend.devices() {
            print_line(format_args!("{}\t{}\t{}", device.name, backend.name(), device.description))?;
            print_line(format_args!("\tdtypes: {}", dtypes.join(", ")))?;
        }
        Ok(())
    }
}
