//! Every primitive's gradient against central differences: once, twice, and forward.

use std::sync::Arc;

use rhyton_ir::op::{Remat, Sample, Scan};
use rhyton_ir::pass::{self, Capabilities};
use rhyton_ir::{Array, Builder, DType, Error, Graph, Op, Value, grad, interpret};

/// Samples to differentiate: floating-point operands, all of them `float64`, as a difference in fewer bits says nothing.
fn samples() -> impl Iterator<Item = (String, Sample)> {
    let all = Op::samples().into_iter().flat_map(|(name, samples)| {
        samples.into_iter().enumerate().map(move |(i, sample)| (format!("{name} sample {i}"), sample))
    });
    all.filter(|(_, sample)| {
        let mut floats = sample.inputs.iter().map(Array::dtype).filter(|d| d.is_float()).peekable();
        let finite = |x: &Array| x.to_f64_vec().iter().all(|v| v.is_finite());
        floats.peek().is_some() && floats.all(|d| d == DType::F64) && sample.inputs.iter().all(finite)
    })
}

/// Operations that refuse to be differentiated, and why.
fn refuses(op: &Op) -> bool {
    match op {
        // Of unknown length.
        Op::While(_) => true,
        // A function of the host.
        Op::CustomCall(_) => true,
        _ => false,
    }
}

/// Numbers in `[-1, 1]` that look random, never near 0.
fn weights(count: usize, seed: u64) -> Vec<f64> {
    let number = |i: u64| {
        let mixed = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed.wrapping_mul(0xd6e8_feb8_6659_fd93));
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40;
        let unit = mixed as f64 / (1u64 << 24) as f64;
        if unit < 0.5 { unit * 1.6 - 1.0 } else { unit * 1.6 - 0.6 }
    };
    (0..count as u64).map(number).collect()
}

/// Replaces the outputs of a graph by the sum of its `float64` outputs, weighted.
fn weighted_sum(graph: &mut Graph, outputs: &[Value], seed: u64) -> Value {
    let mut b = Builder::new(graph);
    let mut total = b.scalar(DType::F64, 0.0);
    for (i, &output) in outputs.iter().enumerate() {
        let shape = b.shape(output).known().unwrap();
        let weights = weights(shape.iter().product(), seed + i as u64);
        let weights = b.constant(Array::new(shape.clone(), weights));
        let product = b.mul(output, weights);
        let sum = b.sum(product, &(0..shape.len()).collect::<Vec<_>>());
        total = b.add(total, sum);
    }
    b.finish().unwrap();
    graph.set_outputs(vec![total]);
    total
}

fn floats(graph: &Graph, values: &[Value]) -> Vec<Value> {
    values.iter().copied().filter(|&v| graph.ty(v).dtype == DType::F64).collect()
}

/// The positions of the `float64` parameters.
fn float_parameters(graph: &Graph) -> Vec<usize> {
    let is_float = |&i: &usize| graph.ty(graph.parameters()[i]).dtype == DType::F64;
    (0..graph.parameters().len()).filter(is_float).collect()
}

/// The scalar that the graph computes.
fn value(graph: &Graph, inputs: &[Array]) -> f64 {
    interpret::run(graph, inputs).unwrap()[0].to_f64_vec()[0]
}

const STEP: f64 = 1e-5;

fn moved(x: &Array, by: impl Fn(usize) -> f64) -> Array {
    let values: Vec<f64> = x.to_f64_vec().into_iter().enumerate().map(|(i, v)| v + by(i)).collect();
    Array::new(x.shape(), values)
}

/// Central differences of the scalar output by every element of parameter `p`.
fn differences(graph: &Graph, inputs: &[Array], p: usize) -> Vec<f64> {
    let at = |element: usize, by: f64| {
        let mut inputs = inputs.to_vec();
        inputs[p] = moved(&inputs[p], |i| if i == element { by } else { 0.0 });
        value(graph, &inputs)
    };
    (0..inputs[p].len()).map(|e| (at(e, STEP) - at(e, -STEP)) / (2.0 * STEP)).collect()
}

fn assert_close(what: &str, actual: &[f64], expected: &[f64]) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    // The difference quotient is right to STEP² and to the rounding of the value over STEP.
    let scale = expected.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!((a - e).abs() <= 2e-7 * scale, "{what}, element {i}: {a}, by differences {e}");
    }
}

