//! Reads templates and paths. The language tries its forms in order and takes the first that fits, so that what looks
//! like an unclosed condition may yet be a look-up of a variable whose name begins with `if`.

mod calculation;
mod expression;

use std::{collections::HashMap, sync::Arc};

use super::{
    symbol::Symbol,
    syntax::{Body, Conditional, Repetition, Token},
};

/// How deep brackets, options, conditions and loops may stand in each other.
pub(super) const MAX_NESTING: usize = 64;

/// Why a text is no template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ParseError {
    /// Nothing of the language fits at this byte.
    Unreadable(usize),
    /// Too much stands in each other. Unlike the first this says nothing about what the text means.
    TooDeep,
}

/// Reads a whole template.
pub(super) fn parse(text: &str) -> Result<Body, ParseError> {
    let mut parser = Parser::new(text);
    let tokens = parser.tokens(|_| false).map_err(|_| ParseError::TooDeep)?;
    if parser.at < text.len() { Err(ParseError::Unreadable(parser.at)) } else { Ok(tokens) }
}

/// Reads the longest path that a variable's name begins with.
pub(super) fn parse_path(name: &str) -> Option<Symbol> {
    Parser::new(name).symbol().ok()
}

/// A form does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Miss {
    /// The next one may.
    Here,
    /// And no other will be tried.
    TooDeep,
}

type Parsed<T> = Result<T, Miss>;

struct Parser<'t> {
    text: &'t str,
    at: usize,
    nesting: usize,
    /// What was read at a place inside an unfinished block, and where it ended: when the block does not fit after
    /// all, its inside is not read again. Without it each block would double the work.
    known: HashMap<usize, Option<(Token, usize)>>,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, at: 0, nesting: 0, known: HashMap::new() }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, literal: &str) -> Parsed<()> {
        if !self.rest().starts_with(literal) {
            return Err(Miss::Here);
        }
        self.at += literal.len();
        Ok(())
    }

    /// A word in any letter case.
    fn keyword(&mut self, word: &str) -> Parsed<()> {
        let found = self.rest().get(..word.len()).ok_or(Miss::Here)?;
        if !found.eq_ignore_ascii_case(word) {
            return Err(Miss::Here);
        }
        self.at += word.len();
        Ok(())
    }

    fn spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn some_spaces(&mut self) -> Parsed<()> {
        let before = self.at;
        self.spaces();
        if self.at == before { Err(Miss::Here) } else { Ok(()) }
    }

    /// `#{`, but not `#{/`.
    fn open(&mut self) -> Parsed<()> {
        self.eat("#{")?;
        if self.rest().starts_with('/') { Err(Miss::Here) } else { Ok(()) }
    }

    /// Tries a form; when it does not fit, nothing has happened.
    fn attempt<T>(&mut self, form: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<Option<T>> {
        let before = self.at;
        match form(self) {
            Ok(read) => Ok(Some(read)),
            Err(Miss::Here) => {
                self.at = before;
                Ok(None)
            }
            Err(Miss::TooDeep) => Err(Miss::TooDeep),
        }
    }

    /// Reads a form that may hold itself.
    fn nested<T>(&mut self, form: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting == MAX_NESTING {
            return Err(Miss::TooDeep);
        }
        self.nesting += 1;
        let read = form(self);
        self.nesting -= 1;
        read
    }

    /// As many parts as there are, up to one that `is_end`.
    fn tokens(&mut self, is_end: fn(&str) -> bool) -> Parsed<Body> {
        let mut tokens = Vec::new();
        while !is_end(self.rest()) {
            match self.attempt(Self::token)? {
                Some(token) => tokens.push(token),
                None => break,
            }
        }
        Ok(tokens.into())
    }

    fn token(&mut self) -> Parsed<Token> {
        if !self.rest().starts_with("#{") {
            return self.literal();
        }
        if let Some(known) = self.known.get(&self.at) {
            let (token, end) = known.as_ref().ok_or(Miss::Here)?;
            self.at = *end;
            return Ok(token.clone());
        }
        let start = self.at;
        let read = self.nested(|parser| parser.attempt(Self::form))?;
        if self.nesting > 0 {
            self.known.insert(start, read.clone().map(|token| (token, self.at)));
        }
        read.ok_or(Miss::Here)
    }

    fn form(&mut self) -> Parsed<Token> {
        if let Some(conditional) = self.attempt(Self::conditional)? {
            return Ok(Token::Conditional(Arc::new(conditional)));
        }
        if let Some(sum) = self.attempt(Self::calculation)? {
            return Ok(Token::Calculation(Arc::new(sum)));
        }
        if let Some(repetition) = self.attempt(Self::repetition)? {
            return Ok(Token::Repetition(Arc::new(repetition)));
        }
        Ok(Token::Substitution(Arc::new(self.substitution()?)))
    }

    /// Text up to the next `#{`, its escapes undone.
    fn literal(&mut self) -> Parsed<Token> {
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.find('#').unwrap_or(rest.len());
            text.push_str(&rest[..plain]);
            let rest = &rest[plain..];
            self.at += plain;
            let (written, length) = if rest.starts_with("###{") {
                // A `#` of its own; the next two characters open something.
                ("#", 2)
            } else if rest.starts_with("##{") {
                ("#{", 3)
            } else if rest == "#" {
                ("#", 1)
            } else {
                match rest.chars().nth(1) {
                    None | Some('{') => break,
                    Some(next) => (&rest[..=next.len_utf8()], 1 + next.len_utf8()),
                }
            };
            text.push_str(written);
            self.at += length;
        }
        if text.is_empty() { Err(Miss::Here) } else { Ok(Token::Text(text.into())) }
    }

    fn conditional(&mut self) -> Parsed<Conditional> {
        self.open()?;
        self.spaces();
        let is_negated = self.attempt(|parser| parser.keyword("if"))?.is_none();
        if is_negated {
            self.keyword("unless")?;
        }
        self.some_spaces()?;
        let mut branches = vec![self.branch()?];
        while !is_negated && is_else_if(self.rest()) {
            self.eat("#{elseif")?;
            branches.push(self.branch()?);
        }
        let otherwise = match self.attempt(|parser| parser.eat("#{else}"))? {
            Some(()) => self.tokens(|_| false)?,
            None => Body::default(),
        };
        self.eat(if is_negated { "#{/unless}" } else { "#{/if}" })?;
        Ok(Conditional { is_negated, branches, otherwise })
    }

    /// The condition, the closing brace and what stands behind it.
    fn branch(&mut self) -> Parsed<(super::syntax::Condition, Body)> {
        let condition = self.condition()?;
        self.eat("}")?;
        Ok((condition, self.tokens(|rest| rest.starts_with("#{else}") || is_else_if(rest))?))
    }

    fn repetition(&mut self) -> Parsed<Repetition> {
        self.open()?;
        self.spaces();
        self.keyword("each")?;
        self.some_spaces()?;
        let variable = self.identifier()?.into();
        self.spaces();
        self.keyword("in")?;
        self.spaces();
        let collection = Arc::new(self.symbol()?);
        self.spaces();
        self.eat("}")?;
        let body = self.tokens(|_| false)?;
        self.eat("#{/each}")?;
        Ok(Repetition { variable, collection, body })
    }
}

fn is_else_if(rest: &str) -> bool {
    rest.strip_prefix("#{elseif").is_some_and(|rest| rest.starts_with(char::is_whitespace))
}
