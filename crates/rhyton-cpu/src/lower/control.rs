//! `scan`, `while` and `cond`: plans inside a plan, which run on memory that the outer plan gives them.

use rhyton_ir::op::{Cond, Scan, While};
use rhyton_ir::{DType, Graph, Result};

use super::copy::read_integer;
use super::emit::{Operand, Target, compile};
use super::known;
use crate::plan::{Buffer, Context, Cost, Kernel, Place, Plan, Slot, aligned};

/// A plan whose table of addresses and arena lie in the outer plan's scratch memory.
struct Inner {
    plan: Plan,
    /// For each output whether its buffer is the one of the parameter it replaces anyway.
    offset: usize,
}

impl Inner {
    fn new(graph: &Graph, donated: &[Option<usize>], offset: usize) -> Result<Inner> {
        Ok(Inner { plan: compile(graph, donated)?, offset })
    }

    /// Gives memory behind the arena to the steps that keep something of the first `constants` parameters, which do not
    /// change from run to run, and tells which steps those are.
    fn keep(&mut self, constants: usize) -> Vec<usize> {
        let Plan { steps, buffers, arena, .. } = &mut self.plan;
        let mut kept = Vec::new();
        for (i, step) in steps.iter_mut().enumerate() {
            let constant = |slot: Slot| matches!(buffers[slot as usize].place, Place::Parameter(p) if p < constants);
            let bytes = step.kernel.keeps(&constant);
            if bytes > 0 {
                buffers.push(Buffer { bytes, place: Place::Arena(*arena) });
                *arena += aligned(bytes);
                step.kernel.keep_at(buffers.len() as Slot - 1);
                kept.push(i);
            }
        }
        kept
    }

    /// Bytes of scratch memory, a multiple of the alignment.
    fn bytes(&self) -> usize {
        aligned(self.plan.frame())
    }

    /// The table of addresses with everything placed but parameters and outputs.
    ///
    /// # Safety
    /// `scratch` is aligned and valid for `offset + bytes()` bytes, which nothing else uses while the table lives.
    unsafe fn table<'a>(&self, scratch: *mut u8) -> &'a mut [*mut u8] {
        let n = self.plan.buffers.len();
        // SAFETY: the frame has room for the table and, behind it, the arena; null pointers are valid values.
        unsafe {
            let start = scratch.add(self.offset);
            std::ptr::write_bytes(start, 0, n * size_of::<*mut u8>());
            let table = std::slice::from_raw_parts_mut(start.cast::<*mut u8>(), n);
            self.plan.place(table, start.add(self.plan.frame() - self.plan.arena));
            table
        }
    }

    fn run(&self, cx: &Context, table: &[*mut u8]) -> Result<()> {
        self.plan.run(&Context { pointers: table, ..*cx })
    }

    fn set_parameter(&self, table: &mut [*mut u8], i: usize, at: *mut u8) {
        table[self.plan.parameter_slots[i] as usize] = at;
    }

    fn set_output(&self, table: &mut [*mut u8], j: usize, at: *mut u8) {
        let slot = self.plan.output_slots[j] as usize;
        if self.plan.buffers[slot].place == Place::Output(j) {
            table[slot] = at;
        }
    }

    fn cost(&self) -> Cost {
        self.plan
            .steps
            .iter()
            .map(|s| s.kernel.cost())
            .fold(Cost::default(), |a, b| Cost { flops: a.flops + b.flops, bytes: a.bytes + b.bytes })
    }

    fn describe(&self) -> String {
        self.plan.describe().replace('\n', "\n    ")
    }
}

/// Copies the initial state into the outputs that hold the state.
fn start_state(cx: &Context, initial: &[Operand], state: &[Target]) {
    for (from, to) in initial.iter().zip(state) {
        let (from, at) = (cx.pointer(from.slot), cx.pointer(to.slot));
        if from != at {
            // SAFETY: both have the bytes of one type and are different buffers.
            unsafe { std::ptr::copy_nonoverlapping(from, at, to.bytes()) };
        }
    }
}

/// Pairs of initial values and results that may share memory: those whose initial value is used for nothing else.
fn state_pairs(inputs: &[Operand], initial: std::ops::Range<usize>, state: &[Target]) -> Vec<(Slot, Slot)> {
    let once = |slot: Slot| inputs.iter().filter(|o| o.slot == slot).count() == 1;
    inputs[initial].iter().zip(state).filter(|(o, _)| once(o.slot)).map(|(o, t)| (o.slot, t.slot)).collect()
}

