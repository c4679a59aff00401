//! Reading a file by paths.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rhyton_ir::{Array, DType};

use super::attribute::attributes;
use super::chunk::Storage;
use super::datatype::{Class, Datatype};
use super::group::{self, Link};
use super::message::{self, Dataspace, Layout};
use super::object::{self, Object, kind};
use super::{Source, Value, superblock};
use crate::error::{Error, Fault, Place, Result, memory, read_file};

/// An HDF5 file in memory.
///
/// Opening reads only the superblock; everything else is read when asked for. Paths have `/` between the names; one at the
/// start makes no difference.
///
/// # Examples
/// ```
/// use rhyton_formats::hdf5::{H5File, H5Writer};
/// use rhyton_ir::Array;
///
/// let kernel = Array::new([2, 1], vec![0.5f32, -0.5]);
/// let mut writer = H5Writer::new();
/// writer.dataset("layers/dense/vars/0", &kernel)?;
/// writer.attribute("layers/dense/vars", "name", "hidden")?;
///
/// let file = H5File::from_bytes(writer.to_bytes()?)?;
/// let vars = file.group("layers/dense/vars")?;
/// assert_eq!(vars.keys()?, ["0"]);
/// assert_eq!(vars.dataset("0")?.array()?, kernel);
/// assert_eq!(vars.attribute("name")?.unwrap().as_str(), Some("hidden"));
/// # Ok::<(), rhyton_formats::Error>(())
/// ```
#[derive(Debug)]
pub struct H5File {
    bytes: Vec<u8>,
    /// Where addresses count from.
    base: usize,
    offset_size: usize,
    length_size: usize,
    root: u64,
    path: PathBuf,
    member: String,
    /// The links of the groups that were looked into, by the groups' addresses.
    links: Mutex<BTreeMap<u64, Arc<BTreeMap<String, Link>>>>,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A group.
    Group,
    /// A dataset.
    Dataset,
}

impl H5File {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// If it cannot be read or is not an HDF5 file.
    pub fn open(path: impl AsRef<Path>) -> Result<H5File> {
        let path = path.as_ref();
        H5File::new(read_file(path)?, path.to_owned(), String::new())
    }

