//! Fourier transforms: `fft`, `rfft`, `stft` and their inverses. Complex values are pairs, real part first.

use std::f64::consts::TAU;

use rhyton_ir::op::{Fft as Primitive, FftKind};
use rhyton_ir::{Array, Dim, Shape};
use serde::{Deserialize, Serialize};

use super::MODULE;
use crate::error::{Error, Result};
use crate::nest::{Args, Nest};
use crate::ops::class::{exactly, float_of, operations};
use crate::ops::primitives::{reshaped, sliced};
use crate::ops::{self, apply, apply_all};
use crate::tensor::Tensor;

operations! { MODULE;
    FFT {} (x) compute_fft;
    FFT2 {} (x) compute_fft2;
    IFFT2 {} (x) compute_ifft2;
    RFFT { fft_length: Option<usize> } (x) compute_rfft;
    IRFFT { fft_length: Option<usize> } (x) compute_irfft;
    STFT { sequence_length: usize, sequence_stride: usize, fft_length: usize, window: Option<Window>, center: bool } (x) compute_stft;
    ISTFT {
        sequence_length: usize,
        sequence_stride: usize,
        fft_length: usize,
        length: Option<usize>,
        window: Option<Window>,
        center: bool
    } (x) compute_istft;
}

fn both(pair: [Tensor; 2]) -> (Tensor, Tensor) {
    let [re, im] = pair;
    (re, im)
}

fn pair(x: (&Tensor, &Tensor)) -> Args {
    Args::new(Nest::from([x.0, x.1]))
}

fn complex(op: &str, x: Vec<Tensor>) -> Result<[Tensor; 2]> {
    let shapes: Vec<String> = x.iter().map(|t| t.ty().to_string()).collect();
    let wrong = || Error::argument(op, format!("{shapes:?} is no pair"), "give the real and the imaginary part");
    let [re, im]: [Tensor; 2] = x.try_into().map_err(|_| wrong())?;
    if re.rank() == 0 || !re.shape().compatible(im.shape()) {
        return Err(wrong());
    }
    Ok([re.cast(float_of(re.dtype())), im.cast(float_of(re.dtype()))])
}

fn last_size(op: &str, x: &Tensor) -> Result<usize> {
    x.dim(-1).known().filter(|_| x.rank() > 0).ok_or_else(|| {
        Error::shape(op, format!("the last axis of {} is not known", x.ty()), "give tensors whose last size is known")
    })
}

fn over_last(kind: FftKind, [re, im]: &[Tensor; 2]) -> Result<[Tensor; 2]> {
    let length = last_size("fft", re)?;
    Ok(exactly(Tensor::apply_all(Primitive { kind, length }, &[re, im])))
}

fn over_both(kind: FftKind, x: &[Tensor; 2]) -> Result<[Tensor; 2]> {
    let turned = |x: [Tensor; 2]| x.map(|t| ops::swapaxes(&t, -1, -2));
    Ok(turned(over_last(kind, &turned(over_last(kind, x)?))?))
}

/// The discrete Fourier transform over the last axis, `Σ x·exp(−2πi·jk/n)`.
#[track_caller]
pub fn fft(x: (&Tensor, &Tensor)) -> (Tensor, Tensor) {
    both(exactly(apply_all(FFT {}, pair(x))))
}

fn compute_fft(_: &FFT, x: Vec<Tensor>) -> Result<[Tensor; 2]> {
    over_last(FftKind::Fft, &complex("fft", x)?)
}

/// [`fft`] over the last two axes.
#[track_caller]
pub fn fft2(x: (&Tensor, &Tensor)) -> (Tensor, Tensor) {
    both(exactly(apply_all(FFT2 {}, pair(x))))
}

fn compute_fft2(_: &FFT2, x: Vec<Tensor>) -> Result<[Tensor; 2]> {
    over_both(FftKind::Fft, &complex("fft2", x)?)
}

/// The inverse of [`fft2`].
#[track_caller]
pub fn ifft2(x: (&Tensor, &Tensor)) -> (Tensor, Tensor) {
    both(exactly(apply_all(IFFT2 {}, pair(x))))
}

