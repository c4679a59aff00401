//! Elementwise functions of two operands of one type.

use serde::{Deserialize, Serialize};

use super::{Applied, Direction, Op, Primitive, Sample, UnaryKind, operands};
use crate::array::{Array, Data, Element};
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

/// Which function. Arithmetic takes integers and floats, unless said otherwise; none takes `bool` but the logical ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BinaryKind {
    /// `x + y`; integers wrap.
    Add,
    /// `x − y`; integers wrap.
    Sub,
    /// `x · y`; integers wrap.
    Mul,
    /// `x / y`; integers truncate; by 0 gives 0.
    Div,
    /// `x − trunc(x / y) · y`: sign of the dividend, as C's `fmod`; by 0 gives 0 for integers, NaN for floats.
    Rem,
    /// `xʸ`; integers wrap, with negative exponents they truncate (0 unless `x` is ±1; 0 for `x = 0`). The gradient to
    /// `x` is `y·xʸ⁻¹`, to `y` it is `xʸ·log x` where `x > 0` and 0 elsewhere (as TensorFlow's).
    Pow,
    /// NaN if either is; the gradient at a tie goes to the first operand (as TensorFlow's `x >= y`).
    Maximum,
    /// NaN if either is; the gradient at a tie goes to the first operand (as TensorFlow's `x <= y`).
    Minimum,
    /// The angle of the point `(y, x)` where `x` is the first operand, in radians within `[−π, π]`; floats.
    Atan2,
    /// Logical for `bool`, bitwise for integers.
    And,
    /// Logical for `bool`, bitwise for integers.
    Or,
    /// Logical for `bool`, bitwise for integers.
    Xor,
    /// `x · 2ʸ` of integers; 0 if `y` is negative or at least the number of bits.
    ShiftLeft,
    /// `⌊x / 2ʸ⌋` of integers; −1 or 0 by the sign if `y` is negative or at least the number of bits.
    ShiftRightArithmetic,
    /// The bits moved down with zeros behind them, of integers; 0 if `y` is negative or at least the number of bits.
    ShiftRightLogical,
    /// The value of the dtype next to `x` in the direction of `y`, `y` if they are equal; floats. The gradient to `x`
    /// is 1, to `y` 0 (as TensorFlow's).
    NextAfter,
}

/// `f(x, y)`, elementwise; both of one type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Binary {
    /// The function.
    pub kind: BinaryKind,
}

impl BinaryKind {
    /// All functions.
    pub const ALL: [BinaryKind; 16] = [
        BinaryKind::Add,
        BinaryKind::Sub,
        BinaryKind::Mul,
        BinaryKind::Div,
        BinaryKind::Rem,
        BinaryKind::Pow,
        BinaryKind::Maximum,
        BinaryKind::Minimum,
        BinaryKind::Atan2,
        BinaryKind::And,
        BinaryKind::Or,
        BinaryKind::Xor,
        BinaryKind::ShiftLeft,
        BinaryKind::ShiftRightArithmetic,
        BinaryKind::ShiftRightLogical,
        BinaryKind::NextAfter,
    ];

    /// Whether the operands may have this dtype.
    pub fn accepts(self, dtype: DType) -> bool {
        match dtype {
            DType::Bool => matches!(self, BinaryKind::And | BinaryKind::Or | BinaryKind::Xor),
            _ if dtype.is_float() => self.on_floats().is_some() || self == BinaryKind::NextAfter,
            _ => self.on_integers().is_some(),
        }
    }

    /// The function of floats, but for that which depends on their precision.
    fn on_floats(self) -> Option<fn(f64, f64) -> f64> {
        let function: fn(f64, f64) -> f64 = match self {
            BinaryKind::Add => |x, y| x + y,
            BinaryKind::Sub => |x, y| x - y,
            BinaryKind::Mul => |x, y| x * y,
            BinaryKind::Div => |x, y| x / y,
            BinaryKind::Rem => |x, y| x % y,
            BinaryKind::Pow => libm::pow,
            BinaryKind::Maximum => |x, y| if x.is_nan() || x >= y { x } else { y },
            BinaryKind::Minimum => |x, y| if x.is_nan() || x <= y { x } else { y },
            BinaryKind::Atan2 => libm::atan2,
            BinaryKind::And | BinaryKind::Or | BinaryKind::Xor | BinaryKind::NextAfter => return None,
            BinaryKind::ShiftLeft | BinaryKind::ShiftRightArithmetic | BinaryKind::ShiftRightLogical => return None,
        };
        Some(function)
    }

