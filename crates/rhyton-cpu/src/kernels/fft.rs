//! Discrete Fourier transforms of lines, by `rustfft` and, where one side is real, `realfft`.
//!
//! A line is brought to the layout of those crates (real and imaginary part side by side) in memory of the thread, and
//! taken back from there. They choose the best instructions of the machine by themselves, whatever
//! [`Isa`](crate::isa::Isa) other kernels use.
//!
//! Accuracy: 16-bit floats are transformed in `f32` and rounded once.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, FftNum, RealFftPlanner, RealToComplex};
use rhyton_ir::op::{Fft, FftKind};
use rustfft::FftPlanner;

use super::fold::Fold;
use super::scratch;

enum Plan<T> {
    Complex(Arc<dyn rustfft::Fft<T>>),
    Forward(Arc<dyn RealToComplex<T>>),
    Inverse(Arc<dyn ComplexToReal<T>>),
}

/// A transform of lines of one length, planned.
pub struct Transform<T> {
    plan: Plan<T>,
    /// What results are multiplied by.
    scale: T,
    from: usize,
    to: usize,
    scratch: usize,
}

/// The memory of a thread.
struct Buffers<T> {
    real: Vec<T>,
    complex: Vec<Complex<T>>,
    scratch: Vec<Complex<T>>,
}

impl<T> Default for Buffers<T> {
    fn default() -> Self {
        Buffers { real: Vec::new(), complex: Vec::new(), scratch: Vec::new() }
    }
}

/// The first `len` elements of a buffer that grows; whatever was there.
fn first<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
    &mut buffer[..len]
}

impl<T: FftNum + Default> Transform<T> {
    /// Plans `op`.
    pub fn new(op: &Fft) -> Transform<T> {
        let (n, bins) = (op.length, op.length / 2 + 1);
        let scale = if matches!(op.kind, FftKind::Ifft | FftKind::Irfft) { 1.0 / n as f64 } else { 1.0 };
        let scale = T::from_f64(scale).expect("a float");
        let (plan, from, to) = match op.kind {
            FftKind::Fft => (Plan::Complex(FftPlanner::new().plan_fft_forward(n)), n, n),
            FftKind::Ifft => (Plan::Complex(FftPlanner::new().plan_fft_inverse(n)), n, n),
            FftKind::Rfft => (Plan::Forward(RealFftPlanner::new().plan_fft_forward(n)), n, bins),
            FftKind::Irfft => (Plan::Inverse(RealFftPlanner::new().plan_fft_inverse(n)), bins, n),
        };
        let scratch = match &plan {
            Plan::Complex(plan) => plan.get_inplace_scratch_len(),
            Plan::Forward(plan) => plan.get_scratch_len(),
            Plan::Inverse(plan) => plan.get_scratch_len(),
        };
        Transform { plan, scale, from, to, scratch }
    }

    /// Transforms a line: `x` its real and imaginary parts, `y` those of the result; an imaginary part is empty where that
    /// side is real.
    ///
    /// # Panics
    /// If a part has not the length that the operation gives it.
    pub fn line<O: Fold<T = T>>(&self, [re, im]: [&[O::X]; 2], y: [&mut [O::X]; 2]) {
        let [to_re, to_im] = y;
        let imaginary = |real: bool, len: usize| if real { 0 } else { len };
        let (from_real, to_real) = (matches!(self.plan, Plan::Forward(_)), matches!(self.plan, Plan::Inverse(_)));
        assert_eq!((re.len(), im.len()), (self.from, imaginary(from_real, self.from)), "the operand");
        assert_eq!((to_re.len(), to_im.len()), (self.to, imaginary(to_real, self.to)), "the result");
        scratch::with(|buffers: &mut Buffers<T>| {
            let scratch = first(&mut buffers.scratch, self.scratch);
            match &self.plan {
                Plan::Complex(plan) => {
                    let x = first(&mut buffers.complex, self.from);
                    load_complex::<O>(re, im, x);
                    plan.process_with_scratch(x, scratch);
                    self.store_complex::<O>(x, to_re, to_im);
                }
                Plan::Forward(plan) => {
                    let (x, bins) = (first(&mut buffers.real, self.from), first(&mut buffers.complex, self.to));
                    x.iter_mut().zip(re).for_each(|(x, &re)| *x = O::load(re));
                    plan.process_with_scratch(x, bins, scratch).expect("the lengths are the plan's");
                    self.store_complex::<O>(bins, to_re, to_im);
                }
                Plan::Inverse(plan) => {
                    let (bins, y) = (first(&mut buffers.complex, self.from), first(&mut buffers.real, self.to));
                    load_complex::<O>(re, im, bins);
                    // The spectrum of real numbers is real at 0 and at half of the frequency; what is there is not read.
                    bins[0].im = T::zero();
                    if self.to.is_multiple_of(2) {
                        bins[self.from - 1].im = T::zero();
                    }
                    plan.process_with_scratch(bins, y, scratch).expect("the lengths are the plan's");
                    to_re.iter_mut().zip(y).for_each(|(to, y)| *to = O::store(*y * self.scale));
                }
            }
        });
    }

