//! How operations are declared: a class with its configuration, and the function that computes it.

use std::sync::Arc;

use rhyton_ir::DType;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Operand;
use super::record::Operation;
use crate::error::{Error, Result};
use crate::nest::{Args, Nest};
use crate::promotion::result_type;
use crate::saving::{KerasObject, from_config};
use crate::tensor::Tensor;

/// Rebuilds an operation whose configuration is what serde makes of it.
pub(crate) fn make<O: Operation + DeserializeOwned + 'static>(config: Value) -> Result<Arc<dyn Operation>> {
    Ok(Arc::new(from_config::<O>("operation", config)?))
}

/// Refuses the configuration of an operation without arguments that has some.
pub(crate) fn no_arguments(class: &str, config: &Value) -> Result<()> {
    match config.as_object().and_then(|c| c.keys().next()) {
        None => Ok(()),
        Some(key) => Err(Error::content(
            format!("configuration of {class}"),
            format!("unknown field `{key}`, there should be none"),
            "this version reads what Keras 3.15 writes",
        )),
    }
}

/// Declares classes of operations: the configuration's fields, the names of the call's arguments, and the function that
/// computes it from a reference to the class and the arguments. `CLASSES` lists them.
macro_rules! operations {
    ($module:expr; $($class:ident { $($(#[$meta:meta])* $field:ident: $ty:ty),* $(,)? } ($($arg:ident),*) $compute:path;)*) => {
        $(
            #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
            #[serde(deny_unknown_fields)]
            pub(crate) struct $class {
                $($(#[$meta])* pub(crate) $field: $ty,)*
            }
            $crate::keras_object!($class);

            impl $crate::ops::Operation for $class {
                fn module(&self) -> &'static str {
                    $module
                }
                fn compute(&self, args: &$crate::nest::Args) -> $crate::error::Result<$crate::nest::Nest> {
                    let mut positions = 0..;
                    $crate::ops::class::Outcome::outcome($compute(
                        self
                        $(, $crate::ops::class::Argument::argument(
                            args,
                            positions.next().unwrap_or(usize::MAX),
                            stringify!($arg),
                        )?)*
                    ))
                }
            }
        )*

        /// These operations as configurations name them.
        pub(crate) const CLASSES: &[$crate::ops::OperationClass] = &[
            $($crate::ops::OperationClass {
                name: stringify!($class),
                from_config: $crate::ops::class::make::<$class>,
            },)*
        ];
    };
}
pub(crate) use operations;

/// Declares functions of one tensor without configuration, each with its class. `UNARY` lists the classes.
macro_rules! unary_operations {
    ($module:expr; $($(#[$doc:meta])* $function:ident $class:ident $compute:expr;)*) => {
        $(
            $(#[$doc])*
            #[track_caller]
            pub fn $function(x: &$crate::tensor::Tensor) -> $crate::tensor::Tensor {
                $crate::ops::apply(
                    $crate::ops::class::Unary { module: $module, class: stringify!($class), compute: $compute },
                    $crate::nest::Args::new(x),
                )
            }
        )*

        /// These functions as configurations name them.
        pub(crate) const UNARY: &[$crate::ops::OperationClass] = &[
            $($crate::ops::OperationClass {
                name: stringify!($class),
                from_config: |config| {
                    $crate::ops::class::no_arguments(stringify!($class), &config)?;
                    Ok(std::sync::Arc::new($crate::ops::class::Unary {
                        module: $module,
                        class: stringify!($class),
                        compute: $compute,
                    }))
                },
            },)*
        ];
    };
}
pub(crate) use unary_operations;

/// Declares functions of two operands without configuration, each with its class. `BINARY` lists the classes.
macro_rules! binary_operations {
    ($module:expr; $($(#[$doc:meta])* $function:ident $class:ident $compute:expr;)*) => {
        $(
            $(#[$doc])*
            #[track_caller]
            pub fn $function(
                x1: impl Into<$crate::ops::Operand>,
                x2: impl Into<$crate::ops::Operand>,
            ) -> $crate::tensor::Tensor {
                $crate::ops::apply(
                    $crate::ops::class::Binary { module: $module, class: stringify!($class), compute: $compute },
                    $crate::nest::Args::new(x1.into().to_nest()).and(x2.into().to_nest()),
                )
            }
        )*

        /// These functions as configurations name them.
        pub(crate) const BINARY: &[$crate::ops::OperationClass] = &[
            $($crate::ops::OperationClass {
                name: stringify!($class),
                from_config: |config| {
                    $crate::ops::class::no_arguments(stringify!($class), &config)?;
                    Ok(std::sync::Arc::new($crate::ops::class::Binary {
                        module: $module,
                        class: stringify!($class),
                        compute: $compute,
                    }))
                },
            },)*
        ];
    };
}
pub(crate) use binary_operations;

/// A function of one tensor as an operation.
#[derive(Clone, Copy)]
pub(crate) struct Unary {
    pub(crate) module: &'static str,
    pub(crate) class: &'static str,
    pub(crate) compute: fn(&Tensor) -> Tensor,
}

/// A function of two operands as an operation.
#[derive(Clone, Copy)]
pub(crate) struct Binary {
    pub(crate) module: &'static str,
    pub(crate) class: &'static str,
    pub(crate) compute: fn(&Operand, &Operand) -> Result<Tensor>,
}

macro_rules! bare_object {
    ($($name:ident)*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.class)
            }
        }

        impl KerasObject for $name {
            fn class_name(&self) -> &'static str {
                self.class
            }
            fn config(&self) -> Value {
                json!({})
            }
        }
    )*};
}
bare_object!(Unary Binary);

impl Operation for Unary {
    fn module(&self) -> &'static str {
        self.module
    }
    fn compute(&self, args: &Args) -> Result<Nest> {
        let x: Tensor = match args.positional.first() {
            Some(_) => Argument::argument(args, 0, "x")?,
            // `keras.ops.conv(inputs=…)` and its like name their only argument differently.
            None => args.named.values().next().ok_or_else(|| missing("x")).and_then(tensor_of)?,
        };
        (self.compute)(&x).outcome()
    }
}

impl Operation for Binary {
    fn module(&self) -> &'static str {
        self.module
    }
    fn compute(&self, args: &Args) -> Result<Nest> {
        let x = args.get(0, "x1").or_else(|| args.named("x")).ok_or_else(|| missing("x1"))?;
        let y = args.get(1, "x2").or_else(|| args.named("y")).ok_or_else(|| missing("x2"))?;
        (self.compute)(&Operand::from_nest(x)?, &Operand::from_nest(y)?).outcome()
    }
}

fn missing(name: &str) -> Error {
    Error::argument("operation", format!("the argument {name} is missing"), "pass it")
}

/// A tensor, number or list of numbers as a tensor.
fn tensor_of(nest: &Nest) -> Result<Tensor> {
    if let Nest::List(items) = nest {
        let parts: Vec<Tensor> = items.iter().map(tensor_of).collect::<Result<_>>()?;
        return super::stack(&parts, 0).check().cloned();
    }
    Ok(strong(&Operand::from_nest(nest)?))
}

/// The operand as a tensor in its own right: numbers are `int32` or `float32`, and promote like tensors of these dtypes.
pub(crate) fn strong(operand: &Operand) -> Tensor {
    operand.to_tensor(result_type(&[operand]))
}

/// A kind of argument of a recorded call.
pub(crate) trait Argument: Sized {
    /// The argument at `position` or named `name`.
    fn argument(args: &Args, position: usize, name: &str) -> Result<Self>;
}

impl Argument for Option<Nest> {
    fn argument(args: &Args, position: usize, name: &str) -> Result<Self> {
        Ok(args.get(position, name).cloned())
    }
}

impl Argument for Nest {
    fn argument(args: &Args, position: usize, name: &str) -> Result<Self> {
        args.get(position, name).cloned().ok_or_else(|| missing(name))
    }
}

impl Argument for Option<Tensor> {
    fn argument(args: &Args, position: usize, name: &str) -> Result<Self> {
        args.get(position, name).map(|nest| Ok(tensor_of(nest)?.without_mask())).transpose()
    }
}

impl Argument for Tensor {
    fn argument(args: &Args, position: usize, name: &str) -> Result<Self> {
        Option::<Tensor>::argument(args, position, name)?.ok_or_else(|| missing(name))
    }
}

impl Argument for Option<Operand> {
    fn argument(args: &Args, position: usize, name: &str) -> Result<Self> {
        args.get(position, name).map(Operand::from_nest).transpose()
    }
}

impl Argument for Operand {
    fn argument(args: &Args, position: usize, name: &str) -> Result<Self> {
        Option::<Operand>::argument(args, position, name)?.ok_or_else(|| missing(name))
    }
}

impl Argument for Vec<Tensor> {
    fn argument(args: &Args, position: usize, name: &str) -> Result<Self> {
        match args.get(position, name).ok_or_else(|| missing(name))? {
            Nest::List(items) => items.iter().map(|n| Ok(tensor_of(n)?.without_mask())).collect(),
            other => Ok(vec![tensor_of(other)?.without_mask()]),
        }
    }
}

/// What a function that computes an operation may give.
pub(crate) trait Outcome {
    /// As the result of a call.
    fn outcome(self) -> Result<Nest>;
}

impl Outcome for Tensor {
    fn outcome(self) -> Result<Nest> {
        Ok(self.check()?.without_mask().into())
    }
}

impl Outcome for Vec<Tensor> {
    fn outcome(self) -> Result<Nest> {
        self.iter().try_for_each(|t| t.check().map(|_| ()))?;
        Ok(self.into())
    }
}

impl<const N: usize> Outcome for [Tensor; N] {
    fn outcome(self) -> Result<Nest> {
        Vec::from(self).outcome()
    }
}

impl<T: Outcome> Outcome for Result<T> {
    fn outcome(self) -> Result<Nest> {
        self?.outcome()
    }
}

/// The `N` results of an operation; if it failed, its error `N` times, so that they can be taken apart.
pub(crate) fn exactly<const N: usize>(results: Vec<Tensor>) -> [Tensor; N] {
    let error = results.first().cloned();
    results.try_into().unwrap_or_else(|_: Vec<Tensor>| {
        let shown = error.filter(|t| t.error().is_some()).unwrap_or_else(|| {
            Tensor::invalid(Error::argument("operation", "an unexpected number of results", "report this as a bug"))
        });
        std::array::from_fn(|_| shown.clone())
    })
}

/// The floating-point dtype in which a function of `dtype` is computed: itself, or `float32`.
pub(crate) fn float_of(dtype: DType) -> DType {
    if dtype.is_float() { dtype } else { crate::config::floatx() }
}