    /// A file from its bytes.
    ///
    /// # Errors
    /// If they are not an HDF5 file.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<H5File> {
        H5File::new(bytes.into(), memory(), String::new())
    }

    /// A file from its bytes, which messages call `member` of the archive `path`.
    ///
    /// # Errors
    /// If they are not an HDF5 file.
    pub fn from_member(bytes: impl Into<Vec<u8>>, path: impl AsRef<Path>, member: &str) -> Result<H5File> {
        H5File::new(bytes.into(), path.as_ref().to_owned(), member.to_owned())
    }

    fn new(bytes: Vec<u8>, path: PathBuf, member: String) -> Result<H5File> {
        let (source, root) = superblock::read(&bytes).map_err(|fault| fault.at(&path, &member))?;
        let base = bytes.len() - source.data.len();
        let (offset_size, length_size) = (source.offset_size, source.length_size);
        Ok(H5File { bytes, base, offset_size, length_size, root, path, member, links: Mutex::default() })
    }

    /// The group that holds everything.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn root(&self) -> Result<Group<'_>> {
        self.group("/")
    }

    /// The length of the file in bytes.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// The group at `path`.
    ///
    /// # Errors
    /// If there is none, or the way to it is damaged.
    pub fn group(&self, path: &str) -> Result<Group<'_>> {
        self.group_from(self.root, "", path)
    }

    /// The dataset at `path`, without its elements.
    ///
    /// # Errors
    /// If there is none, or the way to it is damaged.
    pub fn dataset(&self, path: &str) -> Result<Dataset<'_>> {
        self.dataset_from(self.root, "", path)
    }

    /// What is at `path`, if anything.
    ///
    /// # Errors
    /// If the way to it is damaged.
    pub fn kind(&self, path: &str) -> Result<Option<Kind>> {
        self.kind_from(self.root, "", path)
    }

    /// The paths of all datasets, sorted name by name. A group that can be reached in several ways counts once, so circles
    /// end; soft links are not followed.
    ///
    /// # Errors
    /// If a group is damaged.
    pub fn datasets(&self) -> Result<Vec<String>> {
        let mut paths = Vec::new();
        let mut seen = BTreeSet::from([self.root]);
        // Depth first without recursion: a file may nest deeper than the stack.
        let mut pending = vec![(self.root, String::new())];
        while let Some((address, path)) = pending.pop() {
            let object = self.object(address, &path)?;
            if !group::is_group(&object) {
                paths.push(path);
                continue;
            }
            for (name, link) in self.links(&object, &path)?.iter().rev() {
                let Link::Hard(child) = *link else { continue };
                let child_path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                let object = self.object(child, &child_path)?;
                if !group::is_group(&object) || seen.insert(child) {
                    pending.push((child, child_path));
                }
            }
        }
        Ok(paths)
    }

    fn source(&self) -> Source<'_> {
        Source { data: &self.bytes[self.base..], offset_size: self.offset_size, length_size: self.length_size }
    }

    /// Names the place of a fault.
    fn at<'a>(&'a self, path: &'a str) -> impl Fn(Fault) -> Error + 'a {
        move |fault| {
            let fault = Fault { offset: fault.offset.saturating_add(self.base as u64), ..fault };
            fault.at(&self.path, &self.inside(path))
        }
    }

    fn inside(&self, path: &str) -> String {
        match (self.member.as_str(), path) {
            ("", path) => format!("/{path}"),
            (member, "") => member.to_owned(),
            (member, path) => format!("{member}, /{path}"),
        }
    }

    fn object(&self, address: u64, path: &str) -> Result<Object> {
        Object::read(&self.source(), address).map_err(self.at(path))
    }

    fn links(&self, object: &Object, path: &str) -> Result<Arc<BTreeMap<String, Link>>> {
        let cache = || self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(links) = cache().get(&object.address) {
            return Ok(Arc::clone(links));
        }
        let links = Arc::new(group::links(&self.source(), object).map_err(self.at(path))?);
        cache().insert(object.address, Arc::clone(&links));
        Ok(links)
    }

    /// The address that `path` leads to from the group at `start`, or nothing.
    fn find(&self, start: u64, base: &str, path: &str) -> Result<Option<u64>> {
        const MOST_SOFT_LINKS: usize = 16;
        let mut pending: Vec<String> = parts(path).rev().map(str::to_owned).collect();
        let (mut address, mut soft_links) = (start, 0);
        let full = join(base, path);
        while let Some(name) = pending.pop() {
            let object = self.object(address, &full)?;
            if !group::is_group(&object) {
                return Ok(None);
            }
            match self.links(&object, &full)?.get(&name) {
                None => return Ok(None),
                Some(Link::Hard(child)) => address = *child,
                Some(Link::Soft(target)) => {
                    soft_links += 1;
                    if soft_links > MOST_SOFT_LINKS {
                        let what = format!("more than {MOST_SOFT_LINKS} soft links follow each other");
                        return Err(self.at(&full)(Fault::damaged(address as usize, what)));
                    }
                    if target.starts_with('/') {
                        address = self.root;
                    }
                    pending.extend(parts(target).rev().map(str::to_owned));
                }
                Some(Link::External(at)) => {
                    let fix = "copy what it refers to into this file";
                    return Err(self.at(&full)(Fault::unsupported(*at, "a link to another file", fix)));
                }
            }
        }
        Ok(Some(address))
    }

    fn kind_from(&self, start: u64, base: &str, path: &str) -> Result<Option<Kind>> {
        let Some(address) = self.find(start, base, path)? else { return Ok(None) };
        let object = self.object(address, &join(base, path))?;
        Ok(Some(if group::is_group(&object) { Kind::Group } else { Kind::Dataset }))
    }

    fn group_from(&self, start: u64, base: &str, path: &str) -> Result<Group<'_>> {
        let full = join(base, path);
        match self.find(start, base, path)?.map(|address| self.object(address, &full)).transpose()? {
            Some(object) if group::is_group(&object) => Ok(Group { file: self, path: full, object }),
            found => Err(self.missing(start, base, path, "group", found.is_some())),
        }
    }

    fn dataset_from(&self, start: u64, base: &str, path: &str) -> Result<Dataset<'_>> {
        let full = join(base, path);
        match self.find(start, base, path)?.map(|address| self.object(address, &full)).transpose()? {
            Some(object) if !group::is_group(&object) => Dataset::read(self, full, object),
            found => Err(self.missing(start, base, path, "dataset", found.is_some())),
        }
    }

    /// The error that `path` is no `wanted`, with what there is in the last group on the way.
    fn missing(&self, start: u64, base: &str, path: &str, wanted: &str, other: bool) -> Error {
        let at = Place::new(&self.path, self.inside(&join(base, path)));
        if other {
            let (found, fix) = match wanted {
                "group" => ("dataset", "read it with dataset()"),
                _ => ("group", "read a dataset in it"),
            };
            return Error::NotFound { at, what: format!("this is a {found}, not a {wanted}"), fix: fix.into() };
        }
        let names: Vec<&str> = parts(path).collect();
        let there = (0..names.len()).rev().find_map(|n| self.group_from(start, base, &names[..n].join("/")).ok());
        let fix = match there.map(|group| (group.path.clone(), group.keys().unwrap_or_default())) {
            Some((path, keys)) => format!("/{path} has {}", shortened(&keys)),
            None => "check the path".into(),
        };
        Error::NotFound { at, what: format!("there is no such {wanted}"), fix }
    }
}

