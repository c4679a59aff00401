//! Host arrays: dense, row-major, typed.

use std::sync::{Arc, OnceLock, Weak};

use half::{bf16, f16};

use crate::dtype::DType;

/// The elements of an [`Array`], in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// `bool`
    Bool(Vec<bool>),
    /// `uint8`
    U8(Vec<u8>),
    /// `uint16`
    U16(Vec<u16>),
    /// `uint32`
    U32(Vec<u32>),
    /// `uint64`
    U64(Vec<u64>),
    /// `int8`
    I8(Vec<i8>),
    /// `int16`
    I16(Vec<i16>),
    /// `int32`
    I32(Vec<i32>),
    /// `int64`
    I64(Vec<i64>),
    /// `float16`
    F16(Vec<f16>),
    /// `bfloat16`
    BF16(Vec<bf16>),
    /// `float32`
    F32(Vec<f32>),
    /// `float64`
    F64(Vec<f64>),
}

/// Runs `$body` with `$v` bound to the typed vector of `$data`, whichever dtype it has.
#[macro_export]
macro_rules! with_data {
    ($data:expr, $v:ident => $body:expr) => {
        match $data {
            $crate::array::Data::Bool($v) => $body,
            $crate::array::Data::U8($v) => $body,
            $crate::array::Data::U16($v) => $body,
            $crate::array::Data::U32($v) => $body,
            $crate::array::Data::U64($v) => $body,
            $crate::array::Data::I8($v) => $body,
            $crate::array::Data::I16($v) => $body,
            $crate::array::Data::I32($v) => $body,
            $crate::array::Data::I64($v) => $body,
            $crate::array::Data::F16($v) => $body,
            $crate::array::Data::BF16($v) => $body,
            $crate::array::Data::F32($v) => $body,
            $crate::array::Data::F64($v) => $body,
        }
    };
}

/// A Rust type that is the element of some [`DType`].
pub trait Element:
    Copy + Send + Sync + PartialEq + PartialOrd + std::fmt::Debug + Default + bytemuck::NoUninit
{
    /// Its dtype.
    const DTYPE: DType;
    /// Wraps a vector.
    fn wrap(values: Vec<Self>) -> Data;
    /// The values, if the dtype is this one.
    fn view(data: &Data) -> Option<&[Self]>;
    /// The values for writing, if the dtype is this one.
    fn view_mut(data: &mut Data) -> Option<&mut Vec<Self>>;
    /// Conversion to `f64` (exact but for 64-bit integers).
    fn to_f64(self) -> f64;
    /// Conversion from `f64`: rounds to nearest for floats, truncates and saturates for integers, `!= 0` for `bool`.
    fn from_f64(value: f64) -> Self;
    /// Conversion to `i128`: exact for integers, truncating for floats.
    fn to_i128(self) -> i128;
    /// Conversion from `i128`: wraps for integers, as C does.
    fn from_i128(value: i128) -> Self;
}

macro_rules! element {
    ($($t:ty, $variant:ident, $to_f64:expr, $from_f64:expr, $to_i128:expr, $from_i128:expr;)*) => {$(
        impl Element for $t {
            const DTYPE: DType = DType::$variant;
            fn wrap(values: Vec<Self>) -> Data {
                Data::$variant(values)
            }
            fn view(data: &Data) -> Option<&[Self]> {
                if let Data::$variant(v) = data { Some(v) } else { None }
            }
            fn view_mut(data: &mut Data) -> Option<&mut Vec<Self>> {
                if let Data::$variant(v) = data { Some(v) } else { None }
            }
            fn to_f64(self) -> f64 {
                $to_f64(self)
            }
            fn from_f64(value: f64) -> Self {
                $from_f64(value)
            }
            fn to_i128(self) -> i128 {
                $to_i128(self)
            }
            fn from_i128(value: i128) -> Self {
                $from_i128(value)
            }
        }
    )*};
}

