//! Classes of users: the names that they are saved under, and how files that name them are read.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{KerasObject, Parts};
use crate::constraints::{self, Constraint};
use crate::error::{Error, Result};
use crate::initializers::{self, Initializer};
use crate::layers::{self, Context, LambdaFunction, Layer};
use crate::losses::{self, Loss};
use crate::metrics::{self, Metric};
use crate::nest::{Args, Nest};
use crate::optimizers::schedules::{self, LearningRateSchedule};
use crate::optimizers::{self, Optimizer, OptimizerBase, UpdateRule};
use crate::regularizers::{self, Regularizer};

/// Under which name Keras registers a class: `Custom>ClassName` for one of a user, as `register_keras_serializable` has it
/// unless told otherwise, and `None` for one of this crate, all of which are Keras's own.
pub(crate) fn registered_name(type_name: &str, class_name: &str) -> Option<String> {
    let of_this_crate = type_name.split("::").next() == Some(env!("CARGO_CRATE_NAME"));
    (!of_this_crate).then(|| format!("Custom>{class_name}"))
}

/// How one of a class is rebuilt from its configuration.
type Make<T> = fn(Value) -> Result<Arc<T>>;

/// Classes of users that files may name.
///
/// A class is found by the name that it is registered under (`Custom>ClassName` unless its `registered_name` is another one),
/// or else by its class name.
///
/// # Examples
/// ```
/// use rhyton_core::saving::CustomObjects;
/// use rhyton_core::{Result, Tensor, keras_object, ops};
/// use rhyton_core::losses::{Loss, LossRef};
///
/// #[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
/// struct Gap {}
/// keras_object!(Gap);
///
/// impl Loss for Gap {
///     fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
///         Ok(ops::mean(&ops::absolute(&(y_true - y_pred)), -1, false))
///     }
///     fn name(&self) -> &str {
///         "gap"
///     }
/// }
///
/// let saved = LossRef::from(Gap {}).to_json();
/// assert_eq!(saved["registered_name"], "Custom>Gap");
/// assert!(LossRef::from_json(&saved).unwrap_err().to_string().contains("loss::<Gap>()"));
/// let loss = CustomObjects::new().loss::<Gap>().scope(|| LossRef::from_json(&saved))?;
/// assert_eq!(loss.name(), "gap");
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct CustomObjects {
    layers: Classes<dyn Layer>,
    losses: Classes<dyn Loss>,
    metrics: Classes<dyn Metric>,
    optimizers: Classes<dyn Optimizer>,
    schedules: Classes<dyn LearningRateSchedule>,
    initializers: Classes<dyn Initializer>,
    regularizers: Classes<dyn Regularizer>,
    constraints: Classes<dyn Constraint>,
    functions: HashMap<String, Arc<LambdaFunction>>,
}

/// Classes of one family, by registered names and class names.
pub(crate) struct Classes<T: ?Sized>(HashMap<String, Make<T>>);

impl<T: ?Sized> Default for Classes<T> {
    fn default() -> Classes<T> {
        Classes(HashMap::new())
    }
}

impl<T: ?Sized> Clone for Classes<T> {
    fn clone(&self) -> Classes<T> {
        Classes(self.0.clone())
    }
}

impl<T: ?Sized> Classes<T> {
    fn add(&mut self, registered: Option<String>, class_name: &str, make: Make<T>) {
        self.0.insert(class_name.to_owned(), make);
        if let Some(registered) = registered {
            self.0.insert(registered, make);
        }
    }

    fn add_object(&mut self, object: &impl KerasObject, make: Make<T>) {
        self.add(object.registered_name(), object.class_name(), make);
    }
}

impl<T: ?Sized> Classes<T> {
    fn extend(&mut self, others: &Classes<T>) {
        self.0.extend(others.0.iter().map(|(name, make)| (name.clone(), *make)));
    }
}

thread_local! {
    static CUSTOM: RefCell<Vec<CustomObjects>> = const { RefCell::new(Vec::new()) };
}

/// Classes that are known to the whole process.
static REGISTERED: LazyLock<Mutex<CustomObjects>> = LazyLock::new(Mutex::default);

