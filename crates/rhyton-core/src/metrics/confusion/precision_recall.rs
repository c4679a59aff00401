//! `Precision` and `Recall`.

use super::super::define::metric;
use super::super::{Direction, Metric, MetricBase};
use super::update::{Counts, NEVER, Options, update};
use super::{Thresholds, checked, listed, unwrapped};
use crate::error::Result;
use crate::ops;
use crate::tensor::Tensor;
use crate::variable::Variable;

macro_rules! ratio {
    ($($(#[$doc:meta])* $class:ident $other:ident;)*) => {$(
        metric! {
            $(#[$doc])*
            ///
            /// With several thresholds, the result has one value for each.
            ///
            /// # Errors
            /// If a threshold is not in `[0, 1]`; if there are fewer classes than `top_k` or no class `class_id`.
            $class (None, F32, 0)
            {}
            { thresholds: Option<Thresholds> = None, top_k: Option<usize> = None, class_id: Option<i64> = None, }
        }

        impl $class {
            /// Above a threshold of 0.5, over all classes.
            pub fn new() -> $class {
                $class::default()
            }

            /// Above which a prediction is positive: one threshold or several; 0.5 unless said, none with
            /// [`Self::top_k`].
            pub fn thresholds(mut self, thresholds: impl Into<Thresholds>) -> $class {
                self.thresholds = Some(thresholds.into());
                self
            }

            /// Only the largest so many of a sample's predictions can be positive.
            pub fn top_k(mut self, k: usize) -> $class {
                self.top_k = Some(k);
                self
            }

            /// Only this class.
            pub fn class_id(mut self, class: i64) -> $class {
                self.class_id = Some(class);
                self
            }

            fn thresholds_listed(&self) -> Vec<f64> {
                listed(&self.thresholds, if self.top_k.is_some() { NEVER } else { 0.5 })
            }

            fn counts(&self) -> [Variable; 2] {
                let count = self.thresholds_listed().len();
                ["true_positives", stringify!($other)].map(|name| self.add_variable(name, &[count]))
            }
        }

        impl Metric for $class {
            fn base(&self) -> &MetricBase {
                &self.base
            }

            fn build(&self) {
                self.counts();
            }

            fn update_state(&self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
                checked(self, &self.thresholds)?;
                let [hits, others] = self.counts();
                let counts = Counts { true_positives: Some(hits), $other: Some(others), ..Counts::default() };
                let options = Options { top_k: self.top_k, class_id: self.class_id, ..Options::default() };
                let outcome = update(&counts, y_true, y_pred, &self.thresholds_listed(), sample_weight, &options);
                outcome.map_err(|e| e.within(Metric::name(self)))
            }

            fn result(&self) -> Result<Tensor> {
                checked(self, &self.thresholds)?;
                let [hits, others] = self.counts().map(|v| v.value());
                unwrapped(&ops::divide_no_nan(&hits, &hits + others)).check().cloned()
            }

            fn direction(&self) -> Option<Direction> {
                Some(Direction::Up)
            }
        }
    )*};
}

ratio! {
    /// The share of what is found that is true: `tp / (tp + fp)`, 0 if nothing is found.
    Precision false_positives;
    /// The share of what is true that is found: `tp / (tp + fn)`, 0 if nothing is true.
    Recall false_negatives;
}
