//! The `rhyton` command: train, evaluate, use and inspect Keras models from the shell.

#![forbid(unsafe_code)]

mod arrays;
mod command;
mod error;
mod fine_tune;
mod images;
mod output;
mod presets;
mod signals;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    signals::report_size_limit();
    let outcome = match command::Arguments::try_parse() {
        Ok(arguments) => arguments.run(),
        Err(error) if error.use_stderr() => Err(error::Error::new(wrong_arguments(&error))),
        Err(help) => output::print(help),
    };
    match outcome {
        Ok(()) => signals::exit_code().map_or(ExitCode::SUCCESS, ExitCode::from),
        // `rhyton … | head` closes the pipe early: end quietly then, as other commands do.
        Err(error) if error.is_closed_output() => ExitCode::SUCCESS,
        Err(error) => {
            output::say(format_args!("error: {}", error.one_line()));
            ExitCode::FAILURE
        }
    }
}

/// Clap's own report spans lines and exits with 2; the contract is one line and 1.
fn wrong_arguments(error: &clap::Error) -> String {
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "no command is given; see rhyton --help".to_owned();
    }
    let text = error.to_string();
    // What is missing, or a name that is meant, stands in the lines that follow, up to the usage.
    let lines = text.lines().map(str::trim).take_while(|l| !l.starts_with("Usage:"));
    let told = lines.filter(|l| !l.is_empty() && !l.starts_with("tip: to pass") && !l.starts_with("For more"));
    format!("{}; see rhyton --help", told.collect::<Vec<_>>().join(" ").trim_start_matches("error: "))
}
