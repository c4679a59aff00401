//! What convolution and pooling share: which axes are spatial, and how much padding there is.

use rhyton_ir::Dim;

use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// The axes of images: batch first, channels last or right after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The axis of the channels.
    pub(super) channels: usize,
    /// The first spatial axis; the others follow.
    pub(super) first: usize,
    /// The number of spatial axes.
    pub(super) count: usize,
}

impl Layout {
    /// The axes of `x` in `data_format`; `channels_last` unless given.
    pub(super) fn of(op: &str, x: &Tensor, data_format: Option<&str>) -> Result<Layout> {
        let Some(count) = x.rank().checked_sub(2).filter(|&n| n > 0) else {
            return Err(Error::shape(
                op,
                format!("the input is {}", x.ty()),
                "give a batch axis, spatial axes and a channel axis",
            ));
        };
        match data_format {
            None | Some("channels_last") => Ok(Layout { channels: count + 1, first: 1, count }),
            Some("channels_first") => Ok(Layout { channels: 1, first: 2, count }),
            Some(other) => {
                Err(Error::argument(op, format!("the data format {other:?}"), "use channels_last or channels_first"))
            }
        }
    }

    /// The spatial axes.
    pub(super) fn spatial(self) -> std::ops::Range<usize> {
        self.first..self.first + self.count
    }
}

/// The name of a data format as configurations have it.
pub(super) fn data_format(given: Option<&str>) -> Option<String> {
    Some(given.unwrap_or("channels_last").to_owned())
}

/// Padding before and after an axis of `size` for a window that reaches over `extent` elements: none if `valid`; if `same`
/// as much as makes `⌈size / stride⌉` outputs, the odd element after.
///
/// With a stride above 1, that depends on the size. Of an unknown one, the padding is what makes the number of outputs
/// right; values are only ever computed with sizes known.
pub(super) fn padding(op: &str, kind: &str, size: &Dim, extent: usize, stride: usize) -> Result<(i64, i64)> {
    match kind.to_lowercase().as_str() {
        "valid" => Ok((0, 0)),
        "same" => {
            let total = match size.known() {
                Some(n) if stride > 0 => (n.div_ceil(stride).saturating_sub(1) * stride + extent).saturating_sub(n),
                _ => extent.saturating_sub(1),
            };
            Ok(((total / 2) as i64, total.div_ceil(2) as i64))
        }
        other => Err(Error::argument(op, format!("the padding {other:?}"), "use valid or same")),
    }
}
