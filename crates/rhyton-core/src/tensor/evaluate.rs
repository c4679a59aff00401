//! From tensors to values: what has not run yet becomes a graph, is compiled (or found in the cache) and run.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, LazyLock, Mutex};

use indexmap::IndexMap;
use rhyton_ir::backend::{CompileOptions, Executable};
use rhyton_ir::op::Constant;
use rhyton_ir::{Array, Graph, Value};

use super::{Kind, Tensor};
use crate::backend;
use crate::error::{Error, Result};

/// What [`Export`] does with a tensor whose value is there.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Values {
    /// Makes it a parameter: the graph serves any value of the type.
    AsParameters,
    /// Makes it a constant: the graph may be simplified by it.
    AsConstants,
}

/// Turns the tensors that others depend on into a graph.
pub(crate) struct Export {
    pub(crate) graph: Graph,
    /// Tensors that became parameters, in order.
    pub(crate) parameters: Vec<Tensor>,
    map: HashMap<(usize, usize), Value>,
    values: Values,
    /// Whether to go on to the operands of tensors whose values are there already, where they have been kept.
    through_values: bool,
}

impl Export {
    pub(crate) fn new(values: Values) -> Export {
        Export { graph: Graph::new(), parameters: Vec::new(), map: HashMap::new(), values, through_values: false }
    }

    /// An export for differentiation: how a value came about matters even when it has been computed.
    pub(crate) fn for_gradient() -> Export {
        Export { through_values: true, ..Export::new(Values::AsParameters) }
    }

    /// Makes `tensor` a parameter, whatever it is.
    pub(crate) fn bind(&mut self, tensor: &Tensor) -> Value {
        let value = self.graph.parameter(tensor.ty().clone());
        self.map.insert(tensor.key(), value);
        self.parameters.push(tensor.clone());
        value
    }

    /// The value of `tensor` in the graph, if it has been added.
    pub(crate) fn get(&self, tensor: &Tensor) -> Option<Value> {
        self.map.get(&tensor.key()).copied()
    }

    /// Adds `tensor` and all that it depends on; iterative, so that deep computations do not overflow the stack.
    pub(crate) fn add(&mut self, tensor: &Tensor) -> Result<Value> {
        let mut stack = vec![(tensor.clone(), false)];
        while let Some((t, operands_are_in)) = stack.pop() {
            if self.map.contains_key(&t.key()) {
                continue;
            }
            if let Some(array) = t.ready()
                && !(self.through_values && t.has_operands())
            {
                self.add_value(&t, array)?;
                continue;
            }
            if let Some(extended) = t.extended() {
                match self.get(&extended) {
                    Some(value) => drop(self.map.insert(t.key(), value)),
                    None => stack.extend([(t, false), (extended, false)]),
                }
                continue;
            }
            match &t.node.kind {
                Kind::Apply(op) => {
                    let inputs = t.node.inputs.lock().unwrap_or_else(|e| e.into_inner()).clone();
                    // Another thread may have computed the value and let go of the operands since it was looked for.
                    if let Some(array) = t.ready()
                        && (!self.through_values || inputs.is_empty())
                    {
                        self.add_value(&t, array)?;
                    } else if operands_are_in {
                        let operands: Vec<Value> = inputs.iter().map(|i| self.map[&i.key()]).collect();
                        let first = self.graph.push(op.clone(), &operands)?;
                        for (output, value) in self.graph.outputs_of(first).into_iter().enumerate() {
                            self.map.insert((t.key().0, output), value);
                        }
                    } else {
                        stack.push((t.clone(), true));
                        stack.extend(inputs.into_iter().rev().map(|i| (i, false)));
                    }
                }
                Kind::Invalid(error) => return Err(error.clone()),
                Kind::Symbol(history) => {
                    return Err(Error::argument(
                        history.layer_name(),
                        "a symbol of a functional model has no value",
                        "make a Model of its inputs and outputs and call predict",
                    ));
                }
                Kind::Placeholder | Kind::Value => {
                    return Err(Error::argument(
                        "eval",
                        format!("the value of a traced {} is not known while the function is traced", t.ty()),
                        "return it from the function and read it there",
                    ));
                }
            }
        }
        Ok(self.map[&tensor.key()])
    }

