//! Linear algebra: the matrices of a batch in parallel, each computed in `f64` and rounded once.

use rhyton_ir::op::TriangularSolve;
use rhyton_ir::{Element, Op, Result, with_element};

use super::emit::{Operand, Target};
use crate::fuse::block::{read, write};
use crate::kernels::linalg::{Machine, Triangle, cholesky, eigh, lu, qr, solve_vectors, svd, transpose};
use crate::kernels::scratch;
use crate::plan::{Context, Cost, Kernel};

/// Operations of a task, unless a matrix takes more.
const TASK: usize = 1 << 17;

/// Right-hand sides that a task solves for.
const SYSTEMS: usize = 32;

/// `cholesky`, `lu`, `qr`, `eigh`, `svd` or `triangular_solve`.
pub(super) struct Matrices {
    op: Op,
    inputs: Vec<Operand>,
    outputs: Vec<Target>,
}

/// The operands and results of one matrix.
#[derive(Default)]
struct Parts {
    x: Vec<f64>,
    a: Vec<f64>,
    b: Vec<f64>,
    c: Vec<f64>,
    permutation: Vec<i32>,
}

/// `len` elements of a buffer that grows; whatever was there.
fn fit<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
    &mut buffer[..len]
}

/// The sizes of the last two axes.
fn size(dims: &[usize]) -> (usize, usize) {
    (dims[dims.len() - 2], dims[dims.len() - 1])
}

/// The elements from `first` on, as many as `to` takes.
fn load(cx: &Context, x: &Operand, first: usize, to: &mut [f64]) {
    with_element!(x.dtype, T => {
        // SAFETY: operands are dense and have this count and dtype.
        let all = unsafe { read::<T>(cx.pointer(x.slot), x.count()) };
        let from = &all[first..first + to.len()];
        to.iter_mut().zip(from).for_each(|(to, x)| *to = x.to_f64());
    });
}

/// Rounds `from` to the elements from `first` on.
///
/// # Safety
/// Nothing else reads or writes those elements meanwhile.
unsafe fn store(cx: &Context, out: &Target, first: usize, from: &[f64]) {
    assert!(first + from.len() <= out.count(), "the result");
    with_element!(out.dtype, T => {
        // SAFETY: the buffer has the target's elements, of which these are some, and they are the caller's alone.
        let to = unsafe { write::<T>(cx.pointer(out.slot).add(first * size_of::<T>()), from.len()) };
        to.iter_mut().zip(from).for_each(|(to, x)| *to = T::from_f64(*x));
    });
}

impl Matrices {
    pub fn new(op: &Op, inputs: Vec<Operand>, outputs: Vec<Target>) -> Matrices {
        Matrices { op: op.clone(), inputs, outputs }
    }

    /// How many matrices there are.
    fn batch(&self) -> usize {
        let dims = self.inputs[0].dims();
        dims[..dims.len() - 2].iter().product()
    }

    /// Operations a matrix, about.
    fn operations(&self) -> usize {
        let (m, n) = size(self.inputs[0].dims());
        let cube = m * n * m.min(n);
        match &self.op {
            Op::Cholesky(_) => cube / 3,
            Op::Lu(_) => cube * 2 / 3,
            Op::TriangularSolve(solve) => n * n * self.systems(solve),
            Op::Qr(_) => cube * 4,
            Op::Eigh(_) => cube * 9,
            _ => cube * 20,
        }
    }

    /// Right-hand sides a matrix.
    fn systems(&self, solve: &TriangularSolve) -> usize {
        let (rows, columns) = size(self.inputs[1].dims());
        if solve.left { columns } else { rows }
    }

    /// The factors of matrix number `i`.
    ///
    /// # Safety
    /// Nothing else works on that matrix meanwhile.
    unsafe fn factor(&self, cx: &Context, i: usize, parts: &mut Parts) {
        let machine = Machine { pool: cx.pool, isa: cx.isa };
        let (m, n) = size(self.inputs[0].dims());
        let Parts { x, a, b, c, permutation } = parts;
        let x = fit(x, m * n);
        load(cx, &self.inputs[0], i * m * n, x);
        let out = |which: usize, from: &[f64]| {
            // SAFETY: each result of a matrix lies in its own place (caller).
            unsafe { store(cx, &self.outputs[which], i * from.len(), from) };
        };
        let columns = |which: usize| size(&self.outputs[which].dims).1;
        match &self.op {
            Op::Cholesky(_) => {
                cholesky(machine, x, n);
                out(0, x);
            }
            Op::Lu(_) => {
                let permutation = fit(permutation, n);
                lu(machine, x, n, permutation);
                out(0, x);
                // SAFETY: the result is int32 of n elements a matrix, those of this one are the caller's.
                unsafe { write::<i32>(cx.pointer(self.outputs[1].slot).add(i * n * size_of::<i32>()), n) }
                    .copy_from_slice(permutation);
            }
            Op::Qr(_) => {
                let k = columns(0);
                let q = fit(a, m * k);
                qr(machine, x, (m, n), q, k);
                out(0, q);
                out(1, &x[..k * n]);
            }
            Op::Eigh(_) => {
                let (values, vectors) = (fit(a, n), fit(b, n * n));
                eigh(machine, x, n, values, vectors);
                out(0, values);
                out(1, vectors);
            }
            Op::Svd(op) => {
                let k = m.min(n);
                let (u, s, vt) = (fit(a, m * columns(0)), fit(b, k), fit(c, if op.full { n } else { k } * n));
                svd(machine, x, (m, n), op.full, [u, s, vt]);
                out(0, u);
                out(1, s);
                out(2, vt);
            }
            _ => unreachable!("the others are no factorizations"),
        }
    }

