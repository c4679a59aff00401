//! Attributes, in the header or in a heap.

use super::datatype::Datatype;
use super::fractal_heap::FractalHeap;
use super::heap::text;
use super::message::Dataspace;
use super::object::{self, Message, Object, kind};
use super::{Source, UNDEFINED, Value, btree};
use crate::cursor::Cursor;
use crate::error::Fault;

/// An attribute whose value has not been read.
pub(super) struct Attribute<'a> {
    pub name: String,
    datatype: (Cursor<'a>, Option<Message>),
    dataspace: (Cursor<'a>, Option<Message>),
    data: Cursor<'a>,
}

/// The attributes of an object, in the file's order.
pub(super) fn attributes<'a>(source: &Source<'a>, object: &Object) -> Result<Vec<Attribute<'a>>, Fault> {
    let mut attributes = Vec::new();
    for message in &object.messages {
        let mut cursor = message.cursor(source);
        match message.kind {
            kind::ATTRIBUTE => {
                let message = object::resolve(source, *message)?;
                attributes.push(Attribute::read(message.cursor(source))?);
            }
            kind::ATTRIBUTE_INFO => {
                cursor.skip(1)?;
                let flags = cursor.u8()?;
                cursor.skip(if flags & 1 != 0 { 2 } else { 0 })?;
                let heap = source.address(&mut cursor)?;
                let names = source.address(&mut cursor)?;
                if heap == UNDEFINED || names == UNDEFINED {
                    continue;
                }
                let heap = FractalHeap::read(source, heap)?;
                // A record is the attribute's place in the heap, flags, the order of creation and the name's hash.
                for mut record in btree::records_2(source, names, 8)? {
                    attributes.push(Attribute::read(heap.object(&mut record)?)?);
                }
            }
            _ => {}
        }
    }
    Ok(attributes)
}

impl<'a> Attribute<'a> {
    fn read(mut cursor: Cursor<'a>) -> Result<Attribute<'a>, Fault> {
        let at = cursor.position();
        let version = cursor.u8()?;
        if !(1..=3).contains(&version) {
            return Err(Fault::damaged(at, format!("version {version} of an attribute")));
        }
        // Version 1 has no flags but a byte in their place.
        let flags = cursor.u8()? * u8::from(version > 1);
        let lens = [cursor.u16()?, cursor.u16()?, cursor.u16()?].map(usize::from);
        cursor.skip(if version == 3 { 1 } else { 0 })?;
        // Version 1 pads each of the three parts to eight bytes.
        let [name, datatype, dataspace] = if version == 1 { lens.map(|n| n.next_multiple_of(8)) } else { lens };
        let name = cursor.take(name)?;
        let name = &name[..name.iter().position(|&b| b == 0).unwrap_or(name.len())];
        let mut part = |len: usize, kind, shared: bool| {
            let start = cursor;
            cursor.skip(len)?;
            let message = Message { kind, start: start.position() as u64, shared };
            Ok((start, shared.then_some(message)))
        };
        let datatype = part(datatype, kind::DATATYPE, flags & 1 != 0)?;
        let dataspace = part(dataspace, kind::DATASPACE, flags & 2 != 0)?;
        Ok(Attribute { name: text(name, at)?.to_owned(), datatype, dataspace, data: cursor })
    }

    /// The value.
    pub fn value(&self, source: &Source<'a>) -> Result<Value, Fault> {
        let open = |(cursor, shared): (Cursor<'a>, Option<Message>)| match shared {
            Some(message) => object::resolve(source, message).map(|m| m.cursor(source)),
            None => Ok(cursor),
        };
        let datatype = Datatype::read(&mut open(self.datatype)?)?;
        let Dataspace::Simple { shape, .. } = Dataspace::read(source, &mut open(self.dataspace)?)? else {
            return Ok(Value::Null);
        };
        let mut data = self.data;
        let at = data.position();
        let bytes = data.take(datatype.len(&shape, at)?)?;
        datatype.decode(source, shape, bytes, at)
    }
}
