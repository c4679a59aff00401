//! A directory of images, one folder a class, as `keras.utils.image_dataset_from_directory` reads it.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageReader};
use rhyton_formats::atomic::write_atomically;
use rhyton_ir::array::element_count;
use rhyton_ir::{Array, DType};

use crate::error::{Error, Result, io_error};

/// The endings of the files that are read, in any case; Keras's own list.
pub const EXTENSIONS: [&str; 5] = ["bmp", "gif", "jpeg", "jpg", "png"];

/// The channels of the images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorMode {
    /// One: the luma of ITU-R BT.601, rounded.
    Grayscale,
    /// Red, green and blue; an alpha channel is dropped.
    #[default]
    Rgb,
    /// Red, green, blue and alpha, which is 255 where the file has none.
    Rgba,
}

impl ColorMode {
    /// The number of channels.
    pub fn channels(self) -> usize {
        match self {
            ColorMode::Grayscale => 1,
            ColorMode::Rgb => 3,
            ColorMode::Rgba => 4,
        }
    }
}

/// How a directory is read. The defaults are Keras's.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    image_size: (usize, usize),
    color_mode: ColorMode,
    class_names: Option<Vec<String>>,
}

impl Default for Options {
    fn default() -> Options {
        Options { image_size: (256, 256), color_mode: ColorMode::Rgb, class_names: None }
    }
}

impl Options {
    /// Keras's defaults: 256 × 256 pixels, RGB, all folders in the order of their names.
    pub fn new() -> Options {
        Options::default()
    }

    /// Height and width that images are resized to.
    pub fn image_size(mut self, height: usize, width: usize) -> Options {
        self.image_size = (height, width);
        self
    }

    /// The channels.
    pub fn color_mode(mut self, color_mode: ColorMode) -> Options {
        self.color_mode = color_mode;
        self
    }

    /// The folders to read, which are the classes in this order.
    pub fn class_names<S: Into<String>>(mut self, class_names: impl IntoIterator<Item = S>) -> Options {
        self.class_names = Some(class_names.into_iter().map(Into::into).collect());
        self
    }
}

/// The images of a directory.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageDirectory {
    /// float32 (files, height, width, channels), from 0 to 255.
    pub images: Array,
    /// int32 (files,), indices of `class_names`.
    pub labels: Array,
    /// The names of the classes.
    pub class_names: Vec<String>,
    /// The file of each image.
    pub files: Vec<PathBuf>,
}

/// Reads the images below `directory`: its folders are the classes, sorted by name, without those whose names start with `.`;
/// within a class all files with one of [`EXTENSIONS`], also in folders below, sorted. Nothing is shuffled.
///
/// Images are resized bilinearly without antialiasing, pixels being squares around their centres, as Keras does; the aspect
/// ratio is not kept. Of an animation the first frame is read. Pixels of JPEG files differ from TensorFlow's by some steps,
/// as it decodes them with a fast, inexact transform.
///
/// # Errors
/// If a folder cannot be read, there are no classes or images, an asked class has no folder, or a file is not an image: the
/// message names it.
pub fn read(directory: impl AsRef<Path>, options: &Options) -> Result<ImageDirectory> {
    let directory = directory.as_ref();
    let class_names = class_names(directory, options)?;
    let (mut files, mut labels) = (Vec::new(), Vec::new());
    for (label, name) in class_names.iter().enumerate() {
        for file in image_files(&directory.join(name))? {
            files.push(file);
            labels.push(label as i32);
        }
    }
    if files.is_empty() {
        return Err(Error::Directory {
            path: directory.to_owned(),
            what: format!("there are no images in its {} folders", class_names.len()),
            fix: format!("put files that end in {} into one folder a class", EXTENSIONS.join(", ")),
        });
    }
    let images = read_images(&files, options.image_size, options.color_mode)?;
    Ok(ImageDirectory { images, labels: Array::new([files.len()], labels), class_names, files })
}

