//! Lowering: from a graph to units, and from units to the steps of a plan.

pub(crate) mod emit;
pub(crate) mod order;
pub(crate) mod units;
pub(crate) mod view;

mod along;
mod chain;
mod contract;
mod control;
mod copy;
mod direct;
mod evaluate;
mod fourier;
mod indexing;
mod matrices;
mod random;
mod recompute;
mod sorting;

use std::collections::HashMap;

use crate::plan::Kernel;
use along::Along;
use emit::{Operand, Target};
use evaluate::Evaluate;

use rhyton_ir::op::ReduceKind;
use rhyton_ir::{DType, Error, Graph, Op, Result, TensorType, Value};

use crate::fuse::block;
use crate::fuse::cluster::{Arg, Cluster, End, Expr, LONGEST_ROW};
use crate::fuse::program::{Func, Level};
use units::{Body, Call, Origin, Units};
use view::{View, dense_strides};

/// A graph as units, and where its values are.
pub(crate) struct Lowering {
    pub units: Units,
    views: HashMap<Value, View>,
    /// Dense copies of views, by view.
    copies: HashMap<(usize, isize, Vec<usize>, Vec<isize>), usize>,
    /// Position of the node being lowered.
    at: usize,
}

/// The sizes of a type, all of which must be numbers.
pub(crate) fn known(ty: &TensorType) -> Result<Vec<usize>> {
    ty.shape.known().ok_or_else(|| {
        Error::argument("compile", format!("{ty} has symbolic sizes"), "bind them to numbers before compilation")
    })
}

impl Lowering {
    /// Lowers every node of `graph`; gives the tensor of each output, dense and computed by a unit or a parameter.
    ///
    /// # Errors
    /// If a shape has symbols.
    pub fn new(graph: &Graph) -> Result<Lowering> {
        let mut lowering = Lowering { units: Units::default(), views: HashMap::new(), copies: HashMap::new(), at: 0 };
        for (i, &value) in graph.parameters().iter().enumerate() {
            let ty = graph.ty(value);
            let dims = known(ty)?;
            let tensor = lowering.units.tensor(ty.dtype, &dims, Origin::Parameter(i));
            lowering.views.insert(value, View::dense(tensor, &dims));
        }
        for index in 0..graph.nodes().len() {
            lowering.at = index;
            lowering.node(graph, index)?;
        }
        lowering.at = graph.nodes().len();
        Ok(lowering)
    }

    /// How a value reads its elements.
    pub fn view(&self, value: Value) -> &View {
        &self.views[&value]
    }

