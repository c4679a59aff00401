//! Tracing: running a function on placeholders to learn the graph that it computes.

use std::cell::RefCell;
use std::collections::HashMap;

use indexmap::IndexMap;
use rhyton_ir::op::Constant;
use rhyton_ir::{Graph, TensorType};

use super::evaluate::{Export, Values};
use super::{Kind, Tensor};
use crate::error::Result;
use crate::variable::Variable;

thread_local! {
    static TRACES: RefCell<Vec<Trace>> = const { RefCell::new(Vec::new()) };
}

/// The variables that a traced function reads and assigns: reads become inputs, assignments outputs.
#[derive(Default)]
pub struct Trace {
    entries: IndexMap<u64, Entry>,
    /// Whether variables start from what they are outside, instead of from placeholders.
    within: bool,
}

struct Entry {
    variable: Variable,
    /// Stands for the value before the function runs.
    before: Tensor,
    /// The value at this point of the function.
    now: Tensor,
}

/// A variable that a trace met: the placeholder for its value before, and its value after, if it was assigned.
pub struct Touched {
    /// The variable.
    pub variable: Variable,
    /// Stands for the value before the function runs.
    pub before: Tensor,
    /// The value after, if the function assigns one.
    pub after: Option<Tensor>,
}

impl Trace {
    /// Runs `function` while reads and assignments of variables on this thread are recorded instead of carried out.
    pub fn record<R>(function: impl FnOnce() -> R) -> (R, Trace) {
        Trace::default().over(function)
    }

    /// As [`Trace::record`], but what the function reads is the value outside, which the function captures: for parts of a
    /// larger function, such as the body of a loop, that may read variables.
    pub fn record_within<R>(function: impl FnOnce() -> R) -> (R, Trace) {
        Trace { within: true, ..Trace::default() }.over(function)
    }

    fn over<R>(self, function: impl FnOnce() -> R) -> (R, Trace) {
        struct Pop;
        impl Drop for Pop {
            // Also when `function` panics: a trace left behind would swallow all later assignments.
            fn drop(&mut self) {
                TRACES.with_borrow_mut(|traces| traces.pop());
            }
        }
        TRACES.with_borrow_mut(|traces| traces.push(self));
        let pop = Pop;
        let result = function();
        let trace = TRACES.with_borrow_mut(|traces| traces.last_mut().map(std::mem::take)).unwrap_or_default();
        drop(pop);
        (result, trace)
    }

    /// The variables met, in the order in which they were.
    pub fn touched(self) -> Vec<Touched> {
        let touched = |e: Entry| {
            let after = (!e.now.is(&e.before)).then_some(e.now);
            Touched { variable: e.variable, before: e.before, after }
        };
        self.entries.into_values().map(touched).collect()
    }
}

/// Whether this thread is tracing a function.
pub fn in_trace() -> bool {
    TRACES.with_borrow(|traces| !traces.is_empty())
}

/// The value of `variable` at this point of the function being traced; `None` outside of traces.
pub(crate) fn read(variable: &Variable) -> Option<Tensor> {
    TRACES.with_borrow_mut(|traces| Some(entry(traces, variable)?.now.clone()))
}

/// Assigns within the function being traced; false outside of traces.
pub(crate) fn write(variable: &Variable, value: &Tensor) -> bool {
    TRACES.with_borrow_mut(|traces| match entry(traces, variable) {
        Some(entry) => {
            entry.now = value.clone();
            true
        }
        None => false,
    })
}

/// What the innermost trace knows of the variable.
fn entry<'t>(traces: &'t mut [Trace], variable: &Variable) -> Option<&'t mut Entry> {
    let (trace, outer) = traces.split_last_mut()?;
    let before = match trace.entries.get(&variable.id()) {
        Some(known) => known.before.clone(),
        None if trace.within => entry(outer, variable).map_or_else(|| variable.stored(), |e| e.now.clone()),
        None => Tensor::placeholder(variable.ty()),
    };
    let new = || Entry { variable: variable.clone(), now: before.clone(), before };
    Some(trace.entries.entry(variable.id()).or_insert_with(new))
}

/// A function as tensors over placeholders, with the tensors from outside that it uses.
pub struct Captured {
    arguments: Vec<Tensor>,
    outputs: Vec<Tensor>,
    captures: Vec<Tensor>,
}

/// Runs `function` on placeholders of `types`, for use as a sub-graph (the body of a scan, a branch, …).
///
/// # Errors
/// The error of `function`, or that of one of its outputs.
pub fn trace_function(
    types: &[TensorType],
    function: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>,
) -> Result<Captured> {
    let arguments: Vec<Tensor> = types.iter().cloned().map(Tensor::placeholder).collect();
    let outputs = function(&arguments)?;
    for output in &outputs {
        output.check()?;
    }
    let captures = captures(&arguments, &outputs);
    Ok(Captured { arguments, outputs, captures })
}

impl Captured {
    /// The tensors from outside that the function uses.
    pub fn captures(&self) -> &[Tensor] {
        &self.captures
    }

    /// The types of the outputs.
    pub fn output_types(&self) -> Vec<TensorType> {
        self.outputs.iter().map(|t| t.ty().clone()).collect()
    }

    /// The graph with `captures` (its own, or a superset) as its first parameters and the arguments after them.
    ///
    /// # Errors
    /// If a tensor depends on what is not there.
    pub fn graph(&self, captures: &[Tensor]) -> Result<Graph> {
        let mut export = Export::new(Values::AsConstants);
        for tensor in captures.iter().chain(&self.arguments) {
            export.bind(tensor);
        }
        let outputs: Result<Vec<_>> = self.outputs.iter().map(|t| export.add(t)).collect();
        export.graph.set_outputs(outputs?);
        Ok(export.graph)
    }
}

/// The outermost tensors that `outputs` use and that do not depend on `arguments`, but for scalars whose value is known.
fn captures(arguments: &[Tensor], outputs: &[Tensor]) -> Vec<Tensor> {
    let mut inside: HashMap<usize, bool> = arguments.iter().map(|t| (t.key().0, true)).collect();
    let mut order: Vec<Tensor> = Vec::new();
    let mut stack: Vec<(Tensor, bool)> = outputs.iter().rev().map(|t| (t.clone(), false)).collect();
    let operands = |t: &Tensor| t.node.inputs.lock().unwrap_or_else(|e| e.into_inner()).clone();
    while let Some((t, operands_are_known)) = stack.pop() {
        if inside.contains_key(&t.key().0) {
            continue;
        }
        let inputs = operands(&t);
        if operands_are_known || inputs.is_empty() {
            inside.insert(t.key().0, inputs.iter().any(|i| inside[&i.key().0]));
            order.push(t);
        } else {
            stack.push((t, true));
            stack.extend(inputs.into_iter().rev().map(|i| (i, false)));
        }
    }
    let mut found: IndexMap<(usize, usize), Tensor> = IndexMap::new();
    let users = order.iter().filter(|t| inside[&t.key().0]).flat_map(operands).chain(outputs.iter().cloned());
    for used in users {
        let constant = used.ready().is_some_and(|a| a.rank() == 0);
        // Constants of the graph, too, are cheaper inside than passed.
        let literal = matches!(&used.node.kind, Kind::Apply(rhyton_ir::Op::Constant(Constant { .. })));
        if !inside[&used.key().0] && !constant && !literal {
            found.entry(used.key()).or_insert(used);
        }
    }
    found.into_values().collect()
}
