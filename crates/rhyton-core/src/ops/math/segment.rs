//! Reductions of rows that belong together: `segment_sum`, `segment_max`, …

use rhyton_ir::op::{Combine, Scatter};
use rhyton_ir::{Dim, Shape};

use super::MODULE;
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::apply;
use crate::ops::class::operations;
use crate::ops::primitives::{filled, with_size};
use crate::tensor::Tensor;

macro_rules! segments {
    ($($(#[$doc:meta])* $function:ident $class:ident $compute:ident $combine:ident $nothing:expr;)*) => {
        operations! { MODULE;
            $($class { num_segments: Option<usize>, sorted: bool } (data, segment_ids) $compute;)*
        }
        $(
            $(#[$doc])*
            #[track_caller]
            pub fn $function(data: &Tensor, segment_ids: &Tensor, num_segments: Option<usize>, sorted: bool) -> Tensor {
                apply($class { num_segments, sorted }, Args::new(data).and(segment_ids))
            }

            fn $compute(op: &$class, data: Tensor, ids: Tensor) -> Result<Tensor> {
                combine(Combine::$combine, $nothing(&data), &data, &ids, op.num_segments)
            }
        )*
    };
}

segments! {
    /// The sum of the rows of `data` with each segment id, `0` to `num_segments − 1`; 0 where there is none. Rows with other
    /// ids are left out. `sorted` is a promise that does not change the result. Without `num_segments`, ids must be values
    /// that are known.
    segment_sum SegmentSum compute_sum Add |_: &Tensor| 0.0;
    /// The product of the rows with each segment id, as [`segment_sum`]; 1 where there is none.
    segment_prod SegmentProd compute_prod Mul |_: &Tensor| 1.0;
    /// The largest of the rows with each segment id, as [`segment_sum`]; the smallest number where there is none.
    segment_max SegmentMax compute_max Max |x: &Tensor| crate::ops::smallest(x.dtype());
    /// The smallest of the rows with each segment id, as [`segment_sum`]; the largest number where there is none.
    segment_min SegmentMin compute_min Min |x: &Tensor| crate::ops::largest(x.dtype());
}

fn combine(combine: Combine, nothing: f64, data: &Tensor, ids: &Tensor, count: Option<usize>) -> Result<Tensor> {
    if ids.rank() != 1 || data.rank() == 0 || !ids.dim(0).compatible(&data.dim(0)) || !ids.dtype().is_int() {
        return Err(Error::shape(
            "segment",
            format!("segment ids {} for data {}", ids.ty(), data.ty()),
            "give one integer a row",
        ));
    }
    let count = match count {
        Some(count) => count,
        // How many there are is a matter of values: only where these can be read.
        None => ids.eval()?.to_f64_vec().into_iter().fold(0.0, |n: f64, id| n.max(id + 1.0)) as usize,
    };
    let shape: Shape = with_size(data.shape(), 0, Dim::Known(count));
    let scatter = Scatter {
        update_window_axes: (1..data.rank()).collect(),
        inserted_window_axes: vec![0],
        operand_batching_axes: vec![],
        indices_batching_axes: vec![],
        scatter_axes_to_operand_axes: vec![0],
        index_vector_axis: 1,
        combine,
    };
    Ok(Tensor::apply(scatter, &[&filled(data.dtype(), &shape, nothing), ids, data]))
}
