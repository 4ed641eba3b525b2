//! The names that a template refers to.

use super::{
    parser::parse,
    symbol::{Step, Symbol, fold},
    syntax::{Condition, Expression, Factor, Operand, Sum, Token},
};

/// Every variable that `text` refers to by a plain look-up: also in conditions, loops, options and calculations, but
/// without the variables of its own loops. None when it cannot be read.
pub fn names(text: &str) -> Vec<String> {
    let mut names = Names { found: Vec::new(), loops: vec![fold("Octopus.Template.Each")] };
    if text.contains("#{")
        && let Ok(tokens) = parse(text)
    {
        names.tokens(&tokens);
    }
    names.found
}

struct Names {
    found: Vec<String>,
    loops: Vec<Box<str>>,
}

impl Names {
    fn tokens(&mut self, tokens: &[Token]) {
        for token in tokens {
            match token {
                Token::Text(_) => {}
                Token::Substitution(expression) => self.expression(expression),
                Token::Conditional(conditional) => {
                    for (condition, body) in &conditional.branches {
                        self.condition(condition);
                        self.tokens(body);
                    }
                    self.tokens(&conditional.otherwise);
                }
                Token::Calculation(sum) => self.sum(sum),
                Token::Repetition(repetition) => {
                    self.symbol(&repetition.collection);
                    self.loops.push(fold(&repetition.variable));
                    self.tokens(&repetition.body);
                    self.loops.pop();
                }
            }
        }
    }

    fn condition(&mut self, condition: &Condition) {
        self.expression(&condition.left);
        if let Some(Operand::Expression(right)) = condition.comparison.as_ref().map(|right| &right.right) {
            self.expression(right);
        }
    }

    fn expression(&mut self, expression: &Expression) {
        if let Some(symbol) = &expression.symbol {
            self.symbol(symbol);
        }
        for filter in &expression.filters {
            self.tokens(&filter.options);
        }
    }

    fn sum(&mut self, sum: &Sum) {
        for (_, factor) in sum.0.iter().flat_map(|(_, product)| &product.0) {
            match factor {
                Factor::Sum(sum) => self.sum(sum),
                Factor::Number(_) => {}
                Factor::Symbol(symbol) => self.symbol(symbol),
            }
        }
    }

    fn symbol(&mut self, symbol: &Symbol) {
        let mut is_plain = true;
        for step in symbol.steps() {
            if let Step::LookUp { symbol, .. } = step {
                // Which variable this is depends on values; what it depends on does not.
                is_plain = false;
                self.symbol(&symbol);
            }
        }
        let name = symbol.to_string();
        let folded = fold(&name);
        let is_own = |name: &str| {
            folded.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        if is_plain && !self.loops.iter().any(|name| is_own(name)) {
            self.found.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_wherever_they_stand() {
        let text = "#{a.b} #{c | Replace #{d} \"x\"} #{e[#{f}].g} #{if h == i}#{j}#{elseif k}#{l}#{else}#{m}#{/if} \
                    #{unless \"x\" == n}#{/unless} #{each o in p.q}#{o} #{O.x} #{r}#{Octopus.Template.Each.Index}\
                    #{/each} #{calc {s}*(t+2)} ##{u} #{v[0]} #{ | NowDate #{w}}";
        let expected =
            ["a.b", "c", "d", "f", "h", "i", "j", "k", "l", "m", "n", "p.q", "r", "s", "t", "v[0]", "w"];
        // `(t+2)`: a bracket may be part of a name, but only at its end.
        assert_eq!(names(text), expected);
        assert!(names("#{a} #{b").is_empty());
    }
}
