//! Metrics of what is found rightly and wrongly above thresholds.

mod at;
mod auc;
mod count;
mod precision_recall;
mod update;

use serde::{Deserialize, Serialize};

pub use at::*;
pub use auc::*;
pub use count::*;
pub use precision_recall::*;

use super::Metric;
use super::define::out_of_range;
use crate::error::Result;
use crate::ops;
use crate::tensor::Tensor;

/// One threshold, or several: then results have one value for each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Thresholds {
    /// One.
    One(f64),
    /// Several.
    Many(Vec<f64>),
}

impl From<f64> for Thresholds {
    fn from(threshold: f64) -> Thresholds {
        Thresholds::One(threshold)
    }
}

impl<const N: usize> From<[f64; N]> for Thresholds {
    fn from(thresholds: [f64; N]) -> Thresholds {
        Thresholds::Many(thresholds.to_vec())
    }
}

impl From<Vec<f64>> for Thresholds {
    fn from(thresholds: Vec<f64>) -> Thresholds {
        Thresholds::Many(thresholds)
    }
}

/// The thresholds as a list; `default` if there are none.
fn listed(thresholds: &Option<Thresholds>, default: f64) -> Vec<f64> {
    match thresholds {
        None => vec![default],
        Some(Thresholds::One(threshold)) => vec![*threshold],
        Some(Thresholds::Many(thresholds)) => thresholds.clone(),
    }
}

/// Checks that thresholds that were given are in `[0, 1]`.
fn checked(metric: &dyn Metric, thresholds: &Option<Thresholds>) -> Result<()> {
    let given = if thresholds.is_some() { listed(thresholds, 0.0) } else { vec![] };
    match given.iter().find(|t| !(0.0..=1.0).contains(*t)) {
        Some(wrong) => Err(out_of_range(metric, format!("a threshold is {wrong}"), "give numbers from 0 to 1")),
        None => Ok(()),
    }
}

/// `count` thresholds evenly from 0 to 1; 0.5 alone.
fn evenly(count: usize) -> Vec<f64> {
    if count == 1 {
        return vec![0.5];
    }
    (0..count).map(|i| i as f64 / (count as f64 - 1.0)).collect()
}

/// A vector of one element as a scalar; others as they are.
fn unwrapped(x: &Tensor) -> Tensor {
    if x.rank() == 1 && x.dim(0).is(1) { ops::reshape(x, &[]) } else { x.clone() }
}
