//! The best of one measure where another is at least a value: `SensitivityAtSpecificity` and its kin.

use super::super::define::{metric, out_of_range};
use super::super::{Direction, Metric, MetricBase};
use super::evenly;
use super::update::{Counts, Options, update};
use crate::error::Result;
use crate::ops::{self, Axes};
use crate::tensor::Tensor;
use crate::variable::Variable;

/// The counts, in the order in which Keras keeps them.
const COUNTS: [&str; 4] = ["true_positives", "false_positives", "true_negatives", "false_negatives"];

fn counts(metric: &dyn Metric, thresholds: usize) -> [Variable; 4] {
    COUNTS.map(|name| metric.add_variable(name, &[thresholds]))
}

/// `a / (a + b)`, 0 where both are 0.
fn share(a: &Tensor, b: &Tensor) -> Tensor {
    ops::divide_no_nan(a, a + b)
}

macro_rules! best_at {
    ($($(#[$doc:meta])* $class:ident $argument:ident $what:literal, $constrained:ident $dependent:ident;)*) => {$(
        metric! {
            $(#[$doc])*
            ///
            /// # Errors
            /// If the value is not in `[0, 1]`, or there are no thresholds.
            $class (None, F32, 0)
            {}
            { class_id: Option<i64> = None, num_thresholds: usize = 200, $argument: f64 = 0.0, }
        }

        impl $class {
            #[doc = $what]
            pub fn new($argument: f64) -> $class {
                $class { $argument, ..$class::default() }
            }

            /// How many thresholds are looked at; 200 unless said.
            pub fn num_thresholds(mut self, count: usize) -> $class {
                self.num_thresholds = count;
                self
            }

            /// Only this class.
            pub fn class_id(mut self, class: i64) -> $class {
                self.class_id = Some(class);
                self
            }

            fn checked(&self) -> Result<()> {
                if !(0.0..=1.0).contains(&self.$argument) {
                    let what = format!("{} is {}", stringify!($argument), self.$argument);
                    return Err(out_of_range(self, what, "give a number from 0 to 1"));
                }
                if self.num_thresholds == 0 {
                    return Err(out_of_range(self, "num_thresholds is 0".into(), "give at least 1"));
                }
                Ok(())
            }
        }

        impl Metric for $class {
            fn base(&self) -> &MetricBase {
                &self.base
            }

            fn build(&self) {
                counts(self, self.num_thresholds);
            }

            fn update_state(&self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
                self.checked()?;
                let [tp, fp, tn, misses] = counts(self, self.num_thresholds).map(Some);
                let kept =
                    Counts { true_positives: tp, false_positives: fp, true_negatives: tn, false_negatives: misses };
                let options = Options { class_id: self.class_id, ..Options::default() };
                let outcome = update(&kept, y_true, y_pred, &evenly(self.num_thresholds), sample_weight, &options);
                outcome.map_err(|e| e.within(Metric::name(self)))
            }

            fn result(&self) -> Result<Tensor> {
                self.checked()?;
                let counts = counts(self, self.num_thresholds).map(|v| v.value());
                let feasible = ops::greater_equal($constrained(&counts), self.$argument);
                // No measure is below 0, which stands for "nowhere".
                let best = ops::max(&ops::r#where(feasible, $dependent(&counts), 0.0), Axes::All, false);
                best.check().cloned()
            }

            fn direction(&self) -> Option<Direction> {
                Some(Direction::Up)
            }
        }
    )*};
}

fn recall([tp, _, _, misses]: &[Tensor; 4]) -> Tensor {
    share(tp, misses)
}

fn precision([tp, fp, _, _]: &[Tensor; 4]) -> Tensor {
    share(tp, fp)
}

fn specificity([_, fp, tn, _]: &[Tensor; 4]) -> Tensor {
    share(tn, fp)
}

best_at! {
    /// The largest sensitivity `tp / (tp + fn)` at thresholds where the specificity `tn / (tn + fp)` is at least a value.
    SensitivityAtSpecificity specificity "Where the specificity is at least this.", specificity recall;
    /// The largest specificity `tn / (tn + fp)` at thresholds where the sensitivity `tp / (tp + fn)` is at least a value.
    SpecificityAtSensitivity sensitivity "Where the sensitivity is at least this.", recall specificity;
    /// The largest precision `tp / (tp + fp)` at thresholds where the recall `tp / (tp + fn)` is at least a value.
    PrecisionAtRecall recall "Where the recall is at least this.", recall precision;
    /// The largest recall `tp / (tp + fn)` at thresholds where the precision `tp / (tp + fp)` is at least a value.
    RecallAtPrecision precision "Where the precision is at least this.", precision recall;
}