element! {
    bool, Bool, |v| f64::from(u8::from(v)), |v| v != 0.0, |v| i128::from(u8::from(v)), |v| v != 0;
    u8, U8, |v| v as f64, |v| v as u8, |v| v as i128, |v| v as u8;
    u16, U16, |v| v as f64, |v| v as u16, |v| v as i128, |v| v as u16;
    u32, U32, |v| v as f64, |v| v as u32, |v| v as i128, |v| v as u32;
    u64, U64, |v| v as f64, |v| v as u64, |v| v as i128, |v| v as u64;
    i8, I8, |v| v as f64, |v| v as i8, |v| v as i128, |v| v as i8;
    i16, I16, |v| v as f64, |v| v as i16, |v| v as i128, |v| v as i16;
    i32, I32, |v| v as f64, |v| v as i32, |v| v as i128, |v| v as i32;
    i64, I64, |v| v as f64, |v| v as i64, |v| v as i128, |v| v as i64;
    f16, F16, f16::to_f64, f16::from_f64, |v: f16| v.to_f64() as i128, |v: i128| f16::from_f64(v as f64);
    bf16, BF16, bf16::to_f64, bf16::from_f64, |v: bf16| v.to_f64() as i128, |v: i128| bf16::from_f64(v as f64);
    f32, F32, |v| v as f64, |v| v as f32, |v| v as i128, |v| v as f32;
    f64, F64, |v| v, |v| v, |v| v as i128, |v| v as f64;
}

/// Runs `$body` with `$T` standing for the Rust type of `$dtype`'s elements.
#[macro_export]
macro_rules! with_element {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::Bool => {
                type $T = bool;
                $body
            }
            $crate::DType::U8 => {
                type $T = u8;
                $body
            }
            $crate::DType::U16 => {
                type $T = u16;
                $body
            }
            $crate::DType::U32 => {
                type $T = u32;
                $body
            }
            $crate::DType::U64 => {
                type $T = u64;
                $body
            }
            $crate::DType::I8 => {
                type $T = i8;
                $body
            }
            $crate::DType::I16 => {
                type $T = i16;
                $body
            }
            $crate::DType::I32 => {
                type $T = i32;
                $body
            }
            $crate::DType::I64 => {
                type $T = i64;
                $body
            }
            $crate::DType::F16 => {
                type $T = $crate::f16;
                $body
            }
            $crate::DType::BF16 => {
                type $T = $crate::bf16;
                $body
            }
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
        }
    };
}

impl Data {
    /// `len` zeros (`false` for `bool`).
    pub fn zeros(dtype: DType, len: usize) -> Data {
        with_element!(dtype, T => T::wrap(vec![T::default(); len]))
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        fn of<T: Element>(_: &[T]) -> DType {
            T::DTYPE
        }
        with_data!(self, v => of(v))
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        with_data!(self, v => v.len())
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements' bytes in the machine's order.
    pub fn bytes(&self) -> &[u8] {
        with_data!(self, v => bytemuck::must_cast_slice(v))
    }

    /// Elements of `dtype` from their bytes in the machine's order; `None` if the length is no multiple of the size.
    pub fn from_bytes(dtype: DType, bytes: &[u8]) -> Option<Data> {
        if !bytes.len().is_multiple_of(dtype.size()) {
            return None;
        }
        fn gather<T: Element + bytemuck::AnyBitPattern>(bytes: &[u8]) -> Data {
            T::wrap(bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect())
        }
        Some(match dtype {
            DType::Bool => Data::Bool(bytes.iter().map(|&b| b != 0).collect()),
            DType::U8 => gather::<u8>(bytes),
            DType::U16 => gather::<u16>(bytes),
            DType::U32 => gather::<u32>(bytes),
            DType::U64 => gather::<u64>(bytes),
            DType::I8 => gather::<i8>(bytes),
            DType::I16 => gather::<i16>(bytes),
            DType::I32 => gather::<i32>(bytes),
            DType::I64 => gather::<i64>(bytes),
            DType::F16 => gather::<f16>(bytes),
            DType::BF16 => gather::<bf16>(bytes),
            DType::F32 => gather::<f32>(bytes),
            DType::F64 => gather::<f64>(bytes),
        })
    }

    /// Element `index` as `f64`.
    ///
    /// # Panics
    /// If `index` is out of range, as slices do.
    pub fn get_f64(&self, index: usize) -> f64 {
        with_data!(self, v => v[index].to_f64())
    }

    /// The elements converted to `dtype`: float to integer truncates and saturates, integers wrap, anything to `bool` is `!= 0`.
    pub fn cast(&self, dtype: DType) -> Data {
        fn convert<S: Element, D: Element>(values: &[S]) -> Data {
            let float = S::DTYPE.is_float() || D::DTYPE.is_float();
            let one = |v: S| if float { D::from_f64(v.to_f64()) } else { D::from_i128(v.to_i128()) };
            D::wrap(values.iter().map(|&v| one(v)).collect())
        }
        if self.dtype() == dtype {
            return self.clone();
        }
        with_data!(self, v => with_element!(dtype, D => convert::<_, D>(v)))
    }
}

/// A dense row-major array in host memory, cheap to clone: clones share the elements until one is written to.
#[derive(Clone, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    data: Arc<Data>,
}

