//! The virtual environment with real Keras.

use std::path::PathBuf;
use std::{env, fs};

use crate::shell::{Result, command, run, shared, target};

/// The Python of the environment, which is made if it is not there or other versions are asked for.
///
/// # Errors
/// If it cannot be made: no Python, no network, or no `shared` folder.
pub fn python() -> Result<PathBuf> {
    if let Some(given) = env::var_os("RHYTON_ORACLE") {
        let python = PathBuf::from(given).join("bin/python");
        return python.canonicalize().map(|_| python.clone()).map_err(|e| format!("{}: {e}", python.display()));
    }
    let suite = shared("conformance")?;
    let folder = target()?.join("oracle");
    let python = folder.join("bin/python");
    // The requirements that it was made of are kept in it, last: without them it is not complete.
    let made_of = folder.join("made-of-requirements.txt");
    let wanted = fs::read(suite.join("requirements.txt")).map_err(|e| format!("requirements.txt: {e}"))?;
    if fs::read(&made_of).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    run("Keras", command("sh").arg(suite.join("setup.sh")).arg(&folder))?;
    fs::write(&made_of, wanted).map_err(|e| format!("{}: {e}", made_of.display()))?;
    Ok(python)
}
