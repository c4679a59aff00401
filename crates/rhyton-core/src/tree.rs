//! Nested structures ([`Nest`]): Keras's `keras.tree`.
//!
//! Leaves are tensors and plain values, `None` among them. Dictionaries are walked in the order of their sorted keys. Lists and
//! tuples are one thing here.

use indexmap::IndexMap;
use rhyton_ir::Shape;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::layers::shape_from_json;
use crate::nest::Nest;

/// One step of the way to a leaf.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// The place in a list.
    Index(usize),
    /// The key of a dictionary.
    Name(String),
}

/// Whether the structure is a list or a dictionary.
pub fn is_nested(structure: &Nest) -> bool {
    matches!(structure, Nest::List(_) | Nest::Dict(_))
}

/// The leaves.
///
/// # Examples
/// ```
/// use rhyton_core::{Nest, Tensor, tree};
///
/// let structure = Nest::List(vec![Nest::from(Tensor::from(1.0f32)), Nest::none(), Nest::List(vec![])]);
/// assert_eq!(tree::flatten(&structure).len(), 2);
/// ```
pub fn flatten(structure: &Nest) -> Vec<&Nest> {
    flatten_with_path(structure).into_iter().map(|(_, leaf)| leaf).collect()
}

/// The leaves, each with the way to it.
pub fn flatten_with_path(structure: &Nest) -> Vec<(Vec<Key>, &Nest)> {
    fn walk<'n>(nest: &'n Nest, path: &mut Vec<Key>, out: &mut Vec<(Vec<Key>, &'n Nest)>) {
        let mut enter = |key: Key, child: &'n Nest| {
            path.push(key);
            walk(child, path, out);
            path.pop();
        };
        match nest {
            Nest::List(items) => items.iter().enumerate().for_each(|(i, n)| enter(Key::Index(i), n)),
            Nest::Dict(items) => sorted(items).into_iter().for_each(|k| enter(Key::Name(k.clone()), &items[k])),
            leaf => out.push((path.clone(), leaf)),
        }
    }
    let mut out = Vec::new();
    walk(structure, &mut Vec::new(), &mut out);
    out
}

fn sorted(items: &IndexMap<String, Nest>) -> Vec<&String> {
    let mut keys: Vec<&String> = items.keys().collect();
    keys.sort();
    keys
}

/// The structure of `func` of the leaves that stand at the same places of all `structures`.
///
/// # Errors
/// That of `func`; if there are no structures, or they differ.
pub fn map_structure(func: impl FnMut(&[&Nest]) -> Result<Nest>, structures: &[&Nest]) -> Result<Nest> {
    let [first, ..] = structures else {
        return Err(Error::argument("map_structure", "there are no structures", "give at least one"));
    };
    let mut func = func;
    map_up_to(first, structures, true, &mut func)
}

/// [`map_structure`] where `func` gets what stands in `structures` at the places of the leaves of `shallow_structure`, which may
/// itself be nested.
///
/// # Errors
/// As there.
pub fn map_structure_up_to(
    shallow_structure: &Nest,
    func: impl FnMut(&[&Nest]) -> Result<Nest>,
    structures: &[&Nest],
) -> Result<Nest> {
    if structures.is_empty() {
        return Err(Error::argument("map_structure_up_to", "there are no structures", "give at least one"));
    }
    let mut func = func;
    map_up_to(shallow_structure, structures, false, &mut func)
}

fn map_up_to(
    shallow: &Nest,
    structures: &[&Nest],
    leaves_only: bool,
    func: &mut dyn FnMut(&[&Nest]) -> Result<Nest>,
) -> Result<Nest> {
    let differ = || Error::argument("map_structure", "the structures differ", "give structures of one form");
    match shallow {
        Nest::List(items) => {
            let each = |i: usize| {
                let children = structures.iter().map(|s| match s {
                    Nest::List(others) if others.len() == items.len() => Ok(&others[i]),
                    _ => Err(differ()),
                });
                map_up_to(&items[i], &children.collect::<Result<Vec<&Nest>>>()?, leaves_only, func)
            };
            let mut each = each;
            Ok(Nest::List((0..items.len()).map(&mut each).collect::<Result<_>>()?))
        }
        Nest::Dict(items) => {
            let mut mapped = IndexMap::new();
            for key in sorted(items) {
                let children = structures.iter().map(|s| match s {
                    Nest::Dict(others) if others.len() == items.len() => others.get(key).ok_or_else(differ),
                    _ => Err(differ()),
                });
                let children = children.collect::<Result<Vec<&Nest>>>()?;
                mapped.insert(key.clone(), map_up_to(&items[key], &children, leaves_only, func)?);
            }
            // Mapped in the order of the leaves, kept in the order of insertion.
            Ok(Nest::Dict(items.keys().filter_map(|k| mapped.swap_remove_entry(k)).collect()))
        }
        _ if leaves_only && structures.iter().any(|s| is_nested(s)) => Err(differ()),
        _ => func(structures),
    }
}

