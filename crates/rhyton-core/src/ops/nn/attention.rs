//! `dot_product_attention`.

use std::sync::Arc;

use rhyton_ir::op::{Composite, CompositeKind, Direction, Iota};
use rhyton_ir::{Builder, DType, Dim, Graph, Shape, TensorType};

use super::MODULE;
use super::softmax::over_last;
use crate::error::{Error, Result};
use crate::nest::{Args, Nest};
use crate::ops::class::operations;
use crate::ops::numpy::{broadcast, repeated};
use crate::ops::{self, apply};
use crate::promotion::promote;
use crate::tensor::Tensor;

operations! { MODULE;
    DotProductAttention {
        is_causal: bool,
        flash_attention: Option<bool>,
        attn_logits_soft_cap: Option<f64>
    } (query, key, value, bias, mask, scale) compute;
}

/// `softmax(scale · q·kᵀ + bias) · v` for every head; where `mask` is false, and for `is_causal` where a key comes after the
/// query, a score counts as −∞ (nearly). `scale` is `1/√dim` unless given. Fewer key heads than query heads serve several
/// of these each.
///
/// # Shapes
/// Query `(batch, target, heads, dim)`, key and value `(batch, source, heads, dim)`; bias and mask broadcast to `(batch,
/// heads, target, source)`. The result is like the query.
#[track_caller]
pub fn dot_product_attention(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    bias: Option<&Tensor>,
    mask: Option<&Tensor>,
    scale: Option<f64>,
    is_causal: bool,
) -> Tensor {
    let mut args = Args::new(query).and(key).and(value);
    args.named.insert("bias".to_owned(), bias.into());
    args.named.insert("mask".to_owned(), mask.into());
    args.named.insert("scale".to_owned(), Nest::Plain(scale.into()));
    apply(DotProductAttention { is_causal, flash_attention: None, attn_logits_soft_cap: None }, args)
}

/// What a masked score becomes: large, but so that sums of a few do not overflow.
const MASKED: f64 = 3.38953e38 * -0.7;

