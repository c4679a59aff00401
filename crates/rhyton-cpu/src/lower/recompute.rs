//! Computing again what is cheaper to compute than to keep.
//!
//! A loop that hands a large tensor to a later loop writes it to memory and reads it back. Where the tensor is a little
//! arithmetic on tensors that are in memory anyway, the later loop reads those and repeats the arithmetic: batch
//! normalisation's gradient, for example, sums `dy` and `dy · x`, of which the product need not be kept, nor `x - mean`.

use std::collections::{BTreeMap, BTreeSet};

use rhyton_ir::op::{BinaryKind, Direction, UnaryKind};

use super::Lowering;
use super::units::{Body, Units};
use super::view::View;
use crate::fuse::cluster::{Arg, Cluster, Expr};
use crate::fuse::program::{Func, Level};
use crate::fuse::schedule::MOST_VALUES;

/// Elements from which a tensor is worth it: smaller ones stay in cache between the loops.
const LEAST: usize = 1 << 14;

/// Most operations that are repeated for a tensor.
const MOST_EXPRS: usize = 4;

/// What writing a tensor takes, in terms of reading one: memory is read before it is written.
const WRITE: usize = 2;

impl Lowering {
    /// Lets clusters compute tensors of other clusters again where that saves memory traffic. `outputs` stay.
    pub(super) fn recompute(&mut self, outputs: &[usize]) {
        let mut kept: BTreeSet<usize> = outputs.iter().copied().collect();
        let mut readers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for unit in 0..self.units.units.len() {
            if let Body::Call(call) | Body::Contract(call, _) = &self.units.units[unit].body {
                kept.extend(call.inputs.iter().map(|view| view.tensor));
            }
            self.units.reads(unit).into_iter().for_each(|tensor| readers.entry(tensor).or_default().push(unit));
        }
        let tensors: Vec<usize> = readers.keys().copied().collect();
        for tensor in tensors {
            if !kept.contains(&tensor) && self.units.tensors[tensor].count() >= LEAST {
                self.units.repeat(tensor, &mut readers);
            }
        }
    }
}

impl Units {
    /// The cluster of a unit, and for a contraction the tensor whose tiles it works on, which is not in memory.
    fn cluster(&self, unit: usize) -> Option<(&Cluster, Option<usize>)> {
        match &self.units[unit].body {
            Body::Fused(cluster) => Some((cluster, None)),
            Body::Contract(call, cluster) => Some((cluster, Some(call.outputs[0]))),
            Body::Call(_) | Body::Merged(_) => None,
        }
    }

    /// Makes all units that read `tensor` compute it themselves, if it is cheap for all. `readers` tells which units read
    /// each tensor, and goes on doing so.
    fn repeat(&mut self, tensor: usize, readers: &mut BTreeMap<usize, Vec<usize>>) {
        let Some(maker) = self.maker(tensor) else { return };
        let Some((cluster, tile)) = self.cluster(maker) else { return };
        let Some(last) = cluster.exprs.iter().position(|e| e.tensor == Some(tensor)) else { return };
        let stored = |t: usize| readers.get(&t).is_some_and(|units| units.iter().any(|&u| u != maker));
        let mut recipe = Recipe { exprs: Vec::new(), leaves: Vec::new(), short: Vec::new() };
        if recipe.add(cluster, tile, last, true, &stored).is_none() {
            return;
        }
        let Some(units) = readers.get(&tensor) else { return };
        let fits = |&reader: &usize| {
            self.cluster(reader).is_some_and(|(cluster, tile)| {
                !tile.is_some_and(|tile| recipe.leaves.contains(&tile))
                    && reads_elements(cluster, tensor, self.tensors[tensor].count())
                    && recipe.over(&cluster.dims).is_some()
                    && cluster.exprs.len() + recipe.exprs.len() <= MOST_VALUES / 4
            })
        };
        if !units.iter().all(fits) || !self.pays(&recipe, units, readers) {
            return;
        }
        let units = readers.remove(&tensor).unwrap_or_default();
        for read in recipe.leaves.iter().chain(&recipe.short) {
            let known = readers.entry(*read).or_default();
            known.extend(units.iter().filter(|unit| !known.contains(unit)).copied().collect::<Vec<_>>());
        }
        for reader in units {
            let read = recipe.leaves.iter().chain(&recipe.short);
            let makers: Vec<usize> = read.filter_map(|&tensor| self.maker(tensor)).collect();
            self.units[reader].before.extend(makers);
            if let Body::Fused(cluster) | Body::Contract(_, cluster) = &mut self.units[reader].body {
                recipe.prepend(cluster, tensor);
            }
        }
    }

    /// Whether reading the leaves of `recipe` in `units` is less than writing the tensor and reading it there, and takes no more
    /// memory.
    fn pays(&self, recipe: &Recipe, units: &[usize], readers: &BTreeMap<usize, Vec<usize>>) -> bool {
        let read = |&unit: &usize| {
            let known = self.reads(unit);
            recipe.leaves.iter().filter(|leaf| !known.contains(leaf)).count()
        };
        let last = |units: &[usize]| units.iter().map(|&u| self.units[self.find(u)].span.1).max();
        let longer = |leaf: &&usize| readers.get(leaf).is_none_or(|others| last(others) < last(units));
        units.iter().map(read).sum::<usize>() < units.len() + WRITE && recipe.leaves.iter().filter(longer).count() <= 1
    }
}

