//! `Hashing`: whole numbers or texts spread over bins.

use std::sync::Arc;

use rhyton_ir::op::{CustomCall, HostFunction};
use rhyton_ir::{Array, DType, Shape, TensorType};
use serde::{Deserialize, Deserializer, Serialize};

use super::OutputMode;
use super::encode::encode;
use super::hash::{bucket, bucket_of_text};
use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, InputShapes, Layer, TextInput};
use crate::nest::{Args, Nest};
use crate::ops::Number;
use crate::tensor::Tensor;
use crate::text;

/// The bin of each text, or of each number by its decimal text: the hash modulo `num_bins`, by FarmHash64, or with a `salt` by
/// SipHash. With a `mask_value`, that value is alone in bin 0. Floating-point numbers are cut off to whole ones first. A `uint8`
/// array is read as texts, see [`crate::text`]; a symbol of a model for `uint8` numbers is refused.
///
/// # Shapes
/// The shape of the input (the bytes of texts are no axis) with `OutputMode::Int`; else as [`CategoryEncoding`](super::CategoryEncoding).
///
/// # Dtypes
/// The layer's, which is `int64` for `OutputMode::Int` and the usual one for other modes.
///
/// # Errors
/// If `num_bins` is 0, or the dtype is floating-point with `OutputMode::Int`.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let bins = Hashing::new(3).call(&Tensor::new([3], vec![7i64, 4, 7]));
/// assert_eq!(bins.to_vec::<i64>()?, [1, 2, 1]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hashing {
    #[serde(skip)]
    base: Base,
    num_bins: usize,
    #[serde(default, deserialize_with = "salt")]
    salt: Option<[u64; 2]>,
    #[serde(default)]
    mask_value: Option<MaskValue>,
    #[serde(default = "int")]
    output_mode: OutputMode,
    #[serde(default)]
    sparse: bool,
}

keras_layer!(Hashing);

fn int() -> OutputMode {
    OutputMode::Int
}

/// What a mask is: a number, or a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MaskValue {
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
}

impl From<i64> for MaskValue {
    fn from(value: i64) -> MaskValue {
        MaskValue::Number(Number::Int(value))
    }
}

impl From<f64> for MaskValue {
    fn from(value: f64) -> MaskValue {
        MaskValue::Number(Number::Float(value))
    }
}

impl From<&str> for MaskValue {
    fn from(value: &str) -> MaskValue {
        MaskValue::Text(value.to_owned())
    }
}

/// One number for both halves of the key, or two.
pub(super) fn salt<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[u64; 2]>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        One(u64),
        Two([u64; 2]),
    }
    Ok(Option::<Given>::deserialize(deserializer)?.map(|given| match given {
        Given::One(half) => [half, half],
        Given::Two(key) => key,
    }))
}

impl Hashing {
    /// Over `num_bins` bins.
    pub fn new(num_bins: usize) -> Hashing {
        let base = Base::default();
        base.set_policy(DType::I64);
        Hashing { base, num_bins, salt: None, mask_value: None, output_mode: int(), sparse: false }
    }

    /// How many bins there are.
    pub(super) fn bins(&self) -> usize {
        self.num_bins
    }

    /// The form of the result; numbers unless said. Other forms have the usual dtype unless one is set after this.
    pub fn output_mode(mut self, output_mode: OutputMode) -> Hashing {
        let integer = output_mode == OutputMode::Int;
        self.base.set_policy(if integer { DType::I64.into() } else { crate::DTypePolicy::global() });
        self.output_mode = output_mode;
        self
    }

    builders! {
        /// Hashes in another way for each salt; without one unless said.
        salt: some [u64; 2],
        /// The number or text that is alone in bin 0; none unless said.
        mask_value: some MaskValue,
    }
}

