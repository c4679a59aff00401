//! The kernel that runs a program.

use std::mem::MaybeUninit;

use rhyton_ir::Result;
use rhyton_ir::op::{BinaryKind, UnaryKind};

use super::block;
use super::program::{Accum, Func, Instr, Level, Program, Source};
use super::schedule::{Action, Home, MOST_VALUES, STACK, Schedule};
use super::tail::Tail;
use crate::kernels::gemm::{Finish, prefetch};
use crate::plan::{Context, Cost, Kernel, Slot, aligned};

/// A task has at least this much work, in elements of simple instructions: some 5 µs, against 0.5 µs to hand it out.
const GRAIN: usize = 32 * 1024;

/// Most tasks of a loop. More would help only machines with more cores, and cost partial accumulators.
const MOST_TASKS: usize = 64;

/// A program and how it runs.
pub(crate) struct FusedLoop {
    program: Program,
    schedule: Schedule,
    /// Indices a task.
    chunk: usize,
    tasks: usize,
    /// Partial accumulators that are combined at the end; 0 if tasks write results in place.
    partials: usize,
    /// Whether accumulations of different tasks touch different elements.
    disjoint: bool,
    scratch: Slot,
    /// Whether what it reads and writes is likely not in a cache near.
    far: bool,
    /// Most indices a block.
    most: usize,
    /// A shorter way for tiles, if the program is of the form.
    tail: Option<Tail>,
}

/// Most indices a block when working on a tile: tiles are some hundreds of elements wide.
const TILE_BLOCK: usize = 1024;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Most streams of memory that are fetched ahead.
const MOST_STREAMS: usize = 8;

/// Elements from which operands are taken to come from memory, as those of smaller loops are in cache.
const FAR: usize = 1 << 17;

#[repr(align(64))]
struct Registers(MaybeUninit<[u8; STACK]>);

impl FusedLoop {
    /// A kernel for `program`, whose axes are collapsed.
    pub fn new(program: Program) -> FusedLoop {
        let most = usize::MAX;
        let schedule = Schedule::new(&program, most, &|_, _| false);
        let count = program.count();
        let weight = program.instrs.iter().map(weight).sum::<usize>() + program.stores.len() + program.accums.len() + 1;
        let mut tasks = (count * weight / GRAIN).clamp(1, MOST_TASKS);
        let results: usize = program.accums.iter().map(|a| a.len).sum();
        // Accumulations along the first axis alone divide without partial results.
        let outer = program.dims[0];
        let disjoint = program.accums.iter().all(|a| a.strides[0] != 0) && outer >= 4;
        if results > 0 && !disjoint {
            tasks = tasks.min((count / (4 * results)).max(1));
        }
        let unit = if results > 0 && disjoint { count / outer } else { schedule.block };
        let unit = if program.row > 1 { unit.next_multiple_of(program.row) } else { unit };
        let chunk = count.div_ceil(tasks.max(1)).next_multiple_of(unit.max(1)).max(1);
        let tasks = count.div_ceil(chunk);
        let narrow = program.accums.iter().any(|a| a.out != a.dtype);
        let partials = match (results > 0, disjoint || tasks <= 1, narrow) {
            (false, _, _) | (true, true, false) => 0,
            (true, true, true) => 1,
            (true, false, _) => tasks,
        };
        FusedLoop {
            program,
            schedule,
            chunk,
            tasks,
            partials,
            disjoint: disjoint || tasks <= 1,
            scratch: 0,
            far: count >= FAR,
            most,
            tail: None,
        }
    }

