//! The text form: one line a node, types included, which parses back to an equal graph.
//!
//! ```text
//! graph(%0: float32[b,3], %1: float32[3]) {
//!   %2 = broadcast_in_dim(%1) {shape: ["b", 3], axes: [1]} : float32[b,3]
//!   %3 = add(%0, %2) : float32[b,3]
//!   %4 = reduce(%3) {kind: sum, axes: [0, 1]} : float32[]
//!   return %4
//! }
//! ```
//!
//! `%4.1` is the second output of node 4. Attributes are in RON, written as the serde of each primitive has them. The
//! graphs inside an operation follow its line as blocks, each after its word (`body`, `branch`, …).

use std::fmt::{self, Write};
use std::iter::Peekable;
use std::sync::Arc;

use crate::error::{Error, Report, Result};
use crate::graph::{Graph, Value};
use crate::op::{Binary, BinaryKind, CustomCall, HostFunction, Op, Unary, UnaryKind, Unresolved};
use crate::shape::{Dim, Shape, TensorType};

/// The graph as text.
pub fn to_text(graph: &Graph) -> String {
    let mut text = String::new();
    write_block(&mut text, "graph", graph, 0).expect("writing to a string cannot fail");
    text
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_text(self))
    }
}

/// The graph of a text. Its custom calls are known by name only: they can be written and compared but not evaluated.
///
/// # Errors
/// [`Error::Parse`] with the line, if the text is not that of a valid graph.
pub fn parse(text: &str) -> Result<Graph> {
    parse_with(text, &[])
}

/// The graph of a text, with the functions that its custom calls name.
///
/// # Errors
/// As [`parse`].
pub fn parse_with(text: &str, targets: &[Arc<dyn HostFunction>]) -> Result<Graph> {
    let lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim()));
    let lines: Vec<(usize, &str)> = lines.filter(|(_, line)| !line.is_empty()).collect();
    let end = text.lines().count().max(1);
    let mut parser = Parser { lines: lines.into_iter().peekable(), end, targets };
    let (label, graph) = parser.block(0)?;
    if label != "graph" {
        return Err(error(1, format!("{label:?} begins the text"), "begin with `graph(`"));
    }
    match parser.lines.next() {
        Some((line, text)) => Err(error(line, format!("{text:?} follows the graph"), "remove it")),
        None => Ok(graph),
    }
}

fn write_block(text: &mut String, label: &str, graph: &Graph, depth: usize) -> fmt::Result {
    let indent = "  ".repeat(depth);
    let parameters: Vec<String> = graph.parameters().iter().map(|&p| format!("{p:?}: {}", graph.ty(p))).collect();
    writeln!(text, "{indent}{label}({}) {{", parameters.join(", "))?;
    for (index, node) in graph.nodes().iter().enumerate() {
        if matches!(node.op, Op::Parameter(_)) {
            continue;
        }
        let (name, attributes) = notation(&node.op);
        write!(text, "{indent}  %{index} = {name}({})", list(&node.inputs))?;
        if !attributes.is_empty() {
            write!(text, " {{{attributes}}}")?;
        }
        let types: Vec<String> = node.types.iter().map(TensorType::to_string).collect();
        writeln!(text, " : {}", types.join(", "))?;
        for (label, graph) in node.op.subgraphs() {
            write_block(text, label, graph, depth + 2)?;
        }
    }
    writeln!(text, "{indent}  return {}", list(graph.outputs()))?;
    writeln!(text, "{indent}}}")
}

fn list(values: &[Value]) -> String {
    values.iter().map(|v| format!("{v:?}")).collect::<Vec<_>>().join(", ")
}

/// The operation's word and its attributes. RON writes `Reduce((kind: sum, axes: [1]))`; elementwise functions go by
/// their own names.
fn notation(op: &Op) -> (String, String) {
    let compact = ron::ser::PrettyConfig::new()
        .compact_arrays(true)
        .compact_structs(true)
        .compact_maps(true)
        .number_suffixes(false);
    let text = ron::ser::to_string_pretty(op, compact).expect("attributes are plain data");
    let (variant, rest) = text.split_once('(').expect("each variant holds a struct");
    let rest = rest.strip_suffix(')').expect("the parenthesis that was opened");
    let attributes = rest.strip_prefix('(').and_then(|r| r.strip_suffix(')')).unwrap_or_default();
    match op {
        Op::Unary(_) | Op::Binary(_) => (attributes.trim_start_matches("kind: ").to_owned(), String::new()),
        _ => (snake_case(variant), attributes.to_owned()),
    }
}

