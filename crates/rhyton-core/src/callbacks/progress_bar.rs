//! `ProgressBar`: how far the training is, as Keras shows it.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::callback::{Callback, Logs, Run};
use super::python_format::scientific;
use crate::error::Result;

/// Shows on standard error how far a run is: a bar with the time and the metrics on a terminal, one line an epoch elsewhere or
/// with `verbose` 2, nothing with `verbose` 0.
#[derive(Debug, Default)]
pub struct ProgressBar {
    in_fit: bool,
    now: Option<Progress>,
    bar: Option<indicatif::ProgressBar>,
}

impl ProgressBar {
    /// A bar for runs.
    pub fn new() -> ProgressBar {
        ProgressBar::default()
    }

    fn begin(&mut self, run: &Run) {
        self.finish_bar();
        self.now = Some(Progress::new(run.steps));
        let moves = std::io::stderr().is_terminal() && crate::config::is_interactive_logging_enabled();
        if run.verbose == 1 && moves {
            let bar = indicatif::ProgressBar::no_length().with_style(
                indicatif::ProgressStyle::with_template("{msg}")
                    .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()),
            );
            self.bar = Some(bar);
        }
    }

    fn step(&mut self, batch: usize, logs: &Logs) {
        let Some(progress) = &mut self.now else { return };
        progress.see(batch + 1);
        if let Some(bar) = &self.bar {
            bar.set_message(progress.bar(logs, false));
        }
    }

    fn end(&mut self, logs: &Logs, run: &Run) {
        let Some(mut progress) = self.now.take() else { return };
        progress.seen = progress.steps.unwrap_or(progress.seen);
        if let Some(bar) = self.bar.take() {
            bar.finish_with_message(progress.bar(logs, true));
        } else if run.verbose > 0 {
            say(&progress.line(logs));
        }
    }

    fn finish_bar(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.abandon();
        }
    }
}

