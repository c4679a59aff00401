//! Training steps as graphs: what the back end is for.

#![allow(dead_code, reason = "each test file uses some of it")]

use std::sync::Arc;

use rhyton_ir::op::*;
use rhyton_ir::{Array, Builder, DType, Dim, Graph, TensorType, Value, grad};

/// A training step: parameters are the weights, Adam's two moments of each, then the batch; outputs the loss, then the
/// new weights and moments in the same order.
pub struct Step {
    pub graph: Graph,
    pub donations: Vec<(usize, usize)>,
    pub inputs: Vec<Array>,
}

/// Numbers in −0.5 … 0.5 that look random and are the same every time.
pub fn noise(shape: &[usize], seed: usize) -> Array {
    let n: usize = shape.iter().product();
    let value = |i: usize| {
        let mut x = (i + seed * 7919 + 1) as u64;
        x = x.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        x ^= x >> 29;
        x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x ^= x >> 32;
        (x % 10_007) as f32 / 10_007.0 - 0.5
    };
    Array::new(shape, (0..n).map(value).collect::<Vec<_>>())
}

/// `kind(x, bias)` along the last axis.
pub fn add_bias(b: &mut Builder, x: Value, bias: Value) -> Value {
    let shape = b.shape(x);
    let last = shape.rank() - 1;
    let bias = b.broadcast(bias, shape, &[last]);
    b.add(x, bias)
}

pub fn relu(b: &mut Builder, x: Value) -> Value {
    let zero = b.zeros_like(x);
    b.binary(BinaryKind::Maximum, x, zero)
}

pub fn matmul(b: &mut Builder, x: Value, w: Value) -> Value {
    let last = b.shape(x).rank() - 1;
    let dims = DotGeneral { lhs_batch: vec![], rhs_batch: vec![], lhs_contract: vec![last], rhs_contract: vec![0] };
    b.dot_general(dims, x, w)
}

/// Softmax along the last axis.
pub fn softmax(b: &mut Builder, x: Value) -> Value {
    let shape = b.shape(x);
    let axes = [shape.rank() - 1];
    let max = b.reduce(ReduceKind::Max, x, &axes);
    let max = b.push(StopGradient, &[max]);
    let max = b.restore(max, &shape, &axes);
    let shifted = b.sub(x, max);
    let e = b.unary(UnaryKind::Exp, shifted);
    let sum = b.sum(e, &axes);
    let sum = b.restore(sum, &shape, &axes);
    b.div(e, sum)
}

/// The mean cross-entropy of `logits (batch, classes)` with integer labels.
pub fn cross_entropy(b: &mut Builder, logits: Value, labels: Value) -> Value {
    let shape = b.shape(logits);
    let (rows, classes) = (shape[0].known().unwrap(), shape[1].known().unwrap());
    let max = b.reduce(ReduceKind::Max, logits, &[1]);
    let max = b.push(StopGradient, &[max]);
    let max = b.restore(max, &shape, &[1]);
    let shifted = b.sub(logits, max);
    let e = b.unary(UnaryKind::Exp, shifted);
    let sum = b.sum(e, &[1]);
    let log = b.unary(UnaryKind::Log, sum);
    let log = b.restore(log, &shape, &[1]);
    let log_p = b.sub(shifted, log);
    let counts = b.push(Iota { ty: TensorType::new(DType::I32, [rows, classes]), axis: 1 }, &[]);
    let labels = b.broadcast(labels, shape.clone(), &[0]);
    let hot = b.compare(Direction::Eq, counts, labels);
    let zero = b.zeros_like(log_p);
    let picked = b.select(hot, log_p, zero);
    let total = b.sum(picked, &[0, 1]);
    b.scale(total, -1.0 / rows as f64)
}

/// Layer normalisation over the last axis.
pub fn layer_norm(b: &mut Builder, x: Value, gamma: Value, beta: Value) -> Value {
    let shape = b.shape(x);
    let axes = [shape.rank() - 1];
    let n = shape[axes[0]].known().unwrap() as f64;
    let mean = b.sum(x, &axes);
    let mean = b.scale(mean, 1.0 / n);
    let mean = b.restore(mean, &shape, &axes);
    let centred = b.sub(x, mean);
    let squares = b.mul(centred, centred);
    let variance = b.sum(squares, &axes);
    let variance = b.scale(variance, 1.0 / n);
    let variance = b.shift(variance, 1e-3);
    let scale = b.unary(UnaryKind::Rsqrt, variance);
    let scale = b.restore(scale, &shape, &axes);
    let normal = b.mul(centred, scale);
    let gamma = b.broadcast(gamma, shape.clone(), &axes);
    let scaled = b.mul(normal, gamma);
    add_bias(b, scaled, beta)
}