fn snake_case(camel: &str) -> String {
    let mut out = String::new();
    for c in camel.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn camel_case(snake: &str) -> String {
    let word = |w: &str| w[..w.len().min(1)].to_ascii_uppercase() + w.get(1..).unwrap_or_default();
    snake.split('_').map(word).collect()
}

/// The operation of a word and its attributes.
fn operation(name: &str, attributes: &str) -> Result<Op, String> {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
        return Err(format!("{name:?} is not an operation"));
    }
    if attributes.is_empty() {
        if let Ok(kind) = ron::from_str::<UnaryKind>(name) {
            return Ok(Unary { kind }.into());
        }
        if let Ok(kind) = ron::from_str::<BinaryKind>(name) {
            return Ok(Binary { kind }.into());
        }
    }
    ron::from_str(&format!("{}(({attributes}))", camel_case(name))).map_err(|e| format!("{name} {{{attributes}}}: {e}"))
}

fn error(line: usize, what: impl Into<String>, fix: &str) -> Error {
    Error::Parse { line, report: Report::new("graph text", what, fix) }
}

struct Parser<'t> {
    lines: Peekable<std::vec::IntoIter<(usize, &'t str)>>,
    /// The last line, for what is missing.
    end: usize,
    targets: &'t [Arc<dyn HostFunction>],
}

impl<'t> Parser<'t> {
    fn line(&mut self, expected: &str) -> Result<(usize, &'t str)> {
        let end = self.end;
        self.lines.next().ok_or_else(|| error(end, format!("the text ends before {expected}"), "complete it"))
    }

    /// A block with its word.
    fn block(&mut self, depth: usize) -> Result<(&'t str, Graph)> {
        const DEEPEST: usize = 64; // keeps hostile text from overflowing the stack
        let (line, text) = self.line("a graph")?;
        if depth > DEEPEST {
            return Err(error(line, format!("graphs nested more than {DEEPEST} deep"), "flatten them"));
        }
        let header =
            text.strip_suffix('{').and_then(|t| t.trim_end().strip_suffix(')')).and_then(|t| t.split_once('('));
        let Some((label, parameters)) = header else {
            return Err(error(line, format!("{text:?} does not begin a graph"), "write `graph(%0: float32[2]) {`"));
        };
        let mut parameters = parse_parameters(line, parameters)?.into_iter().peekable();
        let mut graph = Graph::new();
        loop {
            let (line, text) = self.line("`return`")?;
            if let Some(outputs) = text.strip_prefix("return") {
                parameters.by_ref().try_for_each(|p| add_parameter(&mut graph, line, p))?;
                graph.set_outputs(parse_values(&graph, line, outputs)?);
                break;
            }
            let (number, rest) = text.strip_prefix('%').and_then(|t| t.split_once('=')).ok_or_else(|| {
                error(line, format!("{text:?} is not a node"), "write `%2 = add(%0, %1) : float32[2]` or `return %2`")
            })?;
            while parameters.peek().is_some_and(|(n, _)| *n == graph.nodes().len()) {
                parameters.next().into_iter().try_for_each(|p| add_parameter(&mut graph, line, p))?;
            }
            if number.trim().parse() != Ok(graph.nodes().len()) {
                let next = graph.nodes().len();
                return Err(error(
                    line,
                    format!("node %{} is the next after %{next}", number.trim()),
                    "count nodes up",
                ));
            }
            self.node(&mut graph, line, rest.trim(), depth)?;
        }
        match self.line("`}`")? {
            (_, "}") => Ok((label.trim(), graph)),
            (line, text) => Err(error(line, format!("{text:?} follows `return`"), "close the graph with `}`")),
        }
    }

