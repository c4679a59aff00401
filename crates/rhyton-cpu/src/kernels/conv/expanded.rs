//! A convolution of 1 × 1 windows, then one in which each channel sees only itself: the first two of the three layers of an
//! inverted residual block (Sandler et al., "MobileNetV2", 2018).
//!
//! What is between them is the largest tensor of such networks, some six times the others, and is read once. A task
//! therefore computes a group of its channels for a band of its rows, into memory of its own that stays in the second-level
//! cache, and convolves them there. The rows that two bands see are computed by both; where an image is small, a band is all
//! of it, and the channels give tasks enough.

use super::channelwise::Channels;
use super::{ConvGeometry, ConvPlan, phase};
use crate::isa::Isa;
use crate::kernels::gemm::{
    Axis, BLOCK_K, Elements, Epilogue, Finish, Gemm, Out, Packed, Real, Rhs, Shared, Space, Tile, View, gemm,
};
use crate::kernels::scratch::{self, Aligned};
use crate::pool::Pool;

/// Most elements of a band: half of a second-level cache of 1 MiB.
const BAND: usize = 128 * 1024;
/// Channels of a task.
const CHANNELS: usize = 64;
/// Threads for which tasks are evened out: with others it is a matter of chance.
const EVEN: usize = 2;
/// Most bands that are tried beyond as few as there can be.
const MORE_BANDS: usize = 6;

/// The two convolutions.
#[derive(Clone, Debug)]
pub(crate) struct Expanded {
    first: ConvGeometry,
    second: ConvGeometry,
    pointwise: ConvPlan,
    channelwise: Channels,
    bands: Vec<Band>,
}

/// The rows of a band: of the result and of what is between, both to the last but one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Band {
    out: (usize, usize),
    between: (usize, usize),
}

struct Buffer<T>(Aligned<T>);

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Buffer(Aligned::default())
    }
}

impl Expanded {
    /// Of two convolutions of images with up to two axes, the second of all that the first gives; `None` if they are not of the
    /// two kinds.
    pub(crate) fn new(first: &ConvGeometry, second: &ConvGeometry) -> Option<Expanded> {
        let one = [1; 3];
        let pointwise = first.kernel == one
            && (first.strides, first.lhs_dilation, first.padding) == (one, one, [0; 3])
            && (first.feature_groups, first.batch_groups) == (1, 1)
            && first.in_features <= BLOCK_K
            && first.out == first.image;
        let (i, o, s) = (&first.lhs_strides, &first.out_strides, &second.lhs_strides);
        let rows = |s: &super::ConvStrides, features: usize| {
            s.feature == 1 && s.spatial[2] >= features as isize && s.spatial[1] == s.spatial[2] * first.out[2] as isize
        };
        let joined = (second.batch, second.in_features, second.image) == (first.batch, first.out_features, first.out)
            && (s.feature, s.spatial[2], s.spatial[1]) == (o.feature, o.spatial[2], o.spatial[1])
            && (first.batch == 1 || s.batch == o.batch)
            && rows(i, first.in_features)
            && rows(o, first.out_features);
        let flat = first.image[0] == 1 && second.kernel[0] == 1 && second.out[0] == 1 && second.padding[0] == 0;
        let channelwise = second.feature_groups == second.in_features
            && second.out_features == second.in_features
            && second.batch_groups == 1
            && second.lhs_dilation == one
            && second.out_len() > 0;
        if !(pointwise && joined && flat && channelwise) {
            return None;
        }
        Some(Expanded {
            first: *first,
            second: *second,
            pointwise: ConvPlan::new(first),
            channelwise: channels(second)?,
            bands: bands(second),
        })
    }

    /// The plan of the first: its kernel is packed as for that alone.
    pub(crate) fn pointwise(&self) -> &ConvPlan {
        &self.pointwise
    }

