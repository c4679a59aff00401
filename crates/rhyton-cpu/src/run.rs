//! Executables: a plan, the pool it runs on, and the memory it runs in.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use rhyton_ir::backend::{Executable, StepProfile};
use rhyton_ir::{Array, DType, Error, Result, with_data};

use crate::isa::Isa;
use crate::lower::known;
use crate::pages::prefer_huge;
use crate::plan::{ALIGN, Context, Plan, Recorder};
use crate::pool::Pool;
use crate::steady::Steady;

/// The memory of one run at a time.
struct Frame {
    arena: *mut u8,
    layout: Layout,
    pointers: Vec<*mut u8>,
}

// SAFETY: a frame owns its arena; the other pointers are set anew for each run.
unsafe impl Send for Frame {}

impl Frame {
    fn new(plan: &Plan) -> Result<Frame> {
        let layout = Layout::from_size_align(plan.arena.max(ALIGN), ALIGN).map_err(|_| out_of_memory(plan.arena))?;
        // SAFETY: the layout has a size.
        let arena = unsafe { alloc_zeroed(layout) };
        if arena.is_null() {
            return Err(out_of_memory(plan.arena));
        }
        // SAFETY: just allocated, with this size.
        unsafe { prefer_huge(arena, layout.size()) };
        let mut pointers = vec![std::ptr::null_mut(); plan.buffers.len()];
        // SAFETY: the arena has the plan's size and alignment.
        unsafe { plan.place(&mut pointers, arena) };
        Ok(Frame { arena, layout, pointers })
    }
}

fn out_of_memory(bytes: usize) -> Error {
    Error::execution(
        "cpu",
        format!("the computation needs {:.1} GB of memory at once, which cannot be had", bytes as f64 / 1e9),
        "make the arrays smaller",
    )
}

/// An array of zeros of more bytes than this is asked for before it is made, as making one that cannot be had ends the process.
const LARGE: usize = 1 << 28;

fn check_memory(dtype: DType, dims: &[usize]) -> Result<()> {
    let bytes = dims.iter().try_fold(dtype.size(), |n, &d| n.checked_mul(d)).unwrap_or(usize::MAX);
    if bytes > LARGE && Vec::<u8>::new().try_reserve_exact(bytes).is_err() {
        return Err(out_of_memory(bytes));
    }
    Ok(())
}

impl Drop for Frame {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.arena, self.layout) };
    }
}

/// A plan that can be run.
pub(crate) struct Compiled {
    plan: Plan,
    parameters: Vec<(DType, Vec<usize>)>,
    outputs: Vec<(DType, Vec<usize>)>,
    /// Whether each parameter is donated.
    donated: Vec<bool>,
    pool: Arc<Pool>,
    isa: Isa,
    /// What is kept between runs of parameters that do not change; its results are the last of the plan's parameters.
    steady: Option<Steady>,
    /// Frames that no run uses now. Each concurrent run has its own.
    frames: Mutex<Vec<Frame>>,
}

impl Compiled {
    /// An executable of `plan`.
    ///
    /// # Errors
    /// If a type has symbols.
    pub fn new(plan: Plan, pool: Arc<Pool>, isa: Isa, steady: Option<Steady>) -> Result<Compiled> {
        if std::env::var("RHYTON_PRINT_PLAN").is_ok_and(|v| v == "1") {
            eprint!("{}", plan.describe());
        }
        let types = |types: &[rhyton_ir::TensorType]| -> Result<Vec<(DType, Vec<usize>)>> {
            types.iter().map(|ty| Ok((ty.dtype, known(ty)?))).collect()
        };
        let own = plan.parameters.len() - steady.as_ref().map_or(0, Steady::results);
        let donated = (0..own).map(|p| plan.donated.contains(&Some(p))).collect();
        Ok(Compiled {
            parameters: types(&plan.parameters[..own])?,
            outputs: types(&plan.outputs)?,
            donated,
            frames: Mutex::new(vec![Frame::new(&plan)?]),
            plan,
            pool,
            isa,
            steady,
        })
    }

