//! Convolutions of 3 × 3 windows with a quarter of the multiplications: Winograd's F(4 × 4, 3 × 3).
//!
//! A tile of 4 × 4 outputs depends on 6 × 6 inputs. Tile `d` and kernel `g` are transformed, multiplied element by
//! element and summed over the input features, and transformed back: `Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A`. For all tiles and
//! features that is 36 products of matrices, tiles by input features by output features: 36 multiplications for 16
//! outputs, which take 9 · 16 = 144 directly (Lavin and Gray, 2015, <https://arxiv.org/abs/1509.09308>).
//!
//! In `images`, a task takes some rows of tiles and some output features. For a block of input features at a time it transforms
//! its tiles, which then lie in the second-level cache, and adds their 36 products; then it transforms back, writes, and
//! runs the epilogue on its rows of the result. Neither transformed images nor products are ever written out whole. Gradients
//! of kernels, in `kernel_gradient`, are computed by the transposed algorithm.
//!
//! The matrices are those of interpolation at 0, ±a, ±b and infinity. With a = 2/3 and b = 3/2, of the pairs tried, the
//! largest error of random tiles of 64 features was 5·10⁻⁶ of the results' root mean square, with the usual a = 1 and
//! b = 2 it was 3·10⁻⁵; the root mean square of the errors 9·10⁻⁷ and 2·10⁻⁶.

mod images;
mod kernel_gradient;
mod transforms;

pub(super) use images::Winograd;
pub(super) use kernel_gradient::KernelGradient;
pub(crate) use transforms::{Transforms, f32_transforms};

use crate::kernels::gemm::prefetch;

/// Outputs of a tile along an axis.
const OUT: usize = 4;
/// Inputs of a tile along an axis.
const IN: usize = 6;
/// Taps of a kernel.
const TAPS: usize = 9;
/// Elements of a transformed tile.
const POINTS: usize = IN * IN;
/// Features must be a multiple of this: whole vectors with every instruction set.
const FEATURES: usize = 16;
/// What transforming an element costs in terms of a multiplication of the products, for a feature of a tile.
const TRANSFORM: f64 = 8.0;
/// Elements of a line of the cache.
const LINE: usize = 16;

/// Elements between the points of transformed tiles, or the sums of rows, that take `len` each: an odd number of lines, so that those
/// of a tile, which are written together, lie in different sets of the cache.
pub(super) fn point_step(len: usize) -> usize {
    (len.div_ceil(LINE) | 1) * LINE
}

/// Where a tile is: its image, and its first output.
#[derive(Clone, Copy)]
struct Place {
    image: usize,
    y: usize,
    x: usize,
}

/// Where the positions of images are in a buffer.
#[derive(Clone, Copy, Debug)]
struct Positions {
    /// Rows, and positions of a row.
    sizes: [usize; 2],
    /// Elements between images, rows and positions.
    strides: [isize; 3],
}

impl Positions {
    fn new(sizes: [usize; 3], image: isize, spatial: [isize; 3]) -> Positions {
        Positions { sizes: [sizes[1], sizes[2]], strides: [image, spatial[1], spatial[2]] }
    }

    /// Pointers to the `COUNT = SIDE · SIDE` positions from (`y`, `x`) of an image, row by row; `zeros` for those outside of it.
    fn tile<T, const SIDE: usize, const COUNT: usize>(
        &self,
        images: *const T,
        image: usize,
        (y, x): (i64, i64),
        zeros: *const T,
    ) -> [*const T; COUNT] {
        const { assert!(SIDE * SIDE == COUNT) };
        let [image_stride, row, column] = self.strides;
        let first = images.wrapping_offset(image as isize * image_stride + y as isize * row + x as isize * column);
        let mut all = [zeros; COUNT];
        let range = |from: i64, size: usize| {
            let last = (size as i64 - from).clamp(0, SIDE as i64);
            ((-from).clamp(0, last) as usize, last as usize)
        };
        let ((y0, y1), (x0, x1)) = (range(y, self.sizes[0]), range(x, self.sizes[1]));
        for i in y0..y1 {
            for j in x0..x1 {
                all[i * SIDE + j] = first.wrapping_offset(i as isize * row + j as isize * column);
            }
        }
        all
    }
}

/// Has `features` from each of these pointers fetched from memory.
pub(super) fn fetch<T>(positions: &[*const T], features: usize) {
    for position in positions {
        (0..features).step_by(LINE).for_each(|i| prefetch(position.wrapping_add(i)));
    }
}
