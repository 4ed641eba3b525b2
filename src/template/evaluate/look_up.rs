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
        let hidden = self.secrets.len();
        let Some(found) = self.find(symbol, context)? else { return Ok(Vec::new()) };
        let indexed = found.place.indexed(self.tree);
        if !indexed.is_empty() {
            return Ok(indexed.iter().copied().map(Place::node).collect());
        }
        let Some(value) = found.value else { return Ok(Vec::new()) };
        self.spend(value.len() * JSON_BYTE)?;
        let part = self.part_of(&found.place, found.is_secret, hidden);
        Ok(match Json::parse(&value) {
            Some(Json::Array(items)) => {
                let items = items.iter().map(Json::text);
                items
                    .map(|item| part.holds(self, &item).map(|is_secret| Place::text(item, is_secret)))
                    .collect::<Result<_, _>>()?
            }
            Some(Json::Object(properties)) => properties
                .into_iter()
                .map(|(name, value)| {
                    let value = value.text();
                    let is_secret = part.holds(self, &name)? | part.holds(self, &value)?;
                    Ok(Place::property(name, value, is_secret))
                })
                .collect::<Result<_, _>>()?,
            _ => {
                self.spend(value.matches(',').count().saturating_mul(LOOK_UP))?;
                let items = value.split(',').map(str::to_owned);
                items
                    .map(|item| part.holds(self, &item).map(|is_secret| Place::text(item, is_secret)))
                    .collect::<Result<_, _>>()?
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
        refuse_loop(symbol, self.is_inside_secret, context).inspect_err(|_| self.loops += 1)?;
        context.open.borrow_mut().push((Arc::clone(symbol), self.is_inside_secret));
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
        let hidden = self.secrets.len();
        let (value, is_secret) = self.watched(|inner| inner.unreported(|inner| inner.value(place, context)));
        let value = match value {
            // A value may refer to another part of itself: while that is being evaluated it is no JSON yet.
            Err(Failure::Loop(_)) => return Ok(None),
            value => value?,
        };
        let Some(value) = value else { return Ok(None) };
        self.spend(value.len() * JSON_BYTE)?;
        let json = Json::parse(&value);
        let Some(text) = json.and_then(|json| json.step(word.text).map(Json::text)) else { return Ok(None) };
        let is_secret = self.part_of(place, is_secret, hidden).holds(self, &text)?;
        Ok(Some(Place::text(text, is_secret)))
    }

    /// What is to be known of a value that parts are taken out of. `hidden` secrets were met before it.
    fn part_of(&self, place: &Place<'v>, is_secret: bool, hidden: usize) -> Whole {
        if !is_secret {
            return Whole::Open;
        }
        let secrets = self.secrets.get(hidden..).unwrap_or_default();
        // Written in JSON such a text is another: then nobody can tell by looking where it went.
        let is_plain =
            |secret: &String| !secret.contains(['"', '\'', '\\']) && !secret.contains(char::is_control);
        if place.is_sensitive(self.tree, self.variables) || !secrets.iter().all(is_plain) {
            return Whole::Secret;
        }
        Whole::Holding(secrets.to_vec())
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

/// A value that parts are taken out of.
enum Whole {
    /// Nothing of it is secret.
    Open,
    /// All of it is.
    Secret,
    /// These texts in it are.
    Holding(Vec<String>),
}

impl Whole {
    /// Whether a part of it is secret, or holds a secret.
    fn holds(&self, evaluator: &mut Evaluator<'_>, part: &str) -> Result<bool, Failure> {
        match self {
            Self::Open => Ok(false),
            Self::Secret => Ok(true),
            Self::Holding(secrets) => {
                evaluator
                    .spend(secrets.iter().map(String::len).sum::<usize>() + part.len() * secrets.len())?;
                Ok(!part.is_empty()
                    && secrets.iter().any(|secret| part.contains(secret.as_str()) || secret.contains(part)))
            }
        }
    }
}

/// A look-up that is under way already, here or around, cannot end.
fn refuse_loop(symbol: &Arc<Symbol>, is_secret: bool, context: &Context<'_, '_>) -> Result<(), Failure> {
    let mut looked = Some(context);
    while let Some(context) = looked {
        let open = context.open.borrow();
        let is_same = |open: &Arc<Symbol>| Arc::ptr_eq(open, symbol) || open == symbol;
        if open.iter().any(|(open, _)| is_same(open)) {
            // A path that stands in a sensitive value is a part of it.
            let shown =
                |symbol: &Symbol, is_secret| if is_secret { "…".to_owned() } else { symbol.to_string() };
            let is_secret = is_secret || open.iter().any(|(open, is_secret)| *is_secret && is_same(open));
            let chain: Vec<String> = open.iter().map(|(open, is_secret)| shown(open, *is_secret)).collect();
            let symbol = shown(symbol, is_secret);
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
