//! Everything that configurations may name.

use crate::{callbacks, constraints, initializers, layers, losses, metrics, ops, optimizers, regularizers};

/// A class of Keras's that configurations may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Registered {
    /// `layers`, `ops`, `losses`, …: the module of this crate, and of Keras, that the class is in.
    pub family: &'static str,
    /// Keras's class name.
    pub name: &'static str,
}

/// Every class that configurations may name, by family in the order of the tables.
///
/// # Examples
/// ```
/// use rhyton_core::saving::{Registered, registered};
///
/// assert!(registered().contains(&Registered { family: "layers", name: "Dense" }));
/// ```
pub fn registered() -> Vec<Registered> {
    fn of<'a>(
        family: &'static str,
        names: impl Iterator<Item = &'static str> + 'a,
    ) -> impl Iterator<Item = Registered> + 'a {
        names.map(move |name| Registered { family, name })
    }
    of("layers", layers::classes().map(|c| c.name))
        .chain(of("ops", ops::classes().map(|c| c.name)))
        .chain(of("losses", losses::CLASSES.iter().map(|c| c.name)))
        .chain(of("metrics", metrics::metric_classes().iter().map(|c| c.name)))
        .chain(of("optimizers", optimizers::CLASSES.iter().map(|c| c.name)))
        .chain(of("optimizers.schedules", optimizers::schedules::CLASSES.iter().map(|c| c.name)))
        .chain(of("initializers", initializers::CLASSES.iter().map(|c| c.name)))
        .chain(of("regularizers", regularizers::CLASSES.iter().map(|c| c.name)))
        .chain(of("constraints", constraints::CLASSES.iter().map(|c| c.name)))
        .chain(of("callbacks", callbacks::names()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Wrappers of a function, without which nothing else is looked at; the first two take its arguments.
    const OPEN: &[&str] = &["LossFunctionWrapper", "MeanMetricWrapper", "Lambda"];

    #[test]
    fn unknown_keys_of_every_class_are_refused_by_name() {
        // A space of features has no name.
        let config = |class: &str| match class {
            "FeatureSpace" => json!({"no_such_key": 1}),
            _ => json!({"name": "x", "no_such_key": 1}),
        };
        let mut refused: Vec<(&str, &str, Option<String>)> = Vec::new();
        let mut note = |family, name, error: Option<String>| refused.push((family, name, error));
        layers::classes()
            .for_each(|c| note("layers", c.name, (c.from_config)(config(c.name)).err().map(|e| e.to_string())));
        ops::classes().for_each(|c| {
            let config = json!({"no_such_key": 1});
            note("ops", c.name, (c.from_config)(config).err().map(|e| e.to_string()));
        });
        macro_rules! family {
            ($($family:literal $classes:expr;)*) => {$(
                for class in $classes {
                    let config = json!({"no_such_key": 1});
                    note($family, class.name, (class.from_config)(config).err().map(|e| e.to_string()));
                }
            )*};
        }
        family! {
            "losses" losses::CLASSES;
            "metrics" metrics::metric_classes();
            "optimizers" optimizers::CLASSES;
            "schedules" optimizers::schedules::CLASSES;
            "initializers" initializers::CLASSES;
            "regularizers" regularizers::CLASSES;
            "constraints" constraints::CLASSES;
        }
        assert!(refused.len() > 300, "{}", refused.len());
        let wrong = refused.iter().filter(|(_, name, error)| {
            !OPEN.contains(name) && !error.as_deref().is_some_and(|e| e.contains("no_such_key"))
        });
        let wrong: Vec<_> = wrong.collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
