//! What is not there, and why.

use crate::symbols::Symbol;

/// Why a name is absent.
#[derive(Clone, Copy)]
pub struct Absence {
    /// In which list it is.
    pub kind: Kind,
    /// The reason, for the page.
    pub reason: &'static str,
    /// Whether a list has this very name, rather than the part of Keras that it is in.
    pub is_named: bool,
}

impl Absence {
    /// In no list.
    pub const MISSING: Absence =
        Absence { kind: Kind::Missing, reason: "Nothing stands against these but the work.", is_named: false };
}

/// The lists, in the order of the page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It has no sense without Python.
    NotApplicable,
    /// It belongs to a later part of the project.
    Later,
    /// It should be there.
    Missing,
}

/// The headings of the lists.
pub const TITLES: [(Kind, &str); 3] = [
    (Kind::NotApplicable, "Not applicable in Rust"),
    (Kind::Later, "A later part of the project"),
    (Kind::Missing, "Missing"),
];

const PYTHON_WRAPPERS: &str = "They wrap an object of a Python library, which is not there without Python. A file that names \
                               one is refused with what to do about it.";
const NO_NETWORK: &str = "Nothing is sent or fetched over the network.";
const ORBAX: &str =
    "Orbax is a library of Python; `ModelCheckpoint` and `BackupAndRestore` save in Keras's own formats.";
const STATELESS: &str =
    "Variables are parameters of traces (docs/architecture.md), so that no scope has to make calls pure.";
const BACKENDS: &str =
    "It chooses among or asks about Python back ends, of which there are none; the engine is Rhyton's own.";
const LOGGING: &str =
    "It is about Python's notebooks or tracebacks; what `fit` prints is said by `verbose`, and errors are values.";
const UNSAFE: &str = "Nothing in a file is ever run, so nothing can be enabled.";
const NUMPY: &str = "It is about the types of NumPy and Python; the types of Rust tell.";
const SHAPES_OF_CALLS: &str = "Layers state what they take by the errors of `build` and `forward`.";
const OLD: &str = "It is there in Keras for programs written for Keras 1 and 2.";
const COMPLEX: &str =
    "There are no complex dtypes; what computes with them takes and gives pairs of real and imaginary parts.";

/// Names that have no sense without Python.
const NOT_APPLICABLE: &[(&str, &str)] = &[
    ("keras.layers.TFSMLayer", PYTHON_WRAPPERS),
    ("keras.layers.JaxLayer", PYTHON_WRAPPERS),
    ("keras.layers.FlaxLayer", PYTHON_WRAPPERS),
    ("keras.layers.TorchModuleWrapper", PYTHON_WRAPPERS),
    ("keras.callbacks.RemoteMonitor", NO_NETWORK),
    ("keras.callbacks.OrbaxCheckpoint", ORBAX),
    ("keras.utils.get_file", NO_NETWORK),
    ("keras.StatelessScope", STATELESS),
    ("keras.SymbolicScope", STATELESS),
    ("keras.device", BACKENDS),
    ("keras.config.set_backend", BACKENDS),
    ("keras.config.is_nnx_enabled", BACKENDS),
    ("keras.config.disable_traceback_filtering", LOGGING),
    ("keras.config.enable_traceback_filtering", LOGGING),
    ("keras.config.is_traceback_filtering_enabled", LOGGING),
    ("keras.config.enable_unsafe_deserialization", UNSAFE),
    ("keras.InputSpec", SHAPES_OF_CALLS),
    ("keras.ops.array", NUMPY),
    ("keras.optimizers.legacy.Adagrad", OLD),
    ("keras.legacy.saving.deserialize_keras_object", OLD),
    ("keras.legacy.saving.serialize_keras_object", OLD),
    ("keras.ops.eig", COMPLEX),
];

const QUANTIZATION: &str = "Quantization.";
const FOLDERS: &str = "Data sets read from folders, and pipelines of them.";
const DRAWING: &str = "Drawing of images with boxes and masks.";

/// Parts of Keras that belong to a later part of the project.
const LATER_AREAS: &[(&str, &str)] = &[
    ("quantizers", QUANTIZATION),
    ("distillation", "Distillation."),
    ("distribution", "Distributed training."),
    ("export", "Export to other run times."),
    ("datasets", "The data sets that Keras downloads."),
    ("applications", "The other applications."),
    ("visualization", DRAWING),
    ("wrappers", "Wrappers for scikit-learn's interface."),
];

/// Single names that belong to a later part of the project.
const LATER: &[(&str, &str)] = &[
    ("keras.Quantizer", QUANTIZATION),
    ("keras.dtype_policies.AWQDTypePolicy", QUANTIZATION),
    ("keras.dtype_policies.GPTQDTypePolicy", QUANTIZATION),
    ("keras.dtype_policies.Int4DTypePolicy", QUANTIZATION),
    ("keras.dtype_policies.QuantizedDTypePolicy", QUANTIZATION),
    ("keras.dtype_policies.QuantizedFloat8DTypePolicy", QUANTIZATION),
    ("keras.utils.audio_dataset_from_directory", FOLDERS),
    ("keras.utils.image_dataset_from_directory", FOLDERS),
    ("keras.utils.text_dataset_from_directory", FOLDERS),
    ("keras.utils.timeseries_dataset_from_array", FOLDERS),
    ("keras.utils.PyDataset", FOLDERS),
];

/// Why `symbol` is absent, if a list says so.
pub fn reason(symbol: &Symbol) -> Option<Absence> {
    let listed = |list: &'static [(&str, &str)], name: &str, kind, is_named| {
        let found = list.iter().find(|(listed, _)| *listed == name);
        found.map(|&(_, reason)| Absence { kind, reason, is_named })
    };
    listed(NOT_APPLICABLE, &symbol.path, Kind::NotApplicable, true)
        .or_else(|| listed(LATER, &symbol.path, Kind::Later, true))
        .or_else(|| listed(LATER_AREAS, &symbol.area, Kind::Later, false))
}

/// All names of the lists.
pub fn named() -> impl Iterator<Item = &'static str> {
    NOT_APPLICABLE.iter().chain(LATER).map(|(name, _)| *name)
}
