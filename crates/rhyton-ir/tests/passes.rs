//! Passes: samples, random graphs and their gradients compute the same before and after, and what each is to simplify
//! is simplified.

use std::sync::Arc;

use rhyton_ir::op::*;
use rhyton_ir::pass::{self, Capabilities};
use rhyton_ir::random_graph::random_graph;
use rhyton_ir::{Array, Builder, DType, Graph, TensorType, Value, grad, interpret};

fn assert_same(what: &str, before: &[Array], after: &[Array]) {
    assert_eq!(before.len(), after.len(), "{what}");
    for (i, (x, y)) in before.iter().zip(after).enumerate() {
        assert_eq!((x.dtype(), x.shape()), (y.dtype(), y.shape()), "{what}, output {i}");
        // Rewrites round once more or less.
        let tolerance = match x.dtype() {
            DType::F64 => 1e-12,
            DType::F32 => 1e-5,
            DType::F16 | DType::BF16 => 2e-2,
            _ => 0.0,
        };
        for (a, b) in x.to_f64_vec().into_iter().zip(y.to_f64_vec()) {
            let same = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * (1.0 + a.abs());
            assert!(same, "{what}, output {i}: {a} became {b}");
        }
    }
}

fn check(what: &str, graph: &Graph, inputs: &[Array]) {
    let before = interpret::run(graph, inputs).unwrap_or_else(|e| panic!("{what}: {e}"));
    let run = |pass: &str, after: &Graph| {
        assert_eq!(after.parameter_types(), graph.parameter_types(), "{what} after {pass}");
        assert_eq!(after.output_types(), graph.output_types(), "{what} after {pass}");
        let after = interpret::run(after, inputs).unwrap_or_else(|e| panic!("{what} after {pass}: {e}"));
        assert_same(&format!("{what} after {pass}"), &before, &after);
    };
    for (name, pass) in pass::PASSES {
        run(name, &pass(graph).unwrap_or_else(|e| panic!("{what}, {name}: {e}")));
    }
    let inlined = pass::inline_composites(graph, &Capabilities::none()).unwrap();
    run("inline_composites", &inlined);
    let optimized = pass::optimize(graph, &Capabilities::none()).unwrap_or_else(|e| panic!("{what}: {e}"));
    run("optimize", &optimized);
    for pattern in 0..4 {
        let steady: Vec<bool> = (0..inputs.len()).map(|i| (pattern >> (i % 2)) & 1 == 1).collect();
        run("fold_scales", &pass::fold_scales(graph, &steady).unwrap_or_else(|e| panic!("{what}: {e}")));
        check_split(what, graph, inputs, &steady);
    }
}

/// The two parts together compute exactly what the whole does.
fn check_split(what: &str, graph: &Graph, inputs: &[Array], steady: &[bool]) {
    let split = pass::split_steady(graph, steady).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert!(steady.contains(&true) || split.steady.outputs().is_empty(), "{what}");
    let kept = interpret::run(&split.steady, inputs).unwrap();
    let after = interpret::run(&split.rest, &[inputs, &kept].concat()).unwrap();
    let before = interpret::run(graph, inputs).unwrap();
    // NaN differs from itself, so bytes are compared.
    assert!(before.iter().zip(&after).all(|(x, y)| x.data().bytes() == y.data().bytes()), "{what}, split");
}

#[test]
fn samples_compute_the_same_after_each_pass() {
    for (name, samples) in Op::samples() {
        for (i, sample) in samples.into_iter().enumerate() {
            let mut graph = sample.graph().unwrap();
            check(&format!("{name} sample {i}"), &graph, &sample.inputs);
            // The same of constants, for folding.
            let outputs = graph.outputs().to_vec();
            let mut folded = Graph::new();
            let constants: Vec<Value> =
                sample.inputs.iter().map(|x| folded.push(Constant { value: x.clone() }, &[]).unwrap()).collect();
            graph.set_outputs(outputs);
            let outputs = folded.inline(&graph, &constants).unwrap();
            folded.set_outputs(outputs);
            check(&format!("{name} sample {i} of constants"), &folded, &[]);
        }
    }
}

#[test]
fn random_graphs_compute_the_same_after_each_pass() {
    for seed in 0..300 {
        let random = random_graph(seed, 10 + seed as usize % 40);
        check(&format!("random graph {seed}"), &random.graph, &random.inputs);
    }
}

