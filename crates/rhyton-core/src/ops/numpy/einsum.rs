//! `einsum`: sums of products by Einstein's convention.

use rhyton_ir::op::{DotGeneral, ReduceKind};
use rhyton_ir::{DType, Dim};
use serde::{Deserialize, Serialize};

use super::MODULE;
use crate::error::{Error, Result};
use crate::keras_object;
use crate::nest::{Args, Nest};
use crate::ops::primitives::{filled, iota, permute, reduced, reshaped, select, without_axes};
use crate::ops::{Operation, OperationClass, apply};
use crate::promotion::promote;
use crate::tensor::Tensor;

/// The sum of products that `subscripts` describe: `"bij,bjk->bik"`. A letter names an axis of every operand that has it;
/// letters that the result lacks are summed over. `...` stands for any further axes, which broadcast. Without `->` the
/// result has the letters that occur once, sorted. Of `int8` alone the result is `int32`.
///
/// # Examples
/// ```
/// use rhyton_core::{Tensor, ops};
///
/// let x = Tensor::new([2, 2], vec![1.0f32, 2.0, 3.0, 4.0]);
/// assert_eq!(ops::einsum("ij,kj->ik", &[&x, &x]).to_vec::<f32>()?, [5.0, 11.0, 11.0, 25.0]);
/// assert_eq!(ops::einsum("ii", &[&x]).item()?, 5.0);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[track_caller]
pub fn einsum(subscripts: &str, operands: &[&Tensor]) -> Tensor {
    let mut args = Args::default();
    args.positional = operands.iter().map(|&t| t.into()).collect();
    apply(Einsum { subscripts: subscripts.to_owned() }, args)
}

/// The class of [`einsum`]: its arguments are variadic, so it is none of a table of classes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Einsum {
    subscripts: String,
}
keras_object!(Einsum);

/// This operation as configurations name it.
pub(crate) const CLASSES: &[OperationClass] =
    &[OperationClass { name: "Einsum", from_config: crate::ops::class::make::<Einsum> }];

impl Operation for Einsum {
    fn module(&self) -> &'static str {
        MODULE
    }

    fn compute(&self, args: &Args) -> Result<Nest> {
        let operands = args.tensors();
        let (inputs, output) = parse(&self.subscripts, &operands.iter().map(|t| t.rank()).collect::<Vec<_>>())?;
        let Some(dtype) = operands.iter().map(|t| t.dtype()).reduce(promote) else {
            return Err(Error::argument("einsum", "no operands", "give one for each term"));
        };
        let dtype = if dtype == DType::I8 { DType::I32 } else { dtype };
        let terms = operands.into_iter().zip(inputs).map(|(t, labels)| Term { x: t.cast(dtype), labels }.diagonal());
        let mut rest: Vec<Term> = terms.collect::<Result<_>>()?;
        check_sizes(&self.subscripts, &rest)?;
        rest.reverse();
        let mut term = rest.pop().ok_or_else(|| self.wrong("it has no terms"))?;
        while let Some(next) = rest.pop() {
            let needed = |l: &Label| output.contains(l) || rest.iter().any(|t| t.labels.contains(l));
            term = term.times(next, needed);
        }
        Ok(term.arranged(&output).check()?.clone().into())
    }
}

impl Einsum {
    fn wrong(&self, what: &str) -> Error {
        Error::argument("einsum", format!("{:?}: {what}", self.subscripts), "write terms as in \"bij,bjk->bik\"")
    }
}

/// A letter, or an axis of the ellipsis counted from its end (above all letters).
type Label = u32;

const ELLIPSIS: Label = 1 << 24;

/// The labels of every operand's axes and of the result's.
fn parse(subscripts: &str, ranks: &[usize]) -> Result<(Vec<Vec<Label>>, Vec<Label>)> {
    let wrong = |what: String| {
        Error::argument("einsum", format!("{subscripts:?}: {what}"), "write terms as in \"bij,bjk->bik\"")
    };
    let text: String = subscripts.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = match text.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (&text[..], None),
    };
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != ranks.len() {
        return Err(wrong(format!("{} terms for {} operands", terms.len(), ranks.len())));
    }
    let mut widest = 0;
    let mut labels_of = |term: &str, rank: Option<usize>| -> Result<Vec<Label>> {
        let letters = |part: &str| -> Result<Vec<Label>> {
            let label = |c: char| c.is_alphabetic().then_some(c as Label).ok_or_else(|| wrong(format!("{c:?}")));
            part.chars().map(label).collect()
        };
        let Some((before, after)) = term.split_once("...") else {
            let labels = letters(term)?;
            if rank.is_some_and(|r| r != labels.len()) {
                return Err(wrong(format!("{term:?} for an operand of rank {}", rank.unwrap_or(0))));
            }
            return Ok(labels);
        };
        let (before, after) = (letters(before)?, letters(after)?);
        let more = match rank {
            Some(rank) => rank.checked_sub(before.len() + after.len()),
            None => Some(widest),
        };
        let more = more.ok_or_else(|| wrong(format!("{term:?} for an operand of rank {}", rank.unwrap_or(0))))?;
        widest = widest.max(more);
        Ok(before.into_iter().chain((0..more as Label).rev().map(|k| ELLIPSIS + k)).chain(after).collect())
    };
    let mut inputs = Vec::new();
    for (term, &rank) in terms.iter().zip(ranks) {
        inputs.push(labels_of(term, Some(rank))?);
    }
    let output = match right {
        Some(term) => labels_of(term, None)?,
        None => {
            let all: Vec<Label> = inputs.iter().flatten().copied().collect();
            let once = |l: &&Label| **l < ELLIPSIS && all.iter().filter(|o| o == l).count() == 1;
            let mut letters: Vec<Label> = all.iter().filter(once).copied().collect();
            letters.sort_unstable();
            (0..widest as Label).rev().map(|k| ELLIPSIS + k).chain(letters).collect()
        }
    };
    for (i, label) in output.iter().enumerate() {
        if output[..i].contains(label) || !inputs.iter().any(|labels| labels.contains(label)) {
            return Err(wrong("a letter of the result occurs twice there, or in no term".into()));
        }
    }
    Ok((inputs, output))
}

