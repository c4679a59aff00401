//! The terms that a lookup knows, where each stands, and the lookup itself.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use rhyton_ir::op::HostFunction;
use rhyton_ir::{Array, DType, TensorType};

use super::encode::{OutputMode, encode_on_host, encoded_type};
use super::index_lookup::OovMethod;
use super::term::Term;
use crate::error::Result;

/// How terms become indices, and indices terms.
#[derive(Clone, Debug)]
pub(super) struct Rules<T> {
    /// What is no term but masked, and the index that it has.
    pub mask: Option<(T, i64)>,
    /// The index of the first term that is not known.
    pub unknown_start: i64,
    /// How many indices those have that are not known; with none they are refused.
    pub unknown: usize,
    /// How they are spread over several.
    pub method: OovMethod,
    pub salt: Option<[u64; 2]>,
    /// The index of the first term.
    pub start: i64,
    /// What stands for terms that are not known.
    pub oov_token: T,
}

/// The terms in order.
#[derive(Clone, Debug)]
pub(super) struct Vocabulary<T> {
    terms: Vec<T>,
    places: HashMap<T, usize>,
}

impl<T: Term> Vocabulary<T> {
    pub(super) fn new(terms: Vec<T>) -> Vocabulary<T> {
        let places = terms.iter().enumerate().map(|(place, term)| (term.clone(), place)).collect();
        Vocabulary { terms, places }
    }

    pub(super) fn terms(&self) -> &[T] {
        &self.terms
    }

    /// A term that is there more than once.
    pub(super) fn repeated(&self) -> Option<&T> {
        self.terms.iter().enumerate().find(|(place, term)| self.places[term] != *place).map(|(_, term)| term)
    }

    pub(super) fn has(&self, value: &T) -> bool {
        self.places.contains_key(value)
    }

    /// The index of `value`; `None` if it is refused.
    pub(super) fn index_of(&self, value: &T, rules: &Rules<T>) -> Option<i64> {
        if let Some((_, index)) = rules.mask.as_ref().filter(|(mask, _)| mask == value) {
            return Some(*index);
        }
        if let Some(&place) = self.places.get(value) {
            return Some(place as i64 + rules.start);
        }
        let among = match rules.unknown {
            0 => return None,
            1 => 0,
            count => value.bucket(count as u64, rules.method, rules.salt),
        };
        Some(rules.unknown_start + among)
    }

    /// The term that `index` stands for.
    pub(super) fn term_at<'t>(&'t self, index: i64, rules: &'t Rules<T>) -> &'t T {
        if let Some((mask, _)) = rules.mask.as_ref().filter(|(_, masked)| *masked == index) {
            return mask;
        }
        let place = index.checked_sub(rules.start).and_then(|place| usize::try_from(place).ok());
        place.and_then(|place| self.terms.get(place)).unwrap_or(&rules.oov_token)
    }

    /// The bytes of the longest term.
    pub(super) fn width(&self, rules: &Rules<T>) -> usize {
        let special = rules.mask.iter().map(|(mask, _)| mask).chain([&rules.oov_token]);
        self.terms.iter().chain(special).map(Term::width).max().unwrap_or(0).max(1)
    }
}

/// How often terms occurred in data, and in how many examples.
#[derive(Clone, Debug)]
pub(super) struct Counts<T> {
    terms: BTreeMap<T, usize>,
    documents: HashMap<T, usize>,
    examples: usize,
}

impl<T> Default for Counts<T> {
    fn default() -> Counts<T> {
        Counts { terms: BTreeMap::new(), documents: HashMap::new(), examples: 0 }
    }
}

