//! Arguments of layers on images: factors, ranges of values, fill modes.

use serde::{Deserialize, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::ops::Number;

/// How strongly a layer acts: a number, or the two ends of the range that one is drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Factor {
    /// A number; what range it stands for, the layer says.
    One(Number),
    /// From one number to the other.
    Range([Number; 2]),
}

impl From<f64> for Factor {
    fn from(factor: f64) -> Factor {
        Factor::One(factor.into())
    }
}

impl From<i64> for Factor {
    fn from(factor: i64) -> Factor {
        Factor::One(factor.into())
    }
}

impl From<(f64, f64)> for Factor {
    fn from((low, high): (f64, f64)) -> Factor {
        Factor::Range([low.into(), high.into()])
    }
}

impl From<(i64, i64)> for Factor {
    fn from((low, high): (i64, i64)) -> Factor {
        Factor::Range([low.into(), high.into()])
    }
}

/// Between what factors must be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) low: i64,
    pub(super) high: i64,
}

/// Factors from −1 to 1.
pub(super) const SYMMETRIC: Bounds = Bounds { low: -1, high: 1 };
/// Factors from 0 to 1: probabilities and shares.
pub(super) const UNIT: Bounds = Bounds { low: 0, high: 1 };
/// Numbers of bits.
pub(super) const BITS: Bounds = Bounds { low: 1, high: 8 };

fn ordered([a, b]: [Number; 2]) -> [Number; 2] {
    if a.value() > b.value() { [b, a] } else { [a, b] }
}

fn negated(number: Number) -> Number {
    match number {
        Number::Int(n) => Number::Int(-n),
        Number::Float(x) => Number::Float(-x),
    }
}

fn magnitude(number: Number) -> Number {
    if number.value() < 0.0 { negated(number) } else { number }
}

impl Factor {
    /// The range that Keras makes of the factor and writes: of a number, from its negative to itself, within the
    /// bounds.
    pub(super) fn within(&self, bounds: Bounds) -> [Number; 2] {
        match *self {
            Factor::Range(ends) => ordered(ends),
            Factor::One(number) => {
                let high = magnitude(number);
                let low = negated(high);
                [if low.value() < bounds.low as f64 { Number::Int(bounds.low) } else { low }, high]
            }
        }
    }

    /// The range for layers that take a number as the distance from both sides of 0.
    pub(super) fn around_zero(&self) -> [Number; 2] {
        match *self {
            Factor::Range(ends) => ordered(ends),
            Factor::One(number) => [negated(magnitude(number)), magnitude(number)],
        }
    }

    /// The range for layers that take a number as the upper end of what begins at 0.
    pub(super) fn above_zero(&self) -> [Number; 2] {
        match *self {
            Factor::Range(ends) => ordered(ends),
            Factor::One(number) => [Number::Int(0), number],
        }
    }

    /// Refuses what Keras refuses: a number outside of the bounds, or a range that lies outside of them.
    pub(super) fn check(&self, name: &str, bounds: Bounds) -> Result<()> {
        let (low, high) = (bounds.low as f64, bounds.high as f64);
        let fits = match self {
            Factor::One(number) => (low..=high).contains(&number.value()),
            Factor::Range([a, b]) => a.value() <= high && b.value() >= low,
        };
        if fits { Ok(()) } else { Err(self.refused(name, &format!("from {low} to {high}"))) }
    }

    /// Refuses a factor of which a number is outside of `allowed`.
    pub(super) fn check_each(&self, name: &str, allowed: impl Fn(f64) -> bool, described: &str) -> Result<()> {
        let fits = match self {
            Factor::One(number) => allowed(number.value()),
            Factor::Range([a, b]) => allowed(a.value()) && allowed(b.value()),
        };
        if fits { Ok(()) } else { Err(self.refused(name, described)) }
    }

