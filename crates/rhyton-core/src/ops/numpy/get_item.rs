//! `get_item`: NumPy's basic indexing, `x[0, 1:3, ..., None]`.

use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo};

use rhyton_ir::op::{Reverse, Slice};
use rhyton_ir::{DType, Dim, Shape};
use serde_json::{Value, json};

use super::MODULE;
use super::indexing::taken;
use crate::error::{Error, Result};
use crate::nest::{Args, Nest};
use crate::ops::apply;
use crate::ops::class::operations;
use crate::ops::primitives::reshaped;
use crate::tensor::Tensor;

/// What selects along one axis.
#[derive(Clone, Debug)]
pub enum Index {
    /// One element, from the end if negative; the result lacks the axis.
    At(i64),
    /// Elements from `start` up to but not including `stop`, `step` apart; negative bounds count from the end, and a
    /// negative step goes backwards.
    Slice {
        /// The first; the beginning if `None`.
        start: Option<i64>,
        /// One past the last; the end if `None`.
        stop: Option<i64>,
        /// Their distance; 1 if `None`.
        step: Option<i64>,
    },
    /// A new axis of size 1 (NumPy's `None`).
    NewAxis,
    /// All of as many axes as are not named (`...`).
    Ellipsis,
    /// The elements at these places, whose axes take that of the axis; an integer tensor.
    Tensor(Tensor),
}

impl Index {
    /// Elements from `start` up to but not including `stop`.
    pub fn range(start: Option<i64>, stop: Option<i64>) -> Index {
        Index::Slice { start, stop, step: None }
    }

    /// Every `step`-th element from `start` up to but not including `stop`; Python's `start:stop:step`.
    pub fn strided(start: Option<i64>, stop: Option<i64>, step: i64) -> Index {
        Index::Slice { start, stop, step: Some(step) }
    }

    /// As an argument of a recorded call, in the form that Keras writes.
    fn to_nest(&self) -> Nest {
        match self {
            Index::At(i) => Nest::Plain(json!(i)),
            Index::Slice { start, stop, step } => Nest::Plain(json!({
                "class_name": "__slice__",
                "config": {"start": start, "stop": stop, "step": step},
            })),
            Index::NewAxis => Nest::none(),
            Index::Ellipsis => Nest::Plain(json!({"class_name": "__ellipsis__", "config": {}})),
            Index::Tensor(t) => Nest::Tensor(t.clone()),
        }
    }

    fn from_nest(nest: &Nest) -> Result<Index> {
        match nest {
            Nest::Tensor(t) => Ok(Index::Tensor(t.clone())),
            Nest::Plain(value) => Index::from_json(value),
            // What nested values became on the way through a file.
            Nest::Dict(entries) => {
                let object = entries.iter().map(|(k, v)| (k.clone(), plain(v))).collect();
                Index::from_json(&Value::Object(object))
            }
            Nest::List(_) => Err(unknown(&plain(nest))),
        }
    }

    fn from_json(value: &Value) -> Result<Index> {
        let bound = |name: &str| value["config"][name].as_i64();
        match value["class_name"].as_str() {
            Some("__slice__") => Ok(Index::Slice { start: bound("start"), stop: bound("stop"), step: bound("step") }),
            Some("__ellipsis__") => Ok(Index::Ellipsis),
            _ if value.is_null() => Ok(Index::NewAxis),
            _ => value.as_i64().map(Index::At).ok_or_else(|| unknown(value)),
        }
    }
}

fn unknown(value: &Value) -> Error {
    Error::content("get_item", format!("{value} is no index"), "use integers, slices, None, ... or integer tensors")
}

/// Nested plain arguments as one value; tensors have none.
fn plain(nest: &Nest) -> Value {
    match nest {
        Nest::Plain(value) => value.clone(),
        Nest::List(items) => items.iter().map(plain).collect(),
        Nest::Dict(entries) => Value::Object(entries.iter().map(|(k, v)| (k.clone(), plain(v))).collect()),
        Nest::Tensor(_) => Value::Null,
    }
}

