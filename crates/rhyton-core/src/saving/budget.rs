//! How much a file may make a model allocate while it is read.
//!
//! A configuration of a few bytes can ask for weights of any size. Those of a genuine file are in it, so that their total is
//! bounded by the file's length: deflate makes at most 1,032 bytes of one.

use std::cell::Cell;

use rhyton_ir::DType;

use crate::error::{Error, Result};

/// However small the file: what was never written takes no bytes of it.
const FLOOR: u64 = 64 << 20;
const MOST_EXPANSION: u64 = 1032;

thread_local! {
    /// The bytes that may still be allocated; `None` outside of files.
    static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Runs `read`, in which weights may take what a file of `len` bytes can hold.
pub(super) fn within<R>(len: u64, read: impl FnOnce() -> R) -> R {
    struct Restore(Option<u64>);
    impl Drop for Restore {
        fn drop(&mut self) {
            LEFT.set(self.0);
        }
    }
    let _restore = Restore(LEFT.replace(Some(len.saturating_mul(MOST_EXPANSION).max(FLOOR))));
    read()
}

/// Takes the bytes of a variable at `at`, before they are allocated.
///
/// # Errors
/// If a file that is being read asks for more than it can hold.
pub(crate) fn spend(at: &str, shape: &[usize], dtype: DType) -> Result<()> {
    let Some(left) = LEFT.get() else { return Ok(()) };
    let bytes = shape.iter().try_fold(dtype.size() as u64, |n, &d| n.checked_mul(d as u64));
    match bytes.and_then(|bytes| left.checked_sub(bytes)) {
        Some(rest) => {
            LEFT.set(Some(rest));
            Ok(())
        }
        None => Err(Error::content(
            at,
            format!("a weight of shape {shape:?} takes more memory than the file can hold weights for"),
            "the configuration and the weights are not of one model; save the model again",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_cannot_ask_for_more_than_they_hold() {
        assert!(spend("w", &[1 << 40], DType::F32).is_ok(), "outside of files there is no limit of this kind");
        within(0, || {
            assert!(spend("w", &[8, 1 << 20], DType::F32).is_ok());
            assert!(spend("w", &[8, 1 << 20], DType::F32).is_ok());
            let error = spend("dense/kernel", &[1], DType::F32).unwrap_err().to_string();
            assert!(error.contains("dense/kernel") && error.contains("[1]"), "{error}");
            assert!(spend("w", &[usize::MAX, usize::MAX], DType::F64).is_err());
        });
        within(1 << 20, || assert!(spend("w", &[200, 1 << 20], DType::F32).is_ok()));
    }
}
