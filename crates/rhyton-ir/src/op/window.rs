//! Sliding windows: their count along an axis, where they lie, and the values in them as nodes.

use super::{Pad, Primitive, Slice};
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Dim, Shape};

/// How windows slide along one axis.
#[derive(Clone, Debug)]
pub(super) struct Sliding {
    /// Elements in a window.
    pub size: Dim,
    /// Distance of neighbouring windows.
    pub stride: usize,
    /// Padding before and after; negative removes.
    pub padding: (i64, i64),
    /// Distance of neighbouring elements of the operand in the padded line.
    pub base_dilation: usize,
    /// Distance of neighbouring elements of a window.
    pub window_dilation: usize,
}

/// The length of `size` elements `dilation` apart; 0 of none.
fn dilated(size: &Dim, dilation: usize) -> Dim {
    match size {
        Dim::Known(0) => Dim::Known(0),
        _ => (size.clone() - Dim::Known(1)) * Dim::Known(dilation) + Dim::Known(1),
    }
}

/// `dim + offset`.
fn shifted(dim: Dim, offset: i64) -> Dim {
    let distance = Dim::Known(offset.unsigned_abs() as usize);
    if offset < 0 { dim - distance } else { dim + distance }
}

impl Sliding {
    /// Demands strides and dilations that are positive, and no number so large that places would overflow.
    pub fn check(&self, op: &dyn Primitive) -> Result<()> {
        const LARGEST: u64 = 1 << 30;
        let steps = [self.stride, self.base_dilation, self.window_dilation];
        if steps.iter().any(|&n| n == 0 || n as u64 > LARGEST) {
            let what = format!("strides and dilations {steps:?} along an axis");
            return Err(Error::argument(op.name(), what, format!("make them at least 1 and at most {LARGEST}")));
        }
        let (low, high) = self.padding;
        if low.unsigned_abs().max(high.unsigned_abs()) > LARGEST
            || self.size.known().is_some_and(|n| n as u64 > LARGEST)
        {
            let what = format!("windows of {} with padding ({low}, {high})", self.size);
            return Err(Error::argument(op.name(), what, format!("make them at most {LARGEST}")));
        }
        Ok(())
    }

    /// The number of windows along an axis of `d` elements; 0 if not even one fits.
    pub fn count(&self, d: &Dim) -> Dim {
        let (line, window) = (dilated(d, self.base_dilation), dilated(&self.size, self.window_dilation));
        let padding = self.padding.0 + self.padding.1;
        match (line.known(), window.known()) {
            (Some(line), Some(window)) => {
                let room = line as i64 + padding - window as i64;
                Dim::Known(if room < 0 { 0 } else { room as usize / self.stride + 1 })
            }
            // With one number taken off at the end, padding that keeps the size gives the same symbol again.
            (_, Some(window)) if self.stride == 1 => shifted(line, padding - window as i64 + 1),
            (_, Some(window)) => shifted(line, padding - window as i64) / Dim::Known(self.stride) + Dim::Known(1),
            _ => shifted(line - window, padding) / Dim::Known(self.stride) + Dim::Known(1),
        }
    }

    /// The element of an axis of `d` that element `k` of window `i` covers; `None` for padding and between elements.
    pub fn element(&self, d: usize, i: usize, k: usize) -> Option<usize> {
        let at = (i * self.stride + k * self.window_dilation) as i64 - self.padding.0;
        let (at, dilation) = (usize::try_from(at).ok()?, self.base_dilation);
        (at % dilation == 0 && at / dilation < d).then_some(at / dilation)
    }

    /// How far a window reaches, if its size is a number.
    pub fn extent(&self) -> Option<i64> {
        dilated(&self.size, self.window_dilation).known().map(|n| n as i64)
    }

    /// Elements of the padded line of `d` after the last window; `None` of symbolic sizes.
    pub fn remainder(&self, d: &Dim) -> Option<i64> {
        let line = dilated(d, self.base_dilation).known()? as i64;
        Some((line + self.padding.0 + self.padding.1 - self.extent()?).rem_euclid(self.stride as i64))
    }

    /// The transposed windows: sliding a reversed window in this way over one value a window visits, for each of the
    /// `d` elements of the operand, the windows that cover it. Gives at least `d` values (exactly `d` of numbers); the
    /// first `d` are meant. `None` if the window's size is a symbol.
    pub fn transposed(&self, d: &Dim) -> Option<Sliding> {
        let extent = self.extent()?;
        // The padding after the last value is exact for numbers and enough for any size otherwise.
        let rest = self.remainder(d).unwrap_or(self.stride as i64 - 1);
        Some(Sliding {
            size: self.size.clone(),
            stride: self.base_dilation,
            padding: (extent - 1 - self.padding.0, extent - 1 - self.padding.1 + rest),
            base_dilation: self.stride,
            window_dilation: self.window_dilation,
        })
    }
}

