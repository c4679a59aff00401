//! What lookups look up: whole numbers, or texts.

use std::fmt::{Debug, Display};
use std::hash::Hash;

use rhyton_ir::{Array, DType, Dim, TensorType};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::hash::{bucket, bucket_of_text};
use super::index_lookup::OovMethod;
use crate::error::{Error, Result};
use crate::text;

/// A term of a vocabulary.
pub(super) trait Term:
    Clone + Debug + Display + Ord + Hash + Send + Sync + Serialize + DeserializeOwned + 'static
{
    /// The class of layers that looks such up.
    const CLASS: &'static str;

    /// What stands for terms that are not known, unless said.
    fn oov_token() -> Self;

    /// The configuration's `vocabulary_dtype`, which only numbers have.
    fn vocabulary_dtype() -> Option<DType>;

    /// The configuration's `encoding`, which only texts have.
    fn encoding() -> Option<String>;

    /// Whether hashes are the only way to spread unknown terms.
    const ALWAYS_HASHED: bool;

    /// The type of an array of as many terms as one of type `ty` has; `width` is that of the longest text, if it is known.
    fn type_like(ty: &TensorType, width: Option<usize>) -> TensorType;

    /// The shape and the terms of an array.
    fn read(array: &Array) -> Result<(Vec<usize>, Vec<Self>)>;

    /// An array of `terms`; texts have `width` bytes.
    fn write(shape: &[usize], terms: &[&Self], width: usize) -> Array;

    /// How many bytes the term takes.
    fn width(&self) -> usize;

    /// Which of `count` buckets the term falls into.
    fn bucket(&self, count: u64, method: OovMethod, salt: Option<[u64; 2]>) -> i64;

    /// From a line of a vocabulary's file.
    fn parse(line: &str) -> Option<Self>;
}

impl Term for i64 {
    const CLASS: &'static str = "IntegerLookup";
    const ALWAYS_HASHED: bool = false;

    fn oov_token() -> i64 {
        -1
    }

    fn vocabulary_dtype() -> Option<DType> {
        Some(DType::I64)
    }

    fn encoding() -> Option<String> {
        None
    }

    fn type_like(ty: &TensorType, _: Option<usize>) -> TensorType {
        TensorType::new(DType::I64, ty.shape.clone())
    }

    fn read(array: &Array) -> Result<(Vec<usize>, Vec<i64>)> {
        let array = array.cast(DType::I64);
        Ok((array.shape().to_vec(), array.as_slice::<i64>().unwrap_or_default().to_vec()))
    }

    fn write(shape: &[usize], terms: &[&i64], _: usize) -> Array {
        Array::new(shape, terms.iter().map(|&&t| t).collect::<Vec<i64>>())
    }

    fn width(&self) -> usize {
        size_of::<i64>()
    }

    fn bucket(&self, count: u64, method: OovMethod, salt: Option<[u64; 2]>) -> i64 {
        match method {
            OovMethod::FloorMod => self.rem_euclid(count as i64),
            OovMethod::FarmHash => bucket(*self, count, salt),
        }
    }

    fn parse(line: &str) -> Option<i64> {
        line.trim().parse().ok()
    }
}

impl Term for String {
    const CLASS: &'static str = "StringLookup";
    const ALWAYS_HASHED: bool = true;

    fn oov_token() -> String {
        "[UNK]".into()
    }

    fn vocabulary_dtype() -> Option<DType> {
        None
    }

    fn encoding() -> Option<String> {
        Some("utf-8".into())
    }

    fn type_like(ty: &TensorType, width: Option<usize>) -> TensorType {
        let bytes = width.map_or_else(text::bytes_dim, Dim::Known);
        TensorType::new(DType::U8, ty.shape.iter().cloned().chain([bytes]).collect::<rhyton_ir::Shape>())
    }

    fn read(array: &Array) -> Result<(Vec<usize>, Vec<String>)> {
        let texts = text::decode(array)?;
        let (_, shape) = array.shape().split_last().ok_or_else(|| {
            Error::shape(Self::CLASS, "an array of texts has an axis of bytes", "make texts with text::encode")
        })?;
        Ok((shape.to_vec(), texts))
    }

    fn write(shape: &[usize], terms: &[&String], width: usize) -> Array {
        let bytes: Vec<&[u8]> = terms.iter().map(|t| t.as_bytes()).collect();
        text::of_width(shape, &bytes, width)
    }

    fn width(&self) -> usize {
        self.len()
    }

    fn bucket(&self, count: u64, _: OovMethod, salt: Option<[u64; 2]>) -> i64 {
        bucket_of_text(self.as_bytes(), count, salt)
    }

    fn parse(line: &str) -> Option<String> {
        Some(line.to_owned())
    }
}
