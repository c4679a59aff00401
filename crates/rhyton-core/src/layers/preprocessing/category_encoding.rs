//! `CategoryEncoding`: numbers of categories as vectors.

use serde::{Deserialize, Serialize};

use super::OutputMode;
use super::encode::encode;
use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, InputShapes, Layer};
use crate::nest::{Args, Nest};

/// Numbers of `num_tokens` categories as vectors of 0 and 1, or of counts; numbers that are no category count nowhere.
///
/// # Shapes
/// `(batch, n)` gives `(batch, num_tokens)`; with `OneHot` `(batch, n, num_tokens)`, or `(batch, num_tokens)` if `n` is 1.
///
/// # Errors
/// If `num_tokens` is 0; if `output_mode` is `Int`; if weights (`count_weights`) are given for another mode than counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryEncoding {
    #[serde(skip)]
    base: Base,
    num_tokens: usize,
    #[serde(default = "multi_hot")]
    output_mode: OutputMode,
    #[serde(default, skip_serializing)]
    sparse: bool,
}

keras_layer!(CategoryEncoding);

fn multi_hot() -> OutputMode {
    OutputMode::MultiHot
}

impl CategoryEncoding {
    /// Of `num_tokens` categories.
    pub fn new(num_tokens: usize) -> CategoryEncoding {
        CategoryEncoding { base: Base::default(), num_tokens, output_mode: multi_hot(), sparse: false }
    }

    /// How many categories there are.
    pub(super) fn tokens(&self) -> usize {
        self.num_tokens
    }

    builders! {
        /// The form of the result; multi-hot unless said.
        output_mode: OutputMode,
    }
}

impl Layer for CategoryEncoding {
    fn build(&self, _: &InputShapes) -> Result<()> {
        if self.num_tokens == 0 || self.output_mode == OutputMode::Int || self.sparse {
            return Err(Error::argument(
                "CategoryEncoding",
                format!("{self:?} cannot encode"),
                "give at least 1 token, a mode of one_hot, multi_hot or count, and no sparse output",
            ));
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let weights = inputs.tensor_at(1, "count_weights");
        if weights.is_some() && self.output_mode != OutputMode::Count {
            return Err(Error::argument("count_weights", "they are for counts only", "set output_mode to Count"));
        }
        let dtype = if weights.is_some() { self.base.compute_dtype() } else { self.base.variable_dtype() };
        Ok(encode(inputs.tensor()?, self.output_mode, self.num_tokens, dtype, weights)?.into())
    }

    fn autocasts_inputs(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("category_encoding");
    }
}
