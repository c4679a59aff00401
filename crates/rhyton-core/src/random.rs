//! Random numbers: stateless functions of a seed, and generators that hand out seeds.

use std::sync::Mutex;

use rhyton_ir::op::RngBits;
use rhyton_ir::{Array, DType, Shape, TensorType};

use crate::error::{Error, Result};
use crate::ops::{self, Operand};
use crate::tensor::Tensor;
use crate::variable::Variable;

/// The process's source of seeds for what is not given one: the seed, and how many have been handed out.
static GLOBAL: Mutex<(u64, u64)> = Mutex::new((0x5eed, 0));

/// Starts all random numbers that are not given a seed of their own from `seed` (Keras's `set_random_seed`).
pub fn set_random_seed(seed: u64) {
    *GLOBAL.lock().unwrap_or_else(|e| e.into_inner()) = (seed, 0);
}

/// The next seed of the process.
pub fn next_seed() -> u64 {
    let mut global = GLOBAL.lock().unwrap_or_else(|e| e.into_inner());
    global.1 += 1;
    // SplitMix64 (Steele, Lea and Flood, 2014): neighbouring counts give unrelated seeds.
    let mut z = global.0.wrapping_add(global.1.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Where random numbers start: a number, or a generator that gives another one each time.
#[derive(Clone, Debug)]
pub enum Seed {
    /// The same numbers each time.
    Fixed(u64),
    /// Other numbers each time.
    Generator(SeedGenerator),
}

impl From<u64> for Seed {
    fn from(seed: u64) -> Seed {
        Seed::Fixed(seed)
    }
}

impl From<&SeedGenerator> for Seed {
    fn from(generator: &SeedGenerator) -> Seed {
        Seed::Generator(generator.clone())
    }
}

impl Seed {
    /// The key for one draw: `uint32[2]`.
    fn key(&self) -> Result<Tensor> {
        match self {
            Seed::Fixed(seed) => Ok(key_of(*seed)),
            Seed::Generator(generator) => generator.next(),
        }
    }
}

fn key_of(seed: u64) -> Tensor {
    Tensor::new([2], vec![seed as u32, (seed >> 32) as u32])
}

/// Hands out seeds; its state is a variable, so that it works inside compiled functions, too.
#[derive(Clone, Debug)]
pub struct SeedGenerator {
    state: Variable,
}

impl SeedGenerator {
    /// A generator that starts from `seed`, or from the process's next one.
    pub fn new(seed: Option<u64>) -> SeedGenerator {
        let seed = seed.unwrap_or_else(next_seed);
        let state = Array::new([2], vec![seed as u32, (seed >> 32) as u32]);
        SeedGenerator { state: Variable::state("seed_generator_state", state) }
    }

    /// The state: `uint32[2]`.
    pub fn state(&self) -> &Variable {
        &self.state
    }

    /// The next seed, `uint32[2]`; moves the state on.
    ///
    /// # Errors
    /// If the state carries an error.
    pub fn next(&self) -> Result<Tensor> {
        let state = self.state.value();
        // The state is a key itself; what it generates is the seed for the user and the next state.
        let bits = Tensor::apply(RngBits { ty: TensorType::new(DType::U32, [4]) }, &[&state]);
        let half = |k: usize| {
            let slice = rhyton_ir::op::Slice { start: vec![2 * k], limit: vec![(2 * k + 2).into()], stride: vec![1] };
            Tensor::apply(slice, &[&bits])
        };
        self.state.assign(half(0))?;
        half(1).check().cloned()
    }
}

/// Numbers uniform in `[low, high)`: of `float16` and `bfloat16` computed in `float32`.
///
/// # Errors
/// If the seed carries an error or the dtype is not floating-point.
pub fn uniform(shape: impl Into<Shape>, low: f64, high: f64, dtype: DType, seed: impl Into<Seed>) -> Result<Tensor> {
    let unit = unit(shape.into(), &seed.into().key()?);
    let unit = if dtype == DType::F64 { unit.cast(DType::F64) } else { unit };
    Ok((unit * (high - low) + low).check()?.cast(dtype))
}

/// Numbers uniform in `[0, 1)` with 24 random bits, `float32`.
fn unit(shape: Shape, key: &Tensor) -> Tensor {
    let bits = Tensor::apply(RngBits { ty: TensorType::new(DType::U32, shape) }, &[key]);
    let shift = ops::full_like(&bits, 8.0);
    let kind = rhyton_ir::op::BinaryKind::ShiftRightLogical;
    let top = Tensor::apply(rhyton_ir::op::Binary { kind }, &[&bits, &shift]);
    top.cast(DType::F32) * (1.0 / f64::from(1u32 << 24))
}

/// Normally distributed numbers, by the inverse of the error function.
///
/// # Errors
/// As [`uniform`].
pub fn normal(shape: impl Into<Shape>, mean: f64, stddev: f64, dtype: DType, seed: impl Into<Seed>) -> Result<Tensor> {
    standard(shape.into(), -1.0, 1.0, seed.into(), mean, stddev, dtype)
}

/// Normally distributed numbers within two standard deviations of the mean.
///
/// # Errors
/// As [`uniform`].
pub fn truncated_normal(
    shape: impl Into<Shape>,
    mean: f64,
    stddev: f64,
    dtype: DType,
    seed: impl Into<Seed>,
) -> Result<Tensor> {
    // erf(2/√2), the share of a normal distribution within two standard deviations.
    const BOUND: f64 = 0.954_499_736_103_641_6;
    standard(shape.into(), -BOUND, BOUND, seed.into(), mean, stddev, dtype)
}

/// `mean + stddev · √2 · erf⁻¹(u)` with `u` uniform in the open interval `(low, high)`.
fn standard(shape: Shape, low: f64, high: f64, seed: Seed, mean: f64, stddev: f64, dtype: DType) -> Result<Tensor> {
    // Half a step inside the interval, so that ±1, where erf⁻¹ is infinite, is never met.
    let unit = unit(shape, &seed.key()?) + 0.5 / f64::from(1u32 << 24);
    let u = unit * (high - low) + low;
    let kind = rhyton_ir::op::UnaryKind::ErfInv;
    let z = Tensor::apply(rhyton_ir::op::Unary { kind }, &[&u]) * std::f64::consts::SQRT_2;
    Ok((z * stddev + mean).check()?.cast(dtype))
}

/// Whole numbers uniform in `[low, high)`.
///
/// # Errors
/// If the dtype is no integer type or the interval is empty; if the seed carries an error.
pub fn randint(shape: impl Into<Shape>, low: i64, high: i64, dtype: DType, seed: impl Into<Seed>) -> Result<Tensor> {
    if !dtype.is_int() || high <= low {
        return Err(Error::argument(
            "randint",
            format!("{dtype} in [{low}, {high})"),
            "give an integer dtype and an interval that is not empty",
        ));
    }
    let bits = Tensor::apply(RngBits { ty: TensorType::new(DType::U64, shape.into()) }, &[&seed.into().key()?]);
    // Of 2⁶⁴ values, the remainder favours small results by less than one in 2⁶⁴ over the range.
    let range = Tensor::from(Array::scalar(high.abs_diff(low)));
    let offset = ops::r#mod(&bits, range).cast(DType::I64);
    (offset + low).cast(dtype).check().cloned()
}

/// True with `probability`, elementwise.
///
/// # Errors
/// If the seed carries an error.
pub fn bernoulli(shape: impl Into<Shape>, probability: f64, seed: impl Into<Seed>) -> Result<Tensor> {
    ops::less(unit(shape.into(), &seed.into().key()?), probability).check().cloned()
}

/// `num_samples` classes for each row of unnormalised log-probabilities, by the largest of these with Gumbel noise
/// added.
///
/// # Shapes
/// Logits `(batch, classes)` give `(batch, num_samples)`.
///
/// # Errors
/// If the logits are no matrix; if they or the seed carry an error.
///
/// # References
/// Gumbel, *Statistical theory of extreme values*, 1954; Maddison et al., 2014, <https://arxiv.org/abs/1411.0030>.
pub fn categorical(logits: &Tensor, num_samples: usize, dtype: DType, seed: impl Into<Seed>) -> Result<Tensor> {
    if logits.check()?.rank() != 2 {
        return Err(Error::shape("categorical", format!("the logits are {}", logits.ty()), "give a matrix"));
    }
    let shape = vec![logits.dim(0), num_samples.into(), logits.dim(1)];
    let noise = ops::negative(&ops::log(&ops::negative(&ops::log(&open_unit(shape.into(), &seed.into().key()?)))));
    let scores = noise + ops::expand_dims(&logits.cast(DType::F32), 1);
    ops::argmax(&scores, Some(-1), false).cast(dtype).check().cloned()
}

/// `inputs` with elements set to 0 with probability `rate` and the others divided by `1 − rate`. One draw serves all
/// elements along an axis where `noise_shape` is 1; `None` in it is the size of the input.
///
/// # Errors
/// If the rate is outside `[0, 1]` or the noise shape does not fit; if the input or the seed carries an error.
pub fn dropout(
    inputs: &Tensor,
    rate: f64,
    noise_shape: Option<&[Option<usize>]>,
    seed: impl Into<Seed>,
) -> Result<Tensor> {
    let x = inputs.check()?;
    if !(0.0..=1.0).contains(&rate) || !x.dtype().is_float() {
        return Err(Error::argument(
            "dropout",
            format!("the rate {rate} of {}", x.ty()),
            "give floats and a rate from 0 to 1",
        ));
    }
    if rate == 0.0 {
        return Ok(x.clone());
    }
    if rate == 1.0 {
        return ops::zeros_like(x).check().cloned();
    }
    let shape: Shape = match noise_shape {
        None => x.shape().clone(),
        Some(sizes) if sizes.len() == x.rank() => {
            let size = |(s, d): (&Option<usize>, &rhyton_ir::Dim)| s.map_or_else(|| d.clone(), rhyton_ir::Dim::Known);
            sizes.iter().zip(x.shape().iter()).map(size).collect()
        }
        Some(sizes) => {
            let what = format!("the noise shape {sizes:?} for {}", x.ty());
            return Err(Error::shape("dropout", what, "give one size an axis"));
        }
    };
    let stays = ops::greater_equal(unit(shape, &seed.into().key()?), rate);
    ops::r#where(&stays, x * (1.0 / (1.0 - rate)), 0.0).check().cloned()
}

/// The slices along `axis` in random order.
///
/// # Errors
/// If there is no such axis; if the tensor or the seed carries an error.
pub fn shuffle(x: &Tensor, axis: i64, seed: impl Into<Seed>) -> Result<Tensor> {
    let size = x.check()?.shape()[ops::axis(axis, x.rank())?].clone();
    let ty = TensorType::new(DType::U64, vec![size]);
    let order = ops::argsort(&Tensor::apply(RngBits { ty }, &[&seed.into().key()?]), Some(0));
    ops::take(x, &order, Some(axis)).check().cloned()
}

/// Numbers uniform in the open interval `(0, 1)`, `float32`.
fn open_unit(shape: Shape, key: &Tensor) -> Tensor {
    unit(shape, key) + 0.5 / f64::from(1u32 << 24)
}

/// A key for draw `number` of a function that makes several.
fn further(key: &Tensor, number: usize) -> Tensor {
    let bits = Tensor::apply(RngBits { ty: TensorType::new(DType::U32, [2 * number + 4]) }, &[key]);
    ops::get_item(&bits, (2 * number + 2)..(2 * number + 4))
}

/// Numbers from the gamma distribution with density `x^(alpha − 1)·exp(−x)/Γ(alpha)`; `alpha` broadcasts to `shape`.
///
/// # Errors
/// If the shapes do not fit; if `alpha` or the seed carries an error.
///
/// # References
/// Marsaglia and Tsang, *A simple method for generating gamma variables*, 2000,
/// <https://doi.org/10.1145/358407.358414>.
pub fn gamma(
    shape: impl Into<Shape>,
    alpha: impl Into<Operand>,
    dtype: DType,
    seed: impl Into<Seed>,
) -> Result<Tensor> {
    let (x, log_boost) = gamma_of(&shape.into(), &alpha.into(), &seed.into().key()?)?;
    (x * ops::exp(&log_boost)).check().map(|x| x.cast(dtype))
}

/// A number and the logarithm of what it is multiplied by: of small `alpha`, the product is often too small for
/// `float32`.
fn gamma_of(shape: &Shape, alpha: &Operand, key: &Tensor) -> Result<(Tensor, Tensor)> {
    // A proposal is taken with a probability above 0.95: that none of these is, one of 10¹⁵ draws sees.
    const PROPOSALS: usize = 12;
    let alpha = ops::numpy::broadcast(&alpha.to_tensor(DType::F32), shape);
    let alpha = alpha.check()?;
    // For alpha below 1: gamma(alpha + 1) · u^(1/alpha).
    let small = ops::less(alpha, 1.0);
    let d = ops::r#where(&small, alpha + 1.0, alpha) - 1.0 / 3.0;
    let c = 1.0 / ops::sqrt(&(&d * 9.0));
    let proposals: Shape = std::iter::once(PROPOSALS.into()).chain(shape.iter().cloned()).collect();
    let u = open_unit(proposals.clone(), &further(key, 0)) * 2.0 - 1.0;
    let normal = ops::erfinv(&u) * std::f64::consts::SQRT_2;
    let v = ops::power(&normal * c + 1.0, 3);
    let positive = ops::greater(&v, 0.0);
    let safe = ops::r#where(&positive, &v, 1.0);
    let bound = ops::square(&normal) * 0.5 + &d - &d * &safe + &d * ops::log(&safe);
    let taken = ops::less(ops::log(&open_unit(proposals, &further(key, 1))), bound);
    let taken = ops::logical_and(&positive, taken);
    // The first proposal that is taken.
    let first = ops::argmax(&taken.cast(DType::I32), Some(0), true);
    let chosen = ops::squeeze(&ops::take_along_axis(&safe, &first, Some(0)), 0);
    let log_boost = ops::log(&open_unit(shape.clone(), &further(key, 2))) / alpha;
    let (x, log_boost) = (d * chosen, ops::r#where(&small, log_boost, 0.0));
    Ok((x.check()?.clone(), log_boost.check()?.clone()))
}

/// Numbers from the beta distribution, of which `x^(alpha − 1)·(1 − x)^(beta − 1)` is the density but for a factor.
///
/// # Errors
/// As [`gamma`].
pub fn beta(
    shape: impl Into<Shape>,
    alpha: impl Into<Operand>,
    beta: impl Into<Operand>,
    dtype: DType,
    seed: impl Into<Seed>,
) -> Result<Tensor> {
    let (shape, key) = (shape.into(), seed.into().key()?);
    // x / (x + y), of the logarithms of both.
    let (x, log_x) = gamma_of(&shape, &alpha.into(), &further(&key, 3))?;
    let (y, log_y) = gamma_of(&shape, &beta.into(), &further(&key, 4))?;
    let difference = ops::log(&x) + log_x - ops::log(&y) - log_y;
    ops::sigmoid(&difference).cast(dtype).check().cloned()
}

/// How many of `counts` tries succeed, each with its probability; both broadcast to `shape`. Every try is drawn, so
/// that the values of `counts` must be known and not large.
///
/// # Errors
/// As [`gamma`]; if `counts` are parameters of a function being traced.
pub fn binomial(
    shape: impl Into<Shape>,
    counts: impl Into<Operand>,
    probabilities: impl Into<Operand>,
    dtype: DType,
    seed: impl Into<Seed>,
) -> Result<Tensor> {
    let shape = shape.into();
    let counts = counts.into().to_tensor(DType::F32);
    let most = counts.eval()?.to_f64_vec().into_iter().fold(0.0, f64::max).ceil() as usize;
    let tries: Shape = std::iter::once(most.into()).chain(shape.iter().cloned()).collect();
    let hits = ops::less(unit(tries.clone(), &seed.into().key()?), probabilities.into().to_tensor(DType::F32));
    let counted = ops::less(ops::primitives::iota(DType::F32, tries, 0), &counts);
    ops::sum(&ops::logical_and(hits, counted).cast(DType::F32), 0, false).cast(dtype).check().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean and the variance of many draws.
    fn statistics(draws: Result<Tensor>) -> (f64, f64) {
        let values = draws.unwrap().to_vec::<f64>().unwrap();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (mean, values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64)
    }

    fn assert_near((mean, variance): (f64, f64), wanted: (f64, f64)) {
        // Five standard errors of 4,000 draws.
        let error = 5.0 * (wanted.1 / 4000.0).sqrt();
        assert!((mean - wanted.0).abs() < error, "mean {mean} for {}", wanted.0);
        assert!((variance / wanted.1 - 1.0).abs() < 0.25, "variance {variance} for {}", wanted.1);
    }

    #[test]
    fn distributions_have_their_moments() {
        assert_near(statistics(uniform([4000], -1.0, 3.0, DType::F32, 1)), (1.0, 16.0 / 12.0));
        assert_near(statistics(normal([4000], 2.0, 3.0, DType::F32, 2)), (2.0, 9.0));
        assert_near(statistics(randint([4000], -2, 4, DType::I32, 3)), (0.5, 35.0 / 12.0));
        assert_near(statistics(bernoulli([4000], 0.3, 4)), (0.3, 0.21));
        assert_near(statistics(gamma([4000], 2.5, DType::F32, 5)), (2.5, 2.5));
        assert_near(statistics(gamma([4000], 0.4, DType::F32, 6)), (0.4, 0.4));
        assert_near(statistics(beta([4000], 2.0, 3.0, DType::F32, 7)), (0.4, 0.04));
        assert_near(statistics(binomial([4000], 9, 0.25, DType::F32, 8)), (2.25, 1.6875));
        let logits = Tensor::new([1, 3], vec![0.0f32, 1.0f32.exp(), f32::NEG_INFINITY]);
        let p = 1.0 / (1.0 + (1.0f64.exp()).exp());
        assert_near(statistics(categorical(&logits, 4000, DType::I32, 9)), (1.0 - p, p * (1.0 - p)));
    }

    #[test]
    fn bounds_are_kept() {
        let draws = randint([500], 3, 6, DType::U8, 1).unwrap().to_vec::<i64>().unwrap();
        assert!((3..6).all(|n| draws.contains(&n)) && draws.iter().all(|n| (3..6).contains(n)));
        assert!(randint([2], 3, 3, DType::I32, 1).is_err() && randint([2], 0, 3, DType::F32, 1).is_err());
        let within = truncated_normal([500], 0.0, 1.0, DType::F32, 1).unwrap().to_vec::<f64>().unwrap();
        assert!(within.iter().all(|v| v.abs() <= 2.0));
    }

    #[test]
    fn dropout_keeps_the_mean_and_shares_noise() {
        let x = ops::ones([1000, 4], None);
        let (mean, _) = statistics(dropout(&x, 0.25, None, 3));
        assert!((mean - 1.0).abs() < 0.05, "{mean}");
        let rows = dropout(&x, 0.5, Some(&[None, Some(1)]), 3).unwrap().to_vec::<f32>().unwrap();
        assert!(rows.chunks(4).all(|row| row.iter().all(|v| *v == row[0])));
        assert!(rows.contains(&0.0) && rows.contains(&2.0));
        assert_eq!(dropout(&x, 1.0, None, 3).unwrap().to_vec::<f32>().unwrap(), vec![0.0; 4000]);
        assert!(dropout(&x, 1.5, None, 3).is_err());
    }

    #[test]
    fn shuffled_slices_are_all_there() {
        let x = ops::arange(10, None, None, None);
        let mut order = shuffle(&x, 0, 4).unwrap().to_vec::<i32>().unwrap();
        assert_ne!(order, (0..10).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..10).collect::<Vec<_>>());
    }
}