#[test]
fn gradients_of_random_graphs_compute_the_same_after_each_pass() {
    let mut checked = 0;
    for seed in 0..120 {
        let random = random_graph(seed, 15);
        let mut graph = random.graph;
        let Some(&output) = graph.outputs().iter().find(|&&o| graph.ty(o).dtype.is_float()) else { continue };
        let mut b = Builder::new(&mut graph);
        let rank = b.shape(output).rank();
        let total = b.sum(output, &(0..rank).collect::<Vec<_>>());
        b.finish().unwrap();
        graph.set_outputs(vec![total]);
        let gradient = grad::gradient(&graph, &[0]).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{graph}"));
        check(&format!("gradient of random graph {seed}"), &gradient, &random.inputs);
        checked += 1;
    }
    assert!(checked > 60, "only {checked} were differentiable");
}

fn vector(n: usize) -> TensorType {
    TensorType::new(DType::F32, [n])
}

/// A graph of one parameter, built by `build`.
fn graph_of(ty: TensorType, build: impl FnOnce(&mut Builder, Value) -> Value) -> Graph {
    let mut graph = Graph::new();
    let x = graph.parameter(ty);
    let mut b = Builder::new(&mut graph);
    let out = build(&mut b, x);
    b.finish().unwrap();
    graph.set_outputs(vec![out]);
    graph
}

fn operations(graph: &Graph) -> Vec<&'static str> {
    graph.nodes().iter().map(|n| n.op.name()).filter(|&n| n != "parameter").collect()
}

fn optimized(graph: &Graph) -> Graph {
    pass::optimize(graph, &Capabilities::none()).unwrap()
}

#[test]
fn neutral_elements_and_inverses_vanish() {
    let graph = graph_of(TensorType::new(DType::F32, [2, 3]), |b, x| {
        let x = b.shift(x, 0.0);
        let x = b.scale(x, 1.0);
        let x = b.neg(x);
        let x = b.neg(x);
        let x = b.transpose(x, &[1, 0]);
        let x = b.transpose(x, &[1, 0]);
        let x = b.reshape(x, [6]);
        let x = b.reshape(x, [2, 3]);
        let x = b.convert(x, DType::F64);
        let x = b.convert(x, DType::F32);
        let p = b.compare(Direction::Lt, x, x);
        b.select(p, x, x)
    });
    assert_eq!(operations(&optimized(&graph)), [""; 0]);
}

#[test]
fn a_zero_does_not_hide_a_nan() {
    let graph = graph_of(vector(2), |b, x| b.scale(x, 0.0));
    let out = interpret::run(&optimized(&graph), &[Array::new([2], vec![f32::NAN, f32::INFINITY])]).unwrap();
    assert!(out[0].to_f64_vec().iter().all(|v| v.is_nan()));
}

/// A convolution of an image that is padded with `value` before, by `low` and `high` along (batch, y, x, feature).
fn convolution_of_padded(value: f32, low: [i64; 4], high: [i64; 4]) -> (Graph, [Array; 2]) {
    let numbers = |shape: &[usize]| {
        let n = shape.iter().product::<usize>();
        Array::new(shape, (0..n).map(|i| (i * 7 % 11) as f32 * 0.25 - 1.0).collect::<Vec<f32>>())
    };
    let inputs = [numbers(&[1, 5, 6, 2]), numbers(&[3, 3, 2 + (low[3] + high[3]) as usize, 4])];
    let mut graph = Graph::new();
    let [x, kernel] = inputs.each_ref().map(|a| graph.parameter(TensorType::new(a.dtype(), a.shape())));
    let value = graph.push(Constant { value: Array::scalar(value) }, &[]).unwrap();
    let pad = Pad { low: low.to_vec(), high: high.to_vec(), interior: vec![0; 4] };
    let padded = graph.push(pad, &[x, value]).unwrap();
    let convolution = Convolution {
        dims: ConvDims::channels_last(2),
        strides: vec![2, 1],
        padding: vec![(0, 1), (0, 0)],
        lhs_dilation: vec![1, 1],
        rhs_dilation: vec![1, 1],
        feature_groups: 1,
        batch_groups: 1,
    };
    let out = graph.push(convolution, &[padded, kernel]).unwrap();
    graph.set_outputs(vec![out]);
    (graph, inputs)
}

#[test]
fn zeros_around_an_image_go_into_the_convolution() {
    let cases = [
        (0.0, [0, 1, 0, 0], [0, 1, 2, 0], true),
        (0.5, [0, 1, 0, 0], [0, 1, 2, 0], false),
        (0.0, [0, -1, 0, 0], [0, 1, 2, 0], false),
        (0.0, [0, 1, 0, 1], [0, 1, 2, 0], false),
        (0.0, [1, 1, 0, 0], [0, 0, 2, 0], false),
    ];
    for (value, low, high, folds) in cases {
        let (graph, inputs) = convolution_of_padded(value, low, high);
        check("a padded image", &graph, &inputs);
        assert_eq!(operations(&optimized(&graph)).contains(&"pad"), !folds, "{value} {low:?} {high:?}");
    }
}

