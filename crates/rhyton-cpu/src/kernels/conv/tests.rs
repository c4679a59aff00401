//! Convolutions of all kinds against the definition.

use rhyton_ir::op::ConvDims;

use super::*;
use crate::kernels::gemm::Finish;

fn numbers(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// The definition, in `f64`: the sums and the sums of absolute values.
fn direct(g: &ConvGeometry, lhs: &[f32], rhs: &[f32]) -> Vec<(f64, f64)> {
    let mut out = vec![(0.0, 0.0); g.out_len()];
    let (ic, batch) = (g.in_features / g.feature_groups, g.batch / g.batch_groups);
    let each = |sizes: [usize; 3], f: &mut dyn FnMut([usize; 3])| {
        (0..sizes.iter().product()).for_each(|i: usize| {
            f([i / sizes[2] / sizes[1], i / sizes[2] % sizes[1], i % sizes[2]]);
        });
    };
    let at = |s: &ConvStrides, b: usize, f: usize, p: [usize; 3]| {
        (b as isize * s.batch + f as isize * s.feature + (0..3).map(|d| p[d] as isize * s.spatial[d]).sum::<isize>())
            as usize
    };
    for b in 0..batch {
        for o in 0..g.out_features {
            let group = o / (g.out_features / (g.feature_groups * g.batch_groups));
            let (image, first) = if g.batch_groups > 1 { (group * batch + b, 0) } else { (b, group * ic) };
            each(g.out, &mut |p| {
                let sum = &mut out[at(&g.out_strides, b, o, p)];
                each(g.kernel, &mut |k| {
                    let mut place = [0; 3];
                    for d in 0..3 {
                        let x = (p[d] * g.strides[d] + k[d] * g.rhs_dilation[d]) as i64 - g.padding[d];
                        let l = g.lhs_dilation[d] as i64;
                        if x < 0 || x % l != 0 || x / l >= g.image[d] as i64 {
                            return;
                        }
                        place[d] = (x / l) as usize;
                    }
                    let k = std::array::from_fn(|d| if g.reversed[d] { g.kernel[d] - 1 - k[d] } else { k[d] });
                    for i in 0..ic {
                        let x = f64::from(lhs[at(&g.lhs_strides, image, first + i, place)]);
                        let product = x * f64::from(rhs[at(&g.rhs_strides, o, i, k)]);
                        *sum = (sum.0 + product, sum.1 + product.abs());
                    }
                });
            });
        }
    }
    out
}

fn check(op: &Convolution, lhs_shape: &[usize], rhs_shape: &[usize]) {
    let g = ConvGeometry::new(op, lhs_shape, rhs_shape).unwrap();
    for reversed in [[false; 3], [false, true, true]] {
        let g = ConvGeometry { reversed, ..g };
        let lhs = numbers(lhs_shape.iter().product(), 1);
        let rhs = numbers(rhs_shape.iter().product(), 2);
        let expected = direct(&g, &lhs, &rhs);
        for isa in Isa::available() {
            let mut first: Option<Vec<f32>> = None;
            for threads in [1, 3] {
                let mut out = vec![f32::NAN; g.out_len()];
                let double = |mut tile: crate::kernels::gemm::Tile<'_, f32>| {
                    if tile.col_stride == 1 || tile.cols == 1 {
                        (0..tile.rows).for_each(|i| tile.row(i).iter_mut().for_each(|x| *x *= 2.0));
                        return;
                    }
                    for row in 0..tile.rows as isize {
                        for col in 0..tile.cols as isize {
                            // SAFETY: an element of the tile.
                            unsafe { *tile.as_mut_ptr().offset(row * tile.row_stride + col * tile.col_stride) *= 2.0 };
                        }
                    }
                };
                let pool = Pool::new(threads);
                convolution(&pool, isa, &g, &lhs, &rhs, &mut out, Some(Epilogue::new(&double)));
                check_finish(&pool, isa, &g, &lhs, &rhs);
                let largest = expected.iter().map(|e| e.1).fold(0.0, f64::max);
                for (i, &(sum, size)) in expected.iter().enumerate() {
                    let error = (f64::from(out[i]) - 2.0 * sum).abs();
                    // Winograd's sums are of whole tiles, whatever part of them lies in the image.
                    let size = if Winograd::new(&g).is_some_and(|w| w.unpacked) || KernelGradient::new(&g).is_some() {
                        largest
                    } else {
                        size
                    };
                    assert!(
                        error <= 1e-6 * (size + 0.1),
                        "{isa}: {op:?} {lhs_shape:?} {rhs_shape:?}: {i}: {} is not {}",
                        out[i],
                        2.0 * sum
                    );
                }
                assert_eq!(*first.get_or_insert_with(|| out.clone()), out, "{isa}: {op:?}: {threads} threads differ");
            }
        }
    }
}

