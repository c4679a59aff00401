//! Which back end computes.

use std::sync::{Arc, Mutex};

use rhyton_cpu::CpuBackend;
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
