//! The epilogues of most layers in one pass over a tile: `clamp(v, low, high)` and `v · logistic(v)` for
//! `v = x + bias + residual`.
//!
//! The general interpreter makes a pass an instruction, which for a product of few columns takes longer than the product.

use rhyton_ir::DType;
use rhyton_ir::op::{BinaryKind, UnaryKind};

use super::block;
use super::program::{Func, Level, Program, Source};
use crate::kernels::math::{per_isa, single::logistic};
use crate::plan::{Context, Slot};

/// Elements over which a short bias is repeated, so that loops are not as short as it is.
const REPEATED: usize = 512;

/// What a program of this form does to `x`, which it reads and writes in the same place.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    slot: Slot,
    /// Added first: an element of a buffer, from this place, for each index of the last axis.
    bias: Option<(Slot, isize)>,
    /// Elements of the last axis.
    period: usize,
    /// Added then: a dense buffer of the same sizes.
    residual: Option<Slot>,
    /// The least and the greatest result.
    range: (f32, f32),
    /// Multiplied by its logistic function (swish) instead.
    gated: bool,
}

const EVERYTHING: (f32, f32) = (f32::NEG_INFINITY, f32::INFINITY);

impl Tail {
    /// If `program` has the form; `shared` tells which buffers lie in the same memory.
    pub(super) fn of(program: &Program, shared: &dyn Fn(Slot, Slot) -> bool) -> Option<Tail> {
        let [store] = &program.stores[..] else { return None };
        let (loads, splats) = (program.loads.len(), program.splats.len());
        let plain = program.row == 1 && program.accums.is_empty() && store.level == Level::Full;
        let last = program.values().checked_sub(1).filter(|&v| v >= loads + splats)?;
        if !plain || store.value != last || (0..program.values()).any(|v| program.dtype(v) != DType::F32) {
            return None;
        }
        let memory = |v: usize| match program.loads.get(v)?.source {
            Source::Memory(slot) => Some(slot),
            Source::Count => None,
        };
        let dense =
            |v: usize| memory(v).filter(|_| program.loads[v].offset == 0 && program.is_dense(&program.loads[v]));
        let axes = program.dims.len();
        let along_last = |v: usize| {
            let load = program.loads.get(v)?;
            let (&inner, outer) = load.strides.split_last()?;
            let repeats = outer.iter().zip(&program.dims).all(|(&s, &d)| s == 0 || d == 1);
            (inner == 1 && repeats).then_some((memory(v)?, load.offset))
        };
        let mut tail = Tail {
            slot: store.slot,
            bias: None,
            period: program.dims[axes - 1],
            residual: None,
            range: EVERYTHING,
            gated: false,
        };
        // The value that the steps so far have made: the first is what lies where the result goes.
        let mut made: Option<usize> = None;
        let mut gate: Option<usize> = None;
        for (i, instr) in program.instrs.iter().enumerate() {
            let value = loads + splats + i;
            if instr.func == Func::Unary(UnaryKind::Logistic) && Some(instr.args[0]) == made && gate.is_none() {
                gate = Some(value);
                continue;
            }
            let (Func::Binary(kind), &[a, b]) = (instr.func, &instr.args[..]) else { return None };
            let first = |v: usize| dense(v).is_some_and(|slot| slot == store.slot);
            let other = match made {
                Some(own) if own == a => b,
                Some(own) if own == b => a,
                None if first(a) => b,
                None if first(b) => a,
                _ => return None,
            };
            let splat = other.checked_sub(loads).and_then(|s| program.splats.get(s));
            let number = splat.map(|s| f32::from_le_bytes(s.bytes[..4].try_into().expect("four bytes")));
            let unclamped = tail.range == EVERYTHING && gate.is_none();
            match kind {
                BinaryKind::Mul if tail.range == EVERYTHING && gate == Some(other) && !tail.gated => tail.gated = true,
                _ if gate.is_some() => return None,
                BinaryKind::Add if unclamped && tail.residual.is_none() && dense(other).is_some() => {
                    tail.residual = dense(other);
                }
                BinaryKind::Add if unclamped && tail.residual.is_none() && tail.bias.is_none() => {
                    tail.bias = Some(along_last(other)?);
                }
                // A clamp of a clamp is a clamp. NaN goes through, as it does through each.
                BinaryKind::Maximum | BinaryKind::Minimum => {
                    let bound = number.filter(|x| !x.is_nan())?;
                    let of = |x: f32| if kind == BinaryKind::Maximum { x.max(bound) } else { x.min(bound) };
                    tail.range = (of(tail.range.0), of(tail.range.1));
                }
                _ => return None,
            }
            made = Some(value);
        }
        let others = tail.bias.map(|b| b.0).into_iter().chain(tail.residual);
        if gate.is_some() && !tail.gated {
            return None;
        }
        let apart = others.clone().all(|slot| !shared(slot, store.slot));
        apart.then_some(tail)
    }

