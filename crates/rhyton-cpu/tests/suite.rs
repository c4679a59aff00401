//! The back end against the reference interpreter: every sample of every primitive, in every dtype that it takes.

use rhyton_cpu::CpuBackend;
use rhyton_cpu::isa::Isa;
use rhyton_ir::backend::{Backend, CompileOptions};
use rhyton_ir::op::{BinaryKind, Constant, ConvDims, Convolution, Sample, UnaryKind};
use rhyton_ir::random_graph::{RandomGraph, random_graph};
use rhyton_ir::{Array, Builder, DType, Graph, Op, TensorType, interpret};

/// Relative tolerance of a dtype: some tens of roundings, in the scale of the data.
fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 1e-2,
        DType::BF16 => 8e-2,
        DType::F32 => 2e-5,
        DType::F64 => 1e-11,
        _ => 0.0,
    }
}

/// The tolerance of the least exact float dtype among the values of a graph.
fn tolerance_of(graph: &Graph) -> f64 {
    let dtypes = graph.nodes().iter().flat_map(|n| &n.types).map(|ty| ty.dtype).filter(|d| d.is_float());
    dtypes.map(tolerance).fold(0.0, f64::max)
}

fn assert_close(actual: &Array, expected: &Array, least: f64, what: &str) {
    assert_eq!((actual.dtype(), actual.shape()), (expected.dtype(), expected.shape()), "{what}");
    let (a, e) = (actual.to_f64_vec(), expected.to_f64_vec());
    let scale = e.iter().filter(|x| x.is_finite()).fold(0f64, |m, x| m.max(x.abs()));
    let limit = if expected.dtype().is_float() { least.max(tolerance(expected.dtype())) } else { 0.0 };
    for (i, (a, e)) in a.iter().zip(&e).enumerate() {
        let same = a == e || a.is_nan() && e.is_nan();
        let near = (a - e).abs() <= limit * (e.abs() + 0.1 * scale) + limit * 1e-3;
        assert!(same || near, "{what}: element {i} is {a}, expected {e}\n{actual:?}\n{expected:?}");
    }
}

fn backends() -> Vec<(String, CpuBackend)> {
    let mut out = Vec::new();
    for isa in Isa::available() {
        for threads in [1, 2] {
            out.push((format!("{isa}, {threads} threads"), CpuBackend::new(threads).with_isa(isa)));
        }
    }
    out
}

/// Runs a graph everywhere, compares with the interpreter, and the bits of one and two threads with each other.
fn check(backends: &[(String, CpuBackend)], graph: &Graph, inputs: &[Array], what: &str) {
    let expected = interpret::run(graph, inputs).unwrap_or_else(|e| panic!("{what}: {e}"));
    let mut bits: Option<Vec<Array>> = None;
    for (i, (name, backend)) in backends.iter().enumerate() {
        let what = format!("{what} on {name}");
        let executable = backend.compile(graph, &CompileOptions::default()).unwrap_or_else(|e| panic!("{what}: {e}"));
        let mut outputs = Vec::new();
        for _ in 0..2 {
            // The second run finds the memory that the first left.
            executable
                .run(&mut inputs.to_vec(), &mut outputs)
                .unwrap_or_else(|e| panic!("{what}: {e}\n{}", executable.describe()));
        }
        for (j, (a, e)) in outputs.iter().zip(&expected).enumerate() {
            assert_close(a, e, tolerance_of(graph), &format!("{what}, output {j}\n{}", executable.describe()));
        }
        if i % 2 == 1 {
            let one = bits.take().expect("set by the run on one thread");
            for (a, b) in one.iter().zip(&outputs) {
                assert_eq!(a.data().bytes(), b.data().bytes(), "{what}: other bits than on one thread");
            }
        } else {
            bits = Some(outputs);
        }
    }
}

/// The sample as a graph of one node, its operands parameters, or constants if `constant`.
fn graph_of(sample: &Sample, constant: bool) -> Graph {
    let mut graph = Graph::new();
    let operands: Vec<_> = sample
        .inputs
        .iter()
        .map(|x| {
            if constant {
                graph.push(Constant { value: x.clone() }, &[]).unwrap()
            } else {
                graph.parameter(TensorType::new(x.dtype(), x.shape()))
            }
        })
        .collect();
    let value = graph.push(sample.op.clone(), &operands).unwrap();
    graph.set_outputs(graph.outputs_of(value));
    graph
}

/// The sample with its `float64` operands in another dtype, if the primitive takes that.
fn converted(sample: &Sample, dtype: DType) -> Option<Sample> {
    if !sample.inputs.iter().any(|x| x.dtype() == DType::F64) {
        return None;
    }
    let cast = |x: &Array| if x.dtype() == DType::F64 { x.cast(dtype) } else { x.clone() };
    let inputs: Vec<Array> = sample.inputs.iter().map(cast).collect();
    let types: Vec<TensorType> = inputs.iter().map(|x| TensorType::new(x.dtype(), x.shape())).collect();
    sample.op.infer(&types.iter().collect::<Vec<_>>()).ok()?;
    Some(Sample::new(sample.op.clone(), inputs))
}

