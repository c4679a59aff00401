//! Which instruction set the kernels use: found once at run time, or forced by `RHYTON_ISA`.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

/// An instruction set that kernels are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// What the target guarantees (SSE2 on x86-64), as the compiler vectorises it.
    Portable,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ, VL and CD.
    Avx512,
    /// AArch64 with NEON.
    Neon,
}

/// `RHYTON_ISA` asks for something that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IsaError {
    /// Not a name.
    #[error("RHYTON_ISA: unknown instruction set {0:?}; set it to portable, avx2, avx512 or neon, or unset it")]
    Unknown(String),
    /// A name, but not of anything this machine has.
    #[error("RHYTON_ISA: this machine lacks {0}; it has {1}: set it to one of those, or unset it")]
    Unavailable(Isa, String),
}

impl Isa {
    /// All, the best last.
    pub const ALL: [Isa; 4] = [Isa::Portable, Isa::Neon, Isa::Avx2, Isa::Avx512];

    /// The one to use: what `RHYTON_ISA` names, else the best the machine has. Looked up once.
    ///
    /// # Errors
    /// If `RHYTON_ISA` is not a name, or names what the machine lacks.
    pub fn detect() -> Result<Isa, IsaError> {
        static FOUND: OnceLock<Result<Isa, IsaError>> = OnceLock::new();
        FOUND.get_or_init(|| Isa::choose(std::env::var("RHYTON_ISA").ok().as_deref())).clone()
    }

    /// Those the machine has, the best last; never empty.
    pub fn available() -> Vec<Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// Whether the machine has it.
    #[inline]
    pub fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => has_avx512(),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[cfg(target_arch = "x86_64")]
            Isa::Neon => false,
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512 => false,
            #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
            Isa::Neon => false,
        }
    }

    /// Whether the machine multiplies pairs of bf16 numbers and adds them to an f32 in one instruction: AVX512-BF16.
    #[inline]
    pub fn has_bf16_pairs(self) -> bool {
        self == Isa::Avx512 && Isa::machine_has_bf16_pairs()
    }

    /// [`Isa::has_bf16_pairs`] of the best that the machine has.
    pub fn machine_has_bf16_pairs() -> bool {
        #[cfg(target_arch = "x86_64")]
        return Isa::Avx512.is_available() && is_x86_feature_detected!("avx512bf16");
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// The name that `RHYTON_ISA` takes.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Neon => "neon",
        }
    }

    fn choose(forced: Option<&str>) -> Result<Isa, IsaError> {
        let available = Isa::available();
        let Some(name) = forced.filter(|name| !name.is_empty()) else {
            return Ok(*available.last().expect("portable is always available"));
        };
        let isa: Isa = name.parse()?;
        if isa.is_available() {
            return Ok(isa);
        }
        let names: Vec<_> = available.iter().map(|isa| isa.name()).collect();
        Err(IsaError::Unavailable(isa, names.join(", ")))
    }
}

/// Looked up once: kernels ask at every call.
#[cfg(target_arch = "x86_64")]
#[inline]
fn has_avx512() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        Isa::Avx2.is_available()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512cd")
    })
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Isa {
    type Err = IsaError;

    fn from_str(name: &str) -> Result<Isa, IsaError> {
        Isa::ALL
            .into_iter()
            .find(|isa| isa.name() == name.to_ascii_lowercase())
            .ok_or_else(|| IsaError::Unknown(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_available_set_is_the_default() {
        assert_eq!(Isa::choose(None).as_ref(), Ok(Isa::available().last().unwrap()));
        assert_eq!(Isa::choose(Some("")), Isa::choose(None));
    }

    #[test]
    fn a_forced_set_is_used_and_a_missing_one_refused() {
        assert_eq!(Isa::choose(Some("portable")), Ok(Isa::Portable));
        let missing = Isa::ALL.into_iter().find(|isa| !isa.is_available()).expect("no machine has both NEON and AVX");
        let message = Isa::choose(Some(missing.name())).unwrap_err().to_string();
        assert!(message.contains(missing.name()) && message.contains("portable"), "{message}");
        assert!(matches!(Isa::choose(Some("mmx")), Err(IsaError::Unknown(_))));
    }
}
