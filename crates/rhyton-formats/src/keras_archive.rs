//! The `.keras` file: a zip archive of a model's configuration, weights and assets.
//!
//! | Member | Content |
//! | --- | --- |
//! | `metadata.json` | `{"keras_version": …, "date_saved": …}` |
//! | `config.json` | the model's configuration |
//! | `model.weights.h5` | the weights, see [`crate::hdf5`] |
//! | `assets/…` | files of layers, such as vocabularies |
//!
//! Keras stores the members without compression; both ways are read. This module carries the members' bytes and does not look
//! into them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, Write};
use std::path::Path;

use crate::archive::{self, Writer};
use crate::atomic;
use crate::error::{Error, Place, Result, io_error, memory, read_file};

const METADATA: &str = "metadata.json";
const CONFIG: &str = "config.json";
/// The name of the weights inside the archive, for messages and for [`crate::hdf5::H5File::from_member`].
pub const WEIGHTS: &str = "model.weights.h5";
const ASSETS: &str = "assets/";

/// The members of a `.keras` file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KerasArchive {
    /// `metadata.json`; empty where the file has none, as Keras does without it.
    pub metadata: Vec<u8>,
    /// `config.json`
    pub config: Vec<u8>,
    /// `model.weights.h5`
    pub weights: Vec<u8>,
    /// The files below `assets/`, by their paths below it, with `/` between the parts.
    pub assets: BTreeMap<String, Vec<u8>>,
}

impl KerasArchive {
    /// Reads a `.keras` file into memory, or the folder that holds the members of one.
    ///
    /// # Errors
    /// If it cannot be read or is damaged, has no `config.json` or `model.weights.h5`, has a member whose name leads out of
    /// the archive, or one that unpacks to over 256 MiB and over 100 times what it takes on disk.
    pub fn read(path: impl AsRef<Path>) -> Result<KerasArchive> {
        let path = path.as_ref();
        if path.is_dir() {
            return KerasArchive::of_members(members_of_folder(path)?, path);
        }
        let file = File::open(path).map_err(io_error(path, "open"))?;
        KerasArchive::decode(BufReader::new(file), path)
    }

    /// Reads the bytes of a `.keras` file; see [`KerasArchive::read`].
    ///
    /// # Errors
    /// As [`KerasArchive::read`].
    pub fn from_bytes(bytes: &[u8]) -> Result<KerasArchive> {
        KerasArchive::decode(Cursor::new(bytes), &memory())
    }

    /// Writes a `.keras` file atomically.
    ///
    /// # Errors
    /// If it cannot be written, or the path of an asset is absolute or contains `..`, `:` or `\`.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        atomic::replace(path, |file| self.encode(file, path).map(drop))
    }

    /// The bytes of a `.keras` file.
    ///
    /// # Errors
    /// As [`KerasArchive::write`].
    ///
    /// # Examples
    /// ```
    /// use rhyton_formats::keras_archive::KerasArchive;
    ///
    /// let archive = KerasArchive { config: b"{}".to_vec(), ..KerasArchive::default() };
    /// assert_eq!(KerasArchive::from_bytes(&archive.to_bytes()?)?, archive);
    /// # Ok::<(), rhyton_formats::Error>(())
    /// ```
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.encode(Cursor::new(Vec::new()), &memory()).map(Cursor::into_inner)
    }

    fn decode(reader: impl Read + Seek, file: &Path) -> Result<KerasArchive> {
        KerasArchive::of_members(archive::read_members(reader, file, |_| true)?, file)
    }

    fn of_members(members: Vec<(String, Vec<u8>)>, file: &Path) -> Result<KerasArchive> {
        let mut names = Vec::new();
        let mut archive = KerasArchive::default();
        let (mut config, mut weights) = (None, None);
        for (name, bytes) in members {
            match name.as_str() {
                METADATA => archive.metadata = bytes,
                CONFIG => config = Some(bytes),
                WEIGHTS => weights = Some(bytes),
                _ => {
                    if let Some(asset) = name.strip_prefix(ASSETS) {
                        archive.assets.insert(asset.to_owned(), bytes);
                    }
                }
            }
            names.push(name);
        }
        let missing = |name: &str| Error::NotFound {
            at: Place::new(file, ""),
            what: format!("the archive has no {name}, it has {}", names.join(", ")),
            fix: "save the model with model.save(\"name.keras\") of Keras 3 or Rhyton".into(),
        };
        archive.config = config.ok_or_else(|| missing(CONFIG))?;
        archive.weights = weights.ok_or_else(|| missing(WEIGHTS))?;
        Ok(archive)
    }

    fn encode<W: Write + Seek>(&self, out: W, file: &Path) -> Result<W> {
        let mut writer = Writer::new(out, file);
        // The order of Keras.
        writer.member(METADATA, &[&self.metadata], false)?;
        writer.member(CONFIG, &[&self.config], false)?;
        for (name, bytes) in &self.assets {
            if !archive::is_safe(name) {
                return Err(Error::Argument {
                    what: format!("the path {name:?} of an asset leads out of the archive"),
                    fix: "give a relative path with / between its parts, without . and ..".into(),
                });
            }
            writer.member(&format!("{ASSETS}{name}"), &[bytes], false)?;
        }
        writer.member(WEIGHTS, &[&self.weights], false)?;
        writer.finish()
    }
}

