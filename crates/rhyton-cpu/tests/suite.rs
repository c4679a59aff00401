//! The back end against the reference interpreter: every sample of every primitive, in every dtype that it takes.

use rhyton_cpu::CpuBackend;
use rhyton_cpu::isa::Isa;
use rhyton_ir::backend::{Backend, CompileOptions};
use rhyton_ir::op::*;
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

/// What follows a contraction in a model.
#[derive(Clone, Copy, Debug)]
enum Follows {
    /// A bias; two activations of the sum are kept.
    TwoActivations,
    /// A bias, then a clamp in two steps.
    Clamp,
    /// A bias, then swish.
    Swish,
    /// A bias and a residual, then rectification.
    Residual,
    /// A scale, the bias and a factor of the result's sizes, then swish.
    Factor,
}

/// The sample's result with a bias along `axis` and what else `follows`: what runs on finished tiles.
fn with_epilogue(sample: &Sample, axis: usize, follows: Follows) -> (Graph, Vec<Array>) {
    let mut graph = Graph::new();
    let mut inputs = sample.inputs.clone();
    let mut operands: Vec<_> = inputs.iter().map(|x| graph.parameter(TensorType::new(x.dtype(), x.shape()))).collect();
    let result = graph.push(sample.op.clone(), &operands).unwrap();
    let ty = graph.ty(result).clone();
    let features = ty.shape[axis].known().unwrap();
    let bias = Array::new([features], (0..features).map(|i| i as f64 * 0.3 - 1.0).collect::<Vec<f64>>()).cast(ty.dtype);
    operands.push(graph.parameter(TensorType::new(ty.dtype, bias.shape())));
    inputs.push(bias);
    let shape: Vec<usize> = ty.shape.iter().map(|d| d.known().unwrap()).collect();
    let count = shape.iter().product::<usize>();
    let dense = Array::new(shape, (0..count).map(|i| (i * 7 % 23) as f64 * 0.1 - 1.0).collect::<Vec<f64>>());
    let dense = dense.cast(ty.dtype);
    inputs.push(dense);
    let dense = graph.parameter(ty.clone());
    let mut b = Builder::new(&mut graph);
    let bias = b.broadcast(operands[operands.len() - 1], ty.shape.clone(), &[axis]);
    let mut sum = b.add(result, bias);
    let zero = b.zeros_like(sum);
    let swish = |b: &mut Builder, x| {
        let gate = b.unary(UnaryKind::Logistic, x);
        b.mul(x, gate)
    };
    let outputs = match follows {
        Follows::TwoActivations => {
            let rectified = b.binary(BinaryKind::Maximum, sum, zero);
            vec![rectified, b.unary(UnaryKind::Tanh, sum)]
        }
        Follows::Clamp => {
            let most = b.full_like(sum, 6.0);
            let rectified = b.binary(BinaryKind::Maximum, zero, sum);
            vec![b.binary(BinaryKind::Minimum, rectified, most)]
        }
        Follows::Swish => vec![swish(&mut b, sum)],
        Follows::Residual => {
            sum = b.add(dense, sum);
            vec![b.binary(BinaryKind::Maximum, sum, zero)]
        }
        Follows::Factor => {
            let scale = b.full_like(result, 0.25);
            let scaled = b.mul(result, scale);
            let sum = b.add(scaled, bias);
            let product = b.mul(sum, dense);
            vec![swish(&mut b, product)]
        }
    };
    b.finish().unwrap();
    graph.set_outputs(outputs);
    (graph, inputs)
}

/// Small numbers that repeat every 17.
fn numbers(shape: &[usize]) -> Array {
    let n = shape.iter().product::<usize>();
    Array::new(shape, (0..n).map(|i| ((i * 11) % 17) as f64 * 0.125 - 1.0).collect::<Vec<f64>>())
}

/// A convolution of windows that move by one, with a border of one, along two axes.
fn bordered(dims: ConvDims) -> Convolution {
    Convolution {
        dims,
        strides: vec![1, 1],
        padding: vec![(1, 1), (1, 1)],
        lhs_dilation: vec![1, 1],
        rhs_dilation: vec![1, 1],
        feature_groups: 1,
        batch_groups: 1,
    }
}

