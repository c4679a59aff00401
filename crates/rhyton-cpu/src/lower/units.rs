//! Units: what becomes one step each, how they depend on each other, and which may be merged.

use rhyton_ir::{Array, DType, Op};

use super::view::View;
use crate::fuse::cluster::Cluster;

/// Where the elements of a tensor come from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    Parameter(usize),
    Constant(Array),
    /// Its element `i` is the number `i`; never in memory.
    Count,
    /// A unit (to be looked up by [`Units::find`]).
    Unit(usize),
}

/// Elements that lie densely in memory.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub dtype: DType,
    pub dims: Vec<usize>,
    pub origin: Origin,
}

impl Tensor {
    /// The number of elements.
    pub fn count(&self) -> usize {
        self.dims.iter().product()
    }

    /// The number of bytes.
    pub fn bytes(&self) -> usize {
        self.count() * self.dtype.size()
    }
}

/// An operation with a kernel of its own.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub op: Op,
    pub inputs: Vec<View>,
    pub outputs: Vec<usize>,
}

/// What a unit does.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Fused(Cluster),
    Call(Call),
    /// A contraction whose only output goes through the elementwise cluster tile by tile.
    Contract(Call, Cluster),
    /// Merged into another one.
    Merged(usize),
}

/// A step to be.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub body: Body,
    /// Units that must come before (to be looked up by [`Units::find`]).
    pub before: Vec<usize>,
    /// Positions of its first and last operation in the graph.
    pub span: (usize, usize),
    /// Whether it may be merged with others.
    pub open: bool,
}

/// All tensors and units of a graph.
#[derive(Debug, Default)]
pub(crate) struct Units {
    pub tensors: Vec<Tensor>,
    pub units: Vec<Unit>,
}

impl Units {
    /// A new tensor.
    pub fn tensor(&mut self, dtype: DType, dims: &[usize], origin: Origin) -> usize {
        self.tensors.push(Tensor { dtype, dims: dims.to_vec(), origin });
        self.tensors.len() - 1
    }

    /// A new unit.
    pub fn unit(&mut self, body: Body, position: usize) -> usize {
        let unit = self.units.len();
        self.units.push(Unit { body, before: Vec::new(), span: (position, position), open: true });
        self.units[unit].before = self.reads(unit).into_iter().filter_map(|t| self.maker(t)).collect();
        unit
    }

    /// The unit into which `unit` has been merged, or itself.
    pub fn find(&self, mut unit: usize) -> usize {
        while let Body::Merged(into) = self.units[unit].body {
            unit = into;
        }
        unit
    }

    /// The unit that computes a tensor.
    pub fn maker(&self, tensor: usize) -> Option<usize> {
        match self.tensors[tensor].origin {
            Origin::Unit(unit) => Some(self.find(unit)),
            _ => None,
        }
    }

    /// The tensors a unit reads; for a contraction not its own result.
    pub fn reads(&self, unit: usize) -> Vec<usize> {
        let mut out = match &self.units[unit].body {
            Body::Fused(cluster) => return cluster.reads(),
            Body::Call(call) => call.inputs.iter().map(|v| v.tensor).collect::<Vec<_>>(),
            Body::Contract(call, cluster) => {
                let own = call.outputs[0];
                call.inputs.iter().map(|v| v.tensor).chain(cluster.reads().into_iter().filter(|&t| t != own)).collect()
            }
            Body::Merged(_) => Vec::new(),
        };
        out.sort_unstable();
        out.dedup();
        out
    }

    /// The units that must come before `unit`.
    pub fn before(&self, unit: usize) -> Vec<usize> {
        let mut out: Vec<usize> = self.units[unit].before.iter().map(|&u| self.find(u)).collect();
        out.sort_unstable();
        out.dedup();
        out.retain(|&u| u != unit);
        out
    }

    /// Requires that `earlier` comes before `unit`, for another reason than reading what it writes.
    pub fn require(&mut self, unit: usize, earlier: usize) {
        self.units[unit].before.push(earlier);
    }

