//! TensorBoard's event files: TFRecords of `Event` messages, here with the scalars that the dashboards plot.
//!
//! The messages are tensorflow's `Event`, `Summary` and `Summary.Value`; the six fields that scalars need are encoded here by
//! hand. Written are `simple_value`s, which every TensorBoard reads; read are also the tensors that newer writers make of
//! scalars.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use crate::cursor::Cursor;
use crate::error::{Error, Fault, Result, io_error, memory, read_file};
use crate::tfrecord;

/// One point of one curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// Seconds since 1970.
    pub wall_time: f64,
    /// The step, epoch or batch.
    pub step: i64,
    /// The name of the curve.
    pub tag: String,
    /// The value.
    pub value: f32,
}

/// Appends events to a file in a log directory.
///
/// Each event reaches the file at once: TensorBoard shows it while training goes on.
#[derive(Debug)]
pub struct EventWriter {
    file: File,
    path: PathBuf,
}

impl EventWriter {
    /// Starts the file `events.out.tfevents.<seconds>.rhyton.<process>.<number><suffix>` in `directory`, which is made if it is missing.
    ///
    /// TensorBoard recognises event files by `tfevents` in the name, and one directory is one run.
    ///
    /// # Errors
    /// If the directory or the file cannot be made.
    pub fn in_directory(directory: impl AsRef<Path>, wall_time: f64, suffix: &str) -> Result<EventWriter> {
        let directory = directory.as_ref();
        std::fs::create_dir_all(directory).map_err(io_error(directory, "create"))?;
        // Names must differ between writers that start in the same second: the process, then a number.
        let seconds = wall_time.max(0.0) as u64;
        let stem = format!("events.out.tfevents.{seconds:010}.rhyton.{}", std::process::id());
        let mut number = 0;
        loop {
            let path = directory.join(format!("{stem}.{number}{suffix}"));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return EventWriter::start(file, path, wall_time),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(e) => return Err(io_error(&path, "create")(e)),
            }
        }
    }

    /// Starts the file at `path`, replacing any that is there.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(path: impl AsRef<Path>, wall_time: f64) -> Result<EventWriter> {
        let path = path.as_ref();
        let file = File::create(path).map_err(io_error(path, "create"))?;
        EventWriter::start(file, path.to_owned(), wall_time)
    }

    fn start(file: File, path: PathBuf, wall_time: f64) -> Result<EventWriter> {
        let mut writer = EventWriter { file, path };
        let mut event = Message::default();
        event.fixed64(1, wall_time);
        event.bytes(3, b"brain.Event:2");
        writer.record(&event)?;
        Ok(writer)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one event with a value for each of `scalars`, `(tag, value)`, at `step`.
    ///
    /// # Errors
    /// If the file cannot be written to.
    ///
    /// # Examples
    /// ```
    /// use rhyton_formats::tfevents::{self, EventWriter};
    ///
    /// let directory = tempfile::tempdir()?;
    /// let mut writer = EventWriter::in_directory(directory.path(), 1.7e9, "")?;
    /// writer.scalars(1.7e9, 0, &[("epoch_loss", 0.5)])?;
    /// assert_eq!(tfevents::read(writer.path())?[0].value, 0.5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scalars(&mut self, wall_time: f64, step: i64, scalars: &[(&str, f32)]) -> Result<()> {
        let mut summary = Message::default();
        for (tag, value) in scalars {
            let mut entry = Message::default();
            entry.bytes(1, tag.as_bytes());
            entry.fixed32(2, *value);
            summary.bytes(1, &entry.0);
        }
        let mut event = Message::default();
        event.fixed64(1, wall_time);
        if step != 0 {
            event.varint(2, step as u64);
        }
        event.bytes(5, &summary.0);
        self.record(&event)
    }

    /// Waits until the file is on the disk.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn sync(&mut self) -> Result<()> {
        self.file.sync_data().map_err(io_error(&self.path, "write"))
    }

    fn record(&mut self, event: &Message) -> Result<()> {
        tfrecord::write_record(&mut self.file, &event.0).map_err(io_error(&self.path, "write"))
    }
}

/// Reads the scalars of an event file in its order; events of other kinds are passed over.
///
/// # Errors
/// If the file cannot be read, or a record or message in it is damaged.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<Scalar>> {
    let path = path.as_ref();
    decode(&read_file(path)?, path)
}

/// Reads the scalars from the bytes of an event file; see [`read`].
///
/// # Errors
/// As [`read`].
pub fn from_bytes(bytes: &[u8]) -> Result<Vec<Scalar>> {
    decode(bytes, &memory())
}

fn decode(bytes: &[u8], file: &Path) -> Result<Vec<Scalar>, Error> {
    let mut scalars = Vec::new();
    for (at, record) in tfrecord::records(bytes).map_err(|fault| fault.at(file, ""))? {
        let read = event(record, &mut scalars);
        read.map_err(|fault| Fault { offset: fault.offset + at as u64, ..fault }.at(file, ""))?;
    }
    Ok(scalars)
}

