//! Singular values and vectors: a QR factorization first if the matrix is tall, then reflections from both sides make it
//! bidiagonal, and implicit QR steps make that diagonal (Golub and Van Loan, *Matrix Computations*, sections 5.4.8 and
//! 8.6.3).

use super::{Machine, axpy, dot, qr, reflector, rotate, scale_of, sign, transpose, two_rows, view};
use crate::isa::Isa;
use crate::kernels::math::per_isa;
use crate::kernels::scratch;

/// QR steps for each singular value; two are usual.
const MOST_STEPS: usize = 64;

#[derive(Default)]
struct Scratch {
    /// The matrix, or its transpose if that is the tall one; then its triangular factor.
    matrix: Vec<f64>,
    orthogonal: Vec<f64>,
    reflections: Vec<f64>,
    /// The left and right vectors of the square part as rows.
    left: Vec<f64>,
    right: Vec<f64>,
    /// The left vectors of the tall matrix as rows.
    long: Vec<f64>,
    /// The diagonal, what is above it, the τ of the left and right reflections, and a line.
    lines: [Vec<f64>; 5],
    order: Vec<usize>,
}

/// Zeros in a buffer that is used again.
fn zeros(buffer: &mut Vec<f64>, len: usize) {
    buffer.clear();
    buffer.resize(len, 0.0);
}

/// Writes `x (m, n)` as `u·diag(s)·vt` with descending `s`: `u (m, columns)`, `vt (rows, n)`, where `columns` and `rows` are
/// both `min(m, n)`, or `m` and `n` for complete bases. NaN if an element of `x` is not finite.
///
/// # Panics
/// If the lengths are others.
pub fn svd(machine: Machine<'_>, x: &[f64], (m, n): (usize, usize), full: bool, [u, s, vt]: [&mut [f64]; 3]) {
    let (k, p) = (m.min(n), m.max(n));
    let (columns, rows) = if full { (m, n) } else { (k, k) };
    assert_eq!((x.len(), u.len(), s.len(), vt.len()), (m * n, m * columns, k, rows * n), "the operands");
    if !x.iter().all(|x| x.is_finite()) {
        [u, s, vt].into_iter().for_each(|part| part.fill(f64::NAN));
        return;
    }
    scratch::with(|scratch: &mut Scratch| {
        scratch.matrix.clear();
        scratch.matrix.extend_from_slice(x);
        if m < n {
            transpose(x, (m, n), &mut scratch.matrix);
        }
        let scale = scale_of(x);
        scratch.matrix.iter_mut().for_each(|x| *x /= scale);
        scratch.decompose(machine, p, k);
        if full {
            complete(machine.isa, &mut scratch.long, p);
        }
        let Scratch { long, right, order, lines, .. } = scratch;
        let (of_u, of_vt) = if m < n { (right, long) } else { (long, right) };
        for (to, &from) in order.iter().enumerate() {
            s[to] = lines[0][from] * scale;
            let (column, row) = (&of_u[from * m..][..m], &of_vt[from * n..][..n]);
            let sign = sign(column);
            column.iter().enumerate().for_each(|(i, x)| u[i * columns + to] = sign * x);
            vt[to * n..][..n].iter_mut().zip(row).for_each(|(to, x)| *to = sign * x);
        }
        for (j, column) in of_u.chunks_exact(m.max(1)).enumerate().take(columns).skip(k) {
            column.iter().enumerate().for_each(|(i, x)| u[i * columns + j] = *x);
        }
        vt[k * n..].copy_from_slice(&of_vt[k * n..][..(rows - k) * n]);
    });
}

impl Scratch {
    /// Decomposes the tall `matrix (p, k)`: its singular values are left in the first of the lines, in the order that is
    /// left in `order`, the vectors in the rows of `long` and `right`.
    fn decompose(&mut self, machine: Machine<'_>, p: usize, k: usize) {
        let Scratch { matrix, orthogonal, reflections, left, right, long, lines, order } = self;
        if p > k {
            zeros(orthogonal, p * k);
            qr(machine, matrix, (p, k), orthogonal, k);
        }
        for buffer in [&mut *reflections, &mut *left, &mut *right] {
            zeros(buffer, k * k);
        }
        lines.iter_mut().for_each(|line| zeros(line, k));
        decompose_square(machine.isa, k, &mut matrix[..k * k], reflections, [left, right], lines);
        if p > k {
            zeros(long, k * p);
            let columns = view(orthogonal, (p, k), k);
            machine.product(view(left, (k, k), k), columns.transposed(), long, p, false);
        } else {
            std::mem::swap(long, left);
        }
        order.clear();
        order.extend(0..k);
        order.sort_unstable_by(|&i, &j| lines[0][j].total_cmp(&lines[0][i]).then(i.cmp(&j)));
    }
}