macro_rules! index_from {
    ($($t:ty),*) => {$(
        impl From<$t> for Index {
            fn from(at: $t) -> Index {
                Index::At(at as i64)
            }
        }
        impl From<Range<$t>> for Index {
            fn from(range: Range<$t>) -> Index {
                Index::range(Some(range.start as i64), Some(range.end as i64))
            }
        }
        impl From<RangeFrom<$t>> for Index {
            fn from(range: RangeFrom<$t>) -> Index {
                Index::range(Some(range.start as i64), None)
            }
        }
        impl From<RangeTo<$t>> for Index {
            fn from(range: RangeTo<$t>) -> Index {
                Index::range(None, Some(range.end as i64))
            }
        }
        impl From<RangeInclusive<$t>> for Index {
            fn from(range: RangeInclusive<$t>) -> Index {
                let end = *range.end() as i64;
                // One past −1, the last, is the end.
                Index::range(Some(*range.start() as i64), (end != -1).then_some(end + 1))
            }
        }
    )*};
}
index_from!(i32, i64, usize);

impl From<RangeFull> for Index {
    fn from(_: RangeFull) -> Index {
        Index::range(None, None)
    }
}

impl From<&Tensor> for Index {
    fn from(places: &Tensor) -> Index {
        Index::Tensor(places.clone())
    }
}

impl From<Tensor> for Index {
    fn from(places: Tensor) -> Index {
        Index::Tensor(places)
    }
}

/// What selects along the axes, in order: one [`Index`] or what becomes one, or a tuple or list of such.
#[derive(Clone, Debug)]
pub struct Key {
    indices: Vec<Index>,
    /// Whether it was one index alone, which Keras writes without a list.
    alone: bool,
}

impl<I: Into<Index>> From<I> for Key {
    fn from(index: I) -> Key {
        Key { indices: vec![index.into()], alone: true }
    }
}

impl From<Vec<Index>> for Key {
    fn from(indices: Vec<Index>) -> Key {
        Key { indices, alone: false }
    }
}

impl From<&[Index]> for Key {
    fn from(indices: &[Index]) -> Key {
        Key { indices: indices.to_vec(), alone: false }
    }
}

macro_rules! key_from {
    ($($($name:ident)+;)*) => {$(
        impl<$($name: Into<Index>),+> From<($($name,)+)> for Key {
            #[allow(non_snake_case, reason = "values named after their types")]
            fn from(($($name,)+): ($($name,)+)) -> Key {
                Key { indices: vec![$($name.into()),+], alone: false }
            }
        }
    )*};
}
key_from! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
}

operations! { MODULE;
    GetItem {} (x, key) compute_get_item;
}

/// The elements that `key` selects, as NumPy's `x[key]`: axes without an index are taken whole.
///
/// # Examples
/// ```
/// use rhyton_core::{Tensor, ops, ops::Index};
///
/// let x = Tensor::new([2, 3], vec![0i32, 1, 2, 3, 4, 5]);
/// assert_eq!(ops::get_item(&x, (.., -1)).to_vec::<i32>()?, [2, 5]);
/// assert_eq!(ops::get_item(&x, (0, 1..)).to_vec::<i32>()?, [1, 2]);
/// assert_eq!(ops::get_item(&x, (Index::Ellipsis, Index::NewAxis)).shape().known(), Some(vec![2, 3, 1]));
/// assert_eq!(ops::get_item(&x, (0, Index::strided(None, None, -1))).to_vec::<i32>()?, [2, 1, 0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[track_caller]
pub fn get_item(x: &Tensor, key: impl Into<Key>) -> Tensor {
    let Key { indices, alone } = key.into();
    let nests: Vec<Nest> = indices.iter().map(Index::to_nest).collect();
    let key = match (&nests[..], alone) {
        ([only], true) => only.clone(),
        _ => Nest::List(nests),
    };
    apply(GetItem {}, Args::new(x).and(key))
}

impl Tensor {
    /// The elements that `key` selects; see [`get_item`].
    #[track_caller]
    pub fn slice(&self, key: impl Into<Key>) -> Tensor {
        get_item(self, key)
    }
}