/// A finish is what its definition makes of the elements, be it done by kernels or on tiles.
fn check_finish(pool: &Pool, isa: Isa, g: &ConvGeometry, lhs: &[f32], rhs: &[f32]) {
    if g.out_strides.feature != 1 {
        return;
    }
    let n = g.out_features;
    let (bias, plus) = (numbers(n, 5), numbers(g.out_len(), 6));
    let mut sums = vec![f32::NAN; g.out_len()];
    convolution(pool, isa, g, lhs, rhs, &mut sums, None);
    for (plus, low, high, swish) in
        [(&plus[..], -1.0, 1.0, false), (&[], 0.0, f32::INFINITY, false), (&[], f32::NEG_INFINITY, f32::INFINITY, true)]
    {
        let of = |x: f32, i: usize| {
            let x = (x + bias[i % n] + plus.get(i).unwrap_or(&0.0)).max(low).min(high);
            if swish { (f64::from(x) / (1.0 + (-f64::from(x)).exp())) as f32 } else { x }
        };
        let tiles = |mut tile: crate::kernels::gemm::Tile<'_, f32>| {
            for i in 0..tile.rows {
                let first = tile.offset + i * tile.row_stride as usize;
                tile.row(i).iter_mut().enumerate().for_each(|(j, x)| *x = of(*x, first + j));
            }
        };
        let finish = Some(Finish { bias: &bias, plus, low, high, swish, onto: false });
        let mut out = vec![f32::NAN; g.out_len()];
        convolution(pool, isa, g, lhs, rhs, &mut out, Some(Epilogue { tiles: &tiles, finish }));
        let expected: Vec<f32> = sums.iter().enumerate().map(|(i, &x)| of(x, i)).collect();
        for (i, (&out, &expected)) in out.iter().zip(&expected).enumerate() {
            let error = if swish { 3e-7 * expected.abs() } else { 0.0 };
            assert!((out - expected).abs() <= error, "{isa}: {g:?}: element {i} is {out}, not {expected}");
        }
    }
}

/// Channels last, kernels HWIO.
fn nhwc(rank: usize) -> ConvDims {
    let space: Vec<usize> = (1..=rank).collect();
    ConvDims {
        lhs_batch: 0,
        lhs_feature: rank + 1,
        lhs_spatial: space.clone(),
        rhs_input: rank,
        rhs_output: rank + 1,
        rhs_spatial: (0..rank).collect(),
        out_batch: 0,
        out_feature: rank + 1,
        out_spatial: space,
    }
}

fn plain(dims: ConvDims) -> Convolution {
    let rank = dims.lhs_spatial.len();
    Convolution {
        dims,
        strides: vec![1; rank],
        padding: vec![(0, 0); rank],
        lhs_dilation: vec![1; rank],
        rhs_dilation: vec![1; rank],
        feature_groups: 1,
        batch_groups: 1,
    }
}

#[test]
fn forward_in_all_ranks() {
    check(&plain(nhwc(1)), &[2, 9, 5], &[3, 5, 7]);
    let padded = Convolution { padding: vec![(1, 1); 2], strides: vec![2, 1], ..plain(nhwc(2)) };
    check(&padded, &[2, 9, 8, 3], &[3, 3, 3, 20]);
    check(&padded, &[2, 9, 8, 16], &[3, 3, 16, 70]);
    check(&padded, &[3, 6, 7, 1], &[5, 3, 1, 32]);
    check(&Convolution { padding: vec![(-1, 2), (0, 0)], ..padded.clone() }, &[2, 9, 8, 4], &[3, 3, 4, 5]);
    check(&Convolution { padding: vec![(0, 1), (1, 0), (2, 2)], ..plain(nhwc(3)) }, &[1, 4, 5, 6, 3], &[2, 3, 3, 3, 9]);
}

