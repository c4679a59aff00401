//! The table that `summary` prints, drawn as Keras draws it.

use rhyton_ir::Shape;

use super::{FunctionalGraph, Model, is_input};
use crate::layers::{Layer, LayerRef};
use crate::variable::Variable;

/// The columns of a terminal that Keras assumes when there is none.
const TERMINAL: usize = 80;

impl Model {
    /// The model as a table, as `model.summary()` of Keras prints it: layers, output shapes, parameters and, where the
    /// model is no plain stack, what each layer is connected to.
    ///
    /// # Examples
    /// ```
    /// use rhyton_core::prelude::*;
    ///
    /// let model = Sequential::new().add(Input::new([4])).add(Dense::new(3).name("dense"));
    /// assert!(model.summary().contains("│ dense (Dense)"));
    /// assert!(model.summary().contains("Total params: 15 (60.00 B)"));
    /// ```
    pub fn summary(&self) -> String {
        self.summary_for_width(TERMINAL)
    }

    /// [`Model::summary`] for a terminal of `columns`.
    pub fn summary_for_width(&self, columns: usize) -> String {
        let graph = self.graph();
        let graph = graph.as_deref();
        let stack = self.is_sequential() || graph.is_none_or(is_stack);
        let layers = match graph {
            Some(graph) if !self.is_sequential() => graph.layers().to_vec(),
            _ => self.layers(),
        };
        let (length, positions, header): (usize, &[f64], &[&str]) = if stack {
            (88, &[0.45, 0.80, 1.0], &["Layer (type)", "Output Shape", "Param #"])
        } else {
            (108, &[0.3, 0.56, 0.74, 1.0], &["Layer (type)", "Output Shape", "Param #", "Connected to"])
        };
        let table = Table::new(length.min(columns.saturating_sub(4)).max(40), positions, header);
        let rows = layers.iter().map(|layer| {
            let mut row = vec![
                format!("{} ({})", layer.name(), layer.class_name()),
                output_shape(graph, layer),
                parameters(layer, graph.is_some()),
            ];
            if !stack {
                row.push(graph.map_or_else(String::new, |g| connections(g, layer)));
            }
            row
        });
        let mut out = format!("Model: \"{}\"\n", self.name());
        table.draw(rows.collect(), &mut out);
        self.totals(&mut out);
        out
    }

    fn totals(&self, out: &mut String) {
        let (trained, frozen) = (self.trainable_weights(), self.non_trainable_weights());
        let optimizer = self.optimizer().filter(|o| o.built()).map(|o| o.variables());
        let all: Vec<&Variable> = trained.iter().chain(&frozen).chain(optimizer.iter().flatten()).collect();
        let mut line = |name: &str, variables: &[&Variable]| {
            let count: usize = variables.iter().map(|v| v.count()).sum();
            let bytes: usize = variables.iter().map(|v| v.count() * v.dtype().size()).sum();
            out.push_str(&format!(" {name} params: {} ({})\n", thousands(count), memory(bytes)));
        };
        line("Total", &all);
        line("Trainable", &trained.iter().collect::<Vec<_>>());
        line("Non-trainable", &frozen.iter().collect::<Vec<_>>());
        if let Some(variables) = &optimizer {
            line("Optimizer", &variables.iter().collect::<Vec<_>>());
        }
    }
}

/// Whether the graph is one layer after the other, none of them shared.
fn is_stack(graph: &FunctionalGraph) -> bool {
    let one_input = graph.nodes().iter().all(|n| n.arguments.tensors().iter().filter(|t| t.is_symbol()).count() <= 1);
    let mut layers = std::collections::HashSet::new();
    let shared = !graph.nodes().iter().all(|n| layers.insert(n.layer.base().key()));
    let mut used = std::collections::HashSet::new();
    let mut histories = graph.nodes().iter().flat_map(|n| n.arguments.tensors()).filter_map(|t| t.history());
    let forks = !histories.all(|h| used.insert(std::sync::Arc::as_ptr(&h.node) as usize));
    one_input && !shared && !forks && graph.inputs().tensors().len() == 1 && graph.outputs().tensors().len() == 1
}

fn shape_text(shape: &Shape) -> String {
    let dims: Vec<String> =
        crate::text::logical_shape(shape).iter().map(|d| d.known().map_or("None".into(), |n| n.to_string())).collect();
    format!("({})", dims.join(", "))
}

