//! `fft`: discrete Fourier transforms.

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, checked, operands, places};
use crate::array::Array;
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, Dim, TensorType};

/// Which transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FftKind {
    /// `(re, im)` to `(re, im)`, unscaled, `exp(-2πi·jk/n)`.
    Fft,
    /// Its inverse, scaled by `1/n`.
    Ifft,
    /// Real `x` of `n` to `(re, im)` of `n/2 + 1`.
    Rfft,
    /// `(re, im)` of `n/2 + 1` to real of `length`, scaled by `1/length`. The imaginary parts of the first and, of an even
    /// `length`, of the last are taken as 0.
    Irfft,
}

/// A transform over the last axis; complex values are two operands or two outputs, real part first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fft {
    /// The transform.
    pub kind: FftKind,
    /// The length of the real side for `Rfft` and `Irfft`, of both for the others.
    pub length: usize,
}

impl Fft {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let line = |rows: usize, n: usize, seed: usize| {
            let value = |i: usize| ((i * 7 + seed) % 11) as f64 * 0.3 - 1.4;
            Array::new([rows, n], (0..rows * n).map(value).collect::<Vec<f64>>())
        };
        let mut samples = Vec::new();
        for length in [1, 4, 5] {
            let half = length / 2 + 1;
            for kind in [FftKind::Fft, FftKind::Ifft] {
                samples.push(Sample::new(Fft { kind, length }, [line(2, length, 1), line(2, length, 4)]));
            }
            samples.push(Sample::new(Fft { kind: FftKind::Rfft, length }, [line(2, length, 3)]));
            samples.push(Sample::new(Fft { kind: FftKind::Irfft, length }, [line(2, half, 5), line(2, half, 2)]));
        }
        samples
    }

    /// Elements on the complex side.
    fn bins(&self) -> usize {
        match self.kind {
            FftKind::Fft | FftKind::Ifft => self.length,
            FftKind::Rfft | FftKind::Irfft => self.length / 2 + 1,
        }
    }

    /// How often each element of the half spectrum stands in the whole one: 2, but 1 for the first and, of an even
    /// length, for the last.
    fn multiplicity(&self, bin: usize) -> f64 {
        if bin == 0 || 2 * bin == self.length { 1.0 } else { 2.0 }
    }

    /// One line, by the definition: `O(n²)`.
    fn line(&self, re: &[f64], im: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let n = self.length;
        let root = |power: usize| match power {
            0 => (1.0, 0.0),
            half if 2 * half == n => (-1.0, 0.0),
            _ => {
                let angle = std::f64::consts::TAU * power as f64 / n as f64;
                (angle.cos(), angle.sin())
            }
        };
        let roots: Vec<(f64, f64)> = (0..n).map(root).collect();
        let inverse = matches!(self.kind, FftKind::Ifft | FftKind::Irfft);
        let (sign, scale) = if inverse { (1.0, 1.0 / n as f64) } else { (-1.0, 1.0) };
        let weight = |j: usize| if self.kind == FftKind::Irfft { self.multiplicity(j) } else { 1.0 };
        let outputs = if self.kind == FftKind::Irfft { n } else { self.bins() };
        let sum = |k: usize| {
            let (mut x, mut y) = (0.0, 0.0);
            for j in 0..re.len() {
                let (c, s) = roots[j * k % n];
                x += weight(j) * (re[j] * c - sign * im[j] * s);
                y += weight(j) * (sign * re[j] * s + im[j] * c);
            }
            (x * scale, y * scale)
        };
        (0..outputs).map(sum).unzip()
    }

    /// Every line of `x` times a function of the multiplicities.
    fn weighted(&self, b: &mut Builder, x: Value, weight: impl Fn(f64) -> f64) -> Value {
        let shape = b.shape(x);
        let weights: Vec<f64> = (0..self.bins()).map(|bin| weight(self.multiplicity(bin))).collect();
        let weights = b.constant(Array::new([self.bins()], weights).cast(b.dtype(x)));
        let weights = b.broadcast(weights, shape.clone(), &[shape.rank().saturating_sub(1)]);
        b.mul(x, weights)
    }
}

