//! Operations on images: `keras.src.ops.image`. Functions are found under `ops::image`, as in Keras.

mod color;
mod coordinates;
mod patches;
mod projection;
mod resize;
mod similarity;
mod translation;
mod weights;

use super::record::OperationClass;

pub use color::*;
pub use coordinates::*;
pub use patches::*;
pub use projection::*;
pub use resize::*;
pub use similarity::*;
pub use translation::*;

/// The Python module of these operations.
pub(crate) const MODULE: &str = "keras.src.ops.image";

/// Every operation of this folder that configurations may name.
pub(crate) const TABLES: &[&[OperationClass]] = &[
    color::CLASSES,
    coordinates::CLASSES,
    patches::CLASSES,
    projection::CLASSES,
    resize::CLASSES,
    similarity::CLASSES,
    translation::CLASSES,
];

use crate::error::{Error, Result};
use crate::ops::primitives::{permute, reshaped};
use crate::tensor::Tensor;

/// The axes of height, width and channels of an image or a batch of images.
fn axes(op: &str, x: &Tensor, data_format: Option<&str>) -> Result<[usize; 3]> {
    let rank = x.rank();
    if !matches!(rank, 3 | 4) {
        return Err(Error::shape(op, format!("the input is {}", x.ty()), "give an image or a batch of images"));
    }
    match data_format {
        None | Some("channels_last") => Ok([rank - 3, rank - 2, rank - 1]),
        Some("channels_first") => Ok([rank - 2, rank - 1, rank - 3]),
        Some(other) => {
            Err(Error::argument(op, format!("the data format {other:?}"), "use channels_last or channels_first"))
        }
    }
}

/// `f` of a batch of images with the channels last, and its result as the input was.
fn batched(
    op: &str,
    x: &Tensor,
    data_format: Option<&str>,
    f: impl FnOnce(Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let first = axes(op, x, data_format)?[2] != x.rank() - 1;
    let single = x.rank() == 3;
    let mut images = x.clone();
    if single {
        images = crate::ops::expand_dims(&images, 0);
    }
    if first {
        images = permute(&images, &[0, 2, 3, 1]);
    }
    let mut out = f(images)?.check()?.clone();
    if first {
        out = permute(&out, &[0, 3, 1, 2]);
    }
    if single {
        let shape = out.shape()[1..].to_vec();
        out = reshaped(&out, shape);
    }
    Ok(out)
}

/// The name of a data format as configurations have it.
fn data_format(given: Option<&str>) -> Option<String> {
    Some(given.unwrap_or("channels_last").to_owned())
}
