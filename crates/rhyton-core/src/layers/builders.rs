//! The builder methods of layers: each sets one field of the configuration.

/// One builder method a field, inside an `impl`: `field: T` takes a `T`, `field: into T` what converts into it, and
/// `field: some T` the same for a field that is an `Option`.
macro_rules! builders {
    () => {};
    ($(#[$doc:meta])* $field:ident: into $t:ty, $($rest:tt)*) => {
        $(#[$doc])*
        pub fn $field(mut self, $field: impl Into<$t>) -> Self {
            self.$field = $field.into();
            self
        }
        $crate::layers::builders::builders! { $($rest)* }
    };
    ($(#[$doc:meta])* $field:ident: some $t:ty, $($rest:tt)*) => {
        $(#[$doc])*
        pub fn $field(mut self, $field: impl Into<$t>) -> Self {
            self.$field = Some($field.into());
            self
        }
        $crate::layers::builders::builders! { $($rest)* }
    };
    ($(#[$doc:meta])* $field:ident: $t:ty, $($rest:tt)*) => {
        $(#[$doc])*
        pub fn $field(mut self, $field: $t) -> Self {
            self.$field = $field;
            self
        }
        $crate::layers::builders::builders! { $($rest)* }
    };
}
pub(crate) use builders;
