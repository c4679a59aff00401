//! What layers over one to three spatial axes share: sizes along those axes, where the channels are, and padding.

use std::fmt;

use rhyton_ir::{Dim, Shape};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::ops::Sizes;

/// One number for each of `N` spatial axes: made from a number for all of them, or from an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spatial<const N: usize>(pub [usize; N]);

impl<const N: usize> Spatial<N> {
    /// Refuses 0, which no kernel, window or stride can be.
    ///
    /// # Errors
    /// If a number is 0; the message names the argument `what`.
    pub(crate) fn check_positive(&self, what: &str) -> Result<()> {
        if self.0.contains(&0) {
            return Err(Error::argument(what, format!("{:?} has a 0", self.0), "give numbers of at least 1"));
        }
        Ok(())
    }
}

impl<const N: usize> From<usize> for Spatial<N> {
    fn from(size: usize) -> Self {
        Spatial([size; N])
    }
}

impl<const N: usize> From<[usize; N]> for Spatial<N> {
    fn from(sizes: [usize; N]) -> Self {
        Spatial(sizes)
    }
}

impl<const N: usize> From<Spatial<N>> for Sizes {
    fn from(sizes: Spatial<N>) -> Sizes {
        sizes.0.into()
    }
}

impl<const N: usize> Serialize for Spatial<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_slice().serialize(serializer)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Spatial<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Sizes::deserialize(deserializer)? {
            Sizes::One(size) => Spatial([size; N]),
            Sizes::Many(sizes) => Spatial(
                sizes
                    .try_into()
                    .map_err(|s: Vec<usize>| D::Error::custom(format!("{} sizes for {N} axes", s.len())))?,
            ),
        })
    }
}

/// Numbers before and after each of `N` spatial axes, as in padding and cropping: made from one number for all, from one
/// for each axis, or from pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margins<const N: usize>(pub [[usize; 2]; N]);

impl<const N: usize> From<usize> for Margins<N> {
    fn from(size: usize) -> Self {
        Margins([[size; 2]; N])
    }
}

impl<const N: usize> From<[usize; N]> for Margins<N> {
    fn from(sizes: [usize; N]) -> Self {
        Margins(sizes.map(|size| [size; 2]))
    }
}

impl<const N: usize> From<[[usize; 2]; N]> for Margins<N> {
    fn from(margins: [[usize; 2]; N]) -> Self {
        Margins(margins)
    }
}

impl From<(usize, usize)> for Margins<1> {
    fn from((before, after): (usize, usize)) -> Self {
        Margins([[before, after]])
    }
}

impl<const N: usize> Serialize for Margins<N> {
    /// Pairs; for one axis only the pair.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [only] => only.serialize(serializer),
            all => all.serialize(serializer),
        }
    }
}

impl<'de, const N: usize> Deserialize<'de> for Margins<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            All(usize),
            Each(Vec<usize>),
            Pairs(Vec<[usize; 2]>),
        }
        let pairs = match Form::deserialize(deserializer)? {
            Form::All(size) => return Ok(size.into()),
            Form::Each(sizes) if N == 1 && sizes.len() == 2 => vec![[sizes[0], sizes[1]]],
            Form::Each(sizes) => sizes.into_iter().map(|s| [s; 2]).collect(),
            Form::Pairs(pairs) => pairs,
        };
        let wrong = |p: Vec<[usize; 2]>| D::Error::custom(format!("{} pairs for {N} axes", p.len()));
        pairs.try_into().map(Margins).map_err(wrong)
    }
}

/// Where the channels are; [`image_data_format`](crate::config::image_data_format) says where by default: the last axis unless set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataFormat {
    /// `(batch, …, channels)`.
    ChannelsLast,
    /// `(batch, channels, …)`.
    ChannelsFirst,
}

impl Default for DataFormat {
    fn default() -> DataFormat {
        crate::config::image_data_format()
    }
}

impl DataFormat {
    /// Keras's name.
    pub fn name(self) -> &'static str {
        match self {
            DataFormat::ChannelsLast => "channels_last",
            DataFormat::ChannelsFirst => "channels_first",
        }
    }

    /// The axis of the channels of a tensor of `rank`.
    pub(crate) fn channel_axis(self, rank: usize) -> usize {
        match self {
            DataFormat::ChannelsLast => rank.saturating_sub(1),
            DataFormat::ChannelsFirst => 1,
        }
    }

    /// The first spatial axis.
    pub(crate) fn first_spatial(self) -> usize {
        match self {
            DataFormat::ChannelsLast => 1,
            DataFormat::ChannelsFirst => 2,
        }
    }

    /// The shape in which a vector of `count` elements broadcasts over the channels of a tensor with `spatial` axes.
    pub(crate) fn along_channels(self, count: usize, spatial: usize) -> Vec<i64> {
        let mut shape = vec![1; spatial + 2];
        shape[self.channel_axis(spatial + 2)] = count as i64;
        shape
    }
}

