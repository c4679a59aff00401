//! The primitive operations, one file each, and the table that names them all.
//!
//! A primitive is a struct of its attributes that implements [`Primitive`]: its shape rule, its reference
//! evaluation, its gradient and the samples on which tests check all three. [`Op`] is the closed set of them: adding
//! one is its file and one line in the table below, and every back end's `match` fails to compile until it answers.
//!
//! Operands are never broadcast or converted implicitly: `add` takes two operands of one type. The user-facing
//! operations insert [`BroadcastInDim`] and [`Convert`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::array::Array;
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::shape::{Bindings, TensorType};

/// What every primitive operation states about itself.
pub trait Primitive {
    /// StableHLO's name where it has the operation.
    fn name(&self) -> &'static str;

    /// The types of the outputs.
    ///
    /// # Errors
    /// If the operands are not what the operation takes; the message gives their types and what would fit.
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>>;

    /// The outputs, computed slowly and obviously; the oracle of every optimised kernel. Floating-point arithmetic is
    /// carried out in `f64` and rounded once to the dtype, reductions included.
    ///
    /// # Errors
    /// If the operands do not have the types that [`Primitive::infer`] accepts.
    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>>;

    /// The cotangents of the operands, given those of the outputs (`None` is zero), as further nodes.
    ///
    /// `wanted[i]` tells whether the cotangent of operand `i` is needed; `None` may be returned for others, and for an
    /// operand through which nothing flows. Integers and `bool` have no cotangents.
    ///
    /// # Errors
    /// If the operation has no gradient.
    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>>;

    /// The operation with numbers for symbols in its attributes.
    ///
    /// # Errors
    /// If a graph inside it does not fit the numbers.
    fn bind(&self, bindings: &Bindings) -> Result<Op>;

    /// The graphs inside the operation, each with the word that introduces it in the text form.
    fn subgraphs(&self) -> Vec<(&'static str, &Arc<Graph>)> {
        Vec::new()
    }

    /// The operation with these graphs in place of [`Primitive::subgraphs`].
    ///
    /// # Errors
    /// If it takes another number of them.
    fn with_subgraphs(&self, graphs: Vec<Arc<Graph>>) -> Result<Op> {
        Err(Error::argument(self.name(), format!("{} sub-graphs, it has none", graphs.len()), "give none"))
    }
}

/// Operands on which tests check a primitive: shape rule against evaluation, gradient against central differences,
/// back ends against evaluation.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The operation.
    pub op: Op,
    /// Its operands. Those that are differentiable are `float64`, at points where the derivative is neither 0,
    /// saturated, nor at a kink.
    pub inputs: Vec<Array>,
}

impl Sample {
    /// A sample.
    pub fn new(op: impl Into<Op>, inputs: impl Into<Vec<Array>>) -> Sample {
        Sample { op: op.into(), inputs: inputs.into() }
    }

    /// The graph that applies the operation to one parameter an operand, with all its outputs.
    ///
    /// # Errors
    /// If the operation does not take the operands.
    pub fn graph(&self) -> Result<Graph> {
        let mut graph = Graph::new();
        let inputs: Vec<Value> =
            self.inputs.iter().map(|x| graph.parameter(TensorType::new(x.dtype(), x.shape()))).collect();
        let first = graph.push(self.op.clone(), &inputs)?;
        graph.set_outputs(graph.outputs_of(first));
        Ok(graph)
    }
}

/// A node as its gradient rule sees it.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The operands.
    pub inputs: Vec<Value>,
    /// The outputs.
    pub outputs: Vec<Value>,
    /// Of which operands the cotangent is needed.
    pub wanted: Vec<bool>,
}

macro_rules! primitives {
    ($($module:ident :: $name:ident,)*) => {
        /// Any primitive operation with its attributes.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "each variant is documented at the struct it holds")]
        pub enum Op {
            $($name($module::$name),)*
        }

        impl Op {
            fn primitive(&self) -> &dyn Primitive {
                match self {
                    $(Op::$name(op) => op,)*
                }
            }

            /// Samples of every primitive, by the variant's name.
            pub fn samples() -> Vec<(&'static str, Vec<Sample>)> {
                vec![$((stringify!($name), $module::$name::samples()),)*]
            }
        }

        $(
            impl From<$module::$name> for Op {
                fn from(op: $module::$name) -> Op {
                    Op::$name(op)
                }
            }
            pub use $module::$name;
        )*
    };
}

primitives! {
    // Leaves.
    parameter::Parameter,
    constant::Constant,
    iota::Iota,
    rng_bits::RngBits,
    // Elementwise.
    unary::Unary,
    binary::Binary,
    compare::Compare,
    select::Select,
    convert::Convert,
    bitcast_convert::BitcastConvert,
    // Shape.
    broadcast_in_dim::BroadcastInDim,
    reshape::Reshape,
    transpose::Transpose,
    slice::Slice,
    dynamic_slice::DynamicSlice,
    dynamic_update_slice::DynamicUpdateSlice,
    pad::Pad,
    concatenate::Concatenate,
    reverse::Reverse,
    // Indexing.
    gather::Gather,
    scatter::Scatter,
    // Contraction.
    dot_general::DotGeneral,
    convolution::Convolution,
    // Reduction.
    reduce::Reduce,
    arg_reduce::ArgReduce,
    reduce_window::ReduceWindow,
    select_and_scatter::SelectAndScatter,
    cumulative::Cumulative,
    // Order.
    sort::Sort,
    top_k::TopK,
    // Transforms and linear algebra.
    fft::Fft,
    cholesky::Cholesky,
    triangular_solve::TriangularSolve,
    lu::Lu,
    qr::Qr,
    eigh::Eigh,
    svd::Svd,
    // Control flow.
    while_loop::While,
    scan::Scan,
    cond::Cond,
    // Differentiation.
    stop_gradient::StopGradient,
    custom_gradient::CustomGradient,
    remat::Remat,
    // Composites and calls out.
    composite::Composite,
    custom_call::CustomCall,
}

