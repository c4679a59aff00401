//! The `rhyton` command: train, evaluate, use and inspect Keras models from the shell.

#![forbid(unsafe_code)]

mod arrays;
mod command;
mod curves;
mod error;
mod presets;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // `rhyton … | head` closes the pipe early: end quietly then, as other commands do.
    match command::Arguments::try_parse() {
        Ok(arguments) => match arguments.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {}", error.one_line());
                ExitCode::FAILURE
            }
        },
        Err(error) if error.use_stderr() => {
            // Clap's own report spans lines and exits with 2; the contract is one line and 1.
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            eprintln!("error: {line} (see rhyton --help)");
            ExitCode::FAILURE
        }
        Err(help) => {
            print!("{help}");
            ExitCode::SUCCESS
        }
    }
}