    fn add_value(&mut self, tensor: &Tensor, array: &Array) -> Result<()> {
        if self.values == Values::AsParameters {
            self.bind(tensor);
        } else {
            let value = self.graph.push(Constant { value: array.clone() }, &[])?;
            self.map.insert(tensor.key(), value);
        }
        Ok(())
    }
}

/// Computes the values of `tensors` together, and keeps them in the tensors.
///
/// # Errors
/// The first error that one of them carries; or if one depends on a symbol or on a parameter of a trace.
pub fn evaluate_all(tensors: &[Tensor]) -> Result<Vec<Array>> {
    let pending: Vec<&Tensor> = tensors.iter().filter(|t| t.ready().is_none()).collect();
    if !pending.is_empty() {
        let mut export = Export::new(Values::AsParameters);
        let mut outputs = Vec::new();
        let mut nodes: Vec<&Tensor> = Vec::new();
        for tensor in pending {
            if nodes.iter().any(|n| n.key().0 == tensor.key().0) {
                continue;
            }
            for output in 0..tensor.node.types.len() {
                outputs.push(export.add(&tensor.sibling(output))?);
            }
            nodes.push(tensor);
        }
        export.graph.set_outputs(outputs);
        let executable = compiled(&export.graph)?;
        let mut arguments: Vec<Array> =
            export.parameters.iter().map(|p| p.ready().cloned().unwrap_or_default()).collect();
        let mut values = Vec::new();
        executable.run(&mut arguments, &mut values)?;
        let mut values = values.into_iter();
        for tensor in nodes {
            let all: Vec<Array> = values.by_ref().take(tensor.node.types.len()).collect();
            // Set already only if another thread computed the same values meanwhile.
            let _ = tensor.node.values.set(all);
            if !recording() {
                let operands = std::mem::take(&mut *tensor.node.inputs.lock().unwrap_or_else(|e| e.into_inner()));
                drop(operands);
            }
        }
    }
    tensors.iter().map(|t| t.ready().cloned().ok_or_else(|| unready(t))).collect()
}

fn unready(tensor: &Tensor) -> Error {
    Error::argument("eval", format!("no value of {} was computed", tensor.ty()), "report this as a bug")
}

type Cache = Mutex<IndexMap<String, Arc<dyn Executable>>>;

/// Programs compiled for values read outside of `jit`, by the text of their graph; the least recently used goes first.
static CACHE: LazyLock<Cache> = LazyLock::new(Cache::default);

/// Enough for every distinct expression of a program's inner loop; each entry holds a plan and its arena.
const CACHE_BOUND: usize = 256;

fn compiled(graph: &Graph) -> Result<Arc<dyn Executable>> {
    let key = signature(graph);
    {
        let mut cache = CACHE.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(index) = cache.get_index_of(&key) {
            let last = cache.len() - 1;
            cache.move_index(index, last);
            return Ok(Arc::clone(&cache[last]));
        }
    }
    let executable = backend::current()?.compile(graph, &CompileOptions::default())?;
    let mut cache = CACHE.lock().unwrap_or_else(|e| e.into_inner());
    if cache.len() >= CACHE_BOUND {
        cache.shift_remove_index(0);
    }
    cache.insert(key, Arc::clone(&executable));
    Ok(executable)
}

/// Frees the programs compiled for values read outside of `jit` (Keras's `clear_session`).
pub fn clear_cache() {
    CACHE.lock().unwrap_or_else(|e| e.into_inner()).clear();
}

fn signature(graph: &Graph) -> String {
    let mut text = String::new();
    for node in graph.nodes() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:?}{:?}", node.op, node.inputs);
    }
    let _ = write!(text, "{:?}", graph.outputs());
    text
}

thread_local! {
    static RECORDING: Cell<usize> = const { Cell::new(0) };
}

/// Whether values read on this thread keep how they came about, because a gradient may be asked for.
fn recording() -> bool {
    RECORDING.get() > 0
}

/// Runs `function` while values that are read keep how they came about.
pub(crate) fn record<R>(function: impl FnOnce() -> R) -> R {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            RECORDING.set(RECORDING.get() - 1);
        }
    }
    RECORDING.set(RECORDING.get() + 1);
    let _leave = Leave;
    function()
}
