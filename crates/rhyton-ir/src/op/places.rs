//! Where elements lie in row-major order.

/// The place of the element at `index`.
pub(crate) fn offset(shape: &[usize], index: &[usize]) -> usize {
    shape.iter().zip(index).fold(0, |at, (&d, &i)| at * d + i)
}

/// For every line along `axis`, the places of its elements.
pub(crate) fn lines(shape: &[usize], axis: usize) -> impl Iterator<Item = Vec<usize>> + use<> {
    let (n, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
    let outer: usize = shape[..axis].iter().product();
    (0..outer).flat_map(move |o| (0..inner).map(move |i| (0..n).map(|k| (o * n + k) * inner + i).collect()))
}

/// The axes below `rank` that are in none of `taken`.
pub(crate) fn other_axes(rank: usize, taken: &[&[usize]]) -> Vec<usize> {
    (0..rank).filter(|axis| !taken.iter().any(|t| t.contains(axis))).collect()
}
