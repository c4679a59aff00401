//! Shape rules: what they say is what evaluation gives, with numbers and with symbols.

use rhyton_ir::op::Sample;
use rhyton_ir::{Array, Bindings, Dim, Op, Shape, TensorType, interpret};

fn samples() -> impl Iterator<Item = (String, Sample)> {
    Op::samples().into_iter().flat_map(|(name, samples)| {
        samples.into_iter().enumerate().map(move |(i, sample)| (format!("{name} sample {i}"), sample))
    })
}

fn type_of(x: &Array) -> TensorType {
    TensorType::new(x.dtype(), x.shape())
}

#[test]
fn inferred_types_are_those_of_evaluation() {
    for (what, sample) in samples() {
        let graph = sample.graph().unwrap_or_else(|e| panic!("{what}: {e}"));
        let out = interpret::run(&graph, &sample.inputs).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(out.iter().map(type_of).collect::<Vec<_>>(), graph.output_types(), "{what}");
    }
}

#[test]
fn every_primitive_but_parameters_has_samples() {
    for (name, samples) in Op::samples() {
        assert!(!samples.is_empty() || name == "Parameter", "{name}");
    }
}

/// With a symbol for the first size of the operands that have the first operand's, inference may refuse (an attribute
/// is a number), but what it accepts must become the types of evaluation when the symbol is bound. Symbols stand for
/// at least 1: over no elements, padding between them has no formula of sums and products.
#[test]
fn symbols_bound_later_give_the_same_types() {
    let mut accepted = 0;
    for (what, sample) in samples() {
        let Some(&size) = sample.inputs.first().and_then(|x| x.shape().first()).filter(|&&d| d > 0) else {
            continue;
        };
        let symbolic = |x: &Array| {
            let with_symbol = |(axis, &d): (usize, &usize)| {
                if axis == 0 && d == size { Dim::symbol("b") } else { Dim::Known(d) }
            };
            TensorType::new(x.dtype(), x.shape().iter().enumerate().map(with_symbol).collect::<Shape>())
        };
        let types: Vec<TensorType> = sample.inputs.iter().map(symbolic).collect();
        let Ok(inferred) = sample.op.infer(&types.iter().collect::<Vec<_>>()) else { continue };
        accepted += 1;
        let bindings = Bindings::from([("b".to_owned(), size)]);
        let graph = sample.graph().unwrap();
        for (inferred, ty) in inferred.iter().zip(graph.output_types()) {
            assert_eq!(inferred.dtype, ty.dtype, "{what}");
            assert_eq!(inferred.shape.bind(&bindings), ty.shape, "{what}: {inferred} of {types:?}");
        }
    }
    assert!(accepted > 100, "only {accepted} samples take symbols");
}

#[test]
fn the_wrong_number_of_operands_is_refused_without_panic() {
    for (what, sample) in samples() {
        let types: Vec<TensorType> = sample.inputs.iter().map(type_of).collect();
        let types: Vec<&TensorType> = types.iter().collect();
        for count in 0..types.len() {
            // Concatenation and sorting take any number.
            if sample.op.infer(&types[..count]).is_ok() {
                assert!(matches!(sample.op, Op::Concatenate(_) | Op::Sort(_) | Op::CustomCall(_)), "{what}");
            }
        }
        let arrays: Vec<&Array> = sample.inputs.iter().collect();
        for count in 0..arrays.len() {
            _ = sample.op.eval(&arrays[..count]);
        }
    }
}
