//! Whole training steps: the same numbers as the interpreter's, the same bits for any number of threads, donated
//! buffers updated in place, and no allocation once warm.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;

use rhyton_cpu::CpuBackend;
use rhyton_ir::backend::{Backend, CompileOptions, Executable};
use rhyton_ir::{Array, interpret};
use support::Step;

/// Counts allocations of the thread that asks for it.
struct Counting;

thread_local! {
    static COUNT: std::cell::Cell<Option<usize>> = const { std::cell::Cell::new(None) };
}

fn count() {
    COUNT.with(|c| c.set(c.get().map(|n| n + 1)));
}

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's guarantee.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's guarantee.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn compile(step: &Step, threads: usize) -> Arc<dyn Executable> {
    let options = CompileOptions { donations: step.donations.clone(), ..CompileOptions::default() };
    CpuBackend::new(threads).compile(&step.graph, &options).unwrap()
}

/// Runs `steps` training steps, the new weights and moments becoming the old ones, and gives the last outputs.
fn run(step: &Step, executable: &dyn Executable, steps: usize) -> Vec<Array> {
    let (mut arguments, mut outputs) = (step.inputs.clone(), Vec::new());
    for s in 0..steps {
        executable.run(&mut arguments, &mut outputs).unwrap();
        if s + 1 < steps {
            exchange(step, &mut arguments, &mut outputs);
        }
    }
    outputs
}

fn exchange(step: &Step, arguments: &mut [Array], outputs: &mut [Array]) {
    for &(p, o) in &step.donations {
        std::mem::swap(&mut arguments[p], &mut outputs[o]);
    }
}

fn check(step: &Step) {
    let executable = compile(step, 1);
    let expected = interpret::run(&step.graph, &step.inputs).unwrap();
    let actual = run(step, &*executable, 1);
    for (j, (a, e)) in actual.iter().zip(&expected).enumerate() {
        let (a, e) = (a.to_f64_vec(), e.to_f64_vec());
        let scale = e.iter().fold(0f64, |m, x| m.max(x.abs()));
        for (i, (a, e)) in a.iter().zip(&e).enumerate() {
            // f32 sums of some thousand terms, through a few layers.
            assert!((a - e).abs() <= 1e-4 * scale, "output {j}, {i}: {a} for {e}\n{}", executable.describe());
        }
    }
    let one = run(step, &*executable, 3);
    let two = run(step, &*compile(step, 2), 3);
    for (j, (a, b)) in one.iter().zip(&two).enumerate() {
        assert_eq!(a.data().bytes(), b.data().bytes(), "output {j} has other bits on two threads");
    }
}

fn allocates_nothing(step: &Step) {
    let executable = compile(step, 1);
    let (mut arguments, mut outputs) = (step.inputs.clone(), Vec::new());
    let mut counted = 0;
    for s in 0..4 {
        if s == 3 {
            COUNT.set(Some(0));
        }
        executable.run(&mut arguments, &mut outputs).unwrap();
        counted = COUNT.replace(None).unwrap_or(counted);
        exchange(step, &mut arguments, &mut outputs);
    }
    assert_eq!(counted, 0, "allocations in a warm step");
}

#[test]
fn an_mlp_trains_as_interpreted() {
    check(&support::mlp(32, 50, 40));
    check(&support::mlp(256, 300, 70));
}

#[test]
fn many_small_layers_train_as_interpreted() {
    check(&support::deep(5, 6, 12));
}

#[test]
fn a_cnn_trains_as_interpreted() {
    check(&support::cnn(4, 12, 5));
}

#[test]
fn an_lstm_trains_as_interpreted() {
    check(&support::lstm(6, 7, 9, 12));
}

#[test]
fn a_transformer_trains_as_interpreted() {
    check(&support::transformer(3, 10, 24, 4));
}

#[test]
fn a_warm_mlp_step_allocates_nothing() {
    allocates_nothing(&support::mlp(64, 784, 128));
}

#[test]
fn a_warm_cnn_step_allocates_nothing() {
    allocates_nothing(&support::cnn(4, 12, 5));
    allocates_nothing(&support::cnn(8, 28, 32));
}

#[test]
fn a_warm_lstm_step_allocates_nothing() {
    allocates_nothing(&support::lstm(6, 7, 9, 12));
}

#[test]
fn a_warm_transformer_step_allocates_nothing() {
    allocates_nothing(&support::transformer(3, 10, 24, 4));
}

#[test]
fn donated_buffers_are_the_outputs() {
    let step = support::mlp(8, 20, 10);
    let executable = compile(&step, 1);
    let mut arguments: Vec<Array> = step.inputs.iter().map(|x| Array::from_data(x.shape(), x.data().clone())).collect();
    let before: Vec<*const u8> = arguments.iter().map(|x| x.data().bytes().as_ptr()).collect();
    let mut outputs = Vec::new();
    executable.run(&mut arguments, &mut outputs).unwrap();
    for &(p, o) in &step.donations {
        assert_eq!(outputs[o].data().bytes().as_ptr(), before[p]);
        assert!(arguments[p].is_empty());
    }
}

/// Prints what each step of the workloads takes: `cargo test --release -p rhyton-cpu --test train_step -- --ignored
/// --nocapture`.
#[test]
#[ignore = "a benchmark"]
fn profile() {
    let workloads = [
        ("deep", support::deep(32, 32, 200)),
        ("mlp", support::mlp(128, 784, 512)),
        ("cnn", support::cnn(128, 28, 32)),
        ("lstm", support::lstm(64, 50, 64, 128)),
        ("transformer", support::transformer(32, 64, 128, 4)),
    ];
    for (name, step) in workloads {
        let start = std::time::Instant::now();
        let executable = compile(&step, 2);
        println!("{name}: compiled in {:.1} ms, {} bytes", start.elapsed().as_secs_f64() * 1e3, executable.memory());
        let (mut arguments, mut outputs) = (step.inputs.clone(), Vec::new());
        let mut best = f64::INFINITY;
        for _ in 0..10 {
            let start = std::time::Instant::now();
            executable.run(&mut arguments, &mut outputs).unwrap();
            best = best.min(start.elapsed().as_secs_f64());
            exchange(&step, &mut arguments, &mut outputs);
        }
        println!("  best step {:.3} ms", best * 1e3);
        let mut profile = executable.run_profiled(&mut arguments, &mut outputs).unwrap();
        profile.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        for p in profile.iter().take(12) {
            let rates = (p.flops as f64 / p.seconds / 1e9, p.bytes as f64 / p.seconds / 1e9);
            println!("  {:9.1} µs {:6.1} Gflop/s {:6.1} GB/s  {}", p.seconds * 1e6, rates.0, rates.1, p.name);
        }
    }
}
