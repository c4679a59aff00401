//! How C is cut into the blocks that tasks compute.
//!
//! Each thread begins with an equal share of neighbouring tasks (see [`Pool`](crate::pool::Pool)), and a product of one
//! image's features has no more than a dozen of them: nine on two threads leave one of them idle for a tenth of the time.
//! So the numbers of blocks are searched for those with which the thread that has the most to do is done first.

/// Blocks of whole tiles by whole panels, of sizes as equal as they can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blocks {
    /// Rows of C, and of a tile.
    m: usize,
    tile: usize,
    /// Panels of C.
    panels: usize,
    /// Blocks along the rows and along the panels.
    along_m: usize,
    along_n: usize,
    /// Whether neighbouring tasks share rows of A, and not panels of B.
    rows_first: bool,
}

/// What there is to cut.
pub(super) struct Work {
    /// Products, and rows, columns and terms of each.
    pub(super) batches: usize,
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    /// Columns of a panel, and rows of a tile.
    pub(super) panel: usize,
    pub(super) tile: usize,
    /// Whether each task copies its rows of A.
    pub(super) copies: bool,
    /// Whether blocks should have all columns of C that they may have, as long as there are rows enough.
    pub(super) whole_rows: bool,
}

/// What fetching a panel of B costs in terms of multiplying it by a tile of A.
const FETCH_B: f64 = 0.4;
/// What reading a tile of A costs a task in terms of multiplying it by a panel, and what copying it.
const FETCH_A: f64 = 0.05;
const COPY_A: f64 = 0.3;
/// What a task costs: a tile times a panel with so many terms.
const TASK: f64 = 60.0;
/// The part of a task that threads wait for each other though their shares are equal: processors are interrupted.
const UNEVEN: f64 = 0.05;
/// Tasks a thread from which on it does not matter how many there are.
const MANY: usize = 16;
/// How many more blocks than the fewest are tried along the rows, and along the panels.
const MORE: (usize, usize) = (4, 3);
/// By how much a search may miss equal shares.
const ENOUGH: f64 = 1.03;

impl Blocks {
    /// Blocks of at most `rows` rows and `panels` panels, for this many threads.
    pub(super) fn new(work: &Work, threads: usize, rows: usize, panels: usize) -> Blocks {
        let (tiles, all) = (work.m.div_ceil(work.tile), work.n.div_ceil(work.panel));
        let fewest = Blocks::even(work, work.m.div_ceil(rows), all.div_ceil(panels));
        if work.batches * fewest.count() >= MANY * threads {
            return fewest;
        }
        let (most_m, most_n) = ((fewest.along_m + MORE.0).min(tiles), (fewest.along_n + MORE.1).min(all));
        let most_n = if work.whole_rows && tiles >= 4 * threads { fewest.along_n } else { most_n };
        // This is decided in every call, so the search ends with blocks that are good enough.
        let enough = fewest.total(work) / threads as f64 * ENOUGH;
        let (mut best, mut shortest) = (fewest, fewest.time(work, threads));
        for along_n in fewest.along_n..=most_n {
            for along_m in fewest.along_m..=most_m {
                if shortest <= enough {
                    return best;
                }
                let blocks = Blocks::even(work, along_m, along_n);
                let time = blocks.time(work, threads);
                if time < shortest {
                    (best, shortest) = (blocks, time);
                }
            }
        }
        best
    }

    /// So many blocks, at most one a tile and a panel.
    pub(super) fn even(work: &Work, along_m: usize, along_n: usize) -> Blocks {
        let (tiles, panels) = (work.m.div_ceil(work.tile), work.n.div_ceil(work.panel));
        Blocks {
            m: work.m,
            tile: work.tile,
            panels,
            along_m: along_m.clamp(1, tiles.max(1)),
            along_n: along_n.clamp(1, panels.max(1)),
            rows_first: work.m >= work.n,
        }
    }

    /// Blocks of a product.
    pub(super) fn count(&self) -> usize {
        self.along_m * self.along_n
    }

    /// The rows of the block of task `i`, and its panels.
    pub(super) fn of(&self, i: usize) -> ((usize, usize), (usize, usize)) {
        let (m, n) =
            if self.rows_first { (i / self.along_n, i % self.along_n) } else { (i % self.along_m, i / self.along_m) };
        let row = |m: usize| (self.tiles_before(m) * self.tile).min(self.m);
        ((row(m), row(m + 1)), (self.panels_before(n), self.panels_before(n + 1)))
    }