    /// The function of integers that have `bits` bits; the result is wrapped to them afterwards.
    fn on_integers(self) -> Option<fn(i128, i128, u32) -> i128> {
        let function: fn(i128, i128, u32) -> i128 = match self {
            BinaryKind::Add => |x, y, _| x + y,
            BinaryKind::Sub => |x, y, _| x - y,
            BinaryKind::Mul => |x, y, _| x.wrapping_mul(y),
            BinaryKind::Div => |x, y, _| x.checked_div(y).unwrap_or(0),
            BinaryKind::Rem => |x, y, _| x.checked_rem(y).unwrap_or(0),
            BinaryKind::Pow => |x, y, _| integer_power(x, y),
            BinaryKind::Maximum => |x, y, _| x.max(y),
            BinaryKind::Minimum => |x, y, _| x.min(y),
            BinaryKind::And => |x, y, _| x & y,
            BinaryKind::Or => |x, y, _| x | y,
            BinaryKind::Xor => |x, y, _| x ^ y,
            BinaryKind::ShiftLeft => |x, y, bits| shift(y, bits).map_or(0, |y| x << y),
            BinaryKind::ShiftRightArithmetic => |x, y, bits| x >> shift(y, bits).unwrap_or(bits),
            BinaryKind::ShiftRightLogical => |x, y, bits| shift(y, bits).map_or(0, |y| (x & ((1 << bits) - 1)) >> y),
            BinaryKind::Atan2 | BinaryKind::NextAfter => return None,
        };
        Some(function)
    }
}

impl Binary {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let mut samples = Vec::new();
        for kind in BinaryKind::ALL {
            let mut sample = |x: Array, y: Array| samples.push(Sample::new(Binary { kind }, [x, y]));
            if kind.accepts(DType::F64) {
                let x = Array::new([2, 3], vec![1.3f64, 0.4, 2.7, 3.1, 0.9, 5.2]);
                let y = Array::new([2, 3], vec![0.7f64, 1.6, -1.2, 2.3, -0.6, 1.5]);
                sample(x.clone(), y.clone());
                sample(Array::scalar(1.75f64), Array::scalar(0.5f64));
                for dtype in [DType::F32, DType::F16, DType::BF16] {
                    sample(x.cast(dtype), y.cast(dtype));
                }
                let special = [f32::NAN, 1.0, f32::INFINITY, -0.0, -2.5, 0.0];
                sample(Array::new([6], special.to_vec()), Array::new([6], vec![1.0f32, f32::NAN, 2.0, 0.0, 2.0, 0.0]));
                sample(Array::new([0, 2], Vec::<f32>::new()), Array::new([0, 2], Vec::<f32>::new()));
            }
            if kind.accepts(DType::I32) {
                sample(
                    Array::new([6], vec![7i32, -7, 5, i32::MIN, i32::MAX, -1]),
                    Array::new([6], vec![2, 2, 0, -1, 31, 32]),
                );
                sample(Array::new([4], vec![200u8, 3, 0, 255]), Array::new([4], vec![100u8, 5, 0, 7]));
                sample(Array::new([2], vec![i64::MAX, 3]), Array::new([2], vec![3i64, -2]));
                sample(Array::new([2], vec![u64::MAX, 3]), Array::new([2], vec![u64::MAX, 63]));
            }
            if kind.accepts(DType::Bool) {
                let (x, y) = (vec![false, false, true, true], vec![false, true, false, true]);
                sample(Array::new([4], x), Array::new([4], y));
            }
        }
        samples
    }
}

