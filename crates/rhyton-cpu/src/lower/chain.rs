//! Steps that are done together, one part of their work after the other.
//!
//! Attention multiplies queries by keys, takes softmaxes and multiplies by values, head by head. Step by step, the scores of all heads
//! are written to memory and read again, for each step anew; a head's are a few tens of kilobytes. So steps that follow each other and
//! divide into the same parts become one: a task does the first step's part, then the next step's, which finds what it reads in the
//! second-level cache. That is what is gained by kernels for attention (Dao et al., 2022, <https://arxiv.org/abs/2205.14135>), for
//! whatever is computed between the products, forward or backward.
//!
//! Only a step that reads what others of the chain have made is of the chain, and only where it finds in its own part all that it
//! reads of that. The numbers are those of the steps done one by one.

use rhyton_ir::Result;

use crate::plan::{Buffer, Context, Cost, Kernel, Place, Slot, Step};

/// Parts from which on they are enough for all threads.
const PARTS: usize = 16;
/// Bytes that the steps of a chain write, below which they stay in cache anyhow.
const LEAST: usize = 1 << 20;
/// Bytes of a part's stretches that are to stay in the second-level cache, and so many at least that a part is worth its calls.
const PART: std::ops::Range<usize> = 1 << 14..1 << 19;
/// Steps that are passed over in search of one that belongs to a chain.
const AHEAD: usize = 4;

/// A step of a chain.
struct Link {
    step: Step,
    /// The buffers of which its parts touch only their own stretches.
    own: Vec<Slot>,
}

/// Steps that are done together.
struct Chain {
    links: Vec<Link>,
    parts: usize,
    /// Whether all divide into the parts, which is known when memory is planned.
    divides: bool,
}

/// Joins steps to chains where that is possible and worth while.
pub(super) fn form(steps: Vec<Step>, buffers: &[Buffer]) -> Vec<Step> {
    let mut out = Vec::with_capacity(steps.len());
    let mut rest: std::collections::VecDeque<Step> = steps.into();
    while let Some(first) = rest.pop_front() {
        let parts = first.kernel.batches();
        let own = if parts < PARTS { None } else { joins(&[], &first, parts, buffers) };
        let Some(own) = own else {
            out.push(first);
            continue;
        };
        let mut links = vec![Link { step: first, own }];
        let mut passed = 0;
        while passed < rest.len().min(AHEAD + 1) {
            let (before, next) = (rest.range(..passed), &rest[passed]);
            let depends = |step: &Step| {
                step.writes.iter().any(|slot| next.reads.contains(slot) || next.writes.contains(slot))
                    || next.writes.iter().any(|slot| step.reads.contains(slot))
            };
            let own = if before.into_iter().any(depends) { None } else { joins(&links, next, parts, buffers) };
            match own {
                Some(own) => links.extend(rest.remove(passed).map(|step| Link { step, own })),
                None => passed += 1,
            }
        }
        out.extend(chain(links, parts, buffers));
    }
    out
}

/// If a step can follow `links`: the buffers that its parts touch only in their own stretches.
fn joins(links: &[Link], step: &Step, parts: usize, buffers: &[Buffer]) -> Option<Vec<Slot>> {
    let stretches = step.kernel.parts(parts)?;
    // The stretches of a half of a buffer are not those of the whole.
    let whole = |slot: Slot| stretches.iter().all(|&(of, bytes)| of != slot || bytes == buffers[slot as usize].bytes);
    let own: Vec<Slot> = stretches.iter().map(|&(slot, _)| slot).filter(|&slot| whole(slot)).collect();
    let made = |slot: &Slot| links.iter().any(|link| link.step.writes.contains(slot));
    // An output may lie where an argument does, which others of the chain read.
    let in_arena = |slot: &Slot| matches!(buffers[*slot as usize].place, Place::Arena(_));
    let reads_made = step.reads.iter().any(made);
    let reads_own = step.reads.iter().filter(|slot| made(slot)).all(|slot| own.contains(slot));
    let writes_own = step.writes.iter().all(|slot| own.contains(slot) && in_arena(slot) && !made(slot));
    ((links.is_empty() || reads_made) && reads_own && writes_own).then_some(own)
}

/// The links as one step, if that is worth while; else as they were.
fn chain(links: Vec<Link>, parts: usize, buffers: &[Buffer]) -> Vec<Step> {
    let mut writes: Vec<Slot> = links.iter().flat_map(|link| link.step.writes.iter().copied()).collect();
    writes.sort_unstable();
    writes.dedup();
    let bytes: usize = writes.iter().map(|&slot| buffers[slot as usize].bytes).sum();
    if links.len() < 2 || bytes < LEAST || !PART.contains(&(bytes / parts)) {
        return links.into_iter().map(|link| link.step).collect();
    }
    let mut reads: Vec<Slot> = links.iter().flat_map(|link| link.step.reads.iter().copied()).collect();
    reads.sort_unstable();
    reads.dedup();
    vec![Step { kernel: Box::new(Chain { links, parts, divides: true }), reads, writes }]
}

impl Kernel for Chain {
    fn run(&self, cx: &Context) -> Result<()> {
        if !self.divides {
            return self.links.iter().try_for_each(|link| link.step.kernel.run(cx));
        }
        cx.pool.run(self.parts, &|part| {
            self.links.iter().for_each(|link| link.step.kernel.run_part(cx, part, self.parts));
        });
        Ok(())
    }

    fn describe(&self) -> String {
        let links: Vec<String> = self.links.iter().map(|link| link.step.kernel.describe()).collect();
        format!("in {} parts: {}", self.parts, links.join("\n  and "))
    }

    fn title(&self) -> String {
        let links: Vec<String> = self.links.iter().map(|link| link.step.kernel.title()).collect();
        format!("chain of {}", links.join("; "))
    }

    fn cost(&self) -> Cost {
        self.links
            .iter()
            .map(|link| link.step.kernel.cost())
            .fold(Cost::default(), |sum, cost| Cost { flops: sum.flops + cost.flops, bytes: sum.bytes + cost.bytes })
    }

    fn in_place(&self) -> Vec<(Slot, Slot)> {
        let mut out = Vec::new();
        for (i, link) in self.links.iter().enumerate() {
            for (from, to) in link.step.kernel.in_place() {
                // Whoever reads it has read its own part of it by then, and no more.
                let reads = |link: &Link| link.step.reads.contains(&from);
                let in_parts = self.links.iter().all(|link| !reads(link) || link.own.contains(&from));
                if in_parts && !self.links[i + 1..].iter().any(reads) {
                    out.push((from, to));
                }
            }
        }
        out
    }

    fn placed(&mut self, scratch: Slot, shared: &dyn Fn(Slot, Slot) -> bool) {
        self.links.iter_mut().for_each(|link| link.step.kernel.placed(scratch, shared));
        self.divides = self.links.iter().all(|link| link.step.kernel.parts(self.parts).is_some());
    }
}
