//! What a back end is: something that compiles graphs into executables.
//!
//! The traits live here, with the graph, so that the Keras core knows no back end and back ends know no core.

use std::sync::Arc;

use crate::array::Array;
use crate::error::Result;
use crate::graph::Graph;

/// A place where executables run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Kind and number, such as `cpu:0`.
    pub name: String,
    /// What it is, in words for people: instruction set, cores.
    pub description: String,
    /// How many threads or units work at once.
    pub threads: usize,
}

/// How a graph is to be compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompileOptions {
    /// Pairs (parameter, output) of one type: the parameter's buffer becomes the output's.
    pub donations: Vec<(usize, usize)>,
    /// Parameters that are likely to be the same arrays in run after run: weights that the program does not assign. What
    /// is computed of them alone may be kept; that they do change is found out at the next run, and costs time.
    pub steady: Vec<usize>,
    /// At most this many threads; the back end's own number if `None`.
    pub threads: Option<usize>,
}

/// Compiles graphs for some kind of device.
pub trait Backend: Send + Sync {
    /// The name by which it is selected.
    fn name(&self) -> &str;

    /// The devices it found.
    fn devices(&self) -> Vec<Device>;

    /// An executable for `graph`, all of whose shapes are numbers.
    ///
    /// # Errors
    /// If a shape has symbols, a donation names what is not there or joins different types, or the back end cannot run
    /// an operation.
    fn compile(&self, graph: &Graph, options: &CompileOptions) -> Result<Arc<dyn Executable>>;

    /// What the device can do at most, if the back end can measure it; takes a moment.
    fn peaks(&self) -> Option<Peaks> {
        None
    }
}

/// What a device can do at most, to hold a kernel's rates against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peaks {
    /// Floating-point operations a second, in float32.
    pub flops: f64,
    /// Bytes a second, to and from memory.
    pub bytes: f64,
}

/// What one step of an executable did, for profiles.
#[derive(Clone, Debug, PartialEq)]
pub struct StepProfile {
    /// The kernel and what it works on; steps that do the same on the same shapes have the same name.
    pub name: String,
    /// How many steps it lies within: the steps of a loop's body are one deeper than the loop.
    pub depth: usize,
    /// Seconds from the begin of the run.
    pub start: f64,
    /// Wall-clock seconds, those of the steps within it included.
    pub seconds: f64,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes read and written.
    pub bytes: u64,
}

/// A compiled graph. It may be run from several threads at once.
pub trait Executable: Send + Sync {
    /// Runs it. `arguments[i]` is parameter `i`; a donated one is taken out (replaced by `Array::default()`) and its
    /// buffer becomes the output's. `outputs` are reused where they are unique and of the right type, else replaced.
    ///
    /// # Errors
    /// If the arguments are not of the parameters' types, or a kernel fails. Donated arguments may be lost then.
    fn run(&self, arguments: &mut [Array], outputs: &mut Vec<Array>) -> Result<()>;

    /// Like [`Executable::run`], and tells what each step took, in the order in which they began.
    ///
    /// # Errors
    /// As there.
    fn run_profiled(&self, arguments: &mut [Array], outputs: &mut Vec<Array>) -> Result<Vec<StepProfile>>;

    /// Bytes of working memory that one run needs beside arguments and outputs.
    fn memory(&self) -> usize;

    /// The plan as text: steps, kernels, buffers.
    fn describe(&self) -> String;
}

/// The reference interpreter as a back end: slow, for checking.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interpreter;

impl Backend for Interpreter {
    fn name(&self) -> &str {
        "interpreter"
    }

    fn devices(&self) -> Vec<Device> {
        vec![Device { name: "interpreter:0".into(), description: "reference interpreter".into(), threads: 1 }]
    }

    fn compile(&self, graph: &Graph, options: &CompileOptions) -> Result<Arc<dyn Executable>> {
        Ok(Arc::new(Interpreted { graph: graph.clone(), donated: options.donations.iter().map(|d| d.0).collect() }))
    }
}

struct Interpreted {
    graph: Graph,
    donated: Vec<usize>,
}

impl Executable for Interpreted {
    fn run(&self, arguments: &mut [Array], outputs: &mut Vec<Array>) -> Result<()> {
        *outputs = crate::interpret::run(&self.graph, arguments)?;
        for &parameter in &self.donated {
            arguments[parameter] = Array::default();
        }
        Ok(())
    }

    fn run_profiled(&self, arguments: &mut [Array], outputs: &mut Vec<Array>) -> Result<Vec<StepProfile>> {
        self.run(arguments, outputs)?;
        Ok(Vec::new())
    }

    fn memory(&self) -> usize {
        0
    }

    fn describe(&self) -> String {
        format!("{:#?}", self.graph)
    }
}