/// Reads the images named by `files` as one array (samples, height, width, channels) of `float32` from 0 to 255, resized as
/// [`read`] does.
///
/// # Errors
/// If a file is not an image, or the images do not fit into memory: the message names which.
pub fn read_images(files: &[impl AsRef<Path>], size: (usize, usize), color_mode: ColorMode) -> Result<Array> {
    let shape = vec![files.len(), size.0, size.1, color_mode.channels()];
    let mut images: Vec<f32> = Vec::new();
    let len = element_count(&shape).filter(|&len| len > 0 && images.try_reserve_exact(len).is_ok());
    if len.is_none() {
        return Err(Error::Argument {
            what: format!("{} images of {} × {} pixels do not fit into memory", files.len(), size.0, size.1),
            fix: "give at least one image and choose a smaller size, of at least 1 × 1".into(),
        });
    }
    for file in files {
        let (pixels, from) = decode(file.as_ref(), color_mode)?;
        resize(&pixels, from, size, color_mode.channels(), &mut images);
    }
    Ok(Array::new(shape, images))
}

/// Writes images as `directory/<class>/<number>.png`, which [`read`] and Keras read back; numbers count from 0 over all images.
///
/// `images` is (samples, height, width, channels) with 1, 3 or 4 channels; its values, from 0 to 255, are rounded and clipped.
/// `labels` is (samples,), indices of `class_names`. Files that are there already are replaced, others left.
///
/// # Errors
/// If the shapes or labels do not fit, a class name is no plain file name, or a file cannot be written.
pub fn write(
    directory: impl AsRef<Path>,
    images: &Array,
    labels: &Array,
    class_names: &[impl AsRef<str>],
) -> Result<()> {
    let directory = directory.as_ref();
    let argument = |what: String, fix: &str| Error::Argument { what, fix: fix.into() };
    let &[samples, height, width, channels @ (1 | 3 | 4)] = images.shape() else {
        let what = format!("images have the shape {:?}", images.shape());
        return Err(argument(what, "give (samples, height, width, channels) with 1, 3 or 4 channels"));
    };
    let (Ok(png_height), Ok(png_width)) = (u32::try_from(height), u32::try_from(width)) else {
        return Err(argument(format!("images have {height} × {width} pixels"), "PNG holds less, resize them"));
    };
    if labels.shape() != [samples] || png_height == 0 || png_width == 0 {
        let what = format!("images have the shape {:?} and labels {:?}", images.shape(), labels.shape());
        return Err(argument(what, "give one label an image, and at least one pixel"));
    }
    for name in class_names.iter().map(AsRef::as_ref) {
        let path = Path::new(name);
        if path.file_name() != Some(path.as_os_str()) || name.contains(['/', '\\', ':', '\0']) || name.starts_with('.')
        {
            return Err(argument(
                format!("the class name {name:?} cannot be a folder's"),
                "name it without / \\ : and leading .",
            ));
        }
    }
    let color = match channels {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        _ => ExtendedColorType::Rgba8,
    };
    for (sample, label) in labels.to_f64_vec().into_iter().enumerate() {
        let class = if label >= 0.0 && label.fract() == 0.0 { class_names.get(label as usize) } else { None };
        let Some(class) = class.map(AsRef::as_ref) else {
            let what = format!("label {sample} is {label} but there are {} class names", class_names.len());
            return Err(argument(what, "give labels from 0 on, and a name for each"));
        };
        let folder = directory.join(class);
        std::fs::create_dir_all(&folder).map_err(io_error(&folder, "create"))?;
        let path = folder.join(format!("{sample:05}.png"));
        let row = images.rows(sample, sample + 1).cast(DType::F64).to_f64_vec();
        // A NaN becomes 0.
        let pixels: Vec<u8> = row.into_iter().map(|value| value.round_ties_even() as u8).collect();
        let mut png = Vec::new();
        let encoded = image::codecs::png::PngEncoder::new(&mut png).write_image(&pixels, png_width, png_height, color);
        encoded.map_err(|source| Error::Image { path: path.clone(), source })?;
        write_atomically(&path, |file| file.write_all(&png))?;
    }
    Ok(())
}

