//! How fast the kernels are, beside what the processor can do at most.
//!
//! `cargo run --release -p rhyton-cpu --example kernel_rates [threads] [filter]`; the last line is the pool's latency.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rhyton_cpu::isa::Isa;
use rhyton_cpu::kernels::gemm::{Gemm, Out, PackedB, Rhs, View, gemm};
use rhyton_cpu::pool::Pool;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let threads = arguments.first().and_then(|n| n.parse().ok()).unwrap_or(1);
    let filter = arguments.get(1).cloned().unwrap_or_default();
    let isa = Isa::detect().unwrap_or_else(|error| panic!("{error}"));
    let bench = Bench { pool: Pool::new(threads), isa, filter, peak: threads as f64 * peak(isa) };
    println!("{isa}, {threads} threads, peak {:.0} GFLOP/s", bench.peak);
    // Dense layers, forward and both gradients: (m, n, k), is A transposed, is B.
    for (m, k, n) in
        [(128, 784, 512), (128, 512, 512), (128, 512, 10), (32, 256, 1024), (1024, 1024, 1024), (4096, 256, 256)]
    {
        bench.dense("x·w", (m, k, n), false, false, false);
        bench.dense("x·w packed", (m, k, n), false, false, true);
        bench.dense("dy·wᵀ", (m, n, k), false, true, false);
        bench.dense("xᵀ·dy", (k, m, n), true, false, false);
    }
    for m in [1, 2, 4, 8] {
        bench.dense("few rows", (m, 784, 512), false, false, false);
        bench.dense("few rows, wᵀ", (m, 784, 512), false, true, false);
        bench.dense("few rows packed", (m, 784, 512), false, false, true);
    }
    bench.dense("one column", (512, 784, 1), false, false, false);
    bench.dense("xᵀ·dy of a convolution", (288, 100_352, 64), true, false, false);
    bench.latency();
}

struct Bench {
    pool: Pool,
    isa: Isa,
    filter: String,
    peak: f64,
}

impl Bench {
    fn dense(&self, name: &str, (m, k, n): (usize, usize, usize), a_t: bool, b_t: bool, packed: bool) {
        let (a, b) = (vec![0.5f32; m * k], vec![0.25f32; k * n]);
        let mut c = vec![0f32; m * n];
        let strides = |t: bool, rows: usize, cols: usize| if t { (1, rows as isize) } else { (cols as isize, 1) };
        let b_view = View::strided(&b[..], (k, n), strides(b_t, k, n));
        let kept = packed.then(|| PackedB::new(&self.pool, self.isa, b_view, &[]));
        let a_view = View::strided(&a[..], (m, k), strides(a_t, m, k));
        self.report(&format!("{name} {m}x{k}x{n}"), 2.0 * (m * n * k) as f64, || {
            gemm(
                &self.pool,
                self.isa,
                &Gemm {
                    a: a_view,
                    b: kept.as_ref().map_or(Rhs::View(b_view), Rhs::Packed),
                    c: Out::matrix(&mut c, (m, n), n),
                    batch: &[],
                    accumulate: false,
                    epilogue: None,
                },
            );
        });
    }

    /// Prints the best rate of `work`, which takes `flops` operations.
    fn report(&self, name: &str, flops: f64, work: impl FnMut()) {
        if name.contains(&self.filter) {
            let seconds = best(work);
            let rate = flops / seconds / 1e9;
            println!("{name:45} {:9.1} µs {rate:7.1} GFLOP/s {:5.1}%", seconds * 1e6, 100.0 * rate / self.peak);
        }
    }

    fn latency(&self) {
        let region = best(|| self.pool.run(2 * self.pool.threads(), &|i| _ = black_box(i)));
        println!("an empty region: {:.2} µs", region * 1e6);
    }
}

/// The shortest time of many calls; others use this machine too.
fn best(mut work: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(150) {
        let one = Instant::now();
        work();
        best = best.min(one.elapsed().as_secs_f64());
    }
    best
}

/// GFLOP/s of one core that only multiplies and adds in registers.
fn peak(isa: Isa) -> f64 {
    const STEPS: usize = 100_000;
    let lanes = match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => 16,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => 8,
        _ => 4,
    };
    let seconds = best(|| {
        // SAFETY: `Isa::detect` gives only what the machine has.
        unsafe {
            match isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => fma_512(STEPS),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => fma_256(STEPS),
                _ => fma_plain(STEPS),
            }
        }
    });
    (STEPS * 12 * lanes * 2) as f64 / seconds / 1e9
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn fma_512(steps: usize) {
    use std::arch::x86_64::*;
    let (x, y) = (_mm512_set1_ps(black_box(0.999)), _mm512_set1_ps(black_box(0.001)));
    let mut acc = [y; 12];
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
    let mut acc = [y; 12];
    for _ in 0..steps {
        for a in &mut acc {
            *a = _mm256_fmadd_ps(*a, x, y);
        }
    }
    black_box(acc);
}

fn fma_plain(steps: usize) {
    let (x, y) = (black_box([0.999f32; 4]), black_box([0.001f32; 4]));
    let mut acc = [y; 12];
    for _ in 0..steps {
        for a in &mut acc {
            for i in 0..4 {
                a[i] = a[i] * x[i] + y[i];
            }
        }
    }
    black_box(acc);
}
