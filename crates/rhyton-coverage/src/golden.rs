//! Which classes have golden data of Keras.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

/// The names of all classes and functions in the JSON files of a folder, folder by folder: `layers/Dense`, `ops/relu`. Layers on
/// images, which have a folder of their own, are layers.
pub fn classes(fixtures: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in std::fs::read_dir(fixtures).into_iter().flatten().flatten() {
        let name = folder.file_name().to_string_lossy().into_owned();
        let name = match name.as_str() {
            "image_layers" => "layers".to_owned(),
            "op_functions" => "ops".to_owned(),
            _ => name,
        };
        for file in std::fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            let path = file.path();
            if path.extension().is_none_or(|e| e != "json") {
                continue;
            }
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let Ok(json) = serde_json::from_str::<Value>(&text) else { continue };
            let mut names = BTreeSet::new();
            collect(&json, &mut names);
            found.extend(names.into_iter().map(|n| format!("{name}/{n}")));
        }
    }
    found
}

fn collect(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|v| collect(v, names)),
        Value::Object(items) => {
            for (key, value) in items {
                match value {
                    Value::String(name) if matches!(key.as_str(), "class_name" | "function" | "written" | "name") => {
                        // Of `image.resize`, the function.
                        names.insert(name.rsplit('.').next().unwrap_or(name).to_owned());
                    }
                    value => collect(value, names),
                }
            }
        }
        _ => {}
    }
}
