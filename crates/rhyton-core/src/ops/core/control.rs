//! Loops and branches that are part of the computation: `scan`, `while_loop`, `cond`, `map`, …
//!
//! Their functions are traced once, on placeholders; tensors from outside that they use are passed in. They hold code, so
//! no configuration can name them: on symbols of a functional model, use them inside a layer of your own.

use std::sync::Arc;

use rhyton_ir::op::{Cond, CustomGradient, Remat, Scan, While};
use rhyton_ir::{DType, Dim, Graph, TensorType};

use crate::error::{Error, Result};
use crate::ops::primitives::{reshaped, size};
use crate::ops::{self, Index};
use crate::tensor::{Captured, Tensor, trace_function};

fn refuse_symbols<'t>(op: &str, tensors: impl IntoIterator<Item = &'t Tensor>) -> Result<()> {
    for tensor in tensors {
        if tensor.check()?.is_symbol() {
            return Err(Error::unsupported(
                op,
                "its function is code, which a functional model cannot hold",
                "use it inside a layer or model of your own",
            ));
        }
    }
    Ok(())
}

fn types(tensors: &[Tensor]) -> Vec<TensorType> {
    tensors.iter().map(|t| t.ty().clone()).collect()
}

/// The tensors from outside that any of the functions uses.
fn union<'c>(functions: impl IntoIterator<Item = &'c Captured>) -> Vec<Tensor> {
    let mut all: Vec<Tensor> = Vec::new();
    for captured in functions.into_iter().flat_map(Captured::captures) {
        if !all.iter().any(|t| t.is(captured)) {
            all.push(captured.clone());
        }
    }
    all
}

fn apply(op: impl Into<rhyton_ir::Op>, operands: &[&[Tensor]]) -> Result<Vec<Tensor>> {
    let operands: Vec<&Tensor> = operands.iter().copied().flatten().collect();
    let outputs = Tensor::apply_all(op, &operands);
    outputs.iter().try_for_each(|t| t.check().map(|_| ()))?;
    Ok(outputs)
}

/// A loop over the first axis of `xs` with a carried state: `f(carry, x_t) -> (carry, y_t)`, from `init` on. The final
/// carry, and the `y_t` stacked. Backwards if `reverse`. Without `xs`, `length` says how many steps there are.
///
/// # Errors
/// That of `f`; if it changes the number, dtypes or shapes of the carry; if the lengths of `xs` differ.
///
/// # Examples
/// ```
/// use rhyton_core::{Tensor, ops};
///
/// let x = Tensor::new([3], vec![1.0f32, 2.0, 3.0]);
/// let (last, sums) = ops::scan(
///     |carry, x| {
///         let sum = &carry[0] + &x[0];
///         Ok((vec![sum.clone()], vec![sum]))
///     },
///     &[Tensor::from(0.0f32)],
///     &[x],
///     None,
///     false,
/// )?;
/// assert_eq!(sums[0].to_vec::<f32>()?, [1.0, 3.0, 6.0]);
/// assert_eq!(last[0].item()?, 6.0);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
pub fn scan(
    f: impl FnOnce(&[Tensor], &[Tensor]) -> Result<(Vec<Tensor>, Vec<Tensor>)>,
    init: &[Tensor],
    xs: &[Tensor],
    length: Option<usize>,
    reverse: bool,
) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
    refuse_symbols("scan", init.iter().chain(xs))?;
    let wrong = |what: String, fix: &str| Error::argument("scan", what, fix);
    if let Some(x) = xs.iter().find(|x| x.rank() == 0) {
        return Err(wrong(format!("xs has a scalar, {}", x.ty()), "give tensors with a first axis"));
    }
    let steps: Dim = match (xs.first(), length) {
        (Some(x), None) => x.dim(0),
        (first, Some(n)) if first.is_none_or(|x| x.dim(0).compatible(&n.into())) => n.into(),
        (first, length) => {
            let of = first.map(|x| x.ty().to_string());
            return Err(wrong(format!("length {length:?} with xs {of:?}"), "give xs, or a length that is theirs"));
        }
    };
    let slice = |x: &Tensor| TensorType::new(x.dtype(), x.shape()[1..].to_vec());
    let arguments: Vec<TensorType> = types(init).into_iter().chain(xs.iter().map(slice)).collect();
    let carries = init.len();
    let mut returned = 0;
    let captured = trace_function(&arguments, |arguments| {
        let (carry, ys) = f(&arguments[..carries], &arguments[carries..])?;
        returned = carry.len();
        Ok(carry.into_iter().chain(ys).collect())
    })?;
    if returned != carries {
        return Err(wrong(format!("{returned} carries of {carries}"), "return as many as there are"));
    }
    let consts = captured.captures().to_vec();
    let body = Arc::new(captured.graph(&consts)?);
    let op = Scan { body, consts: consts.len(), carries, length: steps, reverse };
    let mut carry = apply(op, &[&consts, init, xs])?;
    let ys = carry.split_off(carries);
    Ok((carry, ys))
}

