//! Elements of arrays as bytes in either order.

use std::borrow::Cow;

use rhyton_ir::{Array, DType, Data};

/// Elements of `dtype` from their bytes, which must be a multiple of its size.
pub(crate) fn decode(dtype: DType, bytes: &[u8], big_endian: bool) -> Data {
    let size = dtype.size();
    let native = if size == 1 || big_endian == cfg!(target_endian = "big") {
        Cow::Borrowed(bytes)
    } else {
        Cow::Owned(swapped(bytes, size))
    };
    Data::from_bytes(dtype, &native).expect("the callers take whole elements")
}

/// The elements' bytes, least significant first.
pub(crate) fn encode(array: &Array) -> Cow<'_, [u8]> {
    let (bytes, size) = (array.data().bytes(), array.dtype().size());
    if cfg!(target_endian = "little") { Cow::Borrowed(bytes) } else { Cow::Owned(swapped(bytes, size)) }
}

fn swapped(bytes: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    bytes
}

/// Reorders elements of `size` bytes from column-major (Fortran) to row-major order. `bytes` must fill `shape`.
pub(crate) fn row_major(bytes: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = size;
    for &dimension in shape {
        strides.push(stride);
        stride *= dimension;
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = vec![0; shape.len()];
    while out.len() < bytes.len() {
        let at: usize = index.iter().zip(&strides).map(|(i, s)| i * s).sum();
        out.extend_from_slice(&bytes[at..at + size]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    out
}
