//! `jit`: functions over tensors and variables, compiled once a signature.

use std::sync::{Arc, Mutex};

use rhyton_ir::backend::{CompileOptions, Executable};
use rhyton_ir::{Array, TensorType};

use crate::backend;
use crate::error::{Error, Result};
use crate::tensor::{Export, Tensor, Trace, Values, in_trace};
use crate::variable::Variable;

/// A function of tensors that may read and assign variables.
pub type Function<'f> = dyn Fn(&[Tensor]) -> Result<Vec<Tensor>> + Send + Sync + 'f;

/// A function that is traced and compiled once for each signature (dtypes and shapes) of its arguments.
///
/// Variables that it reads are inputs of the compiled program and those that it assigns are outputs written in place.
/// What else it does (printing, counting) happens once, while it is traced.
///
/// # Examples
/// ```
/// use rhyton_core::{Tensor, jit};
///
/// let double = jit(|args| Ok(vec![&args[0] + &args[0]]));
/// let y = double.call(&[Tensor::from(4.0f32)])?;
/// assert_eq!(y[0].item()?, 8.0);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
pub struct Jit<'f> {
    function: Box<Function<'f>>,
    programs: Mutex<Vec<Arc<Program>>>,
}

/// Compiles `function` when it is first called; see [`Jit`].
pub fn jit<'f>(function: impl Fn(&[Tensor]) -> Result<Vec<Tensor>> + Send + Sync + 'f) -> Jit<'f> {
    Jit { function: Box::new(function), programs: Mutex::default() }
}

/// The most signatures of one function that are kept; the oldest goes first. A loop over ragged batches has few.
const PROGRAMS_BOUND: usize = 32;

struct Program {
    signature: Vec<TensorType>,
    executable: Arc<dyn Executable>,
    /// Read or assigned, in the order of the parameters after the arguments.
    variables: Vec<Variable>,
    /// For each variable, whether it is assigned: then it is donated, and the next of the outputs after the results.
    assigned: Vec<bool>,
    results: usize,
    /// Kept across runs so that a run allocates nothing.
    buffers: Mutex<(Vec<Array>, Vec<Array>)>,
}

impl Jit<'_> {
    /// Runs the function on tensors. Inside another trace it becomes part of that.
    ///
    /// # Errors
    /// The error of the function while traced, of the compiler, or one that an argument carries.
    pub fn call(&self, arguments: &[Tensor]) -> Result<Vec<Tensor>> {
        if in_trace() {
            return (self.function)(arguments);
        }
        let arrays: Result<Vec<Array>> = arguments.iter().map(Tensor::eval).collect();
        let mut results = Vec::new();
        self.run(&arrays?, &mut results)?;
        Ok(results.into_iter().map(Tensor::from).collect())
    }

    /// Runs the function on arrays; `results` are written over, in place where they can be.
    ///
    /// # Errors
    /// As [`Jit::call`].
    pub fn run(&self, arguments: &[Array], results: &mut Vec<Array>) -> Result<()> {
        let program = self.program(arguments)?;
        let mut buffers = program.buffers.lock().unwrap_or_else(|e| e.into_inner());
        let (inputs, outputs) = &mut *buffers;
        inputs.clear();
        inputs.extend_from_slice(arguments);
        for (variable, &assigned) in program.variables.iter().zip(&program.assigned) {
            inputs.push(if assigned { variable.take()? } else { variable.array()? });
        }
        outputs.resize_with(program.results + program.assigned.iter().filter(|&&a| a).count(), Array::default);
        let outcome = program.executable.run(inputs, outputs);
        if outcome.is_ok() {
            let assigned = program.variables.iter().zip(&program.assigned).filter(|(_, a)| **a);
            for ((variable, _), output) in assigned.zip(&mut outputs[program.results..]) {
                variable.put(std::mem::take(output));
            }
            results.resize_with(program.results, Array::default);
            for (result, output) in results.iter_mut().zip(&mut *outputs) {
                // Swapped, not cloned: the caller's old array is the buffer of the next run.
                std::mem::swap(result, output);
            }
        } else {
            // What was not consumed goes back; what was is lost, and the error says that the run failed half way.
            for (k, (variable, &assigned)) in program.variables.iter().zip(&program.assigned).enumerate() {
                let array = std::mem::take(&mut inputs[arguments.len() + k]);
                if assigned && array.shape() == variable.shape() {
                    variable.put(array);
                }
            }
        }
        inputs.clear();
        outcome.map_err(Error::from)
    }

    /// How many signatures have been compiled and are kept.
    pub fn programs(&self) -> usize {
        self.programs.lock().unwrap_or_else(|e| e.into_inner()).len()
    }

    /// The compiled program for these arguments, as text.
    ///
    /// # Errors
    /// As [`Jit::call`].
    pub fn describe(&self, arguments: &[Array]) -> Result<String> {
        Ok(self.program(arguments)?.executable.describe())
    }

    fn program(&self, arguments: &[Array]) -> Result<Arc<Program>> {
        let fits = |p: &Arc<Program>| {
            let same = |(t, a): (&TensorType, &Array)| {
                t.dtype == a.dtype() && t.rank() == a.rank() && t.shape.iter().zip(a.shape()).all(|(d, s)| d == s)
            };
            p.signature.len() == arguments.len() && p.signature.iter().zip(arguments).all(same)
        };
        let mut programs = self.programs.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(program) = programs.iter().find(|p| fits(p)) {
            return Ok(Arc::clone(program));
        }
        let signature: Vec<TensorType> = arguments.iter().map(|a| TensorType::new(a.dtype(), a.shape())).collect();
        let program = Arc::new(self.compile(signature)?);
        if programs.len() >= PROGRAMS_BOUND {
            programs.remove(0);
        }
        programs.push(Arc::clone(&program));
        Ok(program)
    }

    fn compile(&self, signature: Vec<TensorType>) -> Result<Program> {
        let placeholders: Vec<Tensor> = signature.iter().cloned().map(Tensor::placeholder).collect();
        let (results, trace) = Trace::record(|| (self.function)(&placeholders));
        let results = results?;
        let touched = trace.touched();
        let mut export = Export::new(Values::AsConstants);
        for tensor in placeholders.iter().chain(touched.iter().map(|t| &t.before)) {
            export.bind(tensor);
        }
        let mut outputs = Vec::new();
        for tensor in results.iter().chain(touched.iter().filter_map(|t| t.after.as_ref())) {
            outputs.push(export.add(tensor)?);
        }
        export.graph.set_outputs(outputs);
        let mut donations = Vec::new();
        for (k, _) in touched.iter().enumerate().filter(|(_, t)| t.after.is_some()) {
            donations.push((placeholders.len() + k, results.len() + donations.len()));
        }
        let steady = touched.iter().enumerate().filter(|(_, t)| t.after.is_none());
        let steady = steady.map(|(k, _)| placeholders.len() + k).collect();
        let options = CompileOptions { donations, steady, ..Default::default() };
        let executable = backend::current()?.compile(&export.graph, &options)?;
        Ok(Program {
            signature,
            executable,
            assigned: touched.iter().map(|t| t.after.is_some()).collect(),
            variables: touched.into_iter().map(|t| t.variable).collect(),
            results: results.len(),
            buffers: Mutex::default(),
        })
    }
}