/// Iterates `body` on `loop_vars` while `cond` of them is true (a scalar `bool`), at most `maximum_iterations` times. It
/// has no reverse-mode gradient, for its length is not known: use [`scan`] or [`fori_loop`] for one.
///
/// # Errors
/// That of a function; if `body` changes the number, dtypes or shapes of the variables.
pub fn while_loop(
    cond: impl FnOnce(&[Tensor]) -> Result<Tensor>,
    body: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>,
    loop_vars: &[Tensor],
    maximum_iterations: Option<i64>,
) -> Result<Vec<Tensor>> {
    refuse_symbols("while_loop", loop_vars)?;
    // The count is a variable before the others.
    let state: Vec<Tensor> = std::iter::once(Tensor::from(0i64)).chain(loop_vars.iter().cloned()).collect();
    let condition = trace_function(&types(&state), |state| {
        let goes_on = cond(&state[1..])?.cast(DType::Bool);
        Ok(vec![match maximum_iterations {
            Some(most) => ops::logical_and(&goes_on, ops::less(&state[0], most)),
            None => goes_on,
        }])
    })?;
    let body = trace_function(&types(&state), |state| {
        let next = body(&state[1..])?;
        Ok(std::iter::once(&state[0] + 1).chain(next).collect())
    })?;
    let consts = union([&condition, &body]);
    // What does not change is part of the state, too.
    let mut step = body.graph(&consts)?;
    let outputs = step.parameters()[..consts.len()].iter().chain(step.outputs()).copied().collect();
    step.set_outputs(outputs);
    let op = While { condition: Arc::new(condition.graph(&consts)?), body: Arc::new(step) };
    Ok(apply(op, &[&consts, &state])?.split_off(consts.len() + 1))
}

/// `val = body_fun(i, val)` for `i` from `lower` to `upper − 1` (`int32`), from `init_val` on. It has a gradient.
///
/// # Errors
/// As [`scan`].
pub fn fori_loop(
    lower: i64,
    upper: i64,
    body_fun: impl FnOnce(&Tensor, &[Tensor]) -> Result<Vec<Tensor>>,
    init_val: &[Tensor],
) -> Result<Vec<Tensor>> {
    let count = usize::try_from(upper.saturating_sub(lower)).unwrap_or(0);
    let init: Vec<Tensor> = std::iter::once(Tensor::from(lower as i32)).chain(init_val.iter().cloned()).collect();
    let body = |carry: &[Tensor], _: &[Tensor]| {
        let next = body_fun(&carry[0], &carry[1..])?;
        Ok((std::iter::once(&carry[0] + 1).chain(next).collect(), vec![]))
    };
    let (mut last, _) = scan(body, &init, &[], Some(count), false)?;
    Ok(last.split_off(1))
}

fn branches(index: &Tensor, functions: &[Captured], operands: &[Tensor]) -> Result<Vec<Tensor>> {
    let consts = union(functions);
    let graphs = functions.iter().map(|f| f.graph(&consts).map(Arc::new)).collect::<Result<Vec<Arc<Graph>>>>()?;
    let index = reshaped(&index.cast(DType::I32), rhyton_ir::Shape::scalar());
    apply(Cond { branches: graphs }, &[&[index], &consts, operands])
}

/// What `true_fn` gives where the scalar `pred` is true (not 0), else what `false_fn` gives. Only one of them is computed.
///
/// # Errors
/// That of a function; if the numbers, dtypes or shapes of the results differ.
pub fn cond(
    pred: &Tensor,
    true_fn: impl FnOnce() -> Result<Vec<Tensor>>,
    false_fn: impl FnOnce() -> Result<Vec<Tensor>>,
) -> Result<Vec<Tensor>> {
    refuse_symbols("cond", [pred])?;
    let functions = [trace_function(&[], |_| false_fn())?, trace_function(&[], |_| true_fn())?];
    branches(&pred.cast(DType::Bool), &functions, &[])
}

