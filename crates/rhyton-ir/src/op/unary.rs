//! Elementwise functions of one operand.

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, operands};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

mod gradient;
mod special;

/// Which function; names are StableHLO's where it has them. Of floats, unless said otherwise; `y` is the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnaryKind {
    /// `|x|`, also of integers, where the smallest wraps to itself. Gradient `sign(x)`, 0 at 0.
    Abs,
    /// `−x`, also of integers, which wrap. Gradient −1.
    Neg,
    /// −1, 0 or 1, also of integers; ±0 and NaN stay. No gradient.
    Sign,
    /// `eˣ`. Gradient `y`.
    Exp,
    /// `eˣ − 1`, exact near 0. Gradient `eˣ`.
    Expm1,
    /// Natural logarithm; NaN below 0. Gradient `1/x`.
    Log,
    /// `log(1 + x)`, exact near 0. Gradient `1/(1 + x)`.
    Log1p,
    /// `√x`; NaN below 0. Gradient `1/(2y)`, infinite at 0.
    Sqrt,
    /// `1/√x`. Gradient `−y/(2x)`.
    Rsqrt,
    /// `∛x`, odd. Gradient `1/(3y²)`, infinite at 0.
    Cbrt,
    /// Sine of radians. Gradient `cos x`.
    Sin,
    /// Cosine of radians. Gradient `−sin x`.
    Cos,
    /// Tangent of radians. Gradient `1 + y²`.
    Tan,
    /// Arcsine, within `[−π/2, π/2]`. Gradient `1/√(1 − x²)`.
    Asin,
    /// Arccosine, within `[0, π]`. Gradient `−1/√(1 − x²)`.
    Acos,
    /// Arctangent, within `[−π/2, π/2]`. Gradient `1/(1 + x²)`.
    Atan,
    /// `(eˣ − e⁻ˣ)/2`. Gradient `cosh x`.
    Sinh,
    /// `(eˣ + e⁻ˣ)/2`. Gradient `sinh x`.
    Cosh,
    /// `sinh x / cosh x`. Gradient `1 − y²`.
    Tanh,
    /// Inverse of sinh. Gradient `1/cosh y`.
    Asinh,
    /// Inverse of cosh, at least 0. Gradient `1/sinh y`.
    Acosh,
    /// Inverse of tanh. Gradient `1/(1 − x²)`.
    Atanh,
    /// `1/(1 + e⁻ˣ)`. Gradient `y(1 − y)`.
    Logistic,
    /// `2/√π ∫₀ˣ exp(−t²) dt`. Gradient `2/√π exp(−x²)`.
    Erf,
    /// `1 − erf(x)`, exact where it is small. Gradient `−2/√π exp(−x²)`.
    Erfc,
    /// Inverse of erf: ±∞ at ±1, NaN beyond. Gradient `√π/2 exp(y²)`.
    ErfInv,
    /// `log |Γ(x)|`; +∞ at 0, −1, −2, …. Gradient `digamma(x)`.
    Lgamma,
    /// `Γ′(x)/Γ(x)`; NaN at 0, −1, −2, … (as TensorFlow's). Gradient `Σₙ 1/(x + n)²` over `n ≥ 0`.
    Digamma,
    /// The largest whole number that is at most `x`. No gradient.
    Floor,
    /// The smallest whole number that is at least `x`. No gradient.
    Ceil,
    /// The nearest whole number, the even one of two. No gradient.
    RoundNearestEven,
    /// The whole number next to `x` towards 0. No gradient.
    Trunc,
    /// Neither infinite nor NaN, as `bool`.
    IsFinite,
    /// NaN, as `bool`.
    IsNan,
    /// Logical of `bool`, bitwise of integers.
    Not,
    /// How many bits of an integer are 1.
    PopulationCount,
}

/// `f(x)`, elementwise. `IsFinite` and `IsNan` give `bool`; `Not` takes `bool` (logical) and integers (bitwise).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unary {
    /// The function.
    pub kind: UnaryKind,
}

impl UnaryKind {
    /// All functions.
    pub const ALL: [UnaryKind; 36] = {
        use UnaryKind::*;
        [
            Abs,
            Neg,
            Sign,
            Exp,
            Expm1,
            Log,
            Log1p,
            Sqrt,
            Rsqrt,
            Cbrt,
            Sin,
            Cos,
            Tan,
            Asin,
            Acos,
            Atan,
            Sinh,
            Cosh,
            Tanh,
            Asinh,
            Acosh,
            Atanh,
            Logistic,
            Erf,
            Erfc,
            ErfInv,
            Lgamma,
            Digamma,
            Floor,
            Ceil,
            RoundNearestEven,
            Trunc,
            IsFinite,
            IsNan,
            Not,
            PopulationCount,
        ]
    };

    /// Whether the operand may have this dtype.
    pub fn accepts(self, dtype: DType) -> bool {
        match dtype {
            DType::Bool => self == UnaryKind::Not,
            _ if dtype.is_float() => self.on_floats().is_some(),
            _ => self.on_integers().is_some(),
        }
    }

