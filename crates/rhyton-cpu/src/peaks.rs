//! What the processor can do at most, measured: what rates of kernels are held against.

use std::hint::black_box;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rhyton_ir::backend::Peaks;

use crate::isa::Isa;
use crate::pool::Pool;

/// How long each of the two is measured; the best of what is seen counts.
const TIME: Duration = Duration::from_millis(100);

/// Accumulators: enough to keep two units busy whose results take four or five cycles.
const CHAINS: usize = 12;

/// The most that all threads of `pool` multiply and add in registers, and copy between buffers that no cache holds.
pub fn measure(pool: &Pool, isa: Isa) -> Peaks {
    Peaks { flops: flops(pool, isa), bytes: bytes(pool) }
}

fn flops(pool: &Pool, isa: Isa) -> f64 {
    const STEPS: usize = 100_000;
    assert!(isa.is_available(), "{isa} is not there");
    let lanes = match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => 16,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => 8,
        _ => 4,
    };
    let work = |_| {
        // SAFETY: the instruction set is there, as asserted above.
        unsafe {
            match isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => fma_512(STEPS),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => fma_256(STEPS),
                _ => fma_plain(STEPS),
            }
        }
    };
    let seconds = best(|| pool.run(pool.threads(), &work));
    (pool.threads() * STEPS * CHAINS * lanes * 2) as f64 / seconds
}

fn bytes(pool: &Pool) -> f64 {
    const BYTES: usize = 64 << 20;
    let from = vec![1u64; BYTES / 8];
    let mut to = vec![0u64; BYTES / 8];
    let share = from.len().div_ceil(pool.threads());
    let parts: Vec<_> = from.chunks(share).zip(to.chunks_mut(share)).map(Mutex::new).collect();
    let seconds = best(|| {
        pool.run(parts.len(), &|i| {
            let (from, to) = &mut *parts[i].lock().expect("a copy does not panic");
            to.copy_from_slice(black_box(from));
        });
    });
    (2 * BYTES) as f64 / seconds
}

/// The least seconds that `work` took.
fn best(mut work: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    let begin = Instant::now();
    while begin.elapsed() < TIME {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn fma_512(steps: usize) {
    use std::arch::x86_64::*;
    let (x, y) = (_mm512_set1_ps(black_box(0.999)), _mm512_set1_ps(black_box(0.001)));
    let mut acc = [y; CHAINS];
    for _ in 0..steps {
        for a in &mut acc {
            *a = _mm512_fmadd_ps(*a, x, y);
        }
    }
    black_box(acc);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn fma_256(steps: usize) {
    use std::arch::x86_64::*;
    let (x, y) = (_mm256_set1_ps(black_box(0.999)), _mm256_set1_ps(black_box(0.001)));
    let mut acc = [y; CHAINS];
    for _ in 0..steps {
        for a in &mut acc {
            *a = _mm256_fmadd_ps(*a, x, y);
        }
    }
    black_box(acc);
}

fn fma_plain(steps: usize) {
    let (x, y) = (black_box([0.999f32; 4]), black_box([0.001f32; 4]));
    let mut acc = [y; CHAINS];
    for _ in 0..steps {
        for a in &mut acc {
            for i in 0..4 {
                a[i] = a[i] * x[i] + y[i];
            }
        }
    }
    black_box(acc);
}
