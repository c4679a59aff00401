//! Random valid graphs, on which passes and back ends are compared with the interpreter.
//!
//! Magnitudes stay near 1, and what jumps (comparisons, rounding, positions of extremes) is applied only to integers
//! and to parameters moved about, so that a back end's other rounding does not show beyond its size.

use std::sync::Arc;

use crate::array::Array;
use crate::build::Builder;
use crate::dtype::DType;
use crate::graph::{Graph, Value};
use crate::interpret::type_of;
use crate::op::*;
use crate::shape::{Shape, TensorType};

/// A graph with inputs to run it on.
#[derive(Clone, Debug)]
pub struct RandomGraph {
    /// Made of `float32`, `float64`, `int32` and `bool` values.
    pub graph: Graph,
    /// One a parameter.
    pub inputs: Vec<Array>,
}

/// The graph number `seed`, of about `size` nodes besides constants; the same on every machine.
///
/// # Panics
/// If the generator makes a node that its operation does not accept, which would be a defect of the generator.
pub fn random_graph(seed: u64, size: usize) -> RandomGraph {
    let mut generator = Generator { random: SplitMix(seed), graph: Graph::new(), pool: Vec::new() };
    let float = if generator.below(3) == 0 { DType::F64 } else { DType::F32 };
    let mut inputs = Vec::new();
    for number in 0..2 + generator.below(3) {
        let dtype = if number == 2 { DType::I32 } else { float };
        let shape: Vec<usize> = (0..generator.below(4)).map(|_| 1 + generator.below(4)).collect();
        inputs.push(generator.array(dtype, &shape));
        let value = generator.graph.parameter(type_of(&inputs[number]));
        generator.pool.push(Entry { value, exact: true });
    }
    while generator.graph.nodes().len() < size {
        generator.step();
    }
    let last = generator.pool.len() - 1;
    let outputs: Vec<Value> = [last, last - generator.below(last + 1), generator.below(last + 1)]
        .into_iter()
        .map(|i| generator.pool[i].value)
        .collect();
    generator.graph.set_outputs(outputs);
    RandomGraph { graph: generator.graph, inputs }
}

/// Steele, Lea and Flood's generator (2014, <https://doi.org/10.1145/2714064.2660195>).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[derive(Clone, Copy)]
struct Entry {
    value: Value,
    /// Every back end has the same bits.
    exact: bool,
}

struct Generator {
    random: SplitMix,
    graph: Graph,
    pool: Vec<Entry>,
}

/// Values grow no larger than this.
const MOST_ELEMENTS: usize = 200;

