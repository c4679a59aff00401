//! Automatic names: `dense`, `dense_1`, … as Keras gives them, and the stack of scopes that paths are made of.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::error::{Error, Result};

thread_local! {
    static COUNTS: RefCell<HashMap<String, usize>> = RefCell::default();
    static SCOPES: RefCell<Vec<NameScope>> = const { RefCell::new(Vec::new()) };
}

/// A part of the paths of variables: those of layers that are built, of metrics and of optimizers within it begin with its name
/// (Keras's `keras.name_scope`).
///
/// # Examples
/// ```
/// use rhyton_core::layers::{Call, Dense, Layer};
/// use rhyton_core::{NameScope, Tensor, ops};
///
/// let layer = Dense::new(2).name("key");
/// NameScope::new("encoder").scope(|| layer.call(&ops::ones([1, 3], None)))?.eval()?;
/// assert_eq!(layer.weights()[0].path(), "encoder/key/kernel");
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NameScope {
    name: String,
    override_parent: Option<String>,
}

impl NameScope {
    /// Within the scopes around it.
    pub fn new(name: impl Into<String>) -> NameScope {
        NameScope { name: name.into(), override_parent: None }
    }

    /// The path that the scope has in place of the scopes around it.
    pub fn override_parent(mut self, path: impl Into<String>) -> NameScope {
        self.override_parent = Some(path.into());
        self
    }

    /// Runs `function` in the scope.
    ///
    /// # Errors
    /// If the name has a `/`, which parts names in paths.
    pub fn scope<R>(&self, function: impl FnOnce() -> R) -> Result<R> {
        if self.name.contains('/') {
            let what = format!("{:?} has a /, which parts names in paths", self.name);
            return Err(Error::argument("NameScope", what, "nest two scopes, or use override_parent"));
        }
        Ok(self.clone().around(function))
    }

    fn around<R>(self, function: impl FnOnce() -> R) -> R {
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                SCOPES.with_borrow_mut(|s| s.pop());
            }
        }
        SCOPES.with_borrow_mut(|s| s.push(self));
        let _leave = Leave;
        function()
    }
}

/// `GlobalAveragePooling2D` as `global_average_pooling2d`.
pub fn snake_case(class_name: &str) -> String {
    let chars: Vec<char> = class_name.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    // Keras inserts an underscore before an upper-case letter that starts a word of upper and lower case, then between a
    // lower-case and an upper-case letter.
    let mut first = String::new();
    for (i, &c) in chars.iter().enumerate() {
        let word = c.is_uppercase() && chars.get(i + 1).is_some_and(|n| n.is_lowercase());
        if i > 0 && word && !first.ends_with('_') {
            first.push('_');
        }
        first.push(c);
    }
    let mut out = String::new();
    let mut before = ' ';
    for c in first.chars() {
        if before.is_lowercase() && c.is_uppercase() {
            out.push('_');
        }
        out.extend(c.to_lowercase());
        before = c;
    }
    out
}

/// The next free name for an object of `class_name` on this thread.
pub fn auto_name(class_name: &str) -> String {
    unique_name(&snake_case(class_name))
}

/// `name` the first time, then `name_1`, `name_2`, …, on this thread.
pub fn unique_name(name: &str) -> String {
    match count(name) {
        1 => name.to_owned(),
        n => format!("{name}_{}", n - 1),
    }
}

/// How often `name` has been counted on this thread, this time included.
pub(crate) fn count(name: &str) -> usize {
    COUNTS.with_borrow_mut(|counts| {
        let count = counts.entry(name.to_owned()).or_insert(0);
        *count += 1;
        *count
    })
}

/// Starts automatic names anew (part of Keras's `clear_session`).
pub fn reset_names() {
    COUNTS.with_borrow_mut(HashMap::clear);
}

/// Runs `function` with `name` as the innermost scope of paths.
pub(crate) fn scoped<R>(name: &str, function: impl FnOnce() -> R) -> R {
    NameScope::new(name).around(function)
}