    fn tiles_before(&self, block: usize) -> usize {
        self.m.div_ceil(self.tile) * block / self.along_m
    }

    fn panels_before(&self, block: usize) -> usize {
        self.panels * block / self.along_n
    }

    /// What `m` blocks of `tiles` by `n` blocks of `columns`, in panels, take, in products of a tile and a panel.
    fn part(work: &Work, (m, tiles): (usize, usize), (n, columns): (usize, f64)) -> f64 {
        let a = if work.copies { COPY_A } else { FETCH_A };
        let task = TASK / work.k.max(1) as f64;
        columns * (tiles as f64 + FETCH_B * m as f64) + a * (tiles * n) as f64 + task * (m * n) as f64
    }

    /// What all blocks of all products take.
    fn total(&self, work: &Work) -> f64 {
        let (tiles, columns) = (self.m.div_ceil(self.tile), work.n as f64 / work.panel as f64);
        work.batches as f64 * Blocks::part(work, (self.along_m, tiles), (self.along_n, columns))
    }

    /// How long the thread with the most to do works.
    fn time(&self, work: &Work, threads: usize) -> f64 {
        let columns = |panels: usize| (panels * work.panel).min(work.n) as f64 / work.panel as f64;
        let (tiles, all) = (self.m.div_ceil(self.tile), columns(self.panels));
        let whole = self.total(work) / work.batches as f64;
        let before = |i: usize| {
            let (batch, i) = (i / self.count(), i % self.count());
            // Blocks before one of the outer axis, and before one of the inner axis beside it.
            let within = if self.rows_first {
                let (m, n) = (i / self.along_n, i % self.along_n);
                let (up, next) = (self.tiles_before(m), self.tiles_before(m + 1));
                Blocks::part(work, (m, up), (self.along_n, all))
                    + Blocks::part(work, (1, next - up), (n, columns(self.panels_before(n))))
            } else {
                let (n, m) = (i / self.along_m, i % self.along_m);
                let (up, next) = (columns(self.panels_before(n)), columns(self.panels_before(n + 1)));
                Blocks::part(work, (self.along_m, tiles), (n, up))
                    + Blocks::part(work, (m, self.tiles_before(m)), (1, next - up))
            };
            batch as f64 * whole + within
        };
        let tasks = work.batches * self.count();
        let share = |thread: usize| before(thread * tasks / threads);
        let longest = (0..threads).map(|thread| share(thread + 1) - share(thread)).fold(0.0, f64::max);
        longest + UNEVEN * whole / self.count() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(m: usize, n: usize, k: usize) -> Work {
        Work { batches: 1, m, n, k, panel: 64, tile: 6, copies: false, whole_rows: false }
    }

    #[test]
    fn blocks_cover_c_once() {
        for (m, n) in [(1, 1), (7, 64), (196, 384), (361, 728), (49, 960), (3136, 24), (5, 4000)] {
            for threads in [1, 2, 7] {
                let blocks = Blocks::new(&work(m, n, 64), threads, 96, 4);
                let mut seen = vec![0; m * n.div_ceil(64)];
                for i in 0..blocks.count() {
                    let (rows, panels) = blocks.of(i);
                    assert!(
                        rows.0 < rows.1 && rows.1 - rows.0 <= 102 && panels.0 < panels.1 && panels.1 - panels.0 <= 4
                    );
                    for row in rows.0..rows.1 {
                        (panels.0..panels.1).for_each(|panel| seen[row * n.div_ceil(64) + panel] += 1);
                    }
                }
                assert!(seen.iter().all(|&n| n == 1), "{m} x {n}, {threads} threads: {blocks:?}");
            }
        }
    }

    #[test]
    fn two_threads_have_equal_shares() {
        for (m, n, k) in [(196, 384, 64), (196, 576, 96), (361, 728, 728), (49, 320, 960), (784, 32, 192)] {
            let work = work(m, n, k);
            let blocks = Blocks::new(&work, 2, 96, 4);
            let of = |range: std::ops::Range<usize>| -> usize {
                range.map(|i| blocks.of(i)).map(|(r, p)| (r.1 - r.0) * ((p.1 * 64).min(n) - p.0 * 64)).sum()
            };
            let half = of(0..blocks.count() / 2);
            let share = half as f64 / (m * n) as f64;
            assert!((share - 0.5).abs() < 0.04, "{m} x {n}: {blocks:?}: {share}");
        }
    }
}
