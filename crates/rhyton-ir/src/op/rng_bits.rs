//! `rng_bits`: random bits from a counter-based generator.

use serde::{Deserialize, Serialize};

/// Uniformly distributed bits of Threefry-2x32 (20 rounds): a function of the key alone, the same on every back end.
///
/// Operand: key `uint32[2]`. Output: `uint32` or `uint64` of `shape`. Element `i` (row-major) of a `uint32` result is
/// word `i % 2` of the block with counter `(i / 2) as u64` split low word first; of a `uint64` result the block with
/// counter `i`, low word first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RngBits {
    /// `uint32` or `uint64`, and the shape.
    pub ty: TensorType,
}