/// The path of `name` in the current scopes.
pub(crate) fn path_of(name: &str) -> String {
    SCOPES.with_borrow(|scopes| {
        let top = scopes.iter().rposition(|s| s.override_parent.is_some()).unwrap_or(0);
        let parent = scopes.get(top).and_then(|s| s.override_parent.as_deref()).unwrap_or_default();
        let parents = parent.split('/').filter(|part| !part.is_empty());
        parents.chain(scopes[top..].iter().map(|s| s.name.as_str())).chain([name]).collect::<Vec<_>>().join("/")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_keras_names() {
        // From keras.src.utils.naming.to_snake_case, Keras 3.15.1.
        for (class, name) in [
            ("Dense", "dense"),
            ("LSTM", "lstm"),
            ("LSTMCell", "lstm_cell"),
            ("Conv2D", "conv2d"),
            ("Conv2DTranspose", "conv2d_transpose"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("SimpleRNN", "simple_rnn"),
            ("ReLU", "re_lu"),
            ("PReLU", "p_re_lu"),
            ("MultiHeadAttention", "multi_head_attention"),
            ("RMSNormalization", "rms_normalization"),
            ("ConvLSTM2D", "conv_lstm2d"),
            ("MeanIoU", "mean_io_u"),
            ("AUC", "auc"),
        ] {
            assert_eq!(snake_case(class), name);
        }
    }

    #[test]
    fn scopes_are_parts_of_paths() {
        use crate::layers::{Call, Dense, Layer, LayerNormalization};
        use crate::metrics::{Mean, Metric};
        use crate::optimizers::{Adam, Optimizer};
        use crate::prelude::{Input, Sequential, Tensor};

        fn first_path(weights: &[crate::Variable]) -> String {
            weights[0].path().to_owned()
        }
        // The paths that Keras 3.15.1 gives to the same objects in the same scopes.
        reset_names();
        let x = Tensor::new([1, 3], vec![0.0f32; 3]);
        let built = || {
            let layer = Dense::new(2);
            layer.call(&x).eval().unwrap();
            layer
        };
        let outside = NameScope::new("enc").scope(|| {
            let layer = built();
            assert_eq!(first_path(&layer.weights()), "enc/dense/kernel");
            let mean = Mean::new();
            mean.update(&x, None).unwrap();
            assert_eq!(first_path(&mean.variables()), "enc/mean/total");
            NameScope::new("in").override_parent("/a/b").scope(|| {
                assert_eq!(first_path(&built().weights()), "a/b/in/dense_1/kernel");
                let deep = NameScope::new("deep").scope(built).unwrap();
                assert_eq!(first_path(&deep.weights()), "a/b/in/deep/dense_2/kernel");
            })?;
            let adam = Adam::new(0.1);
            adam.build(&layer.weights())?;
            let paths: Vec<String> = adam.variables().iter().map(|v| v.path().to_owned()).collect();
            assert_eq!(paths[0], "enc/adam/iteration");
            assert!(paths.contains(&"enc/adam/enc_dense_bias_velocity".to_owned()), "{paths:?}");
            let stack = Sequential::new().add(Input::new([3])).add(Dense::new(1).name("q"));
            assert_eq!(first_path(&Layer::weights(&stack)), "enc/sequential/q/kernel");
            let norm = LayerNormalization::new().name("ln");
            norm.call(&Input::new([3])).check()?;
            assert_eq!(first_path(&norm.weights()), "enc/ln/gamma");
            Ok::<_, Error>(Dense::new(2).name("late"))
        });
        let outside = outside.unwrap().unwrap();
        outside.call(&x).eval().unwrap();
        assert_eq!(first_path(&outside.weights()), "late/kernel");
        assert!(NameScope::new("a/b").scope(|| ()).unwrap_err().to_string().contains("\"a/b\""));
    }

    #[test]
    fn repeated_names_are_numbered() {
        reset_names();
        assert_eq!(auto_name("Dense"), "dense");
        assert_eq!(auto_name("Dense"), "dense_1");
        assert_eq!(auto_name("LSTM"), "lstm");
    }
}
