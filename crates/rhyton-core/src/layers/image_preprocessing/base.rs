//! What all layers on images do: they take images alone or with what belongs to them, and act in training.

use rhyton_ir::DType;

use crate::bounding_boxes::{BoundingBoxes, BoxFormat, ImageSize};
use crate::error::{Error, Result};
use crate::layers::{DataFormat, Layer, LayerRef, describe};
use crate::nest::Nest;
use crate::ops::Operand;
use crate::ops::primitives::size;
use crate::random::SeedGenerator;
use crate::tensor::Tensor;

/// The arguments that every layer on images has.
pub trait ImageSettings {
    /// Where the channels are.
    fn data_format(&self) -> DataFormat;

    /// What the numbers of bounding boxes are, if they are given.
    fn bounding_box_format(&self) -> Option<BoxFormat>;

    /// Where the random numbers start.
    fn seed(&self) -> Option<i64>;
}

/// A layer that changes images in training, and with them what belongs to them (Keras's `BaseImagePreprocessingLayer`).
///
/// Its input is an image or a batch of images, or a dictionary with `"images"` and any of `"labels"`,
/// `"bounding_boxes"` (a dictionary of `"boxes"` and `"labels"`) and `"segmentation_masks"`; other entries stay as they
/// are. The layer first draws what is to be done, [`get_random_transformation`](ImageLayer::get_random_transformation),
/// and then does it to each. All methods here get a batch.
///
/// A transformation is a dictionary with Keras's names; what a caller gives in its place is used in the same way.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let layer = RandomFlip::new().mode(FlipMode::Horizontal);
/// let images = Tensor::new([1, 1, 3, 1], vec![1.0f32, 2.0, 3.0]);
/// let flip = Nest::Dict([("flips".to_owned(), Tensor::new([1, 1, 1, 1], vec![true]).into())].into());
/// assert_eq!(layer.transform_images(&images, &flip)?.to_vec::<f32>()?, [3.0, 2.0, 1.0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
///
/// With labels, `call_nested` gives a dictionary again:
///
/// ```
/// use rhyton_core::prelude::*;
///
/// let images = Tensor::new([2, 1, 1, 1], vec![0.0f32, 8.0]);
/// let labels = Tensor::new([2, 2], vec![1.0f32, 0.0, 0.0, 1.0]);
/// let data = Nest::Dict([("images".to_owned(), images.into()), ("labels".to_owned(), labels.into())].into());
/// let Nest::Dict(mixed) = MixUp::new().call_nested(data)? else { unreachable!("a dictionary gives one") };
/// let (x, y) = (mixed["images"].single()?.to_vec::<f32>()?, mixed["labels"].single()?.to_vec::<f32>()?);
/// assert!((x[0] / 8.0 - y[1]).abs() < 1e-6);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
pub trait ImageLayer: Layer + ImageSettings {
    /// Refuses arguments that make no sense.
    ///
    /// # Errors
    /// If there are such.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// What the layer does outside of training.
    fn at_inference(&self) -> AtInference {
        AtInference::Converted
    }

    /// Layers that this one is made of, by Keras's attribute names.
    fn parts(&self) -> Vec<(String, LayerRef)> {
        Vec::new()
    }

    /// Draws what is to be done to a batch of images.
    ///
    /// # Errors
    /// If the images are not what the layer takes.
    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let _ = (images, seed);
        Ok(Nest::none())
    }

    /// The images after `transformation`.
    ///
    /// # Errors
    /// If the images are not what the layer takes, or the transformation is not one of this layer.
    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor>;

    /// The labels of the images; the same unless the layer mixes images.
    ///
    /// # Errors
    /// As [`ImageLayer::transform_images`].
    fn transform_labels(&self, labels: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let _ = transformation;
        Ok(labels.clone())
    }

    /// The bounding boxes of images of `size`; the same unless the layer moves what is in the images.
    ///
    /// # Errors
    /// As [`ImageLayer::transform_images`]; if the layer cannot move boxes.
    fn transform_bounding_boxes(
        &self,
        bounding_boxes: &BoundingBoxes,
        transformation: &Nest,
        size: &ImageSize,
    ) -> Result<BoundingBoxes> {
        let _ = (transformation, size);
        Ok(bounding_boxes.clone())
    }

    /// The segmentation masks of the images; the same unless the layer moves what is in the images.
    ///
    /// # Errors
    /// As [`ImageLayer::transform_images`].
    fn transform_segmentation_masks(&self, segmentation_masks: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let _ = transformation;
        Ok(segmentation_masks.clone())
    }
}

/// What a layer on images does outside of training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtInference {
    /// Nothing.
    Nothing,
    /// Images are converted to the compute dtype.
    Converted,
    /// Images and segmentation masks are converted to the compute dtype.
    AllConverted,
    /// The same as in training.
    Transformed,
}

/// The format of the boxes, which must have been said.
///
/// # Errors
/// If it was not.
pub(super) fn box_format(layer: &dyn ImageLayer) -> Result<BoxFormat> {
    layer.bounding_box_format().ok_or_else(|| {
        Error::argument(
            describe(layer),
            "the input has bounding boxes, but the layer has no bounding_box_format",
            "give the layer one, BoxFormat::Xyxy for example",
        )
    })
}

/// The dtype that the layer computes in.
pub(super) fn compute_dtype(layer: &dyn ImageLayer) -> DType {
    layer.base().compute_dtype()
}

