//! Layers on images that are made of others.

use std::sync::Arc;

use super::{
    AutoContrast, Equalization, Factor, ImageLayer, RandomBrightness, RandomColorDegeneration, RandomContrast,
    RandomPosterization, RandomRotation, RandomSharpness, RandomShear, RandomTranslation, Solarization, ValueRange,
};
use crate::error::{Error, Result};
use crate::layers::{Interpolation, LayerObject, LayerRef};
use crate::nest::Nest;
use crate::ops;
use crate::tensor::Tensor;

/// A layer that another one is made of, with Keras's attribute name.
pub(super) type Part = (&'static str, Arc<dyn ImageLayer>);

/// The layers that another one is made of, in Keras's order.
pub(super) type Parts = Vec<Part>;

/// As inner layers.
pub(super) fn parts_of(parts: &Parts) -> Vec<(String, LayerRef)> {
    parts.iter().map(|(name, layer)| ((*name).to_owned(), Arc::clone(layer) as LayerRef)).collect()
}

/// The transformation of the part `name` among those of all.
///
/// # Errors
/// If there is none.
pub(super) fn transformation_of<'t>(transformations: &'t Nest, name: &str) -> Result<&'t Nest> {
    let found = match transformations {
        Nest::Dict(all) => all.get(name),
        _ => None,
    };
    found.ok_or_else(|| {
        let what = format!("it has nothing for {name}");
        Error::argument("transformation", what, "give what get_random_transformation gives")
    })
}

/// The layers among which `RandAugment` and `AugMix` choose, in the order of the former, of one factor, and with the
/// settings of `outer`.
pub(super) fn augmentations(
    outer: &dyn ImageLayer,
    factor: Factor,
    value_range: ValueRange,
    interpolation: Interpolation,
) -> Parts {
    let upper = match factor {
        Factor::One(number) | Factor::Range([_, number]) => number.value(),
    };
    let bits = ((8.0 * upper) as i64).max(1);
    let (format, boxes, policy) = (outer.data_format(), outer.bounding_box_format(), outer.base().policy());
    macro_rules! part {
        ($name:literal, $layer:expr) => {{
            let mut layer = $layer.data_format(format);
            if let Some(boxes) = boxes {
                layer = layer.bounding_box_format(boxes);
            }
            layer.base().set_policy(policy);
            ($name, Arc::new(layer) as Arc<dyn ImageLayer>)
        }};
    }
    vec![
        part!("random_shear", RandomShear::new().x_factor(factor).y_factor(factor).interpolation(interpolation)),
        part!("random_translation", RandomTranslation::new(factor, factor).interpolation(interpolation)),
        part!("random_rotation", RandomRotation::new(factor).interpolation(interpolation)),
        part!("random_brightness", RandomBrightness::new(factor).value_range(value_range)),
        part!("random_color_degeneration", RandomColorDegeneration::new(factor).value_range(value_range)),
        part!("random_contrast", RandomContrast::new(factor).value_range(value_range)),
        part!("random_sharpness", RandomSharpness::new(factor).value_range(value_range)),
        part!("random_posterization", RandomPosterization::new(bits).value_range(value_range)),
        part!(
            "solarization",
            Solarization::new().addition_factor(factor).threshold_factor(factor).value_range(value_range)
        ),
        part!("auto_contrast", AutoContrast::new().value_range(value_range)),
        part!("equalization", Equalization::new().value_range(value_range)),
    ]
}

/// The transformations of all parts, by name.
pub(super) fn draw_all(parts: &Parts, images: &Tensor, seed: &crate::random::SeedGenerator) -> Result<Nest> {
    let draw = |(name, layer): &Part| Ok(((*name).to_owned(), layer.get_random_transformation(images, seed)?));
    parts.iter().map(draw).collect::<Result<_>>().map(Nest::Dict)
}

/// What a part makes of images or of masks.
pub(super) type Change = dyn Fn(&dyn ImageLayer, &Tensor, &Nest) -> Result<Tensor>;

/// `x` changed by the part number `index`, a scalar; unchanged for the number behind the last. Only that part is
/// computed.
pub(super) fn changed_by(
    parts: &Parts,
    index: &Tensor,
    transformations: &Nest,
    x: &Tensor,
    change: &Change,
) -> Result<Tensor> {
    type Branch<'b> = Box<dyn Fn(&[Tensor]) -> Result<Vec<Tensor>> + 'b>;
    let part = |(name, layer): &'_ Part| -> Result<Branch<'_>> {
        let transformation = transformation_of(transformations, name)?.clone();
        let layer = Arc::clone(layer);
        Ok(Box::new(move |x: &[Tensor]| {
            let y = change(layer.as_ref(), &x[0], &transformation)?.cast(x[0].dtype());
            Ok(vec![y])
        }))
    };
    let mut branches = parts.iter().map(part).collect::<Result<Vec<Branch<'_>>>>()?;
    branches.push(Box::new(|x: &[Tensor]| Ok(vec![x[0].clone()])));
    let branches: Vec<ops::Branch<'_>> = branches.iter().map(|branch| branch.as_ref() as ops::Branch<'_>).collect();
    let mut changed = ops::switch(index, &branches, std::slice::from_ref(x))?;
    changed.pop().ok_or_else(|| Error::argument("switch", "there is no result", "give at least one layer"))
}