impl<T: Term> Counts<T> {
    /// Counts the terms of one example.
    pub(super) fn add<'t>(&mut self, example: impl IntoIterator<Item = &'t T>) {
        let mut seen: HashSet<&T> = HashSet::new();
        for term in example {
            *self.terms.entry(term.clone()).or_default() += 1;
            if seen.insert(term) {
                *self.documents.entry(term.clone()).or_default() += 1;
            }
        }
        self.examples += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The most frequent terms, the larger first of those as frequent, and for each the logarithm of how rare the examples
    /// are that have it.
    pub(super) fn most_frequent(&self, without: &[&T], limit: Option<usize>) -> (Vocabulary<T>, Vec<f64>) {
        let known = self.terms.iter().rev().filter(|(term, _)| !without.contains(term));
        let mut counted: Vec<(&T, &usize)> = known.collect();
        counted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        counted.truncate(limit.unwrap_or(usize::MAX));
        let rarity = |term: &T| {
            let documents = self.documents.get(term).copied().unwrap_or(0);
            (1.0 + self.examples as f64 / (1 + documents) as f64).ln()
        };
        let weights = counted.iter().map(|(term, _)| rarity(term)).collect();
        (Vocabulary::new(counted.into_iter().map(|(term, _)| term.clone()).collect()), weights)
    }
}

/// The vocabulary, once it is known. Compiled functions look here when they run.
pub(super) type Known<T> = Arc<Mutex<Option<Arc<Vocabulary<T>>>>>;

/// What to do where there is no vocabulary.
pub(super) const NO_VOCABULARY: &str = "call adapt with data, or give it";

/// From terms to indices, or to vectors of them, on the host.
#[derive(Debug)]
pub(super) struct Lookup<T> {
    pub(super) known: Known<T>,
    pub(super) rules: Rules<T>,
    name: String,
    mode: OutputMode,
    depth: usize,
    dtype: DType,
}

impl<T: Term> Lookup<T> {
    /// `depth` is the size of vectors, which have `dtype`.
    pub(super) fn new(known: &Known<T>, rules: Rules<T>, mode: OutputMode, depth: usize, dtype: DType) -> Lookup<T> {
        // A vocabulary lives as long as a program that looks into it: its address tells programs apart.
        let name = format!("lookup_{:p}_{mode:?}_{depth}_{dtype}_{rules:?}", Arc::as_ptr(known));
        Lookup { known: Arc::clone(known), rules, name, mode, depth, dtype }
    }

    /// The indices of `terms`.
    pub(super) fn indices<'t>(&self, terms: impl Iterator<Item = &'t T>) -> rhyton_ir::Result<Vec<i64>> {
        let vocabulary = vocabulary(&self.known)?;
        let found = terms.map(|term| {
            vocabulary.index_of(term, &self.rules).ok_or_else(|| {
                let what = format!("{term:?} is no term, and num_oov_indices is 0");
                rhyton_ir::Error::execution(T::CLASS, what, "set num_oov_indices to at least 1")
            })
        });
        found.collect()
    }

    /// The indices in the form of the result.
    pub(super) fn encode(&self, indices: Vec<i64>, shape: &[usize]) -> Array {
        encode_on_host(indices, shape, self.mode, self.depth, self.dtype)
    }

    /// The type of the result for indices of type `ty`.
    pub(super) fn encoded_type(&self, ty: &TensorType) -> TensorType {
        encoded_type(&ty.shape, self.mode, self.depth, self.dtype)
    }
}

/// The vocabulary that is there when a program runs.
fn vocabulary<T: Term>(known: &Known<T>) -> rhyton_ir::Result<Arc<Vocabulary<T>>> {
    let known = known.lock().unwrap_or_else(|e| e.into_inner()).clone();
    known.ok_or_else(|| rhyton_ir::Error::execution(T::CLASS, "there is no vocabulary", NO_VOCABULARY))
}

/// The terms of an array that programs are given.
pub(super) fn read<T: Term>(x: &Array) -> rhyton_ir::Result<(Vec<usize>, Vec<T>)> {
    let failed = |e: crate::Error| rhyton_ir::Error::execution(T::CLASS, e.to_string(), "give other data");
    T::read(x).map_err(failed)
}

impl<T: Term> HostFunction for Lookup<T> {
    fn name(&self) -> &str {
        &self.name
    }

    fn infer(&self, inputs: &[&TensorType]) -> rhyton_ir::Result<Vec<TensorType>> {
        let texts = T::encoding().is_some();
        let kept = inputs[0].rank() - usize::from(texts && inputs[0].rank() > 0);
        let shape: rhyton_ir::Shape = inputs[0].shape[..kept].iter().cloned().collect();
        Ok(vec![self.encoded_type(&TensorType::new(DType::I64, shape))])
    }