impl Primitive for Binary {
    fn name(&self) -> &'static str {
        match self.kind {
            BinaryKind::Add => "add",
            BinaryKind::Sub => "subtract",
            BinaryKind::Mul => "multiply",
            BinaryKind::Div => "divide",
            BinaryKind::Rem => "remainder",
            BinaryKind::Pow => "power",
            BinaryKind::Maximum => "maximum",
            BinaryKind::Minimum => "minimum",
            BinaryKind::Atan2 => "atan2",
            BinaryKind::And => "and",
            BinaryKind::Or => "or",
            BinaryKind::Xor => "xor",
            BinaryKind::ShiftLeft => "shift_left",
            BinaryKind::ShiftRightArithmetic => "shift_right_arithmetic",
            BinaryKind::ShiftRightLogical => "shift_right_logical",
            BinaryKind::NextAfter => "next_after",
        }
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x, y] = operands(self, inputs)?;
        let ty = common_type(self, x, y)?;
        if self.kind.accepts(ty.dtype) {
            return Ok(vec![ty]);
        }
        let what = format!("{x} and {y}: it is not defined for {}", ty.dtype);
        let fitting: Vec<&str> = DType::ALL.into_iter().filter(|&d| self.kind.accepts(d)).map(DType::name).collect();
        Err(Error::dtype(self.name(), what, format!("convert to one of {}", fitting.join(", "))))
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        fn floats<T: Element>(x: &[T], y: &[T], f: fn(f64, f64) -> f64) -> Data {
            T::wrap(x.iter().zip(y).map(|(x, y)| T::from_f64(f(x.to_f64(), y.to_f64()))).collect())
        }
        fn integers<T: Element>(x: &[T], y: &[T], f: fn(i128, i128, u32) -> i128) -> Data {
            let bits = 8 * T::DTYPE.size() as u32;
            T::wrap(x.iter().zip(y).map(|(x, y)| T::from_i128(f(x.to_i128(), y.to_i128(), bits))).collect())
        }
        let [x, y] = operands(self, inputs)?;
        let shape = result_shape(self, inputs)?;
        let functions = (self.kind.on_floats(), self.kind.on_integers());
        let values = match functions {
            (Some(f), _) if x.dtype().is_float() => crate::with_data!(x.data(), v => floats(v, typed(self, y)?, f)),
            (_, Some(f)) if !x.dtype().is_float() => crate::with_data!(x.data(), v => integers(v, typed(self, y)?, f)),
            _ => neighbours(self, x.data(), y)?,
        };
        Ok(vec![Array::from_data(shape, values)])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let Some(dz) = cotangents[0] else { return Ok(vec![None; 2]) };
        let cotangent = |b: &mut Builder, first: bool| cotangent(self.kind, b, node, dz, first);
        let dx = if node.wanted[0] { cotangent(b, true) } else { None };
        let dy = if node.wanted[1] { cotangent(b, false) } else { None };
        Ok(vec![dx, dy])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}

/// `dz · ∂z/∂x` if `first`, else `dz · ∂z/∂y`.
fn cotangent(kind: BinaryKind, b: &mut Builder, node: &Applied, dz: Value, first: bool) -> Option<Value> {
    let (x, y, z) = (node.inputs[0], node.inputs[1], node.outputs[0]);
    let where_holds = |b: &mut Builder, direction| {
        let (chosen, zero) = (b.compare(direction, x, y), b.zeros_like(dz));
        if first { b.select(chosen, dz, zero) } else { b.select(chosen, zero, dz) }
    };
    Some(match (kind, first) {
        (BinaryKind::Add, _) | (BinaryKind::Sub | BinaryKind::Rem | BinaryKind::NextAfter, true) => dz,
        (BinaryKind::Sub, false) => b.neg(dz),
        (BinaryKind::Mul, true) => b.mul(dz, y),
        (BinaryKind::Mul, false) => b.mul(dz, x),
        (BinaryKind::Div, true) => b.div(dz, y),
        (BinaryKind::Div, false) => {
            let scaled = b.div(dz, y);
            let product = b.mul(scaled, z);
            b.neg(product)
        }
        (BinaryKind::Rem, false) => {
            let quotient = b.div(x, y);
            let whole = b.unary(UnaryKind::Trunc, quotient);
            let product = b.mul(dz, whole);
            b.neg(product)
        }
        (BinaryKind::Pow, true) => {
            let exponent = b.shift(y, -1.0);
            let power = b.binary(BinaryKind::Pow, x, exponent);
            let slope = b.mul(y, power);
            b.mul(dz, slope)
        }
        (BinaryKind::Pow, false) => {
            // The logarithm is taken of 1 where x <= 0, so that the gradient of this gradient is finite as well.
            let (zero, one) = (b.zeros_like(x), b.full_like(x, 1.0));
            let positive = b.compare(Direction::Gt, x, zero);
            let safe = b.select(positive, x, one);
            let log = b.unary(UnaryKind::Log, safe);
            let slope = b.mul(z, log);
            let slope = b.select(positive, slope, zero);
            b.mul(dz, slope)
        }
        (BinaryKind::Maximum, _) => where_holds(b, Direction::Ge),
        (BinaryKind::Minimum, _) => where_holds(b, Direction::Le),
        (BinaryKind::Atan2, _) => {
            let (xx, yy) = (b.mul(x, x), b.mul(y, y));
            let square = b.add(xx, yy);
            let scaled = b.div(dz, square);
            if first {
                b.mul(scaled, y)
            } else {
                let product = b.mul(scaled, x);
                b.neg(product)
            }
        }
        (BinaryKind::NextAfter, false) => return None,
        (BinaryKind::And | BinaryKind::Or | BinaryKind::Xor, _) => return None,
        (BinaryKind::ShiftLeft | BinaryKind::ShiftRightArithmetic | BinaryKind::ShiftRightLogical, _) => return None,
    })
}