/// The structure with what `func` makes of the shapes in it: lists of numbers and `None` alone.
///
/// # Errors
/// That of `func`; if there is a leaf in no shape, or a size is no number.
///
/// # Examples
/// ```
/// use rhyton_core::{Nest, tree};
/// use serde_json::json;
///
/// let shapes = Nest::Plain(json!([[null, 3], [null, 4]]));
/// let ranks = tree::map_shape_structure(|shape| Ok(Nest::Plain(json!(shape.rank()))), &shapes)?;
/// assert_eq!(tree::flatten(&ranks).iter().map(|n| n.plain().unwrap()).collect::<Vec<_>>(), [&json!(2), &json!(2)]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
pub fn map_shape_structure(mut func: impl FnMut(&Shape) -> Result<Nest>, structure: &Nest) -> Result<Nest> {
    map_shapes(structure, &mut func)
}

fn map_shapes(structure: &Nest, func: &mut dyn FnMut(&Shape) -> Result<Nest>) -> Result<Nest> {
    let is_size = |value: &Value| value.is_null() || value.is_number();
    match structure {
        Nest::Plain(Value::Array(items)) if items.iter().all(is_size) => {
            func(&shape_from_json(&Value::Array(items.clone()))?)
        }
        Nest::Plain(Value::Array(items)) => {
            let items = items.iter().map(|item| map_shapes(&Nest::Plain(item.clone()), func));
            Ok(Nest::List(items.collect::<Result<_>>()?))
        }
        Nest::Plain(Value::Object(items)) => {
            let nests = items.iter().map(|(key, item)| (key.clone(), Nest::Plain(item.clone()))).collect();
            map_shapes(&Nest::Dict(nests), func)
        }
        Nest::List(items) if items.iter().all(|item| item.plain().is_some_and(is_size)) => {
            let sizes = items.iter().filter_map(Nest::plain).cloned().collect();
            func(&shape_from_json(&Value::Array(sizes))?)
        }
        Nest::List(items) => Ok(Nest::List(items.iter().map(|item| map_shapes(item, func)).collect::<Result<_>>()?)),
        Nest::Dict(items) => {
            let mut mapped = IndexMap::new();
            for key in sorted(items) {
                mapped.insert(key.clone(), map_shapes(&items[key], func)?);
            }
            Ok(Nest::Dict(items.keys().filter_map(|k| mapped.swap_remove_entry(k)).collect()))
        }
        leaf => Err(Error::argument(
            "map_shape_structure",
            format!("{leaf:?} is in no shape"),
            "give shapes as lists of numbers and null",
        )),
    }
}

/// `flat_sequence` in the structure of `structure`.
///
/// # Errors
/// If there are not as many as it has leaves.
pub fn pack_sequence_as(structure: &Nest, flat_sequence: Vec<Nest>) -> Result<Nest> {
    let (leaves, given) = (flatten(structure).len(), flat_sequence.len());
    if leaves != given {
        return Err(Error::argument(
            "pack_sequence_as",
            format!("{given} values for a structure of {leaves} leaves"),
            "give one for each leaf",
        ));
    }
    let mut values = flat_sequence.into_iter();
    map_structure(|_| Ok(values.next().unwrap_or_else(Nest::none)), &[structure])
}

/// That both have leaves at the same places.
///
/// # Errors
/// If they have not.
pub fn assert_same_structure(a: &Nest, b: &Nest) -> Result<()> {
    map_structure(|_| Ok(Nest::none()), &[a, b]).map(|_| ()).map_err(|_| {
        let what = format!("the structures differ: {:?} and {:?}", paths(a), paths(b));
        Error::argument("assert_same_structure", what, "give structures of one form")
    })
}

/// That the ways to the leaves of both are the same.
///
/// # Errors
/// If they are not.
pub fn assert_same_paths(a: &Nest, b: &Nest) -> Result<()> {
    let (a, b) = (paths(a), paths(b));
    if a == b {
        return Ok(());
    }
    let what = format!("the paths differ: {a:?} and {b:?}");
    Err(Error::argument("assert_same_paths", what, "give structures of one form"))
}

fn paths(structure: &Nest) -> Vec<Vec<Key>> {
    flatten_with_path(structure).into_iter().map(|(path, _)| path).collect()
}

/// The structure with tuples in place of its lists: itself, for the two are one thing here.
pub fn lists_to_tuples(structure: &Nest) -> Nest {
    structure.clone()
}

/// What a function given to [`traverse`] makes of a part of the structure.
pub enum Visit {
    /// Leaves it as it is: its parts are visited.
    Keep,
    /// Puts this in its place.
    Replace(Nest),
    /// Puts `None` in its place (Keras's `MAP_TO_NONE`).
    MapToNone,
}