fn compute(
    op: &DotProductAttention,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Option<Tensor>,
    mask: Option<Tensor>,
    scale: Option<ops::Operand>,
) -> Result<Tensor> {
    let wrong = |what: String, fix: &str| Err(Error::argument("dot_product_attention", what, fix));
    if op.attn_logits_soft_cap.is_some() || op.flash_attention == Some(true) {
        return wrong("flash attention or a cap of the scores was asked for".into(), "leave these out");
    }
    let dtype = promote(promote(query.dtype(), key.dtype()), value.dtype());
    if [&query, &key, &value].iter().any(|t| t.rank() != 4) || !dtype.is_float() {
        let what = format!("query {}, key {}, value {}", query.ty(), key.ty(), value.ty());
        return wrong(what, "give floats of shape (batch, length, heads, dim)");
    }
    // Half precision: products of it, but the softmax of scores in float32, as Keras has them.
    let wide = promote(dtype, DType::F32);
    let [query, mut key, mut value] = [query, key, value].map(|t| t.cast(dtype));
    if let (Some(q), Some(k)) = (query.dim(2).known(), key.dim(2).known())
        && q != k
    {
        if k == 0 || q % k != 0 {
            return wrong(format!("{q} query heads and {k} key heads"), "give a multiple");
        }
        [key, value] = [key, value].map(|t| repeated(&t, q / k, 2));
    }
    let scale = match scale {
        Some(scale) => scale.to_tensor(DType::F64).item()?,
        None => match query.dim(-1).known() {
            Some(n) => 1.0 / (n.max(1) as f64).sqrt(),
            None => return wrong(format!("query {} of unknown dim", query.ty()), "give the scale"),
        },
    };
    let scores = Shape::from(vec![query.dim(0), query.dim(2), query.dim(1), key.dim(1)]);
    let mut offset = bias.map(|bias| bias.cast(wide));
    let sees_any = match &mask {
        Some(mask) => Some(sees_any(mask, op.is_causal, &scores)?),
        None => None,
    };
    if let Some(mask) = mask {
        let base = offset.unwrap_or_else(|| crate::ops::primitives::scalar(wide, 0.0));
        offset = Some(ops::r#where(&mask, &base, MASKED));
    }
    let bias = offset.map(|o| {
        let rank = 4usize.saturating_sub(o.rank());
        let shape: Shape = vec![Dim::Known(1); rank].into_iter().chain(o.shape().iter().cloned()).collect();
        broadcast(&o, &shape)
    });
    if let Some(bias) = &bias {
        let whole = ops::broadcast_shapes(&[bias.check()?.shape(), &scores])?;
        if !whole.compatible(&scores) {
            return wrong(format!("a bias or mask {} for scores {scores}", bias.shape()), "make it broadcast");
        }
    }
    let kind = CompositeKind::Attention { scale, causal: op.is_causal, bias: bias.is_some() };
    let mut output = composite(kind, &[Some(&query), Some(&key), Some(&value), bias.as_ref()], &scores)?;
    if let Some(sees_any) = sees_any {
        // Equal scores, whatever query and key are: these get no gradient, unlike through a score that is offset.
        output = ops::r#where(&sees_any, &output, ops::mean(&value.cast(wide), 1, true).cast(dtype));
    }
    output.check().cloned()
}

/// Whether a query sees a key at all: `(batch, target, heads, 1)`, or 1 where the mask is the same for all.
fn sees_any(mask: &Tensor, causal: bool, scores: &Shape) -> Result<Tensor> {
    let mut mask = mask.cast(DType::Bool);
    if causal {
        let plane = Shape::from(vec![scores[2].clone(), scores[3].clone()]);
        let [target, source] = [0, 1].map(|axis| crate::ops::primitives::iota(DType::I32, plane.clone(), axis));
        mask = ops::logical_and(&mask, ops::less_equal(&source, &target));
    }
    let ones = vec![Dim::Known(1); 4usize.saturating_sub(mask.check()?.rank())];
    let mask = crate::ops::primitives::reshaped(
        &mask,
        ones.into_iter().chain(mask.shape().iter().cloned()).collect::<Shape>(),
    );
    ops::transpose(&ops::any(&mask, 3, true), [0, 2, 1, 3]).check().cloned()
}

fn composite(kind: CompositeKind, operands: &[Option<&Tensor>], scores: &Shape) -> Result<Tensor> {
    let operands: Vec<&Tensor> = operands.iter().copied().flatten().collect();
    let CompositeKind::Attention { scale, causal, .. } = kind else {
        return Err(Error::argument("attention", "another composite", "report this as a bug"));
    };
    let mut graph = Graph::new();
    let v: Vec<_> = operands.iter().map(|t| graph.parameter(t.ty().clone())).collect();
    let mut b = Builder::new(&mut graph);
    let dims = |lhs: [usize; 2], lhs_contract, rhs: [usize; 2], rhs_contract| rhyton_ir::op::DotGeneral {
        lhs_batch: lhs.to_vec(),
        rhs_batch: rhs.to_vec(),
        lhs_contract: vec![lhs_contract],
        rhs_contract: vec![rhs_contract],
    };
    // (batch, heads, target, source)
    let raw = b.dot_general(dims([0, 2], 3, [0, 2], 3), v[0], v[1]);
    let dtype = b.ty(raw).dtype;
    let raw = b.convert(raw, promote(dtype, DType::F32));
    let mut logits = b.scale(raw, scale);
    if let Some(&bias) = v.get(3) {
        let everywhere = b.broadcast(bias, scores.clone(), &[0, 1, 2, 3]);
        logits = b.add(logits, everywhere);
    }
    if causal {
        let ty = TensorType::new(DType::I32, scores.clone());
        let target = b.push(Iota { ty: ty.clone(), axis: 2 }, &[]);
        let source = b.push(Iota { ty, axis: 3 }, &[]);
        let seen = b.compare(Direction::Le, source, target);
        let masked = b.full_like(logits, MASKED);
        logits = b.select(seen, logits, masked);
    }
    // A composite of its own, for its gradient, which needs the weights alone.
    let weights = b.push(over_last(&CompositeKind::Softmax, &b.ty(logits))?, &[logits]);
    let weights = b.convert(weights, dtype);
    // (batch, heads, target, dim)
    let mixed = b.dot_general(dims([0, 1], 3, [0, 2], 1), weights, v[2]);
    let out = b.transpose(mixed, &[0, 2, 1, 3]);
    b.finish()?;
    graph.set_outputs(vec![out]);
    Ok(Tensor::apply(Composite { kind, decomposition: Arc::new(graph) }, &operands))
}
