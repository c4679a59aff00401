//! From ordered units to the steps of a plan.

use std::collections::{BTreeMap, BTreeSet};

use rhyton_ir::{Array, DType, Error, Graph, Result};

use super::Lowering;
use super::contract::Contraction;
use super::order::Order;
use super::units::{Body, Call, Origin, Units};
use super::view::View;
use crate::fuse::cluster::Cluster;
use crate::fuse::fused_loop::FusedLoop;
use crate::memory::Memory;
use crate::plan::{Buffer, Kernel, Place, Plan, Slot, Step};

/// An operand of a kernel: a strided part of a buffer.
#[derive(Clone, Debug)]
pub(crate) struct Operand {
    pub slot: Slot,
    pub dtype: DType,
    pub view: View,
    /// Elements in the whole buffer.
    pub len: usize,
}

impl Operand {
    /// The sizes of its axes.
    pub fn dims(&self) -> &[usize] {
        &self.view.dims
    }

    /// The number of elements it shows.
    pub fn count(&self) -> usize {
        self.view.count()
    }

    /// The bytes it shows.
    pub fn bytes(&self) -> usize {
        self.count() * self.dtype.size()
    }
}

/// A result of a kernel.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub slot: Slot,
    pub dtype: DType,
    pub dims: Vec<usize>,
}

impl Target {
    /// The number of elements.
    pub fn count(&self) -> usize {
        self.dims.iter().product()
    }

    /// The number of bytes.
    pub fn bytes(&self) -> usize {
        self.count() * self.dtype.size()
    }
}

/// Compiles an optimised graph; `donated[j]` is the parameter whose buffer output `j` takes.
///
/// # Errors
/// If a shape has symbols, or donated types differ.
pub(crate) fn compile(graph: &Graph, donated: &[Option<usize>]) -> Result<Plan> {
    for (j, p) in donated.iter().enumerate() {
        let Some(p) = *p else { continue };
        let (from, to) = (graph.ty(graph.parameters()[p]), graph.ty(graph.outputs()[j]));
        if from != to {
            return Err(Error::argument(
                "compile",
                format!("parameter {p} is {from}, output {j} to which it is donated is {to}"),
                "donate parameters to outputs of the same type",
            ));
        }
    }
    let mut lowering = Lowering::new(graph)?;
    let order = lowering.order(graph, donated);
    emit(graph, &lowering.units, &order, donated)
}

/// The buffers of tensors, made as they are asked for.
struct Slots<'a> {
    units: &'a Units,
    order: &'a Order,
    donated: &'a [Option<usize>],
    stored: BTreeSet<usize>,
    /// How many units read each tensor.
    readers: Vec<usize>,
    slots: Vec<Option<Slot>>,
    buffers: Vec<Buffer>,
    constants: Vec<Array>,
}