    fn check(&self, arguments: &[Array]) -> Result<()> {
        if arguments.len() != self.parameters.len() {
            return Err(Error::argument(
                "run",
                format!("{} arguments for {} parameters", arguments.len(), self.parameters.len()),
                "give one argument a parameter",
            ));
        }
        for (i, (array, (dtype, dims))) in arguments.iter().zip(&self.parameters).enumerate() {
            if array.dtype() != *dtype || array.shape() != dims.as_slice() {
                return Err(Error::shape(
                    "run",
                    format!("argument {i} is {}{:?}, the parameter {dtype}{dims:?}", array.dtype(), array.shape()),
                    "pass arrays of the parameters' types",
                ));
            }
        }
        Ok(())
    }

    fn frame(&self) -> Result<Frame> {
        let kept = self.frames.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.map_or_else(|| Frame::new(&self.plan), Ok)
    }

    /// Makes the outputs writable and enters the addresses of arguments and outputs.
    fn enter(&self, frame: &mut Frame, arguments: &mut [Array], outputs: &mut Vec<Array>) -> Result<()> {
        outputs.truncate(self.outputs.len());
        while outputs.len() < self.outputs.len() {
            outputs.push(Array::default());
        }
        for (j, output) in outputs.iter_mut().enumerate() {
            if let Some(p) = self.plan.donated[j] {
                // An empty array that lies in the output takes the argument's place: no allocation either way.
                std::mem::swap(output, &mut arguments[p]);
                if !arguments[p].is_empty() {
                    arguments[p] = Array::default();
                }
            } else {
                let (dtype, dims) = &self.outputs[j];
                if output.dtype() != *dtype || output.shape() != dims.as_slice() || !output.is_unique() {
                    check_memory(*dtype, dims)?;
                    *output = Array::zeros(*dtype, dims.clone());
                }
            }
            let at = with_data!(output.data_mut(), v => v.as_mut_ptr().cast::<u8>());
            frame.pointers[self.plan.output_slots[j] as usize] = at;
            if let Some(p) = self.plan.donated[j] {
                frame.pointers[self.plan.parameter_slots[p] as usize] = at;
            }
        }
        for (i, array) in arguments.iter().enumerate() {
            if !self.donated[i] {
                let slot = self.plan.parameter_slots[i] as usize;
                frame.pointers[slot] = with_data!(array.data(), v => v.as_ptr().cast_mut().cast::<u8>());
            }
        }
        Ok(())
    }

    fn execute(&self, arguments: &mut [Array], outputs: &mut Vec<Array>, recorder: Option<&Recorder>) -> Result<()> {
        self.check(arguments)?;
        let mut frame = self.frame()?;
        // Held until the run is over: another run may come with other weights.
        let kept = match &self.steady {
            Some(steady) => Some(steady.kept(&self.plan, &self.pool, self.isa, arguments)?),
            None => None,
        };
        if let Some(kept) = &kept {
            kept.enter(&self.plan, &mut frame.pointers);
        }
        self.enter(&mut frame, arguments, outputs)?;
        let result = catch_unwind(AssertUnwindSafe(|| {
            let cx = Context { pointers: &frame.pointers, pool: &self.pool, isa: self.isa, recorder };
            self.plan.run(&cx)
        }));
        match result {
            Ok(result) => {
                self.frames.lock().unwrap_or_else(PoisonError::into_inner).push(frame);
                result
            }
            Err(panic) => {
                let what = panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
                    .unwrap_or_else(|| "a kernel panicked".to_owned());
                Err(Error::execution("cpu", what, "report this: it is a fault of the back end"))
            }
        }
    }
}

impl Executable for Compiled {
    fn run(&self, arguments: &mut [Array], outputs: &mut Vec<Array>) -> Result<()> {
        self.execute(arguments, outputs, None)
    }

    fn run_profiled(&self, arguments: &mut [Array], outputs: &mut Vec<Array>) -> Result<Vec<StepProfile>> {
        let recorder = Recorder::new();
        self.execute(arguments, outputs, Some(&recorder))?;
        Ok(recorder.into_steps())
    }

    fn memory(&self) -> usize {
        self.plan.arena
    }

    fn describe(&self) -> String {
        self.plan.describe()
    }
}
