//! What is there of each public name, and the page that says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use rhyton::activations::Activation;
use rhyton::applications::APPLICATIONS;
use rhyton::saving::registered;

use crate::absent::{self, Absence};
use crate::items;
use crate::symbols::Symbol;

/// What there is of a public name.
enum State {
    /// The path in Rust, and whether its class has golden data of Keras.
    There { rust: String, golden: bool },
    /// Not, and why.
    Absent(Absence),
}

/// The state of every name, by area in the order of the inventory.
pub struct Report<'s> {
    areas: Vec<(&'s str, Vec<(&'s str, State)>)>,
}

impl<'s> Report<'s> {
    /// Looks every name up.
    ///
    /// # Errors
    /// If a list names what Keras has not, or what is there after all.
    pub fn of(symbols: &'s [Symbol], golden: &BTreeSet<String>) -> Result<Report<'s>, String> {
        let there = There::new();
        let mut areas: Vec<(&str, Vec<(&str, State)>)> = Vec::new();
        for symbol in symbols {
            let rust = there.find(symbol);
            let state = match (rust, absent::reason(symbol)) {
                (Some(rust), Some(absence)) if absence.is_named => {
                    return Err(format!(
                        "{} is there as {rust}; take it out of the lists of what is absent",
                        symbol.path
                    ));
                }
                (Some(rust), _) => State::There { golden: has_golden(symbol, golden), rust },
                (None, absence) => State::Absent(absence.unwrap_or(Absence::MISSING)),
            };
            match areas.iter_mut().find(|(area, _)| *area == symbol.area) {
                Some((_, rows)) => rows.push((&symbol.path, state)),
                None => areas.push((&symbol.area, vec![(&symbol.path, state)])),
            }
        }
        let known: BTreeSet<&str> = symbols.iter().map(|s| s.path.as_str()).collect();
        let listed = items::ALL.iter().map(|(keras, _)| *keras).chain(absent::named());
        match listed.into_iter().find(|name| !known.contains(name)) {
            Some(stranger) => Err(format!("{stranger} is listed but no public name of Keras")),
            None => Ok(Report { areas }),
        }
    }

    fn counts<'a>(rows: impl Iterator<Item = &'a (&'a str, State)>) -> [usize; 4] {
        let mut counts = [0; 4];
        for (_, state) in rows {
            counts[match state {
                State::There { .. } => 0,
                State::Absent(absence) => 1 + absence.kind as usize,
            }] += 1;
        }
        counts
    }

    /// One line.
    pub fn summary(&self) -> String {
        let [there, not, later, missing] = Self::counts(self.areas.iter().flat_map(|(_, rows)| rows));
        format!("{there} there, {not} not applicable, {later} later, {missing} missing")
    }

    /// The page.
    pub fn markdown(&self) -> String {
        let mut text = String::from(INTRODUCTION);
        let mut line = |line: String| {
            text.push_str(&line);
            text.push('\n');
        };
        line(String::new());
        line("| Part of Keras | there | not applicable | later | missing |".into());
        line("| --- | ---: | ---: | ---: | ---: |".into());
        for (area, rows) in &self.areas {
            let [there, not, later, missing] = Self::counts(rows.iter());
            line(format!("| {area} | {there} | {not} | {later} | {missing} |"));
        }
        let [there, not, later, missing] = Self::counts(self.areas.iter().flat_map(|(_, rows)| rows));
        line(format!("| **all** | **{there}** | **{not}** | **{later}** | **{missing}** |"));
        line("\n## There\n\nNames with ● have golden data of Keras of their own in the tests.".into());
        for (area, rows) in &self.areas {
            let there = rows.iter().filter_map(|(path, state)| match state {
                State::There { rust, golden } => Some((path, rust, golden)),
                State::Absent(_) => None,
            });
            let there: Vec<_> = there.collect();
            if there.is_empty() {
                continue;
            }
            line(format!("\n### {area}\n\n| Keras | Rhyton | |\n| --- | --- | --- |"));
            for (path, rust, golden) in there {
                line(format!("| `{path}` | `{rust}` | {} |", if *golden { "●" } else { "" }));
            }
        }
        for (kind, title) in absent::TITLES {
            let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for (path, state) in self.areas.iter().flat_map(|(_, rows)| rows) {
                if let State::Absent(absence) = state
                    && absence.kind == kind
                {
                    by_reason.entry(absence.reason).or_default().push(path);
                }
            }
            if by_reason.is_empty() {
                continue;
            }
            line(format!("\n## {title}"));
            for (reason, paths) in by_reason {
                let mut names = String::new();
                for path in &paths {
                    let separator = if names.is_empty() { "" } else { ", " };
                    // Writing to a string cannot fail.
                    let _ = write!(names, "{separator}`{path}`");
                }
                line(format!("\n{reason}\n\n{names}"));
            }
        }
        text
    }
}

const INTRODUCTION: &str = "\
# What there is of Keras

Every public name of Keras 3.15.1, and what it is in Rhyton. Written by `cargo xtask coverage` from the tables of the code;
`cargo xtask check` fails where it is not current. Not edited by hand.
";

/// Everything that is there.
struct There {
    /// By family and Keras's class name in lower case with underscores, which for operations is the function's name.
    classes: BTreeMap<(&'static str, String), &'static str>,
    items: BTreeMap<&'static str, &'static str>,
}

impl There {
    fn new() -> There {
        let classes = registered().into_iter().map(|r| {
            let key = if r.family == "ops" { snake_case(r.name) } else { r.name.to_owned() };
            ((r.family, key), r.name)
        });
        There { classes: classes.collect(), items: items::ALL.iter().copied().collect() }
    }

