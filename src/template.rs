//! The variable language: `#{Name}` is replaced by the variable's value, to any depth.
//!
//! This version knows look-ups and the escape `##{`. Pure: no clock, no I/O; the same input gives the same output.
//! Whatever cannot be rendered cleanly is *said* ([`Rendered::missing`], [`Rendered::error`]) and never reaches AWS.

#[cfg_attr(not(test), expect(dead_code, reason = "the evaluator does not apply filters yet"))]
mod filters;
mod variables;

pub use variables::Variables;

/// How many look-ups one rendering may take: more is a definition that multiplies itself.
const MAX_LOOKUPS: usize = 100_000;
/// How many bytes one rendering may produce.
const MAX_OUTPUT: usize = 4 * 1024 * 1024;
/// How deep values may refer to values.
const MAX_DEPTH: usize = 100;

/// What a text became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text with everything replaced that could be.
    pub value: String,
    /// Names that have no value, each once, in order of appearance.
    pub missing: Vec<String>,
    /// Why the text could not be read or evaluated; `value` is then the input as it was.
    pub error: Option<String>,
}

impl Rendered {
    /// The value when it is whole; else why it must not be used.
    pub fn clean(self) -> Result<String, Unclean> {
        match (self.error, self.missing.is_empty()) {
            (Some(error), _) => Err(Unclean::Error(error)),
            (None, false) => Err(Unclean::Missing(self.missing)),
            (None, true) => Ok(self.value),
        }
    }
}

/// Why a rendered text must not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unclean {
    /// Variables without a value.
    #[error("no value for {}", quoted(.0))]
    Missing(Vec<String>),
    /// The text cannot be read or evaluated.
    #[error("{0}")]
    Error(String),
}

fn quoted(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`#{{{name}}}`")).collect();
    names.join(", ")
}

/// Replaces every `#{Name}` in `text` by its value in `variables`.
pub fn render(text: &str, variables: &Variables) -> Rendered {
    let mut renderer = Renderer { variables, stack: Vec::new(), missing: Vec::new(), lookups: 0, written: 0 };
    let mut value = String::with_capacity(text.len());
    match renderer.append(text, &mut value) {
        Ok(()) => Rendered { value, missing: renderer.missing, error: None },
        Err(error) => Rendered { value: text.to_owned(), missing: Vec::new(), error: Some(error) },
    }
}

/// The names that `text` itself refers to; none when it cannot be read.
pub fn names(text: &str) -> Vec<String> {
    let found: Result<Vec<_>, _> = tokens(text).collect();
    let name = |token| match token {
        Token::Name(name) => Some(str::to_owned(name)),
        Token::Text(_) => None,
    };
    found.unwrap_or_default().into_iter().filter_map(name).collect()
}

struct Renderer<'a> {
    variables: &'a Variables,
    stack: Vec<&'a str>,
    missing: Vec<String>,
    lookups: usize,
    written: usize,
}