    fn node(&mut self, graph: &Graph, index: usize) -> Result<()> {
        let node = &graph.nodes()[index];
        let value = |output: u32| Value { node: index as u32, output };
        let types: Vec<(DType, Vec<usize>)> =
            node.types.iter().map(|ty| Ok((ty.dtype, known(ty)?))).collect::<Result<_>>()?;
        let inputs: Vec<View> = if matches!(node.op, Op::Parameter(_)) {
            return Ok(());
        } else {
            node.inputs.iter().map(|v| self.views[v].clone()).collect()
        };
        let operand = |i: usize| graph.ty(node.inputs[i]).dtype;
        let (dtype, dims) = &types[0];
        let view = match &node.op {
            Op::Parameter(_) => return Ok(()),
            Op::Constant(c) => {
                let tensor = self.units.tensor(*dtype, dims, Origin::Constant(c.value.clone()));
                View::dense(tensor, dims)
            }
            Op::Iota(iota) => {
                let tensor = self.units.tensor(*dtype, &[dims[iota.axis]], Origin::Count);
                View::dense(tensor, &[dims[iota.axis]]).broadcast(dims, &[iota.axis])
            }
            Op::Unary(op) => self.elementwise(Func::Unary(op.kind), operand(0), *dtype, &inputs, dims),
            Op::Binary(op) => self.elementwise(Func::Binary(op.kind), operand(0), *dtype, &inputs, dims),
            Op::Compare(op) => self.elementwise(Func::Compare(op.direction), operand(0), *dtype, &inputs, dims),
            Op::Select(_) => self.elementwise(Func::Select, *dtype, *dtype, &inputs, dims),
            Op::Convert(_) => self.elementwise(Func::Convert, operand(0), *dtype, &inputs, dims),
            Op::BitcastConvert(_) => self.elementwise(Func::Bitcast, operand(0), *dtype, &inputs, dims),
            Op::StopGradient(_) => inputs[0].clone(),
            Op::BroadcastInDim(op) => inputs[0].broadcast(dims, &op.axes),
            Op::Reshape(_) => self.reshape(&inputs[0], dims),
            Op::Transpose(op) => inputs[0].transpose(&op.permutation),
            Op::Slice(op) => inputs[0].slice(&op.start, &op.stride, dims),
            Op::Reverse(op) => inputs[0].reverse(&op.axes),
            Op::Reduce(op) => self.reduce(op.kind, &op.axes, operand(0), &inputs[0], dims),
            Op::DotGeneral(_) | Op::Convolution(_) => self.contract(&node.op, inputs, *dtype, dims),
            Op::Cumulative(_)
            | Op::RngBits(_)
            | Op::DynamicSlice(_)
            | Op::DynamicUpdateSlice(_)
            | Op::Pad(_)
            | Op::Concatenate(_)
            | Op::Gather(_)
            | Op::Scatter(_)
            | Op::ArgReduce(_)
            | Op::ReduceWindow(_)
            | Op::SelectAndScatter(_)
            | Op::Sort(_)
            | Op::TopK(_)
            | Op::Fft(_)
            | Op::Cholesky(_)
            | Op::TriangularSolve(_)
            | Op::Lu(_)
            | Op::Qr(_)
            | Op::Eigh(_)
            | Op::Svd(_)
            | Op::While(_)
            | Op::Scan(_)
            | Op::Cond(_)
            | Op::CustomCall(_) => {
                let outputs = self.call(&node.op, inputs, &types);
                for (i, (tensor, (_, dims))) in outputs.into_iter().zip(&types).enumerate() {
                    self.views.insert(value(i as u32), View::dense(tensor, dims));
                }
                return Ok(());
            }
            Op::CustomGradient(_) | Op::Remat(_) | Op::Composite(_) => {
                return Err(Error::unsupported(
                    node.op.name(),
                    "it is not flattened",
                    "run the passes before lowering",
                ));
            }
        };
        self.views.insert(value(0), view);
        Ok(())
    }

    /// The operand of a fused expression.
    fn arg(&self, view: &View) -> Arg {
        let tensor = &self.units.tensors[view.tensor];
        match &tensor.origin {
            Origin::Count => Arg::Count(view.clone(), tensor.dtype),
            Origin::Constant(array) if view.is_uniform() && view.count() > 0 => {
                let size = tensor.dtype.size();
                let at = view.offset as usize * size;
                let mut bytes = [0; 8];
                bytes[..size].copy_from_slice(&array.data().bytes()[at..at + size]);
                Arg::Splat(bytes, tensor.dtype)
            }
            Origin::Constant(_) | Origin::Parameter(_) | Origin::Unit(_) => Arg::Load(view.clone(), tensor.dtype),
        }
    }

    fn elementwise(&mut self, func: Func, dtype: DType, out: DType, inputs: &[View], dims: &[usize]) -> View {
        let unit = self.units.units.len();
        let tensor = self.units.tensor(out, dims, Origin::Unit(unit));
        let args = inputs.iter().map(|v| self.arg(v)).collect();
        let expr = Expr { func, dtype, out, level: Level::Full, args, tensor: Some(tensor) };
        let cluster = Cluster { exprs: vec![expr], ..Cluster::empty(dims) };
        self.units.fuse(Body::Fused(cluster), self.at);
        View::dense(tensor, dims)
    }

    /// A tensor that holds what a view shows; the view's own if that is all of it in order.
    pub fn dense(&mut self, view: &View) -> usize {
        let tensor = &self.units.tensors[view.tensor];
        let in_memory = !matches!(tensor.origin, Origin::Count);
        if in_memory && view.is_dense() && view.count() == tensor.count() {
            return view.tensor;
        }
        let key = (view.tensor, view.offset, view.dims.clone(), view.strides.clone());
        if let Some(&copy) = self.copies.get(&key) {
            return copy;
        }
        let dtype = tensor.dtype;
        let copy = self.elementwise(Func::Bitcast, dtype, dtype, std::slice::from_ref(view), &view.dims).tensor;
        self.copies.insert(key, copy);
        copy
    }

    fn reshape(&mut self, view: &View, dims: &[usize]) -> View {
        view.reshape(dims).unwrap_or_else(|| View::dense(self.dense(view), dims))
    }