impl Array {
    /// An array of `shape` over `values`.
    ///
    /// # Panics
    /// If the number of values is not the product of `shape`; see [`Array::try_new`] for values that come from outside.
    pub fn new<T: Element>(shape: impl Into<Vec<usize>>, values: impl Into<Vec<T>>) -> Array {
        Array::from_data(shape, T::wrap(values.into()))
    }

    /// An array of `shape` over `data`; `None` if the counts differ.
    pub fn try_new(shape: impl Into<Vec<usize>>, data: Data) -> Option<Array> {
        let shape = shape.into();
        (element_count(&shape) == Some(data.len())).then(|| Array { shape, data: Arc::new(data) })
    }

    /// An array of `shape` over `data`.
    ///
    /// # Panics
    /// If the counts differ.
    pub fn from_data(shape: impl Into<Vec<usize>>, data: Data) -> Array {
        let (shape, len) = (shape.into(), data.len());
        Array::try_new(shape.clone(), data).unwrap_or_else(|| panic!("{len} values do not fill the shape {shape:?}"))
    }

    /// An array of rank 0.
    pub fn scalar<T: Element>(value: T) -> Array {
        Array::new(Vec::new(), vec![value])
    }

    /// A scalar of `dtype`, converted from `f64` as [`Element::from_f64`] does.
    pub fn scalar_of(dtype: DType, value: f64) -> Array {
        with_element!(dtype, T => Array::scalar(T::from_f64(value)))
    }

    /// Zeros.
    pub fn zeros(dtype: DType, shape: impl Into<Vec<usize>>) -> Array {
        let shape = shape.into();
        let len = shape.iter().product();
        Array::from_data(shape, Data::zeros(dtype, len))
    }

    /// Every element `value`.
    pub fn full(dtype: DType, shape: impl Into<Vec<usize>>, value: f64) -> Array {
        let shape = shape.into();
        let len = shape.iter().product();
        with_element!(dtype, T => Array::new(shape, vec![T::from_f64(value); len]))
    }

    /// The shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The elements.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The elements for writing; copies them first if another clone shares them.
    pub fn data_mut(&mut self) -> &mut Data {
        Arc::make_mut(&mut self.data)
    }

    /// Whether no other clone shares the elements, so that [`Array::data_mut`] will not copy.
    pub fn is_unique(&mut self) -> bool {
        Arc::strong_count(&self.data) == 1
    }

    /// What tells these elements, as they are now, from all others.
    pub fn identity(&self) -> Identity {
        Identity(Arc::downgrade(&self.data))
    }

    /// The elements as a slice of `T`, if that is the dtype.
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        T::view(&self.data)
    }

    /// The elements as `f64`, whatever the dtype.
    pub fn to_f64_vec(&self) -> Vec<f64> {
        with_data!(self.data(), v => v.iter().map(|x| x.to_f64()).collect())
    }

    /// The same elements in another shape; `None` if the counts differ.
    pub fn reshape(&self, shape: impl Into<Vec<usize>>) -> Option<Array> {
        let shape = shape.into();
        (element_count(&shape) == Some(self.len())).then(|| Array { shape, data: Arc::clone(&self.data) })
    }

    /// The elements converted to `dtype` (see [`Data::cast`]); shares them if it is the same already.
    pub fn cast(&self, dtype: DType) -> Array {
        if dtype == self.dtype() {
            return self.clone();
        }
        Array { shape: self.shape.clone(), data: Arc::new(self.data.cast(dtype)) }
    }

    /// Rows `start..end` of the first axis.
    ///
    /// # Panics
    /// If the range does not lie within the first axis, as slices do.
    pub fn rows(&self, start: usize, end: usize) -> Array {
        let row: usize = self.shape[1..].iter().product();
        let mut shape = self.shape.clone();
        shape[0] = end - start;
        with_data!(self.data(), v => Array::new(shape, v[start * row..end * row].to_vec()))
    }

    /// The rows of the first axis at `indices`, in that order.
    ///
    /// # Panics
    /// If an index is out of range, as slices do.
    pub fn take_rows(&self, indices: &[usize]) -> Array {
        fn take<T: Element>(v: &[T], row: usize, indices: &[usize]) -> Data {
            let mut out = Vec::with_capacity(indices.len() * row);
            for &i in indices {
                out.extend_from_slice(&v[i * row..(i + 1) * row]);
            }
            T::wrap(out)
        }
        let row: usize = self.shape[1..].iter().product();
        let mut shape = self.shape.clone();
        shape[0] = indices.len();
        let data = with_data!(self.data(), v => take(v, row, indices));
        Array::from_data(shape, data)
    }
}

