//! How `TextVectorization` makes tokens of texts.

use serde::{Deserialize, Serialize};

/// What is done to texts before they are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standardize {
    /// The letters A to Z in lower case, and without the punctuation of ASCII.
    LowerAndStripPunctuation,
    /// The letters A to Z in lower case.
    Lower,
    /// Without the punctuation of ASCII.
    StripPunctuation,
}

/// Where texts are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// At the white space of ASCII.
    Whitespace,
    /// After each character.
    Character,
}

/// How many tokens are joined, with a space between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Ngrams {
    /// 1, 2, … up to this many.
    UpTo(usize),
    /// Each of these numbers.
    Each(Vec<usize>),
}

impl From<usize> for Ngrams {
    fn from(most: usize) -> Ngrams {
        Ngrams::UpTo(most)
    }
}

impl<const N: usize> From<[usize; N]> for Ngrams {
    fn from(widths: [usize; N]) -> Ngrams {
        Ngrams::Each(widths.to_vec())
    }
}

impl Ngrams {
    /// The numbers, without those above `tokens`: a file may ask for runs of any length.
    pub(super) fn widths(&self, tokens: usize) -> Vec<usize> {
        match self {
            Ngrams::UpTo(most) => (1..=tokens.min(*most)).collect(),
            Ngrams::Each(widths) => widths.iter().copied().filter(|&width| width <= tokens).collect(),
        }
    }

    /// Whether there are runs, and none of no tokens.
    pub(super) fn is_valid(&self) -> bool {
        match self {
            Ngrams::UpTo(most) => *most > 0,
            Ngrams::Each(widths) => !widths.is_empty() && !widths.contains(&0),
        }
    }
}

/// The text as `standardize` says.
pub(super) fn standardized(text: &str, standardize: Option<Standardize>) -> String {
    let is_kept = |c: &char| standardize == Some(Standardize::Lower) || !c.is_ascii_punctuation();
    match standardize {
        None => text.to_owned(),
        Some(Standardize::StripPunctuation) => text.chars().filter(is_kept).collect(),
        Some(_) => text.chars().filter(is_kept).map(|c| c.to_ascii_lowercase()).collect(),
    }
}

/// The tokens of a text that is standardized.
pub(super) fn split(text: &str, at: Split) -> Vec<String> {
    match at {
        // The characters for which C's isspace holds: Rust's is_ascii_whitespace leaves the vertical tab out.
        Split::Whitespace => text
            .split(|c: char| c.is_ascii_whitespace() || c == '\u{b}')
            .filter(|token| !token.is_empty())
            .map(str::to_owned)
            .collect(),
        Split::Character => text.chars().map(String::from).collect(),
    }
}

/// Runs of tokens, joined: all of the first width, then all of the next.
pub(super) fn joined(tokens: &[String], ngrams: &Ngrams) -> Vec<String> {
    ngrams.widths(tokens.len()).into_iter().flat_map(|width| tokens.windows(width).map(|run| run.join(" "))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_split_as_tensorflow_does() {
        let lower = standardized("Don't STOP; é É_!", Some(Standardize::LowerAndStripPunctuation));
        assert_eq!(lower, "dont stop é É");
        assert_eq!(standardized("A-b", Some(Standardize::Lower)), "a-b");
        assert_eq!(standardized("A-b", Some(Standardize::StripPunctuation)), "Ab");
        // tf.strings.split, TensorFlow 2: no other white space than that of ASCII.
        let tokens = split("a\u{a0}b\tc\u{b}d\u{c}e\u{1c}f\u{3000}g ", Split::Whitespace);
        assert_eq!(tokens, ["a\u{a0}b", "c", "d", "e\u{1c}f\u{3000}g"]);
        assert_eq!(split("é b", Split::Character), ["é", " ", "b"]);
    }

    #[test]
    fn runs_come_width_by_width() {
        let tokens = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(joined(&tokens, &Ngrams::from(2)), ["a", "b", "c", "a b", "b c"]);
        assert_eq!(joined(&tokens, &Ngrams::from([3, 4])), ["a b c"]);
        assert_eq!(joined(&tokens, &Ngrams::UpTo(usize::MAX)).len(), 6);
    }
}
