//! The plan: steps in order, and the buffers they read and write.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

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
    /// Bytes of the memory that is kept between runs, from this offset.
    Kept(usize),
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
    /// Where steps are noted, when they are timed.
    pub recorder: Option<&'a Recorder>,
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

/// What the steps of one run took. Steps run one after the other, on the thread that runs the plan.
pub(crate) struct Recorder {
    begin: Instant,
    /// The steps so far, and how many of them are still running.
    steps: Mutex<(Vec<StepProfile>, usize)>,
}

impl Recorder {
    pub fn new() -> Recorder {
        Recorder { begin: Instant::now(), steps: Mutex::default() }
    }

    pub fn into_steps(self) -> Vec<StepProfile> {
        self.steps.into_inner().unwrap_or_else(PoisonError::into_inner).0
    }

    fn steps(&self) -> MutexGuard<'_, (Vec<StepProfile>, usize)> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn time(&self, kernel: &dyn Kernel, cx: &Context) -> Result<()> {
        let (name, cost) = (kernel.title(), kernel.cost());
        let at = {
            let (steps, depth) = &mut *self.steps();
            steps.push(StepProfile {
                name,
                depth: *depth,
                start: 0.0,
                seconds: 0.0,
                flops: cost.flops,
                bytes: cost.bytes,
            });
            *depth += 1;
            steps.len() - 1
        };
        let start = Instant::now();
        let result = kernel.run(cx);
        let seconds = start.elapsed().as_secs_f64();
        let (steps, depth) = &mut *self.steps();
        *depth -= 1;
        steps[at].start = start.duration_since(self.begin).as_secs_f64();
        steps[at].seconds = seconds;
        result
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

    /// Its name and the shapes it works on in few words, without the numbers of its buffers where that is plain.
    fn title(&self) -> String {
        self.describe().lines().next().unwrap_or_default().to_owned()
    }

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

    /// The operand that it does not read any more when it has made what it keeps of it.
    fn spares(&self) -> Option<Slot> {
        None
    }

    /// Makes what it keeps, before the first of these runs.
    fn prepare(&self, _cx: &Context) {}

    /// If its work divides into `count` equal parts, which can be done in any order and on any threads: the buffers of which each part
    /// touches only its own of `count` equal stretches, and the bytes of all stretches together, from the start of the buffer; a
    /// buffer that is read in several ways has an entry for each. What it writes is among them.
    fn parts(&self, _count: usize) -> Option<Vec<(Slot, usize)>> {
        None
    }

    /// Does the `part`-th of the `count` parts, for which [`Kernel::parts`] gave some.
    fn run_part(&self, _cx: &Context, _part: usize, _count: usize) {
        unreachable!("a kernel without parts is run whole");
    }

    /// Into how many parts its work divides best, if that is given by what it does.
    fn batches(&self) -> usize {
        1
    }

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
                Place::Parameter(_) | Place::Output(_) | Place::Kept(_) => {}
            }
        }
    }

    /// Runs every step, and notes what each took if the context has a recorder.
    ///
    /// # Errors
    /// The first error of a step.
    pub fn run(&self, cx: &Context) -> Result<()> {
        match cx.recorder {
            None => self.steps.iter().try_for_each(|step| step.kernel.run(cx)),
            Some(recorder) => self.steps.iter().try_for_each(|step| recorder.time(&*step.kernel, cx)),
        }
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
