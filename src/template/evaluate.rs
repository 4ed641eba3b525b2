//! Evaluates what was read, with variables and the loops around it.

mod look_up;
mod place;
mod remember;

use std::{borrow::Cow, cell::RefCell, collections::HashSet, hash::Hash, sync::Arc};

use jiff::ZonedDateTime;

use super::{
    Rendered, filters, number,
    parser::MAX_NESTING,
    symbol::{Symbol, fold},
    syntax::{Condition, Conditional, Expression, Factor, Filter, Operand, Product, Repetition, Sum, Token},
    tree::Tree,
    variables::{Template, Variables},
};
use place::{Place, Round, Value};
pub(super) use remember::Memory;

/// How many bytes a text may grow to.
const MAX_OUTPUT: usize = 4 * 1024 * 1024;
/// How deep values and blocks may lie in each other while they are evaluated: what the stack of any thread holds.
const MAX_DEPTH: usize = 300;
/// How much work one rendering may be: about a second. A value that needs more multiplies itself.
const MAX_WORK: usize = 40_000_000;
/// How long most values are: with so much room their texts need not grow.
const USUAL: usize = 64;
/// The work of one look-up, when that of writing one byte is one.
const LOOK_UP: usize = 200;
/// The work of one byte of an index that is looked up: it is made into a name, and names are compared.
const INDEX_BYTE: usize = 8;
/// The work of reading one byte of JSON.
const JSON_BYTE: usize = 2;

/// Why there is no value.
#[derive(Debug)]
enum Failure {
    /// A value refers to itself.
    Loop(String),
    /// Anything else.
    Other(String),
}

/// What could not be evaluated, in its canonical form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Gap {
    /// It has no value.
    Missing(String),
    /// It came to no number.
    Uncalculated(String),
}

/// What surrounds a part: a loop's round, or nothing but the variables.
struct Context<'c, 'v> {
    around: Option<(&'c Context<'c, 'v>, Round<'v>)>,
    /// The look-ups that are under way here, the outermost first, and whether each stands in a sensitive value.
    open: RefCell<Vec<(Arc<Symbol>, bool)>>,
}

/// What to evaluate.
#[derive(Clone, Copy)]
pub(super) enum Text<'t> {
    /// A template that was given by itself.
    Template(&'t [Token]),
    /// The value of the variable at a place.
    Variable(usize),
}

/// Evaluates a text by itself.
pub(super) fn evaluate(
    text: Text<'_>,
    variables: &Variables,
    now: &ZonedDateTime,
    memory: &Memory,
) -> Rendered {
    let mut evaluator = Evaluator {
        variables,
        tree: variables.tree(),
        now,
        gaps: Vec::new(),
        is_null: false,
        depth: 0,
        deepest: 0,
        work: 0,
        loops: 0,
        touched: false,
        is_inside_secret: false,
        secrets: Vec::new(),
        memory,
    };
    let context = Context { around: None, open: RefCell::default() };
    let result = match text {
        Text::Template(tokens) => {
            let mut out = String::with_capacity(USUAL);
            evaluator.tokens(tokens, &context, &mut out).map(|()| out)
        }
        Text::Variable(place) => evaluator.variable(place, &context).map(Cow::into_owned),
    };
    let secrets = distinct(evaluator.secrets);
    match result {
        Ok(out) => {
            let value = (!evaluator.is_null).then_some(out);
            let mut rendered = Rendered { value, secrets, ..Rendered::default() };
            for gap in distinct(evaluator.gaps) {
                match gap {
                    Gap::Missing(token) => rendered.missing.push(token),
                    Gap::Uncalculated(token) => rendered.uncalculated.push(token),
                }
            }
            rendered
        }
        Err(Failure::Loop(error) | Failure::Other(error)) => {
            Rendered { error: Some(error), secrets, ..Rendered::default() }
        }
    }
}

fn distinct<T: Clone + Eq + Hash>(mut items: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::new();
    items.retain(|item| seen.insert(item.clone()));
    items
}

struct Evaluator<'v> {
    variables: &'v Variables,
    tree: &'v Tree,
    now: &'v ZonedDateTime,
    gaps: Vec<Gap>,
    /// Whether the filter `null` was met: then the whole has no value.
    is_null: bool,
    depth: usize,
    /// How deep it went.
    deepest: usize,
    work: usize,
    /// How many loops were met, also those that did not count.
    loops: usize,
    /// Whether a sensitive value went into what is being made.
    touched: bool,
    /// Whether the text that is being evaluated is a sensitive value, or taken out of one.
    is_inside_secret: bool,
    /// The texts that sensitive values were turned into.
    secrets: Vec<String>,
    memory: &'v Memory,
}

impl<'v> Evaluator<'v> {
    fn tokens(
        &mut self,
        tokens: &[Token],
        context: &Context<'_, 'v>,
        out: &mut String,
    ) -> Result<(), Failure> {
        tokens.iter().try_for_each(|token| self.token(token, context, out))
    }

