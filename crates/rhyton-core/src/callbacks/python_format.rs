//! Python's way to write numbers: `str.format` and `repr` of floats.

use std::fmt::Write;

/// What is filled in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Argument {
    /// An `int`.
    Int(i64),
    /// A `float`.
    Float(f64),
}

/// `template.format(**arguments)` for numbers.
///
/// # Errors
/// If a name is not among the arguments, or a format is not one for its number; what was wrong.
pub(super) fn format(template: &str, arguments: &[(&str, Argument)]) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let (brace, after) = rest[at..].split_at(1);
        if let Some(after) = after.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        let end = after.find('}').filter(|_| brace == "{").ok_or("a brace stands alone")?;
        let (name, spec) = after[..end].split_once(':').unwrap_or((&after[..end], ""));
        let argument = arguments.iter().find(|(n, _)| *n == name).ok_or_else(|| format!("there is no {name:?}"))?.1;
        out.push_str(
            &Spec::parse(spec)
                .and_then(|s| s.apply(argument))
                .ok_or_else(|| format!("{spec:?} is no format for {name:?}"))?,
        );
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// `[[fill]align][sign][0][width][.precision][type]`.
struct Spec {
    fill: char,
    align: Option<char>,
    sign: char,
    width: usize,
    precision: Option<usize>,
    kind: Option<char>,
}

/// Wider fields are mistakes.
const WIDEST: usize = 200;

impl Spec {
    fn parse(text: &str) -> Option<Spec> {
        let mut spec = Spec { fill: ' ', align: None, sign: '-', width: 0, precision: None, kind: None };
        let mut chars = text.chars().peekable();
        let is_align = |c: char| "<>^=".contains(c);
        let mut ahead = text.chars();
        match (ahead.next(), ahead.next()) {
            (Some(fill), Some(align)) if is_align(align) => {
                (spec.fill, spec.align) = (fill, Some(align));
                chars.nth(1);
            }
            (Some(align), _) if is_align(align) => spec.align = chars.next(),
            _ => {}
        }
        if let Some(sign) = chars.next_if(|c| "+- ".contains(*c)) {
            spec.sign = sign;
        }
        if chars.next_if_eq(&'0').is_some() {
            spec.fill = '0';
            spec.align = spec.align.or(Some('='));
        }
        let number = |chars: &mut std::iter::Peekable<std::str::Chars>| {
            let mut value = None;
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                value = Some((value.unwrap_or(0) * 10 + digit.to_digit(10)? as usize).min(WIDEST + 1));
            }
            value
        };
        spec.width = number(&mut chars).unwrap_or(0);
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(number(&mut chars)?);
        }
        spec.kind = chars.next();
        (chars.next().is_none() && spec.width <= WIDEST && spec.precision.unwrap_or(0) <= WIDEST).then_some(spec)
    }

    fn apply(&self, argument: Argument) -> Option<String> {
        let (negative, digits) = match (argument, self.kind) {
            (Argument::Int(n), None | Some('d')) if self.precision.is_none() => (n < 0, n.unsigned_abs().to_string()),
            (Argument::Int(n), Some(_)) => (n < 0, self.float((n as f64).abs())?),
            (Argument::Float(x), kind) if kind != Some('d') => {
                (x.is_sign_negative() && !x.is_nan(), self.float(x.abs())?)
            }
            _ => return None,
        };
        let sign = match (negative, self.sign) {
            (true, _) => "-",
            (false, '+') => "+",
            (false, ' ') => " ",
            _ => "",
        };
        let missing = self.width.saturating_sub(sign.len() + digits.len());
        let fill = |n: usize| self.fill.to_string().repeat(n);
        Some(match self.align.unwrap_or('>') {
            '<' => format!("{sign}{digits}{}", fill(missing)),
            '^' => format!("{}{sign}{digits}{}", fill(missing / 2), fill(missing - missing / 2)),
            '=' => format!("{sign}{}{digits}", fill(missing)),
            _ => format!("{}{sign}{digits}", fill(missing)),
        })
    }

    /// A number that is not negative.
    fn float(&self, x: f64) -> Option<String> {
        let precision = self.precision.unwrap_or(6);
        Some(match self.kind {
            _ if x.is_nan() => "nan".into(),
            _ if x.is_infinite() => "inf".into(),
            Some('f' | 'F') => format!("{x:.precision$}"),
            Some('e') => scientific(x, precision),
            Some('E') => scientific(x, precision).to_uppercase(),
            Some('%') => format!("{:.precision$}%", x * 100.0),
            Some('g') => general(x, precision.max(1)),
            None if self.precision.is_none() => repr(x),
            None => general(x, precision.max(1)),
            Some(_) => return None,
        })
    }
}

/// `'%.{precision}e' % x`: at least two digits of exponent.
pub(super) fn scientific(x: f64, precision: usize) -> String {
    let text = format!("{x:.precision$e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

/// `'%.{precision}g' % x`: without zeros at the end.
fn general(x: f64, precision: usize) -> String {
    let rounded = format!("{x:.*e}", precision - 1);
    let exponent: i32 = rounded.rsplit_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let trimmed = |text: &str| {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
    };
    if (-4..precision as i32).contains(&exponent) {
        return trimmed(&format!("{x:.*}", (precision as i32 - 1 - exponent).max(0) as usize));
    }
    let text = scientific(x, precision - 1);
    match text.split_once('e') {
        Some((digits, exponent)) => format!("{}e{exponent}", trimmed(digits)),
        None => text,
    }
}

/// `repr(x)`: the shortest digits that give `x` back.
pub(super) fn repr(x: f64) -> String {
    if x.is_nan() {
        return "nan".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let magnitude = x.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{x:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(text, "{x:?}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_as_python_fills_them() {
        let arguments =
            [("epoch", Argument::Int(7)), ("loss", Argument::Float(0.034567)), ("x", Argument::Float(-1e-5))];
        // From Python 3.11.
        for (template, filled) in [
            ("{epoch:02d}-{loss:.2f}.keras", "07-0.03.keras"),
            ("{epoch}_{loss}", "7_0.034567"),
            ("{{{epoch}}}", "{7}"),
            ("{x}|{x:.3e}|{x:g}|{x:.1f}", "-1e-05|-1.000e-05|-1e-05|-0.0"),
            ("{epoch:>4}|{epoch:<4}|{epoch:^4}|{epoch:+}", "   7|7   | 7  |+7"),
            ("{loss:.2%}|{loss:08.3f}|{epoch:.1f}|{loss:.2}", "3.46%|0000.035|7.0|0.035"),
            ("plain", "plain"),
        ] {
            assert_eq!(format(template, &arguments).as_deref(), Ok(filled), "{template}");
        }
        for template in ["{val_loss}", "{loss:d}", "{epoch", "}", "{epoch:zz}"] {
            assert!(format(template, &arguments).is_err(), "{template}");
        }
    }

    #[test]
    fn floats_have_pythons_repr() {
        for (x, text) in
            [(1.0, "1.0"), (0.1, "0.1"), (1e16, "1e+16"), (1.5e-5, "1.5e-05"), (123456.0, "123456.0"), (-0.0, "-0.0")]
        {
            assert_eq!(repr(x), text);
        }
        assert_eq!(repr(0.30000001192092896), "0.30000001192092896");
    }
}