    /// The path in Rust.
    fn find(&self, symbol: &Symbol) -> Option<String> {
        if let Some(path) = self.items.get(symbol.path.as_str()) {
            return Some((*path).to_owned());
        }
        let name = symbol.name();
        // The old optimizers have the names of the new ones.
        if symbol.path.starts_with("keras.optimizers.legacy.") {
            return None;
        }
        if symbol.area == "applications" {
            let application = APPLICATIONS.iter().find(|a| a.name == name)?;
            return Some(format!("rhyton::applications::find(\"{}\")", application.name));
        }
        if symbol.area == "activations" {
            let activation = Activation::ALL.iter().find(|a| a.name() == name)?;
            return Some(format!("rhyton::activations::Activation::{activation:?}"));
        }
        let is_schedule = symbol.path.starts_with("keras.optimizers.schedules.");
        let family = if is_schedule { "optimizers.schedules" } else { symbol.area.as_str() };
        let found = self.classes.iter().find(|((f, key), _)| *f == family && key == name);
        found.map(|((family, _), class)| match *family {
            "ops" if symbol.path.starts_with("keras.ops.image.") => format!("rhyton::ops::image::{name}"),
            "ops" => format!("rhyton::ops::{name}"),
            family => format!("rhyton::{}::{class}", family.replace('.', "::")),
        })
    }
}

/// Whether the golden data has the class or function.
fn has_golden(symbol: &Symbol, golden: &BTreeSet<String>) -> bool {
    let name = symbol.name();
    let folders: &[&str] = match symbol.area.as_str() {
        "layers" => &["layers"],
        "ops" => &["ops"],
        "losses" => &["losses"],
        "metrics" => &["metrics"],
        "optimizers" => &["optimizers"],
        "activations" | "initializers" | "regularizers" | "constraints" => &["parts"],
        _ => &[],
    };
    folders.iter().any(|folder| golden.contains(&format!("{folder}/{name}")))
}

/// `BatchNorm` as `batch_norm`, as Keras names what it makes of classes.
fn snake_case(class: &str) -> String {
    let chars: Vec<char> = class.chars().collect();
    let mut out = String::new();
    for (i, &c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| chars[i]);
        let starts_word = chars.get(i + 1).is_some_and(|n| n.is_lowercase());
        if c.is_uppercase() && before.is_some_and(|b| b != '_' && (b.is_lowercase() || starts_word)) {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_found_by_the_names_of_their_functions() {
        for (class, function) in [("Relu6", "relu6"), ("BatchNorm", "batch_norm"), ("RFFT", "rfft"), ("Log1p", "log1p")]
        {
            assert_eq!(snake_case(class), function);
        }
    }

    #[test]
    fn lists_that_contradict_the_code_are_refused() {
        let symbol = |path: &str, area: &str| Symbol { path: path.into(), area: area.into() };
        let stranger = Report::of(&[symbol("keras.layers.Dense", "layers")], &BTreeSet::new()).err().unwrap();
        assert!(stranger.contains("no public name of Keras"), "{stranger}");
    }
}