/// Remembers the elements of an array without keeping them; see [`Array::identity`].
#[derive(Clone, Debug)]
pub struct Identity(Weak<Data>);

impl Identity {
    /// Whether `array` shares the elements that were remembered, and nobody has written to them since.
    pub fn is_of(&self, array: &Array) -> bool {
        // Who writes to elements that a weak reference points at moves them elsewhere first (`Arc::make_mut`), and the
        // address is not used again as long as there is one.
        std::ptr::eq(self.0.as_ptr(), Arc::as_ptr(&array.data))
    }
}

impl Default for Array {
    /// An empty `float32` array; all share one allocation, so that taking an array out of its place costs nothing.
    fn default() -> Array {
        static EMPTY: OnceLock<Arc<Data>> = OnceLock::new();
        let data = EMPTY.get_or_init(|| Arc::new(Data::F32(Vec::new())));
        Array { shape: vec![0], data: Arc::clone(data) }
    }
}

impl std::fmt::Debug for Array {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 16;
        write!(f, "Array({}{:?}, ", self.dtype(), self.shape)?;
        with_data!(self.data(), v => f.debug_list().entries(v.iter().take(SHOWN)).finish())?;
        f.write_str(if self.len() > SHOWN { ", …)" } else { ")" })
    }
}

/// The product of `shape`, or `None` where it does not fit.
pub fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_until_written() {
        let mut a = Array::new([2], vec![1.0f32, 2.0]);
        let b = a.clone();
        assert!(!a.is_unique());
        if let Data::F32(v) = a.data_mut() {
            v[0] = 5.0;
        }
        assert_eq!(b.to_f64_vec(), [1.0, 2.0]);
        assert_eq!(a.to_f64_vec(), [5.0, 2.0]);
    }

    #[test]
    fn an_identity_ends_with_the_first_write() {
        let mut a = Array::new([2], vec![1.0f32, 2.0]);
        let identity = a.identity();
        assert!(a.is_unique() && identity.is_of(&a) && identity.is_of(&a.clone()));
        assert!(!identity.is_of(&Array::new([2], vec![1.0f32, 2.0])));
        a.data_mut();
        assert!(!identity.is_of(&a));
    }

    #[test]
    fn bytes_round_trip_in_every_dtype() {
        for dtype in DType::ALL {
            let a = Array::full(dtype, [3], 1.0);
            let back = Data::from_bytes(dtype, a.data().bytes()).unwrap();
            assert_eq!(&back, a.data());
        }
        assert!(Data::from_bytes(DType::F32, &[0; 7]).is_none());
    }

    #[test]
    fn casts_saturate_from_float_and_wrap_between_integers() {
        assert_eq!(Array::new([2], vec![-3.7f32, 300.0]).cast(DType::U8).to_f64_vec(), [0.0, 255.0]);
        assert_eq!(Array::new([1], vec![300i32]).cast(DType::U8).to_f64_vec(), [44.0]);
        assert_eq!(Array::new([2], vec![0.5f32, 0.0]).cast(DType::Bool).to_f64_vec(), [1.0, 0.0]);
    }

    #[test]
    fn huge_shapes_do_not_overflow() {
        assert!(Array::try_new([usize::MAX, 2], Data::zeros(DType::F32, 0)).is_none());
    }
}