/// The places in an operand of `shape` that the window at `index` covers, in row-major order of the window.
pub(super) fn places(axes: &[Sliding], sizes: &[usize], shape: &[usize], index: &[usize]) -> Vec<usize> {
    let mut places = Vec::new();
    for inner in super::indices(sizes) {
        let at = (0..shape.len())
            .try_fold(0, |at, a| axes[a].element(shape[a], index[a], inner[a]).map(|element| at * shape[a] + element));
        places.extend(at);
    }
    places
}

/// `x` with its elements dilated and padded by `fill` as the windows see it.
pub(super) fn padded(b: &mut Builder, axes: &[Sliding], x: Value, fill: Value) -> Value {
    let pad = Pad {
        low: axes.iter().map(|a| a.padding.0).collect(),
        high: axes.iter().map(|a| a.padding.1).collect(),
        interior: axes.iter().map(|a| a.base_dilation - 1).collect(),
    };
    if pad.low.iter().chain(&pad.high).all(|&p| p == 0) && pad.interior.iter().all(|&p| p == 0) {
        return x;
    }
    b.push(pad, &[x, fill])
}

/// For one element of the window, its values in all windows, given the padded operand.
pub(super) fn element_values(
    b: &mut Builder,
    axes: &[Sliding],
    padded: Value,
    counts: &Shape,
    element: &[usize],
) -> Value {
    let start: Vec<usize> = axes.iter().zip(element).map(|(axis, &k)| k * axis.window_dilation).collect();
    let last = |a: usize| dilated(&counts[a], axes[a].stride) + Dim::Known(start[a]);
    let limit = (0..axes.len()).map(last).collect();
    b.push(Slice { start, limit, stride: axes.iter().map(|a| a.stride).collect() }, &[padded])
}

/// The transpose of [`element_values`]: puts values of one element of the window, one a window, at their places in the
/// padded operand, followed by at least as many zeros as it has there.
pub(super) fn element_places(
    b: &mut Builder,
    axes: &[Sliding],
    values: Value,
    element: &[usize],
    sizes: &[usize],
) -> Value {
    let (mut low, mut high) = (Vec::new(), Vec::new());
    for (a, axis) in axes.iter().enumerate() {
        low.push((element[a] * axis.window_dilation) as i64);
        let after = (sizes[a] - 1 - element[a]) * axis.window_dilation + axis.stride - 1;
        high.push(after as i64 + (-axis.padding.1).max(0));
    }
    let interior = axes.iter().map(|a| a.stride - 1).collect();
    let zero = b.scalar(b.dtype(values), 0.0);
    b.push(Pad { low, high, interior }, &[values, zero])
}

/// The transpose of [`padded`] for what [`element_places`] gives: the elements of the operand of `shape`.
pub(super) fn unpadded(b: &mut Builder, axes: &[Sliding], line: Value, shape: &Shape) -> Value {
    let zero = b.scalar(b.dtype(line), 0.0);
    let low = axes.iter().map(|a| -a.padding.0).collect();
    let none = vec![0; axes.len()];
    let line = b.push(Pad { low, high: vec![0; axes.len()], interior: none.clone() }, &[line, zero]);
    let limit = shape.iter().zip(axes).map(|(d, axis)| dilated(d, axis.base_dilation)).collect();
    b.push(Slice { start: none, limit, stride: axes.iter().map(|a| a.base_dilation).collect() }, &[line])
}

/// The first `shape` elements of `x`, which has at least as many.
pub(super) fn first(b: &mut Builder, x: Value, shape: &Shape) -> Value {
    if b.shape(x) == *shape {
        return x;
    }
    let rank = shape.rank();
    b.push(Slice { start: vec![0; rank], limit: shape.to_vec(), stride: vec![1; rank] }, &[x])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_numbers_and_symbols() {
        let mut axis =
            Sliding { size: Dim::Known(3), stride: 1, padding: (1, 1), base_dilation: 1, window_dilation: 1 };
        assert_eq!(axis.count(&Dim::symbol("n")), Dim::symbol("n"));
        assert_eq!(axis.count(&Dim::Known(5)), Dim::Known(5));
        axis.stride = 2;
        assert_eq!(axis.count(&Dim::Known(6)), Dim::Known(3));
        assert_eq!(axis.count(&Dim::Known(0)), Dim::Known(0));
        let bound = axis.count(&Dim::symbol("n")).bind(&[("n".to_owned(), 6)].into());
        assert_eq!(bound, Dim::Known(3));
    }
}