    /// Whether `target` must come before `unit`; with `through`, by way of another unit at least.
    pub fn depends(&self, unit: usize, target: usize, through: bool) -> bool {
        let mut seen = vec![false; self.units.len()];
        let mut stack: Vec<usize> = self.units[unit].before.iter().map(|&u| self.find(u)).collect();
        if through {
            stack.retain(|&u| u != target);
        }
        stack.retain(|&u| u != unit);
        while let Some(u) = stack.pop() {
            if u == target {
                return true;
            }
            if !std::mem::replace(&mut seen[u], true) {
                stack.extend(self.units[u].before.iter().map(|&b| self.find(b)).filter(|&b| b != u && !seen[b]));
            }
        }
        false
    }

    /// Makes one unit of `first` and `second`, if `second` can come right after `first`; tells whether it did.
    pub fn merge(&mut self, first: usize, second: usize) -> bool {
        if first == second || !self.units[first].open || !self.units[second].open {
            return false;
        }
        let body = match (&self.units[first].body, &self.units[second].body) {
            (Body::Fused(a), Body::Fused(b)) => a.merge(b).map(Body::Fused),
            (Body::Contract(call, a), Body::Fused(b)) => {
                merge_epilogue(call.outputs[0], a, b).map(|c| Body::Contract(call.clone(), c))
            }
            _ => None,
        };
        let Some(body) = body else { return false };
        if self.depends(second, first, true) || self.depends(first, second, false) {
            return false;
        }
        let (a, b) = (self.units[first].span, self.units[second].span);
        self.units[first].span = (a.0.min(b.0), a.1.max(b.1));
        self.units[first].body = body;
        let before = std::mem::take(&mut self.units[second].before);
        self.units[first].before.extend(before);
        self.units[second].body = Body::Merged(first);
        self.units[first].before = self.before(first);
        true
    }

    /// Makes a unit and merges it with those whose results it reads.
    pub fn fuse(&mut self, body: Body, position: usize) -> usize {
        let mut unit = self.unit(body, position);
        loop {
            let mut makers: Vec<usize> = self.reads(unit).into_iter().filter_map(|t| self.maker(t)).collect();
            makers.sort_unstable_by_key(|&u| std::cmp::Reverse(self.units[u].span.1));
            makers.dedup();
            let Some(&into) = makers.iter().find(|&&m| m != unit && self.merge(m, unit)) else { return unit };
            unit = into;
        }
    }

    /// Merges loops over one index space that read the same tensor.
    pub fn fuse_siblings(&mut self) {
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); self.tensors.len()];
        for unit in 0..self.units.len() {
            if matches!(self.units[unit].body, Body::Fused(_)) {
                for tensor in self.reads(unit) {
                    readers[tensor].push(unit);
                }
            }
        }
        for (tensor, units) in readers.iter().enumerate() {
            if self.tensors[tensor].count() < 2 {
                continue;
            }
            for i in 1..units.len().min(64) {
                for j in 0..i {
                    let (a, b) = (self.find(units[j]), self.find(units[i]));
                    let same_space = match (&self.units[a].body, &self.units[b].body) {
                        (Body::Fused(x), Body::Fused(y)) => x.count() == y.count(),
                        _ => false,
                    };
                    if a != b && same_space && (self.merge(a, b) || self.merge(b, a)) {
                        break;
                    }
                }
            }
        }
    }
}

/// A cluster that can run on finished tiles: elementwise, over the result's elements in order.
fn merge_epilogue(result: usize, epilogue: &Cluster, next: &Cluster) -> Option<Cluster> {
    let elementwise = next.row == 1 && next.ends.is_empty() && next.count() == epilogue.count();
    if !elementwise {
        return None;
    }
    let merged = epilogue.merge(next)?;
    // What the result's tile holds is read at its own place only.
    merged.reads_only_densely(result).then_some(merged)
}
