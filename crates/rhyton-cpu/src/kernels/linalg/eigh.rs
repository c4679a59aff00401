//! Eigenvalues and vectors of symmetric matrices: reflections make the matrix tridiagonal, then the implicit QL algorithm
//! makes it diagonal (Golub and Van Loan, *Matrix Computations*, sections 8.3.1 and 8.3.3; the shift is EISPACK's `tql2`).

use super::{Machine, axpy, dot, fma, reflector, rotate, scale_of, sign, two_rows};
use crate::kernels::math::per_isa;
use crate::kernels::scratch;

/// Steps for each eigenvalue; two are usual.
const MOST_STEPS: usize = 64;

#[derive(Default)]
struct Scratch {
    matrix: Vec<f64>,
    rows: Vec<f64>,
    /// The diagonal, what is beside it, and two vectors.
    lines: [Vec<f64>; 4],
    order: Vec<usize>,
}

/// The ascending eigenvalues of the symmetric matrix whose lower triangle `x (n, n)` has, and its eigenvectors as columns;
/// NaN if an element there is not finite.
///
/// # Panics
/// If the lengths are not `n²`, `n` and `n²`.
pub fn eigh(machine: Machine<'_>, x: &[f64], n: usize, values: &mut [f64], vectors: &mut [f64]) {
    assert_eq!((x.len(), values.len(), vectors.len()), (n * n, n, n * n), "the operands");
    scratch::with(|Scratch { matrix, rows, lines, order }: &mut Scratch| {
        matrix.clear();
        matrix.resize(n * n, 0.0);
        (0..n).for_each(|i| matrix[i * n..=i * n + i].copy_from_slice(&x[i * n..=i * n + i]));
        if !matrix.iter().all(|x| x.is_finite()) {
            values.fill(f64::NAN);
            vectors.fill(f64::NAN);
            return;
        }
        let scale = scale_of(matrix);
        matrix.iter_mut().for_each(|x| *x /= scale);
        rows.clear();
        rows.resize(n * n, 0.0);
        rows.iter_mut().step_by(n + 1).for_each(|diagonal| *diagonal = 1.0);
        for line in lines.iter_mut() {
            line.clear();
            line.resize(n, 0.0);
        }
        decompose(machine.isa, n, matrix, rows, lines);
        order.clear();
        order.extend(0..n);
        order.sort_unstable_by(|&i, &j| lines[0][i].total_cmp(&lines[0][j]).then(i.cmp(&j)));
        for (to, &from) in order.iter().enumerate() {
            values[to] = lines[0][from] * scale;
            let row = &rows[from * n..][..n];
            let sign = sign(row);
            row.iter().enumerate().for_each(|(i, x)| vectors[i * n + to] = sign * x);
        }
    });
}

per_isa! {
    fn decompose(n: usize, x: &mut [f64], rows: &mut [f64], lines: &mut [Vec<f64>; 4]) = decompose_loops
}

#[inline(always)]
fn decompose_loops<const FMA: bool>(n: usize, x: &mut [f64], rows: &mut [f64], lines: &mut [Vec<f64>; 4]) {
    let [diagonal, beside, weights, product] = lines;
    make_tridiagonal::<FMA>(n, x, diagonal, beside, weights, product);
    // Qᵀ = H₁·H₂·…, of which the one number i changes the first i columns.
    for i in 1..n {
        let v = &x[i * n..][..i];
        for row in rows.chunks_exact_mut(n).take(i) {
            let projection = weights[i] * dot::<FMA>(v, &row[..i]);
            axpy::<FMA>(-projection, v, &mut row[..i]);
        }
    }
    make_diagonal::<FMA>(n, diagonal, beside, rows);
}

/// `Hᵀ·x·H` with `H = Hₙ₋₁·…·H₁`: its diagonal, and in `beside[i]` the element between `i` and `i + 1`. The vector of
/// reflection `i` is left in row `i` of `x`, before the diagonal, its τ in `weights[i]`.
#[inline(always)]
fn make_tridiagonal<const FMA: bool>(
    n: usize,
    x: &mut [f64],
    diagonal: &mut [f64],
    beside: &mut [f64],
    weights: &mut [f64],
    product: &mut [f64],
) {
    for i in (1..n).rev() {
        let (above, row) = x.split_at_mut(i * n);
        diagonal[i] = row[i];
        let v = &mut row[..i];
        let (beta, tau) = reflector::<FMA>(v, i - 1);
        (beside[i - 1], weights[i]) = (beta, tau);
        if tau == 0.0 {
            continue;
        }
        // x − v·wᵀ − w·vᵀ with w = τ·x·v − ½·τ²·(vᵀ·x·v)·v.
        let w = &mut product[..i];
        w.fill(0.0);
        for (j, row) in above.chunks_exact(n).enumerate() {
            w[j] = row_product::<FMA>(&row[..j], v, w, row[j] * v[j]);
        }
        w.iter_mut().for_each(|w| *w *= tau);
        let half = -0.5 * tau * dot::<FMA>(w, v);
        axpy::<FMA>(half, v, w);
        for (j, row) in above.chunks_exact_mut(n).enumerate() {
            let (a, b) = (v[j], w[j]);
            for ((x, v), w) in row[..=j].iter_mut().zip(&*v).zip(&*w) {
                *x -= fma::<FMA>(a, *w, b * *v);
            }
        }
    }
    if n > 0 {
        diagonal[0] = x[0];
    }
}

/// One row of a symmetric matrix times `v`: adds `v[j]` times what is before the diagonal to `w`, and gives the sum of
/// `start`, `w[j]` and the product of that part and `v`.
#[inline(always)]
fn row_product<const FMA: bool>(row: &[f64], v: &[f64], w: &mut [f64], start: f64) -> f64 {
    let j = row.len();
    axpy::<FMA>(v[j], row, &mut w[..j]);
    start + w[j] + dot::<FMA>(row, v)
}

/// The QL algorithm with implicit shifts; rotates the rows of `rows` along.
#[inline(always)]
fn make_diagonal<const FMA: bool>(n: usize, d: &mut [f64], e: &mut [f64], rows: &mut [f64]) {
    let largest = d.iter().chain(&*e).fold(0f64, |m, x| m.max(x.abs()));
    let floor = f64::MIN_POSITIVE.max(largest * f64::EPSILON * 1e-3);
    for l in 0..n {
        for _ in 0..MOST_STEPS {
            let small =
                |&m: &usize| m + 1 == n || e[m].abs() <= floor.max(f64::EPSILON * 0.5 * (d[m].abs() + d[m + 1].abs()));
            let m = (l..n).find(small).expect("the last one is");
            if m == l {
                break;
            }
            let g = (d[l + 1] - d[l]) / (2.0 * e[l]);
            let r = g.hypot(1.0);
            let mut g = d[m] - d[l] + e[l] / (g + r.copysign(g));
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut split = false;
            for i in (l..m).rev() {
                let (f, b) = (s * e[i], c * e[i]);
                let r = f.hypot(g);
                e[i + 1] = r;
                if r == 0.0 {
                    d[i + 1] -= p;
                    e[m] = 0.0;
                    split = true;
                    break;
                }
                (s, c) = (f / r, g / r);
                let t = d[i + 1] - p;
                let r = fma::<FMA>(d[i] - t, s, 2.0 * c * b);
                p = s * r;
                d[i + 1] = t + p;
                g = c * r - b;
                let (lower, upper) = two_rows(rows, n, (i, i + 1));
                rotate::<FMA>(upper, lower, (c, s));
            }
            if !split {
                d[l] -= p;
                e[l] = g;
                e[m] = 0.0;
            }
        }
    }
}