/// How many axes a sample's result has.
fn result_rank(sample: &Sample) -> usize {
    let types: Vec<_> = sample.inputs.iter().map(|x| TensorType::new(x.dtype(), x.shape())).collect();
    sample.op.infer(&types.iter().collect::<Vec<_>>()).unwrap()[0].shape.rank()
}

#[test]
fn work_on_finished_tiles_finds_its_bias_in_every_layout() {
    let backends = backends();
    let floats = |shape: &[usize]| {
        let n = shape.iter().product::<usize>();
        Array::new(shape, (0..n).map(|i| ((i * 11) % 17) as f32 * 0.2 - 1.5).collect::<Vec<f32>>())
    };
    let channels_first = bordered(ConvDims {
        lhs_batch: 0,
        lhs_feature: 1,
        lhs_spatial: vec![2, 3],
        out_batch: 0,
        out_feature: 1,
        out_spatial: vec![2, 3],
        ..ConvDims::channels_last(2)
    });
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
        for axis in 0..result_rank(sample) {
            let all = [Follows::TwoActivations, Follows::Clamp, Follows::Swish, Follows::Residual, Follows::Factor];
            for follows in all {
                let (graph, inputs) = with_epilogue(sample, axis, follows);
                check(&backends, &graph, &inputs, &format!("contraction {i}, bias along axis {axis}, {follows:?}"));
            }
        }
    }
}

/// Products and convolutions of which some take their operands two numbers at a time, as they lie or interleaved.
#[test]
fn contractions_of_16_bit_floats_run_as_they_are_interpreted() {
    let backends = backends();
    let dot = |lhs: usize, rhs: usize, batch: &[usize]| DotGeneral {
        lhs_batch: batch.to_vec(),
        rhs_batch: batch.to_vec(),
        lhs_contract: vec![lhs],
        rhs_contract: vec![rhs],
    };
    let forward = bordered(ConvDims::channels_last(2));
    let strided = Convolution { strides: vec![2, 2], padding: vec![(0, 1), (0, 1)], ..forward.clone() };
    let groups = Convolution { feature_groups: 2, ..forward.clone() };
    let dilated = Convolution { lhs_dilation: vec![2, 2], ..forward.clone() };
    // The gradient of a kernel: images are summed over.
    let over_images = Convolution {
        dims: ConvDims { lhs_batch: 3, lhs_feature: 0, rhs_input: 0, rhs_spatial: vec![1, 2], ..forward.dims.clone() },
        ..forward.clone()
    };
    let samples = [
        Sample::new(dot(1, 0, &[]), [numbers(&[70, 34]), numbers(&[34, 80])]),
        Sample::new(dot(1, 1, &[]), [numbers(&[70, 34]), numbers(&[20, 34])]),
        Sample::new(dot(0, 0, &[]), [numbers(&[600, 40]), numbers(&[600, 24])]),
        Sample::new(dot(0, 1, &[]), [numbers(&[4100, 20]), numbers(&[17, 4100])]),
        Sample::new(dot(1, 0, &[]), [numbers(&[70, 33]), numbers(&[33, 80])]),
        Sample::new(dot(2, 2, &[0]), [numbers(&[3, 20, 16]), numbers(&[3, 33, 16])]),
        Sample::new(dot(2, 1, &[0]), [numbers(&[3, 20, 16]), numbers(&[3, 16, 33])]),
        Sample::new(forward.clone(), [numbers(&[2, 9, 7, 6]), numbers(&[3, 3, 6, 20])]),
        Sample::new(forward.clone(), [numbers(&[2, 9, 7, 3]), numbers(&[3, 3, 3, 20])]),
        Sample::new(strided, [numbers(&[2, 9, 7, 6]), numbers(&[3, 3, 6, 17])]),
        Sample::new(groups, [numbers(&[2, 9, 7, 8]), numbers(&[3, 3, 4, 36])]),
        Sample::new(dilated, [numbers(&[2, 5, 4, 6]), numbers(&[3, 3, 6, 20])]),
        Sample::new(over_images, [numbers(&[4, 9, 7, 5]), numbers(&[4, 9, 7, 20])]),
    ];
    for (i, sample) in samples.iter().enumerate() {
        for dtype in [DType::BF16, DType::F16] {
            let sample = converted(sample, dtype).expect("floats");
            for constant in [false, true] {
                let inputs: &[Array] = if constant { &[] } else { &sample.inputs };
                check(&backends, &graph_of(&sample, constant), inputs, &format!("contraction {i} of {dtype}"));
            }
            for follows in [Follows::TwoActivations, Follows::Clamp, Follows::Residual] {
                let (graph, inputs) = with_epilogue(&sample, result_rank(&sample) - 1, follows);
                check(&backends, &graph, &inputs, &format!("contraction {i} of {dtype}, {follows:?}"));
            }
        }
    }
}