/// The height and the width of a batch of images.
pub(super) fn image_size(images: &Tensor, format: DataFormat) -> ImageSize {
    let first = format.first_spatial();
    let [height, width] = [first, first + 1].map(|axis| {
        let side = &images.shape()[axis];
        side.known().map_or_else(|| Operand::from(size(side, DType::F32)), |n| Operand::from(n as i64))
    });
    ImageSize { height, width }
}

/// The part `key` of a transformation.
///
/// # Errors
/// If there is none, or it is no tensor.
pub(super) fn part<'t>(transformation: &'t Nest, key: &str) -> Result<&'t Tensor> {
    let found = match transformation {
        Nest::Dict(parts) => parts.get(key).and_then(|n| n.single().ok()),
        _ => None,
    };
    found.ok_or_else(|| {
        let what = format!("it has no tensor {key:?}");
        Error::argument("transformation", what, "give what get_random_transformation gives")
    })
}

/// A transformation of named tensors.
pub(super) fn transformation<const N: usize>(parts: [(&str, Tensor); N]) -> Result<Nest> {
    let part = |(key, part): (&str, Tensor)| Ok((key.to_owned(), part.check()?.into()));
    parts.into_iter().map(part).collect::<Result<_>>().map(Nest::Dict)
}

/// A layer that changes colours by one factor: the struct, whose documentation comes first, its constructor and its builder. The
/// function of [`factor`](super::factor) is how the factor is written.
macro_rules! color_layer {
    ($(#[$doc:meta])* $name:ident, $written:literal; $(#[$new:meta])* new; $(#[$range:meta])* value_range;) => {
        $(#[$doc])*
        #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            #[serde(skip)]
            base: $crate::layers::Base,
            #[serde(default)]
            data_format: $crate::layers::DataFormat,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            bounding_box_format: Option<$crate::bounding_boxes::BoxFormat>,
            #[serde(serialize_with = $written)]
            factor: $crate::layers::Factor,
            #[serde(default)]
            value_range: $crate::layers::ValueRange,
            #[serde(default)]
            seed: Option<i64>,
        }

        $crate::layers::image_preprocessing::base::image_layer!($name, seed);

        impl $name {
            $(#[$new])*
            pub fn new(factor: impl Into<$crate::layers::Factor>) -> $name {
                $name {
                    base: Default::default(),
                    data_format: Default::default(),
                    bounding_box_format: None,
                    factor: factor.into(),
                    value_range: Default::default(),
                    seed: None,
                }
            }

            $crate::layers::builders::builders! {
                $(#[$range])*
                value_range: into $crate::layers::ValueRange,
            }
        }
    };
}
pub(super) use color_layer;

/// Implements [`ImageSettings`] and [`Layer`] for a layer on images with the fields `data_format` and
/// `bounding_box_format`, the builder methods of these, and, for `$name, seed`, that of the field `seed`.
macro_rules! image_layer {
    ($name:ident, seed) => {
        $crate::layers::image_preprocessing::base::image_layer!(@both $name);

        impl $crate::layers::image_preprocessing::ImageSettings for $name {
            fn data_format(&self) -> $crate::layers::DataFormat {
                self.data_format
            }
            fn bounding_box_format(&self) -> Option<$crate::bounding_boxes::BoxFormat> {
                self.bounding_box_format
            }
            fn seed(&self) -> Option<i64> {
                self.seed
            }
        }

        impl $name {
            /// Where the random numbers start; anywhere unless said.
            pub fn seed(mut self, seed: i64) -> Self {
                self.seed = Some(seed);
                self
            }
        }
    };
    ($name:ident) => {
        $crate::layers::image_preprocessing::base::image_layer!(@both $name);

        impl $crate::layers::image_preprocessing::ImageSettings for $name {
            fn data_format(&self) -> $crate::layers::DataFormat {
                self.data_format
            }
            fn bounding_box_format(&self) -> Option<$crate::bounding_boxes::BoxFormat> {
                self.bounding_box_format
            }
            fn seed(&self) -> Option<i64> {
                None
            }
        }
    };
    (@both $name:ident) => {
        $crate::keras_layer!($name);

        impl $name {
            /// Where the channels are; last unless said.
            pub fn data_format(mut self, data_format: $crate::layers::DataFormat) -> Self {
                self.data_format = data_format;
                self
            }

            /// What the numbers of bounding boxes are; needed if there are any.
            pub fn bounding_box_format(mut self, format: $crate::bounding_boxes::BoxFormat) -> Self {
                self.bounding_box_format = Some(format);
                self
            }
        }

        impl $crate::layers::Layer for $name {
            fn build(&self, _: &$crate::layers::InputShapes) -> $crate::error::Result<()> {
                $crate::layers::image_preprocessing::ImageLayer::check(self)
            }
            fn forward(
                &self,
                inputs: &$crate::nest::Args,
                cx: &mut $crate::layers::Context,
            ) -> $crate::error::Result<$crate::nest::Nest> {
                $crate::layers::image_preprocessing::data::augment(self, inputs, cx)
            }
            fn arguments(&self) -> &'static [&'static str] {
                &["data"]
            }
            fn children(&self) -> Vec<(String, $crate::layers::LayerRef)> {
                $crate::layers::image_preprocessing::ImageLayer::parts(self)
            }
            fn training_by_default(&self) -> bool {
                true
            }
            fn as_image_layer(&self) -> Option<&dyn $crate::layers::image_preprocessing::ImageLayer> {
                Some(self)
            }
        }
    };
}
pub(super) use image_layer;