    /// A program to be run on tiles of another kernel's result by [`FusedLoop::run_tile`].
    pub fn for_tiles(program: Program) -> FusedLoop {
        let out = FusedLoop { most: TILE_BLOCK, ..FusedLoop::new(program) };
        assert_eq!(out.registers_bytes(), 0, "tiles have no memory but the stack");
        out
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Bytes of all accumulators of one task.
    fn accumulator_bytes(&self) -> usize {
        self.program.accums.iter().map(|a| aligned(a.len * a.dtype.size())).sum()
    }

    fn registers_bytes(&self) -> usize {
        if self.schedule.bytes <= STACK { 0 } else { aligned(self.schedule.bytes) }
    }

    /// Where accumulation `index` of a task lies.
    fn accumulator(&self, cx: &Context, index: usize, task: usize) -> *mut u8 {
        if self.partials == 0 {
            return cx.pointer(self.program.accums[index].slot);
        }
        let before: usize = self.program.accums[..index].iter().map(|a| aligned(a.len * a.dtype.size())).sum();
        let at = (task % self.partials) * self.accumulator_bytes() + before;
        // SAFETY: scratch() asked for `partials` times the accumulators' bytes.
        unsafe { cx.pointer(self.scratch).add(at) }
    }

    fn clear(&self, cx: &Context, task: usize) {
        for (i, a) in self.program.accums.iter().enumerate() {
            let value = widest(&block::identity(a.kind, a.dtype));
            // SAFETY: the accumulator has `len` elements of its dtype.
            unsafe { block::splat(a.dtype.size(), value.0.as_ptr(), self.accumulator(cx, i, task), a.len) };
        }
    }

    /// Adds the partial accumulators up in order and writes the results.
    fn combine(&self, cx: &Context) {
        for (i, a) in self.program.accums.iter().enumerate() {
            let total = self.accumulator(cx, i, 0);
            for task in 1..self.partials {
                // SAFETY: both are accumulators of `len` elements, of different tasks.
                unsafe { block::accumulate(cx.isa, a.kind, a.dtype, total, self.accumulator(cx, i, task), 1, a.len) };
            }
            if self.partials > 0 {
                // SAFETY: the result has `len` elements of its dtype and does not overlap the scratch memory.
                unsafe { block::convert(cx.isa, a.dtype, a.out, total, cx.pointer(a.slot), a.len) };
            }
        }
    }

    /// Runs the program on `rows` runs of `width` indices, `pitch` apart from `start`, where another kernel has just
    /// written. The program has no row level and no accumulations.
    pub fn run_tile(&self, cx: &Context, start: usize, rows: usize, width: usize, pitch: usize) {
        if let Some(tail) = &self.tail {
            tail.run(cx, start, rows, width, pitch);
        } else if width == pitch {
            self.run_ranges(cx, 0, start, 1, rows * width, pitch);
        } else {
            self.run_ranges(cx, 0, start, rows, width, pitch);
        }
    }

    /// Whether [`FusedLoop::finish`] will give something with a bias of `features`, if any, and without addends.
    pub fn is_simple(&self, features: usize) -> bool {
        Tail::of(&self.program, &|_, _| false).is_some_and(|tail| tail.is_simple(features))
    }

    /// What it does to tiles, if it is so simple that kernels can do it.
    pub fn finish<'a>(&self, cx: &Context<'a>) -> Option<Finish<'a, f32>> {
        self.tail.as_ref().and_then(|tail| tail.finish(cx))
    }

    /// The buffer whose elements a program for tiles adds to those of the result.
    pub fn addend(&self) -> Option<Slot> {
        Tail::of(&self.program, &|_, _| false)?.addend()
    }

    /// As [`Kernel::placed`], of a program for tiles of a result that has its [addend](FusedLoop::addend), which lies in the same
    /// memory, already in it.
    pub fn placed_on(&mut self, addend: Slot, shared: &dyn Fn(Slot, Slot) -> bool) {
        let tail = Tail::of(&self.program, &|slot, out| slot != addend && shared(slot, out));
        self.tail = tail.map(|tail| tail.without(addend));
        assert!(self.tail.is_some(), "a program with an addend is short");
    }

    fn run_ranges(&self, cx: &Context, task: usize, start: usize, runs: usize, width: usize, pitch: usize) {
        let mut stack = Registers(MaybeUninit::uninit());
        let registers = if self.registers_bytes() == 0 {
            stack.0.as_mut_ptr().cast::<u8>()
        } else {
            // SAFETY: scratch() asked for registers for every task behind the accumulators.
            unsafe {
                let behind = self.partials * self.accumulator_bytes();
                cx.pointer(self.scratch).add(behind + task * self.registers_bytes())
            }
        };
        let mut table = [std::ptr::null_mut::<u8>(); MOST_VALUES];
        let table = &mut table[..self.program.values()];
        for (pointer, home) in table.iter_mut().zip(&self.schedule.homes) {
            if let Home::Register(at) = *home {
                // SAFETY: the schedule keeps registers within its bytes.
                *pointer = unsafe { registers.add(at) };
            }
        }
        let block = self.schedule.block;
        let longest = block.min(width);
        for (i, splat) in self.program.splats.iter().enumerate() {
            let n = if splat.level == Level::Full { longest } else { longest.div_ceil(self.program.row) };
            let value = widest(&splat.bytes);
            // SAFETY: the register has room for a block.
            unsafe { block::splat(splat.dtype.size(), value.0.as_ptr(), table[self.program.loads.len() + i], n) };
        }
        // Runs that are no whole number of periods from each other see periodic loads at different phases.
        let aligned_runs = runs == 1 || pitch.is_multiple_of(self.schedule.period);
        if aligned_runs {
            self.fill_periodic(cx, start, longest, table);
        }
        for run in 0..runs {
            let from = start + run * pitch;
            let mut done = 0;
            while done < width {
                let n = block.min(width - done);
                if !aligned_runs {
                    self.fill_periodic(cx, from + done, n, table);
                }
                let next = if runs == 1 { block.min(width - done - n) } else { 0 };
                self.run_block(cx, task, from + done, (n, next), table);
                done += n;
            }
        }
    }

    fn fill_periodic(&self, cx: &Context, start: usize, n: usize, table: &[*mut u8]) {
        let period = self.schedule.period.min(n);
        for &l in &self.schedule.periodic {
            let (dst, size) = (table[l], self.program.loads[l].dtype.size());
            self.fill(cx, l, start, period, dst);
            // The rest repeats it: ever longer copies of what is there, as a period may be a few elements.
            let mut done = period;
            while done < n {
                let more = done.min(n - done);
                // SAFETY: the register has room for `n` elements, of which `done` are filled, whole periods.
                unsafe { std::ptr::copy_nonoverlapping(dst, dst.add(done * size), more * size) };
                done += more;
            }
        }
    }

    /// Copies `n` indices of a load from `start` into `dst`.
    fn fill(&self, cx: &Context, load: usize, start: usize, n: usize, dst: *mut u8) {
        let load = &self.program.loads[load];
        let (axes, start, n) = match load.level {
            Level::Full => (self.program.dims.len(), start, n),
            Level::Row => {
                let row = self.program.row;
                (self.row_axes(), start / row, n.div_ceil(row))
            }
        };
        let (dims, strides) = (&self.program.dims[..axes], &load.strides[..axes]);
        let size = load.dtype.size();
        let base = match load.source {
            Source::Memory(slot) => cx.pointer(slot).cast_const(),
            Source::Count => std::ptr::null(),
        };
        segments(dims, start, n, |at, offset_of| {
            let (place, stride) = offset_of(strides);
            let place = load.offset + place;
            // SAFETY: the segment is part of the load's view, which lies within its buffer; dst has room for n
            // elements, of which this segment is the range from at.done.
            unsafe {
                let dst = dst.add(at.done * size);
                match load.source {
                    Source::Memory(_) => {
                        block::gather_strided(size, base.offset(place * size as isize), stride, dst, at.len);
                    }
                    Source::Count => block::count(load.dtype, place as i64, stride as i64, dst, at.len),
                }
            }
        });
    }

    /// How many leading axes number the rows.
    fn row_axes(&self) -> usize {
        let mut trailing = 1;
        let mut axes = self.program.dims.len();
        while trailing < self.program.row {
            axes -= 1;
            trailing *= self.program.dims[axes];
        }
        axes
    }

    /// Works on `n` indices from `start`, after which `next` more will follow.
    fn run_block(&self, cx: &Context, task: usize, start: usize, (n, next): (usize, usize), table: &mut [*mut u8]) {
        let p = &self.program;
        let mut ahead = Ahead { streams: [(std::ptr::null(), 0); MOST_STREAMS], count: 0 };
        let first = p.loads.len() + p.splats.len();
        let (row_start, rows) = (start / p.row, n.div_ceil(p.row));
        let at = |level: Level| if level == Level::Full { (start, n) } else { (row_start, rows) };
        for v in 0..p.values() {
            match self.schedule.homes[v] {
                Home::Register(_) => {}
                Home::Source(l) => {
                    let load = &p.loads[l];
                    let Source::Memory(slot) = load.source else { continue };
                    let place = load.offset + at(load.level).0 as isize;
                    // SAFETY: the load's view lies within its buffer.
                    table[v] = unsafe { cx.pointer(slot).offset(place * load.dtype.size() as isize) };
                    if self.far && load.level == Level::Full {
                        ahead.add(table[v], n * load.dtype.size(), next * load.dtype.size());
                    }
                }
                Home::Target(s) => {
                    let store = &p.stores[s];
                    // SAFETY: the store is a dense array of its level.
                    table[v] = unsafe { cx.pointer(store.slot).add(at(store.level).0 * store.dtype.size()) };
                    if self.far && store.level == Level::Full {
                        ahead.add(table[v], n * store.dtype.size(), next * store.dtype.size());
                    }
                }
            }
        }
        let steps = self.schedule.actions.len();
        for (step, action) in self.schedule.actions.iter().enumerate() {
            ahead.fetch(step, steps);
            match *action {
                Action::Fill(l) => self.fill(cx, l, start, n, table[l]),
                Action::Execute(i) => {
                    let instr = &p.instrs[i];
                    let n = at(instr.level).1;
                    // SAFETY: operands and result are registers, sources or targets with room for a block.
                    unsafe { execute(cx, instr.func, instr, p.row, table, first + i, n) };
                }
                Action::Store(s) => {
                    let store = &p.stores[s];
                    let (start, n) = at(store.level);
                    let size = store.dtype.size();
                    // SAFETY: as above; the copy tolerates overlap, for a load that is stored where it came from.
                    unsafe {
                        std::ptr::copy(table[store.value], cx.pointer(store.slot).add(start * size), n * size);
                    }
                }
                Action::Accumulate(a) => {
                    let accum = &p.accums[a];
                    let acc = self.accumulator(cx, a, task);
                    accumulate_block(cx, accum, &p.dims, acc, table[accum.value], start, n);
                }
            }
        }
    }
}

