//! Damage to configurations that stays JSON.

use serde_json::{Map, Value, json};

use crate::random::Random;

/// Changes `value` in one to four places; `other` lends parts of its own.
pub fn damage(value: &mut Value, other: &Value, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let replacement = replacement(other, random);
        let nodes = count(value);
        let at = random.below(nodes);
        if let Some(node) = nth(value, &mut { at }) {
            change(node, replacement, random);
        }
    }
}

fn change(node: &mut Value, replacement: Value, random: &mut Random) {
    match (node, random.below(6)) {
        (Value::Object(items), 0..=2) if !items.is_empty() => {
            let key = items.keys().nth(random.below(items.len())).cloned().unwrap_or_default();
            match random.below(3) {
                0 => drop(items.shift_remove(&key)),
                1 => drop(items.insert(format!("{key}_"), replacement)),
                _ => drop(items.insert(key, replacement)),
            }
        }
        (Value::Array(items), 0..=2) if !items.is_empty() => {
            let at = random.below(items.len());
            match random.below(3) {
                0 => drop(items.remove(at)),
                1 => items.insert(at, replacement),
                _ => items.swap(at, 0),
            }
        }
        (node, _) => *node = replacement,
    }
}

/// A value that may be where none like it is awaited. Numbers are small, so that what they ask for is computed in time, or so
/// large that it must be refused.
fn replacement(other: &Value, random: &mut Random) -> Value {
    match random.below(12) {
        0 => Value::Null,
        1 => json!(random.below(2) == 0),
        2 => json!(random.below(12)),
        3 => json!(-(random.below(9) as i64)),
        4 => json!(random.of(&[1u64 << 33, 1 << 40, 1 << 62, u64::MAX])),
        5 => json!(*random.of(&[0.5, -1.5, 1e308, 1e-320])),
        6 => json!([]),
        7 => Value::Object(Map::new()),
        8 => {
            json!(*random.of(&["", "same", "valid", "relu", "float16", "mixed_float16", "channels_first", "none", "κ"]))
        }
        9 => json!([random.below(5), random.below(5)]),
        _ => {
            let nodes = count(other);
            let mut copy = other.clone();
            let at = random.below(nodes);
            nth(&mut copy, &mut { at }).map_or(Value::Null, std::mem::take)
        }
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(items) => items.values().map(count).sum(),
        _ => 0usize,
    }
}

fn nth<'v>(value: &'v mut Value, left: &mut usize) -> Option<&'v mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|v| nth(v, left)),
        Value::Object(items) => items.values_mut().find_map(|v| nth(v, left)),
        _ => None,
    }
}