/// Whether the cluster reads `tensor` element by element, in the order of its index space.
fn reads_elements(cluster: &Cluster, tensor: usize, count: usize) -> bool {
    let fits = |arg: &Arg| match arg {
        Arg::Load(view, _) if view.tensor == tensor => view.is_dense() && view.count() == count,
        _ => true,
    };
    let ends = cluster.ends.iter().all(|e| fits(&e.value));
    count == cluster.count() && ends && cluster.exprs.iter().flat_map(|e| &e.args).all(fits)
}

/// How a tensor is computed from others, element by element.
struct Recipe {
    /// In order; operands are numbers, leaves, short tensors, or earlier of these.
    exprs: Vec<Expr>,
    /// The tensors as long as the result that it reads.
    leaves: Vec<usize>,
    /// The tensors that are repeated along its axes, as the mean of each channel is.
    short: Vec<usize>,
}

impl Recipe {
    /// Appends expression `e` of `cluster` and what it needs; `None` if that is not cheap. Gives its number here.
    fn add(
        &mut self,
        cluster: &Cluster,
        tile: Option<usize>,
        e: usize,
        root: bool,
        stored: &dyn Fn(usize) -> bool,
    ) -> Option<Arg> {
        let expr = &cluster.exprs[e];
        if let Some(t) = expr.tensor.filter(|&t| !root && expr.level == Level::Full && stored(t)) {
            self.leaf(t);
            return Some(Arg::Load(View::dense(t, &cluster.dims), expr.out));
        }
        if expr.level != Level::Full || !is_cheap(expr.func) {
            return None;
        }
        // The mask of a contraction's result is dear: it makes of a short epilogue a program.
        if let Some(result) = tile.and_then(|_| rectified(cluster, expr, stored)) {
            self.leaf(result);
            let result = Arg::Load(View::dense(result, &cluster.dims), expr.dtype);
            self.exprs.push(Expr { args: vec![expr.args[0].clone(), result], tensor: None, ..expr.clone() });
            return Some(Arg::Expr(self.exprs.len() - 1));
        }
        let mut args = Vec::with_capacity(expr.args.len());
        for arg in &expr.args {
            args.push(match arg {
                Arg::Expr(other) => self.add(cluster, tile, *other, false, stored)?,
                Arg::Splat(..) => arg.clone(),
                Arg::Load(view, _) if tile == Some(view.tensor) && !stored(view.tensor) => return None,
                Arg::Load(view, _) if view.is_dense() && view.count() == cluster.count() => {
                    self.leaf(view.tensor);
                    arg.clone()
                }
                Arg::Load(view, _) if view.is_repeated() => {
                    self.short.push(view.tensor);
                    arg.clone()
                }
                Arg::Load(..) | Arg::Count(..) => return None,
            });
        }
        self.exprs.push(Expr { args, tensor: None, ..expr.clone() });
        (self.exprs.len() <= MOST_EXPRS).then_some(Arg::Expr(self.exprs.len() - 1))
    }

    fn leaf(&mut self, tensor: usize) {
        if !self.leaves.contains(&tensor) {
            self.leaves.push(tensor);
        }
    }

    /// Its expressions over the index space of `dims`, if strides can say so.
    fn over(&self, dims: &[usize]) -> Option<Vec<Expr>> {
        let mut exprs = self.exprs.clone();
        for arg in exprs.iter_mut().flat_map(|e| &mut e.args) {
            if let Arg::Load(view, _) = arg {
                *view = view.reshape(dims)?;
            }
        }
        Some(exprs)
    }

    /// Puts the recipe before the expressions of `cluster`, whose loads of `tensor` become its result.
    fn prepend(&self, cluster: &mut Cluster, tensor: usize) {
        let shift = self.exprs.len();
        let result = shift - 1;
        let change = |arg: &mut Arg| match arg {
            Arg::Expr(e) => *e += shift,
            Arg::Load(view, _) if view.tensor == tensor => *arg = Arg::Expr(result),
            _ => {}
        };
        cluster.exprs.iter_mut().flat_map(|e| &mut e.args).for_each(change);
        cluster.ends.iter_mut().map(|e| &mut e.value).for_each(change);
        let exprs = self.over(&cluster.dims).expect("it was found to fit");
        cluster.exprs.splice(0..0, exprs);
    }
}

/// If `expr` tells where a number is at least a tensor's elements, the greater of both, where that is in memory: it tells the same.
fn rectified(cluster: &Cluster, expr: &Expr, stored: &dyn Fn(usize) -> bool) -> Option<usize> {
    let (Func::Compare(Direction::Ge), [bound @ Arg::Splat(..), Arg::Expr(x)]) = (expr.func, &expr.args[..]) else {
        return None;
    };
    let is_greater = |e: &&Expr| {
        let same = matches!(&e.args[..], [other, Arg::Expr(of)] if of == x && same_number(bound, other));
        e.func == Func::Binary(BinaryKind::Maximum) && same && e.tensor.is_some_and(stored)
    };
    cluster.exprs.iter().find(is_greater)?.tensor
}

fn same_number(a: &Arg, b: &Arg) -> bool {
    matches!((a, b), (Arg::Splat(a, of), Arg::Splat(b, also)) if (a, of) == (b, also))
}

/// Whether a function takes no longer than a load.
fn is_cheap(func: Func) -> bool {
    match func {
        Func::Unary(kind) => matches!(kind, UnaryKind::Neg | UnaryKind::Abs),
        Func::Binary(kind) => matches!(
            kind,
            BinaryKind::Add | BinaryKind::Sub | BinaryKind::Mul | BinaryKind::Maximum | BinaryKind::Minimum
        ),
        Func::Compare(_) | Func::Select => true,
        Func::Convert | Func::Bitcast | Func::Reduce(_) | Func::Spread => false,
    }
}