per_isa! {
    fn decompose_square(
        n: usize,
        x: &mut [f64],
        reflections: &mut [f64],
        vectors: [&mut [f64]; 2],
        lines: &mut [Vec<f64>; 5]
    ) = decompose_loops
}

#[inline(always)]
fn decompose_loops<const FMA: bool>(
    n: usize,
    x: &mut [f64],
    reflections: &mut [f64],
    [left, right]: [&mut [f64]; 2],
    [diagonal, above, of_columns, of_rows, line]: &mut [Vec<f64>; 5],
) {
    for i in 0..n {
        let v = &mut reflections[i * n + i..(i + 1) * n];
        v.iter_mut().enumerate().for_each(|(r, v)| *v = x[(i + r) * n + i]);
        (diagonal[i], of_columns[i]) = reflector::<FMA>(v, 0);
        let rest = n - i - 1;
        if rest == 0 {
            break;
        }
        let w = &mut line[..rest];
        w.fill(0.0);
        for (v, row) in v.iter().zip(x[i * n..].chunks_exact(n)) {
            axpy::<FMA>(*v * of_columns[i], &row[i + 1..], w);
        }
        for (v, row) in v.iter().zip(x[i * n..].chunks_exact_mut(n)) {
            axpy::<FMA>(-*v, w, &mut row[i + 1..]);
        }
        let (upper, lower) = x[i * n..].split_at_mut(n);
        let v = &mut upper[i + 1..];
        (above[i], of_rows[i]) = reflector::<FMA>(v, 0);
        for row in lower.chunks_exact_mut(n) {
            reflect::<FMA>(v, of_rows[i], &mut row[i + 1..]);
        }
    }
    for vectors in [&mut *left, &mut *right] {
        vectors.iter_mut().step_by(n + 1).for_each(|diagonal| *diagonal = 1.0);
    }
    // Uᵀ = Hₙ₋₁·…·H₀ and Vᵀ likewise: what stands left of a reflection leaves the rows before it alone.
    for i in (0..n).rev() {
        let v = &reflections[i * n + i..(i + 1) * n];
        for row in left.chunks_exact_mut(n).skip(i) {
            reflect::<FMA>(v, of_columns[i], &mut row[i..]);
        }
        let v = &x[i * n + i + 1..(i + 1) * n];
        for row in right.chunks_exact_mut(n).skip(i + 1) {
            reflect::<FMA>(v, of_rows[i], &mut row[i + 1..]);
        }
    }
    make_diagonal::<FMA>(n, diagonal, above, [left, right]);
    for (i, d) in diagonal.iter_mut().enumerate().filter(|(_, d)| d.is_sign_negative()) {
        *d = -*d;
        right[i * n..][..n].iter_mut().for_each(|x| *x = -*x);
    }
}

/// Applies the reflection `1 − τ·v·vᵀ` to a row.
#[inline(always)]
fn reflect<const FMA: bool>(v: &[f64], tau: f64, row: &mut [f64]) {
    let projection = tau * dot::<FMA>(v, row);
    axpy::<FMA>(-projection, v, row);
}

/// The cosine, the sine and `r` with `c·x + s·y = r` and `c·y − s·x = 0`.
#[inline(always)]
fn rotation(x: f64, y: f64) -> ((f64, f64), f64) {
    if y == 0.0 {
        return ((1.0, 0.0), x);
    }
    let r = x.hypot(y);
    ((x / r, y / r), r)
}

/// Rotates rows `i` and `j` of `n`.
#[inline(always)]
fn turn<const FMA: bool>(vectors: &mut [f64], n: usize, (i, j): (usize, usize), rotation: (f64, f64)) {
    let (x, y) = two_rows(vectors, n, (i.min(j), i.max(j)));
    let (x, y) = if i < j { (x, y) } else { (y, x) };
    rotate::<FMA>(x, y, rotation);
}

