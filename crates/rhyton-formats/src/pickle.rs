//! The texts in NumPy's arrays of objects, which are stored as a pickle.
//!
//! A pickle is a program for a machine that can import and call anything. What is read here is the one program that NumPy writes
//! for an array of `str` or `bytes`: its instructions are followed as data, the names that it would import are compared with those
//! of NumPy, and nothing is ever imported or called. Every other pickle is refused.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::cursor::Cursor;
use crate::error::Fault;

/// Deepest nesting of tuples; NumPy's program needs 3.
const DEEPEST: usize = 8;

/// A value on the machine's stack.
#[derive(Clone)]
enum Value {
    Text(Rc<str>),
    /// Bytes that are no UTF-8.
    Bytes,
    Number,
    Tuple(Rc<Vec<Value>>, usize),
    List(Rc<RefCell<Vec<Value>>>),
    /// The name of what would be imported, or an object made by calling it.
    Name(Rc<str>),
    Mark,
}

/// The elements of the array of objects whose pickle `bytes` hold from byte `at` of the file on; texts as they are, bytes as UTF-8.
pub(crate) fn texts(bytes: &[u8], at: usize) -> Result<Vec<String>, Fault> {
    let mut machine =
        Machine { cursor: Cursor::at(bytes, at as u64), stack: Vec::new(), memo: HashMap::new(), elements: None };
    while machine.step()? {}
    let elements = machine.elements.ok_or_else(|| foreign(at, "it is no array"))?;
    let elements = elements.borrow();
    let text = |(i, value): (usize, &Value)| match value {
        Value::Text(text) => Ok(text.to_string()),
        _ => Err(foreign(at, &format!("element {i} is no text"))),
    };
    elements.iter().enumerate().map(text).collect()
}

fn foreign(at: usize, what: &str) -> Fault {
    Fault::unsupported(
        at,
        format!("an array of objects of which {what}"),
        "save it as one of Keras's dtypes, or as strings with array.astype(\"U\")",
    )
}

struct Machine<'a> {
    cursor: Cursor<'a>,
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
    /// The list of elements in the state of the array.
    elements: Option<Rc<RefCell<Vec<Value>>>>,
}

impl Machine<'_> {
    /// Follows one instruction; whether there are more.
    fn step(&mut self) -> Result<bool, Fault> {
        let at = self.cursor.position();
        match self.cursor.u8()? {
            // PROTO, FRAME
            0x80 => self.cursor.skip(1)?,
            0x95 => self.cursor.skip(8)?,
            b'.' => return Ok(false),
            b'(' => self.stack.push(Value::Mark),
            // None, False, True, and whole numbers of 1, 2, 4 and any number of bytes
            b'N' | 0x88 | 0x89 => self.stack.push(Value::Number),
            b'K' => self.number(1)?,
            b'M' => self.number(2)?,
            b'J' => self.number(4)?,
            0x8a => {
                let size = usize::from(self.cursor.u8()?);
                self.number(size)?;
            }
            // str with a length of 1, 4 and 8 bytes, then bytes
            0x8c => self.text(1, true)?,
            b'X' => self.text(4, true)?,
            0x8d => self.text(8, true)?,
            b'C' => self.text(1, false)?,
            b'B' => self.text(4, false)?,
            0x8e => self.text(8, false)?,
            b')' => self.tuple(Vec::new(), at)?,
            code @ 0x85..=0x87 => {
                let count = usize::from(code - 0x84);
                let from = self.stack.len().checked_sub(count).ok_or_else(|| short(at))?;
                let items = self.stack.split_off(from);
                self.tuple(items, at)?;
            }
            b't' => {
                let items = self.since_mark(at)?;
                self.tuple(items, at)?;
            }
            b']' => self.stack.push(Value::List(Rc::default())),
            b'a' => {
                let item = self.pop(at)?;
                self.append(vec![item], at)?;
            }
            b'e' => {
                let items = self.since_mark(at)?;
                self.append(items, at)?;
            }
            // MEMOIZE, BINPUT, LONG_BINPUT, BINGET, LONG_BINGET
            0x94 => self.remember(self.memo.len() as u32, at)?,
            b'q' => {
                let key = u32::from(self.cursor.u8()?);
                self.remember(key, at)?;
            }
            b'r' => {
                let key = self.cursor.u32()?;
                self.remember(key, at)?;
            }
            b'h' => {
                let key = u32::from(self.cursor.u8()?);
                self.recall(key, at)?;
            }
            b'j' => {
                let key = self.cursor.u32()?;
                self.recall(key, at)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.name(&module, &name, at)?;
            }
            0x93 => match (self.pop(at)?, self.pop(at)?) {
                (Value::Text(name), Value::Text(module)) => self.name(&module, &name, at)?,
                _ => return Err(foreign(at, "a name is no text")),
            },
            // REDUCE: the call is not made, its result stands for itself.
            b'R' => match (self.pop(at)?, self.pop(at)?) {
                (Value::Tuple(..), Value::Name(name)) => self.stack.push(Value::Name(name)),
                _ => return Err(foreign(at, "something else is made than arrays")),
            },
            b'b' => self.build(at)?,
            code => return Err(foreign(at, &format!("the pickle has the instruction {code:#04x}"))),
        }
        Ok(true)
    }

    fn number(&mut self, size: usize) -> Result<(), Fault> {
        self.cursor.skip(size)?;
        self.stack.push(Value::Number);
        Ok(())
    }

    fn text(&mut self, size: usize, unicode: bool) -> Result<(), Fault> {
        let at = self.cursor.position();
        let length = usize::try_from(self.cursor.uint(size)?).unwrap_or(usize::MAX);
        match (std::str::from_utf8(self.cursor.take(length)?), unicode) {
            (Ok(text), _) => self.stack.push(Value::Text(text.into())),
            (Err(_), false) => self.stack.push(Value::Bytes),
            (Err(_), true) => return Err(Fault::damaged(at, "a str is no UTF-8")),
        }
        Ok(())
    }

    fn line(&mut self) -> Result<String, Fault> {
        let mut line = Vec::new();
        loop {
            match self.cursor.u8()? {
                b'\n' => return Ok(String::from_utf8_lossy(&line).into_owned()),
                byte => line.push(byte),
            }
        }
    }

    fn name(&mut self, module: &str, name: &str, at: usize) -> Result<(), Fault> {
        match (module, name) {
            ("numpy._core.multiarray" | "numpy.core.multiarray", "_reconstruct") | ("numpy", "ndarray" | "dtype") => {
                self.stack.push(Value::Name(name.into()));
                Ok(())
            }
            _ => Err(foreign(at, &format!("the pickle names {module}.{name}, which is never run"))),
        }
    }

    fn tuple(&mut self, items: Vec<Value>, at: usize) -> Result<(), Fault> {
        let depth =
            items.iter().map(|v| if let Value::Tuple(_, depth) = v { *depth } else { 0 }).max().unwrap_or(0) + 1;
        if depth > DEEPEST || items.iter().any(|v| matches!(v, Value::Mark)) {
            return Err(foreign(at, "tuples are nested too deeply"));
        }
        self.stack.push(Value::Tuple(Rc::new(items), depth));
        Ok(())
    }

    fn append(&mut self, items: Vec<Value>, at: usize) -> Result<(), Fault> {
        let Some(Value::List(list)) = self.stack.last() else { return Err(foreign(at, "elements are in no list")) };
        // Lists hold elements alone, so that none can hold itself.
        if items.iter().any(|v| !matches!(v, Value::Text(_) | Value::Bytes | Value::Number)) {
            return Err(foreign(at, "an element is no text"));
        }
        list.borrow_mut().extend(items);
        Ok(())
    }

    /// Sets the state of an object: that of the array has the elements.
    fn build(&mut self, at: usize) -> Result<(), Fault> {
        match (self.pop(at)?, self.stack.last()) {
            (Value::Tuple(state, _), Some(Value::Name(name))) => {
                if let (Some(Value::List(elements)), "_reconstruct") = (state.get(4), &**name) {
                    self.elements = Some(Rc::clone(elements));
                }
                Ok(())
            }
            _ => Err(foreign(at, "something else is made than arrays")),
        }
    }

    fn pop(&mut self, at: usize) -> Result<Value, Fault> {
        self.stack.pop().ok_or_else(|| short(at))
    }

    fn since_mark(&mut self, at: usize) -> Result<Vec<Value>, Fault> {
        let mark = self.stack.iter().rposition(|v| matches!(v, Value::Mark)).ok_or_else(|| short(at))?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    fn remember(&mut self, key: u32, at: usize) -> Result<(), Fault> {
        let value = self.stack.last().cloned().ok_or_else(|| short(at))?;
        self.memo.insert(key, value);
        Ok(())
    }

    fn recall(&mut self, key: u32, at: usize) -> Result<(), Fault> {
        let value = self.memo.get(&key).cloned();
        self.stack
            .push(value.ok_or_else(|| Fault::damaged(at, format!("the pickle recalls {key}, which it never stored")))?);
        Ok(())
    }
}

