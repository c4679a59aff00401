//! Callbacks: what happens around epochs, batches, evaluation and prediction.

mod callback;

pub use callback::{Callback, Logs, Run};
