//! Where the weights of an application come from.

use std::path::{Path, PathBuf};

use rhyton_core::{Error, Result};

/// Where the weights come from: `None`, `"imagenet"`, or the path of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Weights {
    /// Random numbers.
    None,
    /// Trained on ImageNet. Nothing is downloaded: the file must lie in Keras's folder of models (`~/.keras/models`, or
    /// `models` in what the environment variable `KERAS_HOME` names), as the error of a missing file says.
    #[default]
    ImageNet,
    /// A `.weights.h5` or `.keras` file.
    File(PathBuf),
}

impl From<Option<&str>> for Weights {
    fn from(weights: Option<&str>) -> Weights {
        weights.map_or(Weights::None, Weights::from)
    }
}

impl From<&str> for Weights {
    fn from(weights: &str) -> Weights {
        if weights == "imagenet" { Weights::ImageNet } else { Weights::File(weights.into()) }
    }
}

impl From<&Path> for Weights {
    fn from(path: &Path) -> Weights {
        Weights::File(path.to_owned())
    }
}

impl From<PathBuf> for Weights {
    fn from(path: PathBuf) -> Weights {
        Weights::File(path)
    }
}

impl Weights {
    /// The file with the weights of `application`; `None` for random ones.
    ///
    /// # Errors
    /// If there is no such file; the message says how to get it.
    pub(crate) fn file(&self, application: &str, include_top: bool) -> Result<Option<PathBuf>> {
        match self {
            Weights::None => Ok(None),
            Weights::ImageNet => imagenet_file(&keras_models(), application, include_top).map(Some),
            Weights::File(path) if path.is_file() => Ok(Some(path.clone())),
            Weights::File(path) => Err(Error::argument(
                application,
                format!("weights: there is no file {}", path.display()),
                "give None for random weights, \"imagenet\", or the path of a .weights.h5 or .keras file",
            )),
        }
    }
}

fn imagenet_file(folder: &Path, application: &str, include_top: bool) -> Result<PathBuf> {
    let top = if include_top { "" } else { "_notop" };
    let path = folder.join(format!("{}{top}.weights.h5", application.to_lowercase()));
    if path.is_file() {
        return Ok(path);
    }
    let arguments = if include_top { "" } else { "include_top=False" };
    Err(Error::unsupported(
        application,
        format!("weights trained on ImageNet are not downloaded yet, and {} is not there", path.display()),
        format!(
            "write it with Keras in Python, keras.applications.{application}({arguments}).save_weights({:?}), or pass \
             weights None or the path of a file",
            path.display().to_string()
        ),
    ))
}

/// Where Keras keeps what belongs to models.
pub(crate) fn keras_models() -> PathBuf {
    let home = || std::env::home_dir().unwrap_or_else(std::env::temp_dir).join(".keras");
    std::env::var_os("KERAS_HOME").map_or_else(home, PathBuf::from).join("models")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_named_as_in_keras() {
        assert_eq!(Weights::from(None), Weights::None);
        assert_eq!(Weights::from("imagenet"), Weights::default());
        assert_eq!(Weights::from("a.weights.h5"), Weights::File("a.weights.h5".into()));
    }

    #[test]
    fn a_missing_file_of_imagenet_says_how_to_get_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = imagenet_file(folder.path(), "Xception", false).unwrap_err().to_string();
        assert!(error.contains("keras.applications.Xception(include_top=False).save_weights("), "{error}");
        std::fs::write(folder.path().join("xception_notop.weights.h5"), "").unwrap();
        assert!(imagenet_file(folder.path(), "Xception", false).is_ok());
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Weights::from("nowhere.weights.h5").file("Xception", true).unwrap_err().to_string();
        assert!(error.contains("nowhere.weights.h5"), "{error}");
    }
}