    fn reduce(&mut self, kind: ReduceKind, axes: &[usize], dtype: DType, x: &View, dims: &[usize]) -> View {
        let wide = block::accumulator(dtype);
        let reduced: usize = axes.iter().map(|&a| x.dims[a]).product();
        if reduced == 1 {
            return self.reshape(x, dims);
        }
        let unit = self.units.units.len();
        let tensor = self.units.tensor(dtype, dims, Origin::Unit(unit));
        let mut cluster = Cluster::empty(&x.dims);
        let mut value = self.arg(x);
        if wide != dtype {
            let expr =
                Expr { func: Func::Convert, dtype, out: wide, level: Level::Full, args: vec![value], tensor: None };
            cluster.exprs.push(expr);
            value = Arg::Expr(0);
        }
        // Axes of size 1 do not matter for whether the reduced ones are the last.
        let kept_after = |a: usize| (a..x.dims.len()).any(|b| x.dims[b] != 1 && !axes.contains(&b));
        let trailing = axes.iter().all(|&a| x.dims[a] == 1 || !kept_after(a));
        if trailing && reduced <= LONGEST_ROW && x.count() > 0 {
            cluster.row = reduced;
            let made = (wide == dtype).then_some(tensor);
            cluster.exprs.push(Expr {
                func: Func::Reduce(kind),
                dtype: wide,
                out: wide,
                level: Level::Row,
                args: vec![value],
                tensor: made,
            });
            if wide != dtype {
                let args = vec![Arg::Expr(cluster.exprs.len() - 1)];
                let expr = Expr {
                    func: Func::Convert,
                    dtype: wide,
                    out: dtype,
                    level: Level::Row,
                    args,
                    tensor: Some(tensor),
                };
                cluster.exprs.push(expr);
            }
        } else {
            let kept: Vec<usize> = (0..x.dims.len()).filter(|a| !axes.contains(a)).collect();
            let strides = View { tensor: 0, offset: 0, dims: dims.to_vec(), strides: dense_strides(dims) }
                .broadcast(&x.dims, &kept)
                .strides;
            let len = dims.iter().product();
            cluster.ends.push(End { kind, value, dtype: wide, out: dtype, strides, len, tensor });
        }
        self.units.fuse(Body::Fused(cluster), self.at);
        View::dense(tensor, dims)
    }

    fn contract(&mut self, op: &Op, mut inputs: Vec<View>, dtype: DType, dims: &[usize]) -> View {
        if contract::is_direct(op, dtype, &inputs) {
            let ordered = direct::ordered(op, [inputs[0].dims.len(), inputs[1].dims.len()], dims);
            let turned = inputs.iter().zip(&ordered.axes).map(|(view, axes)| view.transpose(axes)).collect();
            let tensor = self.call(&ordered.op, turned, &[(dtype, ordered.dims.clone())])[0];
            return View::dense(tensor, &ordered.dims).transpose(&ordered.back);
        }
        if !contract::reads_views(op, dtype, &inputs) {
            inputs = inputs.iter().map(|v| View::dense(self.dense(v), &v.dims)).collect();
        }
        for view in &mut inputs {
            // Counted and repeated numbers are written out.
            if matches!(self.units.tensors[view.tensor].origin, Origin::Count) {
                *view = View::dense(self.dense(view), &view.dims);
            }
        }
        let unit = self.units.units.len();
        let tensor = self.units.tensor(dtype, dims, Origin::Unit(unit));
        let call = Call { op: op.clone(), inputs, outputs: vec![tensor] };
        let tiles = contract::has_tiles(&call, dtype, &self.units);
        let body = if tiles { Body::Contract(call, Cluster::empty(dims)) } else { Body::Call(call) };
        self.units.unit(body, self.at);
        View::dense(tensor, dims)
    }

    fn call(&mut self, op: &Op, inputs: Vec<View>, types: &[(DType, Vec<usize>)]) -> Vec<usize> {
        let views = copy::reads_views(op);
        let inputs = inputs
            .iter()
            .map(|v| {
                let counted = matches!(self.units.tensors[v.tensor].origin, Origin::Count);
                if views && !counted { v.clone() } else { View::dense(self.dense(v), &v.dims) }
            })
            .collect();
        let unit = self.units.units.len();
        let outputs: Vec<usize> =
            types.iter().map(|(dtype, dims)| self.units.tensor(*dtype, dims, Origin::Unit(unit))).collect();
        self.units.unit(Body::Call(Call { op: op.clone(), inputs, outputs: outputs.clone() }), self.at);
        outputs
    }

