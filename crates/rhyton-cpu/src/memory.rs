//! The memory plan: which buffers share memory, and where each lies in the arena.

use crate::plan::{Buffer, Place, Slot, Step, aligned};

/// When a range of memory is in use, and how much.
#[derive(Clone, Copy, Debug)]
struct Storage {
    bytes: usize,
    first: usize,
    last: usize,
    offset: usize,
}

/// The places of all buffers.
pub(crate) struct Memory {
    /// The storage of each buffer.
    storage: Vec<usize>,
    /// The scratch buffer of each step.
    pub scratch: Vec<Slot>,
    /// Bytes of the arena.
    pub arena: usize,
}

impl Memory {
    /// Plans the memory of `steps`, adds their scratch buffers to `buffers` and sets the places of those in the arena.
    ///
    /// A step's result takes over the buffer of an operand that dies there where its kernel allows it; everything
    /// else is placed largest first, each in the smallest gap that is free during its life.
    pub fn plan(steps: &[Step], buffers: &mut Vec<Buffer>) -> Memory {
        let scratch: Vec<Slot> = steps
            .iter()
            .map(|step| {
                buffers.push(Buffer { bytes: step.kernel.scratch(), place: Place::Arena(0) });
                (buffers.len() - 1) as Slot
            })
            .collect();
        let in_arena = |b: &Buffer| matches!(b.place, Place::Arena(_));
        let mut life: Vec<Option<(usize, usize)>> = vec![None; buffers.len()];
        for (s, step) in steps.iter().enumerate() {
            for &slot in step.reads.iter().chain(&step.writes).chain([&scratch[s]]) {
                let (first, _) = life[slot as usize].unwrap_or((s, s));
                life[slot as usize] = Some((first, s));
            }
        }
        let mut storage: Vec<usize> = (0..buffers.len()).collect();
        let mut storages: Vec<Storage> = buffers
            .iter()
            .zip(&life)
            .map(|(b, l)| {
                let (first, last) = l.unwrap_or((0, 0));
                Storage { bytes: aligned(b.bytes), first, last, offset: 0 }
            })
            .collect();
        for (s, step) in steps.iter().enumerate() {
            let mut taken: Vec<usize> = Vec::new();
            for (from, to) in step.kernel.in_place() {
                let (from, to) = (from as usize, to as usize);
                let at = storage[from];
                let free = in_arena(&buffers[from])
                    && in_arena(&buffers[to])
                    && storage[to] == to
                    && storages[to].first == s
                    && storages[at].last == s
                    && storages[at].bytes >= storages[to].bytes
                    && !taken.contains(&at)
                    && !taken.contains(&to);
                if free {
                    taken.extend([at, to]);
                    storage[to] = at;
                    storages[at].last = storages[to].last;
                }
            }
        }
        let mut order: Vec<usize> =
            (0..buffers.len()).filter(|&b| storage[b] == b && in_arena(&buffers[b]) && buffers[b].bytes > 0).collect();
        order.sort_by_key(|&b| (std::cmp::Reverse(storages[b].bytes), storages[b].first, b));
        let mut placed: Vec<usize> = Vec::new();
        let mut arena = 0;
        for &b in &order {
            let me = storages[b];
            let mut busy: Vec<(usize, usize)> = placed
                .iter()
                .map(|&p| storages[p])
                .filter(|p| p.first <= me.last && me.first <= p.last)
                .map(|p| (p.offset, p.offset + p.bytes))
                .collect();
            busy.sort_unstable();
            storages[b].offset = best_gap(&busy, me.bytes);
            arena = arena.max(storages[b].offset + me.bytes);
            placed.push(b);
        }
        for b in 0..buffers.len() {
            if in_arena(&buffers[b]) {
                buffers[b].place = Place::Arena(storages[storage[b]].offset);
            }
        }
        Memory { storage, scratch, arena }
    }

    /// Whether two buffers are the same memory.
    pub fn shared(&self, a: Slot, b: Slot) -> bool {
        self.storage[a as usize] == self.storage[b as usize]
    }
}

/// The start of the smallest gap between busy ranges (sorted by start) that holds `bytes`, else the end of all.
fn best_gap(busy: &[(usize, usize)], bytes: usize) -> usize {
    let (mut best, mut end) = (None::<(usize, usize)>, 0);
    for &(from, to) in busy {
        if from > end && from - end >= bytes && best.is_none_or(|(size, _)| from - end < size) {
            best = Some((from - end, end));
        }
        end = end.max(to);
    }
    best.map_or(end, |(_, at)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_used_before_the_arena_grows() {
        assert_eq!(best_gap(&[(0, 64), (192, 256), (320, 448)], 64), 256);
        assert_eq!(best_gap(&[(0, 64), (192, 256), (320, 448)], 128), 64);
        assert_eq!(best_gap(&[(0, 64), (192, 256), (320, 448)], 192), 448);
        assert_eq!(best_gap(&[(0, 128), (64, 192)], 64), 192);
    }
}
