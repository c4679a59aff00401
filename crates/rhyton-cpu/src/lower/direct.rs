//! Contractions by their definition: those of integers, and convolutions that the other kernels do not take.
//!
//! Operands are turned so that their features come last, by copies that may be fused with what makes them.

use rhyton_ir::op::{ConvDims, Convolution, DotGeneral};
use rhyton_ir::{Op, Result, with_element};

use super::emit::{Operand, Target};
use crate::fuse::block::{read, write};
use crate::kernels::direct::{Sizes, convolution, products};
use crate::kernels::window::WindowAxis;
use crate::plan::{Context, Cost, Kernel};

/// A contraction of operands whose axes have been put in order.
pub(super) struct Ordered {
    /// The operation on the turned operands.
    pub op: Op,
    /// Which axis of each operand goes where.
    pub axes: [Vec<usize>; 2],
    /// The shape of the turned result.
    pub dims: Vec<usize>,
    /// Which of its axes is which of the result's.
    pub back: Vec<usize>,
}

/// How a contraction with a result of `dims` is turned.
pub(super) fn ordered(op: &Op, ranks: [usize; 2], dims: &[usize]) -> Ordered {
    match op {
        Op::Convolution(op) => {
            let (d, n) = (&op.dims, op.strides.len());
            let lhs = [&[d.lhs_batch][..], &d.lhs_spatial, &[d.lhs_feature]].concat();
            let rhs = [&d.rhs_spatial[..], &[d.rhs_input, d.rhs_output]].concat();
            let from = [&[d.out_batch][..], &d.out_spatial, &[d.out_feature]].concat();
            let mut back = vec![0; n + 2];
            from.iter().enumerate().for_each(|(turned, &axis)| back[axis] = turned);
            let turned = Convolution { dims: ConvDims::channels_last(n), ..op.clone() };
            let dims = from.iter().map(|&axis| dims[axis]).collect();
            Ordered { op: turned.into(), axes: [lhs, rhs], dims, back }
        }
        Op::DotGeneral(dot) => {
            let (b, k) = (dot.lhs_batch.len(), dot.lhs_contract.len());
            let free = |rank: usize, batch: &[usize], contract: &[usize]| -> Vec<usize> {
                (0..rank).filter(|axis| !batch.contains(axis) && !contract.contains(axis)).collect()
            };
            let lhs_free = free(ranks[0], &dot.lhs_batch, &dot.lhs_contract);
            let rhs_free = free(ranks[1], &dot.rhs_batch, &dot.rhs_contract);
            let turned = DotGeneral {
                lhs_batch: (0..b).collect(),
                rhs_batch: (0..b).collect(),
                lhs_contract: (ranks[0] - k..ranks[0]).collect(),
                rhs_contract: (b..b + k).collect(),
            };
            let lhs = [&dot.lhs_batch[..], &lhs_free, &dot.lhs_contract].concat();
            let rhs = [&dot.rhs_batch[..], &dot.rhs_contract, &rhs_free].concat();
            Ordered { op: turned.into(), axes: [lhs, rhs], dims: dims.to_vec(), back: (0..dims.len()).collect() }
        }
        _ => unreachable!("only contractions are turned"),
    }
}

enum Work {
    /// Of the sizes `[batch, m, k, n]`.
    Products([usize; 4]),
    Convolution(Sizes),
    /// An operand without elements.
    Zeros,
}

/// The contraction of operands in order.
pub(super) struct Direct {
    work: Work,
    lhs: Operand,
    rhs: Operand,
    out: Target,
}

impl Direct {
    pub fn new(op: &Op, inputs: Vec<Operand>, out: Target) -> Direct {
        let [lhs, rhs]: [Operand; 2] =
            inputs.try_into().unwrap_or_else(|_| unreachable!("contractions have two operands"));
        let work = match op {
            _ if lhs.count() * rhs.count() == 0 => Work::Zeros,
            Op::DotGeneral(dot) => {
                let (b, k) = (dot.lhs_batch.len(), dot.lhs_contract.len());
                let (m, n) = (&lhs.dims()[b..lhs.dims().len() - k], &rhs.dims()[b + k..]);
                let product = |dims: &[usize]| dims.iter().product::<usize>();
                Work::Products([product(&rhs.dims()[..b]), product(m), product(&rhs.dims()[b..b + k]), product(n)])
            }
            Op::Convolution(op) => {
                let n = op.strides.len();
                let axis = |a: usize| {
                    let dilations = (op.lhs_dilation[a], op.rhs_dilation[a]);
                    WindowAxis::new(lhs.dims()[a + 1], rhs.dims()[a], op.strides[a], op.padding[a], dilations)
                };
                Work::Convolution(Sizes {
                    batch: lhs.dims()[0],
                    axes: (0..n).map(axis).collect(),
                    features: lhs.dims()[n + 1],
                    outputs: rhs.dims()[n + 1],
                    feature_groups: op.feature_groups,
                    batch_groups: op.batch_groups,
                })
            }
            _ => unreachable!("only contractions are turned"),
        };
        Direct { work, lhs, rhs, out }
    }
}

impl Kernel for Direct {
    fn run(&self, cx: &Context) -> Result<()> {
        // SAFETY: operands are dense and have these counts and this dtype; the result overlaps none of them.
        with_element!(self.out.dtype, T => unsafe {
            let x = read::<T>(cx.pointer(self.lhs.slot), self.lhs.count());
            let w = read::<T>(cx.pointer(self.rhs.slot), self.rhs.count());
            let out = write::<T>(cx.pointer(self.out.slot), self.out.count());
            match &self.work {
                Work::Products(sizes) => products(cx.pool, cx.isa, x, w, out, *sizes),
                Work::Convolution(sizes) => convolution(cx.pool, cx.isa, sizes, x, w, out),
                Work::Zeros => out.fill(T::default()),
            }
        });
        Ok(())
    }

    fn describe(&self) -> String {
        let work = match &self.work {
            Work::Products(_) => "direct products",
            Work::Convolution(_) => "direct convolution",
            Work::Zeros => "zeros",
        };
        let (lhs, rhs, out) = (&self.lhs, &self.rhs, &self.out);
        let operands = format!("b{} {:?} by b{} {:?}", lhs.slot, lhs.dims(), rhs.slot, rhs.dims());
        format!("{work} {} {operands} -> b{} {:?}", out.dtype, out.slot, out.dims)
    }

    fn cost(&self) -> Cost {
        let depth = match &self.work {
            Work::Products([_, _, k, _]) => *k,
            Work::Convolution(sizes) => self.rhs.count() / sizes.outputs,
            Work::Zeros => 0,
        };
        Cost {
            flops: (2 * self.out.count() * depth) as u64,
            bytes: (self.lhs.bytes() + self.rhs.bytes() + self.out.bytes()) as u64,
        }
    }
}