/// The folders of `directory` that are classes, in their order.
fn class_names(directory: &Path, options: &Options) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (name, path) in entries(directory)? {
        if !path.is_dir() || name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        names.push(name.into_string().map_err(|name| Error::Directory {
            path: directory.to_owned(),
            what: format!("the name of the folder {name:?} is not Unicode"),
            fix: "rename it".into(),
        })?);
    }
    if let Some(asked) = &options.class_names {
        if let Some(missing) = asked.iter().find(|name| !names.contains(name)) {
            return Err(Error::Directory {
                path: directory.to_owned(),
                what: format!("there is no folder {missing:?} for the class of that name"),
                fix: format!("choose from {}", names.join(", ")),
            });
        }
        return Ok(asked.clone());
    }
    if names.is_empty() {
        return Err(Error::Directory {
            path: directory.to_owned(),
            what: "there are no folders in it".into(),
            fix: "put the images into one folder a class".into(),
        });
    }
    Ok(names)
}

/// The images in `folder` and the folders below it, sorted by folder, then by name. Links to folders are not followed.
fn image_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        let mut files = Vec::new();
        for (name, path) in entries(&folder)? {
            let kind = path.symlink_metadata().map_err(io_error(&path, "read"))?.file_type();
            if kind.is_dir() {
                pending.push(path);
            } else if !path.is_dir() && is_image(&name) {
                files.push(path);
            }
        }
        folders.push((folder, files));
    }
    // As strings: Python sorts `a-b` before `a/b`, which paths compared part by part would not.
    folders.sort_by(|a, b| a.0.as_os_str().as_encoded_bytes().cmp(b.0.as_os_str().as_encoded_bytes()));
    Ok(folders.into_iter().flat_map(|(_, files)| files).collect())
}

/// The names in a directory, sorted, with their paths.
fn entries(directory: &Path) -> Result<Vec<(OsString, PathBuf)>> {
    let read = std::fs::read_dir(directory).map_err(io_error(directory, "read"))?;
    let entry = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.map(|e| (e.file_name(), e.path())).map_err(io_error(directory, "read"))
    };
    let mut entries = read.map(entry).collect::<Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}

fn is_image(name: &OsString) -> bool {
    let name = name.to_string_lossy().to_lowercase();
    EXTENSIONS.iter().any(|extension| name.strip_suffix(extension).is_some_and(|stem| stem.ends_with('.')))
}

/// The pixels of a file, and its height and width. What it is, is told by its content, not its name.
fn decode(path: &Path, color_mode: ColorMode) -> Result<(Vec<u8>, (usize, usize))> {
    let reader = ImageReader::open(path).map_err(io_error(path, "open"))?;
    let reader = reader.with_guessed_format().map_err(io_error(path, "read"))?;
    let image = reader.decode().map_err(|source| Error::Image { path: path.to_owned(), source })?;
    let size = (image.height() as usize, image.width() as usize);
    let pixels = match (color_mode, image) {
        (ColorMode::Grayscale, DynamicImage::ImageLuma8(image)) => image.into_raw(),
        (ColorMode::Grayscale, image) if !image.color().has_color() => image.into_luma8().into_raw(),
        (ColorMode::Grayscale, image) => image.into_rgb8().pixels().map(|p| luma(p.0)).collect(),
        (ColorMode::Rgb, image) => image.into_rgb8().into_raw(),
        (ColorMode::Rgba, image) => image.into_rgba8().into_raw(),
    };
    Ok((pixels, size))
}

