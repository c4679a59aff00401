//! Rhyton's native back end.
//!
//! What it is for: running graphs of `rhyton-ir` on CPUs. A graph is simplified by the passes of `rhyton-ir`, lowered to
//! *units*, which are merged into fused loops and contractions with epilogues, ordered, and given places in one arena
//! by liveness; the result is a plan of steps that is run again and again without an allocation.
//!
//! What it does not do: know layers, differentiate, read files.
//!
//! Words: a *view* is a tensor read through strides; a *cluster* is a fused loop in the making, a *program* one that is
//! made; a *kernel* is the work of a *step*; a *slot* is the number of a buffer.
//!
//! Results do not depend on the number of threads: work is divided by size alone.

pub mod isa;
pub mod kernels;
pub mod peaks;
pub mod pool;

mod fuse;
mod lower;
mod memory;
mod pages;
mod plan;
mod run;
mod steady;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rhyton_ir::backend::{Backend, CompileOptions, Device, Executable, Peaks};
use rhyton_ir::{Error, Graph, Result, pass};

use isa::{Isa, IsaError};
use pool::Pool;
use run::Compiled;

/// The native back end.
#[derive(Debug)]
pub struct CpuBackend {
    isa: Result<Isa, IsaError>,
    pool: Arc<Pool>,
    /// Pools of other sizes that compilations asked for.
    others: Mutex<BTreeMap<usize, Arc<Pool>>>,
}

impl CpuBackend {
    /// A back end that runs on `threads` threads; 0 means as many as the machine has.
    pub fn new(threads: usize) -> CpuBackend {
        CpuBackend { isa: Isa::detect(), pool: Arc::new(Pool::new(threads)), others: Mutex::default() }
    }

    /// The same with the instruction set `isa` instead of the best one or the one that `RHYTON_ISA` names.
    #[must_use]
    pub fn with_isa(mut self, isa: Isa) -> CpuBackend {
        self.isa = Ok(isa);
        self
    }

    fn pool(&self, threads: Option<usize>) -> Arc<Pool> {
        match threads {
            Some(n) if n > 0 && n != self.pool.threads() => {
                let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::clone(others.entry(n).or_insert_with(|| Arc::new(Pool::new(n))))
            }
            _ => Arc::clone(&self.pool),
        }
    }
}

impl Backend for CpuBackend {
    fn name(&self) -> &str {
        "cpu"
    }

    fn devices(&self) -> Vec<Device> {
        let threads = self.pool.threads();
        let description = match &self.isa {
            Ok(isa) => format!("native CPU, {isa}, {threads} threads"),
            Err(error) => error.to_string(),
        };
        vec![Device { name: "cpu:0".to_owned(), description, threads }]
    }

    fn compile(&self, graph: &Graph, options: &CompileOptions) -> Result<Arc<dyn Executable>> {
        let isa = self.isa.clone().map_err(|e| Error::argument("cpu", e.to_string(), "then start again"))?;
        if !isa.is_available() {
            return Err(Error::unsupported("cpu", format!("this machine lacks {isa}"), "choose one it has"));
        }
        let donated = donations(graph, options)?;
        let optimized = pass::optimize(graph, &pass::Capabilities::none())?;
        let pool = self.pool(options.threads);
        Ok(Arc::new(match steady::parameters(&optimized, options)? {
            Some(parameters) => steady::compile(&optimized, &donated, &parameters, pool, isa)?,
            None => Compiled::new(lower::emit::compile(&optimized, &donated)?, pool, isa, None)?,
        }))
    }

    fn peaks(&self) -> Option<Peaks> {
        let isa = self.isa.as_ref().ok().filter(|isa| isa.is_available())?;
        Some(peaks::measure(&self.pool, *isa))
    }
}

/// For each output the parameter that is donated to it.
fn donations(graph: &Graph, options: &CompileOptions) -> Result<Vec<Option<usize>>> {
    let mut donated = vec![None; graph.outputs().len()];
    let mut given = vec![false; graph.parameters().len()];
    for &(parameter, output) in &options.donations {
        if parameter >= given.len() || output >= donated.len() {
            return Err(Error::argument(
                "compile",
                format!(
                    "parameter {parameter} is donated to output {output}, the graph has {} and {}",
                    given.len(),
                    donated.len()
                ),
                "name parameters and outputs of the graph",
            ));
        }
        if std::mem::replace(&mut given[parameter], true) || donated[output].replace(parameter).is_some() {
            return Err(Error::argument(
                "compile",
                format!("parameter {parameter} or output {output} is in two donations"),
                "donate each parameter once, and to each output one",
            ));
        }
    }
    Ok(donated)
}
