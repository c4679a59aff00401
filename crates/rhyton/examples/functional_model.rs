//! A graph of layers with two inputs, a shared layer and two outputs, each output with a loss of its own.
//!
//! Command: `cargo run --release --package rhyton --example functional_model`
//! Last line: `for (0.5, 0.25): sum 0.75, difference 0.25`

use rhyton::prelude::*;
use rhyton::random::set_random_seed;

fn main() -> Result<()> {
    set_random_seed(1);
    let (a, b) = (Input::new([1]).name("a"), Input::new([1]).name("b"));
    // One layer, called twice, has one set of weights.
    let encoder = Dense::new(8).name("encoder");
    let (left, right) = (encoder.call(&a), encoder.call(&b));
    // Operators on symbols become part of the model, as keras.ops do.
    let sum = Dense::new(1).name("sum").call(&left + &right);
    let difference = Dense::new(1).name("difference").call(&left - &right);
    let model = Model::new([&a, &b], [&sum, &difference])?;
    println!("inputs {:?}, outputs {:?}", model.input_names(), model.output_names());
    println!("{}", model.summary());

    let x: Vec<f32> = (0..64).map(|i| (i % 8) as f32 / 4.0 - 1.0).collect();
    let y: Vec<f32> = (0..64).map(|i| (i / 8) as f32 / 4.0 - 1.0).collect();
    let pairs = || x.iter().zip(&y);
    let column = |values: Vec<f32>| Array::new([values.len(), 1], values);
    let targets = [column(pairs().map(|(x, y)| x + y).collect()), column(pairs().map(|(x, y)| x - y).collect())];
    let data = Data::new([column(x.clone()), column(y.clone())], targets);
    let options = Compile::new(SGD::new(0.1)).loss(["mse", "mse"]).loss_weights([1.0, 0.5]);
    model.compile_with(options)?;
    let history = model.fit(&data, Fit::new().epochs(300).verbose(0))?;
    for name in history.history.keys() {
        let losses = history.get(name);
        println!("{name}: from {:.3} to {:.3}", losses[0], losses[losses.len() - 1]);
    }

    let found = model.predict([column(vec![0.5]), column(vec![0.25])])?;
    println!("for (0.5, 0.25): sum {:.2}, difference {:.2}", found[0].to_f64_vec()[0], found[1].to_f64_vec()[0]);
    Ok(())
}