    /// Both convolutions: `packed` is the kernel of the first, packed, `finish` what is done to its result.
    ///
    /// # Safety
    /// As [`ConvPlan::run`].
    ///
    /// # Panics
    /// If an operand reaches outside its buffer, or the machine lacks `isa`.
    #[expect(clippy::too_many_arguments, reason = "two convolutions, and where they go")]
    pub(crate) unsafe fn run<T: Real>(
        &self,
        pool: &Pool,
        isa: Isa,
        image: &[T],
        packed: &[T],
        finish: Option<Finish<'_, T>>,
        weights: &[T],
        out: *mut T,
        out_len: usize,
        epilogue: Option<Epilogue<'_, T>>,
    ) {
        let (f, g) = (&self.first, &self.second);
        let kernels = T::channelwise(isa).expect("these numbers have kernels of channelwise convolutions");
        let kernel = Packed::of(isa, (f.in_features, f.out_features), 1, packed);
        let panels_a_task = (CHANNELS / kernel.cut.panel).max(1);
        let groups = kernel.cut.panels().div_ceil(panels_a_task);
        let bands = &self.bands;
        let simple = epilogue.and_then(|epilogue| epilogue.finish);
        let simple = simple.filter(|finish| self.channelwise.finishes(finish));
        let out = Shared(out);
        pool.run(g.batch * bands.len() * groups, &|task| {
            let (picture, task) = (task / (bands.len() * groups), task % (bands.len() * groups));
            let (band, group) = (bands[task / groups], task % groups);
            let panels = kernel.cut.panels();
            let (first, last) = (group * panels_a_task, ((group + 1) * panels_a_task).min(panels));
            let own_channels = first * kernel.cut.panel..(last * kernel.cut.panel).min(f.out_features);
            let width = f.image[2];
            let (rows, cols) = (band.between.1 - band.between.0, own_channels.len());
            scratch::with(|buffer: &mut Buffer<T>| {
                let between = buffer.0.get(rows * width * cols);
                let start = picture as isize * f.lhs_strides.batch + band.between.0 as isize * f.lhs_strides.spatial[1];
                let pixels = Axis::plain(rows * width, f.lhs_strides.spatial[2]);
                let finish = finish
                    .map(|finish| Finish { bias: finish.bias.get(own_channels.clone()).unwrap_or_default(), ..finish });
                let tiles = |_: Tile<'_, T>| unreachable!("micro-kernels finish what is as simple");
                let first = Gemm {
                    a: View::new(Elements::Native(image), start, pixels, Axis::plain(f.in_features, 1), Space::NONE),
                    b: Rhs::Packed(kernel.columns(first, last)),
                    c: Out::matrix(between, (rows * width, cols), cols),
                    batch: &[],
                    accumulate: false,
                    epilogue: finish.map(|finish| Epilogue { tiles: &tiles, finish: Some(finish) }),
                };
                gemm(pool, isa, &first);
                let own = channels(&self.of_band(band, cols)).expect("a part of what was found to be channelwise");
                let s = &g.out_strides;
                let at = picture as isize * s.batch + band.out.0 as isize * s.spatial[1] + own_channels.start as isize;
                let at = at as usize;
                let moved = |tile: Tile<'_, T>| {
                    let Some(epilogue) = epilogue else { return };
                    let row0 = (picture * g.out[1] + band.out.0) * g.out[2] + tile.row0;
                    (epilogue.tiles)(tile.moved(row0, own_channels.start, at));
                };
                let simple = simple.map(|finish| Finish {
                    bias: finish.bias.get(own_channels.clone()).unwrap_or_default(),
                    plus: finish.plus.get(at..).unwrap_or_default(),
                    ..finish
                });
                let epilogue = epilogue.map(|_| Epilogue { tiles: &moved, finish: simple });
                let weights = &weights[own_channels.start..];
                // SAFETY: the caller's promise; the rows and channels of this task are its own.
                unsafe { own.run(pool, &kernels, between, weights, out.get().add(at), out_len - at, epilogue) };
            });
        });
    }

    /// The second convolution for `channels` neighbouring channels and a band whose rows lie densely.
    fn of_band(&self, band: Band, channels: usize) -> ConvGeometry {
        let mut g = self.second;
        let width = g.image[2];
        (g.batch, g.in_features, g.out_features, g.feature_groups) = (1, channels, channels, channels);
        g.image[1] = band.between.1 - band.between.0;
        g.out[1] = band.out.1 - band.out.0;
        g.padding[1] += band.between.0 as i64 - (band.out.0 * g.strides[1]) as i64;
        g.lhs_strides.batch = (g.image[1] * width * channels) as isize;
        g.lhs_strides.spatial = [0, (width * channels) as isize, channels as isize];
        g
    }
}

/// A convolution without holes in its images as one in which each channel sees only itself, if it is one.
fn channels(g: &ConvGeometry) -> Option<Channels> {
    Channels::new(g, &[phase(g, 0, 0), phase(g, 1, 0), phase(g, 2, 0)])
}

/// The rows of the image that rows `first..last` of the result see; at least one.
fn seen(g: &ConvGeometry, first: usize, last: usize) -> (usize, usize) {
    let reach = (g.kernel[1] - 1) * g.rhs_dilation[1] + 1;
    let height = g.image[1] as i64;
    let start = (first * g.strides[1]) as i64 - g.padding[1];
    let end = ((last - 1) * g.strides[1]) as i64 - g.padding[1] + reach as i64;
    let start = start.clamp(0, height - 1);
    (start as usize, end.clamp(start + 1, height) as usize)
}

/// Cuts the rows of the second convolution so that bands stay in cache, and that tasks take equally long.
fn bands(g: &ConvGeometry) -> Vec<Band> {
    let cut = |bands: usize| -> Vec<Band> {
        (0..bands)
            .map(|i| {
                let out = (i * g.out[1] / bands, (i + 1) * g.out[1] / bands);
                Band { out, between: seen(g, out.0, out.1) }
            })
            .collect()
    };
    let rows = |bands: usize| cut(bands).iter().map(|band| band.between.1 - band.between.0).max().unwrap_or(0);
    let fits = |bands: usize| rows(bands) * g.image[2] * CHANNELS <= BAND;
    let least = (1..=g.out[1]).find(|&bands| fits(bands)).unwrap_or(g.out[1]);
    let groups = g.in_features.div_ceil(CHANNELS);
    let longest = |bands: usize| (g.batch * bands * groups).div_ceil(EVEN) * rows(bands);
    let bands = (least..=(least + MORE_BANDS).min(g.out[1])).min_by_key(|&bands| longest(bands));
    cut(bands.unwrap_or(least))
}