#[test]
fn what_lies_around_an_image_goes_into_windows_that_take_the_largest() {
    // What the image is no less than, what is around it, how much before and after, and the windows' size.
    let cases = [
        (Some(0.0), 0.0, (1, 1), 3, true),
        (Some(0.0), -0.5, (2, 0), 3, true),
        (Some(0.0), 0.25, (1, 1), 3, false),
        (None, 0.0, (1, 1), 3, false),
        (Some(0.0), 0.0, (2, 1), 2, false),
        (Some(0.0), 0.0, (-1, 1), 3, false),
    ];
    for (least, value, (low, high), size, folds) in cases {
        let numbers = (0..30).map(|i| (i * 7 % 11) as f32 * 0.25 - 1.5).collect::<Vec<f32>>();
        let mut graph = Graph::new();
        let x = graph.parameter(TensorType::new(DType::F32, [5, 6]));
        let mut b = Builder::new(&mut graph);
        let image = match least {
            Some(least) => {
                let least = b.full_like(x, least);
                let image = b.binary(BinaryKind::Maximum, x, least);
                let most = b.full_like(x, 0.75);
                b.binary(BinaryKind::Minimum, image, most)
            }
            None => x,
        };
        b.finish().unwrap();
        let around = graph.push(Constant { value: Array::scalar(value as f32) }, &[]).unwrap();
        let pad = Pad { low: vec![low, 0], high: vec![high, 0], interior: vec![0, 0] };
        let padded = graph.push(pad, &[image, around]).unwrap();
        let windows = ReduceWindow {
            kind: ReduceKind::Max,
            window: vec![size, 2],
            strides: vec![2, 1],
            padding: vec![(0, 0), (1, 0)],
            base_dilation: vec![1, 1],
            window_dilation: vec![1, 1],
        };
        let out = graph.push(windows, &[padded]).unwrap();
        graph.set_outputs(vec![out]);
        check("padded windows", &graph, &[Array::new([5, 6], numbers)]);
        assert_eq!(operations(&optimized(&graph)).contains(&"pad"), !folds, "{least:?} {value} {low} {high} {size}");
    }
}

#[test]
fn sums_of_parts_among_zeros_are_the_parts_one_after_the_other() {
    // Where the parts of two columns lie among six, in the order of the sum, and what is around them.
    let cases = [
        (&[0, 2, 4][..], 0.0, true),
        (&[4, 0, 2], 0.0, true),
        (&[0, 2, 4], 0.5, false),
        (&[0, 4], 0.0, false),
        (&[0, 1, 4], 0.0, false),
        (&[0, 2, 2, 4], 0.0, false),
    ];
    for (places, value, folds) in cases {
        let mut graph = Graph::new();
        let parts: Vec<Value> = places.iter().map(|_| graph.parameter(TensorType::new(DType::F32, [3, 2]))).collect();
        let around = graph.push(Constant { value: Array::scalar(value as f32) }, &[]).unwrap();
        let padded = parts.iter().zip(places).map(|(&part, &place)| {
            let pad = Pad { low: vec![0, place], high: vec![0, 4 - place], interior: vec![0, 0] };
            graph.push(pad, &[part, around]).unwrap()
        });
        let padded: Vec<Value> = padded.collect();
        let mut b = Builder::new(&mut graph);
        let sum = padded[1..].iter().fold(padded[0], |sum, &part| b.add(sum, part));
        b.finish().unwrap();
        graph.set_outputs(vec![sum]);
        let numbers = |i: usize| (0..6).map(|j| (i * 5 + j * 7 % 11) as f32 * 0.25 - 1.5).collect::<Vec<f32>>();
        let inputs: Vec<Array> = (0..places.len()).map(|i| Array::new([3, 2], numbers(i))).collect();
        check("sums of parts", &graph, &inputs);
        let left = operations(&optimized(&graph));
        assert_eq!(left.contains(&"pad"), !folds, "{places:?} {value}");
        assert_eq!(left.contains(&"concatenate"), folds, "{places:?} {value}");
    }
}

#[test]
fn transposes_go_into_products() {
    let graph = graph_of(TensorType::new(DType::F32, [2, 3]), |b, x| {
        let turned = b.transpose(x, &[1, 0]);
        let dims = DotGeneral { lhs_batch: vec![], rhs_batch: vec![], lhs_contract: vec![1], rhs_contract: vec![0] };
        let product = b.dot_general(dims, x, turned);
        b.transpose(product, &[1, 0])
    });
    assert_eq!(operations(&optimized(&graph)), ["dot_general"]);
}