    /// `name(operands) {attributes} : types` and the blocks that follow.
    fn node(&mut self, graph: &mut Graph, line: usize, text: &str, depth: usize) -> Result<()> {
        let syntax = || error(line, format!("{text:?} is not an operation"), "write `name(%0) {attributes} : types`");
        let (name, rest) = text.split_once('(').ok_or_else(syntax)?;
        let (operands, rest) = rest.split_once(')').ok_or_else(syntax)?;
        let rest = rest.trim_start();
        let (attributes, rest) = match rest.strip_prefix('{') {
            Some(rest) => split_braces(rest).ok_or_else(syntax)?,
            None => ("", rest),
        };
        let types = rest.trim_start().strip_prefix(':').ok_or_else(syntax)?;
        let types = split_types(types).map(|ty| parse_type(line, ty)).collect::<Result<Vec<_>>>()?;
        let operands = parse_values(graph, line, operands)?;
        let fix = "write an operation with its attributes as the graph's text has them";
        let mut op = operation(name.trim(), attributes).map_err(|what| error(line, what, fix))?;
        if let Op::Parameter(_) = op {
            return Err(error(line, "a parameter among the nodes", "name it in the header"));
        }
        let mut graphs = Vec::new();
        while self.lines.peek().is_some_and(|(_, next)| next.ends_with('{') && !next.starts_with('%')) {
            graphs.push(self.block(depth + 1)?);
        }
        if !graphs.is_empty() || !op.subgraphs().is_empty() {
            let (labels, graphs): (Vec<&str>, Vec<Graph>) = graphs.into_iter().unzip();
            op = op.with_subgraphs(graphs.into_iter().map(Arc::new).collect()).map_err(|e| at_line(line, &e))?;
            let wanted: Vec<&str> = op.subgraphs().iter().map(|(label, _)| *label).collect();
            if labels != wanted {
                return Err(error(line, format!("graphs {labels:?} follow {}", name.trim()), "give them in order"));
            }
        }
        if let Op::CustomCall(call) = &mut op {
            *call = self.resolve(call, &types);
        }
        let inferred = graph.push(op, &operands).map_err(|e| at_line(line, &e))?;
        let inferred = &graph.node(inferred).types;
        if *inferred != types {
            return Err(error(line, format!("types {types:?} where {inferred:?} are computed"), "write the latter"));
        }
        Ok(())
    }

    fn resolve(&self, call: &CustomCall, types: &[TensorType]) -> CustomCall {
        let name = call.target.name();
        let target = self.targets.iter().find(|t| t.name() == name).cloned();
        let unresolved = || Arc::new(Unresolved { name: name.to_owned(), types: types.to_vec() });
        CustomCall { target: target.unwrap_or_else(|| unresolved()) }
    }
}

fn at_line(line: usize, e: &Error) -> Error {
    error(line, e.to_string(), "write a graph that its operations accept")
}

fn add_parameter(graph: &mut Graph, line: usize, (number, ty): (usize, TensorType)) -> Result<()> {
    if number != graph.nodes().len() {
        return Err(error(line, format!("parameter %{number} is not among the nodes"), "count nodes up"));
    }
    graph.parameter(ty);
    Ok(())
}

fn parse_parameters(line: usize, text: &str) -> Result<Vec<(usize, TensorType)>> {
    let parameter = |text: &str| {
        let parts = text.trim().strip_prefix('%').and_then(|t| t.split_once(':'));
        match parts.and_then(|(number, ty)| Some((number.trim().parse().ok()?, ty))) {
            Some((number, ty)) => Ok((number, parse_type(line, ty)?)),
            None => Err(error(line, format!("{text:?} is not a parameter"), "write `%0: float32[2]`")),
        }
    };
    split_types(text).map(parameter).collect()
}

fn parse_values(graph: &Graph, line: usize, text: &str) -> Result<Vec<Value>> {
    let one = |text: &str| {
        let text = text.trim().strip_prefix('%')?;
        let (node, output) = text.split_once('.').unwrap_or((text, "0"));
        let value = Value { node: node.parse().ok()?, output: output.parse().ok()? };
        let node = graph.nodes().get(value.node as usize)?;
        ((value.output as usize) < node.types.len()).then_some(value)
    };
    let value = |text: &str| {
        one(text)
            .ok_or_else(|| error(line, format!("{text:?} is not a value above"), "write `%0`, or `%0.1` of several"))
    };
    if text.trim().is_empty() { Ok(Vec::new()) } else { text.split(',').map(value).collect() }
}

/// Splits at the commas outside brackets; nothing for blank text.
fn split_types(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0i32;
    let split = text.split(move |c: char| {
        depth += i32::from(c == '[') - i32::from(c == ']');
        c == ',' && depth == 0
    });
    split.filter(move |_| !text.trim().is_empty())
}

fn parse_type(line: usize, text: &str) -> Result<TensorType> {
    let one = || {
        let (dtype, dims) = text.trim().strip_suffix(']')?.split_once('[')?;
        let dims = if dims.is_empty() { Some(Vec::new()) } else { dims.split(',').map(|d| d.parse().ok()).collect() };
        Some(TensorType::new(dtype.parse().ok()?, Shape::from(dims? as Vec<Dim>)))
    };
    one().ok_or_else(|| error(line, format!("{text:?} is not a type"), "write a dtype and sizes, as in `float32[2,b]`"))
}

/// What is inside braces that have been opened, and what follows them; braces in strings do not count.
fn split_braces(text: &str) -> Option<(&str, &str)> {
    let (mut depth, mut quoted, mut escaped) = (1, false, false);
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[..i], &text[i + 1..]));
        }
    }
    None
}
