//! Where groups of weights are read from: one HDF5 file, or several with an index.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rhyton_formats::hdf5::{H5File, H5Writer, Kind};
use rhyton_ir::Array;
use serde_json::{Value, json};

use super::weights::{Entry, format_error, join};
use crate::error::{Error, Result};

/// Groups of named arrays.
pub(super) trait Store {
    /// The number of arrays in `group`.
    fn len(&self, group: &str) -> Result<usize>;

    /// Array `name` of `group`.
    fn array(&self, group: &str, name: &str) -> Result<Array>;

    /// How errors name a place in `group`.
    fn at(&self, group: &str) -> String;
}

/// One file.
pub(super) struct OneFile {
    file: H5File,
    path: PathBuf,
}

impl OneFile {
    pub fn new(file: H5File, path: &Path) -> OneFile {
        OneFile { file, path: path.to_owned() }
    }

    /// The group as the file has it. The first files of this format had another name for the layers.
    fn real(&self, group: &str) -> Result<Option<String>> {
        let older = group.replacen("layers", "_layer_checkpoint_dependencies", 1);
        for name in [group, &older] {
            if matches!(self.file.kind(name).map_err(|e| format_error(&self.path, e))?, Some(Kind::Group)) {
                return Ok(Some(name.to_owned()));
            }
        }
        Ok(None)
    }
}

impl Store for OneFile {
    fn len(&self, group: &str) -> Result<usize> {
        let Some(group) = self.real(group)? else { return Ok(0) };
        let keys = self.file.group(&group).and_then(|g| g.keys()).map_err(|e| format_error(&self.path, e))?;
        Ok(keys.len())
    }

    fn array(&self, group: &str, name: &str) -> Result<Array> {
        let group = self.real(group)?.unwrap_or_else(|| group.to_owned());
        let read = self.file.dataset(&format!("{group}/{name}")).and_then(|d| d.array());
        read.map_err(|e| format_error(&self.path, e))
    }

    fn at(&self, group: &str) -> String {
        format!("{}, group {group}", self.path.display())
    }
}

/// Files beside an index that says which groups are in which of them (`.weights.json`).
pub(super) struct Shards {
    index: PathBuf,
    files: BTreeMap<String, Vec<String>>,
    /// The file that was read last: groups that follow each other are mostly in one.
    open: RefCell<Option<(String, Rc<OneFile>)>>,
}

/// The index and the files of sharded weights end so.
pub(super) const INDEX: &str = ".weights.json";

impl Shards {
    /// Reads the index.
    ///
    /// # Errors
    /// If it is no index, or names a file that is not beside it.
    pub fn open(index: &Path) -> Result<Shards> {
        let at = index.display().to_string();
        let wrong = |what: String| {
            Error::content(at.clone(), what, "give the .weights.json that save_weights wrote beside the shards")
        };
        let text = std::fs::read(index).map_err(|e| wrong(format!("it cannot be read: {e}")))?;
        let json: Value = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
        let map = json["weight_map"].as_object().ok_or_else(|| wrong("it has no weight_map".into()))?;
        let mut files = BTreeMap::new();
        for (group, names) in map {
            let names: Vec<&Value> = names.as_array().map_or_else(|| vec![names], |n| n.iter().collect());
            let name = |name: &Value| {
                let is_plain = |n: &&str| !n.is_empty() && !n.contains(['/', '\\', ':', '\0']) && !n.starts_with("..");
                let name = name.as_str().filter(is_plain);
                name.map(str::to_owned).ok_or_else(|| wrong(format!("group {group} is in no file beside the index")))
            };
            files.insert(group.clone(), names.into_iter().map(name).collect::<Result<Vec<_>>>()?);
        }
        Ok(Shards { index: index.to_owned(), files, open: RefCell::default() })
    }

    fn names(&self, group: &str) -> &[String] {
        self.files.get(&format!("/{group}")).map_or(&[], Vec::as_slice)
    }

    fn file(&self, name: &str) -> Result<Rc<OneFile>> {
        if let Some((open, file)) = &*self.open.borrow()
            && open == name
        {
            return Ok(Rc::clone(file));
        }
        let path = self.index.with_file_name(name);
        let file = Rc::new(OneFile::new(H5File::open(&path).map_err(|e| format_error(&path, e))?, &path));
        *self.open.borrow_mut() = Some((name.to_owned(), Rc::clone(&file)));
        Ok(file)
    }
}

impl Store for Shards {
    fn len(&self, group: &str) -> Result<usize> {
        self.names(group).iter().try_fold(0, |n, name| Ok(n + self.file(name)?.len(group)?))
    }

    fn array(&self, group: &str, name: &str) -> Result<Array> {
        let place = format!("{group}/{name}");
        for file in self.names(group) {
            let one = self.file(file)?;
            if one.file.kind(&place).map_err(|e| format_error(&one.path, e))?.is_some() {
                return one.array(group, name);
            }
        }
        Err(Error::content(
            self.at(group),
            format!("variable {name} is in none of the files {}", self.names(group).join(", ")),
            "put all shards beside the index",
        ))
    }

    fn at(&self, group: &str) -> String {
        format!("{}, group {group}", self.index.display())
    }
}

/// The files that hold `entries`, each of at most `most` bytes of weights, and their index.
///
/// # Errors
/// If a weight alone is larger, or cannot be computed.
pub(super) fn to_shards(entries: &[Entry], most: f64, index: &Path) -> Result<(Vec<(String, H5Writer)>, Value)> {
    let stem = index.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = stem.strip_suffix(INDEX).unwrap_or(&stem).to_owned();
    let name = |n: usize| format!("{stem}_{n:05}.weights.h5");
    let wrap = |e| format_error(index, e);
    let mut files = vec![(name(0), H5Writer::new())];
    let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut order = Vec::new();
    let (mut size, mut total) = (0.0, 0.0);
    for entry in entries {
        let group = join(&entry.group, "vars");
        let last = files.len() - 1;
        files[last].1.group(&group).map_err(wrap)?;
        files[last].1.attribute(&group, "name", entry.name.as_str()).map_err(wrap)?;
        for (own, variable) in &entry.variables {
            let bytes = (variable.count() * variable.dtype().size()) as f64;
            if bytes > most {
                return Err(Error::argument(
                    "max_shard_size",
                    format!("{} takes {bytes} bytes, a shard {most}", variable.describe()),
                    "allow larger shards",
                ));
            }
            total += bytes;
            size += bytes;
            if size > most {
                files.push((name(files.len()), H5Writer::new()));
                size = bytes;
            }
            let last = files.len() - 1;
            let (file, writer) = &mut files[last];
            writer.dataset(&format!("{group}/{own}"), variable.array()?).map_err(wrap)?;
            let key = format!("/{group}");
            let places = map.entry(key.clone()).or_default();
            if places.is_empty() {
                order.push(key);
            }
            if places.last() != Some(file) {
                places.push(file.clone());
            }
        }
    }
    // Keras writes the file of a single variable alone, those of several as a list.
    let is_one =
        |key: &str| entries.iter().any(|e| key == format!("/{}", join(&e.group, "vars")) && e.variables.len() == 1);
    let places = |key: String| {
        let names = &map[&key];
        let value = if is_one(&key) { json!(names[0]) } else { json!(names) };
        (key, value)
    };
    let map: serde_json::Map<String, Value> = order.into_iter().map(places).collect();
    Ok((files, json!({"metadata": {"total_size": total}, "weight_map": map})))
}
