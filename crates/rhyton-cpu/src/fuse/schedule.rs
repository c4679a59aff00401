//! From a program to actions on registers: when each load is brought in, where each value lives, and when it is stored.

use super::program::{Accum, Level, Program, Source};
use crate::plan::Slot;

/// Bytes that the registers of a task may take on its stack.
pub(crate) const STACK: usize = 64 * 1024;

/// Most values of a program: their addresses are a table on the stack.
pub(crate) const MOST_VALUES: usize = 512;

/// One thing to do for each block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Action {
    /// Copy load `.0` into its register.
    Fill(usize),
    /// Execute instruction `.0`.
    Execute(usize),
    /// Copy the value of store `.0` to memory.
    Store(usize),
    /// Add to accumulation `.0`.
    Accumulate(usize),
}

/// Where a value is found while a block is worked on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Home {
    /// At this byte of the registers.
    Register(usize),
    /// In the source's own memory, which it reads densely.
    Source(usize),
    /// In the memory of a store.
    Target(usize),
}

/// A program made ready to run.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub actions: Vec<Action>,
    /// One a value.
    pub homes: Vec<Home>,
    /// Loads that are the same for every block, and are filled once a task.
    pub periodic: Vec<usize>,
    /// Indices after which all of them repeat.
    pub period: usize,
    /// Indices a block; a multiple of the row.
    pub block: usize,
    /// Bytes of registers.
    pub bytes: usize,
}

/// The period of a load: the number of trailing indices after which it repeats, if it does.
fn period(program: &Program, load: usize) -> Option<usize> {
    let load = &program.loads[load];
    if load.level == Level::Row {
        return None;
    }
    let mut period = 1;
    for a in (0..program.dims.len()).rev() {
        if load.strides[..=a].iter().zip(&program.dims).all(|(&s, &d)| s == 0 || d == 1) {
            return Some(period);
        }
        period *= program.dims[a];
    }
    None
}

impl Schedule {
    /// Schedules `program`; `shared` tells which buffers lie in the same memory. Blocks have at most `most` indices, and
    /// fewer if the registers would not fit on a stack.
    pub fn new(program: &Program, most: usize, shared: &dyn Fn(Slot, Slot) -> bool) -> Schedule {
        let mut most = most;
        loop {
            let schedule = Schedule::with_blocks(program, most, shared);
            if schedule.bytes <= STACK || schedule.block <= 64.max(program.row) {
                return schedule;
            }
            most = schedule.block / 2;
        }
    }

    fn with_blocks(program: &Program, most: usize, shared: &dyn Fn(Slot, Slot) -> bool) -> Schedule {
        let (nl, ns) = (program.loads.len(), program.splats.len());
        let first = nl + ns;
        let widest = (0..program.values()).map(|v| program.dtype(v).size()).max().unwrap_or(4);
        // Order of the instructions is that of the program; loads come just before their first use.
        let mut last = vec![0usize; program.values()];
        for (i, instr) in program.instrs.iter().enumerate() {
            for &a in &instr.args {
                last[a] = i + 1;
            }
        }
        let live = live_registers(program, &last);
        let mut block = (24 * 1024 / (widest * live.max(1))).clamp(256, 2048).min(most) / 64 * 64;
        block = block.max(64);
        if program.row > 1 {
            block = (block / program.row).max(1) * program.row;
        }
        // A block that is a whole number of periods lets repeated loads be filled once.
        let mut periods: Vec<usize> =
            (0..nl).filter_map(|l| period(program, l)).filter(|&p| p > 1 && p <= block).collect();
        periods.sort_unstable();
        if let Some(&longest) = periods.last() {
            let unit = if program.row > 1 { lcm(longest, program.row) } else { longest };
            if unit <= block {
                block = block / unit * unit;
            }
        }
        let periodic: Vec<usize> = (0..nl)
            .filter(|&l| {
                !program.is_dense(&program.loads[l]) && period(program, l).is_some_and(|p| block.is_multiple_of(p))
            })
            .collect();

        let period = periodic.iter().filter_map(|&l| period(program, l)).fold(1, lcm);

        let overlaps = |l: usize, store: Slot| match program.loads[l].source {
            Source::Memory(slot) => shared(slot, store),
            Source::Count => false,
        };
        // A store may happen at once if nothing that is still to be read lies in its memory, and an instruction may
        // write there if it does not itself read from there.
        let unread = |value: usize, store: Slot, after: usize| {
            (0..nl).all(|l| !overlaps(l, store) || value >= first && last[l] <= value - first + after)
        };
        let prompt = |value: usize, store: Slot| unread(value, store, 1);
        let mut homes = vec![Home::Register(usize::MAX); program.values()];
        for l in 0..nl {
            if program.is_dense(&program.loads[l]) {
                homes[l] = Home::Source(l);
            }
        }
        let mut target = vec![None; program.stores.len()];
        for (s, store) in program.stores.iter().enumerate() {
            let taken = matches!(homes[store.value], Home::Target(_) | Home::Source(_));
            if store.value >= first && !taken && unread(store.value, store.slot, 0) {
                homes[store.value] = Home::Target(s);
                target[s] = Some(store.value);
            }
        }
        // A value that lives in a store must stay readable: no later store may share that memory, and none does,
        // since outputs are distinct buffers.
        let mut actions = Vec::new();
        let mut issued = vec![false; nl];
        let mut late = Vec::new();
        for (i, instr) in program.instrs.iter().enumerate() {
            for &a in &instr.args {
                if a < nl && !issued[a] && matches!(homes[a], Home::Register(_)) && !periodic.contains(&a) {
                    actions.push(Action::Fill(a));
                    issued[a] = true;
                }
            }
            actions.push(Action::Execute(i));
            finish(program, first + i, &target, &prompt, &mut actions, &mut late);
        }
        for v in 0..first {
            let used = program.stores.iter().any(|s| s.value == v) || program.accums.iter().any(|a| a.value == v);
            if used {
                if v < nl && !issued[v] && matches!(homes[v], Home::Register(_)) && !periodic.contains(&v) {
                    actions.push(Action::Fill(v));
                    issued[v] = true;
                }
                finish(program, v, &target, &|_, _| false, &mut actions, &mut late);
            }
        }
        actions.extend(late);
        let bytes = assign(program, &actions, &periodic, &mut homes, block);
        for home in &mut homes {
            // Values that no action makes or reads.
            if *home == Home::Register(usize::MAX) {
                *home = Home::Register(0);
            }
        }
        Schedule { actions, homes, periodic, period, block, bytes }
    }
}

