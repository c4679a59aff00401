//! Random numbers: stateless functions of a seed, and generators that hand out seeds.

use std::sync::Mutex;

use rhyton_ir::op::RngBits;
use rhyton_ir::{Array, DType, Shape, TensorType};

use crate::error::Result;
use crate::ops;
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