    /// The dtype of the result for an operand of `dtype`.
    pub fn result(self, dtype: DType) -> DType {
        if matches!(self, UnaryKind::IsFinite | UnaryKind::IsNan) { DType::Bool } else { dtype }
    }

    /// The function of floats; truth is 1.
    fn on_floats(self) -> Option<fn(f64) -> f64> {
        let function: fn(f64) -> f64 = match self {
            UnaryKind::Abs => f64::abs,
            UnaryKind::Neg => |x| -x,
            UnaryKind::Sign => |x| if x == 0.0 || x.is_nan() { x } else { x.signum() },
            UnaryKind::Exp => libm::exp,
            UnaryKind::Expm1 => libm::expm1,
            UnaryKind::Log => libm::log,
            UnaryKind::Log1p => libm::log1p,
            UnaryKind::Sqrt => f64::sqrt,
            UnaryKind::Rsqrt => |x| 1.0 / x.sqrt(),
            UnaryKind::Cbrt => libm::cbrt,
            UnaryKind::Sin => libm::sin,
            UnaryKind::Cos => libm::cos,
            UnaryKind::Tan => libm::tan,
            UnaryKind::Asin => libm::asin,
            UnaryKind::Acos => libm::acos,
            UnaryKind::Atan => libm::atan,
            UnaryKind::Sinh => libm::sinh,
            UnaryKind::Cosh => libm::cosh,
            UnaryKind::Tanh => libm::tanh,
            UnaryKind::Asinh => libm::asinh,
            UnaryKind::Acosh => libm::acosh,
            UnaryKind::Atanh => libm::atanh,
            UnaryKind::Logistic => special::logistic,
            UnaryKind::Erf => libm::erf,
            UnaryKind::Erfc => libm::erfc,
            UnaryKind::ErfInv => special::erf_inv,
            UnaryKind::Lgamma => libm::lgamma,
            UnaryKind::Digamma => special::digamma,
            UnaryKind::Floor => f64::floor,
            UnaryKind::Ceil => f64::ceil,
            UnaryKind::RoundNearestEven => f64::round_ties_even,
            UnaryKind::Trunc => f64::trunc,
            UnaryKind::IsFinite => |x| f64::from(u8::from(x.is_finite())),
            UnaryKind::IsNan => |x| f64::from(u8::from(x.is_nan())),
            UnaryKind::Not | UnaryKind::PopulationCount => return None,
        };
        Some(function)
    }

    /// The function of integers, given all bits of the dtype set; the result is wrapped to it afterwards.
    fn on_integers(self) -> Option<fn(i128, i128) -> i128> {
        match self {
            UnaryKind::Abs => Some(|x, _| x.abs()),
            UnaryKind::Neg => Some(|x, _| -x),
            UnaryKind::Sign => Some(|x, _| x.signum()),
            UnaryKind::Not => Some(|x, ones| !x & ones),
            UnaryKind::PopulationCount => Some(|x, ones| i128::from((x & ones).count_ones())),
            _ => None,
        }
    }

    /// Four points at which the derivative is neither 0 nor extreme, on each branch of the function.
    fn points(self) -> [f64; 4] {
        match self {
            UnaryKind::Log | UnaryKind::Sqrt | UnaryKind::Rsqrt => [0.3, 0.9, 1.8, 4.2],
            UnaryKind::Log1p => [-0.6, -0.1, 0.4, 3.0],
            UnaryKind::Asin | UnaryKind::Acos | UnaryKind::Atanh | UnaryKind::ErfInv => [-0.8, -0.3, 0.2, 0.6],
            UnaryKind::Acosh => [1.2, 1.7, 2.5, 6.0],
            UnaryKind::Lgamma | UnaryKind::Digamma => [-0.7, 0.3, 1.8, 14.2],
            _ => [-1.3, -0.4, 0.6, 1.7],
        }
    }
}

impl Unary {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let mut samples = Vec::new();
        for kind in UnaryKind::ALL {
            let mut sample = |x: Array| samples.push(Sample::new(Unary { kind }, [x]));
            if kind.accepts(DType::F64) {
                let x = Array::new([2, 2], kind.points());
                sample(x.clone());
                for dtype in [DType::F32, DType::F16, DType::BF16] {
                    sample(x.cast(dtype));
                }
                let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5];
                sample(Array::new([special.len()], special));
                sample(Array::scalar(0.75f32));
                sample(Array::new([0, 3], Vec::<f32>::new()));
            }
            if kind.accepts(DType::I32) {
                sample(Array::new([5], vec![0i32, 7, -7, i32::MAX, i32::MIN]));
                sample(Array::new([3], vec![0u8, 5, 255]));
                sample(Array::new([2], vec![u64::MAX, 1 << 40]));
            }
            if kind.accepts(DType::Bool) {
                sample(Array::new([2], vec![true, false]));
            }
        }
        samples
    }
}

