//! Profiles: a back end around another one, which notes what each step of each run took.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::array::Array;
use crate::backend::{Backend, CompileOptions, Device, Executable, Peaks, StepProfile};
use crate::error::Result;
use crate::graph::Graph;

/// One run of an executable.
#[derive(Clone, Debug, PartialEq)]
pub struct RunProfile {
    /// Which executable, by the order of compilation.
    pub program: usize,
    /// Seconds from the making of the [`Profiler`] to the begin of the run.
    pub start: f64,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Its steps, in the order in which they began.
    pub steps: Vec<StepProfile>,
}

/// Compiles and runs as another back end does, and keeps a profile of every run until it is taken.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use rhyton_ir::backend::{Backend, CompileOptions, Interpreter};
/// use rhyton_ir::profile::Profiler;
/// use rhyton_ir::{Array, DType, Graph, TensorType};
///
/// let profiler = Profiler::new(Arc::new(Interpreter));
/// let mut graph = Graph::new();
/// let x = graph.parameter(TensorType::new(DType::F32, [2]));
/// graph.set_outputs(vec![x]);
/// let executable = profiler.compile(&graph, &CompileOptions::default())?;
/// executable.run(&mut [Array::new([2], vec![1.0f32, 2.0])], &mut Vec::new())?;
/// assert_eq!(profiler.take().len(), 1);
/// assert!(profiler.take().is_empty());
/// # Ok::<(), rhyton_ir::Error>(())
/// ```
pub struct Profiler {
    backend: Arc<dyn Backend>,
    programs: Mutex<usize>,
    record: Arc<Record>,
}

struct Record {
    begin: Instant,
    runs: Mutex<Vec<RunProfile>>,
}

impl Profiler {
    /// A profiler of what `backend` runs.
    pub fn new(backend: Arc<dyn Backend>) -> Profiler {
        let record = Record { begin: Instant::now(), runs: Mutex::default() };
        Profiler { backend, programs: Mutex::new(0), record: Arc::new(record) }
    }

    /// The runs since the last call, in the order in which they ended.
    pub fn take(&self) -> Vec<RunProfile> {
        std::mem::take(&mut *self.record.runs.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Backend for Profiler {
    fn name(&self) -> &str {
        self.backend.name()
    }

    fn devices(&self) -> Vec<Device> {
        self.backend.devices()
    }

    fn compile(&self, graph: &Graph, options: &CompileOptions) -> Result<Arc<dyn Executable>> {
        let executable = self.backend.compile(graph, options)?;
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        *programs += 1;
        Ok(Arc::new(Profiled { executable, program: *programs - 1, record: Arc::clone(&self.record) }))
    }

    fn peaks(&self) -> Option<Peaks> {
        self.backend.peaks()
    }
}

struct Profiled {
    executable: Arc<dyn Executable>,
    program: usize,
    record: Arc<Record>,
}

impl Executable for Profiled {
    fn run(&self, arguments: &mut [Array], outputs: &mut Vec<Array>) -> Result<()> {
        let start = Instant::now();
        let steps = self.executable.run_profiled(arguments, outputs)?;
        let seconds = start.elapsed().as_secs_f64();
        let start = start.duration_since(self.record.begin).as_secs_f64();
        let run = RunProfile { program: self.program, start, seconds, steps };
        self.record.runs.lock().unwrap_or_else(PoisonError::into_inner).push(run);
        Ok(())
    }

    fn run_profiled(&self, arguments: &mut [Array], outputs: &mut Vec<Array>) -> Result<Vec<StepProfile>> {
        self.executable.run_profiled(arguments, outputs)
    }

    fn memory(&self) -> usize {
        self.executable.memory()
    }

    fn describe(&self) -> String {
        self.executable.describe()
    }
}
