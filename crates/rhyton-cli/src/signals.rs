//! Signals: what stops a training cleanly, and what a full disk quota must not kill.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// The signal that interrupted the process, or 0.
static RECEIVED: AtomicI32 = AtomicI32::new(0);

/// What the shell adds to the number of a signal that ended a process.
const EXIT: i32 = 128;

/// The exit status of a process that ended because it was interrupted; `None` if it was not.
pub fn exit_code() -> Option<u8> {
    match RECEIVED.load(Ordering::Relaxed) {
        0 => None,
        signal => Some((EXIT + signal) as u8),
    }
}

/// A flag that the first Ctrl-C sets; the second one ends the process at once.
pub fn interrupt_flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    watch(move |signal| {
        if RECEIVED.swap(signal, Ordering::Relaxed) != 0 {
            std::process::exit(EXIT + signal);
        }
        set.store(true, Ordering::Relaxed);
        crate::output::say("\nstopping after this step; press Ctrl-C again to stop at once");
    });
    flag
}

/// Calls `handler`, on a thread of its own, with the number of each signal that asks the process to end.
#[cfg(unix)]
fn watch(handler: impl Fn(i32) + Send + 'static) {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    // If signals cannot be watched, they do what they always do.
    if let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]) {
        std::thread::spawn(move || signals.forever().for_each(handler));
    }
}

#[cfg(not(unix))]
fn watch(handler: impl Fn(i32) + Send + 'static) {
    const INTERRUPT: i32 = 2;
    // Fails only if a handler is there already: then Ctrl-C does what that one does.
    let _ = ctrlc::set_handler(move || handler(INTERRUPT));
}

/// Lets writes beyond the limit of a file's size (`ulimit -f`) fail with an error instead of ending the process, which would
/// leave temporary files behind.
pub fn report_size_limit() {
    #[cfg(unix)]
    {
        // Fails only for signals that cannot be caught.
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false)));
    }
}
