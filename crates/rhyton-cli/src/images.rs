//! Images to train with: a built-in data set, or a directory with one folder a class.

use std::path::Path;

use rhyton::data::datasets;
use rhyton::data::image_directory::{self, ColorMode, Options};
use rhyton::prelude::*;

use crate::error::{Error, Result};

/// Images with labels, and what is needed to say so.
pub struct Images {
    /// Images and labels to train and validate with.
    pub train: (Array, Array),
    /// Images and labels that are only tested with.
    pub test: (Array, Array),
    /// The greatest value of a pixel.
    pub brightest: f64,
    /// The classes, by label.
    pub class_names: Vec<String>,
    /// Whether they come with the program.
    pub builtin: bool,
}

/// How large images of a directory are made, and in which colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Height and width.
    pub size: (usize, usize),
    /// The channels.
    pub colors: ColorMode,
}

impl Format {
    /// What `model` takes; `otherwise` where it takes any height and width.
    ///
    /// # Errors
    /// If it does not take images.
    pub fn of(model: &Model, otherwise: usize) -> Result<Format> {
        let inputs = model.inputs();
        let shape = match inputs.as_slice() {
            [input] if input.rank() == 4 => input.shape().clone(),
            _ => {
                return Err(Error::new(format!(
                    "images need a model with one input of shape (batch, height, width, channels), but {} has {}",
                    Layer::name(model),
                    if inputs.is_empty() {
                        "no known input".to_owned()
                    } else {
                        inputs.iter().map(|i| i.shape().to_string()).collect::<Vec<_>>().join(" and ")
                    }
                )));
            }
        };
        let colors = match shape[3].known().unwrap_or(3) {
            1 => ColorMode::Grayscale,
            3 => ColorMode::Rgb,
            4 => ColorMode::Rgba,
            n => return Err(Error::new(format!("the model takes {n} channels, images have 1, 3 or 4; give arrays"))),
        };
        let size = |axis: usize| shape[axis].known().unwrap_or(otherwise);
        Ok(Format { size: (size(1), size(2)), colors })
    }
}

/// One image in so many, of each class alike, is held out for the test.
const HELD_OUT: usize = 5;

/// Reads `data`: the name of a built-in data set, or a directory, whose images are brought to `format`.
///
/// # Errors
/// If it is neither, or an image cannot be read.
pub fn load(data: &str, format: Format) -> Result<Images> {
    let path = Path::new(data);
    if !path.is_dir() {
        let dataset =
            datasets::find(data).map_err(|e| Error::new(format!("{data}: there is no such directory, and {e}")))?;
        let (train, test) = (dataset.load)()?;
        let class_names = dataset.class_names.iter().map(|n| (*n).to_owned()).collect();
        return Ok(Images { train, test, brightest: dataset.x_range.1, class_names, builtin: true });
    }
    let options = Options::new().image_size(format.size.0, format.size.1).color_mode(format.colors);
    let found = image_directory::read(path, &options)?;
    let labels = found.labels.to_f64_vec();
    let mut met = vec![0usize; found.class_names.len()];
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (i, label) in labels.iter().enumerate() {
        let count = &mut met[*label as usize];
        let rows = if *count % HELD_OUT == HELD_OUT - 1 { &mut test } else { &mut train };
        rows.push(i);
        *count += 1;
    }
    if let Some(class) = met.iter().position(|&n| n == 0) {
        let folder = path.join(&found.class_names[class]);
        return Err(Error::file(&folder, "there are no images in it; add some, or remove the folder"));
    }
    if test.is_empty() {
        return Err(Error::file(
            path,
            format!("{} images are too few; give at least {HELD_OUT} of a class", labels.len()),
        ));
    }
    // Files come class by class; the share for validation is taken from the end, so classes must be mixed.
    train.sort_by_key(|&i| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let pick = |rows: &[usize]| (found.images.take_rows(rows), found.labels.take_rows(rows));
    Ok(Images {
        train: pick(&train),
        test: pick(&test),
        brightest: 255.0,
        class_names: found.class_names.clone(),
        builtin: false,
    })
}
