//! How fast the kernels are, beside what the processor can do at most.
//!
//! `cargo run --release -p rhyton-cpu --example kernel_rates [threads] [filter]`; the last line is the pool's latency.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rhyton_cpu::isa::Isa;
use rhyton_cpu::kernels::conv::{ConvGeometry, ConvPlan, Kernel, convolution};
use rhyton_cpu::kernels::gemm::{Gemm, Out, PackedB, Rhs, View, gemm};
use rhyton_cpu::kernels::math::{apply_binary, apply_unary};
use rhyton_cpu::kernels::reduce::reduce;
use rhyton_cpu::kernels::window::{WindowAxis, reduce_window, select_and_scatter};
use rhyton_cpu::peaks;
use rhyton_cpu::pool::Pool;
use rhyton_ir::op::{BinaryKind, ConvDims, Convolution, ReduceKind, UnaryKind};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let threads = arguments.first().and_then(|n| n.parse().ok()).unwrap_or(1);
    let filter = arguments.get(1).cloned().unwrap_or_default();
    let isa = Isa::detect().unwrap_or_else(|error| panic!("{error}"));
    let core = peaks::measure(&Pool::new(1), isa).flops / 1e9;
    let bench = Bench { pool: Pool::new(threads), isa, filter, peak: threads as f64 * core };
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
    for (name, n, hw, ic, oc, k) in [
        ("digits", 128, 28, 1, 32, 3),
        ("digits", 128, 26, 32, 64, 3),
        ("resnet", 32, 32, 16, 16, 3),
        ("resnet", 32, 16, 64, 64, 3),
        ("resnet", 8, 14, 256, 256, 3),
        ("one image", 1, 56, 64, 64, 3),
        ("one image", 1, 28, 128, 128, 3),
        ("one image", 1, 14, 256, 256, 3),
        ("one image", 1, 14, 256, 1024, 1),
        ("one image", 1, 112, 16, 96, 1),
        ("one image", 1, 112, 32, 16, 1),
        ("one image", 1, 56, 24, 144, 1),
        ("one image", 1, 56, 144, 24, 1),
        ("one image", 1, 28, 192, 32, 1),
        ("one image", 1, 28, 32, 192, 1),
        ("one image", 1, 14, 96, 576, 1),
        ("one image", 1, 14, 576, 96, 1),
        ("one image", 1, 14, 64, 384, 1),
        ("one image", 1, 7, 160, 960, 1),
        ("one image", 1, 7, 960, 160, 1),
        ("one image", 1, 7, 960, 320, 1),
        ("pointwise", 8, 28, 128, 256, 1),
        ("stem", 4, 224, 3, 64, 7),
    ] {
        bench.convolution(name, n, hw, ic, oc, k, 1);
    }
    bench.convolution("strided", 8, 56, 64, 128, 3, 2);
    bench.convolution("depthwise", 8, 56, 128, 0, 3, 1);
    bench.convolution("one image stem", 1, 224, 3, 32, 3, 2);
    for (hw, channels, stride) in [(112, 32, 1), (112, 96, 2), (56, 144, 1), (14, 384, 1), (14, 64, 1), (7, 960, 1)] {
        bench.convolution("one image depthwise", 1, hw, channels, 0, 3, stride);
    }
    bench.elementwise();
    bench.reductions();
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
                    b: kept.as_ref().map_or(Rhs::View(b_view), |kept| Rhs::Packed(kept.view())),
                    c: Out::matrix(&mut c, (m, n), n),
                    batch: &[],
                    accumulate: false,
                    epilogue: None,
                },
            );
        });
    }

    /// A square convolution of `n` images, padded by half the window; with `oc` 0 a depthwise one.
    #[expect(clippy::too_many_arguments, reason = "a line of the table above")]
    fn convolution(&self, name: &str, n: usize, hw: usize, ic: usize, oc: usize, k: usize, stride: usize) {
        let depthwise = oc == 0;
        let oc = if depthwise { ic } else { oc };
        let kernel_in = if depthwise { 1 } else { ic };
        let (image, kernel) = ([n, hw, hw, ic], [k, k, kernel_in, oc]);
        let dims = |lhs: [usize; 2], rhs: [usize; 2], out: [usize; 2], spatial: [[usize; 2]; 3]| ConvDims {
            lhs_batch: lhs[0],
            lhs_feature: lhs[1],
            lhs_spatial: spatial[0].to_vec(),
            rhs_input: rhs[0],
            rhs_output: rhs[1],
            rhs_spatial: spatial[1].to_vec(),
            out_batch: out[0],
            out_feature: out[1],
            out_spatial: spatial[2].to_vec(),
        };
        let pad = (k / 2) as i64;
        let forward = Convolution {
            dims: dims([0, 3], [2, 3], [0, 3], [[1, 2], [0, 1], [1, 2]]),
            strides: vec![stride; 2],
            padding: vec![(pad, pad); 2],
            lhs_dilation: vec![1; 2],
            rhs_dilation: vec![1; 2],
            feature_groups: if depthwise { ic } else { 1 },
            batch_groups: 1,
        };
        let out_hw = (hw + 2 * (k / 2) - k) / stride + 1;
        let result = [n, out_hw, out_hw, oc];
        let flops = 2.0 * (n * out_hw * out_hw * oc * kernel_in * k * k) as f64;
        let run = |what: &str, op: &Convolution, lhs: [usize; 4], rhs: [usize; 4], reversed: bool| {
            let (x, w) = (vec![0.5f32; lhs.iter().product()], vec![0.25f32; rhs.iter().product()]);
            let geometry = ConvGeometry::new(op, &lhs, &rhs).expect("two spatial axes");
            let geometry = ConvGeometry { reversed: [false, reversed, reversed], ..geometry };
            let mut out = vec![0f32; geometry.out_len()];
            let size = format!("{name} {what} {n}x{hw}x{hw}x{ic} {k}x{k} {oc}");
            self.report(&size, flops, || {
                convolution(&self.pool, self.isa, &geometry, &x, &w, &mut out, None);
            });
            let plan = ConvPlan::new(&geometry);
            if let Some(len) = plan.packed::<f32>().filter(|_| what == "forward") {
                let mut memory = vec![0f32; len];
                plan.pack(&self.pool, self.isa, &w, &mut memory);
                let (data, len) = (out.as_mut_ptr(), out.len());
                self.report(&format!("{size} packed"), flops, || {
                    let kernel = Kernel::Packed(&memory[..]);
                    // SAFETY: the result is this loop's alone.
                    unsafe { plan.run(&self.pool, self.isa, &x, kernel, data, len, false, None) };
                });
            }
        };
        run("forward", &forward, image, kernel, false);
        let far = (k - 1 - k / 2) as i64;
        let rest = (hw + 2 * (k / 2) - k) % stride;
        let input_gradient = Convolution {
            dims: dims([0, 3], if depthwise { [2, 3] } else { [3, 2] }, [0, 3], [[1, 2], [0, 1], [1, 2]]),
            strides: vec![1; 2],
            padding: vec![(far, far + rest as i64); 2],
            lhs_dilation: vec![stride; 2],
            ..forward.clone()
        };
        run("dx", &input_gradient, result, kernel, true);
        let kernel_gradient = Convolution {
            dims: dims([3, 0], [0, 3], [2, 3], [[1, 2], [1, 2], [0, 1]]),
            strides: vec![1; 2],
            padding: vec![(pad, pad - rest as i64); 2],
            rhs_dilation: vec![stride; 2],
            feature_groups: 1,
            batch_groups: if depthwise { ic } else { 1 },
            ..forward.clone()
        };
        run("dw", &kernel_gradient, image, result, false);
    }

    fn elementwise(&self) {
        let x: Vec<f32> = (0..1024).map(|i| i as f32 * 0.01 - 5.0).collect();
        let mut y = vec![0f32; x.len()];
        use UnaryKind::{Erf, Exp, Expm1, Log, Log1p, Logistic, Rsqrt, Sin, Tanh};
        for kind in [Exp, Expm1, Log, Log1p, Tanh, Logistic, Erf, Sin, Rsqrt] {
            self.report_elements(&format!("{kind:?}"), x.len(), || apply_unary(self.isa, kind, &x, &mut y));
        }
        let power = vec![1.5f32; x.len()];
        self.report_elements("Pow", x.len(), || apply_binary(self.isa, BinaryKind::Pow, &x, &power, &mut y));
    }

    fn reductions(&self) {
        let x = vec![0.5f32; 1 << 18];
        for (outer, len, inner) in [(1, 1 << 18, 1), (1 << 8, 1 << 10, 1), (1 << 14, 16, 1), (1, 1 << 12, 64)] {
            let mut out = vec![0f32; outer * inner];
            for kind in [ReduceKind::Sum, ReduceKind::Max] {
                self.report_elements(&format!("{kind:?} of ({outer}, {len}, {inner})"), x.len(), || {
                    reduce(&self.pool, self.isa, kind, &x, (outer, len, inner), &mut out);
                });
            }
        }
        let pooled = WindowAxis::new(32, 2, 2, (0, 0), (1, 1));
        let axes = [WindowAxis::plain(4), pooled, pooled, WindowAxis::plain(64)];
        let source = vec![1f32; x.len() / 4];
        let (mut out, mut dx) = (source.clone(), x.clone());
        self.report_elements("max pooling 2x2", x.len(), || {
            reduce_window(&self.pool, self.isa, ReduceKind::Max, &axes, &x, &mut out);
        });
        self.report_elements("its gradient", x.len(), || {
            select_and_scatter(&self.pool, self.isa, true, &axes, &x, &source, &mut dx);
        });
    }

    /// Prints the shortest time of `work` an element.
    fn report_elements(&self, name: &str, elements: usize, work: impl FnMut()) {
        if name.contains(&self.filter) {
            println!("{name:45} {:9.3} ns an element", best(self.pool.threads(), work) * 1e9 / elements as f64);
        }
    }

    /// Prints the best rate of `work`, which takes `flops` operations.
    fn report(&self, name: &str, flops: f64, work: impl FnMut()) {
        if name.contains(&self.filter) {
            let seconds = best(self.pool.threads(), work);
            let rate = flops / seconds / 1e9;
            println!("{name:45} {:9.1} µs {rate:7.1} GFLOP/s {:5.1}%", seconds * 1e6, 100.0 * rate / self.peak);
        }
    }

    fn latency(&self) {
        let region = best(0, || self.pool.run(2 * self.pool.threads(), &|i| _ = black_box(i)));
        println!("an empty region: {:.2} µs", region * 1e6);
    }
}

/// The shortest time of many calls, in seconds; with one thread of the processor's time, as others use the machine too.
fn best(threads: usize, mut work: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(150) {
        let (wall, processor) = (Instant::now(), processor_time());
        work();
        let used = processor_time().zip(processor).map(|(end, start)| end - start).filter(|_| threads == 1);
        best = best.min(used.unwrap_or_else(|| wall.elapsed().as_secs_f64()));
    }
    best
}

/// Seconds that this thread has run.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn processor_time() -> Option<f64> {
    unsafe extern "C" {
        fn clock_gettime(clock: i32, time: *mut [i64; 2]) -> i32;
    }
    const CLOCK_THREAD_CPUTIME_ID: i32 = 3;
    let mut time = [0; 2];
    // SAFETY: `timespec` is two 64-bit integers on this target.
    let failed = unsafe { clock_gettime(CLOCK_THREAD_CPUTIME_ID, &mut time) };
    (failed == 0).then(|| time[0] as f64 + time[1] as f64 * 1e-9)
}

/// Seconds that this thread has run.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
fn processor_time() -> Option<f64> {
    None
}