fn check_sizes(subscripts: &str, terms: &[Term]) -> Result<()> {
    let mut sizes: Vec<(Label, Dim)> = Vec::new();
    for term in terms {
        for (&label, d) in term.labels.iter().zip(term.x.shape().iter()) {
            match sizes.iter_mut().find(|(l, _)| *l == label) {
                None => sizes.push((label, d.clone())),
                Some((_, size)) if size.is(1) && label >= ELLIPSIS => *size = d.clone(),
                Some((_, size)) if size.compatible(d) || (d.is(1) && label >= ELLIPSIS) => {}
                Some((_, size)) => {
                    let letter = char::from_u32(label).unwrap_or('…');
                    return Err(Error::shape(
                        "einsum",
                        format!("{subscripts:?}: {letter} is {size} in one term and {d} in another"),
                        "make them equal",
                    ));
                }
            }
        }
    }
    Ok(())
}

/// A tensor with a label for every axis.
struct Term {
    x: Tensor,
    labels: Vec<Label>,
}

impl Term {
    /// The diagonal over axes with the same label, so that no label occurs twice.
    fn diagonal(mut self) -> Result<Term> {
        while let Some((first, second)) = self.repeated() {
            let (a, b) = (&self.x.shape()[first], &self.x.shape()[second]);
            if !a.compatible(b) {
                return Err(Error::shape(
                    "einsum",
                    format!("axes {first} and {second} of {} have one letter", self.x.ty()),
                    "make them equal",
                ));
            }
            let shape = self.x.shape().clone();
            let count = |axis| iota(DType::I64, shape.clone(), axis);
            let zeros = filled(self.x.dtype(), &shape, 0.0);
            let diagonal = select(&super::equal(count(first), count(second)), &self.x, &zeros);
            self.x = reduced(ReduceKind::Sum, &diagonal, &[second]);
            self.labels.remove(second);
        }
        Ok(self)
    }

    fn repeated(&self) -> Option<(usize, usize)> {
        let at = |label: &Label| self.labels.iter().position(|l| l == label);
        let repeats = |(second, label)| at(label).filter(|&first| first < second).map(|first| (first, second));
        self.labels.iter().enumerate().find_map(repeats)
    }

    /// The sum over the axes whose label is not `needed`.
    fn summed(self, needed: impl Fn(&Label) -> bool) -> Term {
        let gone: Vec<usize> = (0..self.labels.len()).filter(|&a| !needed(&self.labels[a])).collect();
        let labels = self.labels.into_iter().filter(|l| needed(l)).collect();
        Term { x: reduced(ReduceKind::Sum, &self.x, &gone), labels }
    }

    /// Without the axes of size 1 that `other` has larger: they broadcast.
    fn narrowed(self, other: &Term) -> Term {
        let repeats = |a: &usize| {
            let label = &self.labels[*a];
            let at = other.labels.iter().position(|l| l == label);
            self.x.shape()[*a].is(1) && at.is_some_and(|at| !other.x.shape()[at].is(1))
        };
        let gone: Vec<usize> = (0..self.labels.len()).filter(repeats).collect();
        let x = reshaped(&self.x, without_axes(self.x.shape(), &gone));
        let labels = self.labels.iter().enumerate().filter(|(a, _)| !gone.contains(a)).map(|(_, &l)| l).collect();
        Term { x, labels }
    }

    /// The product, summed over the labels that are not `needed` any more.
    fn times(self, other: Term, needed: impl Fn(&Label) -> bool) -> Term {
        let (x, y) = (self.narrowed(&other), other);
        let y = y.narrowed(&x);
        let (in_x, in_y) = (x.labels.clone(), y.labels.clone());
        let x = x.summed(|l| needed(l) || in_y.contains(l));
        let y = y.summed(|l| needed(l) || in_x.contains(l));
        let shared: Vec<Label> = x.labels.iter().filter(|l| y.labels.contains(l)).copied().collect();
        let place = |labels: &[Label], of: &[Label]| -> Vec<usize> {
            of.iter().filter_map(|l| labels.iter().position(|o| o == l)).collect()
        };
        let (batch, contracted): (Vec<Label>, Vec<Label>) = shared.iter().partition(|l| needed(l));
        let dims = DotGeneral {
            lhs_batch: place(&x.labels, &batch),
            rhs_batch: place(&y.labels, &batch),
            lhs_contract: place(&x.labels, &contracted),
            rhs_contract: place(&y.labels, &contracted),
        };
        let free = x.labels.iter().chain(&y.labels).filter(|l| !shared.contains(l)).copied();
        let labels = batch.iter().copied().chain(free).collect();
        Term { x: Tensor::apply(dims, &[&x.x, &y.x]), labels }
    }

    /// Summed and transposed to the labels `output`.
    fn arranged(self, output: &[Label]) -> Tensor {
        let term = self.summed(|l| output.contains(l));
        if term.x.error().is_some() {
            return term.x;
        }
        let order: Vec<usize> = output.iter().filter_map(|l| term.labels.iter().position(|o| o == l)).collect();
        permute(&term.x, &order)
    }
}
