//! Which dtype an operation on several dtypes gives: Keras's `result_type`.

use rhyton_ir::DType;

use crate::ops::Operand;

/// The dtype of an operation on `a` and `b` (Keras's lattice, which is JAX's with `float32` where that has `float64`).
pub fn promote(a: DType, b: DType) -> DType {
    if a == b {
        return a;
    }
    match (a, b) {
        (DType::Bool, other) | (other, DType::Bool) => other,
        (DType::F16, DType::BF16) | (DType::BF16, DType::F16) => DType::F32,
        _ if a.is_float() && b.is_float() => {
            if a.size() > b.size() {
                a
            } else {
                b
            }
        }
        _ if a.is_float() => a,
        _ if b.is_float() => b,
        _ if a.is_signed_int() == b.is_signed_int() => {
            if a.size() > b.size() {
                a
            } else {
                b
            }
        }
        _ => {
            let (signed, unsigned) = if a.is_signed_int() { (a, b) } else { (b, a) };
            match unsigned {
                _ if signed.size() > unsigned.size() => signed,
                DType::U8 => DType::I16,
                DType::U16 => DType::I32,
                DType::U32 => DType::I64,
                // No integer holds both.
                _ => DType::F32,
            }
        }
    }
}

/// The dtype for operands of which plain numbers take on the dtype of the tensors where they can: `x * 2.0` keeps the
/// dtype of a floating-point `x`, `n * 2.0` of integers gives `float32`.
pub fn result_type(operands: &[&Operand]) -> DType {
    let tensors = operands.iter().filter_map(|o| match o {
        Operand::Tensor(t) => Some(t.dtype()),
        _ => None,
    });
    let strong = tensors.reduce(promote);
    let float = operands.iter().any(|o| matches!(o, Operand::Float(_)));
    let int = operands.iter().any(|o| matches!(o, Operand::Int(_)));
    match strong {
        Some(dtype) if float && !dtype.is_float() => crate::config::floatx(),
        Some(DType::Bool) if int => DType::I32,
        Some(dtype) => dtype,
        None if float => crate::config::floatx(),
        None if int => DType::I32,
        None => DType::Bool,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_promote_as_keras_does() {
        // keras.backend.result_type of 3.15.1.
        for (a, b, want) in [
            (DType::I32, DType::F16, DType::F16),
            (DType::I64, DType::F32, DType::F32),
            (DType::U8, DType::I8, DType::I16),
            (DType::U32, DType::I32, DType::I64),
            (DType::U64, DType::I64, DType::F32),
            (DType::BF16, DType::F16, DType::F32),
            (DType::Bool, DType::U8, DType::U8),
        ] {
            assert_eq!(promote(a, b), want, "{a} with {b}");
            assert_eq!(promote(b, a), want, "{b} with {a}");
        }
    }
}