    fn store_complex<O: Fold<T = T>>(&self, x: &[Complex<T>], re: &mut [O::X], im: &mut [O::X]) {
        for ((re, im), x) in re.iter_mut().zip(im).zip(x) {
            (*re, *im) = (O::store(x.re * self.scale), O::store(x.im * self.scale));
        }
    }
}

fn load_complex<O: Fold>(re: &[O::X], im: &[O::X], x: &mut [Complex<O::T>]) {
    for ((x, &re), &im) in x.iter_mut().zip(re).zip(im) {
        *x = Complex { re: O::load(re), im: O::load(im) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::fold::{Foldable, Sum};
    use half::bf16;
    use rhyton_ir::Array;
    use rhyton_ir::op::Primitive;

    const KINDS: [FftKind; 4] = [FftKind::Fft, FftKind::Ifft, FftKind::Rfft, FftKind::Irfft];

    /// The largest distance from the interpreter's results, relative to the largest of them.
    fn distance<S: Foldable>(op: &Fft) -> f64
    where
        <S::Sum as Fold>::T: FftNum + Default,
    {
        let transform = Transform::<<S::Sum as Fold>::T>::new(op);
        let numbers = |n: usize, seed: usize| {
            let value = |i: usize| S::from_f64(((i * i + seed) % 31) as f64 * 0.125 - 1.5);
            (0..n).map(value).collect::<Vec<S>>()
        };
        let (re, im) = (numbers(transform.from, 3), numbers(transform.from, 11));
        let im = if op.kind == FftKind::Rfft { Vec::new() } else { im };
        let mut y = [vec![S::default(); transform.to], vec![S::default(); transform.to]];
        let [to_re, to_im] = &mut y;
        let to_im = if op.kind == FftKind::Irfft { &mut to_im[..0] } else { &mut to_im[..] };
        transform.line::<S::Sum>([&re, &im], [to_re, to_im]);
        let arrays = [Array::new([re.len()], re), Array::new([im.len()], im)];
        let parts: Vec<&Array> = arrays.iter().filter(|x| !x.is_empty()).collect();
        let expected = op.eval(&parts).unwrap();
        let (mut worst, mut scale) = (0f64, 0f64);
        for (y, expected) in y.iter().zip(&expected) {
            for (y, e) in y.iter().zip(expected.to_f64_vec()) {
                worst = worst.max((y.to_f64() - e).abs());
                scale = scale.max(e.abs());
            }
        }
        worst / scale
    }

    #[test]
    fn lines_of_any_length_are_transformed_as_they_are_interpreted() {
        for length in [1, 2, 3, 4, 5, 6, 7, 16, 31, 48, 64, 97, 100, 211, 256, 509] {
            for kind in KINDS {
                let op = Fft { kind, length };
                let all = [distance::<f32>(&op) / 3e-7, distance::<f64>(&op) / 1e-15, distance::<bf16>(&op) / 4e-3];
                assert!(all.iter().all(|&d| d < 4.0), "{op:?}: {all:?}");
            }
        }
    }

    #[test]
    fn infinite_numbers_stay_in_their_line() {
        let transform = Transform::<f32>::new(&Fft { kind: FftKind::Rfft, length: 6 });
        let (mut re, mut im) = ([0.0; 4], [0.0; 4]);
        transform.line::<Sum<f32>>([&[f32::NAN; 6], &[]], [&mut re, &mut im]);
        assert!(re.iter().all(|x| x.is_nan()));
        transform.line::<Sum<f32>>([&[1.0; 6], &[]], [&mut re, &mut im]);
        assert_eq!((re, im), ([6.0, 0.0, 0.0, 0.0], [0.0; 4]));
    }
}
