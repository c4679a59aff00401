//! Elementwise functions of one operand.

use serde::{Deserialize, Serialize};

/// Which function; names are StableHLO's where it has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnaryKind {
    Abs, Neg, Sign, Exp, Expm1, Log, Log1p, Sqrt, Rsqrt, Cbrt, Sin, Cos, Tan, Asin, Acos, Atan, Sinh, Cosh, Tanh,
    Asinh, Acosh, Atanh, Logistic, Erf, Erfc, ErfInv, Lgamma, Digamma, Floor, Ceil, RoundNearestEven, Trunc,
    IsFinite, IsNan, Not, PopulationCount,
}
/// `f(x)`, elementwise. `IsFinite` and `IsNan` give `bool`; `Not` takes `bool` (logical) and integers (bitwise).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unary {
    /// The function.
    pub kind: UnaryKind,
}
