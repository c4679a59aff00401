//! Operations that put boxes of elements somewhere: concatenation, padding, dynamic slices and their updates.

use rhyton_ir::{DType, Op, Result};

use super::emit::{Operand, Target};
use super::view::{View, dense_strides};
use crate::fuse::block;
use crate::plan::{Context, Cost, Kernel, Slot};

/// Whether the operation's kernel reads operands through strides.
pub(super) fn reads_views(op: &Op) -> bool {
    matches!(op, Op::Concatenate(_) | Op::Pad(_))
}

/// Bytes below which a copy is not worth a second thread.
const SERIAL: usize = 256 * 1024;

/// A strided box that goes to another strided box.
#[derive(Clone, Debug)]
struct Piece {
    from: Slot,
    source: View,
    offset: isize,
    strides: Vec<isize>,
}

impl Piece {
    /// All of `from` to the box at `offset` of the target.
    fn new(from: &Operand, offset: isize, strides: Vec<isize>) -> Piece {
        let mut both = [from.view.strides.clone(), strides];
        let dims = super::view::collapse(&from.view.dims, &mut both, 0);
        let [source, strides] = both;
        let view = View { tensor: from.view.tensor, offset: from.view.offset, dims, strides: source };
        Piece { from: from.slot, source: view, offset, strides }
    }

    /// Copies rows `first..last` of the first axis; `moved` more elements are added to the source's and the target's
    /// places.
    ///
    /// # Safety
    /// Both boxes lie within their buffers, which do not overlap.
    unsafe fn copy(
        &self,
        size: usize,
        src: *const u8,
        dst: *mut u8,
        rows: std::ops::Range<usize>,
        moved: (isize, isize),
    ) {
        let dims = &self.source.dims;
        let inner = dims.len().saturating_sub(1);
        let (len, s, d) = match dims.last() {
            Some(&len) => (len, self.source.strides[inner], self.strides[inner]),
            None => (1, 1, 1),
        };
        let outer: usize = dims[..inner].iter().product();
        let per_row: usize = if inner == 0 { 1 } else { dims[1..inner].iter().product() };
        let (first, last) = if inner == 0 { (0, outer) } else { (rows.start * per_row, rows.end * per_row) };
        for flat in first..last {
            let (mut rest, mut from, mut to) = (flat, self.source.offset + moved.0, self.offset + moved.1);
            for a in (0..inner).rev() {
                let i = (rest % dims[a]) as isize;
                rest /= dims[a];
                from += i * self.source.strides[a];
                to += i * self.strides[a];
            }
            // SAFETY: the places are within the boxes (caller).
            unsafe {
                let (src, dst) = (src.offset(from * size as isize), dst.offset(to * size as isize));
                if d == 1 {
                    block::gather_strided(size, src, s, dst, len);
                } else {
                    for i in 0..len as isize {
                        let src = src.offset(i * s * size as isize);
                        std::ptr::copy_nonoverlapping(src, dst.offset(i * d * size as isize), size);
                    }
                }
            }
        }
    }

    /// Copies everything, on the pool if it is much.
    ///
    /// # Safety
    /// As [`Piece::copy`].
    unsafe fn copy_all(&self, cx: &Context, size: usize, to: Slot, moved: (isize, isize)) {
        let (src, dst) = (Address(cx.pointer(self.from)), Address(cx.pointer(to)));
        let count = self.source.count();
        let rows = if self.source.dims.len() > 1 { self.source.dims[0] } else { 1 };
        if count == 0 {
            return;
        }
        let tasks = (count * size / SERIAL).clamp(1, 16).min(rows);
        let chunk = rows.div_ceil(tasks);
        let task = |t: usize| {
            let (src, dst) = (&src, &dst);
            let range = (t * chunk).min(rows)..((t + 1) * chunk).min(rows);
            // SAFETY: tasks write different rows; the rest is the caller's guarantee.
            unsafe { self.copy(size, src.0, dst.0, range, moved) };
        };
        if tasks == 1 { task(0) } else { cx.pool.run(tasks, &task) }
    }
}

/// A pointer that tasks share.
struct Address(*mut u8);

// SAFETY: what is done through it is divided among the tasks by who hands it to them.
unsafe impl Sync for Address {}

/// Fills the target with a value, if there is one, and copies boxes into it.
pub(super) struct Assemble {
    name: &'static str,
    fill: Option<(Slot, isize)>,
    pieces: Vec<Piece>,
    target: Target,
}

/// Operands one after the other along `axis`.
pub(super) fn concatenate(axis: usize, inputs: &[Operand], target: Target) -> Assemble {
    let strides = dense_strides(&target.dims);
    let mut at = 0;
    let mut pieces = Vec::new();
    for input in inputs {
        pieces.push(Piece::new(input, at * strides[axis], strides.clone()));
        at += input.dims()[axis] as isize;
    }
    Assemble { name: "concatenate", fill: None, pieces, target }
}

/// An operand within padding.
pub(super) fn pad(op: &rhyton_ir::op::Pad, inputs: &[Operand], target: Target) -> Assemble {
    let (x, value) = (&inputs[0], &inputs[1]);
    let dense = dense_strides(&target.dims);
    let (mut view, mut offset) = (x.view.clone(), 0isize);
    let mut strides = dense.clone();
    for a in 0..target.dims.len() {
        let (step, low, limit) = (op.interior[a] as i64 + 1, op.low[a], target.dims[a] as i64);
        // Element i goes to low + i·step; only those within the result are copied.
        let first = if low < 0 { (-low + step - 1) / step } else { 0 };
        let last = if limit - low > 0 { (limit - low - 1) / step + 1 } else { 0 }.min(view.dims[a] as i64);
        let kept = (last - first).max(0) as usize;
        if kept > 0 {
            view.offset += view.strides[a] * first as isize;
            offset += (low + first * step) as isize * dense[a];
        }
        view.dims[a] = kept;
        strides[a] = dense[a] * step as isize;
    }
    let covered = view.count() == target.count();
    let piece = Piece::new(&Operand { view, ..x.clone() }, offset, strides);
    let fill = (!covered).then_some((value.slot, value.view.offset));
    Assemble { name: "pad", fill, pieces: vec![piece], target }
}

