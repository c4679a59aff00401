//! The fused loop: a small program that runs over an index space block by block.
//!
//! A program has *values*: loads, then constants, then the results of instructions. At the *full* level a value has one
//! element for each index of the space; at the *row* level one for each row of `row` trailing elements, so that
//! softmax or layer normalisation, with their reductions along the row and their use of the results, are one pass over
//! memory. Reductions over any other axes are *accumulations* at the end of a chain.
//!
//! Blocks are sized so that the live registers stay in the first-level cache. Work is divided into tasks by the size of
//! the space alone; each task has its own partial accumulators, which are then combined in order: the bits do not depend
//! on the number of threads.

use rhyton_ir::DType;
use rhyton_ir::op::{BinaryKind, Direction, ReduceKind, UnaryKind};

use crate::plan::Slot;

/// What an instruction does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Func {
    Unary(UnaryKind),
    Binary(BinaryKind),
    Compare(Direction),
    Select,
    Convert,
    Bitcast,
    /// Full to row.
    Reduce(ReduceKind),
    /// Row to full: repeats each element along its row.
    Spread,
}

impl Func {
    fn name(&self) -> String {
        let name = match self {
            Func::Unary(kind) => format!("{kind:?}"),
            Func::Binary(kind) => format!("{kind:?}"),
            Func::Compare(_) => "compare".to_owned(),
            Func::Reduce(kind) => format!("reduce_{kind:?}"),
            Func::Select | Func::Convert | Func::Bitcast | Func::Spread => format!("{self:?}"),
        };
        name.to_lowercase()
    }
}

/// Where values live in the index space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Row,
    Full,
}

/// What a load reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Source {
    /// Elements of a buffer.
    Memory(Slot),
    /// The place itself: `offset + Σ index·stride`, as a number.
    Count,
}

/// Elements `offset + Σ index·stride` of a source.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub source: Source,
    pub dtype: DType,
    pub offset: isize,
    /// One an axis of the space; those of the row are 0 at the row level.
    pub strides: Vec<isize>,
    pub level: Level,
}

/// A number that every index sees.
#[derive(Clone, Debug)]
pub(crate) struct Splat {
    pub dtype: DType,
    pub level: Level,
    /// The element's bytes, in the first `dtype.size()` places.
    pub bytes: [u8; 8],
}

/// One operation on blocks.
#[derive(Clone, Debug)]
pub(crate) struct Instr {
    pub func: Func,
    /// The operands' dtype (that of the sides for `Select`).
    pub dtype: DType,
    /// The result's dtype.
    pub out: DType,
    pub level: Level,
    pub args: Vec<usize>,
}

/// A value that is written to memory, densely in the order of its level.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub value: usize,
    pub slot: Slot,
    pub dtype: DType,
    pub level: Level,
}

/// A full value reduced to `out[Σ index·stride]`; axes of stride 0 are reduced.
#[derive(Clone, Debug)]
pub(crate) struct Accum {
    pub value: usize,
    pub kind: ReduceKind,
    /// The dtype of `value` and of the partial results.
    pub dtype: DType,
    /// The dtype that is written.
    pub out: DType,
    pub slot: Slot,
    /// The number of elements of the result.
    pub len: usize,
    pub strides: Vec<isize>,
}

/// A program over an index space.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// The sizes of the axes.
    pub dims: Vec<usize>,
    /// Trailing elements of one row; 1 if there is no row level.
    pub row: usize,
    pub loads: Vec<Load>,
    pub splats: Vec<Splat>,
    pub instrs: Vec<Instr>,
    pub stores: Vec<Store>,
    pub accums: Vec<Accum>,
}

impl Program {
    /// The number of indices.
    pub fn count(&self) -> usize {
        self.dims.iter().product()
    }

    /// How many values there are.
    pub fn values(&self) -> usize {
        self.loads.len() + self.splats.len() + self.instrs.len()
    }

    /// The level of a value.
    pub fn level(&self, value: usize) -> Level {
        let (l, s) = (self.loads.len(), self.splats.len());
        if value < l {
            self.loads[value].level
        } else if value < l + s {
            self.splats[value - l].level
        } else {
            self.instrs[value - l - s].level
        }
    }

    /// The dtype of a value.
    pub fn dtype(&self, value: usize) -> DType {
        let (l, s) = (self.loads.len(), self.splats.len());
        if value < l {
            self.loads[value].dtype
        } else if value < l + s {
            self.splats[value - l].dtype
        } else {
            self.instrs[value - l - s].out
        }
    }

