//! Training, evaluating and using models.

/// What a model keeps for training.
#[derive(Default)]
pub struct Trainer;
