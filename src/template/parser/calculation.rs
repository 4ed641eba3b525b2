//! `#{calc …}`.

use std::sync::Arc;

use super::{
    super::syntax::{Factor, Product, Sum},
    Miss, Parsed, Parser,
};

impl Parser<'_> {
    /// `#{calc …}`
    pub(super) fn calculation(&mut self) -> Parsed<Sum> {
        self.open()?;
        self.spaces();
        self.keyword("calc")?;
        self.some_spaces()?;
        let sum = self.sum()?;
        self.eat("}")?;
        Ok(sum)
    }

    fn sum(&mut self) -> Parsed<Sum> {
        Ok(Sum(self.chain(['+', '-'], '+', Self::product)?))
    }

    fn product(&mut self) -> Parsed<Product> {
        Ok(Product(self.chain(['*', '/'], '*', Self::factor)?))
    }

    /// Operands with operators between, and the blanks around.
    fn chain<T>(
        &mut self,
        operators: [char; 2],
        first: char,
        operand: fn(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<(char, T)>> {
        let mut chain = vec![(first, operand(self)?)];
        while let Some(operator) = self.peek().filter(|c| operators.contains(c)) {
            let more = self.attempt(|parser| {
                parser.at += operator.len_utf8();
                operand(parser)
            })?;
            match more {
                Some(operand) => chain.push((operator, operand)),
                None => break,
            }
        }
        Ok(chain)
    }

    fn factor(&mut self) -> Parsed<Factor> {
        self.spaces();
        let factor = if let Some(sum) = self.attempt(Self::in_brackets)? {
            Factor::Sum(sum)
        } else if let Some(number) = self.attempt(Self::number)? {
            Factor::Number(number)
        } else if let Some(symbol) = self.attempt(Self::in_braces)? {
            Factor::Symbol(symbol)
        } else {
            Factor::Symbol(Arc::new(self.symbol()?))
        };
        self.spaces();
        Ok(factor)
    }

    fn in_brackets(&mut self) -> Parsed<Sum> {
        self.eat("(")?;
        let sum = self.nested(Self::sum)?;
        self.eat(")")?;
        Ok(sum)
    }

    fn in_braces(&mut self) -> Parsed<Arc<super::super::symbol::Symbol>> {
        self.eat("{")?;
        self.spaces();
        let symbol = self.symbol()?;
        self.spaces();
        self.eat("}")?;
        Ok(Arc::new(symbol))
    }

    fn number(&mut self) -> Parsed<f64> {
        let rest = self.rest();
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let whole = digits(rest);
        let fraction = rest[whole..].strip_prefix('.').map_or(0, digits);
        let length = if fraction > 0 { whole + 1 + fraction } else { whole };
        let number = rest[..length].parse().map_err(|_| Miss::Here)?;
        self.at += length;
        Ok(number)
    }
}
