//! Steps that are done part by part, in one pass over the heads of attention, give what the heads give one by one.

mod support;

use rhyton_cpu::CpuBackend;
use rhyton_ir::backend::{Backend, CompileOptions};
use rhyton_ir::op::DotGeneral;
use rhyton_ir::{Array, Builder, DType, Graph, TensorType, grad};

const LENGTH: usize = 100;
const DEPTH: usize = 24;

/// Attention of (batch, length, heads, depth): queries, keys, values and the gradient of the result give the result and the
/// gradients of the first three.
fn attention(batch: usize, heads: usize) -> Graph {
    let mut graph = Graph::new();
    let ty = TensorType::new(DType::F32, [batch, LENGTH, heads, DEPTH]);
    let inputs: Vec<_> = (0..4).map(|_| graph.parameter(ty.clone())).collect();
    let mut b = Builder::new(&mut graph);
    let pairs = |lhs_batch: [usize; 2], lhs: usize, rhs: usize| DotGeneral {
        lhs_batch: lhs_batch.to_vec(),
        rhs_batch: vec![0, 2],
        lhs_contract: vec![lhs],
        rhs_contract: vec![rhs],
    };
    let scores = b.dot_general(pairs([0, 2], 3, 3), inputs[0], inputs[1]);
    let scores = b.scale(scores, 0.2);
    let p = support::softmax(&mut b, scores);
    let out = b.dot_general(pairs([0, 1], 3, 1), p, inputs[2]);
    let out = b.transpose(out, &[0, 2, 1, 3]);
    b.finish().unwrap();
    let gradients = grad::vjp(&mut graph, &[out], &[Some(inputs[3])], &inputs[..3]).unwrap();
    graph.set_outputs(std::iter::once(out).chain(gradients.into_iter().map(Option::unwrap)).collect());
    graph
}

fn run(graph: &Graph, threads: usize, inputs: &[Array]) -> (Vec<Array>, String) {
    let executable = CpuBackend::new(threads).compile(graph, &CompileOptions::default()).unwrap();
    let mut outputs = Vec::new();
    executable.run(&mut inputs.to_vec(), &mut outputs).unwrap();
    (outputs, executable.describe())
}

#[test]
fn attention_in_one_pass_over_its_heads_is_that_of_each_head() {
    let (batch, heads) = (4, 8);
    let inputs: Vec<Array> = (0..4).map(|i| support::noise(&[batch, LENGTH, heads, DEPTH], i)).collect();
    let (all, plan) = run(&attention(batch, heads), 3, &inputs);
    assert_eq!(plan.matches("in 32 parts").count(), 2, "forward and backward are a pass each:\n{plan}");
    let one_head = attention(1, 1);
    let head = |x: &Array, image: usize, head: usize| -> Vec<f64> {
        let x = x.to_f64_vec();
        let row = |t: usize| ((image * LENGTH + t) * heads + head) * DEPTH;
        (0..LENGTH).flat_map(|t| x[row(t)..row(t) + DEPTH].to_vec()).collect()
    };
    for (image, which) in [(0, 0), (1, 7), (3, 4)] {
        let own: Vec<Array> = inputs
            .iter()
            .map(|x| {
                let x: Vec<f32> = head(x, image, which).into_iter().map(|x| x as f32).collect();
                Array::new([1, LENGTH, 1, DEPTH], x)
            })
            .collect();
        let (expected, plan) = run(&one_head, 1, &own);
        assert!(!plan.contains("parts:"), "{plan}");
        for (all, expected) in all.iter().zip(&expected) {
            assert_eq!(head(all, image, which), expected.to_f64_vec(), "head {which} of {image}");
        }
    }
}

#[test]
fn a_part_of_what_a_pass_makes_is_read_after_it() {
    // Element by element from the start, but half of them: its parts are not those of the whole.
    let mut graph = Graph::new();
    let ty = TensorType::new(DType::F32, [32, LENGTH, LENGTH]);
    let (x, y) = (graph.parameter(ty.clone()), graph.parameter(ty));
    let mut b = Builder::new(&mut graph);
    let dims = |lhs: usize| DotGeneral {
        lhs_batch: vec![0],
        rhs_batch: vec![0],
        lhs_contract: vec![lhs],
        rhs_contract: vec![1],
    };
    let product = b.dot_general(dims(2), x, y);
    let p = support::softmax(&mut b, product);
    let half = b.slice_axis(p, 0, 0, 16);
    let half = b.mul(half, half);
    let of_half = b.sum(half, &[2]);
    let shape = b.shape(half);
    let of_half = b.restore(of_half, &shape, &[2]);
    let half = b.sub(half, of_half);
    let y_half = b.slice_axis(y, 0, 0, 16);
    let first = b.dot_general(dims(2), half, y_half);
    let second = b.dot_general(dims(1), p, y);
    b.finish().unwrap();
    graph.set_outputs(vec![first, second]);
    let inputs: Vec<Array> = (0..2).map(|i| support::noise(&[32, LENGTH, LENGTH], i)).collect();
    let (out, plan) = run(&graph, 3, &inputs);
    let chain = plan.split("in 32 parts: ").nth(1).expect("the products and the softmax are a pass");
    let links = chain.lines().filter(|line| line.starts_with("  and ")).collect::<Vec<_>>();
    assert!(links.iter().all(|link| !link.contains("[1600, 100]")), "{links:?}");
    graph.set_outputs(vec![first, second, product, p, half]);
    let (expected, _) = run(&graph, 1, &inputs);
    for (out, expected) in out.iter().zip(&expected) {
        assert_eq!(out.to_f64_vec(), expected.to_f64_vec());
    }
}

#[test]
fn what_others_read_of_a_pass_is_kept() {
    // The probabilities are a result too, and what was multiplied is read again.
    let mut graph = Graph::new();
    let ty = TensorType::new(DType::F32, [32, LENGTH, LENGTH]);
    let (x, y) = (graph.parameter(ty.clone()), graph.parameter(ty));
    let mut b = Builder::new(&mut graph);
    let dims = |lhs: usize, rhs: usize| DotGeneral {
        lhs_batch: vec![0],
        rhs_batch: vec![0],
        lhs_contract: vec![lhs],
        rhs_contract: vec![rhs],
    };
    let product = b.dot_general(dims(2, 1), x, y);
    let p = support::softmax(&mut b, product);
    let first = b.dot_general(dims(2, 1), p, product);
    let second = b.dot_general(dims(1, 1), p, p);
    let total = b.add(first, second);
    // Heads of others: what is read is not a part's own.
    let turned = b.transpose(p, &[1, 0, 2]);
    let crossed = b.dot_general(DotGeneral { lhs_contract: vec![2], ..dims(2, 1) }, p, y);
    let mixed = b.sum(turned, &[1]);
    b.finish().unwrap();
    graph.set_outputs(vec![total, crossed, mixed]);
    let inputs: Vec<Array> = (0..2).map(|i| support::noise(&[32, LENGTH, LENGTH], i)).collect();
    let (out, plan) = run(&graph, 2, &inputs);
    assert!(plan.contains("in 32 parts"), "{plan}");
    // One by one, with every intermediate result kept.
    graph.set_outputs(vec![total, crossed, mixed, product, p, first, second]);
    let (expected, plan) = run(&graph, 1, &inputs);
    assert!(!plan.contains("in 32 parts"), "{plan}");
    for (out, expected) in out.iter().zip(&expected) {
        assert_eq!(out.to_f64_vec(), expected.to_f64_vec());
    }
}
