//! Callbacks: what happens around epochs, batches, evaluation and prediction.

mod callback;

pub use callback::{Callback, Logs, Run};
#[derive(Default)] pub struct ProgressBar; impl ProgressBar{pub fn new()->Self{ProgressBar}} impl Callback for ProgressBar{}