#[test]
fn dilations_of_both_operands() {
    for (stride, lhs, rhs, padding) in
        [(1, 2, 1, 1), (1, 3, 2, 2), (2, 2, 1, 0), (3, 2, 2, 3), (2, 4, 3, 1), (1, 1, 3, 2), (1, 5, 1, 0)]
    {
        let op = Convolution {
            strides: vec![stride, 1],
            lhs_dilation: vec![lhs, 2],
            rhs_dilation: vec![rhs, 1],
            padding: vec![(padding, padding + 1), (1, 1)],
            ..plain(nhwc(2))
        };
        check(&op, &[2, 5, 4, 4], &[3, 2, 4, 6]);
        check(&Convolution { feature_groups: 20, ..op }, &[2, 5, 4, 20], &[3, 2, 1, 20]);
    }
}

#[test]
fn groups_of_both_kinds() {
    let op = Convolution { padding: vec![(1, 1); 2], ..plain(nhwc(2)) };
    check(&Convolution { feature_groups: 3, ..op.clone() }, &[2, 5, 6, 12], &[3, 3, 4, 9]);
    check(&Convolution { feature_groups: 8, ..op.clone() }, &[2, 5, 6, 8], &[3, 3, 1, 16]);
    check(&Convolution { feature_groups: 37, ..op.clone() }, &[2, 5, 6, 37], &[3, 3, 1, 37]);
    check(&Convolution { batch_groups: 2, ..op }, &[6, 5, 6, 4], &[3, 3, 4, 10]);
}

#[test]
fn channels_alone() {
    for (taps, stride, dilation) in
        [(3, 1, 1), (3, 2, 1), (3, 3, 1), (5, 1, 1), (5, 2, 1), (4, 1, 1), (3, 2, 2), (3, 4, 2)]
    {
        for channels in [16, 37, 80] {
            let op = Convolution {
                strides: vec![stride; 2],
                padding: vec![(1, 2); 2],
                rhs_dilation: vec![dilation; 2],
                feature_groups: channels,
                ..plain(nhwc(2))
            };
            check(&op, &[2, 7, 23, channels], &[3, taps, 1, channels]);
        }
    }
}

/// The kernel's gradient: batch and features change roles.
fn kernel_gradient() -> ConvDims {
    ConvDims {
        lhs_batch: 3,
        lhs_feature: 0,
        lhs_spatial: vec![1, 2],
        rhs_input: 0,
        rhs_output: 3,
        rhs_spatial: vec![1, 2],
        out_batch: 2,
        out_feature: 3,
        out_spatial: vec![0, 1],
    }
}

#[test]
fn gradients_of_kernels() {
    let op = Convolution { padding: vec![(1, 1); 2], ..plain(kernel_gradient()) };
    check(&op, &[4, 9, 8, 6], &[4, 9, 8, 10]);
    check(&op, &[8, 20, 20, 5], &[8, 20, 20, 18]);
    let strided = Convolution { rhs_dilation: vec![2, 2], padding: vec![(0, 1); 2], ..op.clone() };
    check(&strided, &[4, 9, 8, 16], &[4, 4, 4, 33]);
    check(&Convolution { batch_groups: 35, ..op }, &[20, 9, 8, 35], &[20, 9, 8, 35]);
    check(&Convolution { batch_groups: 16, ..strided }, &[3, 9, 8, 16], &[3, 4, 4, 16]);
}

