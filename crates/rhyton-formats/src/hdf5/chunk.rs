//! The elements of a dataset, gathered from wherever its layout keeps them.

use std::borrow::Cow;

use super::chunk_index::{self, Chunk, Grid};
use super::message::{Filter, Index, Layout};
use super::{Source, filter};
use crate::error::Fault;

/// What is known of a dataset's storage.
pub(super) struct Storage<'a> {
    pub shape: &'a [usize],
    pub max: &'a [u64],
    /// Bytes of an element.
    pub size: usize,
    /// Bytes of all elements.
    pub len: usize,
    pub layout: &'a Layout,
    pub filters: &'a [Filter],
    pub fill: Option<&'a [u8]>,
    /// The byte of the object header, for messages.
    pub at: usize,
}

impl Storage<'_> {
    /// The bytes of all elements in row-major order.
    pub fn read<'a>(&self, source: &Source<'a>) -> Result<Cow<'a, [u8]>, Fault> {
        match self.layout {
            Layout::Compact { start, len } => {
                if *len < self.len as u64 {
                    let what =
                        format!("{len} bytes are stored of the {} that the shape {:?} takes", self.len, self.shape);
                    return Err(Fault::damaged(self.at, what));
                }
                source.bytes(*start, self.len as u64).map(Cow::Borrowed)
            }
            Layout::Contiguous { address: Some(address) } => source.bytes(*address, self.len as u64).map(Cow::Borrowed),
            Layout::Contiguous { address: None } => self.filled(source).map(Cow::Owned),
            Layout::Chunked { shape, index } => self.chunked(source, shape, index).map(Cow::Owned),
        }
    }

    /// Elements that all have the fill value.
    fn filled(&self, source: &Source) -> Result<Vec<u8>, Fault> {
        if self.len as u64 > source.unpacked_limit() {
            let what = format!("the shape {:?} takes {} bytes, more than this file can hold", self.shape, self.len);
            return Err(Fault::damaged(self.at, what));
        }
        match self.fill {
            Some(fill) if fill.len() == self.size && fill.iter().any(|&b| b != 0) => {
                Ok(fill.repeat(self.len / self.size))
            }
            _ => Ok(vec![0; self.len]),
        }
    }

    fn chunked(&self, source: &Source, chunk_shape: &[u64], index: &Index) -> Result<Vec<u8>, Fault> {
        let limit = source.unpacked_limit();
        let chunk_len = chunk_shape.iter().try_fold(self.size as u64, |n, &d| n.checked_mul(d));
        let Some(chunk_len) = chunk_len.filter(|&n| n <= limit && chunk_shape.len() == self.shape.len()) else {
            let what = format!("chunks of the shape {chunk_shape:?} in a dataset of the shape {:?}", self.shape);
            return Err(Fault::damaged(self.at, what));
        };
        let mut out = self.filled(source)?;
        if self.shape.is_empty() {
            return Err(Fault::damaged(self.at, "a scalar in chunks"));
        }
        let grid = Grid::new(self.shape, self.max, chunk_shape, chunk_len, !self.filters.is_empty());
        // Chunks do not share bytes, so what all unpack to has the limit of one file.
        let mut left = limit;
        for chunk in chunk_index::chunks(source, index, &grid)? {
            let at = chunk.address as usize;
            let overlap = || Fault::damaged(at, "chunks overlap");
            left = left.checked_sub(chunk_len).ok_or_else(overlap)?;
            let stored = source.bytes(chunk.address, chunk.len)?;
            let bytes = match self.filters {
                [] => Cow::Borrowed(stored),
                filters => Cow::Owned(filter::undo(filters, chunk.mask, stored, at, chunk_len as usize)?),
            };
            if (bytes.len() as u64) < chunk_len {
                let what = format!("a chunk has {} bytes instead of {chunk_len}", bytes.len());
                return Err(Fault::damaged(at, what));
            }
            self.place(&chunk, chunk_shape, &bytes, &mut out);
        }
        Ok(out)
    }

    /// Copies the part of a chunk that lies within the dataset, run by run along the last axis.
    fn place(&self, chunk: &Chunk, chunk_shape: &[u64], bytes: &[u8], out: &mut [u8]) {
        let rank = self.shape.len();
        // The dataset reaches every chunk of the grid, and chunks have at most `limit` bytes: the sizes fit.
        let shape: Vec<usize> = chunk_shape.iter().map(|&n| n as usize).collect();
        let start: Vec<usize> = chunk.place.iter().zip(&shape).map(|(&p, &n)| p as usize * n).collect();
        let part: Vec<usize> = (0..rank).map(|axis| shape[axis].min(self.shape[axis] - start[axis])).collect();
        let run = part[rank - 1] * self.size;
        let mut index = vec![0; rank - 1];
        loop {
            let (mut from, mut to) = (0, 0);
            for axis in 0..rank {
                let i = index.get(axis).copied().unwrap_or(0);
                from = from * shape[axis] + i;
                to = to * self.shape[axis] + start[axis] + i;
            }
            let (from, to) = (from * self.size, to * self.size);
            out[to..to + run].copy_from_slice(&bytes[from..from + run]);
            let mut axis = rank - 1;
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                index[axis] += 1;
                if index[axis] < part[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
    }
}
