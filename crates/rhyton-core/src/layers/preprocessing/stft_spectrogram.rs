//! `STFTSpectrogram`: audio as the strength of frequencies over time, by a convolution that may be trained.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::epsilon;
use crate::error::{Error, Result};
use crate::initializers::{STFT, StftScaling, StftSide};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, DataFormat, InputShapes, Layer, Padding};
use crate::nest::{Args, Nest};
use crate::ops::{self, Operand};
use crate::tensor::Tensor;

/// What is given of each frequency of each frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpectrogramMode {
    /// The logarithm of the magnitude.
    #[default]
    Log,
    /// The magnitude.
    Magnitude,
    /// The power density: the square of the magnitude, of all frequencies but the first and last twice.
    Psd,
    /// The real part.
    Real,
    /// The imaginary part.
    Imag,
    /// The angle of the complex number, in radians.
    Angle,
    /// The real parts of all frequencies, then the imaginary ones.
    Stft,
}

/// The short-time Fourier transform of a signal: products with windowed cosines and sines, which are weights that train unless it
/// is said otherwise.
///
/// # Shapes
/// `(batch, samples, channels)` gives `(batch, frames, channels · bins)`, or with `expand_dims` `(batch, frames, bins, channels)`,
/// where `bins` is `fft_length / 2 + 1`, twice that in the mode `Stft`. With channels first, `(batch, channels, samples)` gives
/// `(batch, channels · bins, frames)` or `(batch, channels, frames, bins)`.
///
/// # Errors
/// If `frame_step` is 0 or above `frame_length`, `fft_length` is below it, or the window is not known.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let layer = STFTSpectrogram::new().frame_length(16).frame_step(8usize);
/// let spectrum = layer.call(&Tensor::new([1, 64, 1], vec![0.5f32; 64]));
/// assert_eq!(spectrum.shape().to_string(), "[1,7,9]");
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct STFTSpectrogram {
    #[serde(skip)]
    base: Base,
    mode: SpectrogramMode,
    frame_length: usize,
    frame_step: Option<usize>,
    fft_length: Option<usize>,
    window: Value,
    periodic: bool,
    scaling: Option<StftScaling>,
    padding: Padding,
    data_format: DataFormat,
    expand_dims: bool,
}

keras_layer!(STFTSpectrogram);

impl Default for STFTSpectrogram {
    fn default() -> STFTSpectrogram {
        STFTSpectrogram {
            base: Base::default(),
            mode: SpectrogramMode::Log,
            frame_length: 256,
            frame_step: None,
            fft_length: None,
            window: "hann".into(),
            periodic: false,
            scaling: Some(StftScaling::Density),
            padding: Padding::Valid,
            data_format: DataFormat::default(),
            expand_dims: false,
        }
    }
}

impl STFTSpectrogram {
    /// The logarithm of magnitudes, of frames of 256 samples every 128.
    pub fn new() -> STFTSpectrogram {
        STFTSpectrogram::default()
    }

    builders! {
        /// What is given of each frequency; the logarithm of its magnitude unless said.
        mode: SpectrogramMode,
        /// The length of frames; 256 samples unless said.
        frame_length: usize,
        /// How far frames are apart; half their length unless said.
        frame_step: some usize,
        /// The length of transforms; the next power of 2 above that of frames unless said.
        fft_length: some usize,
        /// The window: a name of SciPy's, a list of weights, or `Value::Null` for none; Hann's unless said.
        window: into Value,
        /// Whether the window is one period of a periodic function; not unless said.
        periodic: bool,
        /// By what the window is divided; by its density unless said.
        scaling: Option<StftScaling>,
        /// Whether the signal is filled up so that a frame begins at each step; not unless said.
        padding: Padding,
        /// Where the channels are; last unless said.
        data_format: DataFormat,
        /// Whether frequencies have an axis of their own, as images have; not unless said.
        expand_dims: bool,
    }

    fn step(&self) -> usize {
        self.frame_step.unwrap_or(self.frame_length / 2)
    }

    fn bins(&self) -> usize {
        self.fft_length.unwrap_or_else(|| self.frame_length.next_power_of_two()) / 2 + 1
    }