fn short(at: usize) -> Fault {
    Fault::damaged(at, "the pickle takes more values than there are")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// pickle.dumps(np.array(["a", "é", "a", b"xy"], dtype=object), protocol=4), numpy 2.4.6.
    const SAMPLE: &[u8] = b"\x80\x04\x95\x9d\0\0\0\0\0\0\0\x8c\x16numpy._core.multiarray\x94\x8c\x0c_reconstruct\x94\x93\x94\
        \x8c\x05numpy\x94\x8c\x07ndarray\x94\x93\x94K\0\x85\x94C\x01b\x94\x87\x94R\x94(K\x01K\x04\x85\x94h\x03\x8c\x05dtype\x94\
        \x93\x94\x8c\x02O8\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01|\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?t\x94b\x89]\x94(\
        \x8c\x01a\x94\x8c\x02\xc3\xa9\x94h\x13C\x02xy\x94et\x94b.";

    #[test]
    fn texts_of_objects_are_read() {
        assert_eq!(texts(SAMPLE, 0).unwrap(), ["a", "é", "a", "xy"]);
    }

    #[test]
    fn nothing_but_arrays_of_texts_is_read() {
        // pickle.dumps(os.system): a name that must not be imported.
        let fault = texts(b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.", 0).unwrap_err();
        assert!(fault.what.contains("posix.system, which is never run"), "{fault:?}");
        let fault = texts(b"cos\nsystem\n(S'ls'\ntR.", 0).unwrap_err();
        assert!(fault.what.contains("os.system"), "{fault:?}");
        assert!(texts(b"\x80\x04]\x94(K\x01e.", 0).unwrap_err().what.contains("no array"));
        let nested: Vec<u8> = [b')'].into_iter().chain([0x85; 100]).collect();
        assert!(texts(&nested, 0).unwrap_err().what.contains("nested"));
    }

    #[test]
    fn damage_anywhere_never_panics() {
        for end in 0..SAMPLE.len() {
            assert!(texts(&SAMPLE[..end], 0).is_err());
        }
        for at in 0..SAMPLE.len() {
            for flip in [1, 0x10, 0x80, 0xff] {
                let mut bytes = SAMPLE.to_vec();
                bytes[at] ^= flip;
                let _ = texts(&bytes, 0);
            }
        }
    }
}
