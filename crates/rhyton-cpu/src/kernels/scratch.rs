//! Buffers that a thread keeps between calls, so that a kernel allocates only until it has seen its largest problem.

use std::any::{Any, TypeId};
use std::cell::RefCell;

thread_local! {
    static KEPT: RefCell<Vec<(TypeId, Box<dyn Any>)>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with this thread's `S`, made by `Default` at the first use.
///
/// If `f` calls a kernel that wants the same `S`, that one gets another.
pub fn with<S: Default + 'static, R>(f: impl FnOnce(&mut S) -> R) -> R {
    let kept = KEPT.with_borrow_mut(|kept| {
        let at = kept.iter().position(|(id, _)| *id == TypeId::of::<S>())?;
        kept.swap_remove(at).1.downcast::<S>().ok()
    });
    let mut scratch = kept.unwrap_or_default();
    let result = f(&mut scratch);
    KEPT.with_borrow_mut(|kept| kept.push((TypeId::of::<S>(), scratch)));
    result
}

/// A buffer that grows and starts at a multiple of 64 bytes: the cache line, and the widest vector.
#[derive(Debug)]
pub struct Aligned<T>(Vec<T>);

impl<T> Default for Aligned<T> {
    fn default() -> Self {
        Aligned(Vec::new())
    }
}

impl Aligned<u8> {
    /// A buffer of zeros, which take no memory before they are written.
    pub fn zeros(len: usize) -> Aligned<u8> {
        Aligned(vec![0; len + 64])
    }
}

impl<T: Copy + Default> Aligned<T> {
    /// `len` elements of whatever was there.
    pub fn get(&mut self, len: usize) -> &mut [T] {
        let line = 64 / size_of::<T>();
        if self.0.len() < len + line {
            self.0.resize(len + line, T::default());
        }
        let skip = self.0.as_ptr().align_offset(64);
        &mut self.0[skip..skip + len]
    }

    /// The first `len` elements, as [`Aligned::get`] gave them.
    pub fn view(&self, len: usize) -> &[T] {
        let skip = self.0.as_ptr().align_offset(64);
        &self.0[skip..skip + len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_there_again_and_nesting_gives_another() {
        with(|outer: &mut Vec<u8>| {
            outer.push(7);
            with(|inner: &mut Vec<u8>| assert!(inner.is_empty()));
        });
        with(|kept: &mut Vec<u8>| assert!(*kept == [7] || kept.is_empty()));
    }

    #[test]
    fn buffers_are_aligned() {
        let mut buffer = Aligned::<f32>::default();
        for len in [0, 1, 15, 100, 10_000] {
            assert_eq!(buffer.get(len).len(), len);
            assert_eq!(buffer.get(len).as_ptr() as usize % 64, 0);
        }
    }
}
