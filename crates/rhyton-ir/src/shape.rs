//! Dimensions, shapes and tensor types.
//!
//! A dimension is a number or an expression over symbols, so that one graph serves every batch size. Two dimensions
//! are *compatible* when they are equal or at least one is symbolic: a symbol may turn out to be any number, and the
//! check is made again, exactly, when the graph is specialised.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Add, Div, Mul, Sub};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::dtype::DType;

/// The size of one axis.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dim {
    /// A number.
    Known(usize),
    /// An expression over symbols.
    Symbolic(Arc<Expr>),
}

/// An expression over symbols; made by the operators of [`Dim`], which simplify.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Expr {
    /// A named unknown.
    Symbol(String),
    /// Sum.
    Add(Dim, Dim),
    /// Difference.
    Sub(Dim, Dim),
    /// Product.
    Mul(Dim, Dim),
    /// Quotient, rounded down.
    Div(Dim, Dim),
}

/// The numbers that symbols stand for.
pub type Bindings = BTreeMap<String, usize>;

impl Dim {
    /// A named unknown.
    pub fn symbol(name: impl Into<String>) -> Dim {
        Dim::Symbolic(Arc::new(Expr::Symbol(name.into())))
    }

    /// The number, if it is one.
    pub fn known(&self) -> Option<usize> {
        match self {
            Dim::Known(n) => Some(*n),
            Dim::Symbolic(_) => None,
        }
    }

    /// Whether this is the number `n`.
    pub fn is(&self, n: usize) -> bool {
        self.known() == Some(n)
    }

    /// Whether the two can be the same number.
    pub fn compatible(&self, other: &Dim) -> bool {
        self == other || self.known().is_none() || other.known().is_none()
    }

    /// Replaces the symbols that `bindings` names.
    pub fn bind(&self, bindings: &Bindings) -> Dim {
        let Dim::Symbolic(expr) = self else { return self.clone() };
        match &**expr {
            Expr::Symbol(name) => bindings.get(name).map_or_else(|| self.clone(), |&n| Dim::Known(n)),
            Expr::Add(a, b) => a.bind(bindings) + b.bind(bindings),
            Expr::Sub(a, b) => a.bind(bindings) - b.bind(bindings),
            Expr::Mul(a, b) => a.bind(bindings) * b.bind(bindings),
            Expr::Div(a, b) => a.bind(bindings) / b.bind(bindings),
        }
    }

    fn expr(expr: Expr) -> Dim {
        Dim::Symbolic(Arc::new(expr))
    }
}

impl From<usize> for Dim {
    fn from(n: usize) -> Dim {
        Dim::Known(n)
    }
}

impl PartialEq<usize> for Dim {
    fn eq(&self, n: &usize) -> bool {
        self.is(*n)
    }
}

impl Add for Dim {
    type Output = Dim;
    fn add(self, other: Dim) -> Dim {
        match (self, other) {
            (Dim::Known(a), Dim::Known(b)) => Dim::Known(a.saturating_add(b)),
            (a, Dim::Known(0)) | (Dim::Known(0), a) => a,
            (Dim::Symbolic(e), Dim::Known(b)) => match &*e {
                Expr::Add(a, Dim::Known(c)) => a.clone() + Dim::Known(b.saturating_add(*c)),
                Expr::Sub(a, Dim::Known(c)) if b >= *c => a.clone() + Dim::Known(b - c),
                Expr::Sub(a, Dim::Known(c)) => a.clone() - Dim::Known(c - b),
                _ => Dim::expr(Expr::Add(Dim::Symbolic(e), Dim::Known(b))),
            },
            (Dim::Known(a), b) => b + Dim::Known(a),
            (a, b) => Dim::expr(Expr::Add(a, b)),
        }
    }
}

impl Sub for Dim {
    type Output = Dim;
    /// Saturates at 0 between numbers: sizes are never negative.
    fn sub(self, other: Dim) -> Dim {
        match (self, other) {
            (Dim::Known(a), Dim::Known(b)) => Dim::Known(a.saturating_sub(b)),
            (a, Dim::Known(0)) => a,
            (a, b) if a == b => Dim::Known(0),
            (Dim::Symbolic(e), Dim::Known(b)) => match &*e {
                Expr::Add(a, Dim::Known(c)) if *c >= b => a.clone() + Dim::Known(c - b),
                Expr::Add(a, Dim::Known(c)) => a.clone() - Dim::Known(b - c),
                Expr::Sub(a, Dim::Known(c)) => a.clone() - Dim::Known(b.saturating_add(*c)),
                _ => Dim::expr(Expr::Sub(Dim::Symbolic(e), Dim::Known(b))),
            },
            (a, b) => Dim::expr(Expr::Sub(a, b)),
        }
    }
}

