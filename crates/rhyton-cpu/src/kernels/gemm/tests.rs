//! Products of all kinds against the definition, in `f64`, on each instruction set and several thread counts.

use super::*;
use crate::pool::Pool;
use std::sync::Mutex;

/// Numbers in [-1, 1] that look random.
fn numbers(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_769).wrapping_add(12345);
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// The element of a view by its definition.
fn element(view: &View<'_, f32>, offset: isize, row: usize, col: usize) -> f64 {
    let mut at = view.space.origin;
    let mut place = view.offset + offset;
    for (axis, mut index) in [(&view.rows, row), (&view.cols, col)] {
        for dim in axis.dims().iter().rev() {
            let i = index % dim.size;
            index /= dim.size;
            place += i as isize * dim.stride;
            (0..3).for_each(|d| at[d] += i as i32 * dim.steps[d]);
        }
    }
    if (0..3).any(|d| at[d] < 0 || at[d] >= view.space.extent[d]) {
        return 0.0;
    }
    place += (0..3).map(|d| at[d] as isize * view.space.strides[d]).sum::<isize>();
    match view.data {
        Elements::Native(data) => f64::from(data[place as usize]),
        Elements::F16(data) => data[place as usize].to_f64(),
        Elements::Bf16(data) => data[place as usize].to_f64(),
    }
}

/// Multiplies `a` by `b` on all instruction sets, alone and with threads, and compares each element.
fn check(a: View<'_, f32>, b: View<'_, f32>, batch: &[BatchDim]) {
    let ((m, k), n) = (a.shape(), b.shape().1);
    let batches: usize = batch.iter().map(|dim| dim.size).product();
    let mut expected = vec![(0.0, 0.0); batches * m * n];
    for i in 0..batches {
        let a_offset = packed::offset_of(batch.iter().map(|dim| (dim.size, dim.a)), i);
        let b_offset = packed::offset_of(batch.iter().map(|dim| (dim.size, dim.b)), i);
        for row in 0..m {
            for col in 0..n {
                let products = (0..k).map(|j| element(&a, a_offset, row, j) * element(&b, b_offset, j, col));
                let (sum, size) = products.fold((0.0, 0.0), |(sum, size), x: f64| (sum + x, size + x.abs()));
                expected[(i * m + row) * n + col] = (sum, size);
            }
        }
    }
    for isa in Isa::available() {
        let mut first: Option<Vec<f32>> = None;
        for (threads, packed) in [(1, false), (3, false), (3, true)] {
            let pool = Pool::new(threads);
            let own: Vec<_> = batch.iter().filter(|dim| dim.b != 0).map(|dim| (dim.size, dim.b)).collect();
            let kept = packed.then(|| PackedB::new(&pool, isa, b, &own));
            let mut c = vec![0.5f32; batches * m * n + 3];
            let seen = Mutex::new(vec![0; batches * m * n]);
            let epilogue = |mut tile: Tile<'_, f32>| {
                let mut seen = seen.lock().unwrap();
                for i in 0..tile.rows {
                    let at = (tile.batch * m + tile.row0 + i) * n + tile.col0;
                    assert_eq!(tile.offset as isize + i as isize * tile.row_stride, at as isize);
                    seen[at..at + tile.cols].iter_mut().for_each(|count| *count += 1);
                    if tile.col_stride == 1 || tile.cols == 1 {
                        tile.row(i).iter_mut().for_each(|x| *x *= 2.0);
                    }
                }
            };
            let product = Gemm {
                a,
                b: kept.as_ref().map_or(Rhs::View(b), |kept| Rhs::Packed(kept.view())),
                c: Out::matrix(&mut c, (m, n), n),
                batch,
                accumulate: true,
                epilogue: Some(Epilogue::new(&epilogue)),
            };
            gemm(&pool, isa, &product);
            check_finish(&pool, isa, (product.a, product.b), batch, batches * m * n);
            assert!(seen.lock().unwrap().iter().all(|&count| count == 1), "{isa}: {m}x{k}x{n}: the epilogue's tiles");
            assert_eq!(c[batches * m * n..], [0.5; 3], "{isa}: {m}x{k}x{n}: written past the end");
            for (i, &(sum, size)) in expected.iter().enumerate() {
                let error = (f64::from(c[i]) - 2.0 * (sum + 0.5)).abs();
                assert!(error <= 1e-6 * (size + 1.0), "{isa}: {m}x{k}x{n}: element {i} is off by {error}");
            }
            // Packing may change the order of additions, the number of threads may not.
            if !packed {
                let same = first.get_or_insert_with(|| c.clone());
                assert_eq!(*same, c, "{isa}: {m}x{k}x{n}: differs with {threads} threads");
            }
        }
    }
}