impl Primitive for Fft {
    fn name(&self) -> &'static str {
        "fft"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let re = if self.kind == FftKind::Rfft {
            let [x] = operands(self, inputs)?;
            x
        } else {
            let [re, im] = operands(self, inputs)?;
            checked::same_dtype(self, re, im)?;
            if !re.shape.compatible(&im.shape) {
                let what = format!("a real part {re} and an imaginary part {im}");
                return Err(Error::shape(self.name(), what, "give them one shape"));
            }
            re
        };
        checked::float(self, re)?;
        if self.length == 0 {
            return Err(Error::argument(self.name(), "a transform of length 0", "give a positive length"));
        }
        let (from, to) = match self.kind {
            FftKind::Rfft => (self.length, self.bins()),
            FftKind::Irfft => (self.bins(), self.length),
            FftKind::Fft | FftKind::Ifft => (self.length, self.length),
        };
        if !re.shape.last().is_some_and(|d| d.compatible(&Dim::Known(from))) {
            let what = format!("{:?} of length {} of {re}", self.kind, self.length);
            return Err(Error::shape(self.name(), what, format!("make the last axis {from}")));
        }
        let mut shape = inputs.iter().skip(1).fold(re.shape.clone(), |shape, im| shape.merge(&im.shape));
        shape[re.rank() - 1] = Dim::Known(to);
        Ok(vec![re.with_shape(shape); if self.kind == FftKind::Irfft { 1 } else { 2 }])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let shapes = checked::shapes(self, inputs)?;
        let (shape, dtype) = (inputs[0].shape(), inputs[0].dtype());
        let re = inputs[0].to_f64_vec();
        let im = inputs.get(1).map_or_else(|| vec![0.0; re.len()], |im| im.to_f64_vec());
        let (mut res, mut ims) = (Vec::new(), Vec::new());
        for line in places::lines(shape, shape.len() - 1) {
            let take = |values: &[f64]| line.iter().map(|&at| values[at]).collect::<Vec<f64>>();
            let (re, im) = self.line(&take(&re), &take(&im));
            res.extend(re);
            ims.extend(im);
        }
        let parts = shapes.into_iter().zip([res, ims]);
        Ok(parts.map(|(shape, values)| Array::new(shape, values).cast(dtype)).collect())
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        if cotangents.iter().all(Option::is_none) {
            return Ok(vec![None; node.inputs.len()]);
        }
        let n = self.length as f64;
        let dy: Vec<Value> =
            cotangents.iter().zip(&node.outputs).map(|(dy, &y)| dy.unwrap_or_else(|| b.zeros_like(y))).collect();
        // The transpose of a transform, as a map of pairs of real numbers, is the one with the conjugate roots.
        let transposed = |b: &mut Builder, kind, dy: &[Value]| b.push_all(Fft { kind, length: self.length }, dy);
        Ok(match self.kind {
            FftKind::Fft => {
                let dx = transposed(b, FftKind::Ifft, &dy);
                vec![Some(b.scale(dx[0], n)), Some(b.scale(dx[1], n))]
            }
            FftKind::Ifft => {
                let dx = transposed(b, FftKind::Fft, &dy);
                vec![Some(b.scale(dx[0], 1.0 / n)), Some(b.scale(dx[1], 1.0 / n))]
            }
            // Irfft counts elements as often as they stand in the whole spectrum; here each counts once.
            FftKind::Rfft => {
                let once: Vec<Value> = dy.iter().map(|&dy| self.weighted(b, dy, |times| n / times)).collect();
                vec![Some(transposed(b, FftKind::Irfft, &once)[0])]
            }
            FftKind::Irfft => {
                let dx = transposed(b, FftKind::Rfft, &dy);
                let of_part = |b: &mut Builder, part| Some(self.weighted(b, part, |times| times / n));
                vec![of_part(b, dx[0]), of_part(b, dx[1])]
            }
        })
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverses_invert() {
        for length in [1, 6, 7] {
            let x: Vec<f64> = (0..length).map(|i| (i * i) as f64 - 3.0).collect();
            let (re, im) = Fft { kind: FftKind::Rfft, length }.line(&x, &vec![0.0; length]);
            let (back, _) = Fft { kind: FftKind::Irfft, length }.line(&re, &im);
            assert!(x.iter().zip(&back).all(|(x, y)| (x - y).abs() < 1e-12), "{x:?} {back:?}");
        }
    }
}
