//! `rng_bits`: random bits from a counter-based generator.

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, checked, operands};
use crate::array::Array;
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

/// Uniformly distributed bits of Threefry-2x32 (20 rounds): a function of the key alone, the same on every back end.
///
/// Operand: key `uint32[2]`. Output: `uint32` or `uint64` of `shape`. Element `i` (row-major) of a `uint32` result is
/// word `i % 2` of the block with counter `(i / 2) as u64` split low word first; of a `uint64` result the block with
/// counter `i`, low word first.
///
/// # References
/// Salmon et al., *Parallel random numbers: as easy as 1, 2, 3*, 2011, <https://doi.org/10.1145/2063384.2063405>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RngBits {
    /// `uint32` or `uint64`, and the shape.
    pub ty: TensorType,
}

impl RngBits {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let key = Array::new([2], vec![0x1234_5678u32, 0x9abc_def0]);
        vec![
            Sample::new(RngBits { ty: TensorType::new(DType::U32, [3, 5]) }, [key.clone()]),
            Sample::new(RngBits { ty: TensorType::new(DType::U64, [7]) }, [key]),
        ]
    }
}

/// One block of Threefry-2x32 with 20 rounds.
pub fn threefry2x32(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    const PARITY: u32 = 0x1BD1_1BDA;
    const ROTATIONS: [u32; 8] = [13, 15, 26, 6, 17, 29, 16, 24];
    let schedule = [key[0], key[1], key[0] ^ key[1] ^ PARITY];
    let mut x = [counter[0].wrapping_add(key[0]), counter[1].wrapping_add(key[1])];
    for round in 0..20usize {
        x[0] = x[0].wrapping_add(x[1]);
        x[1] = x[1].rotate_left(ROTATIONS[round % 8]) ^ x[0];
        if round % 4 == 3 {
            let injection = round / 4 + 1;
            x[0] = x[0].wrapping_add(schedule[injection % 3]);
            x[1] = x[1].wrapping_add(schedule[(injection + 1) % 3]).wrapping_add(injection as u32);
        }
    }
    x
}

impl Primitive for RngBits {
    fn name(&self) -> &'static str {
        "rng_bits"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [key] = operands(self, inputs)?;
        if key.dtype != DType::U32 || !key.shape.compatible(&[2].into()) {
            return Err(Error::argument(self.name(), format!("the key {key}"), "give a key uint32[2]"));
        }
        if !matches!(self.ty.dtype, DType::U32 | DType::U64) {
            let what = format!("bits of type {}", self.ty);
            return Err(Error::dtype(self.name(), what, "ask for uint32 or uint64 and convert"));
        }
        Ok(vec![self.ty.clone()])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let shape = checked::shapes(self, inputs)?.remove(0);
        let key: &[u32] = checked::values(inputs[0]);
        let block = |counter: u64| threefry2x32([key[0], key[1]], [counter as u32, (counter >> 32) as u32]);
        let count: usize = shape.iter().product();
        Ok(vec![if self.ty.dtype == DType::U32 {
            Array::new(shape, (0..count).map(|i| block(i as u64 / 2)[i % 2]).collect::<Vec<u32>>())
        } else {
            let wide = |[low, high]: [u32; 2]| u64::from(low) | u64::from(high) << 32;
            Array::new(shape, (0..count).map(|i| wide(block(i as u64))).collect::<Vec<u64>>())
        }])
    }

    fn vjp(&self, _: &mut Builder, _: &Applied, _: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None])
    }

    fn bind(&self, bindings: &Bindings) -> Result<Op> {
        Ok(RngBits { ty: self.ty.with_shape(self.ty.shape.bind(bindings)) }.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of Random123 (kat_vectors, threefry2x32 with 20 rounds).
    #[test]
    fn blocks_are_the_published_ones() {
        assert_eq!(threefry2x32([0, 0], [0, 0]), [0x6b20_0159, 0x99ba_4efe]);
        assert_eq!(threefry2x32([u32::MAX; 2], [u32::MAX; 2]), [0x1cb9_96fc, 0xbb00_2be7]);
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        assert_eq!(threefry2x32([pi[2], pi[3]], [pi[0], pi[1]]), [0xc492_3a9c, 0x483d_f7a0]);
    }

    #[test]
    fn elements_follow_the_counter() {
        let key = Array::new([2], vec![1u32, 2]);
        let narrow = RngBits { ty: TensorType::new(DType::U32, [5]) }.eval(&[&key]).unwrap();
        let wide = RngBits { ty: TensorType::new(DType::U64, [3]) }.eval(&[&key]).unwrap();
        let (narrow, wide): (&[u32], &[u64]) = (checked::values(&narrow[0]), checked::values(&wide[0]));
        assert_eq!(wide[1], u64::from(narrow[2]) | u64::from(narrow[3]) << 32);
    }
}