    fn token(&mut self, token: &Token, context: &Context<'_, 'v>, out: &mut String) -> Result<(), Failure> {
        match token {
            Token::Text(text) => self.write(text, out),
            Token::Substitution(expression) => {
                match self.guarded(|inner| inner.expression(expression, context))? {
                    Some(value) => self.write(&value, out),
                    None if expression.filters.last().is_some_and(|filter| &*filter.name == "null") => {
                        self.is_null = true;
                        Ok(())
                    }
                    None => {
                        self.gaps.push(Gap::Missing(token.to_string()));
                        self.write(&token.to_string(), out)
                    }
                }
            }
            Token::Conditional(conditional) => {
                self.deeper(|inner| inner.conditional(conditional, context, out))
            }
            Token::Calculation(sum) => {
                let mut is_number = false;
                let result = self.guarded(|inner| {
                    let number = inner.sum(sum, context)?;
                    is_number = number.is_some_and(f64::is_finite);
                    Ok(number.map(|number| number::text(number).into()))
                })?;
                if !is_number {
                    self.gaps.push(Gap::Uncalculated(token.to_string()));
                }
                self.write(&result.unwrap_or_else(|| token.to_string().into()), out)
            }
            Token::Repetition(repetition) => self.deeper(|inner| inner.repetition(repetition, context, out)),
        }
    }

    /// What a token becomes; when a sensitive value went into it, it is as secret as that.
    fn guarded(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<Option<Cow<'v, str>>, Failure>,
    ) -> Result<Option<Cow<'v, str>>, Failure> {
        let (result, is_secret) = self.watched(inside);
        let result = result?;
        self.touched |= is_secret;
        // Everything is true or false: hiding these words would hide more than it keeps.
        let tells = |text: &str| !["", "true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word));
        if let Some(text) = result.as_deref().filter(|text| is_secret && tells(text)) {
            self.spend(text.len())?;
            self.secrets.push(text.to_owned());
        }
        Ok(result)
    }

    /// Does this, and says whether a sensitive value went into it.
    fn watched<T>(&mut self, inside: impl FnOnce(&mut Self) -> T) -> (T, bool) {
        let before = std::mem::take(&mut self.touched);
        let result = inside(self);
        let is_secret = std::mem::replace(&mut self.touched, before);
        (result, is_secret)
    }

    /// Evaluates a text that may be a sensitive value or a part of one.
    fn within<T>(&mut self, is_secret: bool, inside: impl FnOnce(&mut Self) -> T) -> T {
        let around = self.is_inside_secret;
        self.is_inside_secret |= is_secret;
        self.touched |= is_secret;
        let result = inside(self);
        self.is_inside_secret = around;
        result
    }

    fn write(&mut self, text: &str, out: &mut String) -> Result<(), Failure> {
        self.spend(text.len())?;
        if out.len() + text.len() > MAX_OUTPUT {
            return Err(Failure::Other(format!(
                "the text grows over {MAX_OUTPUT} bytes: a value multiplies itself"
            )));
        }
        out.push_str(text);
        Ok(())
    }