#[test]
fn channels_first() {
    let dims = ConvDims {
        lhs_batch: 0,
        lhs_feature: 1,
        lhs_spatial: vec![2, 3],
        rhs_input: 1,
        rhs_output: 0,
        rhs_spatial: vec![2, 3],
        out_batch: 0,
        out_feature: 1,
        out_spatial: vec![2, 3],
    };
    let op = Convolution { padding: vec![(1, 1); 2], ..plain(dims) };
    check(&op, &[2, 5, 9, 8], &[7, 5, 3, 3]);
    check(&Convolution { strides: vec![2, 2], ..op.clone() }, &[2, 6, 9, 8], &[7, 6, 3, 3]);
    check(&Convolution { lhs_dilation: vec![2, 2], ..op.clone() }, &[2, 6, 4, 4], &[7, 6, 3, 3]);
    check(&Convolution { feature_groups: 6, ..op }, &[2, 6, 9, 8], &[6, 1, 3, 3]);
}

#[test]
fn windows_of_nine_by_winograd() {
    let padded = |before: i64, after: i64| Convolution { padding: vec![(before, after); 2], ..plain(nhwc(2)) };
    // The gradient of the images: features change roles.
    let gradient = ConvDims { rhs_input: 3, rhs_output: 2, ..nhwc(2) };
    let cases = [
        (padded(1, 1), [8, 16, 12, 32], [3, 3, 32, 48]),
        (padded(0, 0), [3, 19, 21, 32], [3, 3, 32, 80]),
        (padded(2, 2), [8, 9, 14, 64], [3, 3, 64, 32]),
        (padded(1, 0), [1, 7, 230, 48], [3, 3, 48, 32]),
        (padded(1, 1), [4, 13, 13, 192], [3, 3, 192, 208]),
        (Convolution { dims: gradient, ..padded(1, 1) }, [6, 14, 15, 64], [3, 3, 32, 64]),
    ];
    for (op, lhs, rhs) in cases {
        let g = ConvGeometry::new(&op, &lhs, &rhs).unwrap();
        assert!(Winograd::new(&g).is_some_and(|w| w.unpacked), "{lhs:?} {rhs:?}");
        check(&op, &lhs, &rhs);
    }
}

#[test]
fn gradients_of_kernels_by_winograd() {
    let cases = [
        (1, [4, 12, 9, 32], [4, 12, 9, 48]),
        (0, [3, 22, 18, 64], [3, 20, 16, 32]),
        (1, [40, 4, 8, 80], [40, 4, 8, 144]),
    ];
    for (padding, lhs, rhs) in cases {
        let op = Convolution { padding: vec![(padding, padding); 2], ..plain(kernel_gradient()) };
        let g = ConvGeometry::new(&op, &lhs, &rhs).unwrap();
        assert!(KernelGradient::new(&g).is_some(), "{lhs:?} {rhs:?}");
        check(&op, &lhs, &rhs);
    }
}

/// Runs a plan with the packed kernel.
fn run_packed(
    pool: &Pool,
    isa: Isa,
    plan: &ConvPlan,
    lhs: &[f32],
    packed: &[f32],
    epilogue: Option<Epilogue<'_, f32>>,
) -> Vec<f32> {
    let mut out = vec![f32::NAN; plan.geometry().out_len()];
    // SAFETY: the result is this one's alone.
    unsafe { plan.run(pool, isa, lhs, Kernel::Packed(packed), out.as_mut_ptr(), out.len(), false, epilogue) };
    out
}

