//! Factors multiply to the matrix and are what they should be; signs and orders are the interpreter's.

use rhyton_ir::Array;
use rhyton_ir::op::{Cholesky, Eigh, Lu, Primitive, Qr, Svd};

use super::*;

/// Numbers in −1 … 1 that look random.
fn noise(n: usize, seed: u64) -> Vec<f64> {
    let value = |i: u64| {
        let x = (i + seed * 7919 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let x = (x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (x >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..n as u64).map(value).collect()
}

fn multiplied(x: &[f64], y: &[f64], (m, k, n): (usize, usize, usize)) -> Vec<f64> {
    let element = |i: usize, j: usize| (0..k).map(|l| x[i * k + l] * y[l * n + j]).sum();
    (0..m * n).map(|at| element(at / n, at % n)).collect()
}

fn turned(x: &[f64], size: (usize, usize)) -> Vec<f64> {
    let mut out = vec![0.0; x.len()];
    transpose(x, size, &mut out);
    out
}

/// Within some roundings of the largest element.
fn assert_close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(f64::MIN_POSITIVE, |m, x| m.max(x.abs()));
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let same = f == e || f.is_nan() && e.is_nan() || (f - e).abs() <= 2e-13 * scale;
        assert!(same, "{what}: element {i} is {f}, expected {e}");
    }
}

fn assert_orthonormal(rows: &[f64], n: usize, what: &str) {
    let m = rows.len() / n.max(1);
    let identity: Vec<f64> = (0..m * m).map(|at| if at % (m + 1) == 0 { 1.0 } else { 0.0 }).collect();
    assert_close(&multiplied(rows, &turned(rows, (m, n)), (m, n, m)), &identity, what);
}

/// Calls `check` for every instruction set, on one thread and on two, and compares the bits.
fn everywhere(check: impl Fn(Machine<'_>, &str) -> Vec<f64>) {
    for isa in Isa::available() {
        let run = |threads| check(Machine { pool: &Pool::new(threads), isa }, isa.name());
        let (one, two) = (run(1), run(2));
        assert!(one.iter().zip(&two).all(|(x, y)| x.to_bits() == y.to_bits()), "{isa}: other bits on two threads");
    }
}

fn interpreted(op: &dyn Primitive, x: &[f64], shape: [usize; 2]) -> Vec<Vec<f64>> {
    let outputs = op.eval(&[&Array::new(shape, x.to_vec())]).unwrap();
    outputs.iter().map(Array::to_f64_vec).collect()
}

const SIZES: [usize; 9] = [1, 2, 3, 7, 16, 33, 64, 65, 131];

#[test]
fn cholesky_factors_are_the_interpreters() {
    everywhere(|machine, isa| {
        let mut all = Vec::new();
        for n in SIZES {
            let a = noise(n * n, 1);
            let mut x = multiplied(&a, &turned(&a, (n, n)), (n, n, n));
            (0..n).for_each(|i| x[i * n + i] += 0.1);
            let expected = interpreted(&Cholesky, &x, [n, n]);
            cholesky(machine, &mut x, n);
            assert_close(&x, &expected[0], &format!("{isa} {n}"));
            all.extend(x);
        }
        for n in [2, 70] {
            let mut x: Vec<f64> = (0..n * n).map(|at| if at % (n + 1) == 0 { 1.0 } else { 0.0 }).collect();
            x[n * n - 1] = -1.0;
            cholesky(machine, &mut x, n);
            assert!((0..n * n).all(|at| if at / n >= at % n { x[at].is_nan() } else { x[at] == 0.0 }), "{isa}");
        }
        all
    });
}

#[test]
fn lu_factors_are_the_interpreters() {
    everywhere(|machine, isa| {
        let mut all = Vec::new();
        for n in SIZES {
            let mut x = noise(n * n, 2);
            // Columns that are passed over.
            (0..n).for_each(|i| (x[i * n + n / 2], x[i * n]) = (0.0, if n == 7 { 0.0 } else { x[i * n] }));
            let expected = interpreted(&Lu, &x, [n, n]);
            let mut rows = vec![0; n];
            lu(machine, &mut x, n, &mut rows);
            assert_close(&x, &expected[0], &format!("{isa} {n}"));
            assert!(rows.iter().zip(&expected[1]).all(|(&row, &e)| f64::from(row) == e), "{isa} {n}");
            all.extend(x);
        }
        all
    });
}

#[test]
fn qr_factors_are_the_interpreters() {
    everywhere(|machine, isa| {
        let mut all = Vec::new();
        for (m, n) in [(1, 1), (3, 1), (1, 3), (5, 5), (31, 33), (40, 32), (33, 70), (70, 33), (131, 97), (20, 131)] {
            for (full, scale) in [(false, 1.0), (true, 1.0), (false, 1e-200), (true, 1e200)] {
                let x: Vec<f64> = noise(m * n, 3).iter().map(|x| x * scale).collect();
                let k = if full { m } else { m.min(n) };
                let (mut q, mut r) = (vec![7.0; m * k], x.clone());
                qr(machine, &mut r, (m, n), &mut q, k);
                let what = format!("{isa} ({m}, {n}) full {full} scale {scale}");
                assert_close(&multiplied(&q, &r[..k * n], (m, k, n)), &x, &what);
                assert_orthonormal(&turned(&q, (m, k)), m, &what);
                if scale == 1.0 {
                    let expected = interpreted(&Qr { full }, &x, [m, n]);
                    assert_close(&q, &expected[0], &what);
                    assert_close(&r[..k * n], &expected[1], &what);
                }
                all.extend(q);
            }
        }
        all
    });
}

#[test]
fn triangular_systems_are_solved() {
    everywhere(|machine, isa| {
        let mut all = Vec::new();
        for (n, count) in [(1, 1), (2, 3), (7, 8), (16, 9), (33, 17)] {
            let mut a: Vec<f64> = noise(n * n, 4).iter().map(|x| x / n as f64).collect();
            (0..n).for_each(|i| a[i * n + i] += 1.5);
            for bits in 0..8 {
                let [lower, transpose, unit_diagonal] = [1, 2, 4].map(|bit| bits & bit != 0);
                let read = |i: usize, j: usize| match i.cmp(&j) {
                    std::cmp::Ordering::Equal => {
                        if unit_diagonal {
                            1.0
                        } else {
                            a[i * n + j]
                        }
                    }
                    below => {
                        if (below == std::cmp::Ordering::Greater) == lower {
                            a[i * n + j]
                        } else {
                            0.0
                        }
                    }
                };
                let op: Vec<f64> =
                    (0..n * n).map(|at| if transpose { read(at % n, at / n) } else { read(at / n, at % n) }).collect();
                let mut x = noise(n * count, 5);
                // Rows are the right-hand sides: y·op(a)ᵀ.
                let mut y = multiplied(&x, &turned(&op, (n, n)), (count, n, n));
                solve_vectors(machine.isa, Triangle { lower, transpose, unit_diagonal }, &a, n, &mut y);
                assert_close(&y, &x, &format!("{isa} {n} {count} {bits}"));
                all.append(&mut x);
                all.extend(y);
            }
        }
        all
    });
}

/// Symmetric matrices of all kinds: full, without full rank, diagonal, of equal values, graded, zero.
fn symmetric(n: usize, kind: usize) -> Vec<f64> {
    let a = noise(n * n, 6);
    let pair = |i: usize, j: usize| (i.min(j), i.max(j));
    (0..n * n)
        .map(|at| {
            let (i, j) = pair(at / n, at % n);
            let value = match kind {
                0 => (a[i * n + j], true),
                1 => (((i + 1) * (j + 1)) as f64, true),
                2 => (a[i], i == j),
                3 => (if i == j { 2.0 } else { 1.0 }, true),
                4 => (a[i * n + j] * 10f64.powi(-((i + j) as i32 % 30)), true),
                5 => (1.0, j == i + 1),
                6 => (a[i * n + j] * 1e250, true),
                7 => (a[i * n + j] * 1e-250, true),
                _ => (0.0, true),
            };
            if value.1 { value.0 } else { 0.0 }
        })
        .collect()
}

#[test]
fn eigenvectors_diagonalize_and_values_are_the_interpreters() {
    everywhere(|machine, isa| {
        let mut all = Vec::new();
        for n in SIZES {
            for kind in 0..9 {
                let x = symmetric(n, kind);
                let (mut values, mut vectors) = (vec![0.0; n], vec![0.0; n * n]);
                eigh(machine, &x, n, &mut values, &mut vectors);
                let what = format!("{isa} {n} kind {kind}");
                assert_orthonormal(&turned(&vectors, (n, n)), n, &what);
                let scaled: Vec<f64> = (0..n * n).map(|at| vectors[at] * values[at % n]).collect();
                assert_close(&multiplied(&scaled, &turned(&vectors, (n, n)), (n, n, n)), &x, &what);
                if n <= 33 && kind < 6 {
                    let expected = interpreted(&Eigh, &x, [n, n]);
                    assert_close(&values, &expected[0], &what);
                    if kind == 0 {
                        vectors.iter().zip(&expected[1]).for_each(|(v, e)| assert!((v - e).abs() < 1e-11, "{what}"));
                    }
                }
                all.extend(vectors);
            }
        }
        let (mut values, mut vectors) = (vec![0.0; 2], vec![0.0; 4]);
        eigh(machine, &[f64::INFINITY, 0.0, 0.0, 1.0], 2, &mut values, &mut vectors);
        assert!(values.iter().chain(&vectors).all(|x| x.is_nan()));
        all
    });
}

#[test]
fn singular_vectors_multiply_to_the_matrix_and_values_are_the_interpreters() {
    everywhere(|machine, isa| {
        let mut all = Vec::new();
        for (m, n) in [(1, 1), (2, 2), (5, 1), (1, 5), (9, 4), (4, 9), (16, 16), (40, 33), (33, 40), (90, 7), (97, 97)]
        {
            for (full, kind) in (0..9).map(|kind| (kind % 2 == 0, kind)).chain([(true, 1), (false, 0)]) {
                let p = m.max(n);
                let whole = symmetric(p, kind);
                let x: Vec<f64> = (0..m * n).map(|at| whole[at / n * p + at % n]).collect();
                let k = m.min(n);
                let (columns, rows) = if full { (m, n) } else { (k, k) };
                let (mut u, mut s, mut vt) = (vec![7.0; m * columns], vec![7.0; k], vec![7.0; rows * n]);
                svd(machine, &x, (m, n), full, [&mut u, &mut s, &mut vt]);
                let what = format!("{isa} ({m}, {n}) kind {kind} full {full}");
                assert_orthonormal(&turned(&u, (m, columns)), m, &what);
                assert_orthonormal(&vt, n, &what);
                assert!(s.windows(2).all(|w| w[0] >= w[1]) && s[k - 1] >= 0.0, "{what} {s:?}");
                let scaled: Vec<f64> = (0..m * k).map(|at| u[at / k * columns + at % k] * s[at % k]).collect();
                assert_close(&multiplied(&scaled, &vt[..k * n], (m, k, n)), &x, &what);
                if p <= 40 && kind < 6 {
                    let expected = interpreted(&Svd { full }, &x, [m, n]);
                    assert_close(&s, &expected[1], &what);
                    if kind == 0 {
                        u.iter().zip(&expected[0]).for_each(|(v, e)| assert!((v - e).abs() < 1e-11, "{what}"));
                        vt.iter().zip(&expected[2]).for_each(|(v, e)| assert!((v - e).abs() < 1e-11, "{what}"));
                    }
                }
                all.extend(u);
            }
        }
        all
    });
}