/// By how many places to shift, if fewer than there are bits.
fn shift(places: i128, bits: u32) -> Option<u32> {
    u32::try_from(places).ok().filter(|&places| places < bits)
}

/// `base` to the power of `exponent` modulo 2¹²⁸, by squaring.
fn integer_power(mut base: i128, mut exponent: i128) -> i128 {
    if exponent < 0 {
        return match base {
            1 => 1,
            -1 => 1 - 2 * (exponent & 1),
            _ => 0,
        };
    }
    let mut power: i128 = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = power.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        exponent >>= 1;
    }
    power
}

/// [`BinaryKind::NextAfter`], by the bits of each float type.
fn neighbours(op: &Binary, x: &Data, y: &Array) -> Result<Data> {
    macro_rules! step {
        ($variant:ident, $float:ty, $bits:ty, $x:expr) => {{
            let one = |(&x, &y): (&$float, &$float)| {
                let sign = 1 << (<$bits>::BITS - 1);
                match next_after(x.to_f64(), y.to_f64(), u64::from(x.to_bits()), sign) {
                    Some(bits) => <$float>::from_bits(bits as $bits),
                    None => <$float>::NAN,
                }
            };
            Data::$variant($x.iter().zip(typed::<$float>(op, y)?).map(one).collect())
        }};
    }
    match x {
        Data::F16(x) => Ok(step!(F16, half::f16, u16, x)),
        Data::BF16(x) => Ok(step!(BF16, half::bf16, u16, x)),
        Data::F32(x) => Ok(step!(F32, f32, u32, x)),
        Data::F64(x) => Ok(step!(F64, f64, u64, x)),
        _ => Err(Error::dtype(op.name(), format!("{} has no neighbours", x.dtype()), "convert to a float dtype")),
    }
}

/// The bits of the neighbour of `x`, whose bits are `bits`, towards `y`; `None` for NaN. `sign` is the sign bit.
fn next_after(x: f64, y: f64, bits: u64, sign: u64) -> Option<u64> {
    if x.is_nan() || y.is_nan() {
        return None;
    }
    let towards = if y.is_sign_negative() { sign } else { 0 };
    Some(match (x == 0.0, y == 0.0) {
        (true, true) => towards,
        (true, false) => towards | 1,
        _ if x == y => bits,
        // Within one sign, larger magnitudes have larger bits.
        _ if (x < y) == (x > 0.0) => bits + 1,
        _ => bits - 1,
    })
}

/// The one type of two operands, a number wherever either knows one.
///
/// # Errors
/// If dtypes differ or shapes are not compatible.
pub(super) fn common_type(op: &dyn Primitive, x: &TensorType, y: &TensorType) -> Result<TensorType> {
    if x.dtype != y.dtype {
        return Err(Error::dtype(op.name(), format!("{x} and {y} differ in dtype"), "convert one to the other's"));
    }
    if !x.shape.compatible(&y.shape) {
        return Err(Error::shape(op.name(), format!("{x} and {y} differ in shape"), "broadcast both to one shape"));
    }
    Ok(x.with_shape(x.shape.merge(&y.shape)))
}