/// A scan: the body runs on the outputs' memory, the carried state updated in place, slices read and written where they
/// lie.
pub(super) struct ScanKernel {
    body: Inner,
    consts: usize,
    carries: usize,
    length: usize,
    reverse: bool,
    inputs: Vec<Operand>,
    outputs: Vec<Target>,
    /// Bytes of one step of each stacked operand and result.
    steps: (Vec<usize>, Vec<usize>),
    /// The steps of the body that make something of the constants first.
    prepared: Vec<usize>,
    scratch: Slot,
}

impl ScanKernel {
    pub fn new(op: &Scan, inputs: Vec<Operand>, outputs: Vec<Target>) -> Result<ScanKernel> {
        let donated: Vec<Option<usize>> =
            (0..op.body.outputs().len()).map(|j| (j < op.carries).then_some(op.consts + j)).collect();
        let mut body = Inner::new(&op.body, &donated, 0)?;
        let prepared = body.keep(op.consts);
        let bytes = |ty: &rhyton_ir::TensorType| Ok(known(ty)?.iter().product::<usize>() * ty.dtype.size());
        let xs = body.plan.parameters[op.consts + op.carries..].iter().map(bytes).collect::<Result<_>>()?;
        let ys = body.plan.outputs[op.carries..].iter().map(bytes).collect::<Result<_>>()?;
        let length = op.length.known().ok_or_else(|| {
            let what = format!("the length {} has symbols", op.length);
            rhyton_ir::Error::argument("scan", what, "bind them to numbers before compilation")
        })?;
        Ok(ScanKernel {
            body,
            consts: op.consts,
            carries: op.carries,
            length,
            reverse: op.reverse,
            inputs,
            outputs,
            steps: (xs, ys),
            prepared,
            scratch: 0,
        })
    }
}

impl Kernel for ScanKernel {
    fn run(&self, cx: &Context) -> Result<()> {
        let (first_carry, first_x) = (self.consts, self.consts + self.carries);
        start_state(cx, &self.inputs[first_carry..first_x], &self.outputs[..self.carries]);
        // SAFETY: scratch() asked for the body's frame.
        let table = unsafe { self.body.table(cx.pointer(self.scratch)) };
        for i in 0..self.consts {
            self.body.set_parameter(table, i, cx.pointer(self.inputs[i].slot));
        }
        for c in 0..self.carries {
            let at = cx.pointer(self.outputs[c].slot);
            self.body.set_parameter(table, first_carry + c, at);
            self.body.set_output(table, c, at);
        }
        for &step in &self.prepared {
            self.body.plan.steps[step].kernel.prepare(&Context { pointers: table, ..*cx });
        }
        for step in 0..self.length {
            let t = if self.reverse { self.length - 1 - step } else { step };
            for (i, &bytes) in self.steps.0.iter().enumerate() {
                // SAFETY: slice t of a stacked operand, whose first axis is the length.
                let at = unsafe { cx.pointer(self.inputs[first_x + i].slot).add(t * bytes) };
                self.body.set_parameter(table, first_x + i, at);
            }
            for (j, &bytes) in self.steps.1.iter().enumerate() {
                // SAFETY: as above, for a stacked result.
                let at = unsafe { cx.pointer(self.outputs[self.carries + j].slot).add(t * bytes) };
                self.body.set_output(table, self.carries + j, at);
            }
            self.body.run(cx, table)?;
        }
        Ok(())
    }

    fn describe(&self) -> String {
        format!("scan of {} steps over {}", self.length, self.body.describe())
    }

    fn title(&self) -> String {
        format!("scan of {} steps", self.length)
    }

    fn cost(&self) -> Cost {
        let cost = self.body.cost();
        Cost { flops: cost.flops * self.length as u64, bytes: cost.bytes * self.length as u64 }
    }

    fn in_place(&self) -> Vec<(Slot, Slot)> {
        state_pairs(&self.inputs, self.consts..self.consts + self.carries, &self.outputs)
    }

    fn scratch(&self) -> usize {
        self.body.bytes()
    }

    fn placed(&mut self, scratch: Slot, _shared: &dyn Fn(Slot, Slot) -> bool) {
        self.scratch = scratch;
    }
}

/// A `while`: condition and body run on the outputs' memory.
pub(super) struct WhileKernel {
    condition: Inner,
    body: Inner,
    inputs: Vec<Operand>,
    outputs: Vec<Target>,
    scratch: Slot,
}