/// 0.299 R + 0.587 G + 0.114 B in 16 bits of fraction, rounded, as Pillow computes it.
pub(crate) fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((19_595 * u32::from(r) + 38_470 * u32::from(g) + 7_471 * u32::from(b) + 0x8000) >> 16) as u8
}

/// Along one axis: for each output pixel the two inputs and the weight of the second.
fn weights(from: usize, to: usize) -> Vec<(usize, usize, f32)> {
    let scale = from as f32 / to as f32;
    let weight = |i: usize| {
        let at = (i as f32 + 0.5) * scale - 0.5;
        let low = at.floor();
        let (first, second) = (low.max(0.0) as usize, (low + 1.0).max(0.0) as usize);
        (first.min(from - 1), second.min(from - 1), at - low)
    };
    (0..to).map(weight).collect()
}

/// Appends the resized pixels to `out`, in the order of operations of `tf.image.resize`.
fn resize(pixels: &[u8], from: (usize, usize), to: (usize, usize), channels: usize, out: &mut Vec<f32>) {
    if from == to {
        out.extend(pixels.iter().map(|&p| f32::from(p)));
        return;
    }
    let columns = weights(from.1, to.1);
    for (top, bottom, down) in weights(from.0, to.0) {
        for &(left, right, across) in &columns {
            for channel in 0..channels {
                let pixel = |y: usize, x: usize| f32::from(pixels[(y * from.1 + x) * channels + channel]);
                let above = pixel(top, left) + (pixel(top, right) - pixel(top, left)) * across;
                let below = pixel(bottom, left) + (pixel(bottom, right) - pixel(bottom, left)) * across;
                out.push(above + (below - above) * down);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide_what_is_an_image() {
        for name in ["a.png", "A.JPG", "b.c.jpeg", ".bmp"] {
            assert!(is_image(&name.into()), "{name}");
        }
        for name in ["png", "a.txt", "a.png.txt", "apng"] {
            assert!(!is_image(&name.into()), "{name}");
        }
    }

    #[test]
    fn written_directories_read_back() {
        let directory = tempfile::tempdir().unwrap();
        for (channels, color_mode) in [(1, ColorMode::Grayscale), (3, ColorMode::Rgb), (4, ColorMode::Rgba)] {
            let values: Vec<f32> = (0..3 * 4 * 5 * channels).map(|i| i as f32).collect();
            let images = Array::new([3, 4, 5, channels], values);
            let path = directory.path().join(channels.to_string());
            write(&path, &images, &Array::new([3], vec![1u8, 0, 1]), &["cat", "dog"]).unwrap();
            let read = read(&path, &Options::new().image_size(4, 5).color_mode(color_mode)).unwrap();
            assert_eq!(read.class_names, ["cat", "dog"]);
            assert_eq!(read.labels, Array::new([3], vec![0i32, 1, 1]));
            assert_eq!(read.images, images.take_rows(&[1, 0, 2]));
            assert!(read.files[2].ends_with("dog/00002.png"));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let message = |options: &Options| read(path, options).unwrap_err().to_string();
        assert!(message(&Options::new()).contains("there are no folders"));
        std::fs::create_dir_all(path.join("a")).unwrap();
        assert!(message(&Options::new()).contains("there are no images"));
        assert!(message(&Options::new().class_names(["b"])).contains("no folder \"b\""));
        std::fs::write(path.join("a/broken.png"), b"not a PNG").unwrap();
        assert!(message(&Options::new()).contains("broken.png: not a readable image"));
        assert!(message(&Options::new().image_size(usize::MAX, 2)).contains("do not fit into memory"));
        assert!(message(&Options::new().image_size(0, 2)).contains("at least 1 × 1"));
        let images = Array::new([1, 1, 1, 1], vec![0u8]);
        for (label, name) in [(0i32, ".."), (0, "a/b"), (0, ""), (1, "a"), (-1, "a")] {
            assert!(write(path, &images, &Array::new([1], vec![label]), &[name]).is_err(), "{name:?}");
        }
    }
}