impl Renderer<'_> {
    fn append(&mut self, text: &str, out: &mut String) -> Result<(), String> {
        if !text.contains("#{") {
            return self.push(text, out);
        }
        for token in tokens(text) {
            match token.map_err(Unread::into_words)? {
                Token::Text(text) => self.push(text, out)?,
                Token::Name(name) => self.lookup(name, out)?,
            }
        }
        Ok(())
    }

    fn push(&mut self, text: &str, out: &mut String) -> Result<(), String> {
        self.written += text.len();
        if self.written > MAX_OUTPUT {
            return Err(format!("the text grows over {MAX_OUTPUT} bytes: a value multiplies itself"));
        }
        out.push_str(text);
        Ok(())
    }

    fn lookup(&mut self, name: &str, out: &mut String) -> Result<(), String> {
        self.lookups += 1;
        if self.lookups > MAX_LOOKUPS {
            return Err(format!("the text takes over {MAX_LOOKUPS} look-ups: a value multiplies itself"));
        }
        let Some(variable) = self.variables.get(name) else {
            if !self.missing.iter().any(|missing| missing.eq_ignore_ascii_case(name)) {
                self.missing.push(name.to_owned());
            }
            return self.push(&format!("#{{{name}}}"), out);
        };
        if self.stack.iter().any(|open| open.eq_ignore_ascii_case(name)) {
            let mut chain = self.stack.clone();
            chain.push(&variable.name);
            return Err(format!(
                "the variable `{}` refers to itself ({}): ensure that values do not form a loop",
                variable.name,
                chain.join(" -> ")
            ));
        }
        if self.stack.len() == MAX_DEPTH {
            return Err(format!("the variable `{name}` lies more than {MAX_DEPTH} references deep"));
        }
        self.stack.push(&variable.name);
        match tokens(&variable.value).find_map(Result::err) {
            None => self.append(&variable.value, out)?,
            // A value that nobody can read as a template is used as it is written, as Octopus does.
            Some(Unread::Unclosed(_)) => self.push(&variable.value, out)?,
            // Octopus would read this one: as it is written it is not what its owner meant. The value is not quoted,
            // for it may be a secret.
            Some(Unread::Unknown(_)) => {
                return Err(format!(
                    "the value of `{}` holds a filter, condition or loop: this version knows `#{{Name}}` only (write \
                     `##{{` for a literal `#{{`)",
                    variable.name
                ));
            }
        }
        self.stack.pop();
        Ok(())
    }
}

enum Token<'t> {
    Text(&'t str),
    Name(&'t str),
}

/// Why a text is not a template of this version.
enum Unread {
    /// `#{` without `}`: no template in any version.
    Unclosed(String),
    /// Something of the language that this version does not know.
    Unknown(String),
}

impl Unread {
    fn into_words(self) -> String {
        let (Self::Unclosed(words) | Self::Unknown(words)) = self;
        words
    }
}

/// Words that open a condition, a loop or a calculation when something follows them.
const KEYWORDS: [&str; 5] = ["if", "unless", "elseif", "each", "calc"];

/// Splits a template; the iterator ends after the first error.
fn tokens(text: &str) -> impl Iterator<Item = Result<Token<'_>, Unread>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (token, after) = match next_token(rest) {
            Ok((token, after)) => (Ok(token), after),
            Err(error) => (Err(error), ""),
        };
        rest = after;
        Some(token)
    })
}

