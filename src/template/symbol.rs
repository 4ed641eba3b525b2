//! Paths such as `Octopus.Action[Deploy].Name`: how a look-up and the name of a variable are both read.

use std::{fmt, sync::Arc};

/// A path of at least one step. There are many: the texts of all steps lie in one piece of memory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Symbol {
    steps: Vec<Step<Span>>,
    texts: String,
}

/// One step of a path. Where it stands in the template that it was read from is part of it: that is how the language
/// tells the same reference met again from another reference of the same text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step<W> {
    /// `.Name`, or the first name.
    Name { at: usize, word: W },
    /// `[Index]`; one that was looked up stands nowhere.
    Index { at: Option<usize>, word: W },
    /// `[#{Path}]`
    LookUp { at: usize, symbol: Arc<Symbol> },
}

/// Where a text lies, and the folded one behind it when that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: usize,
    folded: usize,
    end: usize,
}

/// The text of a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<'s> {
    /// As it was written.
    pub(super) text: &'s str,
    /// As it compares.
    pub(super) folded: &'s str,
}

impl Symbol {
    pub(super) fn new() -> Self {
        // So long are most paths.
        Self { steps: Vec::with_capacity(4), texts: String::with_capacity(48) }
    }

    pub(super) fn push(&mut self, step: Step<&str>) {
        let step = match step {
            Step::Name { at, word } => Step::Name { at, word: self.keep(word) },
            Step::Index { at, word } => Step::Index { at, word: self.keep(word) },
            Step::LookUp { at, symbol } => Step::LookUp { at, symbol },
        };
        self.steps.push(step);
    }

    fn keep(&mut self, text: &str) -> Span {
        let start = self.texts.len();
        self.texts.push_str(text);
        let folded = self.texts.len();
        if text.bytes().any(|byte| !byte.is_ascii() || byte.is_ascii_lowercase()) {
            fold_onto(text, &mut self.texts);
        }
        Span { start, folded, end: self.texts.len() }
    }

    /// The steps with their texts.
    pub(super) fn steps(&self) -> impl Iterator<Item = Step<Word<'_>>> {
        let word = |span: Span| {
            let text = &self.texts[span.start..span.folded];
            let folded = &self.texts[span.folded..span.end];
            Word { text, folded: if folded.is_empty() { text } else { folded } }
        };
        self.steps.iter().map(move |step| match step {
            Step::Name { at, word: span } => Step::Name { at: *at, word: word(*span) },
            Step::Index { at, word: span } => Step::Index { at: *at, word: word(*span) },
            Step::LookUp { at, symbol } => Step::LookUp { at: *at, symbol: Arc::clone(symbol) },
        })
    }

    /// Whether an index in it has to be looked up first.
    pub(super) fn has_look_ups(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::LookUp { .. }))
    }
}

/// A name as names compare: without regard to case, character by character and without regard to any language.
pub(super) fn fold(text: &str) -> Box<str> {
    let mut folded = String::with_capacity(text.len());
    fold_onto(text, &mut folded);
    folded.into()
}

/// Whether a name compares as this folded one.
pub(super) fn folds_to(text: &str, folded: &str) -> bool {
    text.eq_ignore_ascii_case(folded) || text.chars().map(upper).eq(folded.chars())
}

fn fold_onto(text: &str, folded: &mut String) {
    folded.extend(text.chars().map(upper));
}

fn upper(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_uppercase();
    }
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        // `ß` and its like have no single capital: they stay what they are.
        _ => c,
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.steps().enumerate() {
            match step {
                Step::Name { word, .. } if place == 0 => f.write_str(word.text)?,
                Step::Name { word, .. } => write!(f, ".{}", word.text)?,
                Step::Index { at: Some(_), word } => write!(f, "[{}]", word.text)?,
                // Looked up: a variable's value, which may be a secret.
                Step::Index { at: None, .. } => f.write_str("[…]")?,
                Step::LookUp { symbol, .. } => write!(f, "[#{{{symbol}}}]")?,
            }
        }
        Ok(())
    }
}