impl fmt::Display for DataFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for DataFormat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.name().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DataFormat {
    /// From a name, or `null` for the default.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<DataFormat, D::Error> {
        match Option::<String>::deserialize(deserializer)?.as_deref() {
            None | Some("channels_last") => Ok(DataFormat::ChannelsLast),
            Some("channels_first") => Ok(DataFormat::ChannelsFirst),
            Some(other) => Err(D::Error::custom(format!("{other:?} is neither channels_last nor channels_first"))),
        }
    }
}

/// What lies around the input of a convolution or pooling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// Nothing: windows lie inside.
    #[default]
    Valid,
    /// As much as makes the output `⌈input / stride⌉` long, the odd element at the end.
    Same,
    /// Of one axis: as much before it that no output sees what comes after.
    Causal,
}

impl Padding {
    /// Keras's name.
    pub fn name(self) -> &'static str {
        match self {
            Padding::Valid => "valid",
            Padding::Same => "same",
            Padding::Causal => "causal",
        }
    }

    /// Refuses what only `Conv1D` takes.
    ///
    /// # Errors
    /// If it is causal.
    pub(crate) fn not_causal(self, layer: &str) -> Result<()> {
        if self == Padding::Causal {
            return Err(Error::argument(layer, "causal padding is for Conv1D only", "use valid or same"));
        }
        Ok(())
    }
}

/// Refuses tensors of another rank.
///
/// # Errors
/// If the rank of `shape` is not `rank`.
pub(crate) fn expect_rank(shape: &Shape, rank: usize, layer: &str) -> Result<()> {
    if shape.rank() == rank {
        return Ok(());
    }
    Err(Error::shape(
        layer,
        format!("the input {shape} has rank {} where {rank} is needed", shape.rank()),
        "reshape the input, the batch included",
    ))
}

/// Refuses inputs over which no window fits.
///
/// # Errors
/// If a spatial size is below that of the (dilated) window and no padding makes up for it.
pub(crate) fn expect_fit<const N: usize>(
    shape: &Shape,
    format: DataFormat,
    window: &[usize; N],
    dilation: &[usize; N],
    padding: Padding,
    layer: &str,
) -> Result<()> {
    for axis in 0..N {
        let size = shape.get(format.first_spatial() + axis).and_then(Dim::known);
        let needed = dilation[axis] * (window[axis].max(1) - 1) + 1;
        if padding == Padding::Valid && size.is_some_and(|s| s < needed) {
            return Err(Error::shape(
                layer,
                format!("the window of {needed} does not fit into the input {shape} along spatial axis {axis}"),
                "use same padding, a smaller window or a larger input",
            ));
        }
    }
    Ok(())
}

/// Implements [`LayerObject`](crate::layers::LayerObject) for `struct $name<const N: usize>`, whose classes are `$class`
/// for one, two and three spatial axes, and the builder methods that every layer has.
macro_rules! ranked_layer {
    ($name:ident: $($class:literal),*) => {
        impl<const N: usize> $crate::layers::LayerObject for $name<N> {
            fn base(&self) -> &$crate::layers::Base {
                &self.base
            }
            fn class_name(&self) -> &'static str {
                [$($class),*].get(N.wrapping_sub(1)).copied().unwrap_or(stringify!($name))
            }
            fn own_config(&self) -> serde_json::Value {
                $crate::saving::config_of(self)
            }
            fn share(&self) -> $crate::layers::LayerRef {
                std::sync::Arc::new(self.clone())
            }
            fn as_any(&self) -> &dyn std::any::Any {
                self
            }
        }

        impl<const N: usize> $name<N> {
            /// Names the layer.
            pub fn name(self, name: &str) -> Self {
                self.base.set_name(name);
                self
            }

            /// Sets whether the layer's weights train.
            pub fn trainable(self, trainable: bool) -> Self {
                $crate::layers::Layer::set_trainable(&self, trainable);
                self
            }

            /// Sets the dtype policy: a dtype, or `DTypePolicy::mixed(…)`.
            pub fn dtype(self, policy: impl Into<$crate::DTypePolicy>) -> Self {
                self.base.set_policy(policy);
                self
            }
        }
    };
}
pub(crate) use ranked_layer;