impl Kernel for Assemble {
    fn run(&self, cx: &Context) -> Result<()> {
        let size = self.target.dtype.size();
        if let Some((slot, offset)) = self.fill {
            // SAFETY: the value is an element of its buffer, the target has `count` elements.
            unsafe {
                let value = cx.pointer(slot).offset(offset * size as isize);
                block::splat(size, value, cx.pointer(self.target.slot), self.target.count());
            }
        }
        for piece in &self.pieces {
            // SAFETY: pieces were made within the bounds of operands and target.
            unsafe { piece.copy_all(cx, size, self.target.slot, (0, 0)) };
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let pieces: Vec<String> = self.pieces.iter().map(|p| format!("b{} {:?}", p.from, p.source.dims)).collect();
        format!("{} {} -> b{} {:?}", self.name, pieces.join(", "), self.target.slot, self.target.dims)
    }

    fn cost(&self) -> Cost {
        Cost { flops: 0, bytes: 2 * self.target.bytes() as u64 }
    }
}

/// A box at a computed place, read or written.
pub(super) struct Dynamic {
    piece: Piece,
    /// Sizes of the large operand and of the box, and the large operand's strides.
    large: Vec<usize>,
    boxed: Vec<usize>,
    strides: Vec<isize>,
    starts: Vec<(Slot, DType)>,
    /// The operand that is updated, which is copied first unless it is in place.
    base: Option<Slot>,
    target: Target,
}

/// Reads a box.
pub(super) fn dynamic_slice(inputs: &[Operand], target: Target) -> Dynamic {
    let x = &inputs[0];
    let boxed = Operand { view: View { dims: target.dims.clone(), ..x.view.clone() }, ..x.clone() };
    Dynamic {
        piece: Piece::new(&boxed, 0, dense_strides(&target.dims)),
        large: x.view.dims.clone(),
        boxed: target.dims.clone(),
        strides: x.view.strides.clone(),
        starts: inputs[1..].iter().map(|o| (o.slot, o.dtype)).collect(),
        base: None,
        target,
    }
}

/// Writes a box.
pub(super) fn dynamic_update_slice(inputs: &[Operand], target: Target) -> Dynamic {
    let strides = dense_strides(&target.dims);
    Dynamic {
        piece: Piece::new(&inputs[1], 0, strides.clone()),
        large: target.dims.clone(),
        boxed: inputs[1].view.dims.clone(),
        strides,
        starts: inputs[2..].iter().map(|o| (o.slot, o.dtype)).collect(),
        base: Some(inputs[0].slot),
        target,
    }
}

/// The integer at a place.
///
/// # Safety
/// `at` is valid for an element of `dtype`, an integer dtype.
pub(super) unsafe fn read_integer(dtype: DType, at: *const u8) -> i64 {
    // SAFETY: the caller's guarantee.
    unsafe {
        match dtype {
            DType::Bool | DType::U8 => i64::from(at.read()),
            DType::U16 => i64::from(at.cast::<u16>().read()),
            DType::U32 => i64::from(at.cast::<u32>().read()),
            DType::U64 => i64::try_from(at.cast::<u64>().read()).unwrap_or(i64::MAX),
            DType::I8 => i64::from(at.cast::<i8>().read()),
            DType::I16 => i64::from(at.cast::<i16>().read()),
            DType::I32 => i64::from(at.cast::<i32>().read()),
            DType::I64 => at.cast::<i64>().read(),
            DType::F16 | DType::BF16 | DType::F32 | DType::F64 => 0,
        }
    }
}

impl Kernel for Dynamic {
    fn run(&self, cx: &Context) -> Result<()> {
        let size = self.target.dtype.size();
        let mut moved = 0;
        for (a, &(slot, dtype)) in self.starts.iter().enumerate() {
            // SAFETY: start indices are scalars.
            let start = unsafe { read_integer(dtype, cx.pointer(slot)) };
            let start = start.clamp(0, self.large[a] as i64 - self.boxed[a] as i64);
            moved += start as isize * self.strides[a];
        }
        let to = cx.pointer(self.target.slot);
        if let Some(base) = self.base {
            let from = cx.pointer(base);
            if from != to {
                // SAFETY: both have the bytes of the target and are different buffers.
                unsafe { std::ptr::copy_nonoverlapping(from, to, self.target.bytes()) };
            }
        }
        let moved = if self.base.is_some() { (0, moved) } else { (moved, 0) };
        // SAFETY: the clamped box lies within the large operand.
        unsafe { self.piece.copy_all(cx, size, self.target.slot, moved) };
        Ok(())
    }

    fn describe(&self) -> String {
        let name = if self.base.is_some() { "dynamic_update_slice" } else { "dynamic_slice" };
        format!("{name} of {:?} by {:?} -> b{}", self.large, self.boxed, self.target.slot)
    }

    fn cost(&self) -> Cost {
        let boxed: usize = self.boxed.iter().product();
        Cost { flops: 0, bytes: (2 * boxed * self.target.dtype.size()) as u64 }
    }

    fn in_place(&self) -> Vec<(Slot, Slot)> {
        // The box must not be read from what is overwritten.
        self.base.filter(|&b| b != self.piece.from).map(|b| (b, self.target.slot)).into_iter().collect()
    }
}
