//! How losses are declared: their arguments and the function that computes them.

/// Declares a loss class: its name in Keras, the arguments with a builder, those whose builder is written by hand, and the
/// function of the class, `y_true` and `y_pred` (brought to the same rank) that gives the value of each sample.
macro_rules! loss {
    (
        $(#[$doc:meta])*
        $class:ident $default:literal $call:expr;
        { $($about:literal $(#[$meta:meta])* $field:ident: $ty:ty = $value:expr,)* }
        { $($(#[$by_hand_meta:meta])* $by_hand:ident: $by_hand_ty:ty = $by_hand_value:expr,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $class {
            name: String,
            #[serde(deserialize_with = "crate::losses::reduction_or_none")]
            reduction: crate::losses::Reduction,
            #[serde(skip)]
            dtype: Option<rhyton_ir::DType>,
            $($(#[$meta])* $field: $ty,)*
            $($(#[$by_hand_meta])* $by_hand: $by_hand_ty,)*
        }
        $crate::keras_object!($class);

        impl Default for $class {
            fn default() -> $class {
                $class {
                    name: $default.to_owned(),
                    reduction: crate::losses::Reduction::default(),
                    dtype: None,
                    $($field: $value,)*
                    $($by_hand: $by_hand_value,)*
                }
            }
        }

        impl $class {
            /// With Keras's defaults.
            pub fn new() -> $class {
                $class::default()
            }

            /// How the values of the samples become one; their mean unless said.
            pub fn reduction(mut self, reduction: crate::losses::Reduction) -> $class {
                self.reduction = reduction;
                self
            }

            /// The name, under which histories list it.
            pub fn name(mut self, name: impl Into<String>) -> $class {
                self.name = name.into();
                self
            }

            /// In which dtype it is computed; `float32` unless said.
            pub fn dtype(mut self, dtype: rhyton_ir::DType) -> $class {
                self.dtype = Some(dtype);
                self
            }

            $(
                #[doc = $about]
                pub fn $field(mut self, $field: $ty) -> $class {
                    self.$field = $field;
                    self
                }
            )*
        }

        impl crate::losses::Loss for $class {
            fn call(
                &self,
                y_true: &crate::tensor::Tensor,
                y_pred: &crate::tensor::Tensor,
            ) -> crate::error::Result<crate::tensor::Tensor> {
                let (y_true, y_pred) = crate::losses::same_rank(y_true, y_pred, true);
                let call: fn(&$class, &crate::tensor::Tensor, &crate::tensor::Tensor) -> crate::tensor::Tensor = $call;
                call(self, &y_true, &y_pred).check().cloned()
            }

            fn name(&self) -> &str {
                &self.name
            }

            fn reduction(&self) -> crate::losses::Reduction {
                self.reduction
            }

            fn dtype(&self) -> rhyton_ir::DType {
                self.dtype.unwrap_or_else(crate::config::floatx)
            }
        }
    };
}
pub(crate) use loss;
