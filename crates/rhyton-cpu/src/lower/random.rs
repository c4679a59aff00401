//! `rng_bits`: Threefry-2x32 on blocks of counters.
//!
//! Sixteen counters go through the rounds together, which the compiler turns into vectors; the result is the same as
//! that of [`threefry2x32`](rhyton_ir::op::threefry2x32) one by one.

use rhyton_ir::{DType, Result};

use super::emit::{Operand, Target};
use crate::kernels::gemm::Shared;
use crate::kernels::math::per_isa;
use crate::plan::{Context, Cost, Kernel, Slot};

/// Counters at a time.
const LANES: usize = 16;

/// Counters of a task: some 10 µs.
const TASK: usize = 16 * 1024;

pub(super) struct RandomBits {
    key: Slot,
    out: Target,
}

impl RandomBits {
    pub fn new(key: &Operand, out: Target) -> RandomBits {
        RandomBits { key: key.slot, out }
    }
}

per_isa! {
    /// Words `2·first…` of the stream of `key`, in the order of counters, low words first.
    fn fill(key: [u32; 2], first: u64, out: &mut [u32]) = fill_loop
}

#[inline(always)]
fn fill_loop<const FMA: bool>(key: [u32; 2], first: u64, out: &mut [u32]) {
    for (block, out) in out.chunks_mut(2 * LANES).enumerate() {
        let start = first + (block * LANES) as u64;
        let mut counters = [[0u32; LANES]; 2];
        for l in 0..LANES {
            let counter = start + l as u64;
            counters[0][l] = counter as u32;
            counters[1][l] = (counter >> 32) as u32;
        }
        let [low, high] = threefry(key, counters);
        for (i, out) in out.iter_mut().enumerate() {
            *out = if i % 2 == 0 { low[i / 2] } else { high[i / 2] };
        }
    }
}

/// The 20 rounds (Salmon et al., 2011, <https://doi.org/10.1145/2063384.2063405>).
#[inline(always)]
fn threefry(key: [u32; 2], [mut x, mut y]: [[u32; LANES]; 2]) -> [[u32; LANES]; 2] {
    const ROTATIONS: [u32; 8] = [13, 15, 26, 6, 17, 29, 16, 24];
    let schedule = [key[0], key[1], key[0] ^ key[1] ^ 0x1BD1_1BDA];
    for l in 0..LANES {
        x[l] = x[l].wrapping_add(key[0]);
        y[l] = y[l].wrapping_add(key[1]);
    }
    for round in 0..20 {
        for l in 0..LANES {
            x[l] = x[l].wrapping_add(y[l]);
            y[l] = y[l].rotate_left(ROTATIONS[round % 8]) ^ x[l];
        }
        if round % 4 == 3 {
            let injection = round / 4 + 1;
            for l in 0..LANES {
                x[l] = x[l].wrapping_add(schedule[injection % 3]);
                y[l] = y[l].wrapping_add(schedule[(injection + 1) % 3]).wrapping_add(injection as u32);
            }
        }
    }
    [x, y]
}

impl Kernel for RandomBits {
    fn run(&self, cx: &Context) -> Result<()> {
        // SAFETY: the key is uint32[2].
        let key = unsafe { cx.pointer(self.key).cast::<[u32; 2]>().read() };
        // A uint64 is two words, low first, as it lies in memory on the little-endian machines there are kernels for.
        let words = self.out.bytes() / size_of::<u32>();
        let out = Shared(cx.pointer(self.out.slot).cast::<u32>());
        cx.pool.run(words.div_ceil(2 * TASK), &|task| {
            let first = task * 2 * TASK;
            let n = (2 * TASK).min(words - first);
            // SAFETY: the words of the result, each of one task.
            let out = unsafe { std::slice::from_raw_parts_mut(out.get().add(first), n) };
            fill(cx.isa, key, (first / 2) as u64, out);
            if self.out.dtype == DType::U64 && cfg!(target_endian = "big") {
                out.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
            }
        });
        Ok(())
    }

    fn describe(&self) -> String {
        format!("rng_bits b{} -> b{} {}{:?}", self.key, self.out.slot, self.out.dtype, self.out.dims)
    }

    fn cost(&self) -> Cost {
        Cost { flops: 0, bytes: self.out.bytes() as u64 }
    }
}
