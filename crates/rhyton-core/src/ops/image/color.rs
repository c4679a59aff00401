//! Colours: `rgb_to_grayscale`, `rgb_to_hsv`, `hsv_to_rgb`.

use super::{MODULE, axes, data_format};
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::class::{float_of, operations};
use crate::ops::primitives::sliced;
use crate::ops::{self, apply};
use crate::tensor::Tensor;

operations! { MODULE;
    RGBToGrayscale { data_format: Option<String> } (images) compute_gray;
    RGBToHSV { data_format: Option<String> } (images) compute_hsv;
    HSVToRGB { data_format: Option<String> } (images) compute_rgb;
}

/// The channels of images, which must be three; and their axis.
fn channels(op: &str, x: &Tensor, format: Option<&str>) -> Result<([Tensor; 3], i64)> {
    let axis = axes(op, x, format)?[2];
    if !x.shape()[axis].compatible(&3usize.into()) {
        return Err(Error::shape(op, format!("{} has other than 3 channels", x.ty()), "give images of 3 channels"));
    }
    Ok(([0, 1, 2].map(|c| sliced(x, axis, c, c + 1)), axis as i64))
}

/// `0.2989·red + 0.587·green + 0.114·blue`; images of one channel stay.
#[track_caller]
pub fn rgb_to_grayscale(images: &Tensor, data_format: Option<&str>) -> Tensor {
    apply(RGBToGrayscale { data_format: self::data_format(data_format) }, Args::new(images))
}

fn compute_gray(op: &RGBToGrayscale, x: Tensor) -> Result<Tensor> {
    let axis = axes("rgb_to_grayscale", &x, op.data_format.as_deref())?[2];
    if x.shape()[axis].is(1) {
        return Ok(x);
    }
    let ([r, g, b], _) = channels("rgb_to_grayscale", &x.cast(float_of(x.dtype())), op.data_format.as_deref())?;
    Ok((r * 0.2989 + g * 0.587 + b * 0.114).cast(x.dtype()))
}

fn float_only(op: &str, x: &Tensor) -> Result<()> {
    if x.dtype().is_float() {
        return Ok(());
    }
    Err(Error::dtype(op, format!("the images are {}", x.dtype()), "give floats in [0, 1]"))
}

/// Hue, saturation and value, all within `[0, 1]`, of red, green and blue.
#[track_caller]
pub fn rgb_to_hsv(images: &Tensor, data_format: Option<&str>) -> Tensor {
    apply(RGBToHSV { data_format: self::data_format(data_format) }, Args::new(images))
}

fn compute_hsv(op: &RGBToHSV, x: Tensor) -> Result<Tensor> {
    float_only("rgb_to_hsv", &x)?;
    let ([r, g, b], axis) = channels("rgb_to_hsv", &x, op.data_format.as_deref())?;
    let value = ops::maximum(ops::maximum(&r, &g), &b);
    let range = &value - ops::minimum(ops::minimum(&r, &g), &b);
    let saturation = ops::divide_no_nan(&range, &value);
    let norm = ops::divide_no_nan(1.0 / 6.0, &range);
    let from_red = (&g - &b) * &norm;
    let from_green = (&b - &r) * &norm + 2.0 / 6.0;
    let from_blue = (&r - &g) * &norm + 4.0 / 6.0;
    let not_red = ops::r#where(ops::equal(&g, &value), from_green, from_blue);
    let hue = ops::r#where(ops::equal(&r, &value), from_red, not_red);
    let hue = ops::r#where(ops::greater(&range, 0.0), hue, 0.0);
    let hue = ops::r#where(ops::less(&hue, 0.0), &hue + 1.0, &hue);
    Ok(ops::concatenate(&[hue, saturation, value], axis))
}

/// Red, green and blue of hue, saturation and value, all within `[0, 1]`.
#[track_caller]
pub fn hsv_to_rgb(images: &Tensor, data_format: Option<&str>) -> Tensor {
    apply(HSVToRGB { data_format: self::data_format(data_format) }, Args::new(images))
}

fn compute_rgb(op: &HSVToRGB, x: Tensor) -> Result<Tensor> {
    float_only("hsv_to_rgb", &x)?;
    let ([h, s, v], axis) = channels("hsv_to_rgb", &x, op.data_format.as_deref())?;
    let sixth = h * 6.0;
    let red = ops::absolute(&(&sixth - 3.0)) - 1.0;
    let green = 2.0 - ops::absolute(&(&sixth - 2.0));
    let blue = 2.0 - ops::absolute(&(&sixth - 4.0));
    let lit = [red, green, blue].map(|c| (1.0 - &s + &s * ops::clip(&c, 0.0, 1.0)) * &v);
    Ok(ops::concatenate(&lit, axis))
}