/// The shapes that the layer's last call gave.
fn output_shape(graph: Option<&FunctionalGraph>, layer: &LayerRef) -> String {
    let calls = graph.into_iter().flat_map(|g| g.nodes()).filter(|n| n.layer.base().is(layer.base()));
    let Some(node) = calls.max_by_key(|n| n.index) else { return "?".into() };
    let shapes: Vec<String> = node.types.iter().map(|t| shape_text(&t.shape)).collect();
    match shapes.as_slice() {
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

fn parameters(layer: &LayerRef, in_graph: bool) -> String {
    let built = in_graph || layer.base().built();
    if built { thousands(layer.count_params()) } else { "0 (unbuilt)".into() }
}

fn connections(graph: &FunctionalGraph, layer: &LayerRef) -> String {
    let calls = graph.nodes().iter().filter(|n| n.layer.base().is(layer.base()) && !is_input(n));
    let inputs = calls.flat_map(|n| n.arguments.tensors()).filter_map(|t| t.history());
    let names: Vec<String> = inputs.map(|h| format!("{}[{}][{}]", h.layer_name(), h.node.index, h.output)).collect();
    if names.is_empty() { "-".into() } else { names.join(", ") }
}

/// `1,234,567`.
fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn memory(bytes: usize) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "KB", "MB", "GB", "TB"] {
        if size < 1024.0 {
            return format!("{size:.2} {unit}");
        }
        size /= 1024.0;
    }
    format!("{size:.2} PB")
}

/// A table with columns of fixed width; the cells' padding is included.
struct Table<'h> {
    widths: Vec<usize>,
    header: &'h [&'h str],
}

impl<'h> Table<'h> {
    /// Keras asks for columns that end at `positions` of the line and then adds padding; what is too much is taken from
    /// each column alike, rounded as Python's `rich` does.
    fn new(length: usize, positions: &[f64], header: &'h [&'h str]) -> Table<'h> {
        let mut widths: Vec<usize> = Vec::new();
        let mut before = 0;
        for position in positions {
            let end = (position * length as f64) as usize;
            widths.push(end - before + 2);
            before = end;
        }
        let room = length - (widths.len() + 1);
        let mut excess = widths.iter().sum::<usize>().saturating_sub(room);
        let columns = widths.len();
        for (i, width) in widths.iter_mut().enumerate() {
            let share = (excess as f64 / (columns - i) as f64).round_ties_even() as usize;
            *width = width.saturating_sub(share).max(3);
            excess -= share;
        }
        Table { widths, header }
    }

    fn draw(&self, rows: Vec<Vec<String>>, out: &mut String) {
        let rule = |left: &str, fill: &str, middle: &str, right: &str, out: &mut String| {
            let cells: Vec<String> = self.widths.iter().map(|w| fill.repeat(*w)).collect();
            out.push_str(&format!("{left}{}{right}\n", cells.join(middle)));
        };
        rule("┏", "━", "┳", "┓", out);
        self.row(&self.header.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>(), "┃", out);
        rule("┡", "━", "╇", "┩", out);
        for (i, row) in rows.iter().enumerate() {
            if i > 0 {
                rule("├", "─", "┼", "┤", out);
            }
            self.row(row, "│", out);
        }
        rule("└", "─", "┴", "┘", out);
    }

    fn row(&self, cells: &[String], bar: &str, out: &mut String) {
        let wrapped: Vec<Vec<String>> = cells.iter().zip(&self.widths).map(|(c, w)| wrap(c, w - 2)).collect();
        for line in 0..wrapped.iter().map(Vec::len).max().unwrap_or(0) {
            for (column, (lines, width)) in wrapped.iter().zip(&self.widths).enumerate() {
                let text = lines.get(line).map_or("", String::as_str);
                let fill = " ".repeat((width - 2).saturating_sub(text.chars().count()));
                // Counts are aligned at the right.
                let (left, right) = if column == 2 { (fill.as_str(), "") } else { ("", fill.as_str()) };
                out.push_str(&format!("{bar} {left}{text}{right} "));
            }
            out.push_str(&format!("{bar}\n"));
        }
    }
}

/// Lines of at most `width`, broken between words; a longer word is cut and ends in `…`.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let word: String = if word.chars().count() > width {
            word.chars().take(width.saturating_sub(1)).chain(['…']).collect()
        } else {
            word.to_owned()
        };
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_the_widths_that_keras_prints() {
        // Read off Keras 3.15.1 on a terminal of 80 columns.
        assert_eq!(Table::new(76, &[0.45, 0.80, 1.0], &["", "", ""]).widths, [33, 24, 15]);
        assert_eq!(Table::new(76, &[0.3, 0.56, 0.74, 1.0], &["", "", "", ""]).widths, [21, 19, 12, 19]);
    }

    #[test]
    fn long_names_wrap_and_long_words_are_cut() {
        assert_eq!(
            wrap("layer_normalization (LayerNormalization)", 31),
            ["layer_normalization", "(LayerNormalization)"]
        );
        assert_eq!(wrap("input_layer_4[0][0], x", 17), ["input_layer_4[0]…", "x"]);
        assert_eq!((thousands(1_234_567), memory(96)), ("1,234,567".into(), "96.00 B".into()));
    }
}
