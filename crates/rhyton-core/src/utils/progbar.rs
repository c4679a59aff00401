//! `Progbar`: how far a loop of one's own is.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indexmap::IndexMap;

use crate::callbacks::{Logs, Progress};
use crate::config;

/// Shows on standard error how far a loop is: on a terminal a bar that moves, elsewhere (or without interactive logging, or with
/// `verbose` 2) one line at the end.
///
/// # Examples
/// ```
/// use rhyton_core::utils::Progbar;
///
/// let mut bar = Progbar::new(Some(3)).verbose(0);
/// for loss in [3.0, 2.0, 1.0] {
///     bar.add(1, &[("loss", loss)]);
/// }
/// assert_eq!(bar.values()["loss"], 2.0);
/// ```
#[derive(Debug)]
pub struct Progbar {
    verbose: u8,
    interval: Duration,
    stateful: Vec<String>,
    /// Sums and how many steps they are of.
    sums: IndexMap<String, (f64, usize)>,
    seen: usize,
    progress: Progress,
    last: Option<Instant>,
}

impl Progbar {
    /// For a loop of `target` steps, if that is known.
    pub fn new(target: Option<usize>) -> Progbar {
        Progbar {
            verbose: 1,
            interval: Duration::from_millis(50),
            stateful: Vec::new(),
            sums: IndexMap::new(),
            seen: 0,
            progress: Progress::new(target),
            last: None,
        }
    }

    /// 0 for nothing, 1 for a bar, 2 for a line at the end; 1 unless said.
    pub fn verbose(mut self, verbose: u8) -> Progbar {
        self.verbose = verbose;
        self
    }

    /// How long the bar stands still at least; 50 ms unless said.
    pub fn interval(mut self, interval: Duration) -> Progbar {
        self.interval = interval;
        self
    }

    /// The values that are shown as they are, not averaged over the steps.
    pub fn stateful_metrics(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Progbar {
        self.stateful = names.into_iter().map(Into::into).collect();
        self
    }

    /// `n` steps more.
    pub fn add(&mut self, n: usize, values: &[(&str, f64)]) {
        let current = self.seen + n;
        self.update(current, values, self.progress.is_complete(current));
    }

    /// `current` steps so far, the last ones if `finalize`.
    pub fn update(&mut self, current: usize, values: &[(&str, f64)], finalize: bool) {
        let steps = current.saturating_sub(self.seen).max(1);
        for (name, value) in values {
            let alone = finalize && current == self.seen;
            if alone || self.stateful.iter().any(|s| s == name) {
                self.sums.insert((*name).to_owned(), (*value, 1));
            } else {
                let (sum, count) = self.sums.entry((*name).to_owned()).or_default();
                *sum += value * steps as f64;
                *count += steps;
            }
        }
        self.seen = current;
        self.progress.see(current);
        self.show(finalize);
    }

    /// The values by name, averaged.
    pub fn values(&self) -> Logs {
        self.sums.iter().map(|(name, (sum, count))| (name.clone(), sum / (*count).max(1) as f64)).collect()
    }

    fn show(&mut self, finalize: bool) {
        let moves = std::io::stderr().is_terminal() && config::is_interactive_logging_enabled();
        let message = match self.verbose {
            1 if moves => {
                if !finalize && self.last.is_some_and(|last| last.elapsed() < self.interval) {
                    return;
                }
                let end = if finalize { "\n" } else { "" };
                format!("\r\x1b[2K{}{end}", self.progress.bar(&self.values(), finalize))
            }
            1 | 2 if finalize => format!("{}\n", self.progress.line(&self.values())),
            _ => return,
        };
        self.last = Some(Instant::now());
        // Nobody is left to tell if standard error is closed.
        let _ = std::io::stderr().lock().write_all(message.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_averaged_over_steps_unless_they_are_stateful() {
        // keras.utils.Progbar(10, stateful_metrics=["b"]): _values after the same updates, Keras 3.15.1.
        let mut bar = Progbar::new(Some(10)).verbose(0).stateful_metrics(["b"]);
        bar.update(3, &[("a", 1.0), ("b", 1.0)], false);
        bar.add(1, &[("a", 5.0), ("b", 7.0)]);
        assert_eq!(bar.values(), Logs::from([("a".to_owned(), 2.0), ("b".to_owned(), 7.0)]));
    }
}
