//! Data sets that come with the crate, so that they need no network.
//!
//! [`TABLE`] lists them; each has a module with a `load` function, as in `keras.datasets`.

pub mod digits;

use rhyton_ir::Array;

use crate::error::{Error, Result};

/// `((x_train, y_train), (x_test, y_test))`, as `load_data()` of Keras's data sets returns.
pub type Split = ((Array, Array), (Array, Array));

/// A built-in data set.
#[derive(Clone, Copy, Debug)]
pub struct Dataset {
    /// The name by which it is found.
    pub name: &'static str,
    /// One sentence about it.
    pub description: &'static str,
    /// Who made it, when, and where it is published.
    pub source: &'static str,
    /// The licence.
    pub licence: &'static str,
    /// The shape of one sample of `x`.
    pub x_shape: &'static [usize],
    /// The least and the greatest value of `x`.
    pub x_range: (f64, f64),
    /// The names of the classes, by the values of `y`.
    pub class_names: &'static [&'static str],
    /// The numbers of training and test samples.
    pub samples: (usize, usize),
    /// Loads it.
    pub load: fn() -> Result<Split>,
}

/// All built-in data sets.
pub const TABLE: &[Dataset] = &[digits::DATASET];

/// The built-in data set of this name.
///
/// # Errors
/// If there is none.
///
/// # Examples
/// ```
/// let digits = rhyton_data::datasets::find("digits")?;
/// assert_eq!(digits.x_shape, [8, 8, 1]);
/// # Ok::<(), rhyton_data::Error>(())
/// ```
pub fn find(name: &str) -> Result<&'static Dataset> {
    TABLE.iter().find(|dataset| dataset.name == name).ok_or_else(|| Error::Argument {
        what: format!("there is no built-in data set {name:?}"),
        fix: format!("choose one of {}", TABLE.iter().map(|d| d.name).collect::<Vec<_>>().join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_load_returns() {
        for dataset in TABLE {
            let ((x_train, y_train), (x_test, y_test)) = (dataset.load)().unwrap();
            for (x, y, samples) in [(&x_train, &y_train, dataset.samples.0), (&x_test, &y_test, dataset.samples.1)] {
                assert_eq!(x.shape()[0], samples, "{}", dataset.name);
                assert_eq!(x.shape()[1..], *dataset.x_shape);
                assert_eq!(y.shape(), [samples]);
                let values = x.to_f64_vec();
                assert_eq!(values.iter().copied().fold(f64::INFINITY, f64::min), dataset.x_range.0);
                assert_eq!(values.iter().copied().fold(f64::NEG_INFINITY, f64::max), dataset.x_range.1);
                assert!(y.to_f64_vec().iter().all(|&class| (class as usize) < dataset.class_names.len()));
            }
        }
        assert!(find("mnist").unwrap_err().to_string().contains("digits"));
    }
}
