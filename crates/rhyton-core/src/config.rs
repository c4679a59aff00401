//! Settings of the process that Keras keeps in `keras.config`.

use std::sync::atomic::{AtomicU64, Ordering};

/// The bits of the small number; 1e-7 unless set.
static EPSILON: AtomicU64 = AtomicU64::new(1e-7f64.to_bits());

/// The small number that keeps divisions and logarithms finite; 1e-7 unless set.
pub fn epsilon() -> f64 {
    f64::from_bits(EPSILON.load(Ordering::Relaxed))
}

/// Sets [`epsilon`] for what is computed or traced from now on.
pub fn set_epsilon(value: f64) {
    EPSILON.store(value.to_bits(), Ordering::Relaxed);
}