impl Slots<'_> {
    fn add(&mut self, bytes: usize, place: Place) -> Slot {
        self.buffers.push(Buffer { bytes, place });
        (self.buffers.len() - 1) as Slot
    }

    fn get(&mut self, tensor: usize) -> Slot {
        if let Some(slot) = self.slots[tensor] {
            return slot;
        }
        let t = &self.units.tensors[tensor];
        let place = match &t.origin {
            Origin::Parameter(p) => Place::Parameter(*p),
            Origin::Constant(array) => {
                self.constants.push(array.clone());
                Place::Constant(self.constants.len() - 1)
            }
            Origin::Count | Origin::Unit(_) => match self.order.outputs.iter().position(|&o| o == tensor) {
                Some(j) => Place::Output(j),
                None => Place::Arena(0),
            },
        };
        let slot = self.add(t.bytes(), place);
        self.slots[tensor] = Some(slot);
        slot
    }

    fn operand(&mut self, view: &View) -> Operand {
        let tensor = &self.units.tensors[view.tensor];
        let (dtype, len) = (tensor.dtype, tensor.count());
        Operand { slot: self.get(view.tensor), dtype, view: view.clone(), len }
    }

    fn target(&mut self, tensor: usize) -> Target {
        let t = &self.units.tensors[tensor];
        let (dtype, dims) = (t.dtype, t.dims.clone());
        Target { slot: self.get(tensor), dtype, dims }
    }

    /// The one result of the contraction `first`, if the contraction `second` alone reads it, and only as its left operand.
    fn passed(&self, first: usize, second: usize) -> Option<usize> {
        let (Body::Contract(from, made), Body::Contract(to, then)) =
            (&self.units.units[first].body, &self.units.units[second].body)
        else {
            return None;
        };
        let mut results = made.tensors().chain([from.outputs[0]]).filter(|t| self.stored.contains(t));
        let result = results.next().filter(|&t| results.all(|other| other == t))?;
        let read_again = to.inputs.iter().skip(1).any(|view| view.tensor == result) || then.reads().contains(&result);
        let alone = self.readers[result] == 1 && !self.order.outputs.contains(&result);
        (to.inputs[0].tensor == result && alone && !read_again).then_some(result)
    }

    /// The slot of a tensor that needs no memory after all.
    fn nowhere(&mut self, tensor: usize) -> Slot {
        let slot = self.get(tensor);
        self.buffers[slot as usize].bytes = 0;
        slot
    }

    /// The buffers of those of a cluster's tensors that are read elsewhere, and of those it reads.
    fn of_cluster(&mut self, cluster: &Cluster) -> Vec<usize> {
        let made: Vec<usize> = cluster.tensors().filter(|t| self.stored.contains(t)).collect();
        for t in cluster.reads().into_iter().chain(made.iter().copied()) {
            self.get(t);
        }
        made
    }
}

fn emit(graph: &Graph, units: &Units, order: &Order, donated: &[Option<usize>]) -> Result<Plan> {
    let mut stored: BTreeSet<usize> = order.outputs.iter().copied().collect();
    let mut readers = vec![0; units.tensors.len()];
    for &u in &order.units {
        let reads = units.reads(u);
        reads.iter().for_each(|&t| readers[t] += 1);
        stored.extend(reads);
    }
    let slots = vec![None; units.tensors.len()];
    let mut slots = Slots { units, order, donated, stored, readers, slots, buffers: Vec::new(), constants: Vec::new() };
    // Parameters and outputs have buffers whether or not a step touches them.
    for (t, tensor) in units.tensors.iter().enumerate() {
        if matches!(tensor.origin, Origin::Parameter(_)) {
            slots.get(t);
        }
    }
    for &t in &order.outputs {
        slots.get(t);
    }
    let mut steps = Vec::with_capacity(order.units.len());
    let mut following = order.units.iter().copied().peekable();
    // A contraction that was made ready with the one before it, and is a step of its own.
    let mut held = None;
    while let Some(u) = following.next() {
        let step = match &units.units[u].body {
            Body::Fused(cluster) => {
                let made = slots.of_cluster(cluster);
                let program = cluster.program(&|t| slots.slots[t]);
                let reads = cluster.reads().iter().map(|&t| slots.get(t)).collect();
                let writes = made.iter().map(|&t| slots.get(t)).collect();
                Step { kernel: Box::new(FusedLoop::new(program)), reads, writes }
            }
            Body::Call(call) => {
                let inputs: Vec<Operand> = call.inputs.iter().map(|v| slots.operand(v)).collect();
                let outputs: Vec<Target> = call.outputs.iter().map(|&t| slots.target(t)).collect();
                let reads = inputs.iter().map(|o| o.slot).collect();
                let writes = outputs.iter().map(|t| t.slot).collect();
                Step { kernel: super::kernel(&call.op, inputs, outputs)?, reads, writes }
            }
            Body::Contract(call, cluster) => {
                let first = held.take().unwrap_or_else(|| contraction(&mut slots, call, cluster));
                let next = following.peek().and_then(|&next| Some((&units.units[next].body, slots.passed(u, next)?)));
                if let Some((Body::Contract(call, cluster), between)) = next {
                    let second = contraction(&mut slots, call, cluster);
                    match super::contract::joined(&first.contraction, &second.contraction) {
                        Some(kernel) => {
                            following.next();
                            first.step_with(second, kernel, slots.nowhere(between))
                        }
                        None => {
                            held = Some(second);
                            first.step()
                        }
                    }
                } else {
                    first.step()
                }
            }
            Body::Merged(_) => continue,
        };
        steps.push(step);
    }
    let Slots { mut buffers, constants, slots, .. } = slots;
    let slot_of = |t: usize| slots[t].expect("parameters and outputs have buffers");
    let parameter_slots: Vec<Slot> = graph
        .parameters()
        .iter()
        .enumerate()
        .map(|(i, _)| {
            let is = |t: &super::units::Tensor| matches!(t.origin, Origin::Parameter(p) if p == i);
            slot_of(units.tensors.iter().position(is).expect("every parameter has a tensor"))
        })
        .collect();
    let output_slots: Vec<Slot> = order.outputs.iter().map(|&t| slot_of(t)).collect();
    let mut steps = super::chain::form(steps, &buffers);
    let memory = Memory::plan(&steps, &mut buffers);
    let donations: BTreeMap<Slot, Slot> =
        donated.iter().enumerate().filter_map(|(j, p)| p.map(|p| (parameter_slots[p], output_slots[j]))).collect();
    let shared = |a: Slot, b: Slot| {
        a == b || memory.shared(a, b) || donations.get(&a) == Some(&b) || donations.get(&b) == Some(&a)
    };
    for (step, &scratch) in steps.iter_mut().zip(&memory.scratch) {
        step.kernel.placed(scratch, &shared);
    }
    Ok(Plan {
        steps,
        buffers,
        constants,
        parameters: graph.parameter_types(),
        outputs: graph.output_types(),
        donated: donated.to_vec(),
        parameter_slots,
        output_slots,
        arena: memory.arena,
    })
}

