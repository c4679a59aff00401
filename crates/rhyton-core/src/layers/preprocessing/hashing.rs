//! `Hashing`: whole numbers spread over bins.

use std::sync::Arc;

use rhyton_ir::op::{CustomCall, HostFunction};
use rhyton_ir::{Array, DType, TensorType};
use serde::{Deserialize, Deserializer, Serialize};

use super::OutputMode;
use super::encode::encode;
use super::hash::bucket;
use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, InputShapes, Layer};
use crate::nest::{Args, Nest};
use crate::ops::Number;
use crate::tensor::Tensor;

/// The bin of each number: the hash of its decimal text modulo `num_bins`, by FarmHash64, or with a `salt` by SipHash. With a
/// `mask_value`, that number is alone in bin 0. Floating-point numbers are cut off to whole ones first.
///
/// # Shapes
/// The shape of the input with `OutputMode::Int`; else as [`CategoryEncoding`](super::CategoryEncoding).
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
    mask_value: Option<Number>,
    #[serde(default = "int")]
    output_mode: OutputMode,
    #[serde(default)]
    sparse: bool,
}

keras_layer!(Hashing);

fn int() -> OutputMode {
    OutputMode::Int
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
        /// The number that is alone in bin 0; none unless said.
        mask_value: some Number,
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

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let bins = Bins { count: self.num_bins as u64, salt: self.salt, mask: self.mask_value };
        let bins = Tensor::apply(CustomCall { target: Arc::new(bins.named()) }, &[inputs.tensor()?]);
        Ok(encode(bins.check()?, self.output_mode, self.num_bins, self.base.variable_dtype(), None)?.into())
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
    mask: Option<Number>,
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
        match self.mask.filter(|_| self.count > 1) {
            None => bucket(whole, self.count, self.salt),
            Some(Number::Int(mask)) if mask == whole && value == whole as f64 => 0,
            Some(Number::Float(mask)) if mask == value => 0,
            Some(_) => bucket(whole, self.count - 1, self.salt) + 1,
        }
    }
}

impl HostFunction for Named {
    fn name(&self) -> &str {
        &self.name
    }

    fn infer(&self, inputs: &[&TensorType]) -> rhyton_ir::Result<Vec<TensorType>> {
        Ok(vec![TensorType::new(DType::I64, inputs[0].shape.clone())])
    }

    fn call(&self, inputs: &[&Array]) -> rhyton_ir::Result<Vec<Array>> {
        let x = inputs[0];
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
    fn numbers_of_bins_are_whole() {
        let bins = Hashing::new(3).dtype(DType::F32).call(Tensor::new([1], vec![1i64]));
        assert!(bins.eval().unwrap_err().to_string().contains("int64"));
        assert!(Hashing::new(0).call(Tensor::new([1], vec![1i64])).eval().is_err());
    }
}