#[test]
fn every_sample_of_every_primitive_runs_as_it_is_interpreted() {
    let backends = backends();
    let mut ran = 0;
    for (name, samples) in Op::samples() {
        for (i, sample) in samples.iter().enumerate() {
            for constant in [false, true] {
                check(
                    &backends,
                    &graph_of(sample, constant),
                    if constant { &[] } else { &sample.inputs },
                    &format!("{name} sample {i}"),
                );
            }
            ran += 1;
        }
    }
    assert!(ran > 100, "{ran} samples");
}

#[test]
fn samples_run_in_other_dtypes() {
    let backends = backends();
    for (name, samples) in Op::samples() {
        for (i, sample) in samples.iter().enumerate() {
            for dtype in DType::ALL.into_iter().filter(|&d| d != DType::F64) {
                if let Some(sample) = converted(sample, dtype) {
                    check(
                        &backends,
                        &graph_of(&sample, false),
                        &sample.inputs,
                        &format!("{name} sample {i} as {dtype}"),
                    );
                }
            }
        }
    }
}

/// The sample's result plus a bias along `axis`, then an activation: what runs on finished tiles.
fn with_epilogue(sample: &Sample, axis: usize) -> (Graph, Vec<Array>) {
    let mut graph = Graph::new();
    let mut inputs = sample.inputs.clone();
    let mut operands: Vec<_> = inputs.iter().map(|x| graph.parameter(TensorType::new(x.dtype(), x.shape()))).collect();
    let result = graph.push(sample.op.clone(), &operands).unwrap();
    let ty = graph.ty(result).clone();
    let features = ty.shape[axis].known().unwrap();
    let bias = Array::new([features], (0..features).map(|i| i as f64 * 0.3 - 1.0).collect::<Vec<f64>>()).cast(ty.dtype);
    operands.push(graph.parameter(TensorType::new(ty.dtype, bias.shape())));
    inputs.push(bias);
    let mut b = Builder::new(&mut graph);
    let bias = b.broadcast(operands[operands.len() - 1], ty.shape.clone(), &[axis]);
    let sum = b.add(result, bias);
    let zero = b.zeros_like(sum);
    let rectified = b.binary(BinaryKind::Maximum, sum, zero);
    let squashed = b.unary(UnaryKind::Tanh, sum);
    b.finish().unwrap();
    graph.set_outputs(vec![rectified, squashed]);
    (graph, inputs)
}

#[test]
fn work_on_finished_tiles_finds_its_bias_in_every_layout() {
    let backends = backends();
    let floats = |shape: &[usize]| {
        let n = shape.iter().product::<usize>();
        Array::new(shape, (0..n).map(|i| ((i * 11) % 17) as f32 * 0.2 - 1.5).collect::<Vec<f32>>())
    };
    let channels_first = Convolution {
        dims: ConvDims {
            lhs_batch: 0,
            lhs_feature: 1,
            lhs_spatial: vec![2, 3],
            out_batch: 0,
            out_feature: 1,
            out_spatial: vec![2, 3],
            ..ConvDims::channels_last(2)
        },
        strides: vec![1, 1],
        padding: vec![(1, 1), (1, 1)],
        lhs_dilation: vec![1, 1],
        rhs_dilation: vec![1, 1],
        feature_groups: 1,
        batch_groups: 1,
    };
    let strided = Convolution { strides: vec![2, 1], ..channels_first.clone() };
    let last = Convolution { dims: ConvDims::channels_last(2), ..channels_first.clone() };
    let mut samples = Vec::new();
    for (images, kernel) in
        [([3, 2, 4, 4], [3, 3, 2, 4]), ([2, 3, 9, 7], [3, 3, 3, 33]), ([2, 8, 17, 19], [3, 3, 8, 5])]
    {
        for op in [&channels_first, &strided] {
            samples.push(Sample::new(op.clone(), [floats(&images), floats(&kernel)]));
        }
        let [n, c, h, w] = images;
        samples.push(Sample::new(last.clone(), [floats(&[n, h, w, c]), floats(&kernel)]));
    }
    let contracts = |s: &Sample| matches!(s.op, Op::Convolution(_) | Op::DotGeneral(_));
    samples.extend(Op::samples().into_iter().flat_map(|(_, samples)| samples).filter(contracts));
    for (i, sample) in samples.iter().enumerate().filter(|(_, s)| s.inputs[0].dtype().is_float()) {
        let types: Vec<_> = sample.inputs.iter().map(|x| TensorType::new(x.dtype(), x.shape())).collect();
        let rank = sample.op.infer(&types.iter().collect::<Vec<_>>()).unwrap()[0].shape.rank();
        for axis in 0..rank {
            let (graph, inputs) = with_epilogue(sample, axis);
            check(&backends, &graph, &inputs, &format!("contraction {i} with a bias along axis {axis}"));
        }
    }
}

#[test]
fn random_graphs_run_as_they_are_interpreted() {
    let backends = backends();
    for seed in 0..1500 {
        let RandomGraph { graph, inputs } = random_graph(seed, 4 + seed as usize % 40);
        check(&backends, &graph, &inputs, &format!("random graph {seed}"));
    }
}
