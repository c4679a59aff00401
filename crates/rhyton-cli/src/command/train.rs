//! `rhyton train`: the main job, from data to a trained model and all that is known about it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use rhyton::callbacks::{CSVLogger, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau, TensorBoard, TerminateOnNaN};
use rhyton::data::{datasets, image_directory};
use rhyton::prelude::*;

use super::{Common, callbacks, interrupt_flag, open, write_text};
use crate::error::{Error, Result};
use crate::{curves, presets};

#[derive(Args)]
#[command(
    after_help = "Example: rhyton train\n         rhyton train photos/ --model cnn --epochs 30 --output runs/photos"
)]
pub struct Train {
    /// A built-in data set, or a directory of images, one folder a class
    #[arg(default_value = "digits")]
    data: String,
    /// A preset (cnn, mlp) or a .keras file
    #[arg(long, default_value = "cnn")]
    model: String,
    /// Passes over the data, unless the training stops early
    #[arg(long, default_value_t = 40)]
    epochs: usize,
    /// Samples a step
    #[arg(long, default_value_t = 32)]
    batch_size: usize,
    /// The share of the training data to validate with
    #[arg(long, value_name = "F", default_value_t = 0.1)]
    validation_split: f64,
    /// Keras's name of an optimizer
    #[arg(long, default_value = "adam")]
    optimizer: String,
    /// How far each step goes; the optimizer's own default unless said
    #[arg(long, value_name = "F")]
    learning_rate: Option<f64>,
    /// Height and width to which images of a directory are resized
    #[arg(long, value_name = "N", default_value_t = 64)]
    image_size: usize,
    /// Where to write everything; runs/DATA unless said
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Further callbacks: a list of {"class_name": …, "config": {…}}
    #[arg(long, value_name = "FILE.json")]
    callbacks: Option<PathBuf>,
}

/// Images with labels, and what is needed to say so.
struct Images {
    train: (Array, Array),
    test: (Array, Array),
    brightest: f64,
    classes: usize,
    builtin: bool,
}

impl Train {
    pub(super) fn run(self, common: &Common) -> Result<()> {
        if self.batch_size == 0 || self.epochs == 0 {
            return Err(Error::new("--batch-size and --epochs must be at least 1"));
        }
        let start = Instant::now();
        let images = self.images()?;
        let model = self.model(&images)?;
        let directory = self.directory();
        std::fs::create_dir_all(&directory).map_err(|e| Error::file(&directory, e))?;
        common.say(format_args!(
            "{}: {} images to train with, {} held out for the test, {} classes; model {} with {} parameters",
            self.data,
            images.train.0.shape()[0],
            images.test.0.shape()[0],
            images.classes,
            Layer::name(&model),
            model.count_params()
        ));
        let history = self.fit(&model, &images, &directory, common)?;
        let trained = start.elapsed();
        let test = Data::new(images.test.0.clone(), images.test.1.clone());
        let scores = model.evaluate(&test, Evaluate::new().batch_size(self.batch_size))?;
        model.save(directory.join("model.keras"))?;
        let json = serde_json::to_string_pretty(&history)?;
        write_text(&directory.join("history.json"), &(json + "\n"))?;
        curves::draw(&history, &directory.join("curves.svg"))?;
        let numbers: Vec<String> = scores.iter().filter_map(|(n, s)| Some(format!("{n} {:.4}", s.number()?))).collect();
        let ended = if history.interrupted { "interrupted" } else { "trained" };
        println!(
            "{ended} {} epochs in {:.1} s; on the held-out test data: {}",
            history.epoch.len(),
            trained.as_secs_f64(),
            numbers.join(", ")
        );
        self.say_what_next(&directory, &images);
        Ok(())
    }

    fn directory(&self) -> PathBuf {
        self.output.clone().unwrap_or_else(|| {
            let name = Path::new(&self.data).file_name().map_or("data".into(), |n| n.to_string_lossy().into_owned());
            Path::new("runs").join(name)
        })
    }