fn say(line: &str) {
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// How far one epoch, evaluation or prediction is.
#[derive(Debug)]
pub(crate) struct Progress {
    steps: Option<usize>,
    seen: usize,
    start: Instant,
    after_first: Option<Instant>,
}

/// The number of characters of a full bar.
const WIDTH: usize = 20;

impl Progress {
    /// At the beginning of `steps`, if that is known.
    pub(crate) fn new(steps: Option<usize>) -> Progress {
        Progress { steps, seen: 0, start: Instant::now(), after_first: None }
    }

    /// `seen` steps so far.
    pub(crate) fn see(&mut self, seen: usize) {
        self.seen = self.steps.map_or(seen, |steps| steps.min(seen));
        if self.seen == 1 {
            self.after_first = Some(Instant::now());
        }
    }

    /// Whether `seen` steps are all.
    pub(crate) fn is_complete(&self, seen: usize) -> bool {
        self.steps.is_some_and(|steps| seen >= steps)
    }

    /// The time of a step; the first one, which compiles, counts only while it is alone.
    fn step_time(&self) -> Duration {
        match (self.after_first, self.seen) {
            (_, 0) => Duration::ZERO,
            (Some(first), seen) if seen > 1 => first.elapsed() / (seen - 1) as u32,
            (_, seen) => self.start.elapsed() / seen as u32,
        }
    }

    /// Keras's bar: bold counts and times, a green line for what is done and a grey one for what is left.
    pub(crate) fn bar(&self, logs: &Logs, finished: bool) -> String {
        let steps = self.steps.filter(|&n| n > 0);
        let mut text = match steps {
            Some(steps) => {
                let digits = steps.to_string().len();
                let done = (WIDTH * self.seen.min(steps)) / steps;
                let green = if done > 0 { format!("\x1b[32m{}\x1b[0m", "━".repeat(done)) } else { String::new() };
                let grey = "━".repeat(WIDTH - done);
                format!("\x1b[1m{:>digits$}/{steps}\x1b[0m {green}\x1b[37m{grey}\x1b[0m", self.seen)
            }
            None => format!("{:>7}/Unknown", self.seen),
        };
        let time = match steps.filter(|_| !finished) {
            Some(steps) => remaining(self.step_time().as_secs_f64() * steps.saturating_sub(self.seen) as f64),
            None => format!("{:.0}s", self.start.elapsed().as_secs_f64()),
        };
        text += &format!(" \x1b[1m{time}\x1b[0m{}{}", per_step(self.step_time()), metrics(logs));
        text
    }

    /// Keras's line of `verbose=2`.
    pub(crate) fn line(&self, logs: &Logs) -> String {
        let steps = self.seen;
        let elapsed = self.start.elapsed().as_secs_f64();
        format!("{steps}/{steps} - {elapsed:.0}s -{}{}", per_step(self.step_time()), metrics(logs))
    }
}

/// Seconds, minutes and hours.
fn remaining(seconds: f64) -> String {
    let whole = seconds as u64;
    if seconds > 3600.0 {
        format!("{}:{:02}:{:02}", whole / 3600, whole % 3600 / 60, whole % 60)
    } else if seconds > 60.0 {
        format!("{}:{:02}", whole / 60, whole % 60)
    } else {
        format!("{whole}s")
    }
}

fn per_step(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds >= 1.0 || seconds == 0.0 {
        format!(" {seconds:.0}s/step")
    } else if seconds >= 1e-3 {
        format!(" {:.0}ms/step", seconds * 1e3)
    } else {
        format!(" {:.0}us/step", seconds * 1e6)
    }
}

fn metrics(logs: &Logs) -> String {
    let number = |value: f64| if value.abs() > 1e-3 { format!("{value:.4}") } else { scientific(value, 4) };
    logs.iter().map(|(name, value)| format!(" - {name}: {}", number(*value))).collect()
}

impl Callback for ProgressBar {
    fn on_train_begin(&mut self, _: &mut Run) -> Result<()> {
        self.in_fit = true;
        Ok(())
    }

    fn on_train_end(&mut self, _: &Logs, _: &mut Run) -> Result<()> {
        self.in_fit = false;
        self.finish_bar();
        Ok(())
    }

    fn on_epoch_begin(&mut self, epoch: usize, run: &mut Run) -> Result<()> {
        if run.verbose > 0 && run.epochs > 1 {
            say(&format!("Epoch {}/{}", epoch + 1, run.epochs));
        }
        self.begin(run);
        Ok(())
    }

    fn on_epoch_end(&mut self, _: usize, logs: &mut Logs, run: &mut Run) -> Result<()> {
        self.end(logs, run);
        Ok(())
    }

    fn on_train_batch_end(&mut self, batch: usize, logs: &Logs, _: &mut Run) -> Result<()> {
        self.step(batch, logs);
        Ok(())
    }

    fn wants_batch_logs(&self) -> bool {
        self.bar.is_some()
    }

    fn shows_progress(&self) -> bool {
        true
    }

    fn on_test_begin(&mut self, run: &mut Run) -> Result<()> {
        if !self.in_fit {
            self.begin(run);
        }
        Ok(())
    }

    fn on_test_end(&mut self, logs: &Logs, run: &mut Run) -> Result<()> {
        if !self.in_fit {
            self.end(logs, run);
        }
        Ok(())
    }

    fn on_test_batch_end(&mut self, batch: usize, _: &mut Run) -> Result<()> {
        if !self.in_fit {
            self.step(batch, &Logs::new());
        }
        Ok(())
    }

    fn on_predict_begin(&mut self, run: &mut Run) -> Result<()> {
        self.begin(run);
        Ok(())
    }

    fn on_predict_end(&mut self, run: &mut Run) -> Result<()> {
        self.end(&Logs::new(), run);
        Ok(())
    }

    fn on_predict_batch_end(&mut self, batch: usize, _: &mut Run) -> Result<()> {
        self.step(batch, &Logs::new());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_and_times_are_written_as_keras_writes_them() {
        let logs = Logs::from([("accuracy".into(), 0.5), ("loss".into(), 0.00012)]);
        assert_eq!(metrics(&logs), " - accuracy: 0.5000 - loss: 1.2000e-04");
        assert_eq!(per_step(Duration::from_micros(2500)), " 2ms/step");
        assert_eq!(per_step(Duration::from_micros(12)), " 12us/step");
        assert_eq!([remaining(9.7), remaining(75.0), remaining(3725.0)], ["9s", "1:15", "1:02:05"]);
    }

    #[test]
    fn the_bar_is_keras_bar() {
        let progress = Progress { steps: Some(40), seen: 10, start: Instant::now(), after_first: None };
        let bar = progress.bar(&Logs::new(), false);
        let (green, grey) = ("━".repeat(5), "━".repeat(15));
        assert!(
            bar.starts_with(&format!("\x1b[1m10/40\x1b[0m \x1b[32m{green}\x1b[0m\x1b[37m{grey}\x1b[0m \x1b[1m")),
            "{bar}"
        );
        let unknown = Progress { steps: None, seen: 3, start: Instant::now(), after_first: None };
        assert!(unknown.bar(&Logs::new(), true).starts_with("      3/Unknown \x1b[1m0s\x1b[0m"));
    }
}
