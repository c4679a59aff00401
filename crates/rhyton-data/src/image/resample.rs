//! Resizing as Pillow 12 does it: filters over all pixels that fall together, along the rows and then the columns, in
//! fixed-point numbers.

use rhyton_ir::{Array, DType};

/// How pixels between pixels are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interpolation {
    /// The pixel that is nearest.
    #[default]
    Nearest,
    /// A line between two.
    Bilinear,
    /// A cubic through four.
    Bicubic,
    /// Windowed: sharper than `Bilinear` when images become smaller.
    Hamming,
    /// The mean of all that fall together.
    Box,
    /// A sinc over six.
    Lanczos,
}

impl Interpolation {
    /// Every one.
    pub const ALL: [Interpolation; 6] = [
        Interpolation::Nearest,
        Interpolation::Bilinear,
        Interpolation::Bicubic,
        Interpolation::Hamming,
        Interpolation::Box,
        Interpolation::Lanczos,
    ];

    /// Keras's name.
    pub fn name(self) -> &'static str {
        match self {
            Interpolation::Nearest => "nearest",
            Interpolation::Bilinear => "bilinear",
            Interpolation::Bicubic => "bicubic",
            Interpolation::Hamming => "hamming",
            Interpolation::Box => "box",
            Interpolation::Lanczos => "lanczos",
        }
    }

    /// How far pixels count, in pixels.
    fn support(self) -> f64 {
        match self {
            Interpolation::Nearest | Interpolation::Box => 0.5,
            Interpolation::Bilinear | Interpolation::Hamming => 1.0,
            Interpolation::Bicubic => 2.0,
            Interpolation::Lanczos => 3.0,
        }
    }

    /// What a pixel counts at a distance.
    fn weight(self, x: f64) -> f64 {
        use std::f64::consts::PI;
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
        let d = x.abs();
        match self {
            Interpolation::Nearest | Interpolation::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Interpolation::Bilinear => (1.0 - d).max(0.0),
            Interpolation::Hamming if d < 1.0 => sinc(d) * (0.54 + 0.46 * (PI * d).cos()),
            Interpolation::Bicubic if d < 1.0 => (1.5 * d - 2.5) * d * d + 1.0,
            Interpolation::Bicubic if d < 2.0 => (((d - 5.0) * d + 8.0) * d - 4.0) * -0.5,
            Interpolation::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            _ => 0.0,
        }
    }
}

/// The part of an axis that is kept.
pub(super) type Range = (usize, usize);

/// `pixels` (height, width, channels) of the given rows and columns at the size `to`.
pub(super) fn resized(pixels: &Array, rows: Range, columns: Range, to: (usize, usize), by: Interpolation) -> Array {
    if by == Interpolation::Nearest {
        return nearest(pixels, rows, columns, to);
    }
    // Colours count by how opaque they are.
    let has_alpha = pixels.shape()[2] == 4;
    let pixels = if has_alpha { each_pixel(pixels, premultiplied) } else { pixels.clone() };
    let across = along(&pixels, 1, columns, to.1, by);
    let resized = along(&across, 0, rows, to.0, by);
    if has_alpha { each_pixel(&resized, divided) } else { resized }
}

fn nearest(pixels: &Array, rows: Range, columns: Range, to: (usize, usize)) -> Array {
    let &[height, width, channels] = pixels.shape() else { return pixels.clone() };
    // The places are summed up, as Pillow has them, rather than multiplied.
    let places = |(start, end): Range, to: usize, most: usize| {
        let step = (end - start) as f64 / to as f64;
        let first = start as f64 + step * 0.5;
        let at = std::iter::successors(Some(first), move |at| Some(at + step));
        at.take(to).map(move |at| (at as usize).min(most - 1)).collect::<Vec<usize>>()
    };
    let (rows, columns) = (places(rows, to.0, height), places(columns, to.1, width));
    let values = pixels.to_f64_vec();
    let mut out = Vec::with_capacity(to.0 * to.1 * channels);
    for row in rows {
        for &column in &columns {
            let at = (row * width + column) * channels;
            out.extend_from_slice(&values[at..at + channels]);
        }
    }
    Array::new([to.0, to.1, channels], out).cast(pixels.dtype())
}

