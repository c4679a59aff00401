//! `HashedCrossing`: combinations of categories spread over bins.

use std::sync::Arc;

use rhyton_ir::op::{CustomCall, HostFunction};
use rhyton_ir::{Array, DType, Shape, TensorType};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::OutputMode;
use super::encode::encode;
use super::hash::{farm_hash64, join_hashes};
use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::{Base, Context, InputShapes, Layer, TextInput};
use crate::nest::{Args, Nest};
use crate::tensor::Tensor;
use crate::text;

/// The bin of each combination of categories: the joined hashes of its parts, which are whole numbers or texts, modulo `num_bins`.
///
/// # Shapes
/// Two or more inputs of one shape: `()`, `(batch)` or `(batch, 1)` (the bytes of texts are no axis). The result has that shape
/// with `OutputMode::Int`, and `(batch, num_bins)` with `OutputMode::OneHot`.
///
/// # Dtypes
/// The layer's, which is `int64` for `OutputMode::Int` and the usual one for `OutputMode::OneHot`. A `uint8` array is read as
/// texts, see [`crate::text`].
///
/// # Errors
/// If `num_bins` is 0 or the mode another; if there are not at least two inputs of one such shape, or one is floating-point.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let layer = HashedCrossing::new(1000);
/// let (number, word) = (Tensor::new([2], vec![1i64, 2]), Tensor::from(text::encode(["a", "b"])));
/// assert_eq!(layer.call([&number, &word]).to_vec::<i64>()?, [445, 149]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HashedCrossing {
    #[serde(skip)]
    base: Base,
    num_bins: usize,
    #[serde(default = "int")]
    output_mode: OutputMode,
    #[serde(default)]
    sparse: bool,
}

keras_layer!(HashedCrossing);

fn int() -> OutputMode {
    OutputMode::Int
}

impl HashedCrossing {
    /// Over `num_bins` bins.
    pub fn new(num_bins: usize) -> HashedCrossing {
        let base = Base::default();
        base.set_policy(DType::I64);
        HashedCrossing { base, num_bins, output_mode: int(), sparse: false }
    }

    /// How many bins there are.
    pub(super) fn bins(&self) -> usize {
        self.num_bins
    }

    /// The form of the result: numbers unless said, or `OutputMode::OneHot`, which has the usual dtype unless one is set after
    /// this.
    pub fn output_mode(mut self, output_mode: OutputMode) -> HashedCrossing {
        let integer = output_mode == OutputMode::Int;
        self.base.set_policy(if integer { DType::I64.into() } else { crate::DTypePolicy::global() });
        self.output_mode = output_mode;
        self
    }
}