/// Implicit QR steps on the upper bidiagonal matrix of diagonal `d` and `e` above it, until `e` is 0; rotates the rows of
/// the vectors along.
#[inline(always)]
fn make_diagonal<const FMA: bool>(n: usize, d: &mut [f64], e: &mut [f64], [left, right]: [&mut [f64]; 2]) {
    let largest = d.iter().chain(&*e).fold(0f64, |m, x| m.max(x.abs()));
    let negligible = largest * f64::EPSILON * 0.1;
    let mut last = n.saturating_sub(1);
    for _ in 0..MOST_STEPS * n {
        for i in 0..last {
            if e[i].abs() <= f64::EPSILON * 0.5 * (d[i].abs() + d[i + 1].abs()) || e[i].abs() <= negligible * 1e-3 {
                e[i] = 0.0;
            }
        }
        while last > 0 && e[last - 1] == 0.0 {
            last -= 1;
        }
        if last == 0 {
            return;
        }
        let first = (0..last).rev().find(|&i| i == 0 || e[i - 1] == 0.0).unwrap_or(0);
        if let Some(i) = (first..last).find(|&i| d[i].abs() <= negligible) {
            // The rest of the row goes: rotations with the rows below move it right, and out.
            d[i] = 0.0;
            let mut f = std::mem::take(&mut e[i]);
            for k in i + 1..=last {
                let (turned, r) = rotation(d[k], f);
                d[k] = r;
                turn::<FMA>(left, n, (k, i), turned);
                if k < last {
                    f = -turned.1 * e[k];
                    e[k] *= turned.0;
                }
            }
            continue;
        }
        if d[last].abs() <= negligible {
            // The rest of the last column goes up, and out.
            d[last] = 0.0;
            let mut f = std::mem::take(&mut e[last - 1]);
            for k in (first..last).rev() {
                let (turned, r) = rotation(d[k], f);
                d[k] = r;
                turn::<FMA>(right, n, (k, last), turned);
                if k > first {
                    f = -turned.1 * e[k - 1];
                    e[k - 1] *= turned.0;
                }
            }
            continue;
        }
        let (mut y, mut z) = (d[first] * d[first] - shift(d, e, first, last), d[first] * e[first]);
        for k in first..last {
            let (turned, r) = rotation(y, z);
            let (c, s) = turned;
            if k > first {
                e[k - 1] = r;
            }
            turn::<FMA>(right, n, (k, k + 1), turned);
            (y, e[k]) = (c * d[k] + s * e[k], c * e[k] - s * d[k]);
            (z, d[k + 1]) = (s * d[k + 1], c * d[k + 1]);
            let (turned, r) = rotation(y, z);
            let (c, s) = turned;
            d[k] = r;
            turn::<FMA>(left, n, (k, k + 1), turned);
            (y, d[k + 1]) = (c * e[k] + s * d[k + 1], c * d[k + 1] - s * e[k]);
            if k + 1 < last {
                (z, e[k + 1]) = (s * e[k + 1], c * e[k + 1]);
            }
        }
        e[last - 1] = y;
    }
}

/// The eigenvalue of the last two rows and columns of `BᵀB` that is nearer to the last element.
#[inline(always)]
fn shift(d: &[f64], e: &[f64], first: usize, last: usize) -> f64 {
    let before = if last > first + 1 { e[last - 2] } else { 0.0 };
    let (x, y) = (d[last - 1] * d[last - 1] + before * before, d[last] * d[last] + e[last - 1] * e[last - 1]);
    let beside = d[last - 1] * e[last - 1];
    let half = 0.5 * (x - y);
    if beside == 0.0 { y } else { y - beside * beside / (half + half.hypot(beside).copysign(half)) }
}

/// Completes orthonormal rows of `p` to a basis: unit vectors in order, made orthogonal to those there are, if enough of
/// them is left.
fn complete(isa: Isa, rows: &mut Vec<f64>, p: usize) {
    for axis in (0..p).cycle() {
        if rows.len() >= p * p {
            return;
        }
        let known = rows.len();
        rows.resize(known + p, 0.0);
        rows[known + axis] = 1.0;
        let (basis, unit) = rows.split_at_mut(known);
        let mut squares = 0.0;
        make_orthogonal(isa, basis, unit, &mut squares);
        // While directions are missing, some unit vector has at least 1/p of its squared length in them.
        if squares * p as f64 > 0.5 {
            let norm = squares.sqrt();
            unit.iter_mut().for_each(|x| *x /= norm);
        } else {
            rows.truncate(known);
        }
    }
}

per_isa! {
    fn make_orthogonal(basis: &[f64], x: &mut [f64], squares: &mut f64) = orthogonal_loops
}

#[inline(always)]
fn orthogonal_loops<const FMA: bool>(basis: &[f64], x: &mut [f64], squares: &mut f64) {
    // Twice is enough to be orthogonal to rounding (Kahan and Parlett).
    for _ in 0..2 {
        for known in basis.chunks_exact(x.len()) {
            reflect::<FMA>(known, 1.0, x);
        }
    }
    *squares = dot::<FMA>(x, x);
}
