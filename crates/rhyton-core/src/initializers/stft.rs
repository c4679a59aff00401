//! `STFT`: the kernel of a short-time Fourier transform by convolution.

use std::f64::consts::PI;

use rhyton_ir::{Array, DType};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Initializer;
use crate::error::{Error, Result};
use crate::keras_object;
use crate::tensor::Tensor;

/// Which part of the complex kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StftSide {
    /// Cosines.
    #[default]
    Real,
    /// Negative sines.
    Imag,
}

/// By what a windowed kernel is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StftScaling {
    /// The square root of the sum of the squares of the window.
    Density,
    /// The sum of the absolute values of the window.
    Spectrum,
}

/// `window(t) · cos(2π t f / n)`, or `−sin`, over the scale of the window: `n = 2 (bins − 1)` for frequency bin `f`.
///
/// # Shapes
/// `(frame_length, input_channels, bins)`; without a window the axis of channels has size 1, as Keras leaves it.
///
/// # Errors
/// If the shape has not three axes, or the window is not known or has another length than the frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct STFT {
    side: StftSide,
    window: Value,
    periodic: bool,
    scaling: Option<StftScaling>,
}
keras_object!(STFT);

impl Default for STFT {
    fn default() -> STFT {
        STFT { side: StftSide::Real, window: "hann".into(), periodic: false, scaling: Some(StftScaling::Density) }
    }
}

impl STFT {
    /// The real part under a Hann window.
    pub fn new() -> STFT {
        STFT::default()
    }

    /// Which part.
    pub fn side(mut self, side: StftSide) -> STFT {
        self.side = side;
        self
    }

    /// The window: a name of SciPy's (`"hann"`, `"hamming"`, …), a list of weights, or `Value::Null` for none.
    pub fn window(mut self, window: impl Into<Value>) -> STFT {
        self.window = window.into();
        self
    }

    /// The scale; none with `None`.
    pub fn scaling(mut self, scaling: Option<StftScaling>) -> STFT {
        self.scaling = scaling;
        self
    }

    /// Whether the window is one period of a periodic function rather than symmetric.
    pub fn periodic(mut self, periodic: bool) -> STFT {
        self.periodic = periodic;
        self
    }

    /// The weights of the window over a frame.
    fn weights(&self, frame: usize) -> Result<Option<Vec<f64>>> {
        let weights = match &self.window {
            Value::Null => return Ok(None),
            Value::String(name) => window(name, frame, self.periodic)?,
            list => list.as_array().map(|l| l.iter().filter_map(Value::as_f64).collect()).unwrap_or_default(),
        };
        if weights.len() != frame {
            return Err(Error::shape(
                "STFT",
                format!("a window of {} weights for frames of {frame}", weights.len()),
                "give one weight for each sample of a frame",
            ));
        }
        Ok(Some(weights))
    }
}

impl Initializer for STFT {
    fn call(&self, shape: &[usize], dtype: DType) -> Result<Tensor> {
        let &[frame, _, bins] = shape else {
            let what = format!("the shape {shape:?} is not (frame length, channels, bins)");
            return Err(Error::shape("STFT", what, "use it for kernels of Conv1D"));
        };
        let weights = self.weights(frame)?;
        let scale = match (&weights, self.scaling) {
            (Some(w), Some(StftScaling::Density)) => w.iter().map(|w| w * w).sum::<f64>().sqrt(),
            (Some(w), Some(StftScaling::Spectrum)) => w.iter().map(|w| w.abs()).sum(),
            _ => 1.0,
        };
        let length = 2.0 * (bins as f64 - 1.0);
        let mut values = Vec::with_capacity(frame * bins);
        for t in 0..frame {
            let weight = weights.as_ref().map_or(1.0, |w| w[t]) / scale;
            for f in 0..bins {
                let angle = -2.0 * PI * t as f64 * (f as f64 / length);
                values.push(weight * if self.side == StftSide::Real { angle.cos() } else { angle.sin() });
            }
        }
        Ok(Array::new([frame, 1, bins], values).cast(dtype).into())
    }
}

/// SciPy's window of a name: sums of cosines, and the triangular ones.
fn window(name: &str, length: usize, periodic: bool) -> Result<Vec<f64>> {
    let cosines: &[f64] = match name {
        "hann" | "han" => &[0.5, 0.5],
        "hamming" | "hamm" | "ham" => &[0.54, 0.46],
        "blackman" | "black" | "blk" => &[0.42, 0.5, 0.08],
        "nuttall" | "nutl" | "nut" => &[0.363_581_9, 0.489_177_5, 0.136_599_5, 0.010_641_1],
        "blackmanharris" | "blackharr" | "bkh" => &[0.358_75, 0.488_29, 0.141_28, 0.011_68],
        "flattop" | "flat" | "flt" => &[0.215_578_95, 0.416_631_58, 0.277_263_158, 0.083_578_947, 0.006_947_368],
        "boxcar" | "box" | "ones" | "rect" | "rectangular" => &[1.0],
        "bartlett" | "bart" | "brt" | "cosine" | "halfcosine" | "bohman" | "bman" | "bmn" => &[],
        _ => {
            return Err(Error::unsupported(
                "STFT",
                format!("there is no window {name:?}"),
                "use hann, hamming, blackman, nuttall, blackmanharris, flattop, boxcar, bartlett, cosine, bohman, or a list",
            ));
        }
    };
    if length <= 1 {
        return Ok(vec![1.0; length]);
    }
    // A periodic window is a symmetric one of one more sample, without the last.
    let samples = if periodic { length + 1 } else { length };
    let last = samples as f64 - 1.0;
    let weight = |t: usize| {
        let x = t as f64 / last;
        match name {
            "cosine" | "halfcosine" => (PI * (t as f64 + 0.5) / samples as f64).sin(),
            "bartlett" | "bart" | "brt" => 1.0 - (2.0 * x - 1.0).abs(),
            "bohman" | "bman" | "bmn" => {
                let r = (2.0 * x - 1.0).abs();
                if r >= 1.0 { 0.0 } else { (1.0 - r) * (PI * r).cos() + (PI * r).sin() / PI }
            }
            _ => {
                let term = |(k, a): (usize, &f64)| {
                    let sign = if k % 2 == 0 { 1.0 } else { -1.0 };
                    sign * a * (2.0 * PI * k as f64 * x).cos()
                };
                cosines.iter().enumerate().map(term).sum()
            }
        }
    };
    Ok((0..length).map(weight).collect())
}