/// Memory that the next block reads or writes. It is fetched a part at a time while this block is worked on: memory would
/// else have nothing to do while its elements pass from instruction to instruction in the first-level cache.
struct Ahead {
    streams: [(*const u8, usize); MOST_STREAMS],
    count: usize,
}

impl Ahead {
    /// Notes what comes `after` bytes behind `block`: `bytes` of them.
    fn add(&mut self, block: *const u8, after: usize, bytes: usize) {
        if self.count < MOST_STREAMS && bytes > 0 {
            self.streams[self.count] = (block.wrapping_add(after), bytes);
            self.count += 1;
        }
    }

    /// Fetches part `step` of `steps`.
    fn fetch(&self, step: usize, steps: usize) {
        for &(start, bytes) in &self.streams[..self.count] {
            let lines = bytes.div_ceil(LINE);
            for line in lines * step / steps..lines * (step + 1) / steps {
                prefetch(start.wrapping_add(line * LINE));
            }
        }
    }
}

/// How long an instruction takes, in terms of a sum.
fn weight(instr: &Instr) -> usize {
    match instr.func {
        Func::Unary(UnaryKind::Neg | UnaryKind::Abs) => 1,
        Func::Unary(_) => 8,
        Func::Binary(BinaryKind::Pow) => 32,
        Func::Binary(BinaryKind::Div) => 4,
        _ => 1,
    }
}