impl WhileKernel {
    pub fn new(op: &While, inputs: Vec<Operand>, outputs: Vec<Target>) -> Result<WhileKernel> {
        let donated: Vec<Option<usize>> = (0..outputs.len()).map(Some).collect();
        // The first line of the scratch memory holds the answer of the condition.
        let condition = Inner::new(&op.condition, &[None], aligned(1))?;
        let body = Inner::new(&op.body, &donated, aligned(1) + condition.bytes())?;
        Ok(WhileKernel { condition, body, inputs, outputs, scratch: 0 })
    }
}

impl Kernel for WhileKernel {
    fn run(&self, cx: &Context) -> Result<()> {
        start_state(cx, &self.inputs, &self.outputs);
        let scratch = cx.pointer(self.scratch);
        // SAFETY: scratch() asked for the answer and both frames, which lie behind each other.
        let (condition, body) = unsafe { (self.condition.table(scratch), self.body.table(scratch)) };
        self.condition.set_output(condition, 0, scratch);
        for (i, output) in self.outputs.iter().enumerate() {
            let at = cx.pointer(output.slot);
            self.condition.set_parameter(condition, i, at);
            self.body.set_parameter(body, i, at);
            self.body.set_output(body, i, at);
        }
        loop {
            self.condition.run(cx, condition)?;
            // SAFETY: the condition has written its answer, one byte.
            if unsafe { scratch.read() } == 0 {
                return Ok(());
            }
            self.body.run(cx, body)?;
        }
    }

    fn describe(&self) -> String {
        format!("while {}\n    do {}", self.condition.describe(), self.body.describe())
    }

    fn title(&self) -> String {
        "while".to_owned()
    }

    fn cost(&self) -> Cost {
        self.body.cost()
    }

    fn in_place(&self) -> Vec<(Slot, Slot)> {
        state_pairs(&self.inputs, 0..self.inputs.len(), &self.outputs)
    }

    fn scratch(&self) -> usize {
        aligned(1) + self.condition.bytes() + self.body.bytes()
    }

    fn placed(&mut self, scratch: Slot, _shared: &dyn Fn(Slot, Slot) -> bool) {
        self.scratch = scratch;
    }
}

/// A `cond`: the branches share their scratch memory.
pub(super) struct CondKernel {
    branches: Vec<Inner>,
    inputs: Vec<Operand>,
    outputs: Vec<Target>,
    scratch: Slot,
}

impl CondKernel {
    pub fn new(op: &Cond, inputs: Vec<Operand>, outputs: Vec<Target>) -> Result<CondKernel> {
        let donated = vec![None; outputs.len()];
        let branches = op.branches.iter().map(|b| Inner::new(b, &donated, 0)).collect::<Result<_>>()?;
        Ok(CondKernel { branches, inputs, outputs, scratch: 0 })
    }
}

impl Kernel for CondKernel {
    fn run(&self, cx: &Context) -> Result<()> {
        debug_assert_eq!(self.inputs[0].dtype, DType::I32);
        // SAFETY: the index is a scalar.
        let index = unsafe { read_integer(self.inputs[0].dtype, cx.pointer(self.inputs[0].slot)) };
        let branch = &self.branches[index.clamp(0, self.branches.len() as i64 - 1) as usize];
        // SAFETY: scratch() asked for the largest frame.
        let table = unsafe { branch.table(cx.pointer(self.scratch)) };
        for (i, input) in self.inputs[1..].iter().enumerate() {
            branch.set_parameter(table, i, cx.pointer(input.slot));
        }
        for (j, output) in self.outputs.iter().enumerate() {
            branch.set_output(table, j, cx.pointer(output.slot));
        }
        branch.run(cx, table)
    }

    fn describe(&self) -> String {
        let branches: Vec<String> = self.branches.iter().map(Inner::describe).collect();
        format!("cond of {}", branches.join("\n    or "))
    }

    fn title(&self) -> String {
        format!("cond of {} branches", self.branches.len())
    }

    fn cost(&self) -> Cost {
        self.branches.iter().map(Inner::cost).max_by_key(|c| c.flops + c.bytes).unwrap_or_default()
    }

    fn scratch(&self) -> usize {
        self.branches.iter().map(Inner::bytes).max().unwrap_or(0)
    }

    fn placed(&mut self, scratch: Slot, _shared: &dyn Fn(Slot, Slot) -> bool) {
        self.scratch = scratch;
    }
}