/// The structure with what `func` puts in the place of its parts, the whole and the leaves among them: the outer ones first, whose
/// parts are only visited if they are kept, or with `top_down` false the inner ones first.
pub fn traverse(func: &mut dyn FnMut(&Nest) -> Visit, structure: &Nest, top_down: bool) -> Nest {
    let children = |func: &mut dyn FnMut(&Nest) -> Visit| match structure {
        Nest::List(items) => Nest::List(items.iter().map(|n| traverse(func, n, top_down)).collect()),
        Nest::Dict(items) => {
            let visited = sorted(items).into_iter().map(|k| (k.clone(), traverse(func, &items[k], top_down)));
            let mut visited: IndexMap<String, Nest> = visited.collect();
            Nest::Dict(items.keys().filter_map(|k| visited.swap_remove_entry(k)).collect())
        }
        leaf => leaf.clone(),
    };
    let whole = if top_down { None } else { Some(children(func)) };
    match (func(whole.as_ref().unwrap_or(structure)), whole) {
        (Visit::Replace(nest), _) => nest,
        (Visit::MapToNone, _) => Nest::none(),
        (Visit::Keep, Some(whole)) => whole,
        (Visit::Keep, None) => children(func),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plain(value: i64) -> Nest {
        Nest::Plain(json!(value))
    }

    fn sample() -> Nest {
        let inner =
            IndexMap::from([("b".to_owned(), plain(1)), ("a".to_owned(), Nest::List(vec![plain(2), plain(3)]))]);
        Nest::List(vec![plain(0), Nest::Dict(inner)])
    }

    fn numbers(nest: &Nest) -> Vec<i64> {
        flatten(nest).iter().map(|leaf| leaf.plain().and_then(|v| v.as_i64()).unwrap_or(-1)).collect()
    }

    #[test]
    fn leaves_come_in_the_order_of_sorted_keys() {
        assert_eq!(numbers(&sample()), [0, 2, 3, 1]);
        let nest = sample();
        assert_eq!(flatten_with_path(&nest)[2].0, [Key::Index(1), Key::Name("a".into()), Key::Index(1)]);
        let packed = pack_sequence_as(&sample(), (10..14).map(plain).collect()).unwrap();
        assert_eq!(numbers(&packed), [10, 11, 12, 13]);
        assert!(pack_sequence_as(&sample(), vec![]).is_err());
    }

    #[test]
    fn maps_go_over_structures_of_one_form() {
        let sum = |leaves: &[&Nest]| Ok(plain(leaves.iter().map(|l| numbers(l).iter().sum::<i64>()).sum()));
        assert_eq!(numbers(&map_structure(sum, &[&sample(), &sample()]).unwrap()), [0, 4, 6, 2]);
        let shallow = Nest::List(vec![plain(0), plain(0)]);
        assert!(map_structure(sum, &[&shallow, &sample()]).is_err());
        assert_eq!(numbers(&map_structure_up_to(&shallow, sum, &[&sample()]).unwrap()), [0, 6]);
        assert!(assert_same_structure(&shallow, &sample()).unwrap_err().to_string().contains("differ"));
        assert!(assert_same_paths(&sample(), &sample()).is_ok());
    }

    #[test]
    fn shapes_are_leaves() {
        let count = |shape: &Shape| Ok(plain(shape.iter().filter(|d| d.known().is_some()).count() as i64));
        let pair = Nest::List(vec![Nest::none(), plain(3)]);
        let nest = Nest::Dict(IndexMap::from([
            ("b".to_owned(), Nest::List(vec![pair.clone(), Nest::Plain(json!([[2, 2], {"c": []}]))])),
            ("a".to_owned(), pair),
        ]));
        let mapped = map_shape_structure(count, &nest).unwrap();
        assert_eq!(numbers(&mapped), [1, 1, 2, 0]);
        let Nest::Dict(items) = &mapped else { panic!("{mapped:?}") };
        assert_eq!(items.keys().collect::<Vec<_>>(), ["b", "a"]);
        for wrong in [json!("a"), json!([1.5]), json!(3), json!([[-1]])] {
            assert!(map_shape_structure(count, &Nest::Plain(wrong)).is_err());
        }
    }

    #[test]
    fn traversing_replaces_parts() {
        let mut dict_away = |n: &Nest| if matches!(n, Nest::Dict(_)) { Visit::MapToNone } else { Visit::Keep };
        assert_eq!(numbers(&traverse(&mut dict_away, &sample(), true)), [0, -1]);
        let mut up = |n: &Nest| n.plain().map_or(Visit::Keep, |v| Visit::Replace(plain(v.as_i64().unwrap() + 1)));
        assert_eq!(numbers(&traverse(&mut up, &sample(), false)), [1, 3, 4, 2]);
    }
}
