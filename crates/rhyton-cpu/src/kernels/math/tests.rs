//! Sweeps over the whole range of `f32` against `f64`, on each instruction set.

use super::*;

/// Values of every exponent and sign, those around them, and the special ones; the length is odd.
fn sweep() -> Vec<f32> {
    let mut values = vec![
        0.0,
        -0.0,
        1.0,
        -1.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        f32::MIN_POSITIVE,
        f32::from_bits(1),
        -f32::from_bits(1),
        f32::MAX,
        f32::MIN,
        88.7,
        88.8,
        -87.3,
        -103.9,
        -104.1,
        0.921_875,
        9.01,
        -17.4,
        1e5,
        1.1e5,
    ];
    values.extend((0..u32::MAX / 9973).map(|i| f32::from_bits(i * 9973)));
    // Where the functions change.
    values.extend((-20_000..20_001).map(|i| i as f32 * 0.0007));
    values
}

/// Distance in units in the last place of the expected value.
fn ulps(found: f32, expected: f64) -> f64 {
    let rounded = expected as f32;
    if found.is_nan() && rounded.is_nan() || found == rounded {
        return 0.0;
    }
    if !found.is_finite() || !rounded.is_finite() {
        return f64::INFINITY;
    }
    let unit =
        f64::from(rounded.abs().max(f32::MIN_POSITIVE).next_up()) - f64::from(rounded.abs().max(f32::MIN_POSITIVE));
    (f64::from(found) - expected).abs() / unit
}

#[test]
fn functions_of_f32_are_accurate_everywhere() {
    let x = sweep();
    let functions = [
        (UnaryKind::Exp, 2.0),
        (UnaryKind::Expm1, 2.0),
        (UnaryKind::Log, 2.0),
        (UnaryKind::Log1p, 2.0),
        (UnaryKind::Tanh, 2.5),
        (UnaryKind::Logistic, 2.5),
        (UnaryKind::Erf, 2.0),
        (UnaryKind::Sin, 1.0),
        (UnaryKind::Cos, 1.0),
        (UnaryKind::Tan, 1.0),
        (UnaryKind::Sqrt, 0.51),
        (UnaryKind::Rsqrt, 1.5),
        (UnaryKind::Abs, 0.0),
        (UnaryKind::Neg, 0.0),
        (UnaryKind::Sign, 0.0),
        (UnaryKind::Floor, 0.0),
        (UnaryKind::Ceil, 0.0),
        (UnaryKind::Trunc, 0.0),
        (UnaryKind::RoundNearestEven, 0.0),
        (UnaryKind::Atan, 0.51),
        (UnaryKind::Sinh, 0.51),
        (UnaryKind::Erfc, 0.51),
    ];
    for isa in Isa::available() {
        for (kind, limit) in functions {
            let mut y = vec![0.0; x.len()];
            apply_unary(isa, kind, &x, &mut y);
            let exact = double::function(kind).unwrap();
            let mut worst = (0.0, 0.0, 0.0);
            for (&x, &y) in x.iter().zip(&y) {
                let expected = exact(f64::from(x));
                let error = ulps(y, expected);
                if error > worst.0 {
                    worst = (error, x, y);
                }
                if expected == 0.0 {
                    assert_eq!(y.is_sign_negative(), expected.is_sign_negative(), "{isa} {kind:?}({x})");
                }
                match kind {
                    UnaryKind::Tanh | UnaryKind::Erf => {
                        assert!(y.is_nan() || y.abs() <= 1.0, "{isa} {kind:?}({x}) = {y}")
                    }
                    UnaryKind::Logistic => assert!(y.is_nan() || (0.0..=1.0).contains(&y), "{isa} {kind:?}({x}) = {y}"),
                    _ => {}
                }
            }
            assert!(worst.0 <= limit, "{isa} {kind:?}({:e}) = {:e} is {} ulp off", worst.1, worst.2, worst.0);
        }
    }
}

