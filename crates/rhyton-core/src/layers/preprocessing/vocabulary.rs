//! The terms that a lookup knows, where each stands, and the lookup itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use rhyton_ir::op::HostFunction;
use rhyton_ir::{Array, DType, TensorType};

use super::hash::bucket;

/// What is done with numbers that are no terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Nothing: they are refused.
    Refused,
    /// They share one index.
    One,
    /// They are spread over this many indices by their remainder.
    Remainder(i64),
    /// They are spread over this many indices by a hash.
    Hash(u64, Option<[u64; 2]>),
}

/// How numbers become indices, and indices numbers.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// The number that is no term but masked, and the index that it has.
    pub mask: Option<(i64, i64)>,
    /// The index of the first number that is no term.
    pub unknown_start: i64,
    pub unknown: Unknown,
    /// The index of the first term.
    pub start: i64,
    /// What stands for numbers that are no terms.
    pub oov_token: i64,
}

/// The terms in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Vocabulary {
    terms: Vec<i64>,
    places: HashMap<i64, usize>,
}

impl Vocabulary {
    pub(super) fn new(terms: Vec<i64>) -> Vocabulary {
        let places = terms.iter().enumerate().map(|(place, &term)| (term, place)).collect();
        Vocabulary { terms, places }
    }

    /// The terms that `data` has most often; of those as often, the larger first.
    pub(super) fn most_frequent(data: &[i64], without: &[Option<i64>], limit: Option<usize>) -> Vocabulary {
        let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
        for value in data.iter().filter(|v| !without.contains(&Some(**v))) {
            *counts.entry(*value).or_default() += 1;
        }
        let mut counted: Vec<(i64, usize)> = counts.into_iter().rev().collect();
        counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counted.truncate(limit.unwrap_or(usize::MAX));
        Vocabulary::new(counted.into_iter().map(|(term, _)| term).collect())
    }

    pub(super) fn terms(&self) -> &[i64] {
        &self.terms
    }

    /// A term that is there more than once.
    pub(super) fn repeated(&self) -> Option<i64> {
        self.terms.iter().enumerate().find(|(place, term)| self.places[term] != *place).map(|(_, term)| *term)
    }

    pub(super) fn has(&self, value: i64) -> bool {
        self.places.contains_key(&value)
    }

    /// The index of `value`; `None` if it is refused.
    pub(super) fn index_of(&self, value: i64, rules: &Rules) -> Option<i64> {
        if let Some((_, index)) = rules.mask.filter(|(mask, _)| *mask == value) {
            return Some(index);
        }
        if let Some(&place) = self.places.get(&value) {
            return Some(place as i64 + rules.start);
        }
        let among = match rules.unknown {
            Unknown::Refused => return None,
            Unknown::One => 0,
            Unknown::Remainder(count) => value.rem_euclid(count),
            Unknown::Hash(count, salt) => bucket(value, count, salt),
        };
        Some(rules.unknown_start + among)
    }

    /// The number that `index` stands for.
    pub(super) fn term_at(&self, index: i64, rules: &Rules) -> i64 {
        if let Some((mask, _)) = rules.mask.filter(|(_, masked)| *masked == index) {
            return mask;
        }
        let place = index.checked_sub(rules.start).and_then(|place| usize::try_from(place).ok());
        place.and_then(|place| self.terms.get(place)).copied().unwrap_or(rules.oov_token)
    }
}

/// The vocabulary, once it is known. Compiled functions look here when they run.
pub(super) type Known = Arc<Mutex<Option<Arc<Vocabulary>>>>;

/// What to do where there is no vocabulary.
pub(super) const NO_VOCABULARY: &str = "call adapt with data, or give it";

/// The lookup, on the host.
#[derive(Debug)]
pub(super) struct Lookup {
    known: Known,
    rules: Rules,
    invert: bool,
    name: String,
}

impl Lookup {
    pub(super) fn new(known: &Known, rules: Rules, invert: bool) -> Lookup {
        // A vocabulary lives as long as a program that looks into it: its address tells programs apart.
        let name = format!("integer_lookup_{:p}_{invert}_{rules:?}", Arc::as_ptr(known));
        Lookup { known: Arc::clone(known), rules, invert, name }
    }
}

impl HostFunction for Lookup {
    fn name(&self) -> &str {
        &self.name
    }

    fn infer(&self, inputs: &[&TensorType]) -> rhyton_ir::Result<Vec<TensorType>> {
        Ok(vec![TensorType::new(DType::I64, inputs[0].shape.clone())])
    }

    fn call(&self, inputs: &[&Array]) -> rhyton_ir::Result<Vec<Array>> {
        let failed = |what: String, fix: &str| rhyton_ir::Error::execution("IntegerLookup", what, fix);
        let known = self.known.lock().unwrap_or_else(|e| e.into_inner()).clone();
        let vocabulary = known.ok_or_else(|| failed("there is no vocabulary".into(), NO_VOCABULARY))?;
        let x = inputs[0];
        let found = x.as_slice::<i64>().unwrap_or_default().iter().map(|&value| {
            if self.invert {
                return Ok(vocabulary.term_at(value, &self.rules));
            }
            vocabulary.index_of(value, &self.rules).ok_or_else(|| {
                failed(format!("{value} is no term, and num_oov_indices is 0"), "set num_oov_indices to at least 1")
            })
        });
        Ok(vec![Array::new(x.shape(), found.collect::<rhyton_ir::Result<Vec<i64>>>()?)])
    }
}
