//! Object headers: the list of messages that makes a group or a dataset.

use super::{Budget, Source, checksum};
use crate::cursor::Cursor;
use crate::error::Fault;

/// The numbers of the messages that are read.
pub(super) mod kind {
    pub const DATASPACE: u16 = 0x01;
    pub const LINK_INFO: u16 = 0x02;
    pub const DATATYPE: u16 = 0x03;
    pub const OLD_FILL: u16 = 0x04;
    pub const FILL: u16 = 0x05;
    pub const LINK: u16 = 0x06;
    pub const EXTERNAL_FILES: u16 = 0x07;
    pub const LAYOUT: u16 = 0x08;
    pub const GROUP_INFO: u16 = 0x0a;
    pub const FILTERS: u16 = 0x0b;
    pub const ATTRIBUTE: u16 = 0x0c;
    pub const CONTINUATION: u16 = 0x10;
    pub const SYMBOL_TABLE: u16 = 0x11;
    pub const ATTRIBUTE_INFO: u16 = 0x15;
}

/// One message: its kind, where its content is, and whether it is a reference to one shared by several objects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub kind: u16,
    pub start: u64,
    pub shared: bool,
}

impl Message {
    /// A cursor at the content. It may run on to the end of the file; contents say themselves how long they are.
    pub fn cursor<'a>(&self, source: &Source<'a>) -> Cursor<'a> {
        source.cursor(self.start)
    }
}

/// The messages of one object.
#[derive(Debug)]
pub(super) struct Object {
    pub address: u64,
    pub messages: Vec<Message>,
}

impl Object {
    /// Reads the header at `address` with its continuations.
    pub fn read(source: &Source, address: u64) -> Result<Object, Fault> {
        let mut cursor = source.cursor(address);
        let mut object = Object { address, messages: Vec::new() };
        if cursor.take(4)? == b"OHDR" {
            object.read_version_2(source, cursor)?;
        } else {
            object.read_version_1(source)?;
        }
        Ok(object)
    }

    /// The first message of this kind, whose content is in this header.
    pub fn find(&self, kind: u16) -> Option<&Message> {
        self.messages.iter().find(|m| m.kind == kind)
    }

    fn read_version_1(&mut self, source: &Source) -> Result<(), Fault> {
        let mut cursor = source.cursor(self.address);
        let version = cursor.u8()?;
        if version != 1 {
            return Err(Fault::damaged(self.address as usize, "there is no object header here"));
        }
        cursor.skip(7)?;
        let size = u64::from(cursor.u32()?);
        // The messages start at a multiple of eight bytes from the start of the header.
        let start = self.address.saturating_add(16);
        self.blocks(source, (start, size), |object, source, start, len| {
            let bytes = source.bytes(start, len)?.len();
            let mut cursor = source.cursor(start);
            let end = start as usize + bytes;
            while end.saturating_sub(cursor.position()) >= 8 {
                let kind = cursor.u16()?;
                let len = u64::from(cursor.u16()?);
                let flags = cursor.u8()?;
                cursor.skip(3)?;
                object.message(&mut cursor, kind, len, flags, end)?;
            }
            Ok(())
        })
    }

    fn read_version_2(&mut self, source: &Source, mut cursor: Cursor) -> Result<(), Fault> {
        let version = cursor.u8()?;
        if version != 2 {
            let what = format!("version {version} of an object header");
            return Err(Fault::unsupported(
                self.address as usize,
                what,
                "write the file with libver='v114' or earlier",
            ));
        }
        let flags = cursor.u8()?;
        cursor.skip(if flags & 0x20 != 0 { 16 } else { 0 } + if flags & 0x10 != 0 { 4 } else { 0 })?;
        let size = cursor.uint(1 << (flags & 3))?;
        let tracked = if flags & 4 != 0 { 2 } else { 0 };
        let header = self.address as usize;
        let first = cursor.position() as u64;
        self.blocks(source, (first, size), |object, source, start, len| {
            // The first block's checksum covers the header before it and follows the block; that of a continuation is in it.
            let (from, at, end) = if start == first {
                let end = start as usize + source.bytes(start, len)?.len();
                (header, start as usize, end)
            } else {
                source.cursor(start).signature(b"OCHK")?;
                let bytes = source.bytes(start, len)?.len();
                let end = (start as usize + bytes).saturating_sub(4);
                (start as usize, start as usize + 4, end)
            };
            checksum::check(source.data, from, &mut source.cursor(end.max(from) as u64), "object header")?;
            let mut cursor = source.cursor(at as u64);
            while end.saturating_sub(cursor.position()) >= 4 + tracked {
                let kind = u16::from(cursor.u8()?);
                let len = u64::from(cursor.u16()?);
                let flags = cursor.u8()?;
                cursor.skip(tracked)?;
                object.message(&mut cursor, kind, len, flags, end)?;
            }
            Ok(())
        })
    }

    /// Reads the first block and the continuations that its messages name, each once.
    fn blocks(
        &mut self,
        source: &Source,
        first: (u64, u64),
        read: impl Fn(&mut Object, &Source, u64, u64) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut budget = Budget::new(source);
        let mut pending = vec![first];
        while let Some((start, len)) = pending.pop() {
            // An empty block is no block, but would be a free turn in a circle.
            budget.spend(start, len.max(1))?;
            let before = self.messages.len();
            read(self, source, start, len)?;
            for message in self.messages[before..].iter().filter(|m| m.kind == kind::CONTINUATION) {
                let mut cursor = message.cursor(source);
                pending.push((source.address(&mut cursor)?, source.length(&mut cursor)?));
            }
        }
        Ok(())
    }

    fn message(&mut self, cursor: &mut Cursor, kind: u16, len: u64, flags: u8, end: usize) -> Result<(), Fault> {
        let start = cursor.position();
        cursor.skip(len as usize)?;
        if cursor.position() > end {
            return Err(Fault::damaged(start, "a message is longer than its object header"));
        }
        self.messages.push(Message { kind, start: start as u64, shared: flags & 2 != 0 });
        Ok(())
    }
}

/// The message that `message` refers to, where it is shared; else itself.
pub(super) fn resolve(source: &Source, message: Message) -> Result<Message, Fault> {
    if !message.shared {
        return Ok(message);
    }
    let mut cursor = message.cursor(source);
    let at = cursor.position();
    let (version, place) = (cursor.u8()?, cursor.u8()?);
    match (version, place) {
        (1, _) => cursor.skip(6)?,
        (2, _) | (3, 2) => {}
        _ => {
            let fix = "write the file without shared object header messages";
            return Err(Fault::unsupported(at, "a message in the shared message heap", fix));
        }
    }
    let address = source.address(&mut cursor)?;
    let object = Object::read(source, address)?;
    match object.find(message.kind) {
        Some(found) if !found.shared => Ok(*found),
        _ => Err(Fault::damaged(at, "a shared message refers to an object without it")),
    }
}