/// The files of a folder that are members of an archive, by their paths below it. Links are not followed.
fn members_of_folder(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    /// Assets lie as deep as layers are nested.
    const MOST: usize = 64;
    let mut members = Vec::new();
    for name in [METADATA, CONFIG, WEIGHTS] {
        let path = folder.join(name);
        if path.is_file() {
            members.push((name.to_owned(), read_file(&path)?));
        }
    }
    let mut pending = vec![(folder.join(ASSETS), ASSETS.to_owned(), 0)];
    while let Some((path, below, depth)) = pending.pop() {
        let Ok(entries) = std::fs::read_dir(&path) else { continue };
        for entry in entries {
            let entry = entry.map_err(io_error(&path, "read"))?;
            let kind = entry.file_type().map_err(io_error(&path, "read"))?;
            let name = format!("{below}{}", entry.file_name().to_string_lossy());
            if kind.is_file() {
                members.push((name, read_file(&entry.path())?));
            } else if kind.is_dir() && depth < MOST {
                pending.push((entry.path(), format!("{name}/"), depth + 1));
            }
        }
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> KerasArchive {
        KerasArchive {
            metadata: b"{\"keras_version\": \"3.15.1\"}".to_vec(),
            config: b"{}".to_vec(),
            weights: vec![1, 2, 3],
            assets: BTreeMap::from([("layers/lookup/vocabulary.txt".to_owned(), b"a\nb".to_vec())]),
        }
    }

    #[test]
    fn members_read_back_from_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.keras");
        sample().write(&path).unwrap();
        assert_eq!(KerasArchive::read(&path).unwrap(), sample());
    }

    #[test]
    fn the_folder_of_an_unpacked_archive_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let sample = sample();
        let assets = sample.assets.iter().map(|(name, bytes)| (format!("{ASSETS}{name}"), bytes));
        let own = [(METADATA, &sample.metadata), (CONFIG, &sample.config), (WEIGHTS, &sample.weights)];
        for (name, bytes) in own.into_iter().map(|(n, b)| (n.to_owned(), b)).chain(assets) {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        assert_eq!(KerasArchive::read(directory.path()).unwrap(), sample);
        let empty = tempfile::tempdir().unwrap();
        assert!(KerasArchive::read(empty.path()).unwrap_err().to_string().contains("no config.json"));
    }

    #[test]
    fn members_that_lead_out_are_refused_both_ways() {
        let mut archive = sample();
        archive.assets.insert("../../evil".into(), Vec::new());
        assert!(matches!(archive.to_bytes(), Err(Error::Argument { .. })));
        let mut writer = Writer::new(Cursor::new(Vec::new()), Path::new("x"));
        writer.member("assets/../../evil", &[b""], false).unwrap();
        let bytes = writer.finish().unwrap().into_inner();
        let error = KerasArchive::from_bytes(&bytes).unwrap_err();
        assert!(error.to_string().contains("leads out of the archive"), "{error}");
    }

    #[test]
    fn a_member_that_is_a_bomb_is_refused() {
        let zeros = vec![0; (1 << 28) + 1];
        let mut writer = Writer::new(Cursor::new(Vec::new()), Path::new("x"));
        writer.member(CONFIG, &[&zeros], true).unwrap();
        drop(zeros);
        let bytes = writer.finish().unwrap().into_inner();
        let error = KerasArchive::from_bytes(&bytes).unwrap_err();
        assert!(error.to_string().contains("far more than it takes on disk"), "{error}");
    }

    #[test]
    fn two_members_of_one_name_are_refused() {
        let mut writer = Writer::new(Cursor::new(Vec::new()), Path::new("x"));
        for (name, content) in [(CONFIG, b"{}"), ("konfig.json", b"[]"), (WEIGHTS, b"..")] {
            writer.member(name, &[content], false).unwrap();
        }
        let mut bytes = writer.finish().unwrap().into_inner();
        assert!(KerasArchive::from_bytes(&bytes).is_ok());
        for at in 0..bytes.len() - 11 {
            if &bytes[at..at + 11] == b"konfig.json" {
                bytes[at] = b'c';
            }
        }
        let error = KerasArchive::from_bytes(&bytes).unwrap_err().to_string();
        assert!(error.contains("two members of the same name"), "{error}");
    }

    #[test]
    fn a_missing_member_is_named() {
        let mut writer = Writer::new(Cursor::new(Vec::new()), Path::new("x"));
        writer.member(CONFIG, &[b"{}"], false).unwrap();
        let error = KerasArchive::from_bytes(&writer.finish().unwrap().into_inner()).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }));
        assert!(error.to_string().contains("no model.weights.h5, it has config.json"), "{error}");
        assert!(KerasArchive::from_bytes(b"PK").is_err());
    }
}
