//! A training loop of your own: `value_and_grad` differentiates the loss, `jit` compiles the whole step.
//!
//! Command: `cargo run --release --package rhyton --example custom_training_loop`
//! Last line: `y = 3.00 x + 2.00`

use rhyton::losses::{LossRef, MeanSquaredError};
use rhyton::prelude::*;

fn main() -> Result<()> {
    let model = Sequential::new().add(Input::new([1])).add(Dense::new(1));
    let optimizer: OptimizerRef = SGD::new(0.1).momentum(0.9).into();
    let mse: LossRef = MeanSquaredError::new().into();
    let weights = model.trainable_weights();

    // Forward, backward and update in one program. It is traced at the first call; later calls only run it.
    let step = jit(|batch| {
        let loss = || mse.compute(&batch[1], &model.call(&batch[0]), None).into();
        let (loss, gradients) = value_and_grad(loss, &weights)?;
        optimizer.apply(&gradients, &weights)?;
        Ok(vec![loss])
    });

    let x: Vec<f32> = (0..32).map(|i| i as f32 / 16.0 - 1.0).collect();
    let y: Vec<f32> = x.iter().map(|x| 3.0 * x + 2.0).collect();
    let batch = [Tensor::new([32, 1], x), Tensor::new([32, 1], y)];
    for epoch in 0..200 {
        let loss = step.call(&batch)?[0].item()?;
        if epoch % 50 == 0 {
            println!("epoch {epoch}: loss {loss:.6}");
        }
    }

    let found = model.get_weights()?;
    println!("y = {:.2} x + {:.2}", found[0].to_f64_vec()[0], found[1].to_f64_vec()[0]);
    Ok(())
}
