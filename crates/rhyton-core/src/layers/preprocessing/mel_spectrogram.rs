//! `MelSpectrogram`: audio as the strength of bands of the mel scale over time.

use rhyton_ir::{Array, DType};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, InputShapes, Layer};
use crate::nest::{Args, Nest};
use crate::ops::{self, Axes, Number, Window};
use crate::tensor::Tensor;

/// The spectrum of windows of a signal, in bands that are equally wide on the mel scale, `2595 · log₁₀(1 + f / 700 Hz)`; in decibels
/// unless said otherwise, and then at most `top_db` below the strongest of the whole input.
///
/// # Shapes
/// `(samples)` or `(batch, samples)` gives `(…, num_mel_bins, frames)`, a frame every `sequence_stride` samples.
///
/// # Errors
/// If `sequence_length` is above `fft_length`, the window is not known, or there are no bands; if the signal is too short.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let layer = MelSpectrogram::new().num_mel_bins(64).sampling_rate(8000).sequence_stride(256);
/// let spectrum = layer.call(&Tensor::new([16000], vec![0.1f32; 16000]));
/// assert_eq!(spectrum.shape().to_string(), "[64,63]");
/// ```
///
/// # References
/// Young et al., *The HTK Book*, 2006, whose triangular bands these are.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MelSpectrogram {
    #[serde(skip)]
    base: Base,
    fft_length: usize,
    sequence_stride: usize,
    sequence_length: Option<usize>,
    window: Option<Window>,
    sampling_rate: usize,
    num_mel_bins: usize,
    min_freq: f64,
    max_freq: Option<Number>,
    power_to_db: bool,
    top_db: f64,
    mag_exp: f64,
    min_power: f64,
    ref_power: f64,
}

keras_layer!(MelSpectrogram);

impl Default for MelSpectrogram {
    fn default() -> MelSpectrogram {
        MelSpectrogram {
            base: Base::default(),
            fft_length: 2048,
            sequence_stride: 512,
            sequence_length: None,
            window: Some("hann".into()),
            sampling_rate: 16000,
            num_mel_bins: 128,
            min_freq: 20.0,
            max_freq: None,
            power_to_db: true,
            top_db: 80.0,
            mag_exp: 2.0,
            min_power: 1e-10,
            ref_power: 1.0,
        }
    }
}

impl MelSpectrogram {
    /// Of 128 bands, from windows of 2048 samples every 512.
    pub fn new() -> MelSpectrogram {
        MelSpectrogram::default()
    }

    builders! {
        /// The length of transforms; 2048 samples unless said.
        fft_length: usize,
        /// How far windows are apart; 512 samples unless said.
        sequence_stride: usize,
        /// The length of windows; `fft_length` unless said.
        sequence_length: some usize,
        /// The window; Hann's unless said.
        window: some Window,
        /// Samples a second; 16,000 unless said.
        sampling_rate: usize,
        /// The number of bands; 128 unless said.
        num_mel_bins: usize,
        /// Where the lowest band begins; 20 Hz unless said.
        min_freq: f64,
        /// Where the highest band ends; half the sampling rate unless said, in Hz.
        max_freq: some Number,
        /// Whether the result is in decibels; it is unless said.
        power_to_db: bool,
        /// How many decibels below the strongest values end; 80 unless said.
        top_db: f64,
        /// The power that magnitudes are raised to; 2 unless said.
        mag_exp: f64,
        /// The least power for decibels; 1e-10 unless said.
        min_power: f64,
        /// The power of 0 decibels; 1 unless said.
        ref_power: f64,
    }

    fn window_length(&self) -> usize {
        self.sequence_length.filter(|&n| n > 0).unwrap_or(self.fft_length)
    }

    fn highest(&self) -> Number {
        self.max_freq.filter(|f| f.value() != 0.0).unwrap_or(Number::Int((self.sampling_rate / 2) as i64))
    }

    /// What each of `bins` frequencies of a spectrum counts in each band: triangles that reach from the middle of one band to
    /// that of the next but one. Computed in `float32`, as Keras does.
    fn bands(&self, bins: usize) -> Array {
        let mel = |hertz: f32| 1127.0f32 * (1.0f32 + hertz / 700.0f32).ln();
        let linspace = |from: f32, to: f32, count: usize| -> Vec<f32> {
            let step = (to - from) / (count.max(2) - 1) as f32;
            (0..count).map(|i| if i + 1 == count { to } else { from + step * i as f32 }).collect()
        };
        let nyquist = self.sampling_rate as f32 / 2.0;
        let edges = linspace(mel(self.min_freq as f32), mel(self.highest().value() as f32), self.num_mel_bins + 2);
        let mut weights = vec![0.0f32; bins * self.num_mel_bins];
        // The frequency 0 counts nowhere.
        for (bin, hertz) in linspace(0.0, nyquist, bins).into_iter().enumerate().skip(1) {
            let at = mel(hertz);
            for band in 0..self.num_mel_bins {
                let [lower, center, upper] = [edges[band], edges[band + 1], edges[band + 2]];
                let (rise, fall) = ((at - lower) / (center - lower), (upper - at) / (upper - center));
                weights[bin * self.num_mel_bins + band] = rise.min(fall).max(0.0);
            }
        }
        Array::new([bins, self.num_mel_bins], weights)
    }

    fn decibels(&self, power: &Tensor) -> Tensor {
        let decibels = ops::log10(&ops::maximum(power, self.min_power)) * 10.0;
        let decibels = decibels - 10.0 * self.ref_power.abs().max(self.min_power).log10();
        let floor = ops::max(&decibels, Axes::All, false) - self.top_db;
        ops::maximum(&decibels, &floor)
    }
}

impl Layer for MelSpectrogram {
    fn build(&self, _: &InputShapes) -> Result<()> {
        if self.window_length() > self.fft_length {
            return Err(Error::argument(
                "sequence_length",
                format!("{} is above fft_length, {}", self.window_length(), self.fft_length),
                "make fft_length at least as large",
            ));
        }
        if self.num_mel_bins == 0 || self.sampling_rate == 0 {
            return Err(Error::argument("MelSpectrogram", "there is nothing to measure", "give at least one band"));
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let compute = self.base.compute_dtype();
        let dtype = if compute == DType::F64 { compute } else { DType::F32 };
        let x = inputs.tensor()?.cast(dtype);
        let (re, im) =
            ops::stft(&x, self.window_length(), self.sequence_stride, self.fft_length, self.window.clone(), true);
        let magnitude = ops::sqrt(&(ops::square(&re) + ops::square(&im)));
        let power = ops::power(&magnitude, self.mag_exp);
        let bands = Tensor::from(self.bands(self.fft_length / 2 + 1)).cast(dtype);
        let mel = ops::matmul(&power, &bands);
        let mel = if self.power_to_db { self.decibels(&mel) } else { mel };
        Ok(ops::swapaxes(&mel, -1, -2).cast(compute).check()?.into())
    }

    fn config(&self) -> serde_json::Value {
        let mut own = crate::saving::config_of(self);
        own["sequence_length"] = self.window_length().into();
        own["max_freq"] = serde_json::json!(self.highest());
        crate::layers::config_with(self.name(), &self.base, own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Call;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("mel_spectrogram");
    }

    #[test]
    fn windows_fit_into_transforms() {
        let layer = MelSpectrogram::new().fft_length(16).sequence_length(17usize);
        let error = layer.call(Tensor::new([64], vec![0.0f32; 64])).eval().unwrap_err().to_string();
        assert!(error.contains("above fft_length"), "{error}");
    }
}
