//! Paths, filters and conditions.

use std::sync::Arc;

use super::{
    super::{
        symbol::{Step, Symbol},
        syntax::{Comparison, Condition, Expression, Filter, Operand, Token},
    },
    Miss, Parsed, Parser,
};
use crate::model::letters::is_letter_or_digit;

/// Words that end a name when blanks stand around them.
const ENDING_NAMES: [&str; 3] = ["in", "==", "!="];

impl<'t> Parser<'t> {
    /// `#{…}` with a look-up or filters in it.
    pub(super) fn substitution(&mut self) -> Parsed<Expression> {
        self.open()?;
        let expression = self.expression()?;
        self.eat("}")?;
        Ok(expression)
    }

    /// A path, filters or both, and the blanks around.
    pub(super) fn expression(&mut self) -> Parsed<Expression> {
        self.spaces();
        let symbol = self.attempt(Self::symbol)?.map(Arc::new);
        self.spaces();
        let mut filters = Vec::new();
        while let Some(filter) = self.attempt(Self::filter)? {
            filters.push(filter);
        }
        if symbol.is_none() && filters.is_empty() {
            return Err(Miss::Here);
        }
        self.spaces();
        Ok(Expression { symbol, filters })
    }

    fn filter(&mut self) -> Parsed<Filter> {
        self.eat("|")?;
        self.spaces();
        let name = self.bare_word()?.into();
        self.spaces();
        let mut options = Vec::new();
        while let Some(option) = self.attempt(Self::option)? {
            options.push(option);
        }
        Ok(Filter { name, options })
    }

    /// The blanks behind a text belong to it, those behind anything in braces do not: so no filter can follow those.
    fn option(&mut self) -> Parsed<Token> {
        if self.rest().starts_with("#{") {
            return self.token();
        }
        self.spaces();
        let text = match self.attempt(Self::bare_word)? {
            Some(word) => word,
            None => self.quoted()?,
        };
        self.spaces();
        Ok(Token::Text(text.into()))
    }

    /// `"…"` without `"` and `#` in it, or `\"…\"` with anything in it.
    fn quoted(&mut self) -> Parsed<&'t str> {
        let (length, end) = if self.attempt(|parser| parser.eat("\""))?.is_some() {
            let length = self.rest().find(['"', '#']).ok_or(Miss::Here)?;
            (length, "\"")
        } else {
            self.eat("\\\"")?;
            (self.rest().find("\\\"").ok_or(Miss::Here)?, "\\\"")
        };
        let text = &self.rest()[..length];
        self.at += length;
        self.eat(end)?;
        Ok(text)
    }

    /// A condition, and the blanks around.
    pub(super) fn condition(&mut self) -> Parsed<Condition> {
        self.spaces();
        let left = self.operand()?;
        let is_equal = match self.attempt(|parser| parser.eat("=="))? {
            Some(()) => Some(true),
            None => self.attempt(|parser| parser.eat("!="))?.map(|()| false),
        };
        let right = match is_equal {
            Some(_) => Some(self.operand()?),
            None => None,
        };
        let (left, right) = match (left, right) {
            (Operand::Expression(left), right) => (left, right),
            (left @ Operand::Literal(_), Some(Operand::Expression(right))) => (right, Some(left)),
            (Operand::Literal(_), _) => return Err(Miss::Here),
        };
        let comparison = is_equal.zip(right).map(|(is_equal, right)| Comparison { is_equal, right });
        Ok(Condition { left, comparison })
    }

    fn operand(&mut self) -> Parsed<Operand> {
        self.spaces();
        if let Some(expression) = self.attempt(Self::expression)? {
            return Ok(Operand::Expression(expression));
        }
        let text = self.quoted()?.into();
        self.spaces();
        Ok(Operand::Literal(text))
    }

    /// A path.
    pub(super) fn symbol(&mut self) -> Parsed<Symbol> {
        let mut symbol = Symbol::new();
        symbol.push(self.name()?);
        loop {
            let step = match self.peek() {
                Some('.') => self.attempt(|parser| {
                    parser.eat(".")?;
                    parser.name()
                })?,
                Some('[') => match self.attempt(Self::looked_up_index)? {
                    Some(step) => Some(step),
                    None => self.attempt(Self::index)?,
                },
                _ => None,
            };
            match step {
                Some(step) => symbol.push(step),
                None => return Ok(symbol),
            }
        }
    }

    fn name(&mut self) -> Parsed<Step<&'t str>> {
        let at = self.at;
        Ok(Step::Name { at, word: self.identifier()? })
    }

    /// `[#{Path}]`
    fn looked_up_index(&mut self) -> Parsed<Step<&'t str>> {
        self.eat("[")?;
        self.spaces();
        if !self.rest().starts_with("#{") {
            return Err(Miss::Here);
        }
        let at = self.at;
        let index = self.nested(Self::substitution)?;
        self.spaces();
        self.eat("]")?;
        match index {
            Expression { symbol: Some(symbol), filters } if filters.is_empty() => {
                Ok(Step::LookUp { at, symbol })
            }
            _ => Err(Miss::Here),
        }
    }

    /// `[…]` as it is written, brackets in it included.
    fn index(&mut self) -> Parsed<Step<&'t str>> {
        self.eat("[")?;
        let at = self.at;
        let mut open = 1_usize;
        let end = self.rest().bytes().position(|byte| {
            match byte {
                b'[' => open += 1,
                b']' => open -= 1,
                _ => {}
            }
            open == 0
        });
        let text = &self.rest()[..end.ok_or(Miss::Here)?];
        self.at += text.len() + 1;
        Ok(Step::Index { at: Some(at), word: text.trim() })
    }

    /// A name with blanks in it, but not around it.
    pub(super) fn identifier(&mut self) -> Parsed<&'t str> {
        let rest = self.rest();
        let end = rest
            .char_indices()
            .find(|(at, c)| if c.is_whitespace() { is_end(&rest[at + c.len_utf8()..]) } else { !is_name(*c) })
            .map_or(rest.len(), |(at, _)| at);
        self.at += end;
        if end == 0 { Err(Miss::Here) } else { Ok(rest[..end].trim()) }
    }

    fn bare_word(&mut self) -> Parsed<&'t str> {
        let rest = self.rest();
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        self.at += end;
        if end == 0 { Err(Miss::Here) } else { Ok(&rest[..end]) }
    }
}

fn is_name(c: char) -> bool {
    is_letter_or_digit(c) || "_-:/~()@".contains(c)
}

/// Whether a blank before this ends a name.
fn is_end(rest: &str) -> bool {
    rest.starts_with(['|', '}'])
        || ENDING_NAMES
            .iter()
            .any(|word| rest.strip_prefix(word).is_some_and(|rest| rest.starts_with(char::is_whitespace)))
}
