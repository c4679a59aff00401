//! `rhyton bench --profile`: where the time of a step goes.

mod support;

use serde_json::Value;
use support::Folder;

#[test]
fn a_profile_has_kernels_with_rates_and_a_trace() {
    let folder = Folder::new();
    let bench = ["bench", "--profile", "train_mlp", "--trace", "trace.json", "--quiet"];
    let table = folder.succeeds(&bench);
    let mut lines = table.lines();
    assert!(lines.next().unwrap().contains("GFLOP/s"), "{table}");
    assert!(lines.next().unwrap().contains("kernel"), "{table}");
    assert!(table.contains("product float32") && table.contains("128×784 · 784×512"), "{table}");
    let shares: f64 = lines.map(|l| l.split('%').next().unwrap().split_whitespace().last().unwrap()).map(number).sum();
    assert!((shares - 100.0).abs() < 2.0, "{shares}: {table}");
    let trace: Value = serde_json::from_slice(&folder.read("trace.json")).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    assert!(events.iter().any(|e| e["name"].as_str().unwrap().starts_with("product")));
    assert!(events.iter().all(|e| e["ph"] == "X" && e["dur"].as_f64().unwrap() >= 0.0));
    let json: Value = serde_json::from_str(&folder.succeeds(&["bench", "--profile", "train_mlp", "--json"])).unwrap();
    let kernels = json["kernels"].as_array().unwrap();
    let product = kernels.iter().find(|k| k["name"].as_str().unwrap().contains("(128×784 · 784×512)")).unwrap();
    // 2·m·n·k a call, and the epilogue.
    let calls = product["calls"].as_u64().unwrap();
    assert!(product["flops"].as_u64().unwrap() >= calls * 2 * 128 * 784 * 512);
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}