#[test]
fn small_constants_are_folded_and_large_ones_are_not() {
    let small = graph_of(vector(3), |b, x| {
        let n = b.constant(Array::new([3], vec![1.0f32, 2.0, 3.0]));
        let n = b.unary(UnaryKind::Exp, n);
        let n = b.sum(n, &[0]);
        let n = b.broadcast(n, [3], &[]);
        b.mul(x, n)
    });
    assert_eq!(operations(&optimized(&small)), ["constant", "broadcast_in_dim", "multiply"]);
    let large = graph_of(vector(5000), |b, x| {
        let n = b.push(Iota { ty: vector(5000), axis: 0 }, &[]);
        let n = b.unary(UnaryKind::Sqrt, n);
        b.mul(x, n)
    });
    assert_eq!(operations(&optimized(&large)), ["iota", "sqrt", "multiply"]);
}

#[test]
fn constants_are_merged_by_their_bits() {
    let graph = graph_of(vector(2), |b, x| {
        let [plus, minus, again] = [0.0f32, -0.0, 0.0].map(|n| Array::new([2], vec![n, 1.0]));
        let (plus, minus, again) = (b.constant(plus), b.constant(minus), b.constant(again));
        let x = b.mul(x, plus);
        let x = b.mul(x, minus);
        b.mul(x, again)
    });
    let merged = pass::eliminate_common_subexpressions(&graph).unwrap();
    assert_eq!(operations(&merged).iter().filter(|&&n| n == "constant").count(), 2);
}

#[test]
fn what_remat_recomputes_is_not_merged() {
    let body = graph_of(vector(2), |b, x| {
        let x = b.unary(UnaryKind::Sin, x);
        let x = b.unary(UnaryKind::Tanh, x);
        b.unary(UnaryKind::Exp, x)
    });
    let build = |remat: bool| {
        let graph = graph_of(vector(2), |b, x| {
            let out = match remat {
                true => b.push(Remat { body: Arc::new(body.clone()) }, &[x]),
                false => b.inline(&body, &[x])[0],
            };
            b.sum(out, &[0])
        });
        let count = |name: &str, graph: &Graph| operations(graph).iter().filter(|&&n| n == name).count();
        let optimized = optimized(&grad::gradient(&graph, &[0]).unwrap());
        (count("tanh", &optimized), count("remat", &optimized))
    };
    assert_eq!(build(true), (2, 0));
    assert_eq!(build(false), (1, 0));
}

#[test]
fn scans_lose_what_nobody_reads() {
    let sample = Op::samples().into_iter().find(|(name, _)| *name == "Scan").unwrap().1.remove(0);
    let mut graph = sample.graph().unwrap();
    // Of two carries and one y, only the counter is read: neither matrix nor slices matter to it.
    graph.set_outputs(vec![graph.outputs()[1]]);
    let after = optimized(&graph);
    let scan = after.nodes().iter().find_map(|n| if let Op::Scan(scan) = &n.op { Some(scan) } else { None }).unwrap();
    assert_eq!((scan.consts, scan.carries, scan.body.parameters().len()), (0, 1, 1));
    let run = |graph: &Graph| interpret::run(graph, &sample.inputs).unwrap();
    assert_eq!(run(&after), run(&graph));
}

#[test]
fn composites_stay_where_there_is_a_kernel() {
    let sample = Op::samples().into_iter().find(|(name, _)| *name == "Composite").unwrap().1.remove(0);
    let graph = sample.graph().unwrap();
    let softmax = Capabilities { composite: |kind, _| *kind == CompositeKind::Softmax };
    assert_eq!(operations(&pass::optimize(&graph, &softmax).unwrap()), ["composite"]);
    assert!(!operations(&optimized(&graph)).contains(&"composite"));
}

#[test]
fn long_chains_pass_in_linear_work() {
    const LENGTH: usize = 20_000;
    let graph = graph_of(vector(2), |b, mut x| {
        for i in 0..LENGTH {
            x = match i % 4 {
                0 => b.neg(x),
                1 => b.reshape(x, [2, 1]),
                2 => b.reshape(x, [2]),
                _ => b.unary(UnaryKind::Tanh, x),
            };
        }
        x
    });
    let after = optimized(&graph);
    assert_eq!(after.nodes().len(), 1 + LENGTH / 2, "the reshapes cancel");
    for (name, pass) in pass::PASSES {
        assert!(pass(&graph).unwrap().nodes().len() <= graph.nodes().len(), "{name}");
    }
}
