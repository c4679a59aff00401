//! Keras's `keras.utils`: labels and sequences as arrays, splitting data, seeds and sessions.

mod categorical;
mod config;
mod data;
mod progbar;
mod sequences;

use rhyton_ir::DType;

use crate::error::Result;
use crate::tensor::Tensor;

pub use crate::random::set_random_seed;
pub use categorical::{normalize, to_categorical};
pub use config::Config;
pub use data::{Share, pack_x_y_sample_weight, split_dataset, unpack_x_y_sample_weight};
pub use progbar::Progbar;
pub use sequences::{PadSequences, Side, pad_sequences};

/// The inputs of a functional model that `symbol` was computed from; itself, if it is one.
///
/// # Errors
/// If it is no symbol.
pub fn get_source_inputs(symbol: &Tensor) -> Result<Vec<Tensor>> {
    let mut sources: Vec<Tensor> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut pending = vec![symbol.check()?.clone()];
    if !is_keras_tensor(symbol) {
        return Err(crate::Error::argument(
            "get_source_inputs",
            format!("{symbol:?} is no symbol"),
            "start from Input and apply layers to it",
        ));
    }
    while let Some(next) = pending.pop() {
        let Some(history) = next.history().filter(|_| seen.insert(next.key())) else { continue };
        if crate::model::is_input(&history.node) {
            sources.push(next);
            continue;
        }
        pending.extend(history.node.arguments.tensors().into_iter().rev().cloned());
    }
    Ok(sources)
}

/// Whether `x` is a symbol of a functional model.
pub fn is_keras_tensor(x: &Tensor) -> bool {
    x.is_symbol()
}

/// The dtype of a name.
///
/// # Errors
/// If there is none of it.
pub fn standardize_dtype(name: &str) -> Result<DType> {
    name.parse().map_err(|e: rhyton_ir::dtype::UnknownDType| {
        crate::Error::argument("dtype", e.to_string(), "use a name such as float32 or int64")
    })
}

/// Starts automatic names anew, frees compiled programs that are kept, and sets the dtype policy and flash attention back.
/// Models and layers that are there stay as they are.
pub fn clear_session() {
    crate::naming::reset_names();
    crate::clear_cache();
    crate::config::reset();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Call;
    use crate::prelude::{Add, Dense, Input};

    #[test]
    fn sources_are_found_once_each() {
        let (a, b) = (Input::new([2]), Input::new([2]));
        let shared = Dense::new(2).call(&a);
        let y = Add::new().call([&shared, &Dense::new(2).call(&b), &shared]);
        let sources = get_source_inputs(&y).unwrap();
        assert_eq!(sources.len(), 2);
        assert!(sources[0].is(&a.symbol()) && sources[1].is(&b.symbol()));
        assert!(get_source_inputs(&Tensor::from(1.0f32)).is_err());
        assert!(is_keras_tensor(&y) && !is_keras_tensor(&Tensor::from(1.0f32)));
    }

    #[test]
    fn names_of_dtypes_are_checked() {
        assert_eq!(standardize_dtype("bfloat16").unwrap(), DType::BF16);
        assert!(standardize_dtype("float33").is_err());
    }
}
