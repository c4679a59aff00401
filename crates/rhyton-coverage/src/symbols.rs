//! The public names of Keras.

use std::path::Path;

use serde_json::Value;

/// A public name.
pub struct Symbol {
    /// The canonical path, `keras.layers.Dense`.
    pub path: String,
    /// The part of Keras: `layers`, `ops`, ….
    pub area: String,
}

impl Symbol {
    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }
}

/// Reads the inventory, in its order.
pub fn read(path: &Path) -> Result<Vec<Symbol>, String> {
    let at = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| at(&e))?;
    let json: Value = serde_json::from_str(&text).map_err(|e| at(&e))?;
    let symbols = json["symbols"].as_object().ok_or_else(|| at(&"it has no symbols"))?;
    let symbol = |(path, about): (&String, &Value)| Symbol {
        path: path.clone(),
        area: about["area"].as_str().unwrap_or_default().to_owned(),
    };
    Ok(symbols.iter().map(symbol).collect())
}
