//! Clusters: elementwise operations and reductions that become one fused loop, and the rule by which two become one.

use rhyton_ir::DType;
use rhyton_ir::op::ReduceKind;

use super::program::{Accum, Func, Instr, Level, Load, Program, Source, Splat, Store};
use super::schedule::MOST_VALUES;
use crate::lower::view::{View, dense_strides, reshape_strides};
use crate::plan::Slot;

/// Longest row that is reduced and used again in one pass: with a few live registers it still fits the second-level
/// cache.
pub(crate) const LONGEST_ROW: usize = 8192;

/// An operand of an expression.
#[derive(Clone, Debug)]
pub(crate) enum Arg {
    /// The expression of that number.
    Expr(usize),
    /// Elements in memory; the view's sizes are those of the level.
    Load(View, DType),
    /// The place itself (see [`Source::Count`]); the view's tensor means nothing.
    Count(View, DType),
    /// A number.
    Splat([u8; 8], DType),
}

/// One operation of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub func: Func,
    pub dtype: DType,
    pub out: DType,
    pub level: Level,
    /// The level of the operands: [`Level::Full`] for a reduction, [`Level::Row`] for a spread, else `level`.
    pub args: Vec<Arg>,
    /// The tensor whose elements it computes, if others may ask for it.
    pub tensor: Option<usize>,
}

/// A reduction that leaves the cluster.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub kind: ReduceKind,
    pub value: Arg,
    /// Of the value and the accumulator.
    pub dtype: DType,
    pub out: DType,
    /// Strides of the result over the index space.
    pub strides: Vec<isize>,
    pub len: usize,
    pub tensor: usize,
}

/// Expressions over one index space.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub dims: Vec<usize>,
    /// Trailing indices of a row; 1 while there is no row level.
    pub row: usize,
    pub exprs: Vec<Expr>,
    pub ends: Vec<End>,
}

impl Expr {
    fn arg_level(&self) -> Level {
        match self.func {
            Func::Reduce(_) => Level::Full,
            Func::Spread => Level::Row,
            _ => self.level,
        }
    }
}

/// How many leading axes of `dims` number the rows of `row` elements, if the axes can tell.
fn row_axes(dims: &[usize], row: usize) -> Option<usize> {
    let mut trailing = 1;
    let mut axes = dims.len();
    while trailing < row {
        axes = axes.checked_sub(1)?;
        trailing *= dims[axes];
    }
    (trailing == row).then_some(axes)
}

impl Cluster {
    /// The number of indices.
    pub fn count(&self) -> usize {
        self.dims.iter().product()
    }

    /// The sizes of the axes of a level.
    fn level_dims(&self, level: Level) -> &[usize] {
        match level {
            Level::Full => &self.dims,
            Level::Row => &self.dims[..row_axes(&self.dims, self.row).unwrap_or(self.dims.len())],
        }
    }

