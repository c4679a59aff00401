//! Short epilogues of products and convolutions, in one or few passes over a tile: chains of a scale, a bias, a residual
//! or factor of the result's sizes, a clamp, a rectifier's gradient and a swish.
//!
//! The interpreter of [`fused_loop`](super::fused_loop) makes a pass an instruction and has some work to do for each row
//! of a tile, which for a product with few terms takes longer than the product.

use rhyton_ir::DType;
use rhyton_ir::op::{BinaryKind, Direction, UnaryKind};

use super::block;
use super::program::{Func, Level, Program, Source};
use crate::kernels::gemm::Finish;
use crate::kernels::math::{per_isa, single::logistic};
use crate::plan::{Context, Slot};

/// Elements over which a short bias is repeated, so that loops are not as short as it is.
const REPEATED: usize = 512;
/// Elements that all steps work on before the next: what stays in the first-level cache.
const CHUNK: usize = 1024;

/// What is done to each element `x`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// `x · number`.
    Scale(f32),
    /// `x + bias`, then [`Step::Clamp`].
    Bias(f32, f32),
    /// Swish of `x + bias`.
    BiasSwish,
    /// `x + y` for the element `y` of a dense buffer.
    Plus(Slot),
    /// `x · y`.
    Times(Slot),
    /// The nearest number between these; NaN stays.
    Clamp(f32, f32),
    /// 0 where `y` is at most 0, else `x`: the gradient of a rectifier with the result `y`.
    Gate(Slot),
    /// `x · logistic(x)`.
    Swish,
}

/// A [`Finish`] without its numbers.
struct Summary {
    plus: Option<Slot>,
    limits: (f32, f32),
    swish: bool,
}

const EVERYTHING: (f32, f32) = (f32::NEG_INFINITY, f32::INFINITY);

/// What a program of this form does to the elements of a buffer, in place.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    slot: Slot,
    steps: Vec<Step>,
    /// A buffer and a place in it, from which there is an element for each index of the last axis.
    bias: Option<(Slot, isize)>,
    /// Whether what is added lies where the result goes, see [`Finish::onto`].
    onto: bool,
    /// Indices of the last axis.
    period: usize,
    /// Of all axes.
    len: usize,
}