/// A branch of [`switch`].
pub type Branch<'f> = &'f dyn Fn(&[Tensor]) -> Result<Vec<Tensor>>;

/// What the branch at `index` (clamped) gives for `operands`. Only that one is computed.
///
/// # Errors
/// As [`cond`]; if there is no branch.
pub fn switch(index: &Tensor, branches: &[Branch<'_>], operands: &[Tensor]) -> Result<Vec<Tensor>> {
    refuse_symbols("switch", std::iter::once(index).chain(operands))?;
    let traced = branches.iter().map(|branch| trace_function(&types(operands), |o| branch(o)));
    self::branches(index, &traced.collect::<Result<Vec<_>>>()?, operands)
}

/// `f` of each slice of `xs` along the first axis, one after the other; the results stacked.
///
/// # Errors
/// As [`scan`].
pub fn map(f: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>, xs: &[Tensor]) -> Result<Vec<Tensor>> {
    Ok(scan(|_, x| Ok((vec![], f(x)?)), &[], xs, None, false)?.1)
}

/// [`map`]: the slices are independent, and a back end may compute them together.
///
/// # Errors
/// As [`scan`].
pub fn vectorized_map(
    function: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>,
    elements: &[Tensor],
) -> Result<Vec<Tensor>> {
    map(function, elements)
}

/// All partial results `e₀, f(e₀, e₁), f(f(e₀, e₁), e₂), …` of an associative `f` along `axis`, in logarithmically many
/// steps: `f` gets many slices at once, in that axis. From the end if `reverse`.
///
/// # Errors
/// That of `f`; if the axis has different sizes, or one that is not known.
///
/// # References
/// Blelloch, *Prefix sums and their applications*, 1990.
pub fn associative_scan(
    f: impl Fn(&[Tensor], &[Tensor]) -> Result<Vec<Tensor>>,
    elems: &[Tensor],
    reverse: bool,
    axis: i64,
) -> Result<Vec<Tensor>> {
    let Some(first) = elems.first() else { return Ok(vec![]) };
    let at = ops::axis(axis, first.rank())?;
    let length = first.shape()[at].known();
    let alike = elems.iter().all(|e| e.rank() > at && e.shape()[at].known() == length);
    let Some(_) = length.filter(|_| alike) else {
        let what = format!("elements {:?} along axis {at}", types(elems));
        return Err(Error::shape("associative_scan", what, "make the axis of one known size"));
    };
    let turned = |elems: Vec<Tensor>| -> Vec<Tensor> {
        if reverse { elems.iter().map(|e| ops::flip(e, at as i64)).collect() } else { elems }
    };
    Ok(turned(partial_results(&f, turned(elems.to_vec()), at)?))
}

/// Every `step`-th slice of `axis` from `start` to `stop`.
fn every(x: &Tensor, axis: usize, start: i64, stop: Option<i64>, step: i64) -> Tensor {
    let mut key = vec![Index::range(None, None); axis];
    key.push(Index::strided(Some(start), stop, step));
    ops::get_item(x, key)
}

fn partial_results(
    f: &impl Fn(&[Tensor], &[Tensor]) -> Result<Vec<Tensor>>,
    elems: Vec<Tensor>,
    axis: usize,
) -> Result<Vec<Tensor>> {
    let length = elems[0].check()?.shape()[axis].known().unwrap_or(0);
    if length < 2 {
        return Ok(elems);
    }
    let part = |start, stop, step| -> Vec<Tensor> { elems.iter().map(|e| every(e, axis, start, stop, step)).collect() };
    let pairs = f(&part(0, Some(length as i64 - 1), 2), &part(1, None, 2))?;
    let odd = partial_results(f, pairs, axis)?;
    // The results at even places but the first: the odd one before, and the element there.
    let rest = part(2, None, 2);
    let before: Vec<Tensor> = match length % 2 {
        0 => odd.iter().map(|o| every(o, axis, 0, Some(-1), 1)).collect(),
        _ => odd.clone(),
    };
    let even = if length == 2 { rest } else { f(&before, &rest)? };
    let joined = elems.iter().zip(even).zip(odd).map(|((elem, even), odd)| {
        let even = ops::concatenate(&[every(elem, axis, 0, Some(1), 1), even], axis as i64);
        interleaved(&even, &odd, axis, length)
    });
    Ok(joined.collect())
}

/// `even` and `odd` slices by turns, `length` in all.
fn interleaved(even: &Tensor, odd: &Tensor, axis: usize, length: usize) -> Tensor {
    if even.error().is_some() || odd.error().is_some() {
        return if even.error().is_some() { even.clone() } else { odd.clone() };
    }
    let mut width = vec![[0, 0]; odd.rank()];
    width[axis] = [0, (length % 2) as i64];
    let pairs = ops::stack(&[even.clone(), ops::pad(odd, width, "constant", None)], axis as i64 + 1);
    let mut shape = even.shape().clone();
    shape[axis] = (length.div_ceil(2) * 2).into();
    every(&reshaped(&pairs, shape), axis, 0, Some(length as i64), 1)
}

/// `forward(inputs)`, whose gradient is `backward(inputs, outputs, gradients of the outputs)`: one for each input. No
/// gradient flows to tensors from outside that the functions use.
///
/// # Errors
/// That of a function; if `backward` does not give one gradient, of its type, for each input.
pub fn custom_gradient(
    forward: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>,
    backward: impl FnOnce(&[Tensor], &[Tensor], &[Tensor]) -> Result<Vec<Tensor>>,
    inputs: &[Tensor],
) -> Result<Vec<Tensor>> {
    refuse_symbols("custom_gradient", inputs)?;
    let forward = trace_function(&types(inputs), forward)?;
    let outputs = forward.output_types();
    // What is no float has a gradient of float32, which is ignored.
    let gradient = |t: &TensorType| if t.dtype.is_float() { t.clone() } else { t.with_dtype(DType::F32) };
    let arguments: Vec<TensorType> =
        types(inputs).into_iter().chain(outputs.iter().cloned()).chain(outputs.iter().map(gradient)).collect();
    let (n, m) = (inputs.len(), outputs.len());
    let backward = trace_function(&arguments, |a| {
        let found = backward(&a[..n], &a[n..n + m], &a[n + m..])?;
        if found.len() != n {
            return Err(Error::argument(
                "custom_gradient",
                format!("{} gradients for {n} inputs", found.len()),
                "return one for each",
            ));
        }
        Ok(found
            .iter()
            .zip(&a[..n])
            .map(|(g, x)| if x.dtype().is_float() { g.cast(x.dtype()) } else { g.cast(DType::F32) })
            .collect())
    })?;
    let consts = union([&forward, &backward]);
    let mut graph = backward.graph(&consts)?;
    let mut gradients = Vec::new();
    for t in &consts {
        let dtype = gradient(t.ty()).dtype;
        let zero = graph.push(rhyton_ir::op::Constant { value: rhyton_ir::Array::scalar_of(dtype, 0.0) }, &[])?;
        let zeros = rhyton_ir::op::BroadcastInDim { shape: t.shape().clone(), axes: vec![] };
        gradients.push(graph.push(zeros, &[zero])?);
    }
    gradients.extend(graph.outputs().iter().copied());
    graph.set_outputs(gradients);
    // Its parameters are: constants, inputs, outputs, gradients, as the operation has them.
    let op = CustomGradient { forward: Arc::new(forward.graph(&consts)?), backward: Arc::new(graph) };
    apply(op, &[&consts, inputs])
}

/// `f(inputs)`, whose inner values are computed again for the gradient instead of kept (Keras's `keras.remat`).
///
/// # Errors
/// That of `f`.
pub fn remat(f: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    refuse_symbols("remat", inputs)?;
    let captured = trace_function(&types(inputs), f)?;
    let consts = captured.captures().to_vec();
    apply(Remat { body: Arc::new(captured.graph(&consts)?) }, &[&consts, inputs])
}

/// The size of an axis as an `int32` scalar that a computation may use, also where it is not known yet.
pub fn dynamic_size(x: &Tensor, axis: i64) -> Result<Tensor> {
    Ok(size(&x.check()?.shape()[ops::axis(axis, x.rank())?], DType::I32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{grad, gradients};

    fn vector(values: &[f32]) -> Tensor {
        Tensor::new([values.len()], values.to_vec())
    }

    #[test]
    fn scans_use_tensors_from_outside_and_have_gradients() {
        let scale = vector(&[2.0]).reshape(&[]);
        let x = vector(&[1.0, 2.0, 3.0]);
        let power = |x: &Tensor| {
            let step = |carry: &[Tensor], x: &[Tensor]| {
                let next = &carry[0] * &scale + &x[0];
                Ok((vec![next.clone()], vec![next]))
            };
            let (last, ys) = scan(step, &[Tensor::from(0.0f32)], std::slice::from_ref(x), None, false).unwrap();
            &last[0] + ops::sum(&ys[0], ops::Axes::All, false)
        };
        // Carries 1, 4, 11.
        assert_eq!(power(&x).item().unwrap(), 27.0);
        assert_eq!(grad(power, &x).unwrap().to_vec::<f32>().unwrap(), [11.0, 5.0, 2.0]);
    }

    #[test]
    fn loops_stop() {
        let double = |s: &[Tensor]| Ok(vec![&s[0] * 2.0]);
        let one = [Tensor::from(1.0f32)];
        let up_to = |limit: f64| move |s: &[Tensor]| Ok(ops::less(&s[0], limit));
        assert_eq!(while_loop(up_to(50.0), double, &one, None).unwrap()[0].item().unwrap(), 64.0);
        assert_eq!(while_loop(up_to(50.0), double, &one, Some(3)).unwrap()[0].item().unwrap(), 8.0);
        let sum = fori_loop(2, 5, |i, s| Ok(vec![&s[0] + i.cast(DType::F32)]), &one).unwrap();
        assert_eq!(sum[0].item().unwrap(), 10.0);
    }

    #[test]
    fn one_branch_is_taken() {
        let x = vector(&[1.0, -2.0]);
        let branch = |pred: bool| {
            let taken = cond(&Tensor::from(pred), || Ok(vec![&x * 2.0]), || Ok(vec![ops::square(&x)]));
            taken.unwrap()[0].to_vec::<f32>().unwrap()
        };
        assert_eq!((branch(true), branch(false)), (vec![2.0, -4.0], vec![1.0, 4.0]));
        let add = |s: &[Tensor]| Ok(vec![&s[0] + 1.0]);
        let negate = |s: &[Tensor]| Ok(vec![-&s[0]]);
        let chosen = switch(&Tensor::from(7i32), &[&add, &negate], &[x]).unwrap();
        assert_eq!(chosen[0].to_vec::<f32>().unwrap(), [-1.0, 2.0]);
    }

    #[test]
    fn partial_results_of_any_length() {
        for n in 1..10 {
            let x = vector(&(1..=n).map(|i| i as f32).collect::<Vec<_>>());
            let f = |a: &[Tensor], b: &[Tensor]| Ok(vec![&a[0] + &b[0]]);
            let sums = associative_scan(f, std::slice::from_ref(&x), false, 0).unwrap();
            let expected = ops::cumsum(&x, Some(0), None).to_vec::<f32>().unwrap();
            assert_eq!(sums[0].to_vec::<f32>().unwrap(), expected);
            let back = associative_scan(f, &[x], true, 0).unwrap();
            assert_eq!(back[0].to_vec::<f32>().unwrap()[0], expected[n - 1]);
        }
    }

    #[test]
    fn gradients_of_ones_own() {
        let x = vector(&[3.0]);
        let y = custom_gradient(
            |x| Ok(vec![ops::square(&x[0])]),
            |x, y, dy| Ok(vec![&dy[0] * 100.0 + &x[0] + &y[0]]),
            std::slice::from_ref(&x),
        );
        let loss = ops::sum(&y.unwrap()[0], ops::Axes::All, false);
        assert_eq!(gradients(&loss, &[x]).unwrap()[0].item().unwrap(), 112.0);
    }

    #[test]
    fn changed_carries_are_refused() {
        let two = |carry: &[Tensor], _: &[Tensor]| Ok((vec![carry[0].clone(), carry[0].clone()], vec![]));
        assert!(scan(two, &[Tensor::from(0.0f32)], &[], Some(2), false).is_err());
        let other = |_: &[Tensor], _: &[Tensor]| Ok((vec![Tensor::from(1i32)], vec![]));
        assert!(scan(other, &[Tensor::from(0.0f32)], &[], Some(2), false).is_err());
    }
}