impl Layer for Hashing {
    fn build(&self, _: &InputShapes) -> Result<()> {
        if self.num_bins == 0 {
            return Err(Error::argument("num_bins", "0 bins hold nothing", "give at least 1"));
        }
        if self.sparse {
            return Err(Error::unsupported("sparse", "sparse output is not there", "use dense output"));
        }
        let dtype = self.base.variable_dtype();
        if self.output_mode == OutputMode::Int && !matches!(dtype, DType::I32 | DType::I64) {
            return Err(Error::argument("dtype", format!("{dtype} is not for numbers of bins"), "use int64 or int32"));
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?;
        text::refuse_bytes(&[x], "Hashing", cx)?;
        let mask = self.mask_value.clone();
        if let Some(mask) = mask.as_ref().filter(|m| matches!(m, MaskValue::Text(_)) != (x.dtype() == DType::U8)) {
            let what = format!("it is {mask:?} but the input is {}", x.dtype());
            return Err(Error::argument("mask_value", what, "mask a text among texts, and a number among numbers"));
        }
        let bins = Bins { count: self.num_bins as u64, salt: self.salt, mask };
        let bins = Tensor::apply(CustomCall { target: Arc::new(bins.named()) }, &[x]);
        Ok(encode(bins.check()?, self.output_mode, self.num_bins, self.base.variable_dtype(), None)?.into())
    }

    fn text_input(&self) -> TextInput {
        TextInput::Possibly
    }

    fn autocasts_inputs(&self) -> bool {
        false
    }
}

/// The numbers of bins, computed on the host.
#[derive(Debug)]
struct Bins {
    count: u64,
    salt: Option<[u64; 2]>,
    mask: Option<MaskValue>,
}

#[derive(Debug)]
struct Named {
    bins: Bins,
    name: String,
}

impl Bins {
    fn named(self) -> Named {
        Named { name: format!("hashing_{}_{:?}_{:?}", self.count, self.salt, self.mask), bins: self }
    }

    fn of(&self, value: f64, whole: i64) -> i64 {
        // Bin 0 is the mask's, if there is more than one.
        match self.mask.as_ref().filter(|_| self.count > 1) {
            None => bucket(whole, self.count, self.salt),
            Some(MaskValue::Number(Number::Int(mask))) if *mask == whole && value == whole as f64 => 0,
            Some(MaskValue::Number(Number::Float(mask))) if *mask == value => 0,
            Some(_) => bucket(whole, self.count - 1, self.salt) + 1,
        }
    }

    fn of_text(&self, bytes: &[u8]) -> i64 {
        match self.mask.as_ref().filter(|_| self.count > 1) {
            None => bucket_of_text(bytes, self.count, self.salt),
            Some(MaskValue::Text(mask)) if mask.as_bytes() == bytes => 0,
            Some(_) => bucket_of_text(bytes, self.count - 1, self.salt) + 1,
        }
    }
}

impl HostFunction for Named {
    fn name(&self) -> &str {
        &self.name
    }

    fn infer(&self, inputs: &[&TensorType]) -> rhyton_ir::Result<Vec<TensorType>> {
        let texts = usize::from(inputs[0].dtype == DType::U8 && inputs[0].rank() > 0);
        let shape: Shape = inputs[0].shape[..inputs[0].rank() - texts].iter().cloned().collect();
        Ok(vec![TensorType::new(DType::I64, shape)])
    }

    fn call(&self, inputs: &[&Array]) -> rhyton_ir::Result<Vec<Array>> {
        let x = inputs[0];
        if let Ok(texts) = text::rows(x) {
            let bins: Vec<i64> = texts.map(|t| self.bins.of_text(t)).collect();
            return Ok(vec![Array::new(&x.shape()[..x.rank() - 1], bins)]);
        }
        let whole = x.cast(DType::I64);
        let whole = whole.as_slice::<i64>().unwrap_or_default();
        let bins: Vec<i64> = whole.iter().enumerate().map(|(i, &w)| self.bins.of(x.data().get_f64(i), w)).collect();
        Ok(vec![Array::new(x.shape(), bins)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Call;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("hashing");
    }

    #[test]
    fn masks_are_of_the_kind_of_the_input() {
        let bins = Hashing::new(3).mask_value("a").call(Tensor::new([1], vec![1i64]));
        assert!(bins.eval().unwrap_err().to_string().contains("mask_value"));
        assert!(Hashing::new(3).mask_value(1i64).call(Tensor::from(text::encode(["a"]))).eval().is_err());
    }

    #[test]
    fn bytes_are_not_taken_for_texts_in_models() {
        use crate::prelude::{HashedCrossing, Input};
        let bytes = Input::new([1]).dtype(DType::U8);
        let told = |y: Tensor| y.check().unwrap_err().to_string();
        assert!(told(Hashing::new(3).call(&bytes)).contains("uint8 numbers"));
        assert!(told(HashedCrossing::new(3).call([&bytes, &bytes])).contains("int32"));
        assert!(Hashing::new(3).call(&Input::new([1]).string()).check().is_ok());
    }

    #[test]
    fn numbers_of_bins_are_whole() {
        let bins = Hashing::new(3).dtype(DType::F32).call(Tensor::new([1], vec![1i64]));
        assert!(bins.eval().unwrap_err().to_string().contains("int64"));
        assert!(Hashing::new(0).call(Tensor::new([1], vec![1i64])).eval().is_err());
    }
}
