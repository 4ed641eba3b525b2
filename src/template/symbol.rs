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
    /// The text, and behind it the folded one when that differs: one piece of memory for both, as there are many.
    both: Box<str>,
    text: usize,
}

impl Word {
    pub(super) fn new(text: &str) -> Self {
        if !is_to_fold(text) {
            return Self { both: text.into(), text: text.len() };
        }
        let mut both = String::with_capacity(2 * text.len());
        both.push_str(text);
        fold_onto(text, &mut both);
        Self { both: both.into(), text: text.len() }
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.both[..self.text]
    }

    /// As it compares.
    pub(super) fn folded(&self) -> &str {
        let folded = &self.both[self.text..];
        if folded.is_empty() { &self.both } else { folded }
    }
}

/// A name as names compare: without regard to case, character by character and without regard to any language.
pub(super) fn fold(text: &str) -> Box<str> {
    let mut folded = String::with_capacity(text.len());
    fold_onto(text, &mut folded);
    folded.into()
}

fn is_to_fold(text: &str) -> bool {
    text.bytes().any(|byte| !byte.is_ascii() || byte.is_ascii_lowercase())
}

fn fold_onto(text: &str, folded: &mut String) {
    let upper = |c: char| {
        if c.is_ascii() {
            return c.to_ascii_uppercase();
        }
        let mut upper = c.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(one), None) => one,
            // `ß` and its like have no single capital: they stay what they are.
            _ => c,
        }
    };
    folded.extend(text.chars().map(upper));
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