/// The names of a path.
fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|name| !matches!(*name, "" | "."))
}

fn join(base: &str, path: &str) -> String {
    parts(base).chain(parts(path)).collect::<Vec<_>>().join("/")
}

fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 12;
    match names {
        [] => "nothing in it".into(),
        names if names.len() > SHOWN => format!("{}, … ({} in all)", names[..SHOWN].join(", "), names.len()),
        names => names.join(", "),
    }
}

/// A group of an [`H5File`].
#[derive(Debug)]
pub struct Group<'a> {
    file: &'a H5File,
    path: String,
    object: Object,
}

impl<'a> Group<'a> {
    /// The path from the root, without a `/` at the start.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The names in the group, sorted; soft links are among them, wherever they lead.
    ///
    /// # Errors
    /// If the group is damaged.
    pub fn keys(&self) -> Result<Vec<String>> {
        Ok(self.file.links(&self.object, &self.path)?.keys().cloned().collect())
    }

    /// What is at `path` below this group, if anything.
    ///
    /// # Errors
    /// If the way to it is damaged.
    pub fn kind(&self, path: &str) -> Result<Option<Kind>> {
        self.file.kind_from(self.object.address, &self.path, path)
    }

    /// The group at `path` below this one.
    ///
    /// # Errors
    /// If there is none, or the way to it is damaged.
    pub fn group(&self, path: &str) -> Result<Group<'a>> {
        self.file.group_from(self.object.address, &self.path, path)
    }

    /// The dataset at `path` below this group.
    ///
    /// # Errors
    /// If there is none, or the way to it is damaged.
    pub fn dataset(&self, path: &str) -> Result<Dataset<'a>> {
        self.file.dataset_from(self.object.address, &self.path, path)
    }

    /// The attribute `name`, if there is one.
    ///
    /// # Errors
    /// If it is damaged or of a type that is not read.
    pub fn attribute(&self, name: &str) -> Result<Option<Value>> {
        attribute(self.file, &self.object, &self.path, name)
    }

    /// The names of the attributes, sorted.
    ///
    /// # Errors
    /// If they are damaged.
    pub fn attribute_names(&self) -> Result<Vec<String>> {
        attribute_names(self.file, &self.object, &self.path)
    }
}

/// A dataset of an [`H5File`]. Its elements are read by [`Dataset::value`] or [`Dataset::array`].
#[derive(Debug)]
pub struct Dataset<'a> {
    file: &'a H5File,
    path: String,
    object: Object,
    datatype: Datatype,
    dataspace: Dataspace,
}

impl<'a> Dataset<'a> {
    fn read_header(source: &Source, object: &Object) -> Result<(Datatype, Dataspace), Fault> {
        let cursor = |kind, name: &str| match object.find(kind) {
            Some(message) => object::resolve(source, *message).map(|m| m.cursor(source)),
            None => Err(Fault::damaged(object.address as usize, format!("the object has no {name}"))),
        };
        let dataspace = Dataspace::read(source, &mut cursor(kind::DATASPACE, "shape")?)?;
        let datatype = Datatype::read(&mut cursor(kind::DATATYPE, "datatype")?)?;
        Ok((datatype, dataspace))
    }