impl Mul for Dim {
    type Output = Dim;
    fn mul(self, other: Dim) -> Dim {
        match (self, other) {
            (Dim::Known(a), Dim::Known(b)) => Dim::Known(a.saturating_mul(b)),
            (_, Dim::Known(0)) | (Dim::Known(0), _) => Dim::Known(0),
            (a, Dim::Known(1)) | (Dim::Known(1), a) => a,
            (Dim::Symbolic(e), Dim::Known(b)) => match &*e {
                Expr::Mul(a, Dim::Known(c)) => a.clone() * Dim::Known(b.saturating_mul(*c)),
                _ => Dim::expr(Expr::Mul(Dim::Symbolic(e), Dim::Known(b))),
            },
            (Dim::Known(a), b) => b * Dim::Known(a),
            (a, b) => Dim::expr(Expr::Mul(a, b)),
        }
    }
}

impl Div for Dim {
    type Output = Dim;
    /// Rounds down; by 0 gives 0.
    fn div(self, other: Dim) -> Dim {
        match (self, other) {
            (Dim::Known(a), Dim::Known(b)) => Dim::Known(a.checked_div(b).unwrap_or(0)),
            (a, Dim::Known(1)) => a,
            (a, b) if a == b => Dim::Known(1),
            (Dim::Symbolic(e), b) => match (&*e, &b) {
                (Expr::Mul(a, Dim::Known(c)), Dim::Known(d)) if *d > 0 && c % d == 0 => a.clone() * Dim::Known(c / d),
                (Expr::Mul(a, c), d) if c == d => a.clone(),
                (Expr::Mul(c, a), d) if c == d => a.clone(),
                _ => Dim::expr(Expr::Div(Dim::Symbolic(e), b)),
            },
            (a, b) => Dim::expr(Expr::Div(a, b)),
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Known(n) => write!(f, "{n}"),
            Dim::Symbolic(e) => match &**e {
                Expr::Symbol(name) => f.write_str(name),
                Expr::Add(a, b) => write!(f, "({a}+{b})"),
                Expr::Sub(a, b) => write!(f, "({a}-{b})"),
                Expr::Mul(a, b) => write!(f, "({a}*{b})"),
                Expr::Div(a, b) => write!(f, "({a}/{b})"),
            },
        }
    }
}

impl fmt::Debug for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a dimension.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a dimension; write a number, a name, or (a+b), (a-b), (a*b), (a/b)")]
pub struct InvalidDim(pub String);

impl std::str::FromStr for Dim {
    type Err = InvalidDim;

    /// Parses what [`Display`](fmt::Display) prints.
    fn from_str(text: &str) -> Result<Dim, InvalidDim> {
        fn parse(text: &str, depth: usize) -> Option<(Dim, &str)> {
            const DEEPEST: usize = 64; // far beyond any shape; keeps hostile text from overflowing the stack
            if depth > DEEPEST {
                return None;
            }
            if let Some(rest) = text.strip_prefix('(') {
                let (a, rest) = parse(rest, depth + 1)?;
                let operator = rest.chars().next()?;
                let (b, rest) = parse(&rest[operator.len_utf8()..], depth + 1)?;
                let dim = match operator {
                    '+' => a + b,
                    '-' => a - b,
                    '*' => a * b,
                    '/' => a / b,
                    _ => return None,
                };
                return Some((dim, rest.strip_prefix(')')?));
            }
            let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
            let (word, rest) = text.split_at(end);
            if word.starts_with(|c: char| c.is_ascii_digit()) {
                return Some((Dim::Known(word.parse().ok()?), rest));
            }
            (!word.is_empty()).then(|| (Dim::symbol(word), rest))
        }
        match parse(text, 0) {
            Some((dim, "")) => Ok(dim),
            _ => Err(InvalidDim(text.to_owned())),
        }
    }
}

impl Serialize for Dim {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Dim::Known(n) => serializer.serialize_u64(*n as u64),
            Dim::Symbolic(_) => serializer.serialize_str(&self.to_string()),
        }
    }
}

