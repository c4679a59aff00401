//! `TruePositives`, `TrueNegatives`, `FalsePositives`, `FalseNegatives`.

use super::super::define::metric;
use super::super::{Metric, MetricBase};
use super::update::{Counts, Options, update};
use super::{Thresholds, checked, listed, unwrapped};
use crate::error::Result;
use crate::tensor::Tensor;
use crate::variable::Variable;

macro_rules! count {
    ($($(#[$doc:meta])* $class:ident $field:ident;)*) => {$(
        metric! {
            $(#[$doc])*
            ///
            /// With several thresholds, the result has one count for each.
            ///
            /// # Errors
            /// If a threshold is not in `[0, 1]`.
            $class (None, F32, 0)
            {}
            { thresholds: Option<Thresholds> = None, }
        }

        impl $class {
            /// Above a threshold of 0.5.
            pub fn new() -> $class {
                $class::default()
            }

            /// Above which a prediction is positive: one threshold or several; 0.5 unless said.
            pub fn thresholds(mut self, thresholds: impl Into<Thresholds>) -> $class {
                self.thresholds = Some(thresholds.into());
                self
            }

            fn accumulator(&self) -> Variable {
                self.add_variable("accumulator", &[listed(&self.thresholds, 0.5).len()])
            }
        }

        impl Metric for $class {
            fn base(&self) -> &MetricBase {
                &self.base
            }

            fn build(&self) {
                self.accumulator();
            }

            fn update_state(&self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
                checked(self, &self.thresholds)?;
                let counts = Counts { $field: Some(self.accumulator()), ..Counts::default() };
                let thresholds = listed(&self.thresholds, 0.5);
                let outcome = update(&counts, y_true, y_pred, &thresholds, sample_weight, &Options::default());
                outcome.map_err(|e| e.within(Metric::name(self)))
            }

            fn result(&self) -> Result<Tensor> {
                checked(self, &self.thresholds)?;
                unwrapped(&self.accumulator().value()).check().cloned()
            }
        }
    )*};
}

count! {
    /// How many positives are found, or the sum of their weights.
    TruePositives true_positives;
    /// How many negatives are not found, or the sum of their weights.
    TrueNegatives true_negatives;
    /// How many negatives are found wrongly, or the sum of their weights.
    FalsePositives false_positives;
    /// How many positives are missed, or the sum of their weights.
    FalseNegatives false_negatives;
}
