//! Layers that prepare data.

mod category_encoding;
mod discretization;
mod encode;
mod feature_space;
mod hash;
mod hashed_crossing;
mod hashing;
mod index_lookup;
mod integer_lookup;
mod mel_spectrogram;
mod normalization;
mod pipeline;
mod rescaling;
mod stft_spectrogram;
mod string_lookup;
mod term;
mod text_vectorization;
mod tokens;
mod vocabulary;

use super::{LayerClass, make};

pub use category_encoding::CategoryEncoding;
pub use discretization::Discretization;
pub use encode::OutputMode;
pub use feature_space::{Cross, Feature, FeatureMode, FeatureSpace, SpaceMode};
pub use hashed_crossing::HashedCrossing;
pub use hashing::{Hashing, MaskValue};
pub use index_lookup::OovMethod;
pub use integer_lookup::IntegerLookup;
pub use mel_spectrogram::MelSpectrogram;
pub use normalization::Normalization;
pub use pipeline::Pipeline;
pub use rescaling::{PerChannel, Rescaling};
pub use stft_spectrogram::{STFTSpectrogram, SpectrogramMode};
pub use string_lookup::StringLookup;
pub use text_vectorization::TextVectorization;
pub use tokens::{Ngrams, Split, Standardize};

/// Every class of this folder.
pub(crate) const CLASSES: &[LayerClass] = &[
    LayerClass { name: "Rescaling", from_config: make::<Rescaling> },
    LayerClass { name: "Normalization", from_config: make::<Normalization> },
    LayerClass { name: "Discretization", from_config: make::<Discretization> },
    LayerClass { name: "CategoryEncoding", from_config: make::<CategoryEncoding> },
    LayerClass { name: "Hashing", from_config: make::<Hashing> },
    LayerClass { name: "HashedCrossing", from_config: make::<HashedCrossing> },
    LayerClass { name: "IntegerLookup", from_config: make::<IntegerLookup> },
    LayerClass { name: "Pipeline", from_config: make::<Pipeline> },
    LayerClass { name: "StringLookup", from_config: make::<StringLookup> },
    LayerClass { name: "TextVectorization", from_config: text_vectorization::from_config },
    LayerClass { name: "MelSpectrogram", from_config: make::<MelSpectrogram> },
    LayerClass { name: "STFTSpectrogram", from_config: make::<STFTSpectrogram> },
    LayerClass { name: "FeatureSpace", from_config: feature_space::from_config },
    LayerClass { name: "TFDIdentity", from_config: make::<feature_space::TFDIdentity> },
    LayerClass { name: "TFDConcat", from_config: make::<feature_space::TFDConcat> },
];