/// A finish is what its definition makes of the elements, be it done by micro-kernels or on tiles.
fn check_finish(pool: &Pool, isa: Isa, (a, b): (View<'_, f32>, Rhs<'_, f32>), batch: &[BatchDim], len: usize) {
    let m = a.shape().0;
    let n = len / m / batch.iter().map(|dim| dim.size).product::<usize>();
    let (bias, plus) = (numbers(n, 5), numbers(len, 6));
    let run = |c: &mut [f32], epilogue: Option<Epilogue<'_, f32>>| {
        let c = Out::matrix(c, (m, n), n);
        gemm(pool, isa, &Gemm { a, b, c, batch, accumulate: true, epilogue });
    };
    let mut sums = vec![0.25f32; len];
    run(&mut sums, None);
    for (bias, plus, low, high, swish) in [
        (&bias[..], &plus[..], -1.0, 1.0, false),
        (&bias, &[], 0.0, f32::INFINITY, false),
        (&[], &plus, f32::NEG_INFINITY, 0.5, false),
        (&[], &[], 0.0, 6.0, false),
        (&bias, &[], f32::NEG_INFINITY, f32::INFINITY, true),
    ] {
        let finish = Finish { bias, plus, low, high, swish, onto: false };
        let of = |x: f32, i: usize| {
            let x = x + bias.get(i % n).unwrap_or(&0.0) + plus.get(i).unwrap_or(&0.0);
            let x = x.max(low).min(high);
            if swish { (f64::from(x) / (1.0 + (-f64::from(x)).exp())) as f32 } else { x }
        };
        let tiles = |mut tile: Tile<'_, f32>| {
            for i in 0..tile.rows {
                let first = tile.offset as isize + i as isize * tile.row_stride;
                for j in 0..tile.cols as isize {
                    // SAFETY: an element of the tile.
                    let x =
                        unsafe { &mut *tile.as_mut_ptr().offset(i as isize * tile.row_stride + j * tile.col_stride) };
                    *x = of(*x, (first + j * tile.col_stride) as usize);
                }
            }
        };
        let mut c = vec![0.25f32; len];
        run(&mut c, Some(Epilogue { tiles: &tiles, finish: Some(finish) }));
        let expected: Vec<f32> = sums.iter().enumerate().map(|(i, &x)| of(x, i)).collect();
        for (i, (&c, &expected)) in c.iter().zip(&expected).enumerate() {
            let error = if swish { 3e-7 * expected.abs() } else { 0.0 };
            assert!((c - expected).abs() <= error, "{isa}: {finish:?}: element {i} is {c}, not {expected}");
        }
    }
}

const NONE: [BatchDim; 0] = [];

#[test]
fn all_layouts_and_sizes() {
    let sizes = [
        (1, 1, 1),
        (1, 100, 1),
        (5, 33, 1),
        (1, 17, 70),
        (2, 64, 9),
        (3, 40, 100),
        (6, 5, 64),
        (7, 8, 65),
        (12, 16, 48),
        (13, 31, 33),
        (25, 20, 10),
        (97, 64, 130),
        (128, 321, 40),
        (14, 700, 15),
        (100, 1, 100),
    ];
    for (m, k, n) in sizes {
        let (x, y) = (numbers(m * k * 2, 1), numbers(k * n * 2, 2));
        let (mi, ki, ni) = (m as isize, k as isize, n as isize);
        for a in [(ki, 1), (1, mi), (2, 2 * mi)] {
            for b in [(ni, 1), (1, ki), (2 * ni, 2)] {
                check(View::strided(&x[..], (m, k), a), View::strided(&y[..], (k, n), b), &NONE);
            }
        }
    }
}

#[test]
fn a_long_k_is_split() {
    let (m, k, n) = (35, 5000, 20);
    let (x, y) = (numbers(m * k, 3), numbers(k * n, 4));
    check(View::strided(&x[..], (m, k), (1, m as isize)), View::strided(&y[..], (k, n), (n as isize, 1)), &NONE);
}

#[test]
fn batches_with_shared_operands() {
    let (x, y) = (numbers(2 * 3 * 20 * 30, 5), numbers(3 * 30 * 25, 6));
    let batch = [BatchDim { size: 2, a: 1800, b: 0, c: 1500 }, BatchDim { size: 3, a: 600, b: 750, c: 500 }];
    let a = View::strided(&x[..], (20, 30), (30, 1));
    check(a, View::strided(&y[..], (30, 25), (25, 1)), &batch);
    check(a, View::strided(&y[..], (30, 25), (1, 30)), &batch);
}