#[test]
fn powers_and_extremes() {
    let some: Vec<f32> = vec![
        0.0,
        -0.0,
        1.0,
        -1.0,
        2.0,
        -2.0,
        0.5,
        -0.5,
        3.0,
        -3.0,
        1e-40,
        1e-3,
        1.000_001,
        0.999_999,
        1e30,
        -7.0,
        2.5,
        -2.5,
        100.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        f32::MAX,
        16_777_217.0,
        0.1,
    ];
    let random = sweep();
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for &a in &some {
        for &b in &some {
            x.push(a);
            y.push(b);
        }
    }
    x.extend(random.iter().step_by(3));
    y.extend((0..random.len().div_ceil(3)).map(|i| (i % 401) as f32 * 0.05 - 10.0));
    for isa in Isa::available() {
        let mut out = vec![0.0; x.len()];
        apply_binary(isa, BinaryKind::Pow, &x, &y, &mut out);
        for i in 0..x.len() {
            let expected = f64::from(x[i]).powf(f64::from(y[i]));
            assert!(ulps(out[i], expected) <= 1.0, "{isa}: {}^{} = {}, not {expected}", x[i], y[i], out[i]);
            assert!(
                out[i].is_nan() || out[i].is_sign_negative() == expected.is_sign_negative(),
                "{isa}: {}^{}",
                x[i],
                y[i]
            );
        }
        apply_binary(isa, BinaryKind::Maximum, &x, &y, &mut out);
        for i in 0..x.len() {
            let nan = x[i].is_nan() || y[i].is_nan();
            assert!(if nan { out[i].is_nan() } else { out[i] == x[i].max(y[i]) }, "{isa}: max({}, {})", x[i], y[i]);
        }
        apply_binary(isa, BinaryKind::NextAfter, &x, &y, &mut out);
        for i in 0..x.len() {
            let expected = libm::nextafterf(x[i], y[i]);
            assert!(out[i] == expected || out[i].is_nan() && expected.is_nan(), "{isa}: nextafter({}, {})", x[i], y[i]);
        }
    }
}

#[test]
fn rare_functions_of_f64() {
    let f = |kind| double::function(kind).unwrap();
    for i in -99..100 {
        let x = f64::from(i) * 0.01;
        assert!((libm::erf(f(UnaryKind::ErfInv)(x)) - x).abs() < 1e-14, "erf_inv({x})");
    }
    assert_eq!(f(UnaryKind::ErfInv)(1.0), f64::INFINITY);
    // ψ(1) = -γ, ψ(1/2) = -γ - 2 ln 2, ψ(-1/2) = ψ(1/2) + 2.
    let gamma = 0.577_215_664_901_532_9;
    assert!((f(UnaryKind::Digamma)(1.0) + gamma).abs() < 1e-14);
    assert!((f(UnaryKind::Digamma)(0.5) + gamma + 2.0 * std::f64::consts::LN_2).abs() < 1e-14);
    assert!((f(UnaryKind::Digamma)(-0.5) - f(UnaryKind::Digamma)(0.5) - 2.0).abs() < 1e-13);
}

#[test]
fn integers_wrap_and_do_not_trap() {
    let x = [i32::MIN, -7, 7, 5, -1, 3, i32::MAX];
    let y = [-1, 2, -2, 0, 40, 31, 1];
    let apply = |isa, kind| {
        let mut out = [0; 7];
        apply_binary(isa, kind, &x, &y, &mut out);
        out
    };
    for isa in Isa::available() {
        assert_eq!(apply(isa, BinaryKind::Div), [i32::MIN, -3, -3, 0, 0, 0, i32::MAX]);
        assert_eq!(apply(isa, BinaryKind::Rem), [0, -1, 1, 0, -1, 3, 0]);
        assert_eq!(apply(isa, BinaryKind::Add)[6], i32::MIN);
        assert_eq!(apply(isa, BinaryKind::ShiftLeft), [0, -28, 0, 5, 0, i32::MIN, -2]);
        assert_eq!(apply(isa, BinaryKind::ShiftRightArithmetic), [-1, -2, 0, 5, -1, 0, i32::MAX >> 1]);
        assert_eq!(apply(isa, BinaryKind::ShiftRightLogical)[4], 0);
        assert_eq!(apply(isa, BinaryKind::Pow), [0, 49, 0, 1, 1, 3i32.wrapping_pow(31), i32::MAX]);
        let mut out = [0; 7];
        apply_unary(isa, UnaryKind::Abs, &x, &mut out);
        assert_eq!(out, [i32::MIN, 7, 7, 5, 1, 3, i32::MAX]);
    }
}

