//! `rhyton train`: the main job, from data to a trained model and all that is known about it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use rhyton::callbacks::{CSVLogger, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau, TensorBoard, TerminateOnNaN};
use rhyton::data::image_directory::ColorMode;
use rhyton::plot::plot_history;
use rhyton::prelude::*;

use super::{Common, at_least_one, callbacks, check_output, open, share, write_text};
use crate::error::{Error, Result};
use crate::fine_tune::Trained;
use crate::images::{Format, Images};
use crate::output::print_line;
use crate::signals::interrupt_flag;
use crate::{fine_tune, images, presets};

#[derive(Args)]
#[command(
    after_help = "Example: rhyton train\n         rhyton train photos/ --model cnn --epochs 30 --output runs/photos\n         \
                  rhyton train photos/ --model base.keras --fine-tune --output runs/tuned"
)]
pub struct Train {
    /// A built-in data set, or a directory of images, one folder a class
    #[arg(default_value = "digits")]
    data: String,
    /// A preset (cnn, mlp) or a .keras or .h5 file
    #[arg(long, default_value = "cnn")]
    model: String,
    /// Passes over the data, unless the training stops early
    #[arg(long, default_value_t = 40, value_parser = at_least_one, allow_negative_numbers = true)]
    epochs: usize,
    /// Samples a step
    #[arg(long, default_value_t = 32, value_parser = at_least_one, allow_negative_numbers = true)]
    batch_size: usize,
    /// The share of the training data to validate with
    #[arg(long, value_name = "F", default_value_t = 0.1, value_parser = share, allow_negative_numbers = true)]
    validation_split: f64,
    /// Keras's name of an optimizer; adam, or that of the model's file, unless said
    #[arg(long, value_name = "NAME")]
    optimizer: Option<String>,
    /// How far each step goes; the optimizer's own default unless said
    #[arg(long, value_name = "F", value_parser = rate, allow_negative_numbers = true)]
    learning_rate: Option<f64>,
    /// Keep the weights of a model's file and train only the classifier, which is made anew if the classes are others; or the
    /// last N layers with weights, the layers from NAME on, or all
    #[arg(long, value_name = "classifier|N|NAME|all", num_args = 0..=1, default_missing_value = "classifier")]
    fine_tune: Option<Trained>,
    /// Height and width to which images of a directory are resized; what the model's file takes, or 64, unless said
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    image_size: Option<usize>,
    /// Where to write everything; runs/DATA unless said
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Further callbacks: a list of {"class_name": …, "config": {…}}
    #[arg(long, value_name = "FILE.json")]
    callbacks: Option<PathBuf>,
}

impl Train {
    pub(super) fn run(self, common: &Common) -> Result<()> {
        let start = Instant::now();
        let (model, images) = self.model_and_images()?;
        let directory = self.directory();
        std::fs::create_dir_all(&directory)
            .map_err(|e| Error::file(&directory, format!("the folder cannot be made: {e}; choose another --output")))?;
        check_output(&directory.join("model.keras"), &[".keras"])?;
        common.say(format_args!(
            "{}: {} images to train with, {} held out for the test, {} classes; model {} with {} parameters{}",
            self.data,
            images.train.0.shape()[0],
            images.test.0.shape()[0],
            images.class_names.len(),
            Layer::name(&model),
            model.count_params(),
            if self.fine_tune.is_some() {
                format!(", {} of them trained", model.trainable_weights().iter().map(Variable::count).sum::<usize>())
            } else {
                String::new()
            }
        ));
        let saved = directory.join("model.keras");
        let before = modified(&saved);
        let history = self.fit(&model, &images, &directory, common).map_err(|error| {
            let kept = modified(&saved).filter(|_| modified(&saved) != before);
            Error::new(match kept {
                Some(_) => format!("{}; the best model until then is kept in {}", error.one_line(), saved.display()),
                None => format!("{}; nothing was saved", error.one_line()),
            })
        })?;
        let trained = start.elapsed();
        let test = Data::new(images.test.0.clone(), images.test.1.clone());
        let scores = model.evaluate(&test, Evaluate::new().batch_size(self.batch_size))?;
        model.save(&saved)?;
        write_text(&directory.join("classes.json"), &(serde_json::to_string_pretty(&images.class_names)? + "\n"))?;
        let json = serde_json::to_string_pretty(&history)?;
        write_text(&directory.join("history.json"), &(json + "\n"))?;
        plot_history(&history, directory.join("curves.svg"))?;
        plot_history(&history, directory.join("curves.png"))?;
        let numbers: Vec<String> = scores.iter().filter_map(|(n, s)| Some(format!("{n} {:.4}", s.number()?))).collect();
        let epochs = history.epoch.len();
        let ended = if history.interrupted {
            format!("interrupted in epoch {epochs} of {} after", self.epochs)
        } else {
            format!("trained {epochs} epoch{} in", if epochs == 1 { "" } else { "s" })
        };
        print_line(format_args!(
            "{ended} {:.1} s; on the held-out test data: {}",
            trained.as_secs_f64(),
            numbers.join(", ")
        ))?;
        self.say_what_next(&directory, &images)
    }