    fn images(&self) -> Result<Images> {
        let path = Path::new(&self.data);
        if !path.is_dir() {
            let dataset = datasets::find(&self.data)
                .map_err(|e| Error::new(format!("{}: no such directory, and {e}", self.data)))?;
            let (train, test) = (dataset.load)()?;
            let (brightest, classes) = (dataset.x_range.1, dataset.class_names.len());
            return Ok(Images { train, test, brightest, classes, builtin: true });
        }
        let options = image_directory::Options::new().image_size(self.image_size, self.image_size);
        let found = image_directory::read(path, &options)?;
        // One in five, of each class alike, is held out for the test.
        const HELD_OUT: usize = 5;
        let labels = found.labels.to_f64_vec();
        let mut met = vec![0usize; found.class_names.len()];
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for (i, label) in labels.iter().enumerate() {
            let count = &mut met[*label as usize];
            if *count % HELD_OUT == HELD_OUT - 1 {
                test.push(i)
            } else {
                train.push(i)
            }
            *count += 1;
        }
        if test.is_empty() {
            return Err(Error::file(
                path,
                format!("{} images are too few; give at least {HELD_OUT} of a class", labels.len()),
            ));
        }
        // Files come class by class; the share for validation is taken from the end, so classes must be mixed.
        train.sort_by_key(|&i| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let pick = |rows: &[usize]| (found.images.take_rows(rows), found.labels.take_rows(rows));
        Ok(Images { train: pick(&train), test: pick(&test), brightest: 255.0, classes: met.len(), builtin: false })
    }

    fn model(&self, images: &Images) -> Result<Model> {
        let path = Path::new(&self.model);
        let model = if path.exists() {
            open(path)?
        } else {
            presets::build(&self.model, &images.train.0.shape()[1..], images.brightest, images.classes)?
        };
        let classes = model.outputs().first().and_then(|y| y.dim(-1).known());
        if classes != Some(images.classes) {
            return Err(Error::new(format!(
                "--model {}: it has {} outputs but the data has {} classes; change its last layer",
                self.model,
                classes.map_or("unknown".into(), |n| n.to_string()),
                images.classes
            )));
        }
        if model.compiled() && self.learning_rate.is_none() {
            return Ok(model);
        }
        let optimizer: OptimizerRef = self.optimizer.parse().map_err(|e| Error::new(format!("--optimizer: {e}")))?;
        model.compile(optimizer.clone(), "sparse_categorical_crossentropy", ["accuracy"])?;
        if let Some(rate) = self.learning_rate {
            if !(rate.is_finite() && rate > 0.0) {
                return Err(Error::new(format!("--learning-rate {rate}: it must be a positive number")));
            }
            optimizer.set_learning_rate(rate)?;
        }
        Ok(model)
    }

    fn fit(&self, model: &Model, images: &Images, directory: &Path, common: &Common) -> Result<History> {
        let train = Data::new(images.train.0.clone(), images.train.1.clone());
        let validated = self.validation_split > 0.0;
        let monitor = if validated { "val_loss" } else { "loss" };
        let file = |name: &str| directory.join(name).to_string_lossy().into_owned();
        let fit = Fit::new()
            .epochs(self.epochs)
            .batch_size(self.batch_size)
            .validation_split(self.validation_split)
            .verbose(common.verbose())
            .interrupt(interrupt_flag())
            .callback(TerminateOnNaN::new().raise_error(true))
            .callback(ModelCheckpoint::new(file("model.keras")).monitor(monitor).save_best_only(true))
            .callback(ReduceLROnPlateau::new().monitor(monitor).factor(0.5).patience(3))
            .callback(EarlyStopping::new().monitor(monitor).patience(8).restore_best_weights(true))
            .callback(CSVLogger::new(file("history.csv")))
            .callback(TensorBoard::new(file("logs")))
            .callbacks(callbacks(self.callbacks.as_ref())?);
        Ok(model.fit(&train, fit)?)
    }

    fn say_what_next(&self, directory: &Path, images: &Images) {
        let at = |name: &str| directory.join(name).display().to_string();
        println!("the best model:   {}", at("model.keras"));
        println!("learning curves:  {}", at("curves.svg"));
        println!("histories:        {}, {}", at("history.csv"), at("history.json"));
        println!("TensorBoard logs: {}", at("logs"));
        println!("next:");
        if images.builtin {
            println!("  rhyton data export {} test.npz --split test", self.data);
            println!("  rhyton evaluate {} --data test.npz", at("model.keras"));
            println!("  rhyton predict {} --inputs test.npz --output predictions.npz", at("model.keras"));
        } else {
            println!("  rhyton predict {} --inputs IMAGE.png --output predictions.npz", at("model.keras"));
        }
        println!("  open {} in a browser", at("curves.svg"));
    }
}
