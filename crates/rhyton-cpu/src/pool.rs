//! A pool of threads that run counted ranges of tasks, for kernels that last tens of microseconds.
//!
//! A training step of a small network is a few dozen parallel regions of 20 to 200 µs each, so what counts is how long
//! it takes to start one and to know that it ended. Workers therefore spin for a little while after each region before
//! they sleep, and tasks are claimed one by one from an atomic word a thread: nothing is allocated or queued.
//! `rayon` was measured beside it: an empty region of four tasks on two threads, on a machine that others kept busy too,
//! took 0.24 µs here (median of 20,000; often the caller has done all four before a worker looks) and 6.2 µs there,
//! with 5 µs between regions 0.26 and 8.8 µs. The ninth decile tells the other side: with 20 µs between regions, when the
//! worker had lost its processor or had to be woken, 103 µs here and 42 µs there. A quiet machine was not to be had.
//!
//! Each thread starts with an equal share of neighbouring tasks and takes from the ends of the others' shares when its own
//! is done. Where the tasks of kernel after kernel are the same rows of a tensor from top to bottom, a thread finds what
//! it reads in its own second-level cache, as it has written it.
//!
//! Work is split by the size of the problem alone, never by [`Pool::threads`]: which thread runs a task has no
//! influence on the numbers.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long an idle worker looks for work before it sleeps. Waking a sleeper costs some 50 µs, so this is about the
/// break-even; it also bridges the serial pieces between the parallel regions of a step.
const SPIN: Duration = Duration::from_micros(100);

/// The threads. Dropping the pool ends them.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held while a region runs; a second caller meanwhile runs its tasks by itself.
    region: Mutex<()>,
}

struct Shared {
    /// One a thread; the first is the caller's.
    shares: Box<[Share]>,
    /// The region that the shares are of. Read before a claim, followed only after the claim has succeeded.
    job: AtomicPtr<Job<'static>>,
    sleepers: AtomicUsize,
    stop: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

/// Tasks that a thread takes before it helps the others; in a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Share {
    /// Epoch of the region in the upper half, tasks not yet claimed in the lower.
    ticket: AtomicU64,
    /// The next task for the thread whose share it is: nobody else reads or moves it during a region.
    front: AtomicUsize,
    /// One past the next task for the others.
    back: AtomicUsize,
}

/// A parallel region, on the stack of the thread that called [`Pool::run`].
struct Job<'a> {
    task: &'a (dyn Fn(usize) + Sync),
    done: AtomicUsize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

thread_local! {
    static IN_TASK: Cell<bool> = const { Cell::new(false) };
}

impl Pool {
    /// A pool of `threads` threads, of which the caller of [`Pool::run`] is one; 0 means as many as the machine has.
    ///
    /// Threads that the operating system refuses are done without.
    pub fn new(threads: usize) -> Pool {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        let shared = Arc::new(Shared {
            shares: (0..threads).map(|_| Share::default()).collect(),
            job: AtomicPtr::new(std::ptr::null_mut()),
            sleepers: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            lock: Mutex::new(()),
            wake: Condvar::new(),
        });
        let workers = (1..threads)
            .map_while(|i| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new().name(format!("rhyton-{i}")).spawn(move || shared.work(i)).ok()
            })
            .collect();
        Pool { shared, workers, region: Mutex::new(()) }
    }

    /// How many threads work on a region.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// How many threads would work on a region that the caller started now: a single one within a task.
    pub fn idle_threads(&self) -> usize {
        if IN_TASK.get() { 1 } else { self.threads() }
    }

    /// Calls `task(0)` … `task(tasks - 1)`, each once, in any order and on any thread, and returns when all are done.
    ///
    /// Called from inside a task, or while another thread's region runs, it runs its tasks one after the other. If
    /// a task panics, the panic goes on in the caller, at the latest when the others have run.
    pub fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        let alone = tasks <= 1 || self.workers.is_empty() || IN_TASK.get();
        let region = if alone { None } else { self.region.try_lock().ok() };
        let Some(_region) = region else {
            return (0..tasks).for_each(task);
        };
        // The lower half of the ticket counts to 2^32; more tasks than that go in turns.
        let most = u32::MAX as usize;
        for first in (0..tasks).step_by(most) {
            self.shared.region((tasks - first).min(most), &|i| task(first + i));
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        drop(self.shared.locked());
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches what its tasks throw; it cannot have panicked.
            let _ = worker.join();
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads()).finish()
    }
}

