//! How time and memory grow: with the batch, with the model, with the number of steps, and with the dtype policy.
//!
//! ```sh
//! cargo run --release -p rhyton-bench --example growth -- batch train_mlp   # milliseconds a step for batches of 1 to 1024
//! cargo run --release -p rhyton-bench --example growth -- compile           # nodes of a training step against seconds to compile
//! cargo run --release -p rhyton-bench --example growth -- memory            # after 200 models, and in 10,000 steps
//! cargo run --release -p rhyton-bench --example growth -- policy train_cnn  # mixed_bfloat16 beside float32
//! ```

use std::sync::{Arc, Mutex};
use std::time::Instant;

use rhyton::backend;
use rhyton::ir::Graph;
use rhyton::ir::backend::{Backend, CompileOptions, Device, Executable};
use rhyton::prelude::*;
use rhyton_bench::Workload;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["batch", name] => batch(find(name)?)?,
        ["compile"] => compile()?,
        ["memory"] => memory()?,
        ["policy", name] => policy(find(name)?)?,
        _ => return Err("say batch WORKLOAD, compile, memory, or policy WORKLOAD".into()),
    }
    Ok(())
}

fn find(name: &str) -> std::result::Result<Workload, String> {
    let training = |w: &&Workload| w.name.starts_with("train_");
    Workload::find(name).filter(training).copied().ok_or_else(|| format!("there is no training workload {name}"))
}

/// Time a step against the batch.
fn batch(workload: Workload) -> Result<()> {
    println!("| Batch | ms a step | µs a sample |\n| --- | --- | --- |");
    for batch in [1, 4, 16, 64, 256, 1024] {
        let ms = workload.with_batch(batch).time()?.median_ms;
        println!("| {batch} | {ms:.2} | {:.1} |", ms * 1e3 / batch as f64);
    }
    Ok(())
}

/// Time under `mixed_bfloat16` against `float32`, by turns.
fn policy(workload: Workload) -> Result<()> {
    println!("| float32, ms | mixed_bfloat16, ms | Times faster |\n| --- | --- | --- |");
    for _ in 0..5 {
        let mut times = [0.0; 2];
        for (ms, policy) in times.iter_mut().zip(["float32", "mixed_bfloat16"]) {
            rhyton::config::set_dtype_policy(policy.parse::<DTypePolicy>()?);
            *ms = workload.time()?.median_ms;
        }
        println!("| {:.1} | {:.1} | {:.2} |", times[0], times[1], times[0] / times[1]);
    }
    Ok(())
}

/// A back end around another one that notes the size of each graph and the seconds it took to compile.
struct Compiling {
    backend: Arc<dyn Backend>,
    noted: Mutex<Vec<(usize, f64)>>,
}

impl Backend for Compiling {
    fn name(&self) -> &str {
        self.backend.name()
    }

    fn devices(&self) -> Vec<Device> {
        self.backend.devices()
    }

    fn compile(&self, graph: &Graph, options: &CompileOptions) -> rhyton::ir::Result<Arc<dyn Executable>> {
        let start = Instant::now();
        let executable = self.backend.compile(graph, options);
        let seconds = start.elapsed().as_secs_f64();
        self.noted.lock().expect("nothing panics while it is held").push((graph.nodes().len(), seconds));
        executable
    }
}

/// Nodes and seconds of the largest program, which is the training step, and seconds of the first step with all before it.
fn compile() -> Result<()> {
    let plain = backend::current()?;
    let compiling = Arc::new(Compiling { backend: plain, noted: Mutex::default() });
    backend::set_current(Arc::clone(&compiling) as Arc<dyn Backend>);
    println!("| Model | Nodes | Compiled in, s | First step, s |\n| --- | --- | --- | --- |");
    let row = |name: &str, model: &Model, data: &Data| -> Result<()> {
        compiling.noted.lock().expect("as above").clear();
        let start = Instant::now();
        model.fit(data, Fit::new().batch_size(16).verbose(0))?;
        let first = start.elapsed().as_secs_f64();
        let (nodes, seconds) =
            compiling.noted.lock().expect("as above").iter().copied().max_by_key(|x| x.0).unwrap_or_default();
        println!("| {name} | {nodes} | {seconds:.2} | {first:.2} |");
        Ok(())
    };
    for layers in [10, 100, 300, 1000] {
        let mut model = Sequential::new().add(Input::new([16]));
        for _ in 0..layers {
            model = model.add(Dense::new(16).activation(Activation::Relu));
        }
        let model = model.add(Dense::new(10));
        model.compile(Adam::new(1e-3), SparseCategoricalCrossentropy::new().from_logits(true), ["accuracy"])?;
        let x = rhyton::random::normal([16, 16], 0.0, 1.0, DType::F32, 0)?.eval()?;
        row(&format!("{layers} dense layers"), &model, &Data::new(x, Array::new([16], vec![1i32; 16])))?;
    }
    for name in ["train_resnet", "train_transformer", "train_efficientnetb0"] {
        let mut workload = Workload::find(name).copied().expect("one of the workloads");
        workload.steps = 1;
        let (model, data) = workload.with_batch(16).prepare()?;
        row(name, &model, &data)?;
    }
    Ok(())
}

/// Resident memory of this process, in MiB.
fn resident() -> Result<f64> {
    let wrong = |what: String| Error::argument("memory", what, "run it on Linux, which tells it in /proc/self/status");
    let status = std::fs::read_to_string("/proc/self/status").map_err(|e| wrong(e.to_string()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or_else(|| wrong("no VmRSS".into()))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().map_err(|_| wrong(line.to_owned()))?;
    Ok(kib / 1024.0)
}

/// Memory over models that are built, compiled, trained and dropped, and over the steps of one `fit`.
fn memory() -> Result<()> {
    let cnn = Workload::find("train_cnn").copied().expect("one of the workloads").with_batch(16);
    println!("| Models | MiB |\n| --- | --- |");
    for cycle in 1..=200 {
        let (model, data) = cnn.prepare()?;
        model.fit(&data, Fit::new().batch_size(16).verbose(0))?;
        drop(model);
        if [1, 10, 50, 100, 150, 200].contains(&cycle) {
            println!("| {cycle} | {:.1} |", resident()?);
        }
    }
    let mlp = Workload::find("train_mlp").copied().expect("one of the workloads").with_batch(16);
    let (model, data) = mlp.prepare()?;
    model.fit(&data, Fit::new().batch_size(16).verbose(0))?;
    println!("\n| Steps | MiB |\n| --- | --- |\n| {} | {:.1} |", mlp.steps, resident()?);
    let mut seen = Vec::new();
    let note = LambdaCallback::new().on_epoch_end(|epoch, _, _| {
        if (epoch + 1) % 50 == 0 {
            seen.push((epoch + 1, resident()?));
        }
        Ok(())
    });
    model.fit(&data, Fit::new().batch_size(16).epochs(10_000 / mlp.steps).verbose(0).callback(note))?;
    for (epochs, mib) in seen {
        println!("| {} | {mib:.1} |", epochs * mlp.steps);
    }
    Ok(())
}