/// Eight bytes, aligned for any element.
#[repr(align(8))]
struct Widest([u8; 8]);

fn widest(bytes: &[u8]) -> Widest {
    let mut out = Widest([0; 8]);
    out.0[..bytes.len()].copy_from_slice(bytes);
    out
}

/// A run of indices along the last axis.
struct Segment {
    /// Indices before it in the range.
    done: usize,
    len: usize,
}

/// Splits the range `start..start + n` of a row-major index space into runs along the last axis. `visit` gets each run,
/// and a function from strides to the place of its first index and the distance of its neighbours.
fn segments(
    dims: &[usize],
    start: usize,
    n: usize,
    mut visit: impl FnMut(Segment, &dyn Fn(&[isize]) -> (isize, isize)),
) {
    let inner = dims.last().copied().unwrap_or(1);
    let mut done = 0;
    while done < n {
        let flat = start + done;
        let len = (inner - flat % inner).min(n - done);
        visit(Segment { done, len }, &|strides: &[isize]| {
            let (mut rest, mut place) = (flat, 0isize);
            for a in (0..dims.len()).rev() {
                place += (rest % dims[a]) as isize * strides[a];
                rest /= dims[a];
            }
            (place, strides.last().copied().unwrap_or(0))
        });
        done += len;
    }
}

