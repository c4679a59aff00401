//! Layers whose activations are computed again for the gradient instead of kept: Keras's `RematScope`.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::{Context, LayerRef, TextInput};
use crate::error::Result;
use crate::nest::{Args, Nest};
use crate::ops;
use crate::tensor::{Tensor, Trace};
use crate::variable::Variable;

/// Which layers of a [`RematScope`] compute their activations again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RematMode {
    /// All of them.
    Full,
    /// All, but what comes before their activation functions is kept.
    Activations,
    /// Those whose outputs have more elements than `output_size_threshold`, an unknown size counting as 1.
    LargerThan,
    /// Those named in `layer_names`.
    ListOfLayers,
}

/// Layers made within the scope do not keep the values inside them for the gradient: backward computes them again from the
/// layers' inputs. Training takes less memory and more time; the numbers stay the same.
///
/// What counts is where a layer is made, not where it is called. In a scope within a scope the inner one counts.
///
/// # Examples
/// ```
/// use rhyton_core::layers::{Dense, RematMode, RematScope};
/// use rhyton_core::prelude::*;
///
/// let tower = |scope: RematScope| {
///     scope.scope(|| Sequential::new().add(Input::new([8])).add(Dense::new(64).activation(Activation::Gelu)))
/// };
/// let model = tower(RematScope::new(RematMode::Full));
/// let large_only = tower(RematScope::new(RematMode::LargerThan).output_size_threshold(2048));
/// assert_eq!(model.count_params(), large_only.count_params());
/// ```
#[derive(Clone, Debug)]
pub struct RematScope {
    mode: Option<RematMode>,
    output_size_threshold: usize,
    layer_names: Vec<String>,
}

impl RematScope {
    /// A scope in which layers do as `mode` says; with `None` none computes anything again (within another scope).
    pub fn new(mode: impl Into<Option<RematMode>>) -> RematScope {
        RematScope { mode: mode.into(), output_size_threshold: 1024, layer_names: Vec::new() }
    }

    /// For [`RematMode::LargerThan`]; 1024 unless said.
    pub fn output_size_threshold(mut self, output_size_threshold: usize) -> RematScope {
        self.output_size_threshold = output_size_threshold;
        self
    }

    /// For [`RematMode::ListOfLayers`]; none unless said.
    pub fn layer_names<S: Into<String>>(mut self, layer_names: impl IntoIterator<Item = S>) -> RematScope {
        self.layer_names = layer_names.into_iter().map(Into::into).collect();
        self
    }

    /// Runs `function` in the scope.
    pub fn scope<R>(self, function: impl FnOnce() -> R) -> R {
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                SCOPES.with_borrow_mut(|scopes| scopes.pop());
            }
        }
        SCOPES.with_borrow_mut(|scopes| scopes.push(Arc::new(self)));
        let _leave = Leave;
        function()
    }
}

thread_local! {
    static SCOPES: RefCell<Vec<Arc<RematScope>>> = const { RefCell::new(Vec::new()) };
    /// Whether the layer that runs computes its activation function again.
    static ACTIVATIONS: Cell<bool> = const { Cell::new(false) };
}

/// The scope in which layers are made now.
pub(super) fn current() -> Option<Arc<RematScope>> {
    SCOPES.with_borrow(|scopes| scopes.last().cloned()).filter(|scope| scope.mode.is_some())
}

/// `activation(x)`, computed again for the gradient where the layer that runs asks for it.
pub(crate) fn activated(activation: fn(&Tensor) -> Tensor, x: &Tensor) -> Tensor {
    if !ACTIVATIONS.get() || x.is_symbol() {
        return activation(x);
    }
    let outputs = ops::remat(|x| Ok(vec![activation(&x[0])]), std::slice::from_ref(x));
    outputs.map_or_else(Tensor::invalid, |mut outputs| outputs.swap_remove(0).with_mask(x.mask().cloned()))
}

/// The layer's computation, in the way of the scope that it was made in.
pub(super) fn forward(layer: &LayerRef, args: &Args, cx: &mut Context) -> Result<Nest> {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ACTIVATIONS.set(self.0);
        }
    }
    let scope = layer.base().remat_scope();
    let mode = scope.and_then(|s| s.mode.as_ref());
    let _restore = Restore(ACTIVATIONS.replace(mode == Some(&RematMode::Activations)));
    // What looks at values, or at texts, is not part of a program.
    let is_program = layer.text_input() == TextInput::Never && layer.supports_jit();
    let (Some(scope), true) = (scope, is_program) else { return layer.forward(args, cx) };
    let again = match scope.mode {
        Some(RematMode::Full) => true,
        Some(RematMode::LargerThan) => output_size(layer, args, cx)? > scope.output_size_threshold,
        Some(RematMode::ListOfLayers) => scope.layer_names.iter().any(|name| name == layer.name()),
        Some(RematMode::Activations) | None => false,
    };
    if again { rematerialized(layer, args, cx) } else { layer.forward(args, cx) }
}