/// A step of Adam on the loss that `model` computes from weights of `shapes` and a batch.
fn train(
    shapes: &[Vec<usize>],
    batch: Vec<Array>,
    model: impl FnOnce(&mut Builder, &[Value], &[Value]) -> Value,
) -> Step {
    let n = shapes.len();
    let mut graph = Graph::new();
    let weight = |graph: &mut Graph, s: &Vec<usize>| graph.parameter(TensorType::new(DType::F32, s.as_slice()));
    let all: Vec<Value> = (0..3).flat_map(|_| shapes).map(|s| weight(&mut graph, s)).collect();
    let data: Vec<Value> = batch.iter().map(|x| graph.parameter(TensorType::new(x.dtype(), x.shape()))).collect();
    let mut b = Builder::new(&mut graph);
    let loss = model(&mut b, &all[..n], &data);
    let one = b.full_like(loss, 1.0);
    b.finish().unwrap();
    let gradients = grad::vjp(&mut graph, &[loss], &[Some(one)], &all[..n]).unwrap();
    let mut b = Builder::new(&mut graph);
    let (mut weights, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..n {
        let g = gradients[i].expect("the loss depends on every weight");
        let (w, m, v) = (all[i], all[n + i], all[2 * n + i]);
        let d = b.sub(g, m);
        let d = b.scale(d, 0.1);
        let m = b.add(m, d);
        let g2 = b.mul(g, g);
        let d = b.sub(g2, v);
        let d = b.scale(d, 0.001);
        let v = b.add(v, d);
        let root = b.unary(UnaryKind::Sqrt, v);
        let root = b.shift(root, 1e-3);
        let step = b.div(m, root);
        let step = b.scale(step, 0.001);
        weights.push(b.sub(w, step));
        first.push(m);
        second.push(v);
    }
    b.finish().unwrap();
    graph.set_outputs([vec![loss], weights, first, second].concat());
    let mut inputs: Vec<Array> = shapes.iter().enumerate().map(|(i, s)| noise(s, i)).collect();
    inputs.extend(shapes.iter().enumerate().map(|(i, s)| noise(s, i + 50)));
    inputs.extend(shapes.iter().map(|s| Array::full(DType::F32, s.as_slice(), 0.25)));
    inputs.extend(batch);
    Step { graph, donations: (0..3 * n).map(|i| (i, i + 1)).collect(), inputs }
}

fn labels(rows: usize, classes: usize) -> Array {
    Array::new([rows], (0..rows).map(|i| ((i * 7) % classes) as i32).collect::<Vec<_>>())
}

/// Two dense layers.
pub fn mlp(batch: usize, inputs: usize, units: usize) -> Step {
    let shapes = [vec![inputs, units], vec![units], vec![units, 10], vec![10]];
    train(&shapes, vec![noise(&[batch, inputs], 99), labels(batch, 10)], |b, w, x| {
        let h = matmul(b, x[0], w[0]);
        let h = add_bias(b, h, w[1]);
        let h = relu(b, h);
        let y = matmul(b, h, w[2]);
        let y = add_bias(b, y, w[3]);
        cross_entropy(b, y, x[1])
    })
}

/// Many small dense layers: hundreds of variables.
pub fn deep(batch: usize, units: usize, layers: usize) -> Step {
    let mut shapes: Vec<Vec<usize>> = (0..layers).flat_map(|_| [vec![units, units], vec![units]]).collect();
    shapes.extend([vec![units, 10], vec![10]]);
    train(&shapes, vec![noise(&[batch, units], 99), labels(batch, 10)], |b, w, x| {
        let mut h = x[0];
        for i in 0..layers {
            h = matmul(b, h, w[2 * i]);
            h = add_bias(b, h, w[2 * i + 1]);
            h = relu(b, h);
        }
        let y = matmul(b, h, w[2 * layers]);
        let y = add_bias(b, y, w[2 * layers + 1]);
        cross_entropy(b, y, x[1])
    })
}

fn conv(b: &mut Builder, x: Value, w: Value) -> Value {
    let dims = ConvDims {
        lhs_batch: 0,
        lhs_feature: 3,
        lhs_spatial: vec![1, 2],
        rhs_input: 2,
        rhs_output: 3,
        rhs_spatial: vec![0, 1],
        out_batch: 0,
        out_feature: 3,
        out_spatial: vec![1, 2],
    };
    let convolution = Convolution {
        dims,
        strides: vec![1, 1],
        padding: vec![(1, 1); 2],
        lhs_dilation: vec![1, 1],
        rhs_dilation: vec![1, 1],
        feature_groups: 1,
        batch_groups: 1,
    };
    b.push(convolution, &[x, w])
}

fn max_pool(b: &mut Builder, x: Value) -> Value {
    let pool = ReduceWindow {
        kind: ReduceKind::Max,
        window: vec![1, 2, 2, 1],
        strides: vec![1, 2, 2, 1],
        padding: vec![(0, 0); 4],
        base_dilation: vec![1; 4],
        window_dilation: vec![1; 4],
    };
    b.push(pool, &[x])
}

/// Two 3×3 convolutions with pooling and a dense layer, on square images of one channel.
pub fn cnn(batch: usize, side: usize, channels: usize) -> Step {
    let flat = side / 4 * (side / 4) * 2 * channels;
    let shapes = [
        vec![3, 3, 1, channels],
        vec![channels],
        vec![3, 3, channels, 2 * channels],
        vec![2 * channels],
        vec![flat, 10],
        vec![10],
    ];
    train(&shapes, vec![noise(&[batch, side, side, 1], 99), labels(batch, 10)], |b, w, x| {
        let mut h = x[0];
        for i in 0..2 {
            h = conv(b, h, w[2 * i]);
            h = add_bias(b, h, w[2 * i + 1]);
            h = relu(b, h);
            h = max_pool(b, h);
        }
        let h = b.reshape(h, [batch, flat]);
        let y = matmul(b, h, w[4]);
        let y = add_bias(b, y, w[5]);
        cross_entropy(b, y, x[1])
    })
}

/// An LSTM layer as one input product and a scan, and a dense layer on its last state.
pub fn lstm(batch: usize, steps: usize, features: usize, units: usize) -> Step {
    let shapes = [vec![features, 4 * units], vec![units, 4 * units], vec![4 * units], vec![units, 10], vec![10]];
    train(&shapes, vec![noise(&[steps, batch, features], 99), labels(batch, 10)], |b, w, x| {
        let projected = matmul(b, x[0], w[0]);
        let projected = add_bias(b, projected, w[2]);
        let mut body = Graph::new();
        let ty = |dims: &[usize]| TensorType::new(DType::F32, dims);
        let u = body.parameter(ty(&[units, 4 * units]));
        let (h, c) = (body.parameter(ty(&[batch, units])), body.parameter(ty(&[batch, units])));
        let z = body.parameter(ty(&[batch, 4 * units]));
        let mut i = Builder::new(&mut body);
        let r = matmul(&mut i, h, u);
        let z = i.add(z, r);
        let gate = |i: &mut Builder, g: usize, kind: UnaryKind| {
            let part = i.slice_axis(z, 1, g * units, (g + 1) * units);
            i.unary(kind, part)
        };
        let input = gate(&mut i, 0, UnaryKind::Logistic);
        let forget = gate(&mut i, 1, UnaryKind::Logistic);
        let cell = gate(&mut i, 2, UnaryKind::Tanh);
        let output = gate(&mut i, 3, UnaryKind::Logistic);
        let kept = i.mul(forget, c);
        let added = i.mul(input, cell);
        let c = i.add(kept, added);
        let t = i.unary(UnaryKind::Tanh, c);
        let h = i.mul(output, t);
        i.finish().unwrap();
        body.set_outputs(vec![h, c]);
        let zero = b.full(&ty(&[batch, units]), 0.0);
        let scan = Scan { body: Arc::new(body), consts: 1, carries: 2, length: Dim::Known(steps), reverse: false };
        let last = b.push(scan, &[w[1], zero, zero, projected]);
        let y = matmul(b, last, w[3]);
        let y = add_bias(b, y, w[4]);
        cross_entropy(b, y, x[1])
    })
}

/// A transformer block (attention and a two-layer network, each after layer normalisation), and a dense layer on the
/// mean over positions.
pub fn transformer(batch: usize, length: usize, width: usize, heads: usize) -> Step {
    let shapes = [
        vec![width],
        vec![width],
        vec![width, 3 * width],
        vec![3 * width],
        vec![width, width],
        vec![width],
        vec![width],
        vec![width, 4 * width],
        vec![4 * width],
        vec![4 * width, width],
        vec![width, 10],
    ];
    train(&shapes, vec![noise(&[batch, length, width], 99), labels(batch, 10)], |b, w, x| {
        let each = width / heads;
        let n = layer_norm(b, x[0], w[0], w[1]);
        let qkv = matmul(b, n, w[2]);
        let qkv = add_bias(b, qkv, w[3]);
        let part = |b: &mut Builder, i: usize| {
            let p = b.slice_axis(qkv, 2, i * width, (i + 1) * width);
            let p = b.reshape(p, [batch, length, heads, each]);
            b.transpose(p, &[0, 2, 1, 3])
        };
        let (q, k, v) = (part(b, 0), part(b, 1), part(b, 2));
        let pairs = |lhs: usize, rhs: usize| DotGeneral {
            lhs_batch: vec![0, 1],
            rhs_batch: vec![0, 1],
            lhs_contract: vec![lhs],
            rhs_contract: vec![rhs],
        };
        let scores = b.dot_general(pairs(3, 3), q, k);
        let scores = b.scale(scores, 1.0 / (each as f64).sqrt());
        let p = softmax(b, scores);
        let o = b.dot_general(pairs(3, 2), p, v);
        let o = b.transpose(o, &[0, 2, 1, 3]);
        let o = b.reshape(o, [batch, length, width]);
        let o = matmul(b, o, w[4]);
        let y = b.add(x[0], o);
        let n = layer_norm(b, y, w[5], w[6]);
        let h = matmul(b, n, w[7]);
        let h = add_bias(b, h, w[8]);
        let h = relu(b, h);
        let h = matmul(b, h, w[9]);
        let y = b.add(y, h);
        let mean = b.sum(y, &[1]);
        let mean = b.scale(mean, 1.0 / length as f64);
        let y = matmul(b, mean, w[10]);
        cross_entropy(b, y, x[1])
    })
}
