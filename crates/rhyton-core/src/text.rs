//! Texts as arrays: Keras's `string` tensors.
//!
//! A text tensor of shape S is a `uint8` array of shape S + \[bytes\]: each text in UTF-8, filled up with zeros to the length
//! of the longest. The symbols of a functional model have an unknown last size of a name of its own, by which they are told
//! from numbers; configurations, summaries and messages show them as Keras does, with dtype `string` and without the last axis.

use rhyton_ir::{Array, DType, Dim, Shape, TensorType};

use crate::error::{Error, Result};
use crate::layers::Context;
use crate::tensor::Tensor;

/// The name of the unknown size of the axis of bytes.
const BYTES: &str = "bytes";

/// Keras's name of the dtype of texts.
pub(crate) const STRING: &str = "string";

/// Texts as an array, of shape `(count, bytes)`.
///
/// # Examples
/// ```
/// use rhyton_core::text;
///
/// let array = text::encode(["to be", "or"]);
/// assert_eq!(array.shape(), [2, 5]);
/// assert_eq!(text::decode(&array)?, ["to be", "or"]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
pub fn encode<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Array {
    let texts: Vec<S> = texts.into_iter().collect();
    let bytes: Vec<&[u8]> = texts.iter().map(|t| t.as_ref().as_bytes()).collect();
    of_width(&[bytes.len()], &bytes, width(&bytes))
}

/// Texts as an array of `shape`, the axis of bytes not counted.
///
/// # Errors
/// If there are not as many texts as the shape takes.
pub fn encode_shaped<S: AsRef<str>>(shape: &[usize], texts: impl IntoIterator<Item = S>) -> Result<Array> {
    let flat = encode(texts);
    let count = flat.shape()[0];
    let full: Vec<usize> = shape.iter().copied().chain([flat.shape()[1]]).collect();
    flat.reshape(full).ok_or_else(|| {
        Error::shape("text", format!("{count} texts do not fill the shape {shape:?}"), "give as many as its product")
    })
}

/// The texts of an array, flat.
///
/// # Errors
/// If it is no array of texts, or one of them is not UTF-8.
pub fn decode(array: &Array) -> Result<Vec<String>> {
    let text = |bytes: &[u8]| {
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|e| Error::argument("text", format!("a text is not UTF-8: {e}"), "make texts with text::encode"))
    };
    rows(array)?.map(text).collect()
}

/// Whether a symbol of a functional model stands for texts.
pub fn is_text(symbol: &Tensor) -> bool {
    is_symbolic(symbol.ty())
}

/// The bytes of each text of an array, without what they are filled up with.
///
/// # Errors
/// If it is no array of texts.
pub(crate) fn rows(array: &Array) -> Result<impl Iterator<Item = &[u8]>> {
    let (Some(bytes), Some(&width)) = (array.as_slice::<u8>(), array.shape().last()) else {
        return Err(Error::argument(
            "text",
            format!("{} {:?} holds no texts", array.dtype(), array.shape()),
            "make texts with text::encode",
        ));
    };
    let count = array.shape()[..array.rank() - 1].iter().product::<usize>();
    let row = move |i: usize| {
        let row = &bytes[i * width..(i + 1) * width];
        &row[..row.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1)]
    };
    Ok((0..count).map(row))
}

/// The size of the axis of bytes for `texts`: that of the longest, and never 0.
pub(crate) fn width(texts: &[&[u8]]) -> usize {
    texts.iter().map(|t| t.len()).max().unwrap_or(0).max(1)
}

/// Texts of `shape` with `width` bytes each; longer ones are cut off.
pub(crate) fn of_width(shape: &[usize], texts: &[&[u8]], width: usize) -> Array {
    let mut bytes = vec![0u8; texts.len() * width];
    for (text, row) in texts.iter().zip(bytes.chunks_exact_mut(width)) {
        let n = text.len().min(width);
        row[..n].copy_from_slice(&text[..n]);
    }
    Array::new(shape.iter().copied().chain([width]).collect::<Vec<_>>(), bytes)
}

/// The unknown size of the axis of bytes.
pub(crate) fn bytes_dim() -> Dim {
    Dim::symbol(BYTES)
}

/// The type of symbols for texts of `shape`.
pub(crate) fn symbolic(shape: &Shape) -> TensorType {
    TensorType::new(DType::U8, shape.iter().cloned().chain([bytes_dim()]).collect::<Shape>())
}

/// Whether this is the type of symbols for texts.
pub(crate) fn is_symbolic(ty: &TensorType) -> bool {
    ty.dtype == DType::U8 && ty.shape.last() == Some(&bytes_dim())
}

/// Refuses symbols for `uint8` numbers, which a layer that takes texts, too, would read as those.
///
/// # Errors
/// If one of `inputs` is such a symbol.
pub(crate) fn refuse_bytes(inputs: &[&Tensor], layer: &str, cx: &Context) -> Result<()> {
    match inputs.iter().find(|t| cx.symbolic && t.dtype() == DType::U8 && !is_symbolic(t.ty())) {
        None => Ok(()),
        Some(_) => Err(Error::dtype(
            layer,
            "the input is uint8 numbers, which the layer reads as texts",
            "give Input another dtype, such as int32",
        )),
    }
}

/// The shape without the axis of bytes, if there is one that symbols have.
pub(crate) fn logical_shape(shape: &Shape) -> &[Dim] {
    match shape.split_last() {
        Some((last, rest)) if *last == bytes_dim() => rest,
        _ => shape,
    }
}

/// Keras's name of the dtype: `string` for symbols of texts.
pub(crate) fn dtype_name(ty: &TensorType) -> &'static str {
    if is_symbolic(ty) { STRING } else { ty.dtype.name() }
}

/// The shape of a tensor of texts, the axis of bytes not counted; of others the shape.
pub(crate) fn shape_of(tensor: &Tensor) -> Shape {
    match tensor.shape().split_last() {
        Some((_, rest)) if tensor.dtype() == DType::U8 => rest.iter().cloned().collect(),
        _ => tensor.shape().clone(),
    }
}

/// `x`, if it is a tensor of texts.
///
/// # Errors
/// If it holds numbers.
pub(crate) fn expect<'t>(x: &'t Tensor, layer: &str) -> Result<&'t Tensor> {
    if x.dtype() == DType::U8 && x.rank() > 0 {
        return Ok(x);
    }
    Err(Error::argument(
        layer,
        format!("it takes texts, not numbers of dtype {}", x.dtype()),
        "make them with text::encode, and the input of the model with Input::new(…).string()",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_back_whatever_their_lengths() {
        let texts = ["", "é", "a b\0c", "longer than the others"];
        assert_eq!(decode(&encode(texts)).unwrap(), texts);
        assert_eq!(encode(["", ""]).shape(), [2, 1]);
        assert_eq!(decode(&encode::<&str>([])).unwrap(), Vec::<String>::new());
        let shaped = encode_shaped(&[2, 1, 2], texts).unwrap();
        assert_eq!(shaped.shape()[..3], [2, 1, 2]);
        assert!(encode_shaped(&[3], texts).unwrap_err().to_string().contains("4 texts"));
    }

    #[test]
    fn what_holds_no_texts_is_refused() {
        assert!(decode(&Array::new([2], vec![1i32, 2])).unwrap_err().to_string().contains("holds no texts"));
        assert!(decode(&Array::new([1, 2], vec![0xc3u8, 0x28])).unwrap_err().to_string().contains("UTF-8"));
    }
}
