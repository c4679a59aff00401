//! Automatic names: `dense`, `dense_1`, … as Keras gives them, and the stack of scopes that paths are made of.

use std::cell::RefCell;
use std::collections::HashMap;

thread_local! {
    static COUNTS: RefCell<HashMap<String, usize>> = RefCell::default();
    static SCOPES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
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
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            SCOPES.with_borrow_mut(|s| s.pop());
        }
    }
    SCOPES.with_borrow_mut(|s| s.push(name.to_owned()));
    let _leave = Leave;
    function()
}

/// The path of `name` in the current scopes.
pub(crate) fn path_of(name: &str) -> String {
    SCOPES.with_borrow(|s| s.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("/"))
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
    fn repeated_names_are_numbered() {
        reset_names();
        assert_eq!(auto_name("Dense"), "dense");
        assert_eq!(auto_name("Dense"), "dense_1");
        assert_eq!(auto_name("LSTM"), "lstm");
    }
}