fn check_gradient(what: &str, graph: &Graph, inputs: &[Array]) {
    let wrt = float_parameters(graph);
    let gradient = grad::gradient(graph, &wrt).unwrap_or_else(|e| panic!("{what}: {e}"));
    let found = interpret::run(&gradient, inputs).unwrap_or_else(|e| panic!("{what}: {e}"));
    for (found, &p) in found[1..].iter().zip(&wrt) {
        assert_eq!(found.shape(), inputs[p].shape(), "{what}");
        assert_close(&format!("{what}, operand {p}"), &found.to_f64_vec(), &differences(graph, inputs, p));
    }
}

/// The sample's graph with the weighted sum of its outputs; `None` if it has no floating-point output.
fn scalar_graph(sample: &Sample) -> Option<Graph> {
    let mut graph = sample.graph().unwrap();
    let outputs = floats(&graph, graph.outputs());
    if outputs.is_empty() {
        return None;
    }
    weighted_sum(&mut graph, &outputs, 1);
    Some(graph)
}

#[test]
fn gradients_are_those_of_central_differences() {
    let mut checked = 0;
    for (what, sample) in samples() {
        let Some(graph) = scalar_graph(&sample) else { continue };
        if refuses(&sample.op) {
            let error = grad::gradient(&graph, &float_parameters(&graph)).unwrap_err();
            assert!(matches!(error, Error::Unsupported(_)), "{what}: {error}");
            continue;
        }
        check_gradient(&what, &graph, &sample.inputs);
        checked += 1;
    }
    assert!(checked > 100, "only {checked} samples were differentiated");
}

#[test]
fn gradients_have_gradients() {
    let mut checked = 0;
    for (what, sample) in samples().filter(|(_, s)| !refuses(&s.op)) {
        let Some(graph) = scalar_graph(&sample) else { continue };
        let mut first = grad::gradient(&graph, &float_parameters(&graph)).unwrap();
        let gradients = first.outputs()[1..].to_vec();
        weighted_sum(&mut first, &gradients, 77);
        check_gradient(&format!("second derivative of {what}"), &first, &sample.inputs);
        checked += 1;
    }
    assert!(checked > 100, "only {checked} samples were differentiated");
}

#[test]
fn tangents_are_those_of_central_differences() {
    for (what, sample) in samples().filter(|(_, s)| !refuses(&s.op)) {
        let graph = sample.graph().unwrap();
        let outputs = floats(&graph, graph.outputs());
        let wrt = float_parameters(&graph);
        let tangent = |p: usize, x: &Array| Array::new(x.shape(), weights(x.len(), 5 + p as u64));
        let mut inputs = sample.inputs.clone();
        inputs.extend(wrt.iter().map(|&p| tangent(p, &sample.inputs[p])));
        let forward = grad::jvp(&graph, &wrt).unwrap_or_else(|e| panic!("{what}: {e}"));
        let found = interpret::run(&forward, &inputs).unwrap_or_else(|e| panic!("{what}: {e}"));
        let found = &found[graph.outputs().len()..];
        assert_eq!(found.len(), outputs.len(), "{what}");
        let along = |by: f64| {
            let mut moved_inputs = sample.inputs.clone();
            for &p in &wrt {
                let direction = weights(sample.inputs[p].len(), 5 + p as u64);
                moved_inputs[p] = moved(&sample.inputs[p], |i| by * direction[i]);
            }
            let out = interpret::run(&graph, &moved_inputs).unwrap();
            out.into_iter().filter(|x| x.dtype() == DType::F64).collect::<Vec<_>>()
        };
        for ((found, up), down) in found.iter().zip(along(STEP)).zip(along(-STEP)) {
            let pairs = up.to_f64_vec().into_iter().zip(down.to_f64_vec());
            let expected: Vec<f64> = pairs.map(|(u, d)| (u - d) / (2.0 * STEP)).collect();
            assert_close(&format!("tangent of {what}"), &found.to_f64_vec(), &expected);
        }
    }
}

#[test]
fn any_value_can_be_differentiated_by_any_other() {
    let mut graph = Graph::new();
    let x = graph.parameter(rhyton_ir::TensorType::new(DType::F64, [2]));
    let mut b = Builder::new(&mut graph);
    let y = b.mul(x, x);
    let z = b.mul(y, x);
    let one = b.full_like(z, 1.0);
    b.finish().unwrap();
    // By x: 3x², of which y has the part dz/dy = x.
    let found = grad::vjp(&mut graph, &[z], &[Some(one)], &[x, y, z, one]).unwrap();
    assert_eq!(found[3], None);
    graph.set_outputs(found.into_iter().flatten().collect());
    let out = interpret::run(&graph, &[Array::new([2], vec![2.0f64, 3.0])]).unwrap();
    assert_eq!(out[0].to_f64_vec(), [12.0, 27.0]);
    assert_eq!(out[1].to_f64_vec(), [2.0, 3.0]);
    assert_eq!(out[2].to_f64_vec(), [1.0, 1.0]);
}

