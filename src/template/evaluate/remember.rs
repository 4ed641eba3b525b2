//! Remembers the values of variables: each is evaluated once, however many others refer to it.

use std::{borrow::Cow, cell::RefCell};

use super::{
    super::{too_deep, variables::Template},
    Context, Evaluator, Failure, Gap, MAX_DEPTH, Token, USUAL, deeper_than_allowed, distinct,
};

/// What is remembered.
#[derive(Default)]
pub(in super::super) struct Memory(RefCell<Memories>);

#[derive(Default)]
struct Memories {
    /// By the place of the variable in its set; nothing at all before the first.
    values: Vec<Option<Remembered>>,
    /// All texts, one behind the other.
    texts: String,
}

/// What evaluating a value came to. There are as many as variables: what most of them do not have takes no room.
struct Remembered {
    /// Where it begins and ends among all texts.
    text: (usize, usize),
    /// What was met on the way.
    met: Option<Box<Met>>,
    is_null: bool,
    /// Whether a sensitive value went into it.
    is_secret: bool,
    /// How much deeper it went.
    height: u16,
}

#[derive(Clone, Default, PartialEq)]
struct Met {
    gaps: Vec<Gap>,
    /// What sensitive values became in it.
    secrets: Vec<String>,
}

impl<'v> Evaluator<'v> {
    /// The value of the variable at a place, evaluated.
    pub(super) fn variable(
        &mut self,
        place: usize,
        context: &Context<'_, 'v>,
    ) -> Result<Cow<'v, str>, Failure> {
        // In a loop the value may depend on the round.
        let is_fixed = context.around.is_none();
        let memory = &self.memory.0;
        if is_fixed && let Some(Some(known)) = memory.borrow().values.get(place) {
            return self.recall(known, &memory.borrow().texts);
        }
        let template = self.variables.template(place);
        let tokens = match &template {
            Template::Tokens(tokens) => tokens,
            Template::Plain => return Ok(self.as_written(place)),
            Template::Unreadable => {
                self.variables.keep(place, template);
                return Ok(self.as_written(place));
            }
            Template::TooDeep => {
                self.variables.keep(place, template);
                let name = self.variables.name(place);
                return Err(Failure::Other(too_deep(&format!("the value of `{name}`"))));
            }
        };
        let loops = self.loops;
        let mut text = String::with_capacity(USUAL);
        let known = self.evaluated(place, tokens, context, &mut text);
        // A loop that was met, though it did not count, depends on where one comes from.
        match known {
            Ok(known) if is_fixed && self.loops == loops => {
                let Memories { values, texts } = &mut *memory.borrow_mut();
                if values.is_empty() {
                    values.resize_with(self.variables.len(), || None);
                }
                let start = texts.len();
                texts.push_str(&text);
                values[place] = Some(Remembered { text: (start, texts.len()), ..known });
            }
            known => {
                self.variables.keep(place, template);
                known?;
            }
        }
        Ok(text.into())
    }

    fn as_written(&mut self, place: usize) -> Cow<'v, str> {
        let value = self.variables.value(place);
        self.touched |= !value.is_empty() && self.variables.is_sensitive(place);
        value.into()
    }

    fn evaluated(
        &mut self,
        place: usize,
        tokens: &[Token],
        context: &Context<'_, 'v>,
        text: &mut String,
    ) -> Result<Remembered, Failure> {
        let (reported, was_null) = (self.gaps.len(), self.is_null);
        let hidden = self.secrets.len();
        let before = std::mem::replace(&mut self.deepest, self.depth);
        self.is_null = false;
        let is_sensitive = self.variables.is_sensitive(place);
        let (evaluated, is_secret) = self.watched(|inner| {
            inner.within(is_sensitive, |inner| inner.deeper(|inner| inner.tokens(tokens, context, text)))
        });
        evaluated?;
        self.touched |= is_secret;
        let gaps = distinct(self.gaps.split_off(reported));
        self.gaps.extend_from_slice(&gaps);
        let secrets = distinct(self.secrets.split_off(hidden));
        self.secrets.extend_from_slice(&secrets);
        let met = Met { gaps, secrets };
        let known = Remembered {
            text: (0, 0),
            met: (met != Met::default()).then(|| met.into()),
            is_null: self.is_null,
            is_secret,
            height: u16::try_from(self.deepest - self.depth).unwrap_or(u16::MAX),
        };
        self.is_null |= was_null;
        self.deepest = self.deepest.max(before);
        Ok(known)
    }

    fn recall(&mut self, known: &Remembered, texts: &str) -> Result<Cow<'v, str>, Failure> {
        let text = &texts[known.text.0..known.text.1];
        self.spend(text.len())?;
        let deepest = self.depth + usize::from(known.height);
        // What is too deep is too deep whether a part of it is known or not.
        if deepest > MAX_DEPTH {
            return Err(deeper_than_allowed());
        }
        self.deepest = self.deepest.max(deepest);
        self.is_null |= known.is_null;
        self.touched |= known.is_secret;
        if let Some(met) = &known.met {
            self.spend(met.secrets.iter().map(String::len).sum())?;
            self.secrets.extend_from_slice(&met.secrets);
            self.gaps.extend_from_slice(&met.gaps);
        }
        Ok(text.to_owned().into())
    }
}