impl Primitive for Unary {
    fn name(&self) -> &'static str {
        match self.kind {
            UnaryKind::Abs => "abs",
            UnaryKind::Neg => "negate",
            UnaryKind::Sign => "sign",
            UnaryKind::Exp => "exponential",
            UnaryKind::Expm1 => "exponential_minus_one",
            UnaryKind::Log => "log",
            UnaryKind::Log1p => "log_plus_one",
            UnaryKind::Sqrt => "sqrt",
            UnaryKind::Rsqrt => "rsqrt",
            UnaryKind::Cbrt => "cbrt",
            UnaryKind::Sin => "sine",
            UnaryKind::Cos => "cosine",
            UnaryKind::Tan => "tan",
            UnaryKind::Asin => "asin",
            UnaryKind::Acos => "acos",
            UnaryKind::Atan => "atan",
            UnaryKind::Sinh => "sinh",
            UnaryKind::Cosh => "cosh",
            UnaryKind::Tanh => "tanh",
            UnaryKind::Asinh => "asinh",
            UnaryKind::Acosh => "acosh",
            UnaryKind::Atanh => "atanh",
            UnaryKind::Logistic => "logistic",
            UnaryKind::Erf => "erf",
            UnaryKind::Erfc => "erfc",
            UnaryKind::ErfInv => "erf_inv",
            UnaryKind::Lgamma => "lgamma",
            UnaryKind::Digamma => "digamma",
            UnaryKind::Floor => "floor",
            UnaryKind::Ceil => "ceil",
            UnaryKind::RoundNearestEven => "round_nearest_even",
            UnaryKind::Trunc => "trunc",
            UnaryKind::IsFinite => "is_finite",
            UnaryKind::IsNan => "is_nan",
            UnaryKind::Not => "not",
            UnaryKind::PopulationCount => "popcnt",
        }
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x] = operands(self, inputs)?;
        if self.kind.accepts(x.dtype) {
            return Ok(vec![x.with_dtype(self.kind.result(x.dtype))]);
        }
        let fitting: Vec<&str> = DType::ALL.into_iter().filter(|&d| self.kind.accepts(d)).map(DType::name).collect();
        let fix = format!("convert to one of {}", fitting.join(", "));
        Err(Error::dtype(self.name(), format!("it is not defined for {x}"), fix))
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        fn map<S: Element, T: Element>(values: &[S], kind: UnaryKind) -> Option<Vec<T>> {
            if S::DTYPE.is_float() {
                let f = kind.on_floats()?;
                return Some(values.iter().map(|x| T::from_f64(f(x.to_f64()))).collect());
            }
            let bits = if S::DTYPE == DType::Bool { 1 } else { 8 * S::DTYPE.size() };
            let (f, ones) = (kind.on_integers()?, (1 << bits) - 1);
            Some(values.iter().map(|x| T::from_i128(f(x.to_i128(), ones))).collect())
        }
        let [x] = operands(self, inputs)?;
        let shape = super::binary::result_shape(self, inputs)?;
        let result = self.kind.result(x.dtype());
        let values = crate::with_data!(x.data(), v => crate::with_element!(result, T => {
            map::<_, T>(v, self.kind).map(T::wrap)
        }));
        Ok(vec![Array::from_data(shape, values.expect("infer has checked that there is a function for the dtype"))])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let Some(dy) = cotangents[0] else { return Ok(vec![None]) };
        Ok(vec![gradient::cotangent(self.kind, b, node.inputs[0], node.outputs[0], dy)])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(kind: UnaryKind, x: Array) -> Array {
        Unary { kind }.eval(&[&x]).unwrap().remove(0)
    }

    #[test]
    fn integers_wrap_at_the_bits_of_their_dtype() {
        assert_eq!(apply(UnaryKind::Abs, Array::new([2], vec![-5i8, i8::MIN])).to_f64_vec(), [5.0, -128.0]);
        assert_eq!(apply(UnaryKind::Neg, Array::new([2], vec![1u8, 0])).to_f64_vec(), [255.0, 0.0]);
        assert_eq!(apply(UnaryKind::Not, Array::new([2], vec![0u8, 1])).to_f64_vec(), [255.0, 254.0]);
        assert_eq!(apply(UnaryKind::Not, Array::new([2], vec![true, false])).to_f64_vec(), [0.0, 1.0]);
        assert_eq!(apply(UnaryKind::PopulationCount, Array::new([2], vec![-1i16, 5])).to_f64_vec(), [16.0, 2.0]);
    }

    #[test]
    fn halves_round_to_even() {
        let x = Array::new([4], vec![-0.5f32, 0.5, 1.5, 2.5]);
        assert_eq!(apply(UnaryKind::RoundNearestEven, x).to_f64_vec(), [0.0, 0.0, 2.0, 2.0]);
    }

    #[test]
    fn dtypes_without_the_function_are_refused() {
        let refused = |kind, dtype| Unary { kind }.infer(&[&TensorType::new(dtype, [2])]).is_err();
        assert!(refused(UnaryKind::Exp, DType::I32));
        assert!(refused(UnaryKind::Neg, DType::Bool));
        assert!(refused(UnaryKind::Not, DType::F32));
        assert!(!refused(UnaryKind::Not, DType::Bool));
    }
}