#[test]
fn constant_kernels_by_strassen() {
    // The gradient of the images: features change roles.
    let gradient = ConvDims { rhs_input: 3, rhs_output: 2, ..nhwc(2) };
    let strided = Convolution { strides: vec![2, 2], ..plain(nhwc(2)) };
    let cases = [
        (plain(nhwc(2)), [5, 7, 9, 512], [1, 1, 512, 520]),
        (strided, [5, 14, 17, 728], [1, 1, 728, 500]),
        (plain(gradient), [3, 12, 10, 600], [1, 1, 512, 600]),
    ];
    for (op, lhs_shape, rhs_shape) in cases {
        let g = ConvGeometry::new(&op, &lhs_shape, &rhs_shape).unwrap();
        assert!(Strassen::new(&g).is_some(), "{lhs_shape:?} {rhs_shape:?}");
        let (lhs, rhs) = (numbers(lhs_shape.iter().product(), 1), numbers(rhs_shape.iter().product(), 2));
        let (bias, plus) = (numbers(g.out_features, 5), numbers(g.out_len(), 6));
        let expected = direct(&g, &lhs, &rhs);
        let largest = expected.iter().map(|e| e.1).fold(0.0, f64::max);
        let plan = ConvPlan::new(&g);
        for isa in Isa::available() {
            let mut memory = vec![0.0; plan.packed::<f32>().unwrap()];
            plan.pack(&Pool::new(2), isa, &rhs, &mut memory);
            let sums = run_packed(&Pool::new(1), isa, &plan, &lhs, &memory, None);
            for (i, (&sum, expected)) in sums.iter().zip(&expected).enumerate() {
                assert!((f64::from(sum) - expected.0).abs() <= 1e-6 * largest, "{isa}: {op:?}: {i}: {sum}");
            }
            let pool = Pool::new(3);
            assert_eq!(sums, run_packed(&pool, isa, &plan, &lhs, &memory, None), "{isa}: 3 threads differ");
            // What kernels do to the elements is what is done to them on tiles.
            let of = |x: f32, i: usize| (x + bias[i % g.out_features] + plus[i]).clamp(-9.0, 9.0);
            let expected: Vec<f32> = sums.iter().enumerate().map(|(i, &x)| of(x, i)).collect();
            let tiles = |mut tile: crate::kernels::gemm::Tile<'_, f32>| {
                for i in 0..tile.rows {
                    let first = tile.offset + i * tile.row_stride as usize;
                    tile.row(i).iter_mut().enumerate().for_each(|(j, x)| *x = of(*x, first + j));
                }
            };
            let finish = Finish { bias: &bias, plus: &plus, low: -9.0, high: 9.0, swish: false, onto: false };
            for finish in [None, Some(finish)] {
                let out = run_packed(&pool, isa, &plan, &lhs, &memory, Some(Epilogue { tiles: &tiles, finish }));
                assert_eq!(out, expected, "{isa}: {op:?}");
            }
            // No image depends on the others.
            let mut broken = lhs.clone();
            let image = lhs.len() / g.batch;
            broken[image..2 * image].fill(f32::NAN);
            let out = run_packed(&pool, isa, &plan, &broken, &memory, None);
            let image = out.len() / g.batch;
            let others = |x: &[f32]| [&x[..image], &x[2 * image..]].concat();
            assert_eq!(others(&out), others(&sums), "{isa}: {op:?}: an image changed with another");
        }
    }
}

#[test]
fn packed_kernels_give_the_same() {
    for (lhs_shape, rhs_shape, groups) in
        [([8, 16, 12, 32], [3, 3, 32, 48], 1), ([2, 9, 8, 6], [3, 3, 6, 20], 1), ([2, 9, 8, 6], [2, 2, 3, 20], 2)]
    {
        let op = Convolution { feature_groups: groups, ..plain(nhwc(2)) };
        let g = ConvGeometry::new(&op, &lhs_shape, &rhs_shape).unwrap();
        let (lhs, rhs) = (numbers(lhs_shape.iter().product(), 1), numbers(rhs_shape.iter().product(), 2));
        let (pool, plan) = (Pool::new(2), ConvPlan::new(&g));
        for isa in Isa::available() {
            let mut memory = vec![0.0; plan.packed::<f32>().unwrap()];
            plan.pack(&pool, isa, rhs[..].into(), &mut memory);
            let [plain, packed] = [Kernel::Elements(&rhs), Kernel::Packed(&memory[..])].map(|kernel| {
                let mut out = vec![f32::NAN; g.out_len()];
                // SAFETY: the result is this one's alone.
                unsafe { plan.run(&pool, isa, lhs[..].into(), kernel, out.as_mut_ptr(), out.len(), false, None) };
                out
            });
            assert!(plain == packed, "{isa} {lhs_shape:?}");
        }
    }
}

#[test]
fn an_empty_kernel_gives_zeros_and_an_empty_result_nothing() {
    check(&plain(nhwc(1)), &[2, 3, 0], &[2, 0, 4]);
    check(&plain(nhwc(1)), &[2, 1, 3], &[2, 3, 4]);
}
