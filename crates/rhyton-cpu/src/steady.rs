//! What is kept between runs: what depends on weights that a program reads and does not assign.
//!
//! Of a program for inference, or one that trains a head on a frozen base, much is the same in every run: batch
//! normalisations folded into kernels, kernels in the order in which the micro-kernels read them. The first run computes
//! it and remembers of which arrays; later runs use it until one of those is another array, or was written to.

use std::sync::{Arc, Mutex, PoisonError};

use rhyton_ir::backend::{CompileOptions, Executable};
use rhyton_ir::{Array, Error, Graph, Identity, Result, pass, with_data};

use crate::isa::Isa;
use crate::kernels::gemm::Shared;
use crate::kernels::scratch::Aligned;
use crate::lower::emit;
use crate::lower::known;
use crate::pages::prefer_huge;
use crate::plan::{Buffer, Context, Place, Plan, Slot, aligned};
use crate::pool::Pool;
use crate::run::Compiled;

/// Elements of steady parameters below which nothing is kept: what is computed of them costs less than the looking.
const LEAST: usize = 4096;

/// Which parameters are steady, if it is worth while to keep something of them.
///
/// # Errors
/// If the options name a parameter that there is not, or a shape has symbols.
pub(crate) fn parameters(graph: &Graph, options: &CompileOptions) -> Result<Option<Vec<bool>>> {
    let mut steady = vec![false; graph.parameters().len()];
    let mut elements = 0;
    for &p in &options.steady {
        let Some(&value) = graph.parameters().get(p) else {
            let what = format!("parameter {p} is to be steady, the graph has {}", steady.len());
            return Err(Error::argument("compile", what, "name parameters of the graph"));
        };
        if !options.donations.iter().any(|&(donated, _)| donated == p) {
            steady[p] = true;
            elements += known(graph.ty(value))?.iter().product::<usize>();
        }
    }
    Ok((elements >= LEAST).then_some(steady))
}

/// An executable of an optimised graph that keeps what depends on the parameters that `steady` names.
///
/// # Errors
/// As [`emit::compile`].
pub(crate) fn compile(
    graph: &Graph,
    donated: &[Option<usize>],
    steady: &[bool],
    pool: Arc<Pool>,
    isa: Isa,
) -> Result<Compiled> {
    let folded = pass::fold_scales(graph, steady)?;
    let folded = pass::eliminate_dead_code(&pass::eliminate_common_subexpressions(&folded)?)?;
    let split = pass::split_steady(&folded, steady)?;
    let mut plan = emit::compile(&split.rest, donated)?;
    let is_steady = |p: usize| steady.get(p).copied().unwrap_or(true);
    let mut packed = Vec::new();
    let mut bytes = 0;
    for (i, step) in plan.steps.iter_mut().enumerate() {
        let constant = |slot: Slot| match plan.buffers[slot as usize].place {
            Place::Parameter(p) => is_steady(p),
            Place::Constant(_) => true,
            Place::Output(_) | Place::Arena(_) | Place::Kept(_) => false,
        };
        let kept = step.kernel.keeps(&constant);
        if kept > 0 {
            plan.buffers.push(Buffer { bytes: kept, place: Place::Kept(bytes) });
            bytes += aligned(kept);
            step.kernel.keep_at(plan.buffers.len() as Slot - 1);
            packed.push(i);
        }
    }
    let results = split.steady.outputs().len();
    let none = vec![None; results];
    let program = match results {
        0 => None,
        _ => Some(Box::new(Compiled::new(emit::compile(&split.steady, &none)?, Arc::clone(&pool), isa, None)?)),
    };
    let parameters = (0..steady.len()).filter(|&p| steady[p]).collect();
    let steady = Steady { parameters, program, results, packed, bytes, kept: Mutex::default() };
    Compiled::new(plan, pool, isa, Some(steady))
}

/// How to make what is kept, and what was made last.
pub(crate) struct Steady {
    /// The steady ones among the program's parameters.
    parameters: Vec<usize>,
    /// Computes what the plan takes as further parameters.
    program: Option<Box<Compiled>>,
    results: usize,
    /// The steps of the plan that keep their operands in another order.
    packed: Vec<usize>,
    /// The bytes that they take.
    bytes: usize,
    kept: Mutex<Option<Arc<Kept>>>,
}