fn accumulate_block(cx: &Context, accum: &Accum, dims: &[usize], acc: *mut u8, src: *const u8, start: usize, n: usize) {
    let size = accum.dtype.size();
    let (inner, last) = (dims[dims.len() - 1], dims.len() - 1);
    let columns = accum.strides[last] == 1 && accum.strides[..last].iter().all(|&s| s == 0);
    if columns && start.is_multiple_of(inner) && n.is_multiple_of(inner) {
        // SAFETY: the result has `inner` elements, src holds n: whole rows.
        return unsafe { block::accumulate(cx.isa, accum.kind, accum.dtype, acc, src, n / inner, inner) };
    }
    segments(dims, start, n, |at, offset_of| {
        let (place, stride) = offset_of(&accum.strides);
        // SAFETY: the place is an element of the result, src holds n elements.
        unsafe {
            let acc = acc.offset(place * size as isize);
            let src = src.add(at.done * size);
            match stride {
                0 => {
                    let mut sum = Widest([0; 8]);
                    let sum = sum.0.as_mut_ptr();
                    block::reduce_rows(cx.pool, cx.isa, accum.kind, accum.dtype, src, sum, 1, at.len);
                    block::accumulate(cx.isa, accum.kind, accum.dtype, acc, sum, 1, 1);
                }
                1 => block::accumulate(cx.isa, accum.kind, accum.dtype, acc, src, 1, at.len),
                _ => {
                    for i in 0..at.len {
                        let acc = acc.offset(i as isize * stride * size as isize);
                        block::accumulate(cx.isa, accum.kind, accum.dtype, acc, src.add(i * size), 1, 1);
                    }
                }
            }
        }
    });
}

/// Executes one instruction on `n` elements of its result.
///
/// # Safety
/// The table holds valid blocks for the operands and the result.
unsafe fn execute(cx: &Context, func: Func, instr: &Instr, row: usize, table: &[*mut u8], dst: usize, n: usize) {
    let (isa, dtype, dst) = (cx.isa, instr.dtype, table[dst]);
    let arg = |i: usize| table[instr.args[i]].cast_const();
    // SAFETY: the caller's guarantee.
    unsafe {
        match func {
            Func::Unary(kind) => block::unary(isa, kind, dtype, arg(0), dst, n),
            Func::Binary(kind) => block::binary(isa, kind, dtype, arg(0), arg(1), dst, n),
            Func::Compare(direction) => block::compare(isa, direction, dtype, arg(0), arg(1), dst, n),
            Func::Select => block::select(isa, dtype, arg(0), arg(1), arg(2), dst, n),
            Func::Convert => block::convert(isa, dtype, instr.out, arg(0), dst, n),
            Func::Bitcast => std::ptr::copy_nonoverlapping(arg(0), dst, n * dtype.size()),
            Func::Reduce(kind) => block::reduce_rows(cx.pool, isa, kind, dtype, arg(0), dst, n, row),
            Func::Spread => {
                let size = dtype.size();
                for r in 0..n / row {
                    block::splat(size, arg(0).add(r * size), dst.add(r * row * size), row);
                }
            }
        }
    }
}