impl<'de> Deserialize<'de> for Dim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Dim, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Dim;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or an expression over symbols")
            }
            fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<Dim, E> {
                usize::try_from(n).map(Dim::Known).map_err(E::custom)
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Dim, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The sizes of all axes, outermost first.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shape(Vec<Dim>);

impl Shape {
    /// The shape of a scalar.
    pub fn scalar() -> Shape {
        Shape(Vec::new())
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The sizes as numbers, if none is symbolic.
    pub fn known(&self) -> Option<Vec<usize>> {
        self.0.iter().map(Dim::known).collect()
    }

    /// The number of elements.
    pub fn elements(&self) -> Dim {
        self.0.iter().fold(Dim::Known(1), |n, d| n * d.clone())
    }

    /// Whether the ranks are equal and all dimensions compatible.
    pub fn compatible(&self, other: &Shape) -> bool {
        self.rank() == other.rank() && self.0.iter().zip(&other.0).all(|(a, b)| a.compatible(b))
    }

    /// Of two compatible shapes, the one that knows most: a number wherever either has one.
    pub fn merge(&self, other: &Shape) -> Shape {
        self.0.iter().zip(&other.0).map(|(a, b)| if a.known().is_some() { a.clone() } else { b.clone() }).collect()
    }

    /// Replaces the symbols that `bindings` names.
    pub fn bind(&self, bindings: &Bindings) -> Shape {
        self.0.iter().map(|d| d.bind(bindings)).collect()
    }

    /// The sizes as a vector.
    pub fn into_vec(self) -> Vec<Dim> {
        self.0
    }
}

impl std::ops::Deref for Shape {
    type Target = [Dim];
    fn deref(&self) -> &[Dim] {
        &self.0
    }
}

impl std::ops::DerefMut for Shape {
    fn deref_mut(&mut self) -> &mut [Dim] {
        &mut self.0
    }
}

impl<D: Into<Dim>> FromIterator<D> for Shape {
    fn from_iter<I: IntoIterator<Item = D>>(iter: I) -> Shape {
        Shape(iter.into_iter().map(Into::into).collect())
    }
}

impl<D: Into<Dim>> From<Vec<D>> for Shape {
    fn from(dims: Vec<D>) -> Shape {
        dims.into_iter().collect()
    }
}

impl<D: Into<Dim> + Clone> From<&[D]> for Shape {
    fn from(dims: &[D]) -> Shape {
        dims.iter().cloned().collect()
    }
}

impl<D: Into<Dim>, const N: usize> From<[D; N]> for Shape {
    fn from(dims: [D; N]) -> Shape {
        dims.into_iter().collect()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, d) in self.0.iter().enumerate() {
            write!(f, "{}{d}", if i > 0 { "," } else { "" })?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A dtype and a shape: all that is known of a value before it is computed.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TensorType {
    /// The element type.
    pub dtype: DType,
    /// The sizes of the axes.
    pub shape: Shape,
}

impl TensorType {
    /// A type.
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> TensorType {
        TensorType { dtype, shape: shape.into() }
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.shape.rank()
    }

    /// The same shape with another dtype.
    pub fn with_dtype(&self, dtype: DType) -> TensorType {
        TensorType { dtype, shape: self.shape.clone() }
    }

    /// The same dtype with another shape.
    pub fn with_shape(&self, shape: impl Into<Shape>) -> TensorType {
        TensorType { dtype: self.dtype, shape: shape.into() }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, self.shape)
    }
}

impl fmt::Debug for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_simplify_print_and_parse_back() {
        let b = Dim::symbol("b");
        assert_eq!(b.clone() + Dim::Known(2) - Dim::Known(2), b);
        assert_eq!((b.clone() * Dim::Known(6)) / Dim::Known(3), b.clone() * Dim::Known(2));
        assert_eq!((b.clone() * Dim::symbol("s")) / Dim::symbol("s"), b);
        let out = (b.clone() + Dim::Known(3)) / Dim::Known(2) + Dim::Known(1);
        assert_eq!(out.to_string(), "(((b+3)/2)+1)");
        assert_eq!(out.to_string().parse(), Ok(out.clone()));
        assert_eq!(out.bind(&Bindings::from([("b".into(), 7)])), Dim::Known(6));
        assert!("(b+".parse::<Dim>().is_err());
        assert!("(".repeat(10_000).parse::<Dim>().is_err());
    }

    #[test]
    fn symbols_are_compatible_with_anything() {
        let a = Shape::from(vec![Dim::symbol("b"), Dim::Known(3)]);
        assert!(a.compatible(&Shape::from([8, 3])));
        assert!(!a.compatible(&Shape::from([8, 4])));
        assert_eq!(a.merge(&Shape::from([8, 3])), Shape::from([8, 3]));
    }
}
