//! What the four numbers of a box are, and `convert_format`.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::{joined, sides};
use crate::error::{Error, Result};
use crate::ops::Operand;
use crate::tensor::Tensor;

/// What the four numbers of a box are; `x` is along the width. Those named `Rel` are parts of the width and the height
/// of the image, the others pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoxFormat {
    /// `x₁ y₁ x₂ y₂`: left, top, right, bottom.
    Xyxy,
    /// `y₁ x₁ y₂ x₂`.
    Yxyx,
    /// Left, top, width, height.
    Xywh,
    /// `x` and `y` of the centre, width, height.
    CenterXywh,
    /// `y` and `x` of the centre, height, width.
    CenterYxhw,
    /// [`BoxFormat::Xyxy`] of an image of size 1.
    RelXyxy,
    /// [`BoxFormat::Yxyx`] of an image of size 1.
    RelYxyx,
    /// [`BoxFormat::Xywh`] of an image of size 1.
    RelXywh,
    /// [`BoxFormat::CenterXywh`] of an image of size 1.
    RelCenterXywh,
}

impl BoxFormat {
    /// From Keras's name, `"rel_xyxy"`.
    ///
    /// # Errors
    /// If there is no such format.
    pub fn named(name: &str) -> Result<BoxFormat> {
        serde_json::from_value(name.to_lowercase().into()).map_err(|_| {
            Error::argument(
                "bounding_box_format",
                format!("{name:?} is no format of boxes"),
                "use xyxy, yxyx, xywh, center_xywh, center_yxhw, rel_xyxy, rel_yxyx, rel_xywh or rel_center_xywh",
            )
        })
    }

    /// Whether numbers are parts of the image's size.
    pub fn is_relative(self) -> bool {
        self != self.absolute()
    }

    /// The same order of numbers, in pixels.
    fn absolute(self) -> BoxFormat {
        match self {
            BoxFormat::RelXyxy => BoxFormat::Xyxy,
            BoxFormat::RelYxyx => BoxFormat::Yxyx,
            BoxFormat::RelXywh => BoxFormat::Xywh,
            BoxFormat::RelCenterXywh => BoxFormat::CenterXywh,
            pixels => pixels,
        }
    }
}

/// The height and the width of images: numbers, or tensors that broadcast to one side of boxes `(…, boxes, 1)`.
#[derive(Clone, Debug)]
pub struct ImageSize {
    /// The height in pixels.
    pub height: Operand,
    /// The width in pixels.
    pub width: Operand,
}

impl ImageSize {
    /// Of `height` and `width`.
    pub fn new(height: impl Into<Operand>, width: impl Into<Operand>) -> ImageSize {
        ImageSize { height: height.into(), width: width.into() }
    }

    /// Height and width, if both are plain numbers.
    pub(crate) fn known(&self) -> Option<[usize; 2]> {
        let number = |side: &Operand| match side {
            Operand::Int(n) => usize::try_from(*n).ok(),
            _ => None,
        };
        Some([number(&self.height)?, number(&self.width)?])
    }

    /// Both as tensors of `dtype`.
    pub(crate) fn tensors(&self, dtype: DType) -> [Tensor; 2] {
        [self.height.to_tensor(dtype), self.width.to_tensor(dtype)]
    }
}

impl From<[usize; 2]> for ImageSize {
    fn from([height, width]: [usize; 2]) -> ImageSize {
        ImageSize::new(height as i64, width as i64)
    }
}

/// Boxes in the format `target` that are given in the format `source`, as `dtype`, Keras's default being `float32`.
///
/// An error travels in the result: if one format is relative and the other is not, and no size of the image is given.
///
/// # Examples
/// ```
/// use rhyton_core::bounding_boxes::{BoxFormat, convert_format};
/// use rhyton_core::{DType, Tensor};
///
/// let boxes = Tensor::new([1, 4], vec![2.0f32, 4.0, 6.0, 8.0]);
/// let size = [16, 8].into();
/// let y = convert_format(&boxes, BoxFormat::Xyxy, BoxFormat::RelXywh, Some(&size), DType::F32);
/// assert_eq!(y.to_vec::<f32>()?, [0.25, 0.25, 0.5, 0.25]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[track_caller]
pub fn convert_format(
    boxes: &Tensor,
    source: BoxFormat,
    target: BoxFormat,
    size: Option<&ImageSize>,
    dtype: DType,
) -> Tensor {
    Tensor::from(converted(boxes, source, target, size, dtype))
}