    /// A unit that copies a tensor and is not merged; gives the new tensor.
    pub fn copy_apart(&mut self, tensor: usize) -> usize {
        let (dtype, dims) = (self.units.tensors[tensor].dtype, self.units.tensors[tensor].dims.clone());
        let unit = self.units.units.len();
        let made = self.units.tensor(dtype, &dims, Origin::Unit(unit));
        let args = vec![self.arg(&View::dense(tensor, &dims))];
        let expr = Expr { func: Func::Bitcast, dtype, out: dtype, level: Level::Full, args, tensor: Some(made) };
        let cluster = Cluster { exprs: vec![expr], ..Cluster::empty(&dims) };
        let unit = self.units.unit(Body::Fused(cluster), self.at);
        self.units.units[unit].open = false;
        made
    }
}

/// The kernel of an operation.
///
/// # Errors
/// If a graph inside it cannot be compiled.
pub(crate) fn kernel(op: &Op, inputs: Vec<Operand>, mut outputs: Vec<Target>) -> Result<Box<dyn Kernel>> {
    Ok(match op {
        Op::DotGeneral(_) | Op::Convolution(_) => contract::kernel(op, inputs, outputs.remove(0)),
        Op::Concatenate(op) => Box::new(copy::concatenate(op.axis, &inputs, outputs.remove(0))),
        Op::Pad(op) => Box::new(copy::pad(op, &inputs, outputs.remove(0))),
        Op::DynamicSlice(_) => Box::new(copy::dynamic_slice(&inputs, outputs.remove(0))),
        Op::DynamicUpdateSlice(_) => Box::new(copy::dynamic_update_slice(&inputs, outputs.remove(0))),
        Op::Scan(op) => Box::new(control::ScanKernel::new(op, inputs, outputs)?),
        Op::While(op) => Box::new(control::WhileKernel::new(op, inputs, outputs)?),
        Op::Cond(op) => Box::new(control::CondKernel::new(op, inputs, outputs)?),
        Op::RngBits(_) => Box::new(random::RandomBits::new(&inputs[0], outputs.remove(0))),
        Op::Gather(op) => Box::new(indexing::GatherKernel::new(op, &inputs, outputs.remove(0))),
        Op::Scatter(scatter) => match indexing::ScatterKernel::new(scatter, &inputs, &outputs[0]) {
            Some(kernel) => Box::new(kernel),
            None => Box::new(Evaluate::new(op, inputs, outputs)),
        },
        Op::ArgReduce(op) => Box::new(Along::arg_reduce(op.max, op.axis, inputs, outputs.remove(0))),
        Op::Cumulative(op) => Box::new(Along::cumulative(op, inputs, outputs.remove(0))),
        Op::ReduceWindow(window) => match Along::reduce_window(window, &inputs, &outputs[0]) {
            Some(kernel) => Box::new(kernel),
            None => Box::new(Evaluate::new(op, inputs, outputs)),
        },
        Op::SelectAndScatter(window) => match Along::select_and_scatter(window, &inputs, &outputs[0]) {
            Some(kernel) => Box::new(kernel),
            None => Box::new(Evaluate::new(op, inputs, outputs)),
        },
        Op::Sort(op) => Box::new(sorting::SortKernel::new(op, inputs, outputs)),
        Op::TopK(op) => Box::new(sorting::TopKKernel::new(op.k, inputs, outputs)),
        Op::Fft(op) => fourier::kernel(op, inputs, outputs),
        Op::Cholesky(_) | Op::TriangularSolve(_) | Op::Lu(_) | Op::Qr(_) | Op::Eigh(_) | Op::Svd(_) => {
            Box::new(matrices::Matrices::new(op, inputs, outputs))
        }
        Op::CustomCall(_) => Box::new(Evaluate::new(op, inputs, outputs)),
        Op::Parameter(_)
        | Op::Constant(_)
        | Op::Iota(_)
        | Op::Unary(_)
        | Op::Binary(_)
        | Op::Compare(_)
        | Op::Select(_)
        | Op::Convert(_)
        | Op::BitcastConvert(_)
        | Op::BroadcastInDim(_)
        | Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Slice(_)
        | Op::Reverse(_)
        | Op::Reduce(_)
        | Op::StopGradient(_)
        | Op::CustomGradient(_)
        | Op::Remat(_)
        | Op::Composite(_) => unreachable!("these are views, fused, or flattened before"),
    })
}