/// Accumulates and stores a value that has just been computed, or notes that it is to be stored at the end.
fn finish(
    program: &Program,
    value: usize,
    target: &[Option<usize>],
    prompt: &dyn Fn(usize, Slot) -> bool,
    actions: &mut Vec<Action>,
    late: &mut Vec<Action>,
) {
    let of = |a: &Accum| a.value == value;
    actions.extend((0..program.accums.len()).filter(|&a| of(&program.accums[a])).map(Action::Accumulate));
    for (s, store) in program.stores.iter().enumerate() {
        if store.value == value && target[s] != Some(value) {
            let list = if prompt(value, store.slot) { &mut *actions } else { &mut *late };
            list.push(Action::Store(s));
        }
    }
}

fn lcm(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}

/// An upper estimate of how many full registers are alive at once.
fn live_registers(program: &Program, last: &[usize]) -> usize {
    let first = program.loads.len() + program.splats.len();
    let mut most = 0;
    for i in 0..program.instrs.len() {
        let live = (0..=i).filter(|&j| last[first + j] > i && program.instrs[j].level == Level::Full).count();
        most = most.max(live);
    }
    most + program.splats.len() + program.loads.iter().filter(|l| !program.is_dense(l)).count().min(4) + 1
}

/// Gives registers to the values that need one, reusing those whose value is no longer read; returns their bytes.
fn assign(program: &Program, actions: &[Action], periodic: &[usize], homes: &mut [Home], block: usize) -> usize {
    let (nl, first) = (program.loads.len(), program.loads.len() + program.splats.len());
    let rows = block / program.row;
    let size = |v: usize| {
        let n = if program.level(v) == Level::Full { block } else { rows };
        crate::plan::aligned(n * program.dtype(v).size())
    };
    // The action after which each value is dead.
    let mut end = vec![0usize; program.values()];
    for (t, action) in actions.iter().enumerate() {
        let mut uses = |v: usize| end[v] = t;
        match *action {
            Action::Fill(l) => uses(l),
            Action::Execute(i) => {
                uses(first + i);
                program.instrs[i].args.iter().for_each(|&a| uses(a));
            }
            Action::Store(s) => uses(program.stores[s].value),
            Action::Accumulate(a) => uses(program.accums[a].value),
        }
    }
    for v in (nl..first).chain(periodic.iter().copied()) {
        end[v] = usize::MAX;
    }
    let mut bytes = 0;
    let mut free: Vec<(usize, usize)> = Vec::new(); // (bytes, offset)
    let mut take = |need: usize, free: &mut Vec<(usize, usize)>| {
        if let Some(at) = free.iter().position(|&(b, _)| b == need) {
            return free.swap_remove(at).1;
        }
        bytes += need;
        bytes - need
    };
    for v in (nl..first).chain(periodic.iter().copied()) {
        homes[v] = Home::Register(take(size(v), &mut free));
    }
    let mut alive: Vec<usize> = Vec::new();
    for (t, action) in actions.iter().enumerate() {
        let made = match *action {
            Action::Fill(l) => Some(l),
            Action::Execute(i) => Some(first + i),
            Action::Store(_) | Action::Accumulate(_) => None,
        };
        // The register of the result is taken before those of the operands are given back: functions whose operands
        // and results have different sizes must not overlap.
        if let Some(v) = made.filter(|&v| matches!(homes[v], Home::Register(_))) {
            homes[v] = Home::Register(take(size(v), &mut free));
            alive.push(v);
        }
        alive.retain(|&v| {
            let dead = end[v] <= t;
            if let (true, Home::Register(at)) = (dead, homes[v]) {
                free.push((size(v), at));
            }
            !dead
        });
    }
    bytes
}
