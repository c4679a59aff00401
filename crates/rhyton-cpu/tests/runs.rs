//! Running executables: from several threads at once, and when a kernel panics.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rhyton_cpu::CpuBackend;
use rhyton_ir::backend::{Backend, CompileOptions};
use rhyton_ir::op::{CustomCall, HostFunction, Sort};
use rhyton_ir::{Array, Builder, DType, Error, Graph, Result, TensorType};

#[derive(Debug)]
struct Fragile(AtomicBool);

impl HostFunction for Fragile {
    fn name(&self) -> &str {
        "fragile"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        Ok(vec![inputs[0].clone()])
    }

    fn call(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        assert!(!self.0.load(Ordering::Relaxed), "broke into pieces");
        Ok(vec![inputs[0].clone()])
    }
}

#[test]
fn a_panic_in_a_kernel_is_an_error_and_the_next_run_works() {
    let function = Arc::new(Fragile(AtomicBool::new(true)));
    let mut graph = Graph::new();
    let x = graph.parameter(TensorType::new(DType::F32, [2]));
    let y = graph.push(CustomCall { target: Arc::clone(&function) as Arc<dyn HostFunction> }, &[x]).unwrap();
    graph.set_outputs(vec![y]);
    let executable = CpuBackend::new(2).compile(&graph, &CompileOptions::default()).unwrap();
    let (mut arguments, mut outputs) = ([Array::new([2], vec![1.0f32, 2.0])], Vec::new());
    let error = executable.run(&mut arguments, &mut outputs).unwrap_err();
    assert!(matches!(error, Error::Execution(_)) && error.to_string().contains("broke into pieces"), "{error}");
    function.0.store(false, Ordering::Relaxed);
    executable.run(&mut arguments, &mut outputs).unwrap();
    assert_eq!(outputs[0].to_f64_vec(), [1.0, 2.0]);
}

#[test]
fn one_executable_runs_on_several_threads_at_once() {
    let step = support::mlp(16, 30, 20);
    let executable = CpuBackend::new(2).compile(&step.graph, &CompileOptions::default()).unwrap();
    let mut expected = Vec::new();
    executable.run(&mut step.inputs.clone(), &mut expected).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut outputs = Vec::new();
                for _ in 0..20 {
                    executable.run(&mut step.inputs.clone(), &mut outputs).unwrap();
                    assert!(outputs.iter().zip(&expected).all(|(a, b)| a.data().bytes() == b.data().bytes()));
                }
            });
        }
    });
}

#[test]
fn outputs_that_others_hold_are_not_written_over() {
    let step = support::mlp(4, 6, 5);
    let executable = CpuBackend::new(1).compile(&step.graph, &CompileOptions::default()).unwrap();
    let mut outputs = Vec::new();
    executable.run(&mut step.inputs.clone(), &mut outputs).unwrap();
    let (held, before) = (outputs[1].clone(), outputs[1].to_f64_vec());
    let mut others = step.inputs.clone();
    others[0] = support::noise(others[0].shape(), 77);
    executable.run(&mut others, &mut outputs).unwrap();
    assert_eq!(held.to_f64_vec(), before);
    assert_ne!(outputs[1].to_f64_vec(), before);
}

#[test]
fn a_profile_has_the_steps_of_loops_one_deeper_and_computes_the_same() {
    const LENGTH: usize = 5;
    let step = support::lstm(2, LENGTH, 3, 4);
    let executable = CpuBackend::new(2).compile(&step.graph, &CompileOptions::default()).unwrap();
    let (mut plain, mut profiled) = (Vec::new(), Vec::new());
    executable.run(&mut step.inputs.clone(), &mut plain).unwrap();
    let steps = executable.run_profiled(&mut step.inputs.clone(), &mut profiled).unwrap();
    assert!(plain.iter().zip(&profiled).all(|(a, b)| a.data().bytes() == b.data().bytes()));
    let scan = steps.iter().position(|s| s.name.starts_with("scan")).unwrap();
    let body: Vec<_> = steps[scan + 1..].iter().take_while(|s| s.depth == 1).collect();
    assert!(!body.is_empty() && body.len() % LENGTH == 0, "{} steps", body.len());
    assert_eq!(body[0].name, body[body.len() / LENGTH].name);
    let within: f64 = body.iter().map(|s| s.seconds).sum();
    assert!(within <= steps[scan].seconds && steps.windows(2).all(|w| w[0].start <= w[1].start));
    assert_eq!(body.iter().map(|s| s.flops).sum::<u64>(), steps[scan].flops);
    assert!(steps.iter().any(|s| s.name.starts_with("product") && s.flops > 0 && s.bytes > 0));
}

#[test]
fn the_peaks_of_the_machine_are_measured() {
    let peaks = CpuBackend::new(2).peaks().unwrap();
    assert!(peaks.flops > 1e8 && peaks.bytes > 1e7, "{peaks:?}");
}

#[test]
fn memory_that_cannot_be_had_is_an_error() {
    // One array too large is the result, the other only on the way to it.
    for reduce in [false, true] {
        let mut graph = Graph::new();
        let x = graph.parameter(TensorType::new(DType::F32, [1 << 14]));
        let mut build = Builder::new(&mut graph);
        let wide = build.broadcast(x, [1 << 14, 1 << 30], &[0]);
        let sorted = build.push(Sort { axis: 1, keys: 1, descending: false }, &[wide]);
        let y = if reduce { build.sum(sorted, &[0, 1]) } else { sorted };
        build.finish().unwrap();
        graph.set_outputs(vec![y]);
        let run = || {
            let executable = CpuBackend::new(1).compile(&graph, &CompileOptions::default())?;
            executable.run(&mut [Array::new([1 << 14], vec![1.0f32; 1 << 14])], &mut Vec::new())
        };
        let error = run().unwrap_err();
        assert!(error.to_string().contains("GB of memory"), "{error}");
    }
}