#[test]
fn operands_of_many_tasks_run_as_they_are_interpreted() {
    let numbers = |dtype: DType, shape: &[usize]| {
        let n = shape.iter().product::<usize>();
        Array::new(shape, (0..n).map(|i| ((i * i + 7 * i) % 1013) as f64 * 0.0625 - 31.0).collect::<Vec<f64>>())
            .cast(dtype)
    };
    let diagonal = |dtype: DType, batch: usize, n: usize| {
        let element = |at: usize| {
            ((at * 11) % 17) as f64 * 0.125 / n as f64 + if (at % (n * n)).is_multiple_of(n + 1) { 3.0 } else { 0.0 }
        };
        Array::new([batch, n, n], (0..batch * n * n).map(element).collect::<Vec<f64>>()).cast(dtype)
    };
    let (f32, i32, f64) = (DType::F32, DType::I32, DType::F64);
    let mut with_nan = numbers(f32, &[40, 700]).to_f64_vec();
    with_nan.iter_mut().step_by(97).for_each(|x| *x = f64::NAN);
    let with_nan = Array::new([40, 700], with_nan).cast(f32);
    let solve = |left: bool, lower: bool| TriangularSolve { left, lower, transpose: !lower, unit_diagonal: false };
    let mut samples = vec![
        Sample::new(Sort { axis: 1, keys: 1, descending: true }, [with_nan.clone(), numbers(i32, &[40, 700])]),
        Sample::new(Sort { axis: 0, keys: 2, descending: false }, [numbers(i32, &[90, 300]), numbers(f64, &[90, 300])]),
        Sample::new(TopK { k: 3 }, [with_nan]),
        Sample::new(TopK { k: 0 }, [numbers(f32, &[4, 5])]),
        Sample::new(Sort { axis: 0, keys: 1, descending: false }, [numbers(f32, &[0, 5])]),
        Sample::new(Fft { kind: FftKind::Fft, length: 60 }, [numbers(f32, &[5, 40, 60]), numbers(f32, &[5, 40, 60])]),
        Sample::new(Fft { kind: FftKind::Rfft, length: 128 }, [numbers(f32, &[100, 128])]),
        Sample::new(Cholesky, [diagonal(f32, 300, 9)]),
        Sample::new(Lu, [diagonal(f64, 40, 40)]),
        Sample::new(Qr { full: false }, [diagonal(f32, 30, 20)]),
        Sample::new(solve(true, true), [diagonal(f64, 2, 70), numbers(f64, &[2, 70, 100])]),
        Sample::new(solve(false, false), [diagonal(f64, 2, 70), numbers(f64, &[2, 100, 70])]),
        Sample::new(solve(true, false), [diagonal(f32, 200, 5), numbers(f32, &[200, 5, 3])]),
        Sample::new(Cholesky, [diagonal(f32, 0, 3)]),
        Sample::new(Svd { full: true }, [numbers(f32, &[0, 3])]),
        Sample::new(DotGeneral::matmul(3), [numbers(i32, &[2, 40, 50]), numbers(i32, &[2, 50, 70])]),
    ];
    let pooled = Convolution {
        dims: ConvDims { lhs_feature: 1, lhs_spatial: vec![2, 3], ..ConvDims::channels_last(2) },
        strides: vec![2, 1],
        padding: vec![(1, 1), (0, 2)],
        lhs_dilation: vec![1, 1],
        rhs_dilation: vec![1, 1],
        feature_groups: 1,
        batch_groups: 1,
    };
    samples.push(Sample::new(pooled, [numbers(i32, &[3, 4, 16, 15]), numbers(i32, &[3, 3, 4, 20])]));
    // Many updates of few elements: 16-bit sums are rounded once.
    let places = Array::new([400, 1], (0..400).map(|i| i % 3).collect::<Vec<i32>>());
    for dtype in [DType::BF16, DType::F16] {
        let updates = numbers(f64, &[400, 6]).cast(dtype);
        for combine in [Combine::Add, Combine::Max] {
            let scatter = Scatter {
                update_window_axes: vec![1],
                inserted_window_axes: vec![0],
                operand_batching_axes: vec![],
                indices_batching_axes: vec![],
                scatter_axes_to_operand_axes: vec![0],
                index_vector_axis: 1,
                combine,
            };
            samples.push(Sample::new(scatter, [numbers(dtype, &[4, 6]), places.clone(), updates.clone()]));
        }
    }
    let backends = backends();
    for (i, sample) in samples.iter().enumerate() {
        let what = format!("larger operands {i}, {}", sample.op.name());
        check(&backends, &graph_of(sample, false), &sample.inputs, &what);
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

/// The first two layers of an inverted residual block.
struct Expansion {
    image: [usize; 4],
    features: usize,
    window: usize,
    stride: usize,
    dilation: usize,
    padding: (i64, i64),
    /// What follows both convolutions, in turn.
    follows: [Follows; 2],
}

impl Expansion {
    fn graph(&self) -> (Graph, Vec<Array>) {
        let [n, h, w, c] = self.image;
        let (e, k) = (self.features, self.window);
        let inputs = [&[n, h, w, c][..], &[1, 1, c, e], &[e], &[k, k, 1, e], &[e]].map(|s| numbers(s).cast(DType::F32));
        let mut graph = Graph::new();
        let p = inputs.each_ref().map(|x| graph.parameter(TensorType::new(x.dtype(), x.shape())));
        let plain = Convolution { padding: vec![(0, 0); 2], ..bordered(ConvDims::channels_last(2)) };
        let channelwise = Convolution {
            strides: vec![self.stride; 2],
            padding: vec![self.padding; 2],
            rhs_dilation: vec![self.dilation; 2],
            feature_groups: e,
            ..plain.clone()
        };
        let mut b = Builder::new(&mut graph);
        let mut x = p[0];
        for (i, op) in [plain, channelwise].into_iter().enumerate() {
            x = b.push(op, &[x, p[1 + 2 * i]]);
            let shape = b.ty(x).shape.clone();
            let bias = b.broadcast(p[2 + 2 * i], shape, &[3]);
            x = b.add(x, bias);
            x = match self.follows[i] {
                Follows::Clamp => {
                    let (zero, six) = (b.zeros_like(x), b.full_like(x, 6.0));
                    let x = b.binary(BinaryKind::Maximum, x, zero);
                    b.binary(BinaryKind::Minimum, x, six)
                }
                Follows::Swish => {
                    let gate = b.unary(UnaryKind::Logistic, x);
                    b.mul(x, gate)
                }
                _ => b.unary(UnaryKind::Tanh, x),
            };
        }
        b.finish().unwrap();
        graph.set_outputs(vec![x]);
        (graph, inputs.to_vec())
    }
}

#[test]
fn an_expansion_and_its_depthwise_convolution_are_one_kernel() {
    let backends = backends();
    use Follows::{Clamp, Swish, TwoActivations};
    for (i, e) in [
        ([1, 9, 8, 5], 24, 3, 1, 1, (1, 1), [Clamp, Clamp]),
        ([2, 14, 14, 16], 130, 3, 2, 1, (0, 1), [Clamp, Clamp]),
        ([1, 40, 70, 8], 96, 5, 1, 1, (2, 2), [Swish, Swish]),
        ([1, 61, 64, 3], 70, 3, 2, 1, (1, 1), [Swish, TwoActivations]),
        ([3, 11, 6, 4], 33, 3, 1, 2, (2, 2), [Clamp, TwoActivations]),
        ([1, 3, 3, 2], 16, 5, 1, 1, (4, 4), [Clamp, Clamp]),
    ]
    .into_iter()
    .map(|(image, features, window, stride, dilation, padding, follows)| Expansion {
        image,
        features,
        window,
        stride,
        dilation,
        padding,
        follows,
    })
    .enumerate()
    {
        let (graph, mut inputs) = e.graph();
        check(&backends, &graph, &inputs, &format!("expansion {i}"));
        // With the weights steady the kernel is kept, and made anew for other weights.
        let options = CompileOptions { steady: vec![1, 2, 3, 4], ..CompileOptions::default() };
        for (name, backend) in &backends {
            let executable = backend.compile(&graph, &options).unwrap();
            assert!(executable.describe().contains("band by band"), "{name}: {}", executable.describe());
            for scale in [1.0, -0.5] {
                let scaled = inputs[1].to_f64_vec().into_iter().map(|x| x * scale).collect::<Vec<f64>>();
                inputs[1] = Array::new(inputs[1].shape(), scaled).cast(DType::F32);
                let expected = interpret::run(&graph, &inputs).unwrap();
                let mut outputs = Vec::new();
                executable.run(&mut inputs.clone(), &mut outputs).unwrap();
                assert_close(&outputs[0], &expected[0], 0.0, &format!("expansion {i}, steady, on {name}"));
            }
        }
    }
}

#[test]
fn an_expansion_that_is_read_twice_is_kept() {
    let e = Expansion {
        image: [1, 6, 6, 4],
        features: 16,
        window: 3,
        stride: 1,
        dilation: 1,
        padding: (1, 1),
        follows: [Follows::Clamp, Follows::Clamp],
    };
    let (mut graph, inputs) = e.graph();
    let clamped = |op: &Op| matches!(op, Op::Binary(Binary { kind: BinaryKind::Minimum }));
    let between = graph.nodes().iter().position(|node| clamped(&node.op)).unwrap();
    let between = rhyton_ir::Value { node: between as u32, output: 0 };
    let last = graph.outputs()[0];
    graph.set_outputs(vec![last, between]);
    check(&backends(), &graph, &inputs, "an expansion that is an output too");
}

#[test]
fn a_residual_is_added_to_where_it_lies() {
    let backends = backends();
    // Many terms, several blocks, and features that need a last part of a vector.
    for (n, size, features, first) in [(1, 7, 200, 32), (2, 9, 16, 64), (1, 3, 64, 21)] {
        let kernel = vec![1, 1, features, first];
        let shapes = [vec![n, size, size, features], kernel.clone(), kernel, vec![first], vec![1, 1, first, 5]];
        let inputs: Vec<Array> = shapes.iter().map(|shape| numbers(shape).cast(DType::F32)).collect();
        let mut graph = Graph::new();
        let p: Vec<_> = inputs.iter().map(|x| graph.parameter(TensorType::new(x.dtype(), x.shape()))).collect();
        let mut b = Builder::new(&mut graph);
        let plain = || Convolution { padding: vec![(0, 0); 2], ..bordered(ConvDims::channels_last(2)) };
        let residual = b.push(plain(), &[p[0], p[1]]);
        let residual = b.unary(UnaryKind::Tanh, residual);
        let x = b.push(plain(), &[p[0], p[2]]);
        let bias = b.broadcast(p[3], b.ty(x).shape.clone(), &[3]);
        let sum = b.add(x, bias);
        let sum = b.add(sum, residual);
        let zero = b.zeros_like(sum);
        let y = b.binary(BinaryKind::Maximum, sum, zero);
        // The result of the block is not that of the graph, whose memory is the caller's.
        let y = b.push(plain(), &[y, p[4]]);
        b.finish().unwrap();
        graph.set_outputs(vec![y]);
        check(&backends, &graph, &inputs, &format!("residual of {first} features"));
        for (name, backend) in &backends {
            let plan = backend.compile(&graph, &CompileOptions::default()).unwrap().describe();
            assert!(plan.contains("where the addend lies"), "{name}: {plan}");
        }
    }
}