/// For one pixel of the result: the first pixel that counts, and what it and those after it count.
struct Weights {
    first: usize,
    weights: Vec<f64>,
}

fn weights(size: usize, (start, end): Range, to: usize, by: Interpolation) -> Vec<Weights> {
    let scale = (end - start) as f64 / to as f64;
    let stretch = scale.max(1.0);
    let support = by.support() * stretch;
    let of = |i: usize| {
        let center = start as f64 + (i as f64 + 0.5) * scale;
        let first = (center - support + 0.5).max(0.0) as usize;
        let last = ((center + support + 0.5) as usize).min(size);
        let weight = |x: usize| by.weight((x as f64 - center + 0.5) * (1.0 / stretch));
        let mut weights: Vec<f64> = (first..last).map(weight).collect();
        let total: f64 = weights.iter().sum();
        if total != 0.0 {
            weights.iter_mut().for_each(|w| *w /= total);
        }
        Weights { first, weights }
    };
    (0..to).map(of).collect()
}

/// Resizes along one of the first two axes.
fn along(pixels: &Array, axis: usize, range: Range, to: usize, by: Interpolation) -> Array {
    let size = pixels.shape()[axis];
    if range == (0, size) && to == size {
        return pixels.clone();
    }
    let weights = weights(size, range, to, by);
    let values = pixels.to_f64_vec();
    let mut shape = pixels.shape().to_vec();
    let outer: usize = shape[..axis].iter().product();
    let inner: usize = shape[axis + 1..].iter().product();
    shape[axis] = to;
    let sum: fn(&mut dyn Iterator<Item = (f64, f64)>) -> f64 = match pixels.dtype() {
        DType::U8 => fixed_point,
        DType::U16 => |products| exact(products).clamp(0.0, 65_535.0),
        _ => exact,
    };
    let mut out = Vec::with_capacity(outer * to * inner);
    for o in 0..outer {
        for w in &weights {
            for i in 0..inner {
                let at = |k: usize| values[(o * size + w.first + k) * inner + i];
                let mut products = w.weights.iter().enumerate().map(|(k, &weight)| (at(k), weight));
                out.push(sum(&mut products));
            }
        }
    }
    Array::new(shape, out).cast(pixels.dtype())
}

/// Weighted bytes, summed with 22 bits of fraction.
fn fixed_point(products: &mut dyn Iterator<Item = (f64, f64)>) -> f64 {
    const BITS: u32 = 22;
    let rounded = |weight: f64| (weight * f64::from(1 << BITS) + 0.5f64.copysign(weight)) as i64;
    let sum: i64 = products.map(|(value, weight)| value as i64 * rounded(weight)).sum();
    ((sum + (1 << (BITS - 1))) >> BITS).clamp(0, 255) as f64
}

fn exact(products: &mut dyn Iterator<Item = (f64, f64)>) -> f64 {
    products.map(|(value, weight)| value * weight).sum::<f64>().round()
}

fn each_pixel(pixels: &Array, change: fn([u8; 4]) -> [u8; 4]) -> Array {
    let values = pixels.to_f64_vec();
    let changed = values.chunks_exact(4).flat_map(|p| change([p[0] as u8, p[1] as u8, p[2] as u8, p[3] as u8]));
    Array::new(pixels.shape().to_vec(), changed.collect::<Vec<u8>>())
}

fn premultiplied([r, g, b, alpha]: [u8; 4]) -> [u8; 4] {
    let times = |c: u8| {
        let product = u32::from(c) * u32::from(alpha) + 128;
        (((product >> 8) + product) >> 8) as u8
    };
    [times(r), times(g), times(b), alpha]
}

fn divided([r, g, b, alpha]: [u8; 4]) -> [u8; 4] {
    let by = |c: u8| match alpha {
        0 | 255 => c,
        alpha => (255 * u32::from(c) / u32::from(alpha)).min(255) as u8,
    };
    [by(r), by(g), by(b), alpha]
}