/// A contraction with what is done to its finished tiles, and the buffers that it reads and writes.
struct Prepared {
    contraction: Contraction,
    reads: Vec<Slot>,
    writes: Vec<Slot>,
}

impl Prepared {
    fn step(self) -> Step {
        Step { kernel: self.contraction.kernel(), reads: self.reads, writes: self.writes }
    }

    /// The step of a kernel that does this and then `next`, with what is `between` nowhere in memory.
    fn step_with(self, next: Prepared, kernel: Box<dyn Kernel>, between: Slot) -> Step {
        let reads = self.reads.into_iter().chain(next.reads).filter(|&slot| slot != between).collect();
        Step { kernel, reads, writes: next.writes }
    }
}

/// A contraction and its buffers.
fn contraction(slots: &mut Slots, call: &Call, cluster: &Cluster) -> Prepared {
    let inputs: Vec<Operand> = call.inputs.iter().map(|v| slots.operand(v)).collect();
    let result = call.outputs[0];
    let dtype = slots.units.tensors[result].dtype;
    let needed_elsewhere = slots.stored.contains(&result);
    let made: Vec<usize> = cluster.tensors().filter(|t| slots.stored.contains(t)).collect();
    if !needed_elsewhere {
        // The product is computed where one of the results goes, and worked over there; not over a donated buffer, whose
        // old elements may be read.
        let donated =
            |t: usize| slots.order.outputs.iter().position(|&o| o == t).is_some_and(|j| slots.donated[j].is_some());
        let same = |&&t: &&usize| slots.units.tensors[t].dtype == dtype && !donated(t);
        if let Some(&t) = made.iter().find(same) {
            let slot = slots.get(t);
            slots.slots[result] = Some(slot);
        }
    }
    let output = slots.target(result);
    let mut reads: Vec<Slot> = inputs.iter().map(|o| o.slot).collect();
    let mut writes = vec![output.slot];
    let op = call.op.clone();
    // What others compute anew from the product is not computed here.
    if made.is_empty() {
        return Prepared { contraction: Contraction { op, inputs, output, program: None }, reads, writes };
    }
    slots.of_cluster(cluster);
    let program = cluster.program(&|t| if t == result { Some(output.slot) } else { slots.slots[t] });
    reads.extend(cluster.reads().iter().filter(|&&t| t != result).map(|&t| slots.get(t)));
    writes.extend(made.iter().map(|&t| slots.get(t)));
    Prepared { contraction: Contraction { op, inputs, output, program: Some(program) }, reads, writes }
}