    /// The solutions for right-hand sides `systems` of matrix number `i`.
    ///
    /// # Safety
    /// Nothing else works on those meanwhile.
    unsafe fn solve(
        &self,
        cx: &Context,
        op: &TriangularSolve,
        i: usize,
        systems: std::ops::Range<usize>,
        parts: &mut Parts,
    ) {
        let (count, all, (_, n)) = (systems.len(), self.systems(op), size(self.inputs[0].dims()));
        let Parts { x: a, a: rows, b: columns, .. } = parts;
        let (a, rows, columns) = (fit(a, n * n), fit(rows, n * count), fit(columns, n * count));
        load(cx, &self.inputs[0], i * n * n, a);
        // With the matrix on the right, the rows are solutions of the transposed system.
        let transpose_matrix = op.transpose == op.left;
        let triangle = Triangle { lower: op.lower, transpose: transpose_matrix, unit_diagonal: op.unit_diagonal };
        let first = i * n * all;
        if op.left {
            let part = |row: usize| row * count..(row + 1) * count;
            (0..n)
                .for_each(|row| load(cx, &self.inputs[1], first + row * all + systems.start, &mut columns[part(row)]));
            transpose(columns, (n, count), rows);
            solve_vectors(cx.isa, triangle, a, n, rows);
            transpose(rows, (count, n), columns);
            for row in 0..n {
                // SAFETY: these systems are the caller's.
                unsafe { store(cx, &self.outputs[0], first + row * all + systems.start, &columns[part(row)]) };
            }
        } else {
            load(cx, &self.inputs[1], first + systems.start * n, rows);
            solve_vectors(cx.isa, triangle, a, n, rows);
            // SAFETY: these systems are the caller's.
            unsafe { store(cx, &self.outputs[0], first + systems.start * n, rows) };
        }
    }
}

impl Kernel for Matrices {
    fn run(&self, cx: &Context) -> Result<()> {
        let (batch, share) = (self.batch(), (TASK / self.operations().max(1)).max(1));
        let pieces = match &self.op {
            Op::TriangularSolve(op) if share == 1 => self.systems(op).div_ceil(SYSTEMS),
            _ => 1,
        };
        cx.pool.run(batch.div_ceil(share) * pieces, &|task| {
            let (first, piece) = (task / pieces * share, task % pieces);
            scratch::with(|parts: &mut Parts| {
                for i in first..batch.min(first + share) {
                    if let Op::TriangularSolve(op) = &self.op {
                        let all = self.systems(op);
                        let each = if pieces == 1 { all } else { SYSTEMS };
                        let systems = piece * each..all.min((piece + 1) * each);
                        // SAFETY: a piece of the systems of a matrix is of one task.
                        unsafe { self.solve(cx, op, i, systems, parts) };
                    } else {
                        // SAFETY: a matrix is of one task.
                        unsafe { self.factor(cx, i, parts) };
                    }
                }
            });
        });
        Ok(())
    }

    fn describe(&self) -> String {
        let inputs: Vec<String> =
            self.inputs.iter().map(|o| format!("b{} {}{:?}", o.slot, o.dtype, o.dims())).collect();
        let outputs: Vec<String> = self.outputs.iter().map(|t| format!("b{}", t.slot)).collect();
        format!("{} ({}) -> {}", self.op.name(), inputs.join(", "), outputs.join(", "))
    }

    fn cost(&self) -> Cost {
        let bytes = self.inputs.iter().map(Operand::bytes).sum::<usize>()
            + self.outputs.iter().map(Target::bytes).sum::<usize>();
        Cost { flops: (self.batch() * self.operations()) as u64, bytes: bytes as u64 }
    }
}