impl Shared {
    fn locked(&self) -> MutexGuard<'_, ()> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a region, works on it, and waits for its end.
    fn region(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        let job = Job { task, done: AtomicUsize::new(0), panic: Mutex::new(None) };
        self.job.store((&raw const job).cast_mut().cast(), Ordering::Relaxed);
        let epoch = (self.shares[0].ticket.load(Ordering::Relaxed) >> 32).wrapping_add(1);
        let share = |i: usize| i * tasks / self.shares.len();
        for (i, own) in self.shares.iter().enumerate() {
            own.front.store(share(i), Ordering::Relaxed);
            own.back.store(share(i + 1), Ordering::Relaxed);
        }
        for (i, own) in self.shares.iter().enumerate() {
            own.ticket.store(epoch << 32 | (share(i + 1) - share(i)) as u64, Ordering::Release);
        }
        // Either this thread sees the sleeper, or the sleeper sees the ticket: both have a fence between the two.
        fence(Ordering::SeqCst);
        if self.sleepers.load(Ordering::Relaxed) > 0 {
            drop(self.locked());
            self.wake.notify_all();
        }
        while self.claim_and_run(0) {}
        let mut spins = 0u32;
        while job.done.load(Ordering::Acquire) < tasks {
            spins += 1;
            // After a while a worker has evidently lost its processor: offer it this one.
            if spins < 20_000 { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        let panic = job.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Runs one task of the current region, if there is one that nobody has claimed: of thread `me`'s own share if it can.
    fn claim_and_run(&self, me: usize) -> bool {
        let threads = self.shares.len();
        (me..threads).chain(0..me).any(|of| self.claim_of(of, me))
    }

    /// Runs one task of the share of thread `of`, if there is one that nobody has claimed.
    fn claim_of(&self, of: usize, me: usize) -> bool {
        let share = &self.shares[of];
        let ticket = share.ticket.load(Ordering::Acquire);
        if ticket & 0xffff_ffff == 0 {
            return false;
        }
        let job = self.job.load(Ordering::Relaxed);
        if share.ticket.compare_exchange(ticket, ticket - 1, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            std::hint::spin_loop();
            return true;
        }
        // As many claims succeed as the share has tasks, so the two ends do not cross.
        let index = if of == me {
            let index = share.front.load(Ordering::Relaxed);
            share.front.store(index + 1, Ordering::Relaxed);
            index
        } else {
            share.back.fetch_sub(1, Ordering::Relaxed) - 1
        };
        // SAFETY: the exchange succeeded, so no other region was published between the two loads (each has its own
        // epoch) and `job` is the region of this ticket. Its owner stays in `region` until `done` has counted every
        // claimed task, this one included, and the count below is the last access to it.
        let job = unsafe { &*job };
        let was = IN_TASK.replace(true);
        let result = catch_unwind(AssertUnwindSafe(|| (job.task)(index)));
        IN_TASK.set(was);
        if let Err(panic) = result {
            job.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        }
        job.done.fetch_add(1, Ordering::Release);
        true
    }

    /// The life of a worker.
    fn work(&self, me: usize) {
        loop {
            while self.claim_and_run(me) {}
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let idle = Instant::now();
            while !self.has_work() && idle.elapsed() < SPIN {
                (0..32).for_each(|_| std::hint::spin_loop());
            }
            if !self.has_work() {
                self.sleep();
            }
        }
    }

    fn has_work(&self) -> bool {
        self.shares.iter().any(|share| share.ticket.load(Ordering::Relaxed) & 0xffff_ffff != 0)
    }

    fn sleep(&self) {
        let mut guard = self.locked();
        self.sleepers.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        while !self.has_work() && !self.stop.load(Ordering::Relaxed) {
            guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once() {
        for threads in [1, 2, 5] {
            let pool = Pool::new(threads);
            assert_eq!(pool.threads(), threads);
            for tasks in [0, 1, 2, 3, 100, 1000] {
                let counts: Vec<_> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                pool.run(tasks, &|i| {
                    counts[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1), "{threads} threads, {tasks} tasks");
            }
        }
    }

    #[test]
    fn many_short_regions_and_sleeps_lose_nothing() {
        let pool = Pool::new(3);
        let sum = AtomicUsize::new(0);
        for region in 0..2000 {
            pool.run(7, &|i| {
                sum.fetch_add(i, Ordering::Relaxed);
            });
            if region % 500 == 0 {
                std::thread::sleep(SPIN * 3);
            }
        }
        assert_eq!(sum.into_inner(), 2000 * 21);
    }

    #[test]
    fn a_nested_run_and_a_second_caller_run_their_own_tasks() {
        let pool = Pool::new(2);
        let sum = AtomicUsize::new(0);
        let add = |i: usize| {
            sum.fetch_add(i, Ordering::Relaxed);
        };
        pool.run(4, &|_| pool.run(5, &add));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| pool.run(5, &add)));
            }
        });
        assert_eq!(sum.into_inner(), (4 + 400) * 10);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(2);
        let ran = AtomicUsize::new(0);
        let result = catch_unwind(AssertUnwindSafe(|| {
            pool.run(50, &|i| {
                ran.fetch_add(1, Ordering::Relaxed);
                assert!(i != 17, "task 17");
            });
        }));
        assert_eq!(*result.unwrap_err().downcast::<&str>().unwrap(), "task 17");
        assert_eq!(ran.load(Ordering::Relaxed), 50);
        pool.run(50, &|_| {
            ran.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(ran.into_inner(), 100);
    }
}