mod arg_reduce;
mod binary;
mod bitcast_convert;
mod broadcast_in_dim;
mod checked;
mod cholesky;
mod compare;
mod composite;
mod concatenate;
mod cond;
mod constant;
mod convert;
mod convolution;
mod cumulative;
mod custom_call;
mod custom_gradient;
mod dot_general;
mod dynamic_slice;
mod dynamic_update_slice;
mod eigh;
mod fft;
mod gather;
mod indexing;
mod iota;
mod lu;
mod matrix;
mod pad;
mod parameter;
mod places;
mod qr;
mod reduce;
mod reduce_window;
mod remat;
mod reshape;
mod reverse;
mod rng_bits;
mod scan;
mod scatter;
mod select;
mod select_and_scatter;
mod slice;
mod sort;
mod stop_gradient;
mod svd;
mod top_k;
mod transpose;
mod triangular_solve;
mod unary;
mod while_loop;
mod window;

pub use binary::BinaryKind;
pub use compare::Direction;
pub use composite::CompositeKind;
pub use convolution::ConvDims;
pub use custom_call::HostFunction;
pub(crate) use custom_call::Unresolved;
pub use fft::FftKind;
pub use reduce::ReduceKind;
pub use scatter::Combine;
pub use unary::UnaryKind;

impl Op {
    /// The operation's name.
    pub fn name(&self) -> &'static str {
        self.primitive().name()
    }

    /// See [`Primitive::infer`].
    ///
    /// # Errors
    /// As there.
    pub fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        self.primitive().infer(inputs)
    }

    /// See [`Primitive::eval`].
    ///
    /// # Errors
    /// As there.
    pub fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        self.primitive().eval(inputs)
    }

    /// See [`Primitive::vjp`].
    ///
    /// # Errors
    /// As there.
    pub fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        self.primitive().vjp(b, node, cotangents)
    }

    /// See [`Primitive::bind`].
    ///
    /// # Errors
    /// As there.
    pub fn bind(&self, bindings: &Bindings) -> Result<Op> {
        self.primitive().bind(bindings)
    }

    /// See [`Primitive::subgraphs`].
    pub fn subgraphs(&self) -> Vec<(&'static str, &Arc<Graph>)> {
        self.primitive().subgraphs()
    }

    /// See [`Primitive::with_subgraphs`].
    ///
    /// # Errors
    /// As there.
    pub fn with_subgraphs(&self, graphs: Vec<Arc<Graph>>) -> Result<Op> {
        if graphs.is_empty() && self.subgraphs().is_empty() {
            return Ok(self.clone());
        }
        self.primitive().with_subgraphs(graphs)
    }
}

/// `N` sub-graphs, or an error that names the operation.
pub(crate) fn subgraphs<const N: usize>(op: &dyn Primitive, graphs: Vec<Arc<Graph>>) -> Result<[Arc<Graph>; N]> {
    graphs.try_into().map_err(|graphs: Vec<Arc<Graph>>| {
        Error::argument(op.name(), format!("{} sub-graphs, it has {N}", graphs.len()), "give as many as it has")
    })
}

/// Whether `inputs` fit the parameters of `graph`, the `what` of `op`.
pub(crate) fn check_call(op: &dyn Primitive, what: &str, graph: &Graph, inputs: &[&TensorType]) -> Result<()> {
    let parameters: Vec<&TensorType> = graph.parameters().iter().map(|&p| graph.ty(p)).collect();
    check_types(op, &format!("the operands of {what}"), &parameters, inputs)
}

/// Whether the outputs of `graph`, the `what` of `op`, fit `types`.
pub(crate) fn check_outputs(op: &dyn Primitive, what: &str, graph: &Graph, types: &[&TensorType]) -> Result<()> {
    let outputs: Vec<&TensorType> = graph.outputs().iter().map(|&o| graph.ty(o)).collect();
    check_types(op, &format!("the outputs of {what}"), types, &outputs)
}

fn check_types(op: &dyn Primitive, what: &str, wanted: &[&TensorType], got: &[&TensorType]) -> Result<()> {
    let fits = |(w, g): (&&TensorType, &&TensorType)| w.dtype == g.dtype && w.shape.compatible(&g.shape);
    if wanted.len() == got.len() && wanted.iter().zip(got).all(fits) {
        return Ok(());
    }
    Err(Error::shape(op.name(), format!("{what} are {got:?}, they must be {wanted:?}"), "make the types equal"))
}

/// The operands as an array of `N`, or an error that names the operation.
pub(crate) fn operands<'a, T, const N: usize>(op: &dyn Primitive, inputs: &'a [T]) -> Result<&'a [T; N]> {
    inputs.try_into().map_err(|_| {
        Error::argument(op.name(), format!("{} operands, it takes {N}", inputs.len()), "pass the operands it takes")
    })
}

/// The shape as numbers, or an error that says it must be bound first.
pub(crate) fn known(op: &dyn Primitive, shape: &crate::shape::Shape) -> Result<Vec<usize>> {
    shape.known().ok_or_else(|| {
        Error::argument(op.name(), format!("the shape {shape} has symbols"), "bind them to numbers before evaluation")
    })
}

/// All indices of `shape` in row-major order.
pub(crate) fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let shape = shape.to_vec();
    (0..shape.iter().product::<usize>()).map(move |mut flat| {
        let mut index = vec![0; shape.len()];
        for (i, &d) in index.iter_mut().zip(&shape).rev() {
            *i = flat % d;
            flat /= d;
        }
        index
    })
}
