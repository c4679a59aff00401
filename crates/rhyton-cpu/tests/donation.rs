//! Donated buffers: whatever else reads the old value, the results are those without donation.

use rhyton_cpu::CpuBackend;
use rhyton_ir::backend::{Backend, CompileOptions};
use rhyton_ir::op::{BinaryKind, Reverse};
use rhyton_ir::random_graph::{RandomGraph, random_graph};
use rhyton_ir::{Array, Builder, DType, Error, Graph, TensorType, Value};

fn run(graph: &Graph, inputs: &[Array], donations: &[(usize, usize)]) -> Vec<Array> {
    let options = CompileOptions { donations: donations.to_vec(), ..CompileOptions::default() };
    let executable = CpuBackend::new(1).compile(graph, &options).unwrap();
    let mut outputs = Vec::new();
    for _ in 0..2 {
        let mut arguments = inputs.to_vec();
        executable.run(&mut arguments, &mut outputs).unwrap();
        for &(p, _) in donations {
            assert!(arguments[p].is_empty(), "a donated argument is taken out");
        }
    }
    outputs
}

fn check(graph: &Graph, inputs: &[Array], donations: &[(usize, usize)], what: &str) {
    let (plain, donated) = (run(graph, inputs, &[]), run(graph, inputs, donations));
    for (j, (a, b)) in plain.iter().zip(&donated).enumerate() {
        assert_eq!(a.data().bytes(), b.data().bytes(), "{what}, output {j}");
    }
}

/// A graph of two parameters of four numbers each.
fn of_two(outputs: impl FnOnce(&mut Builder, Value, Value) -> Vec<Value>) -> (Graph, Vec<Array>) {
    let mut graph = Graph::new();
    let ty = TensorType::new(DType::F32, [4]);
    let (x, y) = (graph.parameter(ty.clone()), graph.parameter(ty));
    let mut b = Builder::new(&mut graph);
    let outputs = outputs(&mut b, x, y);
    b.finish().unwrap();
    graph.set_outputs(outputs);
    let array = |from: f32| Array::new([4], (0..4).map(|i| from + i as f32).collect::<Vec<_>>());
    (graph, vec![array(1.0), array(10.0)])
}

#[test]
fn two_parameters_exchange_their_places() {
    let (graph, inputs) = of_two(|_, x, y| vec![y, x]);
    check(&graph, &inputs, &[(0, 0), (1, 1)], "exchange");
    check(&graph, &inputs, &[(0, 1), (1, 0)], "identity");
    check(&graph, &inputs, &[(0, 0)], "one of them");
}

#[test]
fn readers_of_the_old_value_come_first_or_it_is_kept() {
    let (graph, inputs) = of_two(|b, x, y| {
        let doubled = b.add(x, x);
        let back = b.push(Reverse { axes: vec![0] }, &[x]);
        // Reads the old x and the new one.
        let mixed = b.mul(back, doubled);
        vec![doubled, mixed, b.binary(BinaryKind::Maximum, x, y)]
    });
    check(&graph, &inputs, &[(0, 0)], "doubled over x");
    check(&graph, &inputs, &[(0, 1)], "mixed over x");
    check(&graph, &inputs, &[(0, 0), (1, 1)], "both");
    check(&graph, &inputs, &[(0, 2), (1, 0)], "crossed");
}

#[test]
fn a_reversed_parameter_may_replace_itself() {
    let (graph, inputs) = of_two(|b, x, y| {
        let back = b.push(Reverse { axes: vec![0] }, &[x]);
        vec![back, b.add(back, y)]
    });
    check(&graph, &inputs, &[(0, 0), (1, 1)], "reverse");
}

#[test]
fn random_graphs_give_the_same_with_every_donation_that_fits() {
    let mut donated = 0;
    for seed in 0..2000 {
        let RandomGraph { graph, inputs } = random_graph(seed, 4 + seed as usize % 20);
        let (parameters, outputs) = (graph.parameter_types(), graph.output_types());
        let mut donations: Vec<(usize, usize)> = Vec::new();
        for (j, ty) in outputs.iter().enumerate() {
            let free = |p: &usize| parameters[*p] == *ty && donations.iter().all(|d| d.0 != *p);
            if let Some(p) = (0..parameters.len()).find(free) {
                donations.push((p, j));
            }
        }
        if !donations.is_empty() {
            donated += 1;
            check(&graph, &inputs, &donations, &format!("random graph {seed} with {donations:?}"));
        }
    }
    assert!(donated > 100, "{donated} graphs had something to donate");
}

#[test]
fn wrong_donations_are_refused() {
    let (graph, _) = of_two(|_, x, y| vec![y, x]);
    for donations in [vec![(2, 0)], vec![(0, 5)], vec![(0, 0), (0, 1)], vec![(0, 0), (1, 0)]] {
        let options = CompileOptions { donations, ..CompileOptions::default() };
        assert!(matches!(CpuBackend::new(1).compile(&graph, &options), Err(Error::Argument(_))));
    }
    let mut graph = Graph::new();
    let x = graph.parameter(TensorType::new(DType::F32, [4]));
    graph.parameter(TensorType::new(DType::F32, [5]));
    graph.set_outputs(vec![x]);
    let options = CompileOptions { donations: vec![(1, 0)], ..CompileOptions::default() };
    assert!(matches!(CpuBackend::new(1).compile(&graph, &options), Err(Error::Argument(_))));
}

#[test]
fn arguments_of_other_types_are_refused() {
    let (graph, inputs) = of_two(|_, x, y| vec![y, x]);
    let executable = CpuBackend::new(1).compile(&graph, &CompileOptions::default()).unwrap();
    let mut outputs = Vec::new();
    assert!(matches!(executable.run(&mut inputs[..1].to_vec(), &mut outputs), Err(Error::Argument(_))));
    let wrong = vec![Array::zeros(DType::F32, [5]), inputs[1].clone()];
    assert!(matches!(executable.run(&mut wrong.clone(), &mut outputs), Err(Error::Shape(_))));
}
