//! The plan: steps in order, and the buffers they read and write.

use std::fmt::Write as _;

use rhyton_ir::backend::StepProfile;
use rhyton_ir::{Array, Result, TensorType};

use crate::isa::Isa;
use crate::pool::Pool;

/// A buffer's number in its plan.
pub(crate) type Slot = u32;

/// Alignment of every buffer in the arena: a cache line, and the widest vector.
pub(crate) const ALIGN: usize = 64;

/// Where a buffer lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The memory of an argument.
    Parameter(usize),
    /// The memory of an output.
    Output(usize),
    /// A constant of the plan.
    Constant(usize),
    /// Bytes of the arena from this offset.
    Arena(usize),
}

/// A range of memory that steps read or write.
#[derive(Clone, Debug)]
pub(crate) struct Buffer {
    pub bytes: usize,
    pub place: Place,
}

/// What a step needs at run time.
pub(crate) struct Context<'a> {
    /// Where each buffer starts.
    pub pointers: &'a [*mut u8],
    pub pool: &'a Pool,
    pub isa: Isa,
}

// SAFETY: the pointers are to buffers that outlive the run; which task writes which part is the kernels' affair, and
// each kernel divides its outputs among its tasks without overlap.
unsafe impl Sync for Context<'_> {}

impl Context<'_> {
    /// The start of a buffer.
    pub fn pointer(&self, slot: Slot) -> *mut u8 {
        self.pointers[slot as usize]
    }
}

/// What one run of a step costs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub flops: u64,
    pub bytes: u64,
}

/// The work of a step; everything about it is decided when the plan is made.
pub(crate) trait Kernel: Send + Sync {
    /// Does the work.
    ///
    /// # Errors
    /// If the operation fails on these values.
    fn run(&self, cx: &Context) -> Result<()>;

    /// Its name and what it works on, on one line or several.
    fn describe(&self) -> String;

    /// What a run costs.
    fn cost(&self) -> Cost;

    /// Pairs (read, written) of buffers that may be the same memory.
    fn in_place(&self) -> Vec<(Slot, Slot)> {
        Vec::new()
    }

    /// Bytes of memory that it uses while it runs, and takes at the slot that [`Kernel::placed`] tells.
    fn scratch(&self) -> usize {
        0
    }

    /// Bytes in which it would keep what it makes of operands that do not change, if it is run again and again while the
    /// buffers that `constant` tells of stay the same.
    fn keeps(&self, _constant: &dyn Fn(Slot) -> bool) -> usize {
        0
    }

    /// Tells where those bytes are.
    fn keep_at(&mut self, _slot: Slot) {}

    /// Makes what it keeps, before the first of these runs.
    fn prepare(&self, _cx: &Context) {}

    /// Tells where the scratch memory is and which buffers share memory.
    fn placed(&mut self, _scratch: Slot, _shared: &dyn Fn(Slot, Slot) -> bool) {}
}

/// A kernel and its buffers.
pub(crate) struct Step {
    pub kernel: Box<dyn Kernel>,
    pub reads: Vec<Slot>,
    pub writes: Vec<Slot>,
}

/// A compiled graph.
pub(crate) struct Plan {
    pub steps: Vec<Step>,
    pub buffers: Vec<Buffer>,
    pub constants: Vec<Array>,
    pub parameters: Vec<TensorType>,
    pub outputs: Vec<TensorType>,
    /// For each output the parameter whose buffer it takes.
    pub donated: Vec<Option<usize>>,
    pub parameter_slots: Vec<Slot>,
    pub output_slots: Vec<Slot>,
    pub arena: usize,
}

/// `bytes` rounded up to the alignment.
pub(crate) fn aligned(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGN)
}

impl Plan {
    /// Bytes of a table of the buffers' addresses, followed by the arena: what a plan inside a plan takes as scratch.
    pub fn frame(&self) -> usize {
        aligned(self.buffers.len() * size_of::<*mut u8>()) + self.arena
    }

    /// Fills in the addresses of constants and of buffers in the arena.
    ///
    /// # Safety
    /// `arena` is valid for `self.arena` bytes and aligned to [`ALIGN`].
    pub unsafe fn place(&self, pointers: &mut [*mut u8], arena: *mut u8) {
        for (pointer, buffer) in pointers.iter_mut().zip(&self.buffers) {
            match buffer.place {
                Place::Constant(c) => *pointer = self.constants[c].data().bytes().as_ptr().cast_mut(),
                // SAFETY: the memory plan keeps every buffer within the arena.
                Place::Arena(offset) => *pointer = unsafe { arena.add(offset) },
                Place::Parameter(_) | Place::Output(_) => {}
            }
        }
    }

    /// Runs every step.
    ///
    /// # Errors
    /// The first error of a step.
    pub fn run(&self, cx: &Context) -> Result<()> {
        for step in &self.steps {
            step.kernel.run(cx)?;
        }
        Ok(())
    }

    /// Runs every step and times it.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn run_profiled(&self, cx: &Context) -> Result<Vec<StepProfile>> {
        let mut out = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let start = std::time::Instant::now();
            step.kernel.run(cx)?;
            let (seconds, cost) = (start.elapsed().as_secs_f64(), step.kernel.cost());
            let name = step.kernel.describe().lines().next().unwrap_or_default().to_owned();
            out.push(StepProfile { name, seconds, flops: cost.flops, bytes: cost.bytes });
        }
        Ok(out)
    }

    /// The steps and buffers as text.
    pub fn describe(&self) -> String {
        let mut out = format!("{} steps, arena of {} bytes\n", self.steps.len(), self.arena);
        for (i, b) in self.buffers.iter().enumerate() {
            let _ = writeln!(out, "  b{i}: {:?}, {} bytes", b.place, b.bytes);
        }
        for (i, step) in self.steps.iter().enumerate() {
            let _ = writeln!(out, "  {i}: {}", step.kernel.describe());
        }
        out
    }
}
