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

pub use names::names;
pub use variables::Variables;

use self::{
    evaluate::{evaluate, too_deep},
    parser::{ParseError, parse},
    variables::Template,
};

/// What a text became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text with everything replaced that could be; the text itself when it could not be read. None when it came
    /// to the filter `null`, or when evaluating it failed.
    pub value: Option<String>,
    /// The tokens that have no value, such as `#{X}`, each once, in order of appearance. Of a sensitive variable only
    /// its own name is told, not which part of its value it is.
    pub missing: Vec<String>,
    /// Why the text could not be read or evaluated.
    pub error: Option<String>,
}

impl Rendered {
    /// The value when it is whole; else why it must not be used.
    pub fn clean(self) -> Result<String, Unclean> {
        match (self.error, self.value) {
            (Some(error), _) => Err(Unclean::Error(error)),
            (None, _) if !self.missing.is_empty() => Err(Unclean::Missing(self.missing)),
            (None, None) => Err(Unclean::Null),
            (None, Some(value)) => Ok(value),
        }
    }

    fn as_written(text: &str) -> Self {
        Self { value: Some(text.to_owned()), missing: Vec::new(), error: None }
    }
}

/// Why a rendered text must not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unclean {
    /// Tokens without a value.
    #[error("no value for {}", quoted(.0))]
    Missing(Vec<String>),
    /// The text cannot be read or evaluated.
    #[error("{0}")]
    Error(String),
    /// The filter `null` took the value away.
    #[error("the text has no value: it came to the filter `null`")]
    Null,
}

fn quoted(tokens: &[String]) -> String {
    let tokens: Vec<_> = tokens.iter().map(|token| format!("`{token}`")).collect();
    tokens.join(", ")
}

/// Renders a text with variables. `now` is what the filters of dates take for the time.
pub fn render(text: &str, variables: &Variables, now: &ZonedDateTime) -> Rendered {
    if !text.contains("#{") {
        return Rendered::as_written(text);
    }
    match parse(text) {
        Ok(tokens) => evaluate(&tokens, variables, now),
        Err(error) => Rendered { error: Some(unreadable(text, error)), ..Rendered::as_written(text) },
    }
}

/// The rendered value of the variable of exactly this name. A value that nobody can read as a template is used as it
/// is written: it may be a password. None when there is no such variable.
pub fn value(name: &str, variables: &Variables, now: &ZonedDateTime) -> Option<Rendered> {
    let place = variables.place(name)?;
    Some(match variables.template(place) {
        Template::Plain => Rendered::as_written(variables.value(place)),
        Template::Tokens(tokens) => {
            let mut rendered = evaluate(tokens, variables, now);
            if !rendered.missing.is_empty() && variables.is_sensitive(place) {
                rendered.missing = vec![format!("#{{{name}}}")];
            }
            rendered
        }
        Template::TooDeep => Rendered {
            value: None,
            missing: Vec::new(),
            error: Some(too_deep(&format!("the value of `{name}`"))),
        },
    })
}

/// Says what cannot be read, with the place where reading stopped.
fn unreadable(text: &str, error: ParseError) -> String {
    let ParseError::Unreadable(at) = error else { return too_deep("the text") };
    let rest = &text[at..];
    let shown = shorten(rest);
    if rest.starts_with("#{/") {
        return format!("`{shown}` closes what nothing opened");
    }
    if !rest.contains('}') {
        return format!("`#{{` without `}}` in `{shown}`");
    }
    format!("`{shown}` cannot be read as a look-up, a filter, a condition, a loop or a calculation")
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
