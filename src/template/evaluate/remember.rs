//! Remembers the values of variables: each is evaluated once, however many others refer to it.

use std::{borrow::Cow, cell::RefCell};

use super::{
    super::{too_deep, variables::Template},
    Context, Evaluator, Failure, Gap, MAX_DEPTH, USUAL, deeper_than_allowed, distinct,
};

/// What is remembered, by the place of the variable in its set; nothing at all before the first.
pub(in super::super) type Memory = RefCell<Vec<Option<Remembered>>>;

/// What evaluating a value came to.
pub(in super::super) struct Remembered {
    text: String,
    gaps: Vec<Gap>,
    is_null: bool,
    /// Whether a sensitive value went into it, and what such values became in it.
    is_secret: bool,
    secrets: Vec<String>,
    /// How much deeper it went.
    height: usize,
}

impl<'v> Evaluator<'v> {
    /// The value of the variable at a place, evaluated.
    pub(super) fn variable(
        &mut self,
        place: usize,
        context: &Context<'_, 'v>,
    ) -> Result<Cow<'v, str>, Failure> {
        let tokens = match self.variables.template(place) {
            Template::Plain => {
                let value = self.variables.value(place);
                self.touched |= !value.is_empty() && self.variables.is_sensitive(place);
                return Ok(value.into());
            }
            Template::TooDeep => {
                let name = self.variables.name(place);
                return Err(Failure::Other(too_deep(&format!("the value of `{name}`"))));
            }
            Template::Tokens(tokens) => tokens,
        };
        // In a loop the value may depend on the round.
        let is_fixed = context.around.is_none();
        let memory = self.memory;
        if let Some(Some(known)) = memory.borrow().get(place).filter(|_| is_fixed) {
            return self.recall(known);
        }
        let (reported, was_null, loops) = (self.gaps.len(), self.is_null, self.loops);
        let hidden = self.secrets.len();
        let before = std::mem::replace(&mut self.deepest, self.depth);
        self.is_null = false;
        let mut text = String::with_capacity(USUAL);
        let is_sensitive = self.variables.is_sensitive(place);
        let (evaluated, is_secret) = self.watched(|inner| {
            inner.within(is_sensitive, |inner| inner.deeper(|inner| inner.tokens(tokens, context, &mut text)))
        });
        evaluated?;
        self.touched |= is_secret;
        let gaps = distinct(self.gaps.split_off(reported));
        self.gaps.extend_from_slice(&gaps);
        let secrets = distinct(self.secrets.split_off(hidden));
        self.secrets.extend_from_slice(&secrets);
        // A loop that was met, though it did not count, depends on where one comes from.
        if is_fixed && self.loops == loops {
            let known = Remembered {
                text: text.clone(),
                gaps,
                is_null: self.is_null,
                is_secret,
                secrets,
                height: self.deepest - self.depth,
            };
            let mut memory = memory.borrow_mut();
            if memory.is_empty() {
                memory.resize_with(self.variables.len(), || None);
            }
            memory[place] = Some(known);
        }
        self.is_null |= was_null;
        self.deepest = self.deepest.max(before);
        Ok(text.into())
    }

    fn recall(&mut self, known: &Remembered) -> Result<Cow<'v, str>, Failure> {
        self.spend(known.text.len())?;
        let deepest = self.depth + known.height;
        // What is too deep is too deep whether a part of it is known or not.
        if deepest > MAX_DEPTH {
            return Err(deeper_than_allowed());
        }
        self.deepest = self.deepest.max(deepest);
        self.is_null |= known.is_null;
        self.touched |= known.is_secret;
        self.spend(known.secrets.iter().map(String::len).sum())?;
        self.secrets.extend_from_slice(&known.secrets);
        self.gaps.extend_from_slice(&known.gaps);
        Ok(known.text.clone().into())
    }
}
