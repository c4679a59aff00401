//! Functions of `keras.ops` that have no class that files could name, against Keras (`fixtures/make_functions.py`).

use rhyton_core::ops::{self, Unique};
use rhyton_core::prelude::*;
use serde_json::Value;

fn line() -> Tensor {
    Tensor::new([6], vec![0.5f32, -1.25, 3.0, 0.0, 2.5, -0.75])
}

fn whole() -> Tensor {
    Tensor::new([2, 3], vec![3i32, 1, 3, 2, 1, 0])
}

/// What the calls of the script give here.
fn results(function: &str) -> Result<Vec<Tensor>> {
    let one = [Tensor::from(1.0f32)];
    let windows = |window: fn(usize) -> Tensor| [1, 6, 7].map(window).to_vec();
    Ok(match function {
        "arange" => vec![
            ops::arange(7, None, None, None),
            ops::arange(2, Some(9.into()), Some(3.into()), None),
            ops::arange(1.0, Some(2.0.into()), Some(0.25.into()), None),
        ],
        "bartlett" => windows(ops::bartlett),
        "blackman" => windows(ops::blackman),
        "hamming" => windows(ops::hamming),
        "hanning" => windows(ops::hanning),
        "kaiser" => vec![ops::kaiser(1, 5.0), ops::kaiser(6, 5.0), ops::kaiser(7, 2.0)],
        "eye" => vec![ops::eye(3, None, 0, None), ops::eye(4, Some(5), 1, None), ops::eye(3, Some(2), -1, None)],
        "identity" => vec![ops::identity(3, None)],
        "tri" => vec![ops::tri(3, None, 0, None), ops::tri(2, Some(4), 1, None), ops::tri(3, Some(3), -1, None)],
        "full" => vec![ops::full([2, 3], 1.5, None)],
        "i0" => vec![ops::i0(&line())],
        "eigh" => {
            let matrix = Tensor::new([3, 3], vec![2.0f32, 0.5, -0.3, 0.5, 1.5, 0.2, -0.3, 0.2, 1.0]);
            vec![ops::eigh(&matrix).0]
        }
        "unique" => ops::unique(&whole(), Unique { index: false, inverse: true, counts: true })?,
        "nonzero" => ops::nonzero(&whole())?,
        "argpartition" => {
            let places = ops::argpartition(&line(), 2, Some(-1));
            vec![ops::take(&line(), ops::get_item(&places, 2..3), None)]
        }
        "scan" => {
            let step = |c: &[Tensor], x: &[Tensor]| Ok((vec![&c[0] * 0.5 + &x[0]], vec![c[0].clone()]));
            ops::scan(step, &one, &[line()], None, false)?.1
        }
        "associative_scan" => ops::associative_scan(|a, b| Ok(vec![&a[0] * 0.5 + &b[0]]), &[line()], false, 0)?,
        "while_loop" => {
            let start = [Tensor::from(0i32), Tensor::from(1.5f32)];
            let step = |s: &[Tensor]| Ok(vec![&s[0] + 1, &s[1] * 2.0]);
            ops::while_loop(|s| Ok(ops::less(&s[0], 3)), step, &start, None)?.split_off(1)
        }
        "fori_loop" => ops::fori_loop(0, 4, |i, x| Ok(vec![&x[0] + i.cast(DType::F32)]), &[Tensor::from(0.5f32)])?,
        "map" => ops::map(|x| Ok(vec![&x[0] * &x[0]]), &[line()])?,
        "zeros" => vec![ops::zeros([2, 3], None), ops::zeros([2], Some(DType::I32))],
        "ones" => vec![ops::ones([2, 3], None), ops::ones([2], Some(DType::U8))],
        "cond" => {
            let chosen = |p: bool| ops::cond(&Tensor::from(p), || Ok(vec![line() * 2.0]), || Ok(vec![line() + 1.0]));
            [chosen(true)?, chosen(false)?].concat()
        }
        "switch" => {
            let chosen = |i: i32| {
                let next = |x: &[Tensor]| Ok(vec![&x[0] + 1.0]);
                let square = |x: &[Tensor]| Ok(vec![&x[0] * &x[0]]);
                ops::switch(&Tensor::from(i), &[&next, &square], &[line()])
            };
            [chosen(0)?, chosen(1)?, chosen(5)?].concat()
        }
        "polar" => <[Tensor; 2]>::from(ops::polar(&ops::abs(&line()), &line())).to_vec(),
        "view_as_complex" => <[Tensor; 2]>::from(ops::view_as_complex(&ops::reshape(&line(), &[3, 2]))).to_vec(),
        "view_as_real" => {
            let (real, imaginary) = ops::view_as_complex(&ops::reshape(&line(), &[3, 2]));
            vec![ops::view_as_real((&real, &imaginary))]
        }
        "vectorized_map" => ops::vectorized_map(|x| Ok(vec![&x[0] + 1.0]), &[line()])?,
        other => panic!("{other} is not called here"),
    })
}

#[test]
fn functions_give_what_keras_gives() {
    let cases: Value = serde_json::from_str(include_str!("../fixtures/op_functions/functions.json")).unwrap();
    let mut failures = Vec::new();
    for case in cases.as_array().unwrap() {
        let function = case["function"].as_str().unwrap();
        let expected = case["results"].as_array().unwrap();
        let results = results(function).unwrap_or_else(|e| panic!("{function}: {e}"));
        assert_eq!(results.len(), expected.len(), "{function}");
        for (result, expected) in results.iter().zip(expected) {
            let array = result.eval().unwrap_or_else(|e| panic!("{function}: {e}"));
            let shape: Vec<usize> =
                expected["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
            let values: Vec<f64> = expected["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            let close = array.to_f64_vec().iter().zip(&values).all(|(a, e)| (a - e).abs() <= 2e-6 * (1.0 + e.abs()));
            if array.dtype().name() != expected["dtype"] || array.shape() != shape || !close {
                failures.push(format!(
                    "{function}: {} {:?} {:?}, Keras has {expected}",
                    array.dtype(),
                    array.shape(),
                    array.to_f64_vec()
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
