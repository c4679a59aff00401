//! The outputs of a graph as tensors, donated buffers, and the order of the units.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use rhyton_ir::Graph;

use super::Lowering;
use super::units::{Body, Origin};
use super::view::View;

/// What each output is, and the order in which units run.
pub(crate) struct Order {
    /// The tensor of each output; a parameter only where it is that output's donated one.
    pub outputs: Vec<usize>,
    pub units: Vec<usize>,
}

impl Lowering {
    /// Settles the outputs, merges what can still be merged, and orders the units so that donated buffers are written
    /// after all else has read them. `donated[j]` is the parameter whose buffer output `j` takes.
    pub fn order(&mut self, graph: &Graph, donated: &[Option<usize>]) -> Order {
        let mut outputs: Vec<usize> = Vec::new();
        for (j, value) in graph.outputs().iter().enumerate() {
            let view = self.view(*value).clone();
            let tensor = self.dense(&view);
            let own = match self.units.tensors[tensor].origin {
                Origin::Unit(_) => true,
                Origin::Parameter(p) => donated[j] == Some(p),
                Origin::Constant(_) | Origin::Count => false,
            };
            outputs.push(if own && !outputs.contains(&tensor) { tensor } else { self.copy(tensor) });
        }
        self.recompute(&outputs);
        self.units.fuse_siblings();
        let readers = self.readers_of_parameters();
        for (j, parameter) in donated.iter().enumerate() {
            if let Some((tensor, readers)) = parameter.and_then(|p| readers.get(&p)) {
                self.donate(*tensor, readers, j, &mut outputs);
            }
        }
        let units = self.needed(self.sorted(), &outputs);
        Order { outputs, units }
    }

    /// The units without loops of which nothing is read any more, as what they made is computed again elsewhere; the others
    /// lose the expressions of which that is true.
    fn needed(&mut self, mut order: Vec<usize>, outputs: &[usize]) -> Vec<usize> {
        let mut read: BTreeSet<usize> = outputs.iter().copied().collect();
        order.reverse();
        order.retain(|&u| {
            let needed = match &mut self.units.units[u].body {
                Body::Fused(cluster) => {
                    cluster.keep(&|t| read.contains(&t));
                    cluster.tensors().next().is_some()
                }
                Body::Contract(_, cluster) => {
                    cluster.keep(&|t| read.contains(&t));
                    true
                }
                Body::Call(_) | Body::Merged(_) => true,
            };
            if needed {
                read.extend(self.units.reads(u));
            }
            needed
        });
        order.reverse();
        order
    }

    /// A copy of a tensor that may be fused.
    fn copy(&mut self, tensor: usize) -> usize {
        let dims = self.units.tensors[tensor].dims.clone();
        let copy = self.copy_apart(tensor);
        let unit = self.units.maker(copy).expect("a copy is made by a unit");
        self.units.units[unit].open = true;
        debug_assert_eq!(View::dense(copy, &dims).count(), self.units.tensors[tensor].count());
        copy
    }

    /// The tensor of each parameter, and the units that read it.
    fn readers_of_parameters(&self) -> BTreeMap<usize, (usize, Vec<usize>)> {
        let mut of_tensor: Vec<Vec<usize>> = vec![Vec::new(); self.units.tensors.len()];
        for unit in 0..self.units.units.len() {
            for tensor in self.units.reads(unit) {
                of_tensor[tensor].push(unit);
            }
        }
        let parameter = |t: usize| match self.units.tensors[t].origin {
            Origin::Parameter(p) => Some((p, (t, std::mem::take(&mut of_tensor[t])))),
            Origin::Constant(_) | Origin::Count | Origin::Unit(_) => None,
        };
        (0..self.units.tensors.len()).filter_map(parameter).collect()
    }

    /// Makes output `j` writable over the parameter that is `tensor`: every other one of its readers comes first, or
    /// else the output is made elsewhere and copied at the end.
    fn donate(&mut self, tensor: usize, readers: &[usize], j: usize, outputs: &mut [usize]) {
        if outputs[j] == tensor {
            return;
        }
        let maker = self.units.maker(outputs[j]).expect("outputs are made by units");
        let in_place = !readers.contains(&maker)
            || match &self.units.units[maker].body {
                Body::Fused(cluster) => cluster.reads_in_place(tensor, outputs[j]),
                // Tiles are read and written once each; the product itself is made elsewhere.
                Body::Contract(call, cluster) => {
                    call.inputs.iter().all(|v| v.tensor != tensor) && cluster.reads_in_place(tensor, outputs[j])
                }
                Body::Call(_) | Body::Merged(_) => false,
            };
        let others: Vec<usize> = readers.iter().copied().filter(|&u| u != maker).collect();
        if in_place && others.iter().all(|&u| !self.units.depends(u, maker, false)) {
            for u in others {
                self.units.require(maker, u);
            }
            return;
        }
        let copy = self.copy_apart(outputs[j]);
        let unit = self.units.maker(copy).expect("a copy is made by a unit");
        for &u in readers {
            self.units.require(unit, u);
        }
        outputs[j] = copy;
    }

    /// The units in an order that respects their dependencies, near that of the graph.
    fn sorted(&self) -> Vec<usize> {
        let units = &self.units;
        let live: Vec<usize> =
            (0..units.units.len()).filter(|&u| !matches!(units.units[u].body, Body::Merged(_))).collect();
        let mut waits = vec![0usize; units.units.len()];
        let mut next: Vec<Vec<usize>> = vec![Vec::new(); units.units.len()];
        for &u in &live {
            for b in units.before(u) {
                waits[u] += 1;
                next[b].push(u);
            }
        }
        let key = |u: usize| Reverse((units.units[u].span.1, u));
        let mut ready: BinaryHeap<_> = live.iter().copied().filter(|&u| waits[u] == 0).map(key).collect();
        let mut out = Vec::with_capacity(live.len());
        while let Some(Reverse((_, u))) = ready.pop() {
            out.push(u);
            for &n in &next[u] {
                waits[n] -= 1;
                if waits[n] == 0 {
                    ready.push(key(n));
                }
            }
        }
        assert_eq!(out.len(), live.len(), "the units have a cycle");
        out
    }
}
