//! The variable language, Octostache: look-ups by path, filters, conditions, loops and calculations in `#{…}`.
//!
//! Pure: no clock, no I/O; the same input gives the same output. Whatever cannot be rendered cleanly is *said*
//! ([`Rendered::missing`], [`Rendered::error`], no [`Rendered::value`]) and never reaches AWS.
//!
//! ```
//! use octarm::{model::Variable, template::{Variables, render}};
//!
//! let variables: Variables = [
//!     Variable::plain("Team", r#"{"Name": "Shop", "Regions": ["eu", "us"]}"#),
//!     Variable::plain("Function", "#{Team.Name | ToLower}-#{Stage}"),
//!     Variable::plain("Stage", "ci"),
//! ].into_iter().collect();
//! let now = jiff::ZonedDateTime::now();
//! let text = "#{Function}: #{each r in Team.Regions}#{r}#{unless Octopus.Template.Each.Last}, #{/unless}#{/each}";
//! assert_eq!(render(text, &variables, &now).clean().as_deref(), Ok("shop-ci: eu, us"));
//! ```

mod evaluate;
mod filters;
mod json;
mod names;
mod number;
mod parser;
mod symbol;
mod syntax;
mod tree;
mod variables;

use jiff::ZonedDateTime;

use crate::model::Variable;

pub use names::names;
pub use variables::Variables;

use self::{
    evaluate::{Memory, Text, evaluate, too_deep},
    parser::{ParseError, parse},
};

/// How many tokens a message names, how much it shows of each, and how much of what cannot be read.
const SHOWN_TOKENS: usize = 20;
const SHOWN_TOKEN: usize = 200;
const SHOWN_REST: usize = 40;

/// What a text became.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The text with everything replaced that could be; the text itself when it could not be read. None when it came
    /// to the filter `null`, or when evaluating it failed.
    pub value: Option<String>,
    /// The tokens that have no value, such as `#{X}`, each once, in order of appearance. Of a sensitive variable only
    /// its own name is told, not which part of its value it is.
    pub missing: Vec<String>,
    /// The calculations that came to no number, such as `#{X*2}`: they are written back.
    pub uncalculated: Vec<String>,
    /// What sensitive values became in it, whatever a filter made of them: no part of it may be shown.
    pub secrets: Vec<String>,
    /// Why the text could not be read or evaluated.
    pub error: Option<String>,
}

impl Rendered {
    /// The value when it is whole; else why it must not be used.
    pub fn clean(self) -> Result<String, Unclean> {
        self.whole().map(|(value, _)| value)
    }

    /// The same with the secrets in it.
    pub fn whole(self) -> Result<(String, Vec<String>), Unclean> {
        match (self.error, self.value) {
            (Some(error), _) => Err(Unclean::Error(error)),
            (None, _) if !self.missing.is_empty() => Err(Unclean::Missing(self.missing)),
            (None, _) if !self.uncalculated.is_empty() => Err(Unclean::Uncalculated(self.uncalculated)),
            (None, None) => Err(Unclean::Null),
            (None, Some(value)) => Ok((value, self.secrets)),
        }
    }

    fn as_written(text: &str) -> Self {
        Self { value: Some(text.to_owned()), ..Self::default() }
    }
}

/// Why a rendered text must not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unclean {
    /// Tokens without a value.
    #[error("no value for {}", quoted(.0))]
    Missing(Vec<String>),
    /// Calculations that came to no number.
    #[error("no number comes of the calculation {}: a part of it has no value, is no number or is 0", quoted(.0))]
    Uncalculated(Vec<String>),
    /// The text cannot be read or evaluated.
    #[error("{0}")]
    Error(String),
    /// The filter `null` took the value away.
    #[error("the text has no value: it came to the filter `null`")]
    Null,
}

fn quoted(tokens: &[String]) -> String {
    let mut words: Vec<_> =
        tokens.iter().take(SHOWN_TOKENS).map(|token| format!("`{}`", shorten(token, SHOWN_TOKEN))).collect();
    if tokens.len() > SHOWN_TOKENS {
        words.push(format!("and {} more", tokens.len() - SHOWN_TOKENS));
    }
    words.join(", ")
}

/// Renders texts with one set of variables at one time, and remembers what the variables came to: rendering all of a
/// set costs no more for how deep they refer to each other.
pub struct Renderer<'v> {
    variables: &'v Variables,
    now: &'v ZonedDateTime,
    memory: Memory,
}

impl<'v> Renderer<'v> {
    /// `now` is what the filters of dates take for the time.
    pub fn new(variables: &'v Variables, now: &'v ZonedDateTime) -> Self {
        Self { variables, now, memory: Memory::default() }
    }

    /// Renders a text.
    pub fn render(&self, text: &str) -> Rendered {
        if !text.contains("#{") {
            return Rendered::as_written(text);
        }
        match parse(text) {
            Ok(tokens) => self.evaluate(Text::Template(&tokens)),
            Err(error) => Rendered { error: Some(unreadable(text, error)), ..Rendered::as_written(text) },
        }
    }

    /// The rendered value of the variable of exactly this name. A value that nobody can read as a template is used as
    /// it is written: it may be a password. None when there is no such variable.
    pub fn value(&self, name: &str) -> Option<Rendered> {
        Some(self.value_at(self.variables.place(name)?, name))
    }

    /// The same for all variables that are wanted, in the order in which they were first set.
    pub fn values(
        &self,
        is_wanted: impl Fn(&Variable) -> bool,
    ) -> impl Iterator<Item = (&'v Variable, Rendered)> {
        let all = self.variables.iter().enumerate().filter(move |(_, variable)| is_wanted(variable));
        all.map(|(place, variable)| (variable, self.value_at(place, &variable.name)))
    }

    fn value_at(&self, place: usize, name: &str) -> Rendered {
        let mut rendered = self.evaluate(Text::Variable(place));
        if self.variables.is_sensitive(place) {
            for gaps in [&mut rendered.missing, &mut rendered.uncalculated] {
                *gaps = gaps.first().map(|_| format!("#{{{name}}}")).into_iter().collect();
            }
        }
        rendered
    }

    fn evaluate(&self, text: Text<'_>) -> Rendered {
        evaluate(text, self.variables, self.now, &self.memory)
    }
}

/// Renders one text: [`Renderer::render`].
pub fn render(text: &str, variables: &Variables, now: &ZonedDateTime) -> Rendered {
    Renderer::new(variables, now).render(text)
}

/// Renders one variable's value: [`Renderer::value`].
pub fn value(name: &str, variables: &Variables, now: &ZonedDateTime) -> Option<Rendered> {
    Renderer::new(variables, now).value(name)
}

/// Says what cannot be read, with the place where reading stopped.
fn unreadable(text: &str, error: ParseError) -> String {
    let ParseError::Unreadable(at) = error else { return too_deep("the text") };
    let rest = &text[at..];
    let shown = shorten(rest, SHOWN_REST);
    if rest.starts_with("#{/") {
        return format!("`{shown}` closes what nothing opened");
    }
    if !rest.contains('}') {
        return format!("`#{{` without `}}` in `{shown}`");
    }
    format!("`{shown}` cannot be read as a look-up, a filter, a condition, a loop or a calculation")
}

fn shorten(text: &str, length: usize) -> String {
    let mut short: String = text.chars().take(length).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