impl Tail {
    /// If `program` has the form; `shared` tells which buffers lie in the same memory.
    pub(super) fn of(program: &Program, shared: &dyn Fn(Slot, Slot) -> bool) -> Option<Tail> {
        let [store] = &program.stores[..] else { return None };
        let (loads, splats) = (program.loads.len(), program.splats.len());
        let plain = program.row == 1 && program.accums.is_empty() && store.level == Level::Full;
        if !plain || program.instrs.is_empty() || store.value + 1 != program.values() {
            return None;
        }
        let operands = (0..loads + splats).map(|v| program.dtype(v)).chain(program.instrs.iter().map(|i| i.dtype));
        if operands.into_iter().any(|dtype| dtype != DType::F32) {
            return None;
        }
        let memory = |v: usize| match program.loads.get(v)?.source {
            Source::Memory(slot) => Some(slot),
            Source::Count => None,
        };
        let dense =
            |v: usize| memory(v).filter(|_| program.loads[v].offset == 0 && program.is_dense(&program.loads[v]));
        let along_last = |v: usize| {
            let load = program.loads.get(v)?;
            let (&inner, outer) = load.strides.split_last()?;
            let repeats = outer.iter().zip(&program.dims).all(|(&s, &d)| s == 0 || d == 1);
            (inner == 1 && repeats).then_some((memory(v)?, load.offset))
        };
        let number = |v: usize| {
            let splat = v.checked_sub(loads).and_then(|s| program.splats.get(s))?;
            Some(f32::from_le_bytes(splat.bytes[..4].try_into().expect("four bytes")))
        };
        let mut tail = Tail {
            slot: store.slot,
            steps: Vec::new(),
            bias: None,
            onto: false,
            period: program.dims[program.dims.len() - 1],
            len: program.count(),
        };
        // The value that the steps so far have made: the first is what lies where the result goes.
        let mut made = (0..loads).find(|&v| dense(v) == Some(store.slot))?;
        // What is no step yet, until the next instruction makes it one.
        let mut half: Option<(usize, Step)> = None;
        for (i, instr) in program.instrs.iter().enumerate() {
            let value = loads + splats + i;
            match (instr.func, &instr.args[..], half.take()) {
                (Func::Unary(UnaryKind::Logistic), &[x], None) if x == made => {
                    half = Some((value, Step::Swish));
                    continue;
                }
                (Func::Compare(Direction::Ge), &[bound, y], None) if number(bound) == Some(0.0) => {
                    half = Some((value, Step::Gate(dense(y)?)));
                    continue;
                }
                (Func::Binary(BinaryKind::Mul), &[a, b], Some((gate, step @ Step::Swish)))
                    if [a, b] == [made, gate] || [a, b] == [gate, made] =>
                {
                    tail.push(step);
                }
                (Func::Select, &[below, bound, x], Some((mask, step @ Step::Gate(_))))
                    if (below, x) == (mask, made) && number(bound) == Some(0.0) =>
                {
                    tail.push(step);
                }
                (Func::Binary(kind), &[a, b], None) if (a == made) != (b == made) => {
                    let other = if a == made { b } else { a };
                    let number = number(other);
                    let bound = number.filter(|x| !x.is_nan());
                    match kind {
                        BinaryKind::Mul if number.is_some() => tail.push(Step::Scale(number?)),
                        BinaryKind::Mul => tail.push(Step::Times(dense(other)?)),
                        BinaryKind::Add if dense(other).is_some() => tail.push(Step::Plus(dense(other)?)),
                        BinaryKind::Add if tail.bias.is_none() => {
                            tail.bias = Some(along_last(other)?);
                            tail.push(Step::Bias(EVERYTHING.0, EVERYTHING.1));
                        }
                        BinaryKind::Maximum => tail.push(Step::Clamp(bound?, EVERYTHING.1)),
                        BinaryKind::Minimum => tail.push(Step::Clamp(EVERYTHING.0, bound?)),
                        _ => return None,
                    }
                }
                _ => return None,
            }
            made = value;
        }
        let others = tail.steps.iter().filter_map(|step| match step {
            Step::Plus(slot) | Step::Times(slot) | Step::Gate(slot) => Some(*slot),
            _ => None,
        });
        let apart = others.chain(tail.bias.map(|bias| bias.0)).all(|slot| !shared(slot, store.slot));
        (apart && half.is_none()).then_some(tail)
    }

    /// Adds a step, as a part of the last if that can be.
    fn push(&mut self, step: Step) {
        let last = self.steps.last_mut();
        match (last, step) {
            // A clamp of a clamp is a clamp. NaN goes through, as it does through each.
            (Some(Step::Clamp(low, high) | Step::Bias(low, high)), Step::Clamp(least, most)) => {
                (*low, *high) = (low.clamp(least, most), high.clamp(least, most));
            }
            (Some(last @ &mut Step::Bias(f32::NEG_INFINITY, f32::INFINITY)), Step::Swish) => *last = Step::BiasSwish,
            _ => self.steps.push(step),
        }
    }