    fn call(&self, inputs: &[&Array]) -> rhyton_ir::Result<Vec<Array>> {
        let (shape, terms) = read::<T>(inputs[0])?;
        Ok(vec![self.encode(self.indices(terms.iter())?, &shape)])
    }
}

/// From indices to terms, on the host.
#[derive(Debug)]
pub(super) struct Inverse<T> {
    known: Known<T>,
    rules: Rules<T>,
    name: String,
    /// The bytes of texts, unless the call is on symbols.
    width: Option<usize>,
}

impl<T: Term> Inverse<T> {
    pub(super) fn new(known: &Known<T>, rules: Rules<T>, width: Option<usize>) -> Inverse<T> {
        let name = format!("inverse_lookup_{:p}_{width:?}_{rules:?}", Arc::as_ptr(known));
        Inverse { known: Arc::clone(known), rules, name, width }
    }
}

impl<T: Term> HostFunction for Inverse<T> {
    fn name(&self) -> &str {
        &self.name
    }

    fn infer(&self, inputs: &[&TensorType]) -> rhyton_ir::Result<Vec<TensorType>> {
        Ok(vec![T::type_like(inputs[0], self.width)])
    }

    fn call(&self, inputs: &[&Array]) -> rhyton_ir::Result<Vec<Array>> {
        let vocabulary = vocabulary(&self.known)?;
        let indices = inputs[0].as_slice::<i64>().unwrap_or_default();
        let terms: Vec<&T> = indices.iter().map(|&index| vocabulary.term_at(index, &self.rules)).collect();
        Ok(vec![T::write(inputs[0].shape(), &terms, self.width.unwrap_or(1))])
    }
}

/// Whether `terms` begins with `special`, and what follows.
pub(super) fn after_special<'t, T: PartialEq>(terms: &'t [T], special: &[T]) -> (bool, &'t [T]) {
    terms.strip_prefix(special).map_or((false, terms), |rest| (true, rest))
}

/// The vocabulary's file: a term a line.
pub(super) fn lines<T: Term>(terms: &[T]) -> Vec<u8> {
    terms.iter().map(T::to_string).collect::<Vec<_>>().join("\n").into_bytes()
}

/// The terms of a vocabulary's file.
///
/// # Errors
/// If it is not UTF-8, or a line is no term.
pub(super) fn parse_lines<T: Term>(file: &str, bytes: &[u8]) -> Result<Vec<T>> {
    let damaged = |what: String| crate::Error::content(file, what, "the file is damaged; save the model again");
    let text = std::str::from_utf8(bytes).map_err(|e| damaged(e.to_string()))?;
    // Python's splitlines, and without the empty lines at the end, as Keras reads it.
    let mut lines: Vec<&str> = split_lines(text);
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    let term = |line: &&str| T::parse(line).ok_or_else(|| damaged(format!("{line:?} is no term")));
    lines.iter().map(term).collect()
}

/// The lines of `text`, as Python's `splitlines` divides it.
fn split_lines(text: &str) -> Vec<&str> {
    const ENDS: &[char] =
        &['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some(end) = rest.find(ENDS) else {
            lines.push(rest);
            break;
        };
        lines.push(&rest[..end]);
        rest = rest[end..].strip_prefix("\r\n").unwrap_or_else(|| {
            let mut chars = rest[end..].chars();
            chars.next();
            chars.as_str()
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_line_by_line_as_python_does() {
        assert_eq!(
            parse_lines::<String>("f", "\n[UNK]\na b\r\nc\u{2028}d\n\n".as_bytes()).unwrap(),
            ["", "[UNK]", "a b", "c", "d"]
        );
        assert_eq!(parse_lines::<i64>("f", b"-1\n 3").unwrap(), [-1, 3]);
        assert!(parse_lines::<i64>("f", b"x").unwrap_err().to_string().contains("no term"));
        assert!(parse_lines::<String>("f", &[0xff]).is_err());
    }
}
