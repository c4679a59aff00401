//! `CSVLogger`: a line for each epoch.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::callback::{Callback, Logs, Run};
use super::python_format::repr;
use super::{Checked, io_error};
use crate::error::{Error, Result};

/// Writes the logs of each epoch as a line of a CSV file, with the epoch, counted from 0, before them.
///
/// The columns are the logs of the first epoch in alphabetical order; if there is no validation among them, columns for it
/// follow, for epochs that have one. What is missing is `NA`. Each line is written at once, when its epoch ends: what is
/// there of an interrupted run is complete.
///
/// # Errors
/// If the file cannot be written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CSVLogger {
    filename: PathBuf,
    #[serde(default = "comma")]
    separator: char,
    #[serde(default)]
    append: bool,
    #[serde(skip)]
    file: Option<File>,
    #[serde(skip)]
    columns: Option<Vec<String>>,
    #[serde(skip)]
    has_header: bool,
}

fn comma() -> char {
    ','
}

impl CSVLogger {
    /// Writes to the file `filename`, replacing it.
    pub fn new(filename: impl AsRef<Path>) -> CSVLogger {
        CSVLogger {
            filename: filename.as_ref().to_owned(),
            separator: comma(),
            append: false,
            file: None,
            columns: None,
            has_header: false,
        }
    }

    /// What stands between values; a comma unless said.
    pub fn separator(mut self, separator: char) -> CSVLogger {
        self.separator = separator;
        self
    }

    /// Whether lines are added to a file that is there; it is replaced unless said.
    pub fn append(mut self, append: bool) -> CSVLogger {
        self.append = append;
        self
    }

    fn open(&self) -> std::io::Result<(File, bool)> {
        if !self.append {
            return Ok((File::create(&self.filename)?, false));
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&self.filename)?;
        let length = file.seek(SeekFrom::End(0))?;
        if length > 0 {
            let mut last = [0u8];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            // A line that was cut off must not run into the next.
            if last != *b"\n" {
                file.write_all(b"\r\n")?;
            }
        }
        Ok((file, length > 0))
    }

    fn line(&self, values: &[String]) -> String {
        let quoted = |value: &String| {
            if value.contains([self.separator, '"', '\r', '\n']) {
                format!("\"{}\"", value.replace('"', "\"\""))
            } else {
                value.clone()
            }
        };
        let values: Vec<String> = values.iter().map(quoted).collect();
        values.join(&self.separator.to_string()) + "\r\n"
    }
}

/// The columns for logs like these.
fn columns(logs: &Logs) -> Vec<String> {
    let mut names: Vec<String> = logs.keys().cloned().collect();
    names.sort();
    if !names.iter().any(|n| n.starts_with("val_")) {
        let validation: Vec<String> = names.iter().map(|n| format!("val_{n}")).collect();
        names.extend(validation);
    }
    names
}

impl Checked for CSVLogger {}

impl Callback for CSVLogger {
    fn on_train_begin(&mut self, _: &mut Run) -> Result<()> {
        let (file, has_header) = self.open().map_err(|e| io_error("open the file", &self.filename, &e))?;
        self.file = Some(file);
        self.has_header = has_header;
        self.columns = None;
        Ok(())
    }

    fn on_epoch_end(&mut self, epoch: usize, logs: &mut Logs, _: &mut Run) -> Result<()> {
        let mut text = String::new();
        let names = match self.columns.take() {
            Some(names) => names,
            None => {
                let names = columns(logs);
                if !self.has_header {
                    let header: Vec<String> =
                        std::iter::once("epoch".to_owned()).chain(names.iter().cloned()).collect();
                    text = self.line(&header);
                }
                names
            }
        };
        let values = names.iter().map(|n| logs.get(n).map_or_else(|| "NA".to_owned(), |v| repr(*v)));
        let values: Vec<String> = std::iter::once(epoch.to_string()).chain(values).collect();
        text += &self.line(&values);
        self.columns = Some(names);
        let file = self.file.as_mut().ok_or_else(|| {
            Error::training("CSVLogger", "the file is not open", "call on_train_begin before on_epoch_end")
        })?;
        file.write_all(text.as_bytes()).map_err(|e| io_error("write", &self.filename, &e))
    }

    fn on_train_end(&mut self, _: &Logs, _: &mut Run) -> Result<()> {
        self.file = None;
        Ok(())
    }
}