/// The elements of an operand whose dtype must be that of another.
///
/// # Errors
/// If it is not.
pub(super) fn typed<'a, T: Element>(op: &dyn Primitive, x: &'a Array) -> Result<&'a [T]> {
    x.as_slice().ok_or_else(|| {
        let what = format!("an operand is {} where {} is needed", x.dtype(), T::DTYPE);
        Error::dtype(op.name(), what, "convert it")
    })
}

/// The shape of the first output for these operands, which are checked by inferring it.
///
/// # Errors
/// If the operation does not take them, or the shape has symbols.
pub(super) fn result_shape(op: &dyn Primitive, inputs: &[&Array]) -> Result<Vec<usize>> {
    let types: Vec<TensorType> = inputs.iter().map(|x| TensorType::new(x.dtype(), x.shape())).collect();
    let types = op.infer(&types.iter().collect::<Vec<_>>())?;
    super::known(op, &types[0].shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply<T: Element>(kind: BinaryKind, x: &[T], y: &[T]) -> Array {
        let (x, y) = (Array::new([x.len()], x), Array::new([y.len()], y));
        Binary { kind }.eval(&[&x, &y]).unwrap().remove(0)
    }

    #[test]
    fn integers_wrap_truncate_and_survive_zero() {
        assert_eq!(apply(BinaryKind::Add, &[250u8], &[10]).to_f64_vec(), [4.0]);
        assert_eq!(apply(BinaryKind::Div, &[-7, 7, i32::MIN], &[2, 0, -1]).to_f64_vec(), [-3.0, 0.0, i32::MIN.into()]);
        assert_eq!(apply(BinaryKind::Rem, &[-7, 7], &[2, 0]).to_f64_vec(), [-1.0, 0.0]);
        assert_eq!(apply(BinaryKind::Pow, &[2, -1, 3, 0], &[10, -3, -1, 0]).to_f64_vec(), [1024.0, -1.0, 0.0, 1.0]);
        assert_eq!(apply(BinaryKind::Mul, &[u64::MAX], &[u64::MAX]).as_slice::<u64>(), Some(&[1][..]));
    }

    #[test]
    fn shifts_beyond_the_bits_leave_nothing_but_the_sign() {
        assert_eq!(apply(BinaryKind::ShiftLeft, &[1i8, 1, 1], &[7, 8, -1]).to_f64_vec(), [-128.0, 0.0, 0.0]);
        assert_eq!(
            apply(BinaryKind::ShiftRightArithmetic, &[-8i8, -8, 8], &[1, 99, 99]).to_f64_vec(),
            [-4.0, -1.0, 0.0]
        );
        assert_eq!(apply(BinaryKind::ShiftRightLogical, &[-8i8, -8], &[1, 8]).to_f64_vec(), [124.0, 0.0]);
    }

    #[test]
    fn extremes_propagate_nan_from_either_side() {
        for kind in [BinaryKind::Maximum, BinaryKind::Minimum] {
            let out = apply(kind, &[f32::NAN, 1.0], &[1.0, f32::NAN]);
            assert!(out.to_f64_vec().into_iter().all(f64::is_nan));
        }
    }

    #[test]
    fn next_after_is_one_unit_of_the_dtype() {
        let x = [1.0f32, -1.0, 0.0, f32::MAX, 2.0];
        let out = apply(BinaryKind::NextAfter, &x, &[2.0, 2.0, -1.0, f32::INFINITY, 2.0]);
        let expected = [1.0f32.next_up(), (-1.0f32).next_up(), 0.0f32.next_down(), f32::INFINITY, 2.0];
        assert_eq!(out.as_slice::<f32>(), Some(&expected[..]));
        let out = apply(BinaryKind::NextAfter, &[half::bf16::ONE], &[half::bf16::ZERO]);
        assert_eq!(out.to_f64_vec(), [1.0 - 2f64.powi(-8)]);
    }

    #[test]
    fn operands_of_two_types_are_refused() {
        let (x, y) = (TensorType::new(DType::F32, [2]), TensorType::new(DType::F64, [2]));
        let add = Binary { kind: BinaryKind::Add };
        assert!(matches!(add.infer(&[&x, &y]), Err(Error::DType(_))));
        assert!(matches!(add.infer(&[&x, &x.with_shape([3])]), Err(Error::Shape(_))));
        let and = Binary { kind: BinaryKind::And };
        assert!(matches!(and.infer(&[&x, &x]), Err(Error::DType(_))));
    }
}