fn converted(
    boxes: &Tensor,
    source: BoxFormat,
    target: BoxFormat,
    size: Option<&ImageSize>,
    dtype: DType,
) -> Result<Tensor> {
    let boxes = boxes.cast(dtype);
    if source == target {
        return sides(&boxes).map(|_| boxes);
    }
    let lengths = || {
        let size = size.ok_or_else(|| {
            let what = format!("boxes from {source:?} to {target:?} without the size of the image");
            Error::argument("convert_format", what, "give height and width")
        })?;
        let [height, width] = size.tensors(dtype);
        Ok::<_, Error>([width.clone(), height.clone(), width, height])
    };
    // Between two relative formats the size does not count.
    let both = source.is_relative() && target.is_relative();
    let mut corners = to_corners(sides(&boxes)?, source.absolute());
    if source.is_relative() && !both {
        let lengths = lengths()?;
        corners = std::array::from_fn(|i| &corners[i] * &lengths[i]);
    }
    let mut numbers = from_corners(corners, target.absolute());
    if target.is_relative() && !both {
        let [x, y, ..] = lengths()?;
        // The relative formats other than yxyx have x and y in turn.
        let order = if target == BoxFormat::RelYxyx { [&y, &x, &y, &x] } else { [&x, &y, &x, &y] };
        numbers = std::array::from_fn(|i| &numbers[i] / order[i]);
    }
    joined(numbers).check().cloned()
}

fn to_corners([a, b, c, d]: [Tensor; 4], format: BoxFormat) -> [Tensor; 4] {
    let around = |x: Tensor, y: Tensor, width: Tensor, height: Tensor| {
        let (half_width, half_height) = (width / 2.0, height / 2.0);
        [&x - &half_width, &y - &half_height, x + half_width, y + half_height]
    };
    match format.absolute() {
        BoxFormat::Yxyx => [b, a, d, c],
        BoxFormat::Xywh => [a.clone(), b.clone(), a + c, b + d],
        BoxFormat::CenterXywh => around(a, b, c, d),
        BoxFormat::CenterYxhw => around(b, a, d, c),
        _ => [a, b, c, d],
    }
}

fn from_corners([x1, y1, x2, y2]: [Tensor; 4], format: BoxFormat) -> [Tensor; 4] {
    let (width, height) = (&x2 - &x1, &y2 - &y1);
    let centre = |start: &Tensor, length: &Tensor| start + length / 2.0;
    match format.absolute() {
        BoxFormat::Yxyx => [y1, x1, y2, x2],
        BoxFormat::Xywh => [x1, y1, width, height],
        BoxFormat::CenterXywh => [centre(&x1, &width), centre(&y1, &height), width, height],
        BoxFormat::CenterYxhw => [centre(&y1, &height), centre(&x1, &width), height, width],
        _ => [x1, y1, x2, y2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_keras_names() {
        assert_eq!(BoxFormat::named("REL_center_xywh").unwrap(), BoxFormat::RelCenterXywh);
        assert_eq!(serde_json::to_value(BoxFormat::CenterYxhw).unwrap(), "center_yxhw");
        assert!(BoxFormat::named("xxyy").is_err());
    }

    #[test]
    fn relative_boxes_need_the_size() {
        let boxes = Tensor::new([1, 4], vec![0.0f32; 4]);
        let y = convert_format(&boxes, BoxFormat::Xyxy, BoxFormat::RelXyxy, None, DType::F32);
        assert!(y.eval().unwrap_err().to_string().contains("height and width"));
        let y = convert_format(&Tensor::from(0.0f32), BoxFormat::Xyxy, BoxFormat::Xywh, None, DType::F32);
        assert!(y.eval().unwrap_err().to_string().contains("four numbers"));
    }
}