fn compute_ifft2(_: &IFFT2, x: Vec<Tensor>) -> Result<[Tensor; 2]> {
    over_both(FftKind::Ifft, &complex("ifft2", x)?)
}

/// The last axis cut, or filled up with zeros, to `length`.
fn fitted(x: &Tensor, length: usize) -> Result<Tensor> {
    let size = last_size("fft", x)?;
    if size >= length {
        return Ok(if size == length { x.clone() } else { sliced(x, x.rank() - 1, 0, length) });
    }
    let mut widths = vec![(0, 0); x.rank()];
    widths[x.rank() - 1] = (0, (length - size) as i64);
    crate::ops::numpy::padded(x, &widths, 0.0)
}

/// The transform of real values over the last axis, cut or filled up to `fft_length`: `fft_length/2 + 1` values, the others
/// are their conjugates.
#[track_caller]
pub fn rfft(x: &Tensor, fft_length: Option<usize>) -> (Tensor, Tensor) {
    both(exactly(apply_all(RFFT { fft_length }, Args::new(x))))
}

fn compute_rfft(op: &RFFT, x: Tensor) -> Result<[Tensor; 2]> {
    let x = x.cast(float_of(x.dtype()));
    let length = op.fft_length.map_or_else(|| last_size("rfft", &x), Ok)?;
    Ok(exactly(Tensor::apply_all(Primitive { kind: FftKind::Rfft, length }, &[&fitted(&x, length)?])))
}

/// The inverse of [`rfft`], of `fft_length` values; of `2·(n − 1)` unless given.
#[track_caller]
pub fn irfft(x: (&Tensor, &Tensor), fft_length: Option<usize>) -> Tensor {
    apply(IRFFT { fft_length }, pair(x))
}

fn compute_irfft(op: &IRFFT, x: Vec<Tensor>) -> Result<Tensor> {
    let x = complex("irfft", x)?;
    let length = match op.fft_length {
        Some(length) => length,
        None => 2 * last_size("irfft", &x[0])?.saturating_sub(1),
    };
    real(&x, length)
}

fn real([re, im]: &[Tensor; 2], length: usize) -> Result<Tensor> {
    let bins = length / 2 + 1;
    let kind = FftKind::Irfft;
    Ok(Tensor::apply(Primitive { kind, length }, &[&fitted(re, bins)?, &fitted(im, bins)?]))
}

/// By what each sequence is multiplied before it is transformed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Window {
    /// `"hann"` or `"hamming"`.
    Name(String),
    /// One factor for each element of a sequence.
    Values(Vec<f64>),
}

impl From<&str> for Window {
    fn from(name: &str) -> Window {
        Window::Name(name.to_owned())
    }
}

impl Window {
    /// The factors of a window over `n` elements, within `fft_length` of which the others are 0.
    fn factors(window: Option<&Window>, n: usize, fft_length: usize) -> Result<Option<Vec<f64>>> {
        let cosine = |a: f64| (0..n).map(|i| a - (1.0 - a) * (TAU * i as f64 / n as f64).cos()).collect();
        let values: Vec<f64> = match window {
            None => return Ok(None),
            Some(Window::Name(name)) if name == "hann" => cosine(0.5),
            Some(Window::Name(name)) if name == "hamming" => cosine(0.54),
            Some(Window::Values(values)) if values.len() == n => values.clone(),
            Some(other) => {
                let fix = format!("use hann, hamming, or {n} values");
                return Err(Error::argument("stft", format!("the window {other:?}"), fix));
            }
        };
        let before = (fft_length - n) / 2;
        let mut padded = vec![0.0; before];
        padded.extend(values);
        padded.resize(fft_length, 0.0);
        Ok(Some(padded))
    }
}

fn factors(values: Vec<f64>, like: &Tensor) -> Tensor {
    Tensor::from(Array::new([values.len()], values).cast(like.dtype()))
}

fn check_lengths(sequence_length: usize, stride: usize, fft_length: usize) -> Result<()> {
    if sequence_length <= fft_length && stride > 0 && sequence_length > 0 {
        return Ok(());
    }
    let what = format!("sequences of {sequence_length} every {stride}, transformed as {fft_length}");
    Err(Error::argument("stft", what, "make fft_length at least sequence_length, and the stride at least 1"))
}

