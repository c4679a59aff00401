//! Which back end computes, and Keras's small `keras.backend`.

use std::sync::{Arc, Mutex};

use rhyton_cpu::CpuBackend;
use rhyton_ir::DType;
use rhyton_ir::backend::Backend;

use crate::error::{Error, Result};

static CURRENT: Mutex<Option<Arc<dyn Backend>>> = Mutex::new(None);

/// The back end in use; the native CPU unless set otherwise. `RHYTON_BACKEND` names another: `cpu`, or `interpreter` (the
/// reference interpreter: slow, for checking).
///
/// # Errors
/// If `RHYTON_BACKEND` names none that there is.
pub fn current() -> Result<Arc<dyn Backend>> {
    let mut current = CURRENT.lock().unwrap_or_else(|e| e.into_inner());
    if let Some(backend) = &*current {
        return Ok(Arc::clone(backend));
    }
    let name = std::env::var("RHYTON_BACKEND").unwrap_or_else(|_| "cpu".into());
    let backend: Arc<dyn Backend> = match name.as_str() {
        "cpu" => Arc::new(CpuBackend::new(0)),
        "interpreter" => Arc::new(rhyton_ir::backend::Interpreter),
        other => {
            return Err(Error::unsupported(
                "RHYTON_BACKEND",
                format!("there is no back end {other:?}"),
                "use cpu or interpreter",
            ));
        }
    };
    *current = Some(Arc::clone(&backend));
    Ok(backend)
}

/// Sets the back end for all computations that are compiled from now on.
pub fn set_current(backend: Arc<dyn Backend>) {
    *CURRENT.lock().unwrap_or_else(|e| e.into_inner()) = Some(backend);
}

/// Computes on the CPU with `threads` threads from now on; `None` for one a core.
///
/// # Errors
/// If the CPU back end cannot start.
pub fn set_threads(threads: Option<usize>) -> Result<()> {
    set_current(Arc::new(CpuBackend::new(threads.unwrap_or(0))));
    Ok(())
}

/// How often this was called with `prefix` on this thread, this time included (since names were last reset): numbers for names.
pub fn get_uid(prefix: &str) -> usize {
    crate::naming::count(prefix)
}

/// Whether the dtype is a floating-point one.
pub fn is_float_dtype(dtype: DType) -> bool {
    dtype.is_float()
}

/// Whether the dtype is of whole numbers; `bool` is not.
pub fn is_int_dtype(dtype: DType) -> bool {
    dtype.is_signed_int() || dtype.is_unsigned_int()
}

/// The dtype of an operation on tensors of all of these dtypes; [`floatx`](crate::config::floatx) if there is none.
pub fn result_type(dtypes: &[DType]) -> DType {
    dtypes.iter().copied().reduce(crate::promote).unwrap_or_else(crate::config::floatx)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_names_go_up() {
        assert_eq!([get_uid("horn"), get_uid("horn"), get_uid("cup")], [1, 2, 1]);
    }

    #[test]
    fn dtypes_join_as_in_keras() {
        // keras.backend.result_type, Keras 3.15.1.
        assert_eq!(result_type(&[DType::I32, DType::F16]), DType::F16);
        assert_eq!(result_type(&[DType::U8, DType::I8, DType::Bool]), DType::I16);
        assert_eq!(result_type(&[]), DType::F32);
        assert!(is_int_dtype(DType::U8) && !is_int_dtype(DType::Bool) && is_float_dtype(DType::BF16));
    }
}
