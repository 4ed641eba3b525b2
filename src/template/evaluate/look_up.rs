//! Finds what a path means: in the loops around it, then among the variables, and at last within a value that is JSON.

use std::{borrow::Cow, sync::Arc};

use super::{
    super::{
        json::Json,
        symbol::{Step, Symbol, Word},
    },
    Context, Evaluator, Failure, Gap, INDEX_BYTE, JSON_BYTE, LOOK_UP,
    place::Place,
};

/// What a path led to.
struct Found<'v> {
    place: Place<'v>,
    /// Its own value, evaluated.
    value: Option<Cow<'v, str>>,
    /// Whether a sensitive value went into that.
    is_secret: bool,
}

impl<'v> Evaluator<'v> {
    /// The value of a path; none when there is none.
    pub(super) fn look_up(
        &mut self,
        symbol: &Arc<Symbol>,
        context: &Context<'_, 'v>,
    ) -> Result<Option<Cow<'v, str>>, Failure> {
        Ok(self.find(symbol, context)?.and_then(|found| found.value))
    }

    /// The items of a loop: indexed children, or what its value holds as JSON, or its parts between commas.
    pub(super) fn items(
        &mut self,
        symbol: &Arc<Symbol>,
        context: &Context<'_, 'v>,
    ) -> Result<Vec<Place<'v>>, Failure> {
        let Some(found) = self.find(symbol, context)? else { return Ok(Vec::new()) };
        let indexed = found.place.indexed(self.tree);
        if !indexed.is_empty() {
            return Ok(indexed.iter().copied().map(Place::node).collect());
        }
        let is_secret = found.is_secret;
        let Some(value) = found.value else { return Ok(Vec::new()) };
        self.spend(value.len() * JSON_BYTE)?;
        Ok(match Json::parse(&value) {
            Some(Json::Array(items)) => {
                items.iter().map(|item| Place::text(item.text(), is_secret)).collect()
            }
            Some(Json::Object(properties)) => properties
                .into_iter()
                .map(|(name, value)| Place::property(name, value.text(), is_secret))
                .collect(),
            _ => {
                self.spend(value.matches(',').count().saturating_mul(LOOK_UP))?;
                value.split(',').map(|part| Place::text(part.to_owned(), is_secret)).collect()
            }
        })
    }

    /// Follows a path from the innermost loop outwards.
    fn find(
        &mut self,
        symbol: &Arc<Symbol>,
        context: &Context<'_, 'v>,
    ) -> Result<Option<Found<'v>>, Failure> {
        self.spend(LOOK_UP)?;
        refuse_loop(symbol, context).inspect_err(|_| self.loops += 1)?;
        context.open.borrow_mut().push(Arc::clone(symbol));
        let found = self.deeper(|inner| inner.find_from(symbol, context));
        context.open.borrow_mut().pop();
        found
    }

    fn find_from(
        &mut self,
        symbol: &Arc<Symbol>,
        context: &Context<'_, 'v>,
    ) -> Result<Option<Found<'v>>, Failure> {
        let settled = self.settle(symbol, context)?;
        if let Some(place) = self.walk(&settled, context)? {
            let reported = self.gaps.len();
            let (value, is_secret) = self.watched(|inner| inner.value(&place, context));
            let value = value?;
            self.touched |= is_secret;
            if place.is_sensitive(self.tree, self.variables) {
                self.hide_gaps(reported, &format!("#{{{symbol}}}"));
            }
            return Ok(Some(Found { place, value, is_secret }));
        }
        match &context.around {
            Some((around, _)) if !settled.has_look_ups() => self.find(&settled, around),
            _ => Ok(None),
        }
    }

    /// The path with every `[#{…}]` looked up, as far as there are values.
    fn settle(&mut self, symbol: &Arc<Symbol>, context: &Context<'_, 'v>) -> Result<Arc<Symbol>, Failure> {
        if !symbol.has_look_ups() {
            return Ok(Arc::clone(symbol));
        }
        let mut settled = Symbol::new();
        for step in symbol.steps() {
            match step {
                Step::Name { at, word } => settled.push(Step::Name { at, word: word.text }),
                Step::Index { at, word } => settled.push(Step::Index { at, word: word.text }),
                Step::LookUp { at, symbol } => {
                    let (index, _) =
                        self.watched(|inner| inner.unreported(|inner| inner.look_up(&symbol, context)));
                    match index? {
                        Some(index) => {
                            self.spend(index.len().saturating_mul(INDEX_BYTE))?;
                            settled.push(Step::Index { at: None, word: &index });
                        }
                        None => settled.push(Step::LookUp { at, symbol }),
                    }
                }
            }
        }
        Ok(Arc::new(settled))
    }

    fn walk(&mut self, symbol: &Symbol, context: &Context<'_, 'v>) -> Result<Option<Place<'v>>, Failure> {
        let mut place: Option<Place<'v>> = None;
        for step in symbol.steps() {
            let (word, next) = match (step, &place) {
                (Step::Name { word, .. }, None) => (word, Place::first(word, context, self.tree)),
                (Step::Name { word, .. }, Some(place)) => (word, place.name(word, self.tree)),
                (Step::Index { word, .. }, Some(place)) => (word, place.index(word, self.tree)),
                // No path begins with an index, and one that could not be looked up leads nowhere.
                (Step::Index { .. }, None) | (Step::LookUp { .. }, _) => return Ok(None),
            };
            place = match (next, place) {
                (Some(next), _) => Some(next),
                (None, Some(place)) => self.step_into(&place, word, context)?,
                (None, None) => None,
            };
            if place.is_none() {
                return Ok(None);
            }
        }
        Ok(place)
    }

    /// A step into a value that is JSON.
    fn step_into(
        &mut self,
        place: &Place<'v>,
        word: Word<'_>,
        context: &Context<'_, 'v>,
    ) -> Result<Option<Place<'v>>, Failure> {
        if word.text.is_empty() {
            return Ok(None);
        }
        if let Some(json) = place.json(self.tree, self.variables) {
            self.spend(json.len())?;
            let is_secret = place.is_sensitive(self.tree, self.variables);
            return Ok(json.step(word.text).map(|found| Place::inner(found, is_secret)));
        }
        let (value, is_secret) = self.watched(|inner| inner.unreported(|inner| inner.value(place, context)));
        let value = match value {
            // A value may refer to another part of itself: while that is being evaluated it is no JSON yet.
            Err(Failure::Loop(_)) => return Ok(None),
            value => value?,
        };
        let Some(value) = value else { return Ok(None) };
        self.spend(value.len() * JSON_BYTE)?;
        let json = Json::parse(&value);
        let found = json.and_then(|json| json.step(word.text).map(Json::text));
        Ok(found.map(|text| Place::text(text, is_secret)))
    }

    /// Of a sensitive value only its own name is told, not which part of it is missing.
    fn hide_gaps(&mut self, reported: usize, name: &str) {
        let hidden = self.gaps.split_off(reported);
        self.gaps.extend(hidden.into_iter().max_by_key(|gap| matches!(gap, Gap::Missing(_))).map(|gap| {
            match gap {
                Gap::Missing(_) => Gap::Missing(name.to_owned()),
                Gap::Uncalculated(_) => Gap::Uncalculated(name.to_owned()),
            }
        }));
    }

    /// What is missing on the way does not count.
    fn unreported<T>(&mut self, inside: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Failure> {
        let (reported, is_null) = (self.gaps.len(), self.is_null);
        let result = inside(self);
        self.gaps.truncate(reported);
        self.is_null = is_null;
        result
    }
}

/// A look-up that is under way already, here or around, cannot end.
fn refuse_loop(symbol: &Arc<Symbol>, context: &Context<'_, '_>) -> Result<(), Failure> {
    let mut looked = Some(context);
    while let Some(context) = looked {
        let open = context.open.borrow();
        if open.iter().any(|open| Arc::ptr_eq(open, symbol) || open == symbol) {
            let chain: Vec<String> = open.iter().map(ToString::to_string).collect();
            return Err(Failure::Loop(format!(
                "An attempt to parse the variable symbol \"{symbol}\" appears to have resulted in a self referencing \
                 loop ({} -> {symbol}). Ensure that recursive loops do not exist in the variable values.",
                chain.join(" -> ")
            )));
        }
        looked = context.around.as_ref().map(|(around, _)| *around);
    }
    Ok(())
}
