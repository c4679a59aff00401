//! Elementwise functions of two operands of one type.

use serde::{Deserialize, Serialize};

/// Which function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BinaryKind {
    /// Integers wrap.
    Add, Sub, Mul,
    /// Integers truncate; by 0 gives 0.
    Div,
    /// Sign of the dividend, as C's `fmod`; by 0 gives 0 for integers.
    Rem,
    Pow,
    /// NaN if either is; the gradient at a tie goes to the first operand (as TensorFlow's `x >= y`).
    Maximum, Minimum,
    Atan2,
    /// Logical for `bool`, bitwise for integers.
    And, Or, Xor,
    ShiftLeft, ShiftRightArithmetic, ShiftRightLogical,
    NextAfter,
}
/// `f(x, y)`, elementwise; both of one type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Binary {
    /// The function.
    pub kind: BinaryKind,
}