#[test]
fn halves_are_converted() {
    let (x, y) = (numbers(40 * 50, 7), numbers(50 * 30, 8));
    let x16: Vec<_> = x.iter().map(|&x| half::f16::from_f32(x)).collect();
    let y16: Vec<_> = y.iter().map(|&y| half::bf16::from_f32(y)).collect();
    for (a, b) in [((50, 1), (30, 1)), ((1, 40), (1, 50))] {
        check(View::strided(Elements::F16(&x16), (40, 50), a), View::strided(Elements::Bf16(&y16), (50, 30), b), &NONE);
    }
}

/// The rows of an im2col view: (image, y, x) of 2 images of 9 by 7 with 3 channels in windows of 3 by 2, padded by 1.
fn image(data: &[f32]) -> View<'_, f32> {
    let rows = [
        Dim::plain(2, 189),
        Dim { size: 5, stride: 0, steps: [0, 2, 0] },
        Dim { size: 8, stride: 0, steps: [0, 0, 1] },
    ];
    let cols =
        [Dim { size: 3, stride: 0, steps: [0, 1, 0] }, Dim { size: 2, stride: 0, steps: [0, 0, 1] }, Dim::plain(3, 1)];
    let space = Space { origin: [0, -1, -1], extent: [1, 9, 7], strides: [0, 21, 3] };
    View::new(data, 0, Axis::new(&rows), Axis::new(&cols), space)
}

#[test]
fn images_as_either_operand() {
    let x = numbers(2 * 9 * 7 * 3, 9);
    let w = numbers(80 * 40, 10);
    let (rows, cols) = image(&x).shape();
    check(image(&x), View::strided(&w[..], (cols, 40), (40, 1)), &NONE);
    check(image(&x).transposed(), View::strided(&w[..], (rows, 33), (33, 1)), &NONE);
    check(View::strided(&w[..], (31, cols), (cols as isize, 1)), image(&x).transposed(), &NONE);
    check(View::strided(&w[..], (40, rows), (1, 40)), image(&x), &NONE);
}

#[test]
fn f64_in_a_strided_c() {
    let (m, k, n) = (30, 400, 21);
    let x: Vec<f64> = numbers(m * k, 11).into_iter().map(f64::from).collect();
    let y: Vec<f64> = numbers(k * n, 12).into_iter().map(f64::from).collect();
    for isa in Isa::available() {
        // C is transposed, and its rows are pairs of pairs.
        let mut c = vec![0.0; n * 40];
        let rows = Axis::new(&[Dim::plain(15, 2 * n as isize), Dim::plain(2, 1)]);
        gemm(
            &Pool::new(2),
            isa,
            &Gemm {
                a: View::strided(&x[..], (m, k), (k as isize, 1)),
                b: Rhs::View(View::strided(&y[..], (k, n), (n as isize, 1))),
                c: Out::new(&mut c, 0, rows, n, 2),
                batch: &[],
                accumulate: false,
                epilogue: None,
            },
        );
        for row in 0..m {
            for col in 0..n {
                let expected: f64 = (0..k).map(|j| x[row * k + j] * y[j * n + col]).sum();
                let found = c[row / 2 * 2 * n + row % 2 + 2 * col];
                assert!((found - expected).abs() < 1e-12, "{isa}: ({row}, {col}): {found} is not {expected}");
            }
        }
    }
}

#[test]
fn the_sum_of_nothing_is_zero() {
    let mut c = vec![1.0f32; 6];
    gemm(
        &Pool::new(1),
        Isa::Portable,
        &Gemm {
            a: View::strided(&[][..], (2, 0), (0, 1)),
            b: Rhs::View(View::strided(&[][..], (0, 3), (3, 1))),
            c: Out::matrix(&mut c, (2, 3), 3),
            batch: &[],
            accumulate: false,
            epilogue: None,
        },
    );
    assert_eq!(c, [0.0; 6]);
}

#[test]
#[should_panic(expected = "elements of c overlap")]
fn an_overlapping_c_is_refused() {
    let x = [1.0f32; 4];
    let mut c = [0.0; 4];
    gemm(
        &Pool::new(1),
        Isa::Portable,
        &Gemm {
            a: View::strided(&x[..], (2, 2), (2, 1)),
            b: Rhs::View(View::strided(&x[..], (2, 2), (2, 1))),
            c: Out::matrix(&mut c, (2, 2), 1),
            batch: &[],
            accumulate: false,
            epilogue: None,
        },
    );
}