#[test]
fn comparisons_choices_and_tests() {
    let x: Vec<f32> = (0..37).map(|i| if i == 5 { f32::NAN } else { i as f32 }).collect();
    let y = vec![7.0f32; 37];
    for isa in Isa::available() {
        let mut less = vec![false; 37];
        compare(isa, Direction::Lt, &x, &y, &mut less);
        assert!((0..37).all(|i| less[i] == (x[i] < 7.0)));
        compare(isa, Direction::Ne, &x, &x, &mut less);
        assert!((0..37).all(|i| less[i] == (i == 5)));
        let mut out = vec![0; 37];
        let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
        select(isa, &less, &bits(&y), &bits(&x), &mut out);
        assert!((0..37).all(|i| f32::from_bits(out[i]) == if i == 5 { 7.0 } else { x[i] }));
    }
    let mut found = vec![false; 37];
    is_nan(&x, &mut found);
    assert!((0..37).all(|i| found[i] == (i == 5)));
    is_finite(&x, &mut found);
    assert!((0..37).all(|i| found[i] == (i != 5)));
}

#[test]
fn conversions_of_all_16_bit_floats() {
    for isa in Isa::available() {
        let halves: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).collect();
        let mut singles = vec![0f32; halves.len()];
        convert::convert(isa, &halves, &mut singles);
        let mut back = vec![f16::ZERO; halves.len()];
        convert::convert(isa, &singles, &mut back);
        for i in 0..halves.len() {
            assert!(singles[i] == halves[i].to_f32() || singles[i].is_nan() && halves[i].is_nan());
            assert!(back[i].to_bits() == halves[i].to_bits() || back[i].is_nan() && halves[i].is_nan());
        }
        let mut brains = vec![bf16::ZERO; 3 * 65_536];
        let near: Vec<f32> = (0..3 * 65_536u32)
            .map(|i| f32::from_bits((i / 3) << 16 | [0x7fff, 0x8000, 0x8001][i as usize % 3]))
            .collect();
        convert::convert(isa, &near, &mut brains);
        for (x, found) in near.iter().zip(&brains) {
            let expected = bf16::from_f32(*x);
            assert!(found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan(), "{x}");
        }
        let mut y = [bf16::ZERO; 2];
        apply_unary(isa, UnaryKind::Exp, &[bf16::ONE, bf16::ZERO], &mut y);
        assert_eq!(y, [bf16::from_f32(std::f32::consts::E), bf16::ONE]);
    }
}

#[test]
fn conversions_truncate_saturate_and_wrap() {
    for isa in Isa::available() {
        let mut bytes = [0i8; 5];
        convert::convert(isa, &[1.9f32, -1.9, 300.0, -300.0, f32::NAN], &mut bytes);
        assert_eq!(bytes, [1, -1, 127, -128, 0]);
        convert::convert(isa, &[1i32, -1, 128, 256, 511], &mut bytes);
        assert_eq!(bytes, [1, -1, -128, 0, -1]);
        let mut truths = [false; 3];
        convert::convert(isa, &[0.0f64, -0.0, f64::NAN], &mut truths);
        assert_eq!(truths, [false, false, true]);
    }
}