fn compute_get_item(_: &GetItem, x: Tensor, key: Option<Nest>) -> Result<Tensor> {
    let indices: Vec<Index> = match &key {
        // A lone None is a new axis, not a missing argument.
        None => vec![Index::NewAxis],
        Some(Nest::List(items)) => items.iter().map(Index::from_nest).collect::<Result<_>>()?,
        Some(Nest::Plain(Value::Array(items))) => items.iter().map(Index::from_json).collect::<Result<_>>()?,
        Some(one) => vec![Index::from_nest(one)?],
    };
    let named = indices.iter().filter(|i| !matches!(i, Index::NewAxis | Index::Ellipsis)).count();
    let ellipses = indices.iter().filter(|i| matches!(i, Index::Ellipsis)).count();
    if named > x.rank() || ellipses > 1 {
        return Err(Error::argument(
            "get_item",
            format!("{named} indices and {ellipses} ellipses for {}", x.ty()),
            "give at most one index an axis, and one ellipsis",
        ));
    }
    Selection::of(&x, &indices, x.rank() - named)?.apply(x)
}

/// What is done to a tensor, in this order: reversing, slicing, taking, reshaping.
struct Selection {
    /// Axes reversed before slicing.
    reversed: Vec<usize>,
    slice: Slice,
    /// Axes reversed after slicing: those with a negative step.
    backwards: Vec<usize>,
    /// The axes of the sliced tensor that the result keeps, with new ones, `None`, between.
    shape: Vec<Option<usize>>,
    /// Places along an axis of the result before this selection takes them.
    taken: Vec<(usize, Tensor)>,
}

impl Selection {
    fn of(x: &Tensor, indices: &[Index], unnamed: usize) -> Result<Selection> {
        let mut s = Selection {
            reversed: vec![],
            slice: Slice { start: vec![], limit: vec![], stride: vec![] },
            backwards: vec![],
            shape: vec![],
            taken: vec![],
        };
        for index in indices {
            match index {
                Index::NewAxis => s.shape.push(None),
                Index::Ellipsis => (0..unnamed).for_each(|_| s.whole(x)),
                Index::At(i) => s.at(x, *i)?,
                Index::Slice { start, stop, step } => s.range(x, *start, *stop, step.unwrap_or(1))?,
                Index::Tensor(places) => {
                    if places.dtype() == DType::Bool {
                        return Err(Error::unsupported(
                            "get_item",
                            "the size of what a bool tensor selects would depend on its values",
                            "use ops::where, or multiply by the mask",
                        ));
                    }
                    s.taken.push((s.shape.len(), places.clone()));
                    s.whole(x);
                }
            }
        }
        while s.slice.start.len() < x.rank() {
            s.whole(x);
        }
        Ok(s)
    }

    fn push(&mut self, start: usize, limit: Dim, stride: usize) {
        self.slice.start.push(start);
        self.slice.limit.push(limit);
        self.slice.stride.push(stride);
    }

    fn whole(&mut self, x: &Tensor) {
        let axis = self.slice.start.len();
        self.shape.push(Some(axis));
        self.push(0, x.shape()[axis].clone(), 1);
    }

    fn at(&mut self, x: &Tensor, i: i64) -> Result<()> {
        let axis = self.slice.start.len();
        let size = &x.shape()[axis];
        let distance = i.unsigned_abs() as usize;
        let inside = size.known().is_none_or(|n| if i < 0 { distance <= n } else { distance < n });
        if !inside {
            return Err(Error::argument(
                "get_item",
                format!("index {i} of axis {axis} of {}", x.ty()),
                "use an index inside the axis",
            ));
        }
        let at = match (i < 0, size.known()) {
            (false, _) => distance,
            (true, Some(n)) => n - distance,
            // The last element of an axis of unknown size is the first of the reversed one.
            (true, None) => {
                self.reversed.push(axis);
                distance - 1
            }
        };
        self.push(at, Dim::Known(at + 1), 1);
        Ok(())
    }

