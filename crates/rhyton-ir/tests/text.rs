//! The text form: what is written is read back, and what is not a graph is refused with its line.

use std::sync::Arc;

use rhyton_ir::op::{CustomCall, HostFunction};
use rhyton_ir::random_graph::random_graph;
use rhyton_ir::{Array, Builder, DType, Dim, Error, Graph, Op, Result, TensorType, interpret, text};

fn assert_round_trip(what: &str, graph: &Graph) {
    let written = text::to_text(graph);
    let read = text::parse(&written).unwrap_or_else(|e| panic!("{what}: {e}\n{written}"));
    assert_eq!(text::to_text(&read), written, "{what}");
    // Graphs with NaN are unequal to themselves.
    if graph == &graph.clone() {
        assert_eq!(&read, graph, "{what}\n{written}");
    }
}

#[test]
fn samples_and_their_gradients_round_trip() {
    for (name, samples) in Op::samples() {
        for sample in samples {
            let graph = sample.graph().unwrap();
            assert_round_trip(name, &graph);
            let floats: Vec<usize> =
                (0..sample.inputs.len()).filter(|&i| sample.inputs[i].dtype().is_float()).collect();
            if let Ok(forward) = rhyton_ir::grad::jvp(&graph, &floats) {
                assert_round_trip(name, &forward);
            }
        }
    }
}

#[test]
fn random_graphs_round_trip() {
    for seed in 0..200 {
        assert_round_trip(&format!("seed {seed}"), &random_graph(seed, 30).graph);
    }
}

fn example() -> Graph {
    let mut graph = Graph::new();
    let x = graph.parameter(TensorType::new(DType::F32, vec![Dim::symbol("b"), 3.into()]));
    let mut b = Builder::new(&mut graph);
    let y = b.unary(rhyton_ir::op::UnaryKind::Tanh, x);
    let sum = b.sum(y, &[1]);
    b.finish().unwrap();
    graph.set_outputs(vec![sum, x]);
    graph
}

#[test]
fn the_text_is_readable() {
    let expected = "\
graph(%0: float32[b,3]) {
  %1 = tanh(%0) : float32[b,3]
  %2 = reduce(%1) {kind: sum, axes: [1]} : float32[b]
  return %2, %0
}
";
    assert_eq!(example().to_string(), expected);
}

#[test]
fn errors_name_the_line() {
    let line_of = |text: &str| match text::parse(text) {
        Err(Error::Parse { line, .. }) => line,
        other => panic!("{other:?} of {text}"),
    };
    let good = text::to_text(&example());
    assert_eq!(line_of(""), 1);
    assert_eq!(line_of(&good.replace("graph(", "body(")), 1);
    assert_eq!(line_of(&good.replace("float32[b,3])", "float7[b,3])")), 1);
    assert_eq!(line_of(&good.replace("tanh", "tanj")), 2);
    assert_eq!(line_of(&good.replace("%1 = ", "%7 = ")), 2);
    assert_eq!(line_of(&good.replace("axes: [1]", "axes: [9]")), 3);
    assert_eq!(line_of(&good.replace("axes: [1]", "axes: [1")), 3);
    assert_eq!(line_of(&good.replace("(%1)", "(%2)")), 3);
    assert_eq!(line_of(&good.replace(": float32[b]\n", ": float32[4]\n")), 3);
    assert_eq!(line_of(&good.replace("return %2", "return %2.1")), 4);
    assert_eq!(line_of(&good.replace("}\n", "")), 4);
    assert_eq!(line_of(&format!("{good}more")), 6);
    assert_eq!(line_of(&"body() {\n".repeat(10_000)), 2);
}

/// Changes characters of valid texts at places that look random: each result is a graph or an error, not a panic.
#[test]
fn garbage_never_panics() {
    let mut state = 7u64;
    let mut next = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let texts: Vec<String> = (0..40)
        .map(|seed| random_graph(seed, 12).graph)
        .chain(Op::samples().into_iter().filter_map(|(_, s)| s.first()?.graph().ok()))
        .map(|g| text::to_text(&g))
        .filter(|t| t.len() < 4000)
        .collect();
    let replacements: Vec<char> = "0123456789,.:;(){}[]%=-\" abcxyz\nλ".chars().collect();
    for text in &texts {
        for _ in 0..60 {
            let mut chars: Vec<char> = text.chars().collect();
            for _ in 0..1 + next(3) {
                let at = next(chars.len());
                match next(3) {
                    0 => chars[at] = replacements[next(replacements.len())],
                    1 => _ = chars.remove(at),
                    _ => chars.insert(at, replacements[next(replacements.len())]),
                }
            }
            _ = text::parse(&chars.into_iter().collect::<String>());
        }
        let cut = text.char_indices().nth(next(text.chars().count())).map_or(0, |(i, _)| i);
        assert!(matches!(text::parse(&text[..cut]), Err(Error::Parse { .. })));
    }
}

#[derive(Debug)]
struct Twice;

impl HostFunction for Twice {
    fn name(&self) -> &str {
        "twice } of \"it\""
    }
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        Ok(vec![inputs[0].clone()])
    }
    fn call(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        Ok(vec![Array::new(inputs[0].shape(), inputs[0].to_f64_vec().iter().map(|x| 2.0 * x).collect::<Vec<_>>())])
    }
}

#[test]
fn host_functions_are_found_by_name() {
    let mut graph = Graph::new();
    let x = graph.parameter(TensorType::new(DType::F64, [2]));
    let y = graph.push(CustomCall { target: Arc::new(Twice) }, &[x]).unwrap();
    graph.set_outputs(vec![y]);
    let written = text::to_text(&graph);
    let input = [Array::new([2], vec![1.0f64, 2.0])];
    let unresolved = text::parse(&written).unwrap();
    assert_eq!(unresolved, graph);
    assert!(matches!(interpret::run(&unresolved, &input), Err(Error::Unsupported(_))));
    let resolved = text::parse_with(&written, &[Arc::new(Twice)]).unwrap();
    assert_eq!(interpret::run(&resolved, &input).unwrap()[0].to_f64_vec(), [2.0, 4.0]);
}