    fn directory(&self) -> PathBuf {
        self.output.clone().unwrap_or_else(|| {
            let name = Path::new(&self.data).file_name().map_or("data".into(), |n| n.to_string_lossy().into_owned());
            Path::new("runs").join(name)
        })
    }

    /// The model and the images, which are brought to what the model takes.
    fn model_and_images(&self) -> Result<(Model, Images)> {
        let path = Path::new(&self.model);
        if path.exists() {
            let model = open(path)?;
            // Arrays of a built-in data set are not resized.
            let format = if Path::new(&self.data).is_dir() {
                Format::of(&model, self.image_size()).map_err(|e| Error::file(path, e.one_line()))?
            } else {
                self.format()
            };
            let images = images::load(&self.data, format)?;
            return Ok((self.prepared(model, &images)?, images));
        }
        presets::check(&self.model)?;
        let images = images::load(&self.data, self.format())?;
        let (shape, classes) = (&images.train.0.shape()[1..], images.class_names.len());
        let model = presets::build(&self.model, shape, images.brightest, classes)?;
        let model = self
            .fine_tune
            .as_ref()
            .map_or(Ok(model.clone()), |trained| fine_tune::prepare(&model, classes, trained))?;
        self.compile(&model)?;
        Ok((model, images))
    }

    fn image_size(&self) -> usize {
        const SIZE: usize = 64;
        self.image_size.unwrap_or(SIZE)
    }

    fn format(&self) -> Format {
        Format { size: (self.image_size(), self.image_size()), colors: ColorMode::Rgb }
    }

    fn prepared(&self, model: Model, images: &Images) -> Result<Model> {
        let classes = images.class_names.len();
        if let Some(trained) = &self.fine_tune {
            let model = fine_tune::prepare(&model, classes, trained)?;
            self.compile(&model)?;
            return Ok(model);
        }
        let found = fine_tune::classes_of(&model);
        if found != Some(classes) {
            return Err(Error::new(format!(
                "--model {}: it has {} outputs but the data has {classes} classes; add --fine-tune to give it a new last \
                 layer",
                self.model,
                found.map_or("unknown".into(), |n| n.to_string()),
            )));
        }
        if !model.compiled() || self.learning_rate.is_some() || self.optimizer.is_some() {
            self.compile(&model)?;
        }
        Ok(model)
    }

    fn compile(&self, model: &Model) -> Result<()> {
        let name = self.optimizer.as_deref().unwrap_or("adam");
        let optimizer: OptimizerRef = name.parse().map_err(|e| Error::new(format!("--optimizer: {e}")))?;
        let loss = SparseCategoricalCrossentropy::new().from_logits(fine_tune::gives_logits(model));
        model.compile(optimizer.clone(), loss, ["accuracy"])?;
        if let Some(rate) = self.learning_rate {
            optimizer.set_learning_rate(rate)?;
        }
        Ok(())
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

    fn say_what_next(&self, directory: &Path, images: &Images) -> Result<()> {
        let at = |name: &str| directory.join(name).display().to_string();
        print_line(format_args!("the best model:   {}", at("model.keras")))?;
        print_line(format_args!("learning curves:  {}, {}", at("curves.svg"), at("curves.png")))?;
        print_line(format_args!("histories:        {}, {}", at("history.csv"), at("history.json")))?;
        print_line(format_args!("class names:      {}", at("classes.json")))?;
        print_line(format_args!("TensorBoard logs: {}", at("logs")))?;
        print_line(format_args!("next:"))?;
        if images.builtin {
            print_line(format_args!("  rhyton data export {} test.npz --split test", self.data))?;
            print_line(format_args!("  rhyton evaluate {} --data test.npz", at("model.keras")))?;
            print_line(format_args!(
                "  rhyton predict {} --inputs test.npz --output predictions.npz",
                at("model.keras")
            ))?;
        } else {
            print_line(format_args!(
                "  rhyton predict {} --inputs IMAGE.png --output predictions.npz",
                at("model.keras")
            ))?;
        }
        print_line(format_args!("  open {} in a browser", at("curves.svg")))
    }
}

/// A learning rate: a positive number.
fn rate(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && f64::is_finite(rate) => Ok(rate),
        _ => Err("it is no positive number".to_owned()),
    }
}

/// When a file was written, if it is there.
fn modified(path: &Path) -> Option<std::time::SystemTime> {
    path.metadata().and_then(|m| m.modified()).ok()
}
