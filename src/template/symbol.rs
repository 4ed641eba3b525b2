//! Paths such as `Octopus.Action[Deploy].Name`: how a look-up and the name of a variable are both read.

use std::{fmt, sync::Arc};

/// A path of at least one step.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) steps: Vec<Step>,
}

/// One step of a path. Where it stands in the template that it was read from is part of it: that is how the language
/// tells the same reference met again from another reference of the same text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// `.Name`, or the first name.
    Name { at: usize, word: Word },
    /// `[Index]`; one that was looked up stands nowhere.
    Index { at: Option<usize>, word: Word },
    /// `[#{Path}]`
    LookUp { at: usize, symbol: Arc<Symbol> },
}

/// A text as it was written, and as it compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    text: Box<str>,
    /// None when it is the text itself.
    folded: Option<Box<str>>,
}

impl Word {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.into(), folded: is_to_fold(text).then(|| fold_all(text)) }
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// As it compares.
    pub(super) fn folded(&self) -> &str {
        self.folded.as_deref().unwrap_or(&self.text)
    }
}

/// A name as names compare: without regard to case, character by character and without regard to any language.
pub(super) fn fold(text: &str) -> Box<str> {
    if is_to_fold(text) { fold_all(text) } else { text.into() }
}

fn is_to_fold(text: &str) -> bool {
    text.bytes().any(|byte| !byte.is_ascii() || byte.is_ascii_lowercase())
}

fn fold_all(text: &str) -> Box<str> {
    if text.is_ascii() {
        return text.to_ascii_uppercase().into();
    }
    let upper = |c: char| {
        let mut upper = c.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(one), None) => one,
            // `ß` and its like have no single capital: they stay what they are.
            _ => c,
        }
    };
    text.chars().map(upper).collect::<String>().into()
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.steps.iter().enumerate() {
            match step {
                Step::Name { word, .. } if place == 0 => f.write_str(word.text())?,
                Step::Name { word, .. } => write!(f, ".{}", word.text())?,
                Step::Index { at: Some(_), word } => write!(f, "[{}]", word.text())?,
                // Looked up: a variable's value, which may be a secret.
                Step::Index { at: None, .. } => f.write_str("[…]")?,
                Step::LookUp { symbol, .. } => write!(f, "[#{{{symbol}}}]")?,
            }
        }
        Ok(())
    }
}