impl Generator {
    fn below(&mut self, n: usize) -> usize {
        (self.random.next() % n.max(1) as u64) as usize
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Elements in steps of 1/16, exact in every float.
    fn array(&mut self, dtype: DType, shape: &[usize]) -> Array {
        let scale = if dtype.is_float() { 16.0 } else { 8.0 };
        let values: Vec<f64> = (0..shape.iter().product()).map(|_| (self.below(65) as f64 - 32.0) / scale).collect();
        Array::new(shape, values).cast(dtype)
    }

    /// Adds nodes by `build`, for whose mistakes the generator answers.
    fn build<T>(&mut self, build: impl FnOnce(&mut Builder) -> T) -> T {
        let mut b = Builder::new(&mut self.graph);
        let result = build(&mut b);
        b.finish().expect("the generator makes valid nodes");
        result
    }

    fn add(&mut self, exact: bool, build: impl FnOnce(&mut Builder) -> Value) {
        let value = self.build(build);
        let elements = self.graph.ty(value).shape.elements().known();
        if elements.is_some_and(|n| n <= MOST_ELEMENTS) {
            self.pool.push(Entry { value, exact });
        }
    }

    /// A value of the pool that `fits`, recent ones rather than old ones.
    fn choose(&mut self, fits: impl Fn(&Graph, Entry) -> bool) -> Option<Entry> {
        let found: Vec<Entry> = self.pool.iter().copied().filter(|&e| fits(&self.graph, e)).collect();
        if found.is_empty() {
            return None;
        }
        let recent = found.len().min(6);
        let place = if self.below(3) == 0 { self.below(found.len()) } else { found.len() - 1 - self.below(recent) };
        Some(found[place])
    }

    fn float(&mut self) -> Entry {
        self.choose(|g, e| g.ty(e.value).dtype.is_float()).expect("the first parameter is one")
    }

    /// The sizes of a value.
    fn sizes(&self, v: Value) -> Vec<usize> {
        self.graph.ty(v).shape.known().expect("random graphs have no symbols")
    }

    /// A value of the type of `x`: another if there is one.
    fn like(&mut self, x: Value) -> Entry {
        let ty = self.graph.ty(x).clone();
        self.choose(|g, e| *g.ty(e.value) == ty).expect("x itself is one")
    }

    fn constant_like(&mut self, dtype: DType, shape: &[usize]) -> Value {
        let value = self.array(dtype, shape);
        self.build(|b| b.constant(value))
    }

    fn step(&mut self) {
        match self.below(24) {
            0..=2 => self.unary(),
            3..=5 => self.binary(),
            6 => self.select(),
            7 => self.convert(),
            8 => self.broadcast(),
            9 | 10 => self.reduce(),
            11 => self.dot(),
            12 => self.reshape(),
            13 => self.transpose(),
            14 => self.slice(),
            15 => self.pad(),
            16 => self.concatenate(),
            17 => self.gather(),
            18 => self.convolution(),
            19 => self.window(),
            20 => self.scan(),
            21 => self.integers(),
            22 => self.cumulative(),
            _ => self.call(),
        }
    }

    fn unary(&mut self) {
        use UnaryKind::*;
        let (x, kind) =
            (self.float().value, self.pick(&[Tanh, Logistic, Sin, Cos, Abs, Neg, Erf, Atan, Exp, Log1p, Sqrt]));
        self.add(false, |b| match kind {
            // Within the domain, and far from where it grows.
            Exp => {
                let x = b.unary(Sin, x);
                b.unary(Exp, x)
            }
            Log1p | Sqrt => {
                let x = b.mul(x, x);
                let x = b.shift(x, 0.25);
                b.unary(kind, x)
            }
            kind => b.unary(kind, x),
        });
    }

    fn binary(&mut self) {
        use BinaryKind::*;
        let x = self.float().value;
        let y = self.like(x).value;
        let kind = self.pick(&[Add, Sub, Mul, Div, Maximum, Minimum, Atan2]);
        let splat = (self.below(4) == 0).then(|| self.pick(&[0.0, 1.0, -1.0, 0.5, 2.0]));
        let bounded = self.below(2) == 0;
        self.add(false, |b| {
            let y = splat.map_or(y, |n| b.full_like(x, n));
            let out = match kind {
                Div | Atan2 => {
                    let y = b.unary(UnaryKind::Abs, y);
                    let y = b.shift(y, 1.0);
                    b.binary(kind, x, y)
                }
                Mul => {
                    let y = b.unary(UnaryKind::Tanh, y);
                    b.mul(x, y)
                }
                kind => b.binary(kind, x, y),
            };
            if bounded { b.unary(UnaryKind::Tanh, out) } else { b.scale(out, 0.5) }
        });
    }

    fn select(&mut self) {
        use Direction::*;
        let Some(x) = self.choose(|g, e| e.exact && g.ty(e.value).dtype != DType::Bool) else { return };
        let (y, direction) = (self.like(x.value), self.pick(&[Eq, Ne, Lt, Le, Gt, Ge]));
        let y = if y.exact { y.value } else { self.build(|b| b.full_like(x.value, 0.5)) };
        let p = self.build(|b| b.compare(direction, x.value, y));
        self.pool.push(Entry { value: p, exact: true });
        let shape = self.graph.ty(p).shape.clone();
        if let Some(on) = self.choose(|g, e| g.ty(e.value).shape == shape && g.ty(e.value).dtype != DType::Bool) {
            let off = self.like(on.value);
            self.add(on.exact && off.exact, |b| b.select(p, on.value, off.value));
        }
    }

    fn convert(&mut self) {
        let x = self.choose(|_, e| e.exact).expect("parameters are exact");
        let dtype = self.pick(&[DType::F32, DType::F64, DType::I32, DType::Bool]);
        self.add(true, |b| b.convert(x.value, dtype));
        let x = self.float();
        let dtype = self.pick(&[DType::F32, DType::F64]);
        self.add(x.exact, |b| b.convert(x.value, dtype));
    }

    fn broadcast(&mut self) {
        let x = self.choose(|_, _| true).expect("there are parameters");
        let mut shape = self.sizes(x.value);
        let mut axes: Vec<usize> = (0..shape.len()).collect();
        for d in &mut shape {
            if *d == 1 {
                *d += self.below(3);
            }
        }
        if shape.len() < 4 {
            let at = self.below(shape.len() + 1);
            shape.insert(at, 1 + self.below(3));
            axes.iter_mut().filter(|a| **a >= at).for_each(|a| *a += 1);
        }
        self.add(x.exact, |b| b.broadcast(x.value, shape, &axes));
    }

    fn reduce(&mut self) {
        let x = self.float().value;
        let axes: Vec<usize> = (0..self.sizes(x).len()).filter(|_| self.below(2) == 0).collect();
        let kind = self.pick(&[ReduceKind::Sum, ReduceKind::Sum, ReduceKind::Max, ReduceKind::Min, ReduceKind::Prod]);
        self.add(false, |b| {
            let bounded = b.unary(UnaryKind::Tanh, x);
            let out = b.reduce(kind, bounded, &axes);
            b.scale(out, 0.25)
        });
    }

    fn dot(&mut self) {
        let Some(x) = self.choose(|g, e| g.ty(e.value).dtype.is_float() && g.ty(e.value).rank() >= 1) else { return };
        let (x, dtype, sizes) = (x.value, self.graph.ty(x.value).dtype, self.sizes(x.value));
        let batch = self.below(sizes.len().min(2));
        let axis = batch + self.below(sizes.len() - batch);
        let free = 1 + self.below(4);
        let y_sizes: Vec<usize> = sizes[..batch].iter().copied().chain([free, sizes[axis]]).collect();
        let y = self.constant_like(dtype, &y_sizes);
        let batches: Vec<usize> = (0..batch).collect();
        let turned = self.below(2) == 0;
        self.add(false, |b| {
            let mut swap = batches.clone();
            swap.extend([batch + 1, batch]);
            let (y, contract) = if turned { (b.transpose(y, &swap), batch) } else { (y, batch + 1) };
            let dims = DotGeneral {
                lhs_batch: batches.clone(),
                rhs_batch: batches,
                lhs_contract: vec![axis],
                rhs_contract: vec![contract],
            };
            let out = b.dot_general(dims, x, y);
            b.unary(UnaryKind::Tanh, out)
        });
    }

    fn reshape(&mut self) {
        let x = self.choose(|_, _| true).expect("there are parameters");
        let mut shape = self.sizes(x.value);
        match self.below(3) {
            0 => shape = vec![shape.iter().product()],
            1 => shape.insert(self.below(shape.len() + 1), 1),
            _ => shape.reverse(),
        }
        self.add(x.exact, |b| b.reshape(x.value, shape));
    }

    fn transpose(&mut self) {
        let x = self.choose(|_, _| true).expect("there are parameters");
        let mut permutation: Vec<usize> = (0..self.sizes(x.value).len()).collect();
        for i in (1..permutation.len()).rev() {
            permutation.swap(i, self.below(i + 1));
        }
        self.add(x.exact, |b| b.transpose(x.value, &permutation));
    }

    fn slice(&mut self) {
        let x = self.choose(|_, _| true).expect("there are parameters");
        let (mut start, mut limit, mut stride) = (Vec::new(), Vec::new(), Vec::new());
        for d in self.sizes(x.value) {
            start.push(self.below(d));
            limit.push((start[start.len() - 1] + 1 + self.below(d)).min(d).into());
            stride.push(1 + self.below(2));
        }
        self.add(x.exact, |b| b.push(Slice { start, limit, stride }, &[x.value]));
        if let Some(x) = self.choose(|g, e| g.ty(e.value).rank() > 0) {
            let axes = vec![self.below(self.sizes(x.value).len())];
            self.add(x.exact, |b| b.push(Reverse { axes }, &[x.value]));
        }
    }

    fn pad(&mut self) {
        let x = self.float();
        let dtype = self.graph.ty(x.value).dtype;
        let (mut low, mut high, mut interior) = (Vec::new(), Vec::new(), Vec::new());
        for d in self.sizes(x.value) {
            low.push(self.below(3) as i64 - i64::from(d > 2));
            high.push(self.below(2) as i64);
            interior.push(self.below(2));
        }
        self.add(x.exact, |b| {
            let value = b.scalar(dtype, 0.5);
            b.push(Pad { low, high, interior }, &[x.value, value])
        });
    }

    fn concatenate(&mut self) {
        let Some(x) = self.choose(|g, e| g.ty(e.value).rank() > 0) else { return };
        let (y, axis) = (self.like(x.value), self.below(self.sizes(x.value).len()));
        self.add(x.exact && y.exact, |b| b.concatenate(&[x.value, y.value, x.value], axis));
    }

    fn gather(&mut self) {
        let Some(x) = self.choose(|g, e| g.ty(e.value).rank() > 0) else { return };
        let sizes = self.sizes(x.value);
        let count = 1 + self.below(4);
        let indices = self.constant_like(DType::I32, &[count]);
        let slice_sizes: Vec<usize> = std::iter::once(1).chain(sizes[1..].iter().copied()).collect();
        let op = Gather {
            offset_axes: (1..sizes.len()).collect(),
            collapsed_slice_axes: vec![0],
            operand_batching_axes: vec![],
            indices_batching_axes: vec![],
            start_index_map: vec![0],
            index_vector_axis: 1,
            slice_sizes: slice_sizes.clone().into(),
        };
        self.add(x.exact, |b| b.push(op, &[x.value, indices]));
        let starts: Vec<Value> = sizes.iter().map(|_| self.constant_like(DType::I32, &[])).collect();
        self.add(x.exact, |b| {
            let operands: Vec<Value> = std::iter::once(x.value).chain(starts).collect();
            b.push(DynamicSlice { sizes: slice_sizes.into() }, &operands)
        });
    }

    fn convolution(&mut self) {
        let x = self.float().value;
        let (dtype, sizes) = (self.graph.ty(x).dtype, self.sizes(x));
        let elements: usize = sizes.iter().product();
        let features = if elements.is_multiple_of(2) { 2 } else { 1 };
        let groups = 1 + self.below(features);
        let spatial = [elements / features, 1];
        let kernel = [1 + self.below(3), 1, features / groups, 2 * groups];
        let kernel = self.constant_like(dtype, &kernel);
        let op = Convolution {
            dims: ConvDims {
                lhs_batch: 0,
                lhs_feature: 3,
                lhs_spatial: vec![1, 2],
                rhs_input: 2,
                rhs_output: 3,
                rhs_spatial: vec![0, 1],
                out_batch: 0,
                out_feature: 3,
                out_spatial: vec![1, 2],
            },
            strides: vec![1 + self.below(2), 1],
            padding: vec![(self.below(3) as i64, 2), (0, self.below(2) as i64)],
            lhs_dilation: vec![1 + self.below(2), 1],
            rhs_dilation: vec![1 + self.below(2), 1],
            feature_groups: groups,
            batch_groups: 1,
        };
        self.add(false, |b| {
            let image = b.reshape(x, [1, spatial[0], spatial[1], features]);
            let out = b.push(op, &[image, kernel]);
            b.unary(UnaryKind::Tanh, out)
        });
    }

    fn window(&mut self) {
        let x = self.float().value;
        let rank = self.sizes(x).len();
        let kind = self.pick(&[ReduceKind::Sum, ReduceKind::Max, ReduceKind::Min]);
        // Padding is narrower than a window, so that no extreme of nothing is taken.
        let window: Vec<usize> = (0..rank).map(|_| 1 + self.below(2)).collect();
        let op = ReduceWindow {
            kind,
            strides: (0..rank).map(|_| 1 + self.below(2)).collect(),
            padding: window.iter().map(|&w| (w as i64 - 1, 0)).collect(),
            base_dilation: vec![1; rank],
            window_dilation: vec![1; rank],
            window,
        };
        self.add(false, |b| {
            let x = b.unary(UnaryKind::Tanh, x);
            let out = b.push(op, &[x]);
            b.scale(out, 0.5)
        });
    }

    fn cumulative(&mut self) {
        let Some(x) = self.choose(|g, e| g.ty(e.value).dtype.is_float() && g.ty(e.value).rank() > 0) else { return };
        let axis = self.below(self.sizes(x.value).len());
        let op = Cumulative { kind: self.pick(&[ReduceKind::Sum, ReduceKind::Max]), axis, reverse: self.below(2) == 0 };
        self.add(false, |b| {
            let x = b.unary(UnaryKind::Tanh, x.value);
            let out = b.push(op, &[x]);
            b.scale(out, 0.5)
        });
    }

    fn integers(&mut self) {
        use BinaryKind::*;
        let Some(x) = self.choose(|g, e| g.ty(e.value).dtype == DType::I32) else { return self.convert() };
        let (y, kind) = (self.like(x.value).value, self.pick(&[Add, Sub, Mul, And, Or, Xor, Maximum]));
        self.add(true, |b| b.binary(kind, x.value, y));
        let sizes = self.sizes(x.value);
        if !sizes.is_empty() {
            let (axis, max) = (self.below(sizes.len()), self.below(2) == 0);
            self.add(true, |b| b.push(ArgReduce { max, axis }, &[x.value]));
            let ty = TensorType::new(DType::I32, sizes);
            self.add(true, |b| b.push(Iota { ty, axis }, &[]));
        }
    }

    /// `c' = tanh(c + x_t·w)`, `y_t = c' − x_t`.
    fn scan(&mut self) {
        let Some(x) = self.choose(|g, e| g.ty(e.value).dtype.is_float() && g.ty(e.value).rank() > 0) else { return };
        let sizes = self.sizes(x.value);
        let ty = TensorType::new(self.graph.ty(x.value).dtype, &sizes[1..]);
        let (w, c) = (self.constant_like(ty.dtype, &sizes[1..]), self.constant_like(ty.dtype, &sizes[1..]));
        let mut body = Graph::new();
        let [w_in, c_in, x_in] = [(); 3].map(|()| body.parameter(ty.clone()));
        let mut b = Builder::new(&mut body);
        let product = b.mul(x_in, w_in);
        let sum = b.add(c_in, product);
        let next = b.unary(UnaryKind::Tanh, sum);
        let y = b.sub(next, x_in);
        b.finish().expect("all have one type");
        body.set_outputs(vec![next, y]);
        let reverse = self.below(2) == 0;
        let op = Scan { body: Arc::new(body), consts: 1, carries: 1, length: sizes[0].into(), reverse };
        let outputs = self.build(|b| b.push_all(op, &[w, c, x.value]));
        self.pool.extend(outputs.into_iter().map(|value| Entry { value, exact: false }));
    }

    /// A function called as a `remat`, through `stop_gradient`, as a branch, or as a softmax.
    fn call(&mut self) {
        let x = self.float().value;
        let ty = self.graph.ty(x).clone();
        let body = |build: &dyn Fn(&mut Builder, Value) -> Value| {
            let mut body = Graph::new();
            let x = body.parameter(ty.clone());
            let mut b = Builder::new(&mut body);
            let out = build(&mut b, x);
            b.finish().expect("the type is kept");
            body.set_outputs(vec![out]);
            Arc::new(body)
        };
        match self.below(4) {
            0 => {
                let body = body(&|b, x| b.unary(UnaryKind::Sin, x));
                self.add(false, |b| b.push(Remat { body }, &[x]));
            }
            1 => self.add(false, |b| b.push(StopGradient, &[x])),
            2 => {
                let branches = vec![body(&|b, x| b.neg(x)), body(&|b, x| b.unary(UnaryKind::Tanh, x))];
                let index = self.constant_like(DType::I32, &[]);
                self.add(false, |b| b.push(Cond { branches }, &[index, x]));
            }
            _ if ty.rank() > 0 => {
                let last = [ty.rank() - 1];
                let restored = |b: &mut Builder, x: Value, ty: &Shape| b.restore(x, ty, &last);
                let decomposition = body(&|b, x| {
                    let shape = b.shape(x);
                    let max = b.reduce(ReduceKind::Max, x, &last);
                    let max = restored(b, max, &shape);
                    let shifted = b.sub(x, max);
                    let exp = b.unary(UnaryKind::Exp, shifted);
                    let sum = b.sum(exp, &last);
                    let sum = restored(b, sum, &shape);
                    b.div(exp, sum)
                });
                self.add(false, |b| b.push(Composite { kind: CompositeKind::Softmax, decomposition }, &[x]));
            }
            _ => {}
        }
    }
}
