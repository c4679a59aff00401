//! The input of layers on images: images alone, or a dictionary of them and what belongs to them.

use indexmap::IndexMap;
use rhyton_ir::DType;

use super::base::{box_format, compute_dtype, image_size};
use super::{AtInference, ImageLayer};
use crate::bounding_boxes::BoundingBoxes;
use crate::error::{Error, Result};
use crate::layers::{Context, describe};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::tensor::Tensor;

/// The forward pass of all layers on images.
pub(super) fn augment(layer: &dyn ImageLayer, inputs: &Args, cx: &Context) -> Result<Nest> {
    let data = inputs.first()?;
    if !cx.training && layer.at_inference() != AtInference::Transformed {
        return unchanged(layer, data);
    }
    let images = batched(layer, images_of(data)?)?;
    let seed = layer.base().seed_generator(layer.seed().map(|seed| seed as u64));
    let transformation = layer.get_random_transformation(&images, &seed)?;
    transformed(layer, data, &transformation)
}

fn images_of(data: &Nest) -> Result<&Tensor> {
    match data {
        Nest::Dict(parts) => parts.get("images").map(Nest::single).transpose()?.ok_or_else(|| {
            let what = format!("the input has {:?} but no images", parts.keys().collect::<Vec<_>>());
            Error::argument("call", what, "give images under the key \"images\"")
        }),
        other => other.single(),
    }
}

/// Images as a batch.
fn batched(layer: &dyn ImageLayer, images: &Tensor) -> Result<Tensor> {
    match images.check()?.rank() {
        3 => Ok(ops::expand_dims(images, 0)),
        4 => Ok(images.clone()),
        _ => Err(Error::shape(
            describe(layer),
            format!("the images are {}", images.ty()),
            "give an image (height, width, channels) or a batch of images",
        )),
    }
}

/// What the layer gives outside of training.
fn unchanged(layer: &dyn ImageLayer, data: &Nest) -> Result<Nest> {
    let kind = layer.at_inference();
    // That the input is one of images holds outside of training, too.
    let images = images_of(data)?;
    batched(layer, images)?;
    let converted = |t: &Tensor| if kind == AtInference::Nothing { t.clone() } else { t.cast(compute_dtype(layer)) };
    let Nest::Dict(parts) = data else { return Ok(converted(images).into()) };
    let part = |(key, part): (&String, &Nest)| {
        let part = match key.as_str() {
            "images" => converted(part.single()?).into(),
            "segmentation_masks" if kind == AtInference::AllConverted => converted(part.single()?).into(),
            "bounding_boxes" => {
                box_format(layer)?;
                with_boxes(part, &boxes_of(part)?)
            }
            _ => part.clone(),
        };
        Ok((key.clone(), part))
    };
    parts.iter().map(part).collect::<Result<_>>().map(Nest::Dict)
}

/// `data` after `transformation`.
pub(crate) fn transformed(layer: &dyn ImageLayer, data: &Nest, transformation: &Nest) -> Result<Nest> {
    let images = images_of(data)?;
    let single = images.rank() == 3;
    let several = |t: &Tensor| if single { ops::expand_dims(t, 0) } else { t.clone() };
    let as_given = |t: Tensor| if single { ops::squeeze(&t, 0) } else { t };
    let one = |part: &Nest, change: &dyn Fn(&Tensor) -> Result<Tensor>| -> Result<Nest> {
        Ok(as_given(change(&several(part.single()?))?).check()?.into())
    };
    let batch = batched(layer, images)?;
    let change_images = |t: &Tensor| layer.transform_images(t, transformation);
    let Nest::Dict(parts) = data else { return one(&images.into(), &change_images) };
    let part = |(key, part): (&String, &Nest)| {
        let part = match key.as_str() {
            "images" => one(part, &change_images)?,
            "labels" => one(part, &|t| layer.transform_labels(t, transformation))?,
            "segmentation_masks" => one(part, &|t| layer.transform_segmentation_masks(t, transformation))?,
            "bounding_boxes" => {
                box_format(layer)?;
                let BoundingBoxes { boxes, labels } = boxes_of(part)?;
                let given = BoundingBoxes { boxes: several(&boxes), labels: several(&labels) };
                let size = image_size(&batch, layer.data_format());
                let BoundingBoxes { boxes, labels } = layer.transform_bounding_boxes(&given, transformation, &size)?;
                let boxes = BoundingBoxes { boxes: as_given(boxes), labels: as_given(labels) };
                with_boxes(part, &boxes)
            }
            _ => part.clone(),
        };
        Ok((key.clone(), part))
    };
    parts.iter().map(part).collect::<Result<_>>().map(Nest::Dict)
}

/// The boxes of a dictionary; they are `float32`, whatever the images are.
fn boxes_of(part: &Nest) -> Result<BoundingBoxes> {
    let tensor = |key: &str| match part {
        Nest::Dict(parts) => parts.get(key).and_then(|n| n.single().ok()),
        _ => None,
    };
    let (Some(boxes), Some(labels)) = (tensor("boxes"), tensor("labels")) else {
        return Err(Error::argument(
            "bounding_boxes",
            "there are not both \"boxes\" and \"labels\", or they are no tensors",
            "give {\"boxes\": (…, boxes, 4), \"labels\": (…, boxes)}",
        ));
    };
    Ok(BoundingBoxes { boxes: boxes.cast(DType::F32), labels: labels.clone() })
}

/// The dictionary with other boxes.
fn with_boxes(part: &Nest, boxes: &BoundingBoxes) -> Nest {
    let mut parts = match part {
        Nest::Dict(parts) => parts.clone(),
        _ => IndexMap::new(),
    };
    parts.insert("boxes".to_owned(), (&boxes.boxes).into());
    parts.insert("labels".to_owned(), (&boxes.labels).into());
    Nest::Dict(parts)
}