/// Adds the scalars of one `Event`. Offsets in faults are within the nearest message, close enough to find it.
fn event(bytes: &[u8], scalars: &mut Vec<Scalar>) -> Result<(), Fault> {
    let (mut wall_time, mut step, mut summary) = (0.0, 0, None);
    for field in fields(bytes)? {
        match field {
            (1, Wire::Fixed64(bits)) => wall_time = f64::from_bits(bits),
            (2, Wire::Varint(n)) => step = n as i64,
            (5, Wire::Bytes(bytes)) => summary = Some(bytes),
            _ => {}
        }
    }
    for field in fields(summary.unwrap_or_default())? {
        let (1, Wire::Bytes(entry)) = field else { continue };
        let (mut tag, mut value) = (String::new(), None);
        for field in fields(entry)? {
            match field {
                (1, Wire::Bytes(name)) => tag = String::from_utf8_lossy(name).into_owned(),
                (2, Wire::Fixed32(bits)) => value = Some(f32::from_bits(bits)),
                (8, Wire::Bytes(tensor)) => value = value.or(scalar_of_tensor(tensor)?),
                _ => {}
            }
        }
        if let Some(value) = value {
            scalars.push(Scalar { wall_time, step, tag, value });
        }
    }
    Ok(())
}

/// The value of a `TensorProto` that is a scalar of float32, else nothing.
fn scalar_of_tensor(bytes: &[u8]) -> Result<Option<f32>, Fault> {
    const DT_FLOAT: u64 = 1;
    let (mut float, mut content) = (false, None);
    for field in fields(bytes)? {
        match field {
            (1, Wire::Varint(dtype)) => float = dtype == DT_FLOAT,
            // `tensor_content` and the packed `float_val`: little-endian floats in both.
            (4 | 5, Wire::Bytes(bytes)) => content = <[u8; 4]>::try_from(bytes).ok(),
            (5, Wire::Fixed32(bits)) => content = Some(bits.to_le_bytes()),
            _ => {}
        }
    }
    Ok(content.filter(|_| float).map(f32::from_le_bytes))
}

/// A value as Protocol Buffers store it.
enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// The fields of a message with their numbers.
fn fields(bytes: &[u8]) -> Result<Vec<(u64, Wire<'_>)>, Fault> {
    let mut cursor = Cursor::at(bytes, 0);
    let mut fields = Vec::new();
    while cursor.position() < bytes.len() {
        let at = cursor.position();
        let key = varint(&mut cursor)?;
        let value = match key & 7 {
            0 => Wire::Varint(varint(&mut cursor)?),
            1 => Wire::Fixed64(cursor.u64()?),
            2 => {
                let len = varint(&mut cursor)?;
                Wire::Bytes(cursor.take(usize::try_from(len).unwrap_or(usize::MAX))?)
            }
            5 => Wire::Fixed32(cursor.u32()?),
            other => return Err(Fault::damaged(at, format!("a field of the event has the unknown wire type {other}"))),
        };
        fields.push((key >> 3, value));
    }
    Ok(fields)
}

fn varint(cursor: &mut Cursor) -> Result<u64, Fault> {
    let at = cursor.position();
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let byte = cursor.u8()?;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Fault::damaged(at, "a number of the event has more than ten bytes"))
}

/// A message being encoded.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn raw_varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    fn varint(&mut self, field: u64, n: u64) {
        self.raw_varint(field << 3);
        self.raw_varint(n);
    }

    fn fixed64(&mut self, field: u64, value: f64) {
        self.raw_varint(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.raw_varint(field << 3 | 2);
        self.raw_varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn fixed32(&mut self, field: u64, value: f32) {
        self.raw_varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::in_directory(directory.path().join("train"), 1.7e9, ".v2").unwrap();
        let other = EventWriter::in_directory(directory.path().join("train"), 1.7e9, ".v2").unwrap();
        assert_ne!(writer.path(), other.path());
        writer.scalars(1.7e9, 0, &[("loss", 1.0), ("accuracy", 0.25)]).unwrap();
        writer.scalars(1.7e9, -1, &[("loss", f32::INFINITY)]).unwrap();
        let scalar = |step, tag: &str, value| Scalar { wall_time: 1.7e9, step, tag: tag.into(), value };
        let expected = [scalar(0, "loss", 1.0), scalar(0, "accuracy", 0.25), scalar(-1, "loss", f32::INFINITY)];
        assert_eq!(read(writer.path()).unwrap(), expected);
    }

    #[test]
    fn damaged_messages_are_errors_not_panics() {
        for message in [&[0x0a, 0xff][..], &[0xff; 12], &[0x0b], &[0x2a, 0x02, 0x0a, 0x7f], &[0x09, 0]] {
            let mut bytes = Vec::new();
            tfrecord::write_record(&mut bytes, message).unwrap();
            assert!(matches!(from_bytes(&bytes), Err(Error::Damaged { .. })), "{message:?}");
        }
    }
}