    /// The bias, an element for each index of the last axis.
    fn bias<'a>(&self, cx: &Context<'a>) -> Option<&'a [f32]> {
        // SAFETY: the load's view has these elements.
        self.bias.map(|(slot, offset)| unsafe { block::read(cx.pointer(slot).add(offset as usize * 4), self.period) })
    }

    /// Whether there is a [`Tail::finish`], with a bias of `features` if any, and without addends.
    pub(super) fn is_simple(&self, features: usize) -> bool {
        let period = self.bias.is_none() || self.period == features;
        period && self.summary().is_some_and(|summary| summary.plus.is_none())
    }

    /// The same, if it is a bias, then an addend, then a clamp or swish, or some of these.
    pub(super) fn finish<'a>(&self, cx: &Context<'a>) -> Option<Finish<'a, f32>> {
        let Summary { plus, limits: (low, high), swish } = self.summary()?;
        // SAFETY: the buffer has as many elements as the result and lies elsewhere (see `of`).
        let plus = plus.map(|slot| unsafe { block::read(cx.pointer(slot), self.len) });
        let bias = self.bias(cx).unwrap_or_default();
        Some(Finish { bias, plus: plus.unwrap_or_default(), low, high, swish, onto: self.onto })
    }

    /// The addend of [`Tail::finish`].
    pub(super) fn addend(&self) -> Option<Slot> {
        self.summary()?.plus
    }

    /// The other steps, of elements to which that has been added.
    pub(super) fn without(mut self, addend: Slot) -> Tail {
        self.steps.retain(|step| *step != Step::Plus(addend));
        self.onto = true;
        self
    }

    /// The steps in the order of a [`Finish`], if that is theirs. A bias there is comes first.
    fn summary(&self) -> Option<Summary> {
        let mut out = Summary { plus: None, limits: EVERYTHING, swish: false };
        for (i, step) in self.steps.iter().enumerate() {
            let last = i + 1 == self.steps.len();
            match *step {
                Step::Bias(low, high) if i == 0 && (last || (low, high) == EVERYTHING) => out.limits = (low, high),
                Step::BiasSwish if i == 0 && last => out.swish = true,
                Step::Plus(slot) if out.plus.is_none() && (i == 0) == self.bias.is_none() => out.plus = Some(slot),
                Step::Clamp(low, high) if last && (i > 0 || self.bias.is_none()) => out.limits = (low, high),
                Step::Swish if last && (i > 0 || self.bias.is_none()) => out.swish = true,
                _ => return None,
            }
        }
        Some(out)
    }

    /// Works on `rows` runs of `width` elements, `pitch` apart from `start`.
    pub(super) fn run(&self, cx: &Context, start: usize, rows: usize, width: usize, pitch: usize) {
        let mut repeated = [0f32; REPEATED];
        let mut period = usize::MAX;
        let bias: &[f32] = match self.bias(cx) {
            None => &[],
            Some(bias) => {
                if self.period > REPEATED / 2 {
                    period = self.period;
                    bias
                } else {
                    period = REPEATED / self.period * self.period;
                    repeated[..period].chunks_exact_mut(self.period).for_each(|to| to.copy_from_slice(bias));
                    &repeated[..period]
                }
            }
        };
        let (rows, width, pitch) = if width == pitch { (1, rows * width, 0) } else { (rows, width, pitch) };
        for row in 0..rows {
            let (mut from, end) = (start + row * pitch, start + row * pitch + width);
            while from < end {
                let phase = if bias.is_empty() { 0 } else { from % self.period };
                let n = CHUNK.min(period - phase).min(end - from);
                // SAFETY: the tile's elements, which nothing else reads or writes meanwhile.
                let x = unsafe { block::write::<f32>(cx.pointer(self.slot).add(from * 4), n) };
                for step in &self.steps {
                    let y = match *step {
                        Step::Bias(..) | Step::BiasSwish => &bias[phase..phase + n],
                        // SAFETY: the buffer has as many elements as the result and lies elsewhere (see `of`).
                        Step::Plus(slot) | Step::Times(slot) | Step::Gate(slot) => unsafe {
                            block::read(cx.pointer(slot).add(from * 4), n)
                        },
                        Step::Scale(_) | Step::Clamp(..) | Step::Swish => &[],
                    };
                    apply(cx.isa, *step, x, y);
                }
                from += n;
            }
        }
    }
}

per_isa! {
    fn apply(step: Step, x: &mut [f32], y: &[f32]) = apply_loops
}

#[inline(always)]
fn apply_loops<const FMA: bool>(step: Step, x: &mut [f32], y: &[f32]) {
    let clamp = |x: f32, low: f32, high: f32| {
        let x = if x > low || x.is_nan() { x } else { low };
        if x < high || x.is_nan() { x } else { high }
    };
    let swish = |x: f32| x * logistic::<FMA>(x);
    match step {
        Step::Scale(scale) => x.iter_mut().for_each(|x| *x *= scale),
        Step::Bias(low, high) if (low, high) == EVERYTHING => each(x, y, |x, y| x + y),
        Step::Bias(low, high) => each(x, y, |x, y| clamp(x + y, low, high)),
        Step::BiasSwish => each(x, y, |x, y| swish(x + y)),
        Step::Plus(_) => each(x, y, |x, y| x + y),
        Step::Times(_) => each(x, y, |x, y| x * y),
        // Not "y > 0": NaN is let through.
        Step::Gate(_) => each(x, y, |x, y| if 0.0 >= y { 0.0 } else { x }),
        Step::Clamp(low, high) => x.iter_mut().for_each(|x| *x = clamp(*x, low, high)),
        Step::Swish => x.iter_mut().for_each(|x| *x = swish(*x)),
    }
}

#[inline(always)]
fn each(x: &mut [f32], y: &[f32], f: impl Fn(f32, f32) -> f32) {
    x.iter_mut().zip(y).for_each(|(x, &y)| *x = f(*x, y));
}