    /// Works on `rows` runs of `width` elements, `pitch` apart from `start`.
    pub(super) fn run(&self, cx: &Context, start: usize, rows: usize, width: usize, pitch: usize) {
        let mut repeated = [0f32; REPEATED];
        let period = if self.period < REPEATED / 2 { REPEATED / self.period * self.period } else { self.period };
        let bias: Option<&[f32]> = self.bias.map(|(slot, offset)| {
            // SAFETY: the load's view has an element for each index of the last axis.
            let bias: &[f32] = unsafe { block::read(cx.pointer(slot).add(offset as usize * 4), self.period) };
            if period == self.period {
                return bias;
            }
            repeated[..period].chunks_exact_mut(self.period).for_each(|to| to.copy_from_slice(bias));
            &repeated[..period]
        });
        let (rows, width, pitch) = if width == pitch { (1, rows * width, 0) } else { (rows, width, pitch) };
        for row in 0..rows {
            let (mut from, end) = (start + row * pitch, start + row * pitch + width);
            while from < end {
                let phase = if bias.is_some() { from % self.period } else { 0 };
                let n = if bias.is_some() { (period - phase).min(end - from) } else { end - from };
                // SAFETY: the tile's elements, which nothing else reads or writes meanwhile; the residual has as many
                // elements and lies elsewhere (see `of`).
                let x = unsafe { block::write::<f32>(cx.pointer(self.slot).add(from * 4), n) };
                let residual: Option<&[f32]> =
                    // SAFETY: as above.
                    self.residual.map(|slot| unsafe { block::read(cx.pointer(slot).add(from * 4), n) });
                finish(cx.isa, x, bias.map(|b| &b[phase..phase + n]), residual, self.range, self.gated);
                from += n;
            }
        }
    }
}

per_isa! {
    fn finish(x: &mut [f32], bias: Option<&[f32]>, residual: Option<&[f32]>, range: (f32, f32), gated: bool) = steps
}

#[inline(always)]
fn steps<const FMA: bool>(
    x: &mut [f32],
    bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    (low, high): (f32, f32),
    gated: bool,
) {
    let clamp = |x: f32| {
        let x = if x > low || x.is_nan() { x } else { low };
        if x < high || x.is_nan() { x } else { high }
    };
    if gated {
        let swish = |x: f32| x * logistic::<FMA>(x);
        match (bias, residual) {
            (Some(bias), None) => return each(x, bias, |x, b| swish(x + b)),
            (bias, residual) => {
                [bias, residual].into_iter().flatten().for_each(|y| each(x, y, |x, y| x + y));
                return x.iter_mut().for_each(|x| *x = swish(*x));
            }
        }
    }
    let all = (low, high) == EVERYTHING;
    match (bias, residual) {
        (Some(bias), None) if all => each(x, bias, |x, b| x + b),
        (Some(bias), None) => each(x, bias, |x, b| clamp(x + b)),
        (None, Some(residual)) if all => each(x, residual, |x, r| x + r),
        (None, Some(residual)) => each(x, residual, |x, r| clamp(x + r)),
        (Some(bias), Some(residual)) => {
            for ((x, &b), &r) in x.iter_mut().zip(bias).zip(residual) {
                *x = clamp(*x + b + r);
            }
        }
        (None, None) => x.iter_mut().for_each(|x| *x = clamp(*x)),
    }
}

#[inline(always)]
fn each(x: &mut [f32], y: &[f32], f: impl Fn(f32, f32) -> f32) {
    x.iter_mut().zip(y).for_each(|(x, &y)| *x = f(*x, y));
}