/// Makes classes of users known to all files that are read from now on, on every thread. Under which name a class is registered,
/// its `registered_name` says.
///
/// # Examples
/// ```
/// use rhyton_core::saving::{CustomObjects, get_registered_object, register_keras_serializable};
/// # use rhyton_core::{Result, Tensor, keras_object, losses::Loss};
/// # #[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
/// # struct Gap {}
/// # keras_object!(Gap);
/// # impl Loss for Gap {
/// #     fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> { Ok(y_true - y_pred) }
/// #     fn name(&self) -> &str { "gap" }
/// # }
///
/// register_keras_serializable(CustomObjects::new().loss::<Gap>());
/// assert_eq!(get_registered_object("Custom>Gap"), Some("loss"));
/// ```
pub fn register_keras_serializable(objects: CustomObjects) {
    REGISTERED.lock().unwrap_or_else(|e| e.into_inner()).extend(&objects);
}

/// The classes that are registered for the process, and those of the scopes around.
pub fn get_custom_objects() -> CustomObjects {
    let mut all = REGISTERED.lock().unwrap_or_else(|e| e.into_inner()).clone();
    CUSTOM.with_borrow(|scopes| scopes.iter().for_each(|objects| all.extend(objects)));
    all
}

/// The name that the object's class is saved under: that which it is registered under, or Keras's class name.
pub fn get_registered_name(object: &(impl KerasObject + ?Sized)) -> String {
    object.registered_name().unwrap_or_else(|| object.class_name().to_owned())
}

/// What the class of a user that is registered as `name` is: a `"layer"`, a `"loss"`, …; `None` if there is none.
pub fn get_registered_object(name: &str) -> Option<&'static str> {
    get_custom_objects().family_of(name)
}

/// The scope that [`CustomObjects::enter`] opened; it ends when this is dropped.
#[must_use = "the scope ends when this is dropped"]
#[derive(Debug)]
pub struct CustomObjectScope {
    /// Scopes are of their thread.
    _thread: std::marker::PhantomData<*const ()>,
}

impl Drop for CustomObjectScope {
    fn drop(&mut self) {
        CUSTOM.with_borrow_mut(|c| c.pop());
    }
}

impl CustomObjects {
    /// None.
    pub fn new() -> CustomObjects {
        CustomObjects::default()
    }

    /// Adds a class of layers.
    pub fn layer<L: Layer + Default + DeserializeOwned + 'static>(mut self) -> CustomObjects {
        let layer = L::default();
        self.layers.add(layer.registered_name(), layer.class_name(), layers::make::<L>);
        self
    }

    /// Adds a class of losses.
    pub fn loss<L: Loss + Default + DeserializeOwned + 'static>(mut self) -> CustomObjects {
        self.losses.add_object(&L::default(), losses::make::<L>);
        self
    }

    /// Adds a class of metrics; `name` and `dtype` in its configuration are set on its base.
    pub fn metric<M: Metric + Default + DeserializeOwned + 'static>(mut self) -> CustomObjects {
        self.metrics.add_object(&M::default(), metrics::make::<M>);
        self
    }

    /// Adds a class of optimizers.
    pub fn optimizer<O>(mut self) -> CustomObjects
    where
        O: UpdateRule + AsMut<OptimizerBase> + Default + DeserializeOwned + 'static,
    {
        self.optimizers.add_object(&O::default(), optimizers::make::<O>);
        self
    }

    /// Adds a class of learning-rate schedules.
    pub fn schedule<S: LearningRateSchedule + Default + DeserializeOwned + 'static>(mut self) -> CustomObjects {
        self.schedules.add_object(&S::default(), schedules::make::<S>);
        self
    }

    /// Adds a class of initializers.
    pub fn initializer<I: Initializer + Default + DeserializeOwned + 'static>(mut self) -> CustomObjects {
        self.initializers.add_object(&I::default(), initializers::make::<I>);
        self
    }

    /// Adds a class of regularizers.
    pub fn regularizer<R: Regularizer + Default + DeserializeOwned + 'static>(mut self) -> CustomObjects {
        self.regularizers.add_object(&R::default(), regularizers::make::<R>);
        self
    }

    /// Adds a class of constraints.
    pub fn constraint<C: Constraint + Default + DeserializeOwned + 'static>(mut self) -> CustomObjects {
        self.constraints.add_object(&C::default(), constraints::make::<C>);
        self
    }

    /// Adds a function that layers [`Lambda`](crate::layers::Lambda) may name: by the name that it is registered under in
    /// Python (`"package>name"`), or by its own.
    pub fn function(
        mut self,
        name: impl Into<String>,
        function: impl Fn(&Args, &mut Context) -> Result<Nest> + Send + Sync + 'static,
    ) -> CustomObjects {
        self.functions.insert(name.into(), Arc::new(function));
        self
    }

    /// Runs `function` while configurations may name these classes (Keras's `custom_object_scope`).
    pub fn scope<R>(&self, function: impl FnOnce() -> R) -> R {
        let _scope = self.enter();
        function()
    }

    /// Lets configurations name these classes on this thread until what is returned is dropped.
    pub fn enter(&self) -> CustomObjectScope {
        CUSTOM.with_borrow_mut(|c| c.push(self.clone()));
        CustomObjectScope { _thread: std::marker::PhantomData }
    }
}