/// What was made of some weights.
pub(crate) struct Kept {
    of: Vec<Identity>,
    /// What steps read; empty what they have packed.
    results: Vec<Array>,
    /// Where the packed operands start, and the memory that holds them.
    packed: Shared<u8>,
    _memory: Aligned<u8>,
}

impl Steady {
    /// How many of the plan's parameters, the last ones, are computed here.
    pub fn results(&self) -> usize {
        self.results
    }

    /// What is kept of these arguments of the program; made if it is not there.
    ///
    /// # Errors
    /// If a kernel fails.
    pub fn kept(&self, plan: &Plan, pool: &Pool, isa: Isa, arguments: &[Array]) -> Result<Arc<Kept>> {
        let mut last = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = &*last
            && self.parameters.iter().zip(&kept.of).all(|(&p, identity)| identity.is_of(&arguments[p]))
        {
            return Ok(Arc::clone(kept));
        }
        // Its memory goes before the new is made.
        *last = None;
        let kept = Arc::new(self.make(plan, pool, isa, arguments)?);
        *last = Some(Arc::clone(&kept));
        Ok(kept)
    }

    fn make(&self, plan: &Plan, pool: &Pool, isa: Isa, arguments: &[Array]) -> Result<Kept> {
        let mut results = Vec::new();
        if let Some(program) = &self.program {
            program.run(&mut arguments.to_vec(), &mut results)?;
        }
        let of = self.parameters.iter().map(|&p| arguments[p].identity()).collect();
        let mut memory = Aligned::zeros(self.bytes);
        let packed = Shared(memory.get(self.bytes).as_mut_ptr());
        // SAFETY: the memory just made.
        unsafe { prefer_huge(packed.get(), self.bytes) };
        let mut kept = Kept { of, results, packed, _memory: memory };
        let mut pointers = vec![std::ptr::null_mut(); plan.buffers.len()];
        kept.enter(plan, &mut pointers);
        for (pointer, buffer) in pointers.iter_mut().zip(&plan.buffers) {
            match buffer.place {
                Place::Constant(c) => *pointer = start(&plan.constants[c]),
                Place::Parameter(p) if p < arguments.len() => *pointer = start(&arguments[p]),
                _ => {}
            }
        }
        let cx = Context { pointers: &pointers, pool, isa, recorder: None };
        let mut spared = self.spared(plan);
        for &step in &self.packed {
            let kernel = &plan.steps[step].kernel;
            kernel.prepare(&cx);
            // What only packed kernels were to be made of goes when the last has been.
            let spares = kernel.spares();
            if let Some((_, result, left)) = spared.iter_mut().find(|(slot, ..)| spares == Some(*slot)) {
                *left -= 1;
                if *left == 0 {
                    kept.results[*result] = Array::default();
                }
            }
        }
        Ok(kept)
    }

    /// The results that no step reads but those that keep something of them: the slot, which one it is, and how many do.
    fn spared(&self, plan: &Plan) -> Vec<(Slot, usize, usize)> {
        let own = plan.parameters.len() - self.results;
        let of = |(result, &slot): (usize, &Slot)| {
            let mut left = 0;
            for step in &plan.steps {
                match step.reads.iter().filter(|&&read| read == slot).count() {
                    0 => {}
                    1 if step.kernel.spares() == Some(slot) => left += 1,
                    _ => return None,
                }
            }
            (left > 0 && !plan.output_slots.contains(&slot)).then_some((slot, result, left))
        };
        plan.parameter_slots[own..].iter().enumerate().filter_map(of).collect()
    }
}

impl Kept {
    /// Enters the addresses of what is kept.
    pub fn enter(&self, plan: &Plan, pointers: &mut [*mut u8]) {
        let own = plan.parameters.len() - self.results.len();
        for (array, &slot) in self.results.iter().zip(&plan.parameter_slots[own..]) {
            pointers[slot as usize] = start(array);
        }
        for (pointer, buffer) in pointers.iter_mut().zip(&plan.buffers) {
            if let Place::Kept(offset) = buffer.place {
                *pointer = self.packed.get().wrapping_add(offset);
            }
        }
    }
}

/// Where the elements start.
fn start(array: &Array) -> *mut u8 {
    with_data!(array.data(), v => v.as_ptr().cast_mut().cast::<u8>())
}