    fn read(file: &'a H5File, path: String, object: Object) -> Result<Dataset<'a>> {
        let (datatype, dataspace) = Dataset::read_header(&file.source(), &object).map_err(file.at(&path))?;
        Ok(Dataset { file, path, object, datatype, dataspace })
    }

    /// The path from the root, without a `/` at the start.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The shape; empty for a scalar and for a dataset without a value.
    pub fn shape(&self) -> &[usize] {
        match &self.dataspace {
            Dataspace::Simple { shape, .. } => shape,
            Dataspace::Null => &[],
        }
    }

    /// The dtype, unless the elements are strings or of a type that is not read.
    pub fn dtype(&self) -> Option<DType> {
        match self.datatype.class {
            Class::Number { dtype, .. } => Some(dtype),
            _ => None,
        }
    }

    /// The elements.
    ///
    /// # Errors
    /// If they are damaged, or of a type or behind a filter that is not read.
    pub fn value(&self) -> Result<Value> {
        self.read_value().map_err(self.file.at(&self.path))
    }

    /// The elements as an array.
    ///
    /// # Errors
    /// As [`Dataset::value`], and if they are strings or there is no value.
    pub fn array(&self) -> Result<Array> {
        let found = match self.value()? {
            Value::Array(array) => return Ok(array),
            Value::Strings { .. } => "strings",
            Value::Null => "no value",
        };
        Err(Error::NotFound {
            at: Place::new(&self.file.path, self.file.inside(&self.path)),
            what: format!("the dataset holds {found}, not numbers"),
            fix: "read it with value()".into(),
        })
    }

    /// The attribute `name`, if there is one.
    ///
    /// # Errors
    /// If it is damaged or of a type that is not read.
    pub fn attribute(&self, name: &str) -> Result<Option<Value>> {
        attribute(self.file, &self.object, &self.path, name)
    }

    /// The names of the attributes, sorted.
    ///
    /// # Errors
    /// If they are damaged.
    pub fn attribute_names(&self) -> Result<Vec<String>> {
        attribute_names(self.file, &self.object, &self.path)
    }

    fn read_value(&self) -> Result<Value, Fault> {
        let source = self.file.source();
        let at = self.object.address as usize;
        let Dataspace::Simple { shape, max } = &self.dataspace else { return Ok(Value::Null) };
        if let Class::Other { .. } = self.datatype.class {
            return self.datatype.decode(&source, vec![0], &[], at);
        }
        if self.object.find(kind::EXTERNAL_FILES).is_some() {
            return Err(Fault::unsupported(at, "elements in other files", "copy the file with h5repack"));
        }
        let find = |kind| self.object.find(kind).map(|m| object::resolve(&source, *m)).transpose();
        let Some(layout) = find(kind::LAYOUT)? else {
            return Err(Fault::damaged(at, "the dataset has no layout"));
        };
        let layout = Layout::read(&source, &mut layout.cursor(&source))?;
        let fill = match (find(kind::FILL)?, find(kind::OLD_FILL)?) {
            (Some(m), _) => message::fill_value(&mut m.cursor(&source), false)?,
            (None, Some(m)) => message::fill_value(&mut m.cursor(&source), true)?,
            (None, None) => None,
        };
        let filters = match find(kind::FILTERS)? {
            Some(m) => message::filters(&mut m.cursor(&source))?,
            None => Vec::new(),
        };
        let (size, len) = (self.datatype.size, self.datatype.len(shape, at)?);
        if len == 0 {
            return self.datatype.decode(&source, shape.clone(), &[], at);
        }
        let storage = Storage { shape, max, size, len, layout: &layout, filters: &filters, fill, at };
        let bytes = storage.read(&source)?;
        self.datatype.decode(&source, shape.clone(), &bytes, at)
    }
}

fn attribute(file: &H5File, object: &Object, path: &str, name: &str) -> Result<Option<Value>> {
    let source = file.source();
    let attributes = attributes(&source, object).map_err(file.at(path))?;
    let found = attributes.iter().find(|a| a.name == name);
    found.map(|a| a.value(&source)).transpose().map_err(file.at(&format!("{path} @{name}")))
}

fn attribute_names(file: &H5File, object: &Object, path: &str) -> Result<Vec<String>> {
    let mut names: Vec<_> =
        attributes(&file.source(), object).map_err(file.at(path))?.into_iter().map(|a| a.name).collect();
    names.sort();
    Ok(names)
}