    fn range(&mut self, x: &Tensor, start: Option<i64>, stop: Option<i64>, step: i64) -> Result<()> {
        let axis = self.slice.start.len();
        let size = x.shape()[axis].clone();
        if step == 0 {
            return Err(Error::argument("get_item", "a slice with step 0", "use another step"));
        }
        let stride = step.unsigned_abs() as usize;
        self.shape.push(Some(axis));
        if let Some(n) = size.known() {
            let (start, stop) = bounds(n as i64, start, stop, step);
            if step > 0 {
                self.push(start as usize, Dim::Known(stop.max(start) as usize), stride);
                return Ok(());
            }
            // From `start` down to `stop + 1`: the reversed slice, beginning at its smallest element.
            let count = (start - stop).max(0) as usize / stride
                + usize::from(!((start - stop).max(0) as usize).is_multiple_of(stride));
            if count == 0 {
                self.push(0, Dim::Known(0), 1);
                return Ok(());
            }
            let first = start as usize - (count - 1) * stride;
            self.push(first, Dim::Known(start as usize + 1), stride);
            self.backwards.push(axis);
            return Ok(());
        }
        let place = |i: i64| i.unsigned_abs() as usize;
        match (start, stop, step > 0) {
            (None | Some(0), None, true) => self.push(0, size, stride),
            (Some(a @ 0..), None, true) => self.push(place(a), size, stride),
            (None | Some(0..), Some(b @ 0..), true) => {
                let first = start.map_or(0, place);
                self.push(first, Dim::Known(place(b).max(first)), stride);
            }
            (None | Some(0..), Some(b), true) => {
                self.push(start.map_or(0, place), size - Dim::Known(place(b)), stride);
            }
            // Counted from the end, in the reversed axis.
            (Some(a), None | Some(..0), true) if stride == 1 => {
                self.reversed.push(axis);
                let first = stop.map_or(0, place);
                self.push(first, Dim::Known(place(a).max(first)), 1);
                self.backwards.push(axis);
            }
            (None, None, false) => {
                self.reversed.push(axis);
                self.push(0, size, stride);
            }
            _ => {
                return Err(Error::unsupported(
                    "get_item",
                    format!("the slice {start:?}:{stop:?}:{step} of an axis of unknown size"),
                    "give the size, or count both bounds from the same end",
                ));
            }
        }
        Ok(())
    }

    fn apply(self, x: Tensor) -> Result<Tensor> {
        let flip = |x: Tensor, axes: Vec<usize>| {
            if axes.is_empty() { x } else { Tensor::apply(Reverse { axes }, &[&x]) }
        };
        let mut x = flip(x, self.reversed);
        let all = self.slice.start.iter().all(|&s| s == 0) && self.slice.stride.iter().all(|&s| s == 1);
        if !all || self.slice.limit != x.shape()[..] {
            x = Tensor::apply(self.slice, &[&x]);
        }
        x = flip(x.check()?.clone(), self.backwards);
        let size = |a: &Option<usize>| a.map_or(Dim::Known(1), |a| x.shape()[a].clone());
        let shape: Shape = self.shape.iter().map(size).collect();
        x = reshaped(&x, shape);
        // From the last axis on, so that the axes of places do not move those before.
        for (axis, places) in self.taken.into_iter().rev() {
            x = taken(x.check()?, &places, axis)?;
        }
        Ok(x)
    }
}

/// Python's `slice.indices`: both bounds inside the axis.
fn bounds(n: i64, start: Option<i64>, stop: Option<i64>, step: i64) -> (i64, i64) {
    let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
    let inside = |i: i64| if i < 0 { i.saturating_add(n).max(low) } else { i.min(high) };
    let (first, last) = if step > 0 { (0, n) } else { (n - 1, -1) };
    (start.map_or(first, inside), stop.map_or(last, inside))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rhyton_ir::TensorType;

    #[test]
    fn slices_of_unknown_sizes_are_counted_from_either_end() {
        let shape_of = |key: Key| {
            let ty = TensorType::new(DType::F32, vec![Dim::symbol("b"), Dim::Known(3)]);
            get_item(&Tensor::placeholder(ty), key).check().map(|t| t.shape().to_string())
        };
        assert_eq!(shape_of(Index::range(None, Some(-1)).into()).unwrap(), "[(b-1),3]");
        assert_eq!(shape_of(Index::range(Some(-2), None).into()).unwrap(), "[2,3]");
        assert_eq!(shape_of((-1).into()).unwrap(), "[3]");
        assert!(matches!(shape_of(Index::range(Some(-2), Some(5)).into()), Err(Error::Unsupported(_))));
    }

    #[test]
    fn wrong_keys_are_refused() {
        let x = Tensor::new([2, 3], vec![0i32; 6]);
        assert!(matches!(get_item(&x, 2).check(), Err(Error::Argument(_))));
        assert!(matches!(get_item(&x, (0, 0, 0)).check(), Err(Error::Argument(_))));
        assert!(matches!(get_item(&x, Index::strided(None, None, 0)).check(), Err(Error::Argument(_))));
        let mask = Tensor::new([2], vec![true, false]);
        assert!(matches!(get_item(&x, mask).check(), Err(Error::Unsupported(_))));
    }
}