#[test]
fn wrong_requests_are_refused() {
    let mut graph = Graph::new();
    let x = graph.parameter(rhyton_ir::TensorType::new(DType::F64, [2]));
    let i = graph.parameter(rhyton_ir::TensorType::new(DType::I32, [2]));
    graph.set_outputs(vec![x]);
    assert!(matches!(grad::gradient(&graph, &[0]), Err(Error::Argument(_))));
    assert!(matches!(grad::jvp(&graph, &[1]), Err(Error::DType(_))));
    assert!(matches!(grad::jvp(&graph, &[2]), Err(Error::Argument(_))));
    assert!(matches!(grad::vjp(&mut graph, &[x], &[Some(i)], &[x]), Err(Error::Shape(_))));
    assert!(matches!(grad::vjp(&mut graph, &[x], &[], &[x]), Err(Error::Argument(_))));
}

#[test]
fn a_scan_keeps_its_products_for_the_gradient() {
    let sample = samples().map(|(_, s)| s).find(|s| matches!(s.op, Op::Scan(_))).unwrap();
    let graph = scalar_graph(&sample).unwrap();
    let gradient = grad::gradient(&graph, &float_parameters(&graph)).unwrap();
    let bodies: Vec<usize> = (gradient.nodes().iter())
        .filter_map(|n| if let Op::Scan(scan) = &n.op { Some(&scan.body) } else { None })
        .map(|body| body.nodes().iter().filter(|n| matches!(n.op, Op::DotGeneral(_))).count())
        .collect();
    // One product forward; in reverse the two of its gradient, and not the first again.
    assert_eq!(bodies, [1, 2]);
}

/// The sample of a recurrent scan as the body of another one, called as `wrap` says.
fn nested(wrap: impl Fn(Graph) -> Op) -> (Graph, Vec<Array>) {
    let (_, sample) = samples().find(|(_, s)| matches!(s.op, Op::Scan(_))).unwrap();
    let inner = sample.graph().unwrap();
    let mut body = Graph::new();
    let operands: Vec<Value> = inner.parameter_types().into_iter().map(|ty| body.parameter(ty)).collect();
    let first = body.push(wrap(inner), &operands).unwrap();
    body.set_outputs(body.outputs_of(first));
    let op = Scan { body: Arc::new(body), consts: 1, carries: 2, length: 2.into(), reverse: false };
    let mut inputs = sample.inputs.clone();
    inputs[3] = Array::new([2, 3, 2], weights(12, 3));
    (scalar_graph(&Sample::new(op, inputs.clone())).unwrap(), inputs)
}

#[test]
fn control_flow_inside_control_flow_has_gradients() {
    type Wrap = fn(Graph) -> Op;
    let wraps: [(&str, Wrap); 2] = [
        ("scan", |inner| inner.node(inner.outputs()[0]).op.clone()),
        ("remat of a scan", |inner| Remat { body: Arc::new(inner) }.into()),
    ];
    for (what, wrap) in wraps {
        let (graph, inputs) = nested(wrap);
        check_gradient(what, &graph, &inputs);
        let mut first = grad::gradient(&graph, &float_parameters(&graph)).unwrap();
        let gradients = first.outputs()[1..].to_vec();
        weighted_sum(&mut first, &gradients, 9);
        check_gradient(&format!("second derivative of {what}"), &first, &inputs);
        let optimized = pass::optimize(&first, &Capabilities::none()).unwrap();
        let same = (value(&first, &inputs) - value(&optimized, &inputs)).abs();
        assert!(same < 1e-12, "{what}: {same} apart after the passes");
    }
}

#[test]
fn the_backward_walk_adds_a_bounded_number_of_nodes_per_node() {
    const LENGTH: usize = 20_000;
    let mut graph = Graph::new();
    let mut x = graph.parameter(rhyton_ir::TensorType::new(DType::F64, Vec::<usize>::new()));
    let mut b = Builder::new(&mut graph);
    for _ in 0..LENGTH {
        x = b.mul(x, x);
    }
    b.finish().unwrap();
    graph.set_outputs(vec![x]);
    let gradient = grad::gradient(&graph, &[0]).unwrap();
    assert!(gradient.nodes().len() <= 5 * LENGTH, "{}", gradient.nodes().len());
}
