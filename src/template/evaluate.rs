//! Evaluates what was read, with variables and the loops around it.

mod look_up;
mod place;

use std::{borrow::Cow, cell::RefCell, sync::Arc};

use jiff::ZonedDateTime;

use super::{
    Rendered, filters, number,
    parser::MAX_NESTING,
    symbol::{Symbol, fold},
    syntax::{Condition, Conditional, Expression, Factor, Filter, Operand, Product, Repetition, Sum, Token},
    tree::Tree,
    variables::{Template, Variables},
};
use place::Round;

/// How many bytes a text may grow to.
const MAX_OUTPUT: usize = 4 * 1024 * 1024;
/// How deep values and blocks may lie in each other while they are evaluated: what the stack of any thread holds.
const MAX_DEPTH: usize = 500;
/// How much work one rendering may be: about a second. A value that needs more multiplies itself.
const MAX_WORK: usize = 40_000_000;
/// The work of one look-up, when that of writing one byte is one.
const LOOK_UP: usize = 200;
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

/// What surrounds a part: a loop's round, or nothing but the variables.
struct Context<'c, 'v> {
    around: Option<(&'c Context<'c, 'v>, Round<'v>)>,
    /// The look-ups that are under way here, the outermost first.
    open: RefCell<Vec<Arc<Symbol>>>,
}

/// Evaluates a template that was given by itself.
pub(super) fn evaluate(tokens: &[Token], variables: &Variables, now: &ZonedDateTime) -> Rendered {
    let mut evaluator = Evaluator {
        variables,
        tree: variables.tree(),
        now,
        missing: Vec::new(),
        is_null: false,
        depth: 0,
        work: 0,
    };
    let context = Context { around: None, open: RefCell::default() };
    let mut out = String::new();
    match evaluator.tokens(tokens, &context, &mut out) {
        Ok(()) => Rendered {
            value: (!evaluator.is_null).then_some(out),
            missing: distinct(evaluator.missing),
            error: None,
        },
        Err(Failure::Loop(error) | Failure::Other(error)) => {
            Rendered { value: None, missing: Vec::new(), error: Some(error) }
        }
    }
}

fn distinct(mut texts: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    texts.retain(|text| seen.insert(text.clone()));
    texts
}

struct Evaluator<'v> {
    variables: &'v Variables,
    tree: &'v Tree,
    now: &'v ZonedDateTime,
    /// What could not be evaluated, in its canonical form.
    missing: Vec<String>,
    /// Whether the filter `null` was met: then the whole has no value.
    is_null: bool,
    depth: usize,
    work: usize,
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
            Token::Substitution(expression) => match self.expression(expression, context)? {
                Some(value) => self.write(&value, out),
                None if expression.filters.last().is_some_and(|filter| &*filter.name == "null") => {
                    self.is_null = true;
                    Ok(())
                }
                None => {
                    self.missing.push(token.to_string());
                    self.write(&token.to_string(), out)
                }
            },
            Token::Conditional(conditional) => {
                self.deeper(|inner| inner.conditional(conditional, context, out))
            }
            Token::Calculation(sum) => match self.sum(sum, context)? {
                Some(value) => self.write(&number::text(value), out),
                None => self.write(&token.to_string(), out),
            },
            Token::Repetition(repetition) => self.deeper(|inner| inner.repetition(repetition, context, out)),
        }
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
                "the text takes too many steps: a value multiplies itself".to_owned(),
            ));
        }
        Ok(())
    }

    fn deeper<T>(&mut self, inside: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Failure> {
        if self.depth == MAX_DEPTH {
            return Err(Failure::Other(format!(
                "the text is more than {MAX_DEPTH} values, conditions and loops deep"
            )));
        }
        self.depth += 1;
        let result = inside(self);
        self.depth -= 1;
        result
    }

    /// A value, evaluated when it is a template.
    fn value(
        &mut self,
        value: Cow<'v, str>,
        template: &Template,
        context: &Context<'_, 'v>,
    ) -> Result<Cow<'v, str>, Failure> {
        match template {
            Template::Plain => Ok(value),
            Template::Tokens(tokens) => {
                let mut out = String::new();
                self.deeper(|inner| inner.tokens(tokens, context, &mut out))?;
                Ok(out.into())
            }
            Template::TooDeep => Err(Failure::Other(too_deep("the value of a variable"))),
        }
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
        let mut options = Vec::with_capacity(filter.options.len());
        for option in &filter.options {
            let mut text = String::new();
            self.deeper(|inner| inner.token(option, context, &mut text))?;
            options.push(text);
        }
        self.spend(LOOK_UP + input.map_or(0, str::len))?;
        if filter.name.eq_ignore_ascii_case("null") {
            return Ok(None);
        }
        filters::apply(&filter.name, input, &options, self.now).map_err(Failure::Other)
    }

    fn conditional(
        &mut self,
        conditional: &Conditional,
        context: &Context<'_, 'v>,
        out: &mut String,
    ) -> Result<(), Failure> {
        for (condition, body) in &conditional.branches {
            match self.condition(condition, context)? {
                Ok(holds) if holds != conditional.is_negated => return self.tokens(body, context, out),
                Ok(_) => {}
                Err(unknown) => {
                    self.missing.push(unknown);
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
                Factor::Symbol(symbol) => {
                    self.look_up(symbol, context)?.and_then(|text| number::parse(&text))
                }
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
        let items = self.items(&repetition.collection, context)?;
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