    /// The strides of a row-major array over the space, or over its rows.
    pub fn dense_strides(&self, level: Level) -> Vec<isize> {
        let mut strides = vec![0; self.dims.len()];
        let (mut stride, mut trailing) = (1isize, 1usize);
        for a in (0..self.dims.len()).rev() {
            if level == Level::Full || trailing >= self.row {
                strides[a] = stride;
                stride *= self.dims[a] as isize;
            }
            trailing *= self.dims[a];
        }
        strides
    }

    /// Whether a load shows the elements of a dense array of its level in order.
    pub fn is_dense(&self, load: &Load) -> bool {
        let dense = self.dense_strides(load.level);
        matches!(load.source, Source::Memory(_))
            && (0..self.dims.len()).all(|a| self.dims[a] == 1 || load.strides[a] == dense[a])
    }

    /// The buffers that it reads and writes element by element in the order of its indices, at whatever level, and how many bytes
    /// of each, from its start.
    pub fn in_order(&self) -> impl Iterator<Item = (Slot, usize)> {
        let bytes = |level: Level, dtype: DType| {
            dtype.size() * if level == Level::Full { self.count() } else { self.count() / self.row }
        };
        let read = self.loads.iter().filter_map(move |load| match load.source {
            Source::Memory(slot) => Some((slot, bytes(load.level, load.dtype))),
            Source::Count => None,
        });
        let written = self.stores.iter().map(move |store| (store.slot, bytes(store.level, store.dtype)));
        read.chain(written).filter(|&(slot, _)| self.keeps_order(slot))
    }

    /// Whether it reads no element of a buffer but in that order.
    pub fn keeps_order(&self, slot: Slot) -> bool {
        let mut loads = self.loads.iter().filter(|load| load.source == Source::Memory(slot));
        loads.all(|load| load.offset == 0 && self.is_dense(load))
    }

    /// Joins axes that all loads and accumulations walk as one.
    pub fn collapse(&mut self) {
        let mut strides: Vec<Vec<isize>> = self.loads.iter().map(|l| l.strides.clone()).collect();
        strides.extend(self.accums.iter().map(|a| a.strides.clone()));
        let fence = if self.row > 1 { self.row } else { 0 };
        self.dims = crate::lower::view::collapse(&self.dims, &mut strides, fence);
        if self.dims.is_empty() {
            self.dims.push(1);
            strides.iter_mut().for_each(|s| s.push(0));
        }
        let mut strides = strides.into_iter();
        for load in &mut self.loads {
            load.strides = strides.next().expect("one a load");
        }
        for accum in &mut self.accums {
            accum.strides = strides.next().expect("one an accumulation");
        }
    }

    /// The names of what it computes, each once; `copy` if it only moves elements.
    pub fn functions(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        let functions = self.instrs.iter().map(|i| i.func.name());
        for name in functions.chain(self.accums.iter().map(|a| format!("reduce_{:?}", a.kind).to_lowercase())) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() { "copy".to_owned() } else { names.join(" ") }
    }

    /// One line a load, instruction and result.
    pub fn describe(&self) -> String {
        let list = |values: &[usize]| values.iter().map(|v| format!("v{v}")).collect::<Vec<_>>().join(", ");
        let mut out = format!("over {:?}", self.dims);
        if self.row > 1 {
            out += &format!(", rows of {}", self.row);
        }
        for (i, l) in self.loads.iter().enumerate() {
            let from = match l.source {
                Source::Memory(slot) => format!("b{slot}"),
                Source::Count => "count".to_owned(),
            };
            out += &format!("\n    v{i} = {} {from}[{}] strides {:?}", l.dtype, l.offset, l.strides);
        }
        let mut v = self.loads.len();
        for s in &self.splats {
            out += &format!("\n    v{v} = {} constant {:02x?}", s.dtype, &s.bytes[..s.dtype.size()]);
            v += 1;
        }
        for i in &self.instrs {
            out += &format!("\n    v{v} = {:?} {:?} ({}): {}", i.level, i.func, list(&i.args), i.out);
            v += 1;
        }
        for s in &self.stores {
            out += &format!("\n    b{} = v{}", s.slot, s.value);
        }
        for a in &self.accums {
            out += &format!("\n    b{} = {:?} of v{} to {:?}", a.slot, a.kind, a.value, a.strides);
        }
        out
    }
}