    fn refused(&self, name: &str, described: &str) -> Error {
        let given = match self {
            Factor::One(number) => format!("{}", number.value()),
            Factor::Range([a, b]) => format!("from {} to {}", a.value(), b.value()),
        };
        Error::argument(name, format!("{given} is not allowed"), format!("give a number, or two, {described}"))
    }
}

/// The two ends as numbers to draw between.
pub(super) fn ends(range: [Number; 2]) -> (f64, f64) {
    (range[0].value(), range[1].value())
}

/// Writes a factor as the range within [`SYMMETRIC`] bounds.
pub(super) fn symmetric<S: Serializer>(factor: &Factor, serializer: S) -> Result<S::Ok, S::Error> {
    factor.within(SYMMETRIC).serialize(serializer)
}

/// Writes a factor as the range within [`UNIT`] bounds.
pub(super) fn unit<S: Serializer>(factor: &Factor, serializer: S) -> Result<S::Ok, S::Error> {
    factor.within(UNIT).serialize(serializer)
}

/// Writes a factor as the range within [`BITS`] bounds.
pub(super) fn bits<S: Serializer>(factor: &Factor, serializer: S) -> Result<S::Ok, S::Error> {
    factor.within(BITS).serialize(serializer)
}

/// Writes a factor as the range around 0.
pub(super) fn around_zero<S: Serializer>(factor: &Factor, serializer: S) -> Result<S::Ok, S::Error> {
    factor.around_zero().serialize(serializer)
}

/// Writes a factor as the range from 0.
pub(super) fn from_zero<S: Serializer>(factor: &Factor, serializer: S) -> Result<S::Ok, S::Error> {
    factor.above_zero().serialize(serializer)
}

/// The least and the greatest value of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ValueRange([Number; 2]);

impl ValueRange {
    /// Both ends.
    pub(super) fn ends(self) -> [f64; 2] {
        ordered(self.0).map(Number::value)
    }
}

impl Default for ValueRange {
    /// From 0 to 255.
    fn default() -> ValueRange {
        ValueRange([0.into(), 255.into()])
    }
}

impl From<(f64, f64)> for ValueRange {
    fn from((low, high): (f64, f64)) -> ValueRange {
        ValueRange(ordered([low.into(), high.into()]))
    }
}

impl From<(i64, i64)> for ValueRange {
    fn from((low, high): (i64, i64)) -> ValueRange {
        ValueRange(ordered([low.into(), high.into()]))
    }
}

/// What is seen where an image that was moved has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FillMode {
    /// A value.
    Constant,
    /// The nearest pixel.
    Nearest,
    /// The image from its other end.
    Wrap,
    /// The image mirrored, the edge included.
    #[default]
    Reflect,
}

impl FillMode {
    /// Keras's name.
    pub fn name(self) -> &'static str {
        match self {
            FillMode::Constant => "constant",
            FillMode::Nearest => "nearest",
            FillMode::Wrap => "wrap",
            FillMode::Reflect => "reflect",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_stands_for_the_range_that_keras_makes_of_it() {
        let range = |factor: Factor, bounds| ends(factor.within(bounds));
        assert_eq!(range(0.2.into(), SYMMETRIC), (-0.2, 0.2));
        assert_eq!(range(0.2.into(), UNIT), (0.0, 0.2));
        assert_eq!(range((0.3, -0.1).into(), SYMMETRIC), (-0.1, 0.3));
        assert_eq!(range(4.into(), BITS), (1.0, 4.0));
        assert_eq!(ends(Factor::from(-0.4).around_zero()), (-0.4, 0.4));
        assert_eq!(ends(Factor::from(0.4).above_zero()), (0.0, 0.4));
        assert!(
            Factor::from(-0.1).check("factor", UNIT).is_err() && Factor::from(1.5).check("factor", SYMMETRIC).is_err()
        );
        assert!(Factor::from((2.0, 3.0)).check("factor", UNIT).is_err());
        assert!(Factor::from((0.5, 3.0)).check("factor", UNIT).is_ok());
    }
}
