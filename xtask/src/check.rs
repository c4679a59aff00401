//! `cargo xtask check`: everything that can be checked without Keras.

use crate::coverage;
use crate::examples;
use crate::shell::{Result, command, run as step, skip};

/// The README's test command.
const TEST: &str = "cargo test --release --workspace";
/// The tests of the kernels, to be run under other instruction sets than the machine's best.
const TEST_KERNELS: &str = "cargo test --release --package rhyton-cpu";

/// Runs all checks, the quick ones first.
pub fn run() -> Result {
    step("format", &mut command("cargo fmt --all --check"))?;
    step("lints", &mut command("cargo clippy --workspace --all-targets -- -D warnings"))?;
    step("documentation", command("cargo doc --workspace --no-deps").env("RUSTDOCFLAGS", "-D warnings"))?;
    step("tests", &mut command(TEST))?;
    for (isa, available) in [("portable", true), ("avx2", has_avx2())] {
        let title = format!("kernels under {isa}");
        if available {
            step(&title, command(TEST_KERNELS).env("RHYTON_ISA", isa))?;
        } else {
            skip(&title, "this machine lacks it");
        }
    }
    coverage::check()?;
    examples::run()
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::first_command::COMMAND;
    use crate::shell::root;

    #[test]
    fn the_readme_is_short_and_shows_the_commands_that_are_checked() {
        let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
        assert!(readme.lines().count() < 150, "{} lines", readme.lines().count());
        for command in [COMMAND, TEST] {
            assert!(readme.contains(command), "{command}");
        }
    }
}