    fn spend(&mut self, work: usize) -> Result<(), Failure> {
        self.work = self.work.saturating_add(work);
        if self.work > MAX_WORK {
            return Err(Failure::Other(
                "the text takes too many steps: a value multiplies itself, or a loop goes over too much"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    fn deeper<T>(&mut self, inside: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Failure> {
        if self.depth == MAX_DEPTH {
            return Err(deeper_than_allowed());
        }
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        let result = inside(self);
        self.depth -= 1;
        result
    }

    /// The own value of a place, evaluated.
    fn value(
        &mut self,
        place: &Place<'v>,
        context: &Context<'_, 'v>,
    ) -> Result<Option<Cow<'v, str>>, Failure> {
        let text = match place.value(self.tree) {
            Value::Nothing => return Ok(None),
            Value::Variable(place) => return self.variable(place, context).map(Some),
            Value::Text(text) => text,
        };
        self.within(place.is_sensitive(self.tree, self.variables), |inner| match Template::of(&text) {
            Template::Plain | Template::Unreadable => Ok(Some(text)),
            Template::Tokens(tokens) => {
                let mut out = String::new();
                inner.deeper(|inner| inner.tokens(&tokens, context, &mut out))?;
                Ok(Some(out.into()))
            }
            Template::TooDeep => Err(Failure::Other(too_deep("the value of a variable"))),
        })
    }

    fn expression(
        &mut self,
        expression: &Expression,
        context: &Context<'_, 'v>,
    ) -> Result<Option<Cow<'v, str>>, Failure> {
        let mut value = match &expression.symbol {
            Some(symbol) => self.look_up(symbol, context)?,
            None => None,
        };
        for filter in &expression.filters {
            value = self.filter(filter, value.as_deref(), context)?.map(Cow::Owned);
        }
        Ok(value)
    }

    fn filter(
        &mut self,
        filter: &Filter,
        input: Option<&str>,
        context: &Context<'_, 'v>,
    ) -> Result<Option<String>, Failure> {
        let (options, is_secret) = self.watched(|inner| inner.options(filter, context));
        let options = options?;
        self.touched |= is_secret;
        self.spend(LOOK_UP + input.map_or(0, str::len))?;
        if filter.name.eq_ignore_ascii_case("null") {
            return Ok(None);
        }
        filters::apply(&filter.name, input, &options, self.now).map_err(|error| {
            // Its words may repeat an option.
            let is_shown = !is_secret && !self.is_inside_secret;
            let hidden = || {
                format!("the filter `{}` cannot use an option that comes of a sensitive value", filter.name)
            };
            Failure::Other(if is_shown { error } else { hidden() })
        })
    }

    fn options(&mut self, filter: &Filter, context: &Context<'_, 'v>) -> Result<Vec<String>, Failure> {
        let mut options = Vec::with_capacity(filter.options.len());
        for option in &filter.options {
            let mut text = String::new();
            self.deeper(|inner| inner.token(option, context, &mut text))?;
            options.push(text);
        }
        Ok(options)
    }

    fn conditional(
        &mut self,
        conditional: &Conditional,
        context: &Context<'_, 'v>,
        out: &mut String,
    ) -> Result<(), Failure> {
        for (condition, body) in &conditional.branches {
            // Which branch was taken says little of a secret, and what is written in it says nothing.
            match self.watched(|inner| inner.condition(condition, context)).0? {
                Ok(holds) if holds != conditional.is_negated => return self.tokens(body, context, out),
                Ok(_) => {}
                Err(unknown) => {
                    self.gaps.push(Gap::Missing(unknown));
                    return self.write(&conditional.to_string(), out);
                }
            }
        }
        self.tokens(&conditional.otherwise, context, out)
    }

    /// Whether a condition holds, or which of its sides has no value.
    fn condition(
        &mut self,
        condition: &Condition,
        context: &Context<'_, 'v>,
    ) -> Result<Result<bool, String>, Failure> {
        let Some(left) = self.side(&condition.left, context)? else {
            return Ok(Err(condition.left.to_string()));
        };
        let Some(comparison) = &condition.comparison else { return Ok(Ok(is_truthy(&left))) };
        let is_same = match &comparison.right {
            Operand::Literal(right) => *left == **right,
            Operand::Expression(right) => match self.side(right, context)? {
                Some(right) => left == right,
                None => return Ok(Err(right.to_string())),
            },
        };
        Ok(Ok(is_same == comparison.is_equal))
    }

    /// A plain look-up without a value counts as empty; filters without one make the condition unanswerable.
    fn side(
        &mut self,
        side: &Expression,
        context: &Context<'_, 'v>,
    ) -> Result<Option<Cow<'v, str>>, Failure> {
        let value = self.expression(side, context)?;
        self.spend(value.as_ref().map_or(0, |text| text.len()))?;
        Ok(if side.filters.is_empty() { Some(value.unwrap_or_default()) } else { value })
    }

    fn sum(&mut self, sum: &Sum, context: &Context<'_, 'v>) -> Result<Option<f64>, Failure> {
        let mut total = 0.0;
        for (place, (operator, product)) in sum.0.iter().enumerate() {
            let Some(value) = self.product(product, context)? else { return Ok(None) };
            total = match operator {
                _ if place == 0 => value,
                '-' => total - value,
                _ => total + value,
            };
        }
        Ok(Some(total))
    }

    fn product(&mut self, product: &Product, context: &Context<'_, 'v>) -> Result<Option<f64>, Failure> {
        let mut total = 1.0;
        for (place, (operator, factor)) in product.0.iter().enumerate() {
            let value = match factor {
                Factor::Sum(sum) => self.sum(sum, context)?,
                Factor::Number(number) => Some(*number),
                Factor::Symbol(symbol) => match self.look_up(symbol, context)? {
                    Some(text) => {
                        self.spend(text.len())?;
                        number::parse(&text)
                    }
                    None => None,
                },
            };
            let Some(value) = value else { return Ok(None) };
            total = match operator {
                _ if place == 0 => value,
                '/' => total / value,
                _ => total * value,
            };
        }
        Ok(Some(total))
    }

    fn repetition(
        &mut self,
        repetition: &Repetition,
        context: &Context<'_, 'v>,
        out: &mut String,
    ) -> Result<(), Failure> {
        let items = self.watched(|inner| inner.items(&repetition.collection, context)).0?;
        let name = fold(&repetition.variable);
        let count = items.len();
        for (index, item) in items.into_iter().enumerate() {
            self.spend(LOOK_UP)?;
            let round = Round { name: name.clone(), item, index, is_last: index + 1 == count };
            let inner = Context { around: Some((context, round)), open: RefCell::default() };
            self.tokens(&repetition.body, &inner, out)?;
        }
        Ok(())
    }
}

fn deeper_than_allowed() -> Failure {
    Failure::Other(format!("the text is more than {MAX_DEPTH} values, conditions and loops deep"))
}

/// What is nested too deeply to be read.
pub(super) fn too_deep(what: &str) -> String {
    format!("{what} is nested too deeply: brackets, options, conditions and loops go {MAX_NESTING} deep")
}

fn is_truthy(value: &str) -> bool {
    let word = value.trim();
    !(value.is_empty()
        || value == "0"
        || word.eq_ignore_ascii_case("no")
        || word.eq_ignore_ascii_case("false"))
}