fn placeholders(args: &Args) -> Result<Args> {
    args.map(&mut |t| Ok(Tensor::placeholder(t.ty().clone()).with_mask(t.mask().cloned())))
}

/// How many elements the outputs have, found without carrying out what the layer assigns.
fn output_size(layer: &LayerRef, args: &Args, cx: &Context) -> Result<usize> {
    let args = placeholders(args)?;
    let mut cx = Context { undecided: cx.undecided, symbolic: cx.symbolic, ..Context::new(cx.training) };
    let (outputs, _) = Trace::record(|| layer.forward(&args, &mut cx));
    let size = |t: &&Tensor| t.shape().iter().map(|d| d.known().unwrap_or(1)).product::<usize>();
    Ok(outputs?.tensors().iter().map(size).sum())
}

/// What a layer's computation gives beside its outputs, in the order of the program's results after those.
#[derive(Default)]
struct Beside {
    /// The structure of the outputs, and which of them have masks.
    outputs: Option<Nest>,
    masked: Vec<bool>,
    assigned: Vec<Variable>,
    losses: usize,
    metrics: Vec<String>,
}

/// The layer's computation as one operation, whose gradient computes it again.
fn rematerialized(layer: &LayerRef, args: &Args, cx: &mut Context) -> Result<Nest> {
    let tensors: Vec<Tensor> = args.tensors().into_iter().cloned().collect();
    let mut beside = Beside::default();
    let (losses, metrics) = (std::mem::take(&mut cx.losses), std::mem::take(&mut cx.metrics));
    let results = ops::remat(
        |inputs| {
            let mut inputs = inputs.iter();
            let mut given = |t: &Tensor| inputs.next().map_or_else(|| t.clone(), |p| p.with_mask(t.mask().cloned()));
            let args = args.map(&mut |t| Ok(given(t)))?;
            // What the layer assigns is a result of the operation, which is assigned around it.
            let (outputs, trace) = Trace::record_within(|| layer.forward(&args, cx));
            let outputs = outputs?;
            let mut results: Vec<Tensor> = outputs.tensors().into_iter().cloned().collect();
            beside.masked = results.iter().map(|t| t.mask().is_some()).collect();
            results.extend(results.clone().iter().filter_map(|t| t.mask().cloned()));
            for touched in trace.touched() {
                if let Some(after) = touched.after {
                    results.push(after);
                    beside.assigned.push(touched.variable);
                }
            }
            beside.losses = cx.losses.len();
            results.append(&mut cx.losses);
            for (name, value) in cx.metrics.drain(..) {
                beside.metrics.push(name);
                results.push(value);
            }
            beside.outputs = Some(outputs);
            Ok(results.iter().map(Tensor::without_mask).collect())
        },
        &tensors,
    );
    (cx.losses, cx.metrics) = (losses, metrics);
    let mut results = results?;
    let mut rest = results.split_off(beside.masked.len()).into_iter();
    for (output, _) in results.iter_mut().zip(&beside.masked).filter(|(_, masked)| **masked) {
        *output = output.with_mask(rest.next());
    }
    for (variable, value) in beside.assigned.iter().zip(rest.by_ref()) {
        variable.assign(value)?;
    }
    cx.losses.extend(rest.by_ref().take(beside.losses));
    cx.metrics.extend(beside.metrics.into_iter().zip(rest));
    let mut results = results.into_iter();
    let outputs = beside.outputs.unwrap_or_else(Nest::none);
    outputs.map(&mut |t| Ok(results.next().unwrap_or_else(|| t.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{Call, Layer};
    use crate::prelude::*;
    use crate::{Array, jit};

    /// A model whose layers have states, losses, dropout and masks.
    fn model(scope: RematScope) -> Model {
        scope.scope(|| {
            let ids = Input::new([4]).dtype(DType::I32);
            let x = Embedding::new(7, 6).mask_zero(true).call(&ids);
            let x = LSTM::new(5).return_sequences(true).call(&x);
            let x = Dense::new(8).name("wide").activation(Activation::Gelu).activity_regularizer(L2::new(0.1)).call(&x);
            let x = BatchNormalization::new().call(&x);
            let x = Dropout::new(0.5).seed(11).call(&x);
            let x = GlobalAveragePooling1D::new().call(&x);
            Model::new(&ids, Dense::new(3).activation(Activation::Softmax).call(&x)).unwrap()
        })
    }

    fn trained(scope: RematScope, start: Option<&[Array]>) -> (Vec<Array>, Vec<Array>) {
        let model = model(scope);
        let values = || -> Vec<Array> { Layer::weights(&model).iter().map(|w| w.array().unwrap()).collect() };
        for (weight, value) in Layer::weights(&model).iter().zip(start.unwrap_or_default()) {
            weight.assign(value.clone()).unwrap();
        }
        let start = values();
        model
            .compile(Adam::new(0.01), SparseCategoricalCrossentropy::new(), [SparseCategoricalAccuracy::new()])
            .unwrap();
        let ids: Vec<i32> = (0..32).map(|i| i * 5 % 7).collect();
        let labels: Vec<i32> = (0..8).map(|i| i % 3).collect();
        let data = Data::new(Array::new([8, 4], ids), Array::new([8], labels));
        model.fit(&data, Fit::new().epochs(3).batch_size(4).shuffle(false).verbose(0)).unwrap();
        (start, values())
    }

    #[test]
    fn training_goes_the_same_way_in_every_mode() {
        let (start, kept) = trained(RematScope::new(None), None);
        let scopes = [
            RematScope::new(RematMode::Full),
            RematScope::new(RematMode::Activations),
            RematScope::new(RematMode::LargerThan).output_size_threshold(40),
            RematScope::new(RematMode::ListOfLayers).layer_names(["wide", "batch_normalization"]),
        ];
        for scope in scopes {
            let mode = scope.mode.clone();
            for (i, (again, kept)) in trained(scope, Some(&start)).1.iter().zip(&kept).enumerate() {
                for (a, k) in again.to_f64_vec().iter().zip(kept.to_f64_vec()) {
                    assert!((a - k).abs() < 1e-5, "{mode:?}, weight {i}: {a} {k}");
                }
            }
        }
    }

    /// How many rematerialized functions the program of a layer's gradient has.
    fn count(scope: RematScope) -> usize {
        let layer = scope.scope(|| Dense::new(30).name("dense").activation(Activation::Tanh));
        let x = Tensor::new([2, 4], vec![0.5f32; 8]);
        layer.call(&x).eval().unwrap();
        let captured = crate::trace_function(&[x.ty().clone()], |x| Ok(vec![layer.call(&x[0])])).unwrap();
        captured.graph(captured.captures()).unwrap().to_string().matches("remat").count()
    }

    #[test]
    fn modes_choose_layers() {
        let count = |mode| count(RematScope::new(mode).output_size_threshold(60).layer_names(["other"]));
        assert_eq!(count(None), 0);
        assert!(count(Some(RematMode::Full)) > 0);
        assert!(count(Some(RematMode::Activations)) > 0);
        assert_eq!(count(Some(RematMode::LargerThan)), 0);
        assert_eq!(count(Some(RematMode::ListOfLayers)), 0);
        let larger = RematScope::new(RematMode::LargerThan).output_size_threshold(59);
        assert!(self::count(larger) > 0);
        assert!(self::count(RematScope::new(RematMode::ListOfLayers).layer_names(["dense"])) > 0);
        let inner = RematScope::new(RematMode::Full).scope(|| self::count(RematScope::new(None)));
        assert_eq!(inner, 0);
    }

    /// The bytes that the gradients of a stack of narrow layers take beside inputs and results.
    fn arena(scope: RematScope) -> usize {
        let x = Array::new([4096, 16], vec![0.01f32; 4096 * 16]);
        let layer = || Dense::new(16).activation(Activation::Gelu);
        let blocks: Vec<Model> = scope.scope(|| {
            (0..4).map(|_| Sequential::new().add(Input::new([16])).add(layer()).add(layer()).add(layer())).collect()
        });
        let weights: Vec<crate::Variable> = blocks.iter().flat_map(Layer::weights).collect();
        let gradients = jit(|x: &[Tensor]| {
            let y = blocks.iter().fold(x[0].clone(), |x, block| block.call(&x));
            let values: Vec<Tensor> = weights.iter().map(crate::Variable::value).collect();
            crate::gradients(&ops::sum(&ops::square(&y), ops::Axes::All, false), &values)
        });
        let plan = gradients.describe(&[x]).unwrap();
        let (before, _) = plan.split_once(" bytes").unwrap();
        before.rsplit(' ').next().unwrap().parse().unwrap()
    }

    #[test]
    fn less_is_kept() {
        let (kept, again) = (arena(RematScope::new(None)), arena(RematScope::new(RematMode::Full)));
        assert!(again * 3 < kept * 2, "{again} bytes against {kept}");
    }
}