fn next_token(rest: &str) -> Result<(Token<'_>, &str), Unread> {
    if let Some(after) = rest.strip_prefix("###{") {
        // One `#` of its own, then a substitution: hand the `#` out and leave `#{…` for the next turn.
        return Ok((Token::Text("#"), &rest[rest.len() - after.len() - 2..]));
    }
    if let Some(after) = rest.strip_prefix("##{") {
        return Ok((Token::Text("#{"), after));
    }
    if let Some(after) = rest.strip_prefix("#{") {
        let Some(end) = after.find('}') else {
            return Err(Unread::Unclosed(format!("`#{{` without `}}` in `{}`", shorten(rest))));
        };
        let name = after[..end].trim();
        let keyword = name.split_once(char::is_whitespace).map(|(word, _)| word.to_lowercase());
        let is_block = name.starts_with('/') || keyword.is_some_and(|word| KEYWORDS.contains(&word.as_str()));
        if name.is_empty() || is_block || !name.chars().all(is_name) {
            return Err(Unread::Unknown(format!(
                "`#{{{}}}` is not a look-up: this version knows `#{{Name}}`, not filters, conditions or loops",
                shorten(&after[..end])
            )));
        }
        return Ok((Token::Name(name), &after[end + 1..]));
    }
    // A `#` that opens nothing is text; stop at the next one so that each is looked at once.
    let first = rest.chars().next().map_or(0, char::len_utf8);
    let end = rest[first..].find('#').map_or(rest.len(), |at| at + first);
    Ok((Token::Text(&rest[..end]), &rest[end..]))
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c.is_whitespace() || "_-.:/~()@[]".contains(c)
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Variable;

    fn set(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| Variable::plain(*name, *value)).collect()
    }

    fn value(text: &str, pairs: &[(&str, &str)]) -> String {
        let rendered = render(text, &set(pairs));
        assert_eq!((&rendered.missing, &rendered.error), (&Vec::new(), &None), "{text}");
        rendered.value
    }

    #[test]
    fn values_nest_and_names_ignore_case() {
        let pairs = [
            ("Octopus.Environment.Name", "CI"),
            ("F", "#{octopus.environment.name}-#{Lambda.Function}"),
            ("Lambda.Function", "Elb"),
        ];
        assert_eq!(value("#{ f }!", &pairs), "CI-Elb!");
    }

    #[test]
    fn escapes_are_octopus_ones() {
        let pairs = [("x", "1")];
        for (text, expected) in [
            ("##{x}", "#{x}"),
            ("###{x}", "#1"),
            ("## no token", "## no token"),
            ("a#b #{x} #", "a#b 1 #"),
            ("##", "##"),
            ("###", "###"),
            ("ü#ö#{x}", "ü#ö1"),
        ] {
            assert_eq!(value(text, &pairs), expected, "{text}");
        }
    }

    #[test]
    fn missing_names_are_reported_once_and_stay() {
        let rendered = render("#{A}/#{b}/#{a}", &set(&[("b", "#{C}")]));
        assert_eq!(rendered.value, "#{A}/#{C}/#{a}");
        assert_eq!(rendered.missing, ["A", "C"]);
        assert_eq!(rendered.clean().unwrap_err().to_string(), "no value for `#{A}`, `#{C}`");
    }

    #[test]
    fn loops_and_growth_are_errors_not_hangs() {
        let loops = render("#{a}", &set(&[("a", "#{b}"), ("b", "#{A}")]));
        insta::assert_snapshot!(loops.clean().unwrap_err(), @"the variable `a` refers to itself (a -> b -> a): ensure that values do not form a loop");
        for leaf in ["", "x"] {
            let mut pairs = vec![("v0".to_owned(), leaf.to_owned())];
            pairs.extend((1..60).map(|i| (format!("v{i}"), format!("#{{v{}}}#{{v{}}}", i - 1, i - 1))));
            let bomb: Variables =
                pairs.into_iter().map(|(name, value)| Variable::plain(name, value)).collect();
            let error = render("#{v59}", &bomb).clean().unwrap_err().to_string();
            assert!(error.contains("a value multiplies itself"), "{error}");
        }
    }

    #[test]
    fn what_this_version_cannot_read_is_said() {
        insta::assert_snapshot!(render("#{x | ToUpper}", &set(&[("x", "1")])).clean().unwrap_err(), @"`#{x | ToUpper}` is not a look-up: this version knows `#{Name}`, not filters, conditions or loops");
        insta::assert_snapshot!(render("a #{x", &set(&[("x", "1")])).clean().unwrap_err(), @"`#{` without `}` in `#{x`");
    }

    #[test]
    fn a_value_that_this_version_cannot_read_is_never_passed_on() {
        for value in ["#{R | ToLower}", "x#{if R}y#{/if}", "#{each a in R}b#{/each}"] {
            let error =
                render("#{Region}", &set(&[("Region", value), ("R", "EU")])).clean().unwrap_err().to_string();
            assert!(error.starts_with("the value of `Region` holds a filter, condition or loop"), "{error}");
            assert!(!error.contains("ToLower"), "a value may be a secret: {error}");
        }
        assert_eq!(value("#{Password}", &[("Password", "a#{b")]), "a#{b");
        assert_eq!(value("#{ifX}#{Each}", &[("ifX", "1"), ("each", "2")]), "12");
    }

    proptest! {
        #[test]
        fn rendering_never_panics(text in "[#{}a-c| ü]{0,40}", a in "[#{}a-c ]{0,12}", b in "[#{}a-c ]{0,12}") {
            let _ = render(&text, &set(&[("a", &a), ("b", &b)]));
        }

        #[test]
        fn text_without_a_token_is_kept(text in "[^{]{0,60}") {
            prop_assert_eq!(render(&text, &Variables::default()).value, text);
        }
    }
}