impl Kernel for FusedLoop {
    fn run(&self, cx: &Context) -> Result<()> {
        let count = self.program.count();
        let accumulates = !self.program.accums.is_empty();
        if accumulates && (self.disjoint || self.tasks == 0) {
            self.clear(cx, 0);
        }
        let task = |t: usize| {
            if accumulates && !self.disjoint {
                self.clear(cx, t);
            }
            let start = t * self.chunk;
            self.run_ranges(cx, t, start, 1, self.chunk.min(count - start), 0);
        };
        if self.tasks == 1 {
            task(0);
        } else {
            cx.pool.run(self.tasks, &task);
        }
        if accumulates {
            self.combine(cx);
        }
        Ok(())
    }

    fn describe(&self) -> String {
        format!("loop in {} tasks, blocks of {}, {}", self.tasks, self.schedule.block, self.program.describe())
    }

    fn title(&self) -> String {
        let p = &self.program;
        format!("loop over {:?}: {}", p.dims, p.functions())
    }

    fn cost(&self) -> Cost {
        let p = &self.program;
        let flops =
            p.instrs.iter().map(|i| if i.level == Level::Full { p.count() } else { p.count() / p.row }).sum::<usize>()
                + p.accums.len() * p.count();
        let read: usize = p
            .loads
            .iter()
            .map(|l| {
                let seen = p.dims.iter().zip(&l.strides).filter(|&(_, &s)| s != 0).map(|(&d, _)| d).product::<usize>();
                if l.source == Source::Count { 0 } else { seen * l.dtype.size() }
            })
            .sum();
        let written: usize = p
            .stores
            .iter()
            .map(|s| s.dtype.size() * if s.level == Level::Full { p.count() } else { p.count() / p.row })
            .chain(p.accums.iter().map(|a| a.len * a.out.size()))
            .sum();
        Cost { flops: flops as u64, bytes: (read + written) as u64 }
    }

    fn in_place(&self) -> Vec<(Slot, Slot)> {
        let p = &self.program;
        let mut out = Vec::new();
        for store in &p.stores {
            for load in &p.loads {
                let Source::Memory(slot) = load.source else { continue };
                // Every other load of that buffer must be at its own place too.
                let safe = p.loads.iter().filter(|l| l.source == load.source).all(|l| {
                    l.offset == 0 && l.level == store.level && l.dtype.size() == store.dtype.size() && p.is_dense(l)
                });
                if safe && load.level == store.level {
                    out.push((slot, store.slot));
                }
            }
        }
        out
    }

    fn scratch(&self) -> usize {
        self.partials * self.accumulator_bytes() + self.tasks * self.registers_bytes()
    }

    fn parts(&self, count: usize) -> Option<Vec<(Slot, usize)>> {
        let p = &self.program;
        let len = p.count() / count;
        let divides = p.count().is_multiple_of(count) && len.is_multiple_of(p.row);
        // Registers in scratch memory are a task's.
        (divides && p.accums.is_empty() && self.registers_bytes() == 0).then(|| p.in_order().collect())
    }

    fn run_part(&self, cx: &Context, part: usize, count: usize) {
        let len = self.program.count() / count;
        self.run_ranges(cx, 0, part * len, 1, len, 0);
    }

    fn placed(&mut self, scratch: Slot, shared: &dyn Fn(Slot, Slot) -> bool) {
        self.scratch = scratch;
        self.schedule = Schedule::new(&self.program, self.most, shared);
        self.tail = if self.most == TILE_BLOCK { Tail::of(&self.program, shared) } else { None };
    }
}