    /// All tensors it reads from memory, each once.
    pub fn reads(&self) -> Vec<usize> {
        let mut out: Vec<usize> = self
            .exprs
            .iter()
            .flat_map(|e| &e.args)
            .chain(self.ends.iter().map(|e| &e.value))
            .filter_map(|a| if let Arg::Load(view, _) = a { Some(view.tensor) } else { None })
            .collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    /// The tensors it computes.
    pub fn tensors(&self) -> impl Iterator<Item = usize> {
        self.exprs.iter().filter_map(|e| e.tensor).chain(self.ends.iter().map(|e| e.tensor))
    }

    /// The same cluster over other axes, with rows of `row`, if every view can be said over them.
    fn restate(&self, dims: &[usize], row: usize) -> Option<Cluster> {
        if dims == self.dims && row == self.row {
            return Some(self.clone());
        }
        let axes = row_axes(dims, row)?;
        let restate = |arg: &mut Arg, level: Level| {
            let to = if level == Level::Full { dims } else { &dims[..axes] };
            match arg {
                Arg::Load(view, _) | Arg::Count(view, _) => {
                    *view = view.reshape(to)?;
                    Some(())
                }
                Arg::Expr(_) | Arg::Splat(..) => Some(()),
            }
        };
        let mut out = self.clone();
        for e in &mut out.exprs {
            let level = e.arg_level();
            e.args.iter_mut().try_for_each(|a| restate(a, level))?;
        }
        for e in &mut out.ends {
            restate(&mut e.value, Level::Full)?;
            e.strides = reshape_strides(&self.dims, &e.strides, dims)?;
        }
        (out.dims, out.row) = (dims.to_vec(), row);
        Some(out)
    }

    /// This cluster followed by `next`, if their index spaces and what `next` reads of this one allow it.
    pub fn merge(&self, next: &Cluster) -> Option<Cluster> {
        if self.count() == 0 || self.exprs.len() + next.exprs.len() > MOST_VALUES / 4 {
            return None;
        }
        if self.count() == next.count() && (self.row == 1 || next.row == 1 || self.row == next.row) {
            let row = self.row.max(next.row);
            return [&self.dims, &next.dims].into_iter().find_map(|dims| {
                let (a, b) = (self.restate(dims, row)?, next.restate(dims, row)?);
                a.append(&b)
            });
        }
        // Everything of `next` happens at this cluster's row level.
        if self.row > 1 && next.row == 1 && next.ends.is_empty() && next.count() * self.row == self.count() {
            let axes = row_axes(&self.dims, self.row)?;
            let mut rows = next.restate(&self.dims[..axes], 1)?;
            rows.exprs.iter_mut().for_each(|e| e.level = Level::Row);
            (rows.dims, rows.row) = (self.dims.clone(), self.row);
            return self.append(&rows);
        }
        // Everything of this cluster happens at the row level of `next`.
        if next.row > 1 && self.row == 1 && self.ends.is_empty() && self.count() * next.row == next.count() {
            let axes = row_axes(&next.dims, next.row)?;
            let mut rows = self.restate(&next.dims[..axes], 1)?;
            rows.exprs.iter_mut().for_each(|e| e.level = Level::Row);
            (rows.dims, rows.row) = (next.dims.clone(), next.row);
            return rows.append(next);
        }
        None
    }

    /// The expressions of both; the index spaces are equal.
    fn append(&self, next: &Cluster) -> Option<Cluster> {
        let mut out = self.clone();
        let mut renamed = Vec::with_capacity(next.exprs.len());
        for e in &next.exprs {
            let level = e.arg_level();
            let mut e = e.clone();
            for arg in &mut e.args {
                *arg = out.link(arg, level, &renamed)?;
            }
            renamed.push(out.exprs.len());
            out.exprs.push(e);
        }
        for e in &next.ends {
            let mut e = e.clone();
            e.value = out.link(&e.value, Level::Full, &renamed)?;
            out.ends.push(e);
        }
        Some(out)
    }

    /// An operand of an expression of another cluster as one of this cluster.
    fn link(&mut self, arg: &Arg, level: Level, renamed: &[usize]) -> Option<Arg> {
        let view = match arg {
            Arg::Expr(e) => return Some(Arg::Expr(renamed[*e])),
            Arg::Load(view, _) => view,
            Arg::Count(..) | Arg::Splat(..) => return Some(arg.clone()),
        };
        if self.ends.iter().any(|e| e.tensor == view.tensor) {
            return None;
        }
        let Some(e) = self.exprs.iter().position(|e| e.tensor == Some(view.tensor)) else { return Some(arg.clone()) };
        let from = self.exprs[e].level;
        if from == level {
            return view.is_dense().then_some(Arg::Expr(e));
        }
        let (Level::Row, Level::Full) = (from, level) else { return None };
        let rows = self.level_dims(Level::Row);
        let (axes, dense) = (rows.len(), dense_strides(rows));
        let spreads = view.offset == 0
            && (0..view.dims.len())
                .all(|a| view.dims[a] == 1 || view.strides[a] == if a < axes { dense[a] } else { 0 });
        if !spreads {
            return None;
        }
        let is_spread = |x: &Expr| x.func == Func::Spread && matches!(x.args[0], Arg::Expr(of) if of == e);
        if let Some(made) = self.exprs.iter().position(is_spread) {
            return Some(Arg::Expr(made));
        }
        let dtype = self.exprs[e].out;
        let args = vec![Arg::Expr(e)];
        self.exprs.push(Expr { func: Func::Spread, dtype, out: dtype, level: Level::Full, args, tensor: None });
        Some(Arg::Expr(self.exprs.len() - 1))
    }

    /// Whether every load of `tensor` reads the element that `result` has at the same place, and in the same size, so
    /// that the result may be written over it.
    pub fn reads_in_place(&self, tensor: usize, result: usize) -> bool {
        let Some(made) = self.exprs.iter().find(|e| e.tensor == Some(result)) else { return false };
        let fits = |arg: &Arg, level: Level| match arg {
            Arg::Load(view, dtype) if view.tensor == tensor => {
                level == made.level && view.is_dense() && dtype.size() == made.out.size()
            }
            _ => true,
        };
        self.exprs.iter().all(|e| e.args.iter().all(|a| fits(a, e.arg_level())))
            && self.ends.iter().all(|e| fits(&e.value, Level::Full))
    }

    /// Drops the expressions and reductions that no tensor for which `read` holds is computed from.
    pub fn keep(&mut self, read: &dyn Fn(usize) -> bool) {
        self.ends.retain(|end| read(end.tensor));
        let mut needed: Vec<bool> = self.exprs.iter().map(|e| e.tensor.is_some_and(read)).collect();
        for end in &self.ends {
            if let Arg::Expr(e) = end.value {
                needed[e] = true;
            }
        }
        for (i, expr) in self.exprs.iter().enumerate().rev() {
            if needed[i] {
                for arg in &expr.args {
                    if let Arg::Expr(e) = *arg {
                        needed[e] = true;
                    }
                }
            }
        }
        if needed.iter().all(|&n| n) {
            return;
        }
        let numbered = needed.iter().scan(0, |next, &n| Some(std::mem::replace(next, *next + usize::from(n))));
        let numbers: Vec<usize> = numbered.collect();
        let mut kept = needed.iter();
        self.exprs.retain(|_| kept.next() == Some(&true));
        let args = self.exprs.iter_mut().flat_map(|e| &mut e.args).chain(self.ends.iter_mut().map(|e| &mut e.value));
        for arg in args {
            if let Arg::Expr(e) = arg {
                *e = numbers[*e];
            }
        }
    }

    /// The program; `slot` gives the buffer of a tensor, `None` if it need not be stored.
    pub fn program(&self, slot: &dyn Fn(usize) -> Option<Slot>) -> Program {
        let mut p = Program {
            dims: self.dims.clone(),
            row: self.row,
            loads: Vec::new(),
            splats: Vec::new(),
            instrs: Vec::new(),
            stores: Vec::new(),
            accums: Vec::new(),
        };
        /// A value before its number is known: loads, splats and instructions are numbered in this order.
        #[derive(Clone, Copy)]
        enum Ref {
            Load(usize),
            Splat(usize),
            Instr(usize),
        }
        let rank = self.dims.len();
        let resolve = |arg: &Arg, level: Level, p: &mut Program| match arg {
            Arg::Expr(e) => Ref::Instr(*e),
            Arg::Splat(bytes, dtype) => {
                let same = |s: &Splat| s.bytes == *bytes && s.dtype == *dtype && s.level == level;
                let at = p.splats.iter().position(same).unwrap_or_else(|| {
                    p.splats.push(Splat { dtype: *dtype, level, bytes: *bytes });
                    p.splats.len() - 1
                });
                Ref::Splat(at)
            }
            Arg::Load(view, dtype) | Arg::Count(view, dtype) => {
                let source = match arg {
                    Arg::Load(..) => Source::Memory(slot(view.tensor).expect("a tensor that is read has a buffer")),
                    _ => Source::Count,
                };
                let mut strides = view.strides.clone();
                strides.resize(rank, 0);
                for (s, &d) in strides.iter_mut().zip(&self.dims) {
                    if d == 1 {
                        *s = 0;
                    }
                }
                let same = |l: &Load| {
                    l.source == source
                        && l.offset == view.offset
                        && l.strides == strides
                        && l.level == level
                        && l.dtype == *dtype
                };
                let at = p.loads.iter().position(same).unwrap_or_else(|| {
                    let strides = strides.clone();
                    p.loads.push(Load { source, dtype: *dtype, offset: view.offset, strides, level });
                    p.loads.len() - 1
                });
                Ref::Load(at)
            }
        };
        let args: Vec<Vec<Ref>> =
            self.exprs.iter().map(|e| e.args.iter().map(|a| resolve(a, e.arg_level(), &mut p)).collect()).collect();
        let ends: Vec<Ref> = self.ends.iter().map(|e| resolve(&e.value, Level::Full, &mut p)).collect();
        let (nl, ns) = (p.loads.len(), p.splats.len());
        let number = |r: Ref| match r {
            Ref::Load(l) => l,
            Ref::Splat(s) => nl + s,
            Ref::Instr(i) => nl + ns + i,
        };
        for (i, (e, args)) in self.exprs.iter().zip(&args).enumerate() {
            p.instrs.push(Instr {
                func: e.func,
                dtype: e.dtype,
                out: e.out,
                level: e.level,
                args: args.iter().map(|&r| number(r)).collect(),
            });
            if let Some(slot) = e.tensor.and_then(slot) {
                p.stores.push(Store { value: nl + ns + i, slot, dtype: e.out, level: e.level });
            }
        }
        for (e, &value) in self.ends.iter().zip(&ends) {
            let slot = slot(e.tensor).expect("a reduction that leaves a cluster is read");
            p.accums.push(Accum {
                value: number(value),
                kind: e.kind,
                dtype: e.dtype,
                out: e.out,
                slot,
                len: e.len,
                strides: e.strides.clone(),
            });
        }
        p.collapse();
        p
    }
}

impl Cluster {
    /// No expressions yet.
    pub fn empty(dims: &[usize]) -> Cluster {
        Cluster { dims: dims.to_vec(), row: 1, exprs: Vec::new(), ends: Vec::new() }
    }

    /// Whether `tensor` is read at the place of the index alone.
    pub fn reads_only_densely(&self, tensor: usize) -> bool {
        self.exprs.iter().flat_map(|e| &e.args).all(|arg| match arg {
            Arg::Load(view, _) if view.tensor == tensor => view.is_dense(),
            _ => true,
        })
    }
}
