//! A layer of your own: weights made in `build`, the mathematics in `forward`, and a model with it trained, saved and
//! loaded.
//!
//! Command: `cargo run --release --package rhyton --example custom_layer`
//! Last line: `loaded: scale [2.00, -1.00], shift [1.00, 3.00]`

use rhyton::keras_layer;
use rhyton::prelude::*;
use rhyton::saving::{CustomObjects, load_model_with};
use serde::{Deserialize, Serialize};

/// `x · scale + shift`, with a scale and a shift for each feature.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Affine {
    #[serde(skip)]
    base: Base,
    // Fields besides `base` are the configuration, as arguments of Keras's `__init__` are.
    use_shift: bool,
}

keras_layer!(Affine);

impl Layer for Affine {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let features = inputs.features()?;
        self.base.add_weight("scale", [features]).initializer(Ones::default()).add()?;
        if self.use_shift {
            self.base.add_weight("shift", [features]).initializer(Zeros::default()).add()?;
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let mut y = inputs.tensor()? * self.base.weight("scale")?;
        if self.use_shift {
            y = y + self.base.weight("shift")?;
        }
        Ok(y.into())
    }

    // Keras in Python finds its class by this, if it is registered there; `Custom>Affine` unless said.
    fn registered_name(&self) -> Option<String> {
        Some("example>Affine".into())
    }
}

fn main() -> Result<()> {
    let layer = Affine { use_shift: true, ..Affine::default() };
    let model = Sequential::new().add(Input::new([2])).add(layer);

    // The targets are (2·x₀ + 1, 3 − x₁).
    let x: Vec<f32> = (0..64).map(|i| (i * 37 % 64) as f32 / 32.0 - 1.0).collect();
    let y: Vec<f32> = x.chunks(2).flat_map(|row| [2.0 * row[0] + 1.0, 3.0 - row[1]]).collect();
    let data = Data::new(Array::new([32, 2], x), Array::new([32, 2], y));
    model.compile(SGD::new(0.5), "mse", ["mae"])?;
    let history = model.fit(&data, Fit::new().epochs(200).verbose(0))?;
    println!("the loss went from {:.3} to {:.3}", history.get("loss")[0], history.get("loss")[199]);

    let path = std::env::temp_dir().join(format!("rhyton-custom-layer-{}.keras", std::process::id()));
    model.save(&path)?;
    let loaded = load_model_with(&path, &CustomObjects::new().layer::<Affine>());
    // A file that cannot be removed is the system's to clean up.
    let _ = std::fs::remove_file(&path);
    let weights = loaded?.get_weights()?;
    println!("loaded: scale {:.2?}, shift {:.2?}", weights[0].to_f64_vec(), weights[1].to_f64_vec());
    Ok(())
}