impl Layer for HashedCrossing {
    fn build(&self, _: &InputShapes) -> Result<()> {
        if self.num_bins == 0 {
            return Err(Error::argument("num_bins", "0 bins hold nothing", "give at least 1"));
        }
        if self.sparse {
            return Err(Error::unsupported("sparse", "sparse output is not there", "use dense output"));
        }
        if !matches!(self.output_mode, OutputMode::Int | OutputMode::OneHot) {
            let what = format!("{:?} is no form of crossings", self.output_mode);
            return Err(Error::argument("output_mode", what, "use OutputMode::Int or OutputMode::OneHot"));
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        let parts = inputs.list()?;
        text::refuse_bytes(&parts, "HashedCrossing", cx)?;
        let wrong = |what: String, fix: &str| Err(Error::argument("HashedCrossing", what, fix));
        if parts.len() < 2 {
            return wrong("one input crosses with none".into(), "pass a list of at least two");
        }
        if let Some(float) = parts.iter().find(|t| t.dtype().is_float()) {
            return wrong(format!("an input is {}", float.dtype()), "pass whole numbers or texts");
        }
        let shapes: Vec<Shape> = parts.iter().map(|t| text::shape_of(t)).collect();
        let is_column = |s: &Shape| s.rank() < 2 || (s.rank() == 2 && s[1].known().is_none_or(|n| n == 1));
        if !is_column(&shapes[0]) || shapes.iter().any(|s| !s.compatible(&shapes[0])) {
            let shown: Vec<String> = shapes.iter().map(Shape::to_string).collect();
            return wrong(
                format!("the inputs have shapes {}", shown.join(" and ")),
                "pass inputs of one shape: (), (batch) or (batch, 1)",
            );
        }
        let whole = |t: &&Tensor| if t.dtype() == DType::U8 { (*t).clone() } else { t.cast(DType::I64) };
        let parts: Vec<Tensor> = parts.iter().map(whole).collect();
        let cross = Cross { bins: self.num_bins as u64, name: format!("hashed_crossing_{}", self.num_bins) };
        let bins = Tensor::apply(CustomCall { target: Arc::new(cross) }, &parts.iter().collect::<Vec<_>>());
        Ok(encode(bins.check()?, self.output_mode, self.num_bins, self.base.compute_dtype(), None)?.into())
    }

    fn text_input(&self) -> TextInput {
        TextInput::Possibly
    }

    fn autocasts_inputs(&self) -> bool {
        false
    }

    /// Keras writes this layer in a form of its own: no `trainable`, and `dtype` as a name.
    fn config(&self) -> Value {
        let mut config = crate::saving::config_of(self);
        config["name"] = json!(self.name());
        config["dtype"] = json!(self.base.variable_dtype().name());
        config
    }
}

/// The numbers of bins, computed on the host as TensorFlow's `sparse.cross_hashed` does.
#[derive(Debug)]
struct Cross {
    bins: u64,
    name: String,
}

/// The key that TensorFlow starts from.
const KEY: u64 = 0x00de_cafc_affe;

impl HostFunction for Cross {
    fn name(&self) -> &str {
        &self.name
    }

    fn infer(&self, inputs: &[&TensorType]) -> rhyton_ir::Result<Vec<TensorType>> {
        let texts = usize::from(inputs[0].dtype == DType::U8 && inputs[0].rank() > 0);
        let shape: Shape = inputs[0].shape[..inputs[0].rank() - texts].iter().cloned().collect();
        Ok(vec![TensorType::new(DType::I64, shape)])
    }

    fn call(&self, inputs: &[&Array]) -> rhyton_ir::Result<Vec<Array>> {
        // Numbers stand for themselves, texts for their hashes.
        let parts: Vec<Vec<u64>> = inputs
            .iter()
            .map(|x| match text::rows(x) {
                Ok(texts) => texts.map(farm_hash64).collect(),
                Err(_) => x.as_slice::<i64>().unwrap_or_default().iter().map(|&v| v as u64).collect(),
            })
            .collect();
        let bin = |i: usize| (parts.iter().fold(KEY, |hash, part| join_hashes(hash, part[i])) % self.bins) as i64;
        let count = parts.iter().map(Vec::len).min().unwrap_or(0);
        let kept = inputs[0].rank() - usize::from(inputs[0].dtype() == DType::U8);
        Ok(vec![Array::new(&inputs[0].shape()[..kept], (0..count).map(bin).collect::<Vec<i64>>())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Call;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("hashed_crossing");
    }

    #[test]
    fn mistakes_are_named() {
        let x = Tensor::new([2], vec![1i64, 2]);
        let error = |y: Tensor| y.eval().unwrap_err().to_string();
        assert!(error(HashedCrossing::new(3).call([&x])).contains("crosses with none"));
        let longer = Tensor::new([3], vec![1i64, 2, 3]);
        assert!(error(HashedCrossing::new(3).call([&x, &longer])).contains("[2] and [3]"));
        assert!(error(HashedCrossing::new(3).call([&x, &x.cast(DType::F32)])).contains("float32"));
        assert!(error(HashedCrossing::new(0).call([&x, &x])).contains("0 bins"));
        assert!(error(HashedCrossing::new(3).output_mode(OutputMode::Count).call([&x, &x])).contains("Count"));
    }
}
