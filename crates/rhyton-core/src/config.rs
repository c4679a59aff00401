//! Settings of the process: Keras's `keras.config`.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, Once};

use rhyton_ir::DType;

use crate::dtype_policy::DTypePolicy;
use crate::error::{Error, Result};
use crate::layers::DataFormat;

/// The bits of the small number; 1e-7 unless set.
static EPSILON: AtomicU64 = AtomicU64::new(1e-7f64.to_bits());
static FLOATX: Mutex<DType> = Mutex::new(DType::F32);
static CHANNELS_FIRST: AtomicBool = AtomicBool::new(false);
/// 0 for no limit.
static MAX_EPOCHS: AtomicUsize = AtomicUsize::new(0);
static MAX_STEPS: AtomicUsize = AtomicUsize::new(0);
static INTERACTIVE: AtomicBool = AtomicBool::new(true);
/// 0 for where it can be had, 1 for never.
static FLASH: AtomicU8 = AtomicU8::new(0);

/// The small number that keeps divisions and logarithms finite; 1e-7 unless set.
pub fn epsilon() -> f64 {
    f64::from_bits(EPSILON.load(Ordering::Relaxed))
}

/// Sets [`epsilon`] for what is computed or traced from now on.
pub fn set_epsilon(value: f64) {
    EPSILON.store(value.to_bits(), Ordering::Relaxed);
}

/// The dtype of floating-point values for which nothing else is said: of layers (unless a policy is set), of new tensors, of
/// results of integers, of metrics and losses, and of the data that models are fed; `float32` unless set.
pub fn floatx() -> DType {
    *FLOATX.lock().unwrap_or_else(|e| e.into_inner())
}

/// Sets [`floatx`] for what is made from now on.
///
/// # Errors
/// If `dtype` is none of the floating-point ones.
pub fn set_floatx(dtype: DType) -> Result<()> {
    if !dtype.is_float() {
        return Err(Error::argument(
            "set_floatx",
            format!("{dtype} is no floating-point dtype"),
            "use float16, bfloat16, float32 or float64",
        ));
    }
    *FLOATX.lock().unwrap_or_else(|e| e.into_inner()) = dtype;
    Ok(())
}

/// Where layers expect the channels if they are told nothing else; last unless set.
pub fn image_data_format() -> DataFormat {
    if CHANNELS_FIRST.load(Ordering::Relaxed) { DataFormat::ChannelsFirst } else { DataFormat::ChannelsLast }
}

/// Sets [`image_data_format`] for layers that are made from now on.
pub fn set_image_data_format(data_format: DataFormat) {
    CHANNELS_FIRST.store(data_format == DataFormat::ChannelsFirst, Ordering::Relaxed);
}

/// The policy of layers that are not given one.
pub fn dtype_policy() -> DTypePolicy {
    DTypePolicy::global()
}

/// Sets [`dtype_policy`] for layers that are made from now on.
pub fn set_dtype_policy(policy: impl Into<DTypePolicy>) {
    DTypePolicy::set_global(policy.into());
}

/// The name of the back end: `rhyton`.
pub fn backend() -> &'static str {
    "rhyton"
}

/// What `KERAS_MAX_EPOCHS` and `KERAS_MAX_STEPS_PER_EPOCH` say, read once.
fn read_environment() {
    static READ: Once = Once::new();
    READ.call_once(|| {
        for (name, limit) in [("KERAS_MAX_EPOCHS", &MAX_EPOCHS), ("KERAS_MAX_STEPS_PER_EPOCH", &MAX_STEPS)] {
            if let Some(value) = std::env::var(name).ok().and_then(|v| v.parse().ok()) {
                limit.store(value, Ordering::Relaxed);
            }
        }
    });
}

fn limit(of: &AtomicUsize) -> Option<usize> {
    read_environment();
    Some(of.load(Ordering::Relaxed)).filter(|&n| n > 0)
}

fn set_limit(of: &AtomicUsize, limit: Option<usize>) {
    read_environment();
    of.store(limit.unwrap_or(0), Ordering::Relaxed);
}

/// The most epochs that any training goes through, whatever it is told; none unless set, or said by `KERAS_MAX_EPOCHS`.
pub fn max_epochs() -> Option<usize> {
    limit(&MAX_EPOCHS)
}

/// Sets [`max_epochs`]: for trying a program out.
pub fn set_max_epochs(epochs: Option<usize>) {
    set_limit(&MAX_EPOCHS, epochs);
}

/// The most batches of any epoch, evaluation or prediction; none unless set, or said by `KERAS_MAX_STEPS_PER_EPOCH`.
pub fn max_steps_per_epoch() -> Option<usize> {
    limit(&MAX_STEPS)
}

/// Sets [`max_steps_per_epoch`]: for trying a program out.
pub fn set_max_steps_per_epoch(steps: Option<usize>) {
    set_limit(&MAX_STEPS, steps);
}

/// Whether progress is shown by bars that move; if not, by lines.
pub fn is_interactive_logging_enabled() -> bool {
    INTERACTIVE.load(Ordering::Relaxed)
}

/// Shows progress by bars that move, on a terminal; the way it is unless set otherwise.
pub fn enable_interactive_logging() {
    INTERACTIVE.store(true, Ordering::Relaxed);
}

/// Shows progress by lines.
pub fn disable_interactive_logging() {
    INTERACTIVE.store(false, Ordering::Relaxed);
}

/// Whether flash attention is forbidden (`Some(false)`) or left to the back end (`None`). No back end has it yet: the setting is
/// kept, and attention computes the same either way.
pub fn is_flash_attention_enabled() -> Option<bool> {
    (FLASH.load(Ordering::Relaxed) == 1).then_some(false)
}

/// Leaves flash attention to the back end; see [`is_flash_attention_enabled`].
pub fn enable_flash_attention() {
    FLASH.store(0, Ordering::Relaxed);
}

/// Forbids flash attention; see [`is_flash_attention_enabled`].
pub fn disable_flash_attention() {
    FLASH.store(1, Ordering::Relaxed);
}

/// Sets what [`clear_session`](crate::utils::clear_session) sets back: the policy and flash attention.
pub(crate) fn reset() {
    DTypePolicy::reset_global();
    enable_flash_attention();
}
