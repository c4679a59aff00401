//! Views: how a value reads the elements of a tensor that lies in memory.
//!
//! Broadcasts, transposes, slices, reversals and most reshapes move nothing: they are other strides over the same
//! elements. A kernel that understands strides reads through the view; one that does not asks for a dense copy.

/// Elements of tensor `tensor`: index `i` is at `offset + Σ i[a]·strides[a]`, in elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// The tensor, by its number in the lowering.
    pub tensor: usize,
    /// The place of element 0.
    pub offset: isize,
    /// The sizes of the axes.
    pub dims: Vec<usize>,
    /// The distance of neighbours along each axis; 0 repeats, negative reverses.
    pub strides: Vec<isize>,
}

/// Row-major strides of `dims`.
pub(crate) fn dense_strides(dims: &[usize]) -> Vec<isize> {
    let mut strides = vec![1isize; dims.len()];
    for a in (1..dims.len()).rev() {
        strides[a - 1] = strides[a] * dims[a] as isize;
    }
    strides
}

impl View {
    /// All of a tensor, row-major.
    pub fn dense(tensor: usize, dims: &[usize]) -> View {
        View { tensor, offset: 0, dims: dims.to_vec(), strides: dense_strides(dims) }
    }

    /// The number of elements it shows.
    pub fn count(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether it shows elements `0..count` of the tensor in order.
    pub fn is_dense(&self) -> bool {
        self.offset == 0 && self.is_packed()
    }

    /// Whether it shows consecutive elements in order.
    pub fn is_packed(&self) -> bool {
        let mut expected = 1isize;
        for (&d, &s) in self.dims.iter().zip(&self.strides).rev() {
            if d != 1 && s != expected {
                return self.count() == 0;
            }
            expected *= d as isize;
        }
        true
    }

    /// Whether every index shows the same element.
    pub fn is_uniform(&self) -> bool {
        self.dims.iter().zip(&self.strides).all(|(&d, &s)| d == 1 || s == 0)
    }

    /// Whether it shows far fewer elements than it has indices.
    pub fn is_repeated(&self) -> bool {
        let differ = self.dims.iter().zip(&self.strides).filter(|&(_, &s)| s != 0).map(|(&d, _)| d);
        differ.product::<usize>() * 8 <= self.count()
    }

    /// The same elements in row-major order under other sizes, if strides can say so.
    pub fn reshape(&self, dims: &[usize]) -> Option<View> {
        let strides = reshape_strides(&self.dims, &self.strides, dims)?;
        Some(View { tensor: self.tensor, offset: self.offset, dims: dims.to_vec(), strides })
    }

    /// Axis `i` of the result is axis `permutation[i]`.
    pub fn transpose(&self, permutation: &[usize]) -> View {
        View {
            tensor: self.tensor,
            offset: self.offset,
            dims: permutation.iter().map(|&p| self.dims[p]).collect(),
            strides: permutation.iter().map(|&p| self.strides[p]).collect(),
        }
    }

    /// Axis `i` as axis `axes[i]` of `dims`.
    pub fn broadcast(&self, dims: &[usize], axes: &[usize]) -> View {
        let mut strides = vec![0; dims.len()];
        for (i, &a) in axes.iter().enumerate() {
            strides[a] = if self.dims[i] == 1 { 0 } else { self.strides[i] };
        }
        View { tensor: self.tensor, offset: self.offset, dims: dims.to_vec(), strides }
    }

    /// A strided box of `dims`.
    pub fn slice(&self, start: &[usize], step: &[usize], dims: &[usize]) -> View {
        let mut view = View { dims: dims.to_vec(), ..self.clone() };
        for a in 0..dims.len() {
            if dims[a] > 0 {
                view.offset += self.strides[a] * start[a] as isize;
            }
            view.strides[a] = self.strides[a] * step[a] as isize;
        }
        view
    }

    /// The order along `axes` reversed.
    pub fn reverse(&self, axes: &[usize]) -> View {
        let mut view = self.clone();
        for &a in axes {
            view.offset += self.strides[a] * (self.dims[a] as isize - 1).max(0);
            view.strides[a] = -self.strides[a];
        }
        view
    }
}

/// The strides over `to` that show the same elements in the same order as `strides` over `from`.
pub(crate) fn reshape_strides(from: &[usize], strides: &[isize], to: &[usize]) -> Option<Vec<isize>> {
    if from == to {
        return Some(strides.to_vec());
    }
    if from.contains(&0) || to.contains(&0) {
        return Some(vec![0; to.len()]);
    }
    let old: Vec<(usize, isize)> = from.iter().copied().zip(strides.iter().copied()).filter(|&(d, _)| d != 1).collect();
    let mut out = vec![0isize; to.len()];
    let (mut i, mut j) = (0, 0);
    while i < old.len() {
        // The smallest group of old axes and of new axes with equal products.
        let (first, mut a) = (i, old[i].0);
        i += 1;
        while j < to.len() && to[j] == 1 {
            j += 1;
        }
        let (start, mut b) = (j, *to.get(j)?);
        j += 1;
        while a != b {
            if a < b {
                a *= old.get(i)?.0;
                i += 1;
            } else {
                b *= *to.get(j)?;
                j += 1;
            }
        }
        let together = (first..i - 1).all(|k| old[k].1 == old[k + 1].1 * old[k + 1].0 as isize);
        if !together {
            return None;
        }
        let mut stride = old[i - 1].1;
        for k in (start..j).rev() {
            out[k] = stride;
            stride *= to[k] as isize;
        }
    }
    Some(out)
}

/// Joins neighbouring axes that every one of the `strides` walks as one, and drops axes of size 1.
///
/// `fences` are numbers of trailing elements at which axes are kept apart.
pub(crate) fn collapse(dims: &[usize], strides: &mut [Vec<isize>], fence: usize) -> Vec<usize> {
    let kept: Vec<usize> = (0..dims.len()).filter(|&a| dims[a] != 1).collect();
    let mut out: Vec<usize> = Vec::new();
    let mut picked: Vec<Vec<isize>> = vec![Vec::new(); strides.len()];
    for &a in &kept {
        let trailing: usize = dims[a..].iter().product();
        let joins = !out.is_empty()
            && trailing != fence
            && strides.iter().zip(&picked).all(|(s, p)| p.last().is_some_and(|&last| last == s[a] * dims[a] as isize));
        if joins {
            *out.last_mut().expect("not empty") *= dims[a];
            for (s, p) in strides.iter().zip(&mut picked) {
                *p.last_mut().expect("as long as out") = s[a];
            }
        } else {
            out.push(dims[a]);
            for (s, p) in strides.iter().zip(&mut picked) {
                p.push(s[a]);
            }
        }
    }
    for (s, p) in strides.iter_mut().zip(picked) {
        *s = p;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reshapes_keep_strides_where_they_can() {
        let x = View::dense(0, &[4, 6]);
        assert_eq!(x.reshape(&[2, 2, 3, 2]).unwrap().strides, [12, 6, 2, 1]);
        assert_eq!(x.transpose(&[1, 0]).reshape(&[24]), None);
        assert_eq!(x.transpose(&[1, 0]).reshape(&[3, 2, 4]).unwrap().strides, [2, 1, 6]);
        let row = View::dense(0, &[6]).broadcast(&[4, 6], &[1]);
        assert_eq!(row.reshape(&[2, 2, 6]).unwrap().strides, [0, 0, 1]);
        assert_eq!(row.reshape(&[24]), None);
    }

    #[test]
    fn slices_and_reversals_compose() {
        let x = View::dense(0, &[5, 4]).slice(&[1, 0], &[2, 1], &[2, 4]).reverse(&[1]);
        assert_eq!((x.offset, x.strides.as_slice()), (7, [8, -1].as_slice()));
    }

    #[test]
    fn axes_collapse_up_to_the_fence() {
        let mut strides = [vec![12, 4, 1], vec![0, 0, 1]];
        assert_eq!(collapse(&[2, 3, 4], &mut strides, 0), [6, 4]);
        assert_eq!(strides, [vec![4, 1], vec![0, 1]]);
        let mut strides = [vec![12, 4, 1]];
        assert_eq!(collapse(&[2, 3, 4], &mut strides, 12), [2, 12]);
    }
}