/// The transforms of sequences of `sequence_length` elements of the last axis, `sequence_stride` apart, each multiplied by
/// `window` and filled up to `fft_length`. If `center` (Keras's default), the ends are mirrored so that sequence `t` is
/// centred at element `t · sequence_stride`.
///
/// # Shapes
/// `(…, n)` gives two of `(…, sequences, fft_length/2 + 1)`.
#[track_caller]
pub fn stft(
    x: &Tensor,
    sequence_length: usize,
    sequence_stride: usize,
    fft_length: usize,
    window: Option<Window>,
    center: bool,
) -> (Tensor, Tensor) {
    both(exactly(apply_all(STFT { sequence_length, sequence_stride, fft_length, window, center }, Args::new(x))))
}

fn compute_stft(op: &STFT, x: Tensor) -> Result<[Tensor; 2]> {
    check_lengths(op.sequence_length, op.sequence_stride, op.fft_length)?;
    if !x.dtype().is_float() || x.rank() == 0 {
        return Err(Error::dtype("stft", format!("the input is {}", x.ty()), "give floats with at least one axis"));
    }
    let mut x = x;
    if op.center {
        let mut width = vec![[0, 0]; x.rank()];
        width[x.rank() - 1] = [(op.fft_length / 2) as i64; 2];
        x = ops::pad(&x, width, "reflect", None);
    }
    let mut frames = ops::extract_sequences(&x, op.fft_length, op.sequence_stride);
    if let Some(values) = Window::factors(op.window.as_ref(), op.sequence_length, op.fft_length)? {
        frames = &frames * factors(values, &x);
    }
    compute_rfft(&RFFT { fft_length: Some(op.fft_length) }, frames.check()?.clone())
}

/// The inverse of [`stft`]: sequences are transformed back, multiplied by the window that undoes `window` where they
/// overlap, and added up. The first `length` elements, or all.
#[track_caller]
pub fn istft(
    x: (&Tensor, &Tensor),
    sequence_length: usize,
    sequence_stride: usize,
    fft_length: usize,
    length: Option<usize>,
    window: Option<Window>,
    center: bool,
) -> Tensor {
    apply(ISTFT { sequence_length, sequence_stride, fft_length, length, window, center }, pair(x))
}

fn compute_istft(op: &ISTFT, x: Vec<Tensor>) -> Result<Tensor> {
    check_lengths(op.sequence_length, op.sequence_stride, op.fft_length)?;
    let x = complex("istft", x)?;
    let (n, stride) = (op.fft_length, op.sequence_stride);
    let mut frames = real(&x, n)?.check()?.clone();
    let Some(count) = frames.dim(-2).known().filter(|_| frames.rank() > 1) else {
        let what = format!("the sequences of {} are not known", frames.ty());
        return Err(Error::shape("istft", what, "give (…, sequences, bins) with a known number of sequences"));
    };
    if let Some(values) = Window::factors(op.window.as_ref(), op.sequence_length, n)? {
        // What the squares of all windows over one element sum to.
        let mut sums = vec![0.0; stride];
        values.iter().enumerate().for_each(|(i, v)| sums[i % stride] += v * v);
        let inverse = values.iter().enumerate().map(|(i, v)| v / sums[i % stride]).collect();
        frames = &frames * factors(inverse, &frames);
    }
    let total = count.saturating_sub(1) * stride + n;
    let places: Vec<i32> = (0..count).flat_map(|t| (0..n).map(move |i| (t * stride + i) as i32)).collect();
    let places = Tensor::from(Array::new([count * n], places));
    let batch = frames.rank() - 2;
    let flat: Shape = frames.shape()[..batch].iter().cloned().chain([Dim::Known(count * n)]).collect();
    let lines = ops::moveaxis(&reshaped(&frames, flat), -1, 0);
    let signal = ops::moveaxis(&ops::segment_sum(&lines, &places, Some(total), false), 0, -1);
    let start = if op.center { n / 2 } else { 0 };
    let end = match op.length {
        Some(length) => (start + length).min(total),
        None if op.center => total.saturating_sub(n / 2),
        None => total,
    };
    Ok(sliced(signal.check()?, batch, start.min(end), end))
}