/// A family of classes that users may add to: losses, metrics, …
pub trait Family {
    /// The method of [`CustomObjects`] that adds a class.
    const METHOD: &'static str;

    #[doc(hidden)]
    fn added(custom: &CustomObjects, name: &str) -> Option<Make<Self>>;
}

macro_rules! families {
    ($($method:literal $field:ident $family:ident;)*) => {
        impl CustomObjects {
            fn extend(&mut self, others: &CustomObjects) {
                $(self.$field.extend(&others.$field);)*
            }

            /// The family of the class of this name.
            fn family_of(&self, name: &str) -> Option<&'static str> {
                let families = [$(($method, self.$field.0.contains_key(name))),*];
                families.into_iter().find(|(_, there)| *there).map(|(family, _)| family)
            }
        }

        $(
        impl Family for dyn $family {
            const METHOD: &'static str = $method;

            fn added(custom: &CustomObjects, name: &str) -> Option<Make<dyn $family>> {
                custom.$field.0.get(name).copied()
            }
        }
        )*
    };
}

families! {
    "layer" layers Layer;
    "loss" losses Loss;
    "metric" metrics Metric;
    "optimizer" optimizers Optimizer;
    "schedule" schedules LearningRateSchedule;
    "initializer" initializers Initializer;
    "regularizer" regularizers Regularizer;
    "constraint" constraints Constraint;
}

/// The user's class that `parts` is of; `None` if it is none of a user.
///
/// # Errors
/// If it is of a user's class that was not added.
pub(crate) fn find<T: ?Sized + Family>(parts: &Parts) -> Result<Option<Make<T>>> {
    let registered = |name: &str| T::added(&REGISTERED.lock().unwrap_or_else(|e| e.into_inner()), name);
    let in_scope = |name: &str| CUSTOM.with_borrow(|c| c.iter().rev().find_map(|custom| T::added(custom, name)));
    let added = |name: &str| in_scope(name).or_else(|| registered(name));
    let found = parts.registered_name.as_deref().and_then(added).or_else(|| added(&parts.class_name));
    match (found, &parts.registered_name) {
        (None, Some(registered)) if parts.is_custom() => Err(Error::content(
            T::METHOD,
            format!("the custom class {registered:?} is not known"),
            how_to_add::<T>(&parts.class_name),
        )),
        (found, _) => Ok(found),
    }
}

/// The function of a user that is known by `name`, or by what follows its package.
pub(crate) fn function(name: &str) -> Option<Arc<LambdaFunction>> {
    let own = name.rsplit('>').next().unwrap_or(name);
    let added = |c: &CustomObjects| c.functions.get(name).or_else(|| c.functions.get(own)).cloned();
    CUSTOM.with_borrow(|custom| custom.iter().rev().find_map(added))
}

/// What to do about a class that is not known.
pub(crate) fn how_to_add<T: ?Sized + Family>(class_name: &str) -> String {
    format!(
        "load with load_model_with(path, &CustomObjects::new().{}::<{class_name}>()), or give these objects to \
         register_keras_serializable first",
        T::METHOD
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_classes_of_other_crates_are_custom() {
        assert_eq!(crate::layers::Dense::new(1).registered_name(), None);
        assert_eq!(registered_name("theirs::layers::Dense", "Dense").unwrap(), "Custom>Dense");
        assert_eq!(registered_name(std::any::type_name::<crate::layers::Dense>(), "Dense"), None);
    }
}