    /// `(batch, channels, bins, frames)` of the products with a kernel.
    fn transform(&self, x: &Tensor, kernel: &str) -> Result<Tensor> {
        let kernel = self.base.weight(kernel)?.cast(x.dtype());
        let last = self.data_format == DataFormat::ChannelsLast;
        let channels = if last { x.dim(2) } else { x.dim(1) };
        let samples = if last { x.dim(1) } else { x.dim(2) };
        let batch = x.dim(0);
        let x = if last { ops::transpose(x, [0, 2, 1]) } else { x.clone() };
        let flat = batch.clone() * channels.clone();
        let one = rhyton_ir::Dim::Known(1);
        let shape = if last { vec![flat, samples, one] } else { vec![flat, one, samples] };
        let signals = ops::reshape_to(&x, shape);
        let format = Some(self.data_format.name());
        let y = ops::conv(&signals, &kernel, self.step(), self.padding.name(), format, 1);
        let y = if last { ops::transpose(&y, [0, 2, 1]) } else { y };
        let y = y.check()?;
        ops::reshape_to(y, vec![batch, channels, y.dim(1), y.dim(2)]).check().cloned()
    }

    /// From `(batch, channels, bins, frames)` to the shape of the result.
    fn arranged(&self, y: &Tensor) -> Tensor {
        let last = self.data_format == DataFormat::ChannelsLast;
        if self.expand_dims {
            return ops::transpose(y, if last { [0, 3, 2, 1] } else { [0, 1, 3, 2] });
        }
        let flat = ops::reshape_to(y, vec![y.dim(0), y.dim(1) * y.dim(2), y.dim(3)]);
        if last { ops::transpose(&flat, [0, 2, 1]) } else { flat }
    }
}

impl Layer for STFTSpectrogram {
    fn build(&self, _: &InputShapes) -> Result<()> {
        let wrong = |argument: &str, what: String, fix: &str| Err(Error::argument(argument, what, fix));
        if self.step() == 0 || self.step() > self.frame_length {
            let what = format!("{} for frames of {}", self.step(), self.frame_length);
            return wrong("frame_step", what, "give at least 1, and not above frame_length");
        }
        if let Some(length) = self.fft_length.filter(|&n| n < self.frame_length) {
            let what = format!("{length} for frames of {}", self.frame_length);
            return wrong("fft_length", what, "give at least frame_length");
        }
        if !matches!(self.padding, Padding::Valid | Padding::Same) {
            return wrong("padding", format!("it is {}", self.padding.name()), "use valid or same");
        }
        let kernel = |side: StftSide| {
            STFT::new().side(side).window(self.window.clone()).scaling(self.scaling).periodic(self.periodic)
        };
        let shape = [self.frame_length, 1, self.bins()];
        if self.mode != SpectrogramMode::Imag {
            self.base.add_weight("real_kernel", shape).initializer(kernel(StftSide::Real)).add()?;
        }
        if self.mode != SpectrogramMode::Real {
            self.base.add_weight("imag_kernel", shape).initializer(kernel(StftSide::Imag)).add()?;
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?;
        if x.rank() != 3 || !x.dtype().is_float() {
            return Err(Error::shape(
                "STFTSpectrogram",
                format!("the input is {}", x.ty()),
                "give floats of shape (batch, samples, channels)",
            ));
        }
        let re = || self.transform(x, "real_kernel");
        let im = || self.transform(x, "imag_kernel");
        let y = match self.mode {
            SpectrogramMode::Real => self.arranged(&re()?),
            SpectrogramMode::Imag => self.arranged(&im()?),
            SpectrogramMode::Angle => self.arranged(&ops::arctan2(im()?, re()?)),
            SpectrogramMode::Stft => self.arranged(&ops::concatenate(&[re()?, im()?], 2)),
            SpectrogramMode::Psd => {
                let power = ops::square(&re()?) + ops::square(&im()?);
                // All frequencies but the first and the last stand for negative ones, too.
                let mut twice = vec![2.0; self.bins()];
                twice[0] = 1.0;
                twice[self.bins() - 1] = 1.0;
                let twice = Tensor::new([self.bins(), 1], twice).cast(power.dtype());
                self.arranged(&(power * twice))
            }
            SpectrogramMode::Magnitude | SpectrogramMode::Log => {
                let power = ops::square(&re()?) + ops::square(&im()?);
                let small = Operand::from(epsilon());
                let magnitude = self.arranged(&ops::sqrt(&ops::maximum(&power, small.clone())));
                match self.mode {
                    SpectrogramMode::Magnitude => magnitude,
                    _ => ops::log(&ops::maximum(&magnitude, small)),
                }
            }
        };
        Ok(y.check()?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Call;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("stft_spectrogram");
    }

    #[test]
    fn mistakes_are_named() {
        let error = |layer: STFTSpectrogram| {
            layer.call(Tensor::new([1, 64, 1], vec![0.0f32; 64])).eval().unwrap_err().to_string()
        };
        assert!(error(STFTSpectrogram::new().frame_length(16).frame_step(17usize)).contains("frame_step"));
        assert!(error(STFTSpectrogram::new().frame_length(16).fft_length(8usize)).contains("fft_length"));
        assert!(error(STFTSpectrogram::new().frame_length(16).window("horn")).contains("horn"));
    }
}
