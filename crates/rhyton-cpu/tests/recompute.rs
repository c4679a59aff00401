//! What is cheap to compute from what is in memory anyway is computed again instead of kept.

mod support;

use rhyton_cpu::CpuBackend;
use rhyton_ir::backend::{Backend, CompileOptions, Executable};
use rhyton_ir::op::{BinaryKind, StopGradient, UnaryKind};
use rhyton_ir::{Array, Builder, DType, Graph, TensorType, grad, interpret};

const ROWS: usize = 1024;
const FEATURES: usize = 24;

/// Batch normalization of a product, and its gradient: parameters are the operand, the weights, the scale and the gradient of the
/// result; outputs the result and the gradients of the first three.
fn normalized() -> Graph {
    let mut graph = Graph::new();
    let sizes: [&[usize]; 4] = [&[ROWS, FEATURES], &[FEATURES, FEATURES], &[FEATURES], &[ROWS, FEATURES]];
    let inputs = sizes.map(|dims| graph.parameter(TensorType::new(DType::F32, dims)));
    let mut b = Builder::new(&mut graph);
    let x = support::matmul(&mut b, inputs[0], inputs[1]);
    let shape = b.shape(x);
    let mean_of = |b: &mut Builder, x| {
        let sum = b.sum(x, &[0]);
        b.scale(sum, 1.0 / ROWS as f64)
    };
    let mean = mean_of(&mut b, x);
    let fixed = b.push(StopGradient, &[mean]);
    let fixed = b.broadcast(fixed, shape.clone(), &[1]);
    let centred = b.sub(x, fixed);
    let squares = b.mul(centred, centred);
    let variance = mean_of(&mut b, squares);
    let variance = b.shift(variance, 1e-3);
    let factor = b.unary(UnaryKind::Rsqrt, variance);
    let factor = b.mul(factor, inputs[2]);
    let back = b.mul(mean, factor);
    let [factor, back] = [factor, back].map(|v| b.broadcast(v, shape.clone(), &[1]));
    let scaled = b.mul(x, factor);
    let out = b.sub(scaled, back);
    b.finish().unwrap();
    let gradients = grad::vjp(&mut graph, &[out], &[Some(inputs[3])], &inputs[..3]).unwrap();
    graph.set_outputs(std::iter::once(out).chain(gradients.into_iter().map(Option::unwrap)).collect());
    graph
}

#[test]
fn batch_normalization_keeps_its_operand_alone() {
    let graph = normalized();
    let inputs: Vec<Array> = [&[ROWS, FEATURES][..], &[FEATURES, FEATURES], &[FEATURES], &[ROWS, FEATURES]]
        .iter()
        .enumerate()
        .map(|(i, dims)| support::noise(dims, i))
        .collect();
    let executable = CpuBackend::new(2).compile(&graph, &CompileOptions::default()).unwrap();
    let plan = executable.describe();
    let whole = format!("{} bytes", ROWS * FEATURES * 4);
    // The product, and its gradient.
    let kept = plan.lines().filter(|line| line.contains("Arena") && line.ends_with(&whole)).count();
    assert_eq!(kept, 2, "{plan}");
    assert_same(&graph, &*executable, &inputs);
}

/// The parameters of [`rectified`]: the operand, two weights, a bias, and the gradient of the result.
const RECTIFIED: [&[usize]; 5] =
    [&[ROWS, FEATURES], &[FEATURES, FEATURES], &[FEATURES, FEATURES], &[FEATURES], &[ROWS, FEATURES]];

/// The product of a rectified product, and the gradients of the operand and both weights.
fn rectified() -> Graph {
    let mut graph = Graph::new();
    let inputs = RECTIFIED.map(|dims| graph.parameter(TensorType::new(DType::F32, dims)));
    let mut b = Builder::new(&mut graph);
    let x = support::matmul(&mut b, inputs[0], inputs[1]);
    let x = support::add_bias(&mut b, x, inputs[3]);
    let zero = b.zeros_like(x);
    let x = b.binary(BinaryKind::Maximum, zero, x);
    let out = support::matmul(&mut b, x, inputs[2]);
    b.finish().unwrap();
    let gradients = grad::vjp(&mut graph, &[out], &[Some(inputs[4])], &inputs[..3]).unwrap();
    graph.set_outputs(std::iter::once(out).chain(gradients.into_iter().map(Option::unwrap)).collect());
    graph
}

#[test]
fn a_rectifier_keeps_its_result_alone() {
    let graph = rectified();
    let mut inputs: Vec<Array> = RECTIFIED.iter().enumerate().map(|(i, dims)| support::noise(dims, i)).collect();
    let executable = CpuBackend::new(2).compile(&graph, &CompileOptions::default()).unwrap();
    let plan = executable.describe();
    let mask = format!(" {} bytes", ROWS * FEATURES);
    assert!(!plan.lines().any(|line| line.ends_with(&mask)), "a mask is kept: {plan}");
    assert_same(&graph, &*executable, &inputs);
    // A row that is 0 before it is rectified, and one that is NaN.
    let mut operand = inputs[0].to_f64_vec().into_iter().map(|x| x as f32).collect::<Vec<_>>();
    operand[..FEATURES].fill(0.0);
    operand[FEATURES..2 * FEATURES].fill(f32::NAN);
    inputs[0] = Array::new([ROWS, FEATURES], operand);
    inputs[3] = Array::new([FEATURES], vec![0f32; FEATURES]);
    let mut outputs = Vec::new();
    executable.run(&mut inputs.clone(), &mut outputs).unwrap();
    let [found, expected] = [outputs, interpret::run(&graph, &inputs).unwrap()]
        .map(|outputs| outputs[1].to_f64_vec()[..2 * FEATURES].to_vec());
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() <= 1e-5, "{found} for {expected}");
    }
    assert!(expected[..FEATURES].iter().all(|&x| x == 0.0) && expected[FEATURES..].iter().any(|&x| x != 0.0));
}

/// Compares the outputs with those of the interpreter.
fn assert_same(graph: &Graph, executable: &dyn Executable, inputs: &[Array]) {
    let mut outputs = Vec::new();
    executable.run(&mut inputs.to_vec(), &mut outputs).unwrap();
    for (found, expected) in outputs.iter().zip(interpret::run(graph, inputs).unwrap()) {
        let (found, expected) = (found.to_f64_vec(), expected.to_f64_vec());
        let scale = expected.iter().fold(0f64, |most, x| most.max(x.abs()));
        let error = found.iter().zip(&expected).fold(0f64, |most, (x, y)| most.max((x - y).abs()));
        assert!(error <= 1e-5 * scale, "{error} of {scale}");
    }
}
