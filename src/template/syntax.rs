//! A template as it was read, and the canonical form in which a part that cannot be evaluated is written back.

use std::{fmt, sync::Arc};

use super::symbol::Symbol;

/// Parts in a row.
pub(super) type Body = Arc<[Token]>;

/// One part of a template.
#[derive(Debug, Clone)]
pub(super) enum Token {
    /// Text, its escapes undone.
    Text(Arc<str>),
    /// `#{…}`
    Substitution(Arc<Expression>),
    /// `#{if …}` and `#{unless …}`
    Conditional(Arc<Conditional>),
    /// `#{calc …}`
    Calculation(Arc<Sum>),
    /// `#{each …}`
    Repetition(Arc<Repetition>),
}

/// A look-up, or a chain of filters with or without one.
#[derive(Debug)]
pub(super) struct Expression {
    pub(super) symbol: Option<Arc<Symbol>>,
    pub(super) filters: Vec<Filter>,
}

/// `| Name option option`
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) name: Box<str>,
    pub(super) options: Vec<Token>,
}

/// A condition with its bodies.
#[derive(Debug)]
pub(super) struct Conditional {
    /// Whether it says `unless`.
    pub(super) is_negated: bool,
    /// The `if`, then every `elseif`.
    pub(super) branches: Vec<(Condition, Body)>,
    pub(super) otherwise: Body,
}

/// What is asked. A literal on the left is read as one on the right: both comparisons are the same both ways.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) left: Expression,
    pub(super) comparison: Option<Comparison>,
}

/// `== right` or `!= right`
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) is_equal: bool,
    pub(super) right: Operand,
}

/// The right side of a comparison.
#[derive(Debug)]
pub(super) enum Operand {
    Expression(Expression),
    Literal(Box<str>),
}

/// A loop.
#[derive(Debug)]
pub(super) struct Repetition {
    pub(super) variable: Box<str>,
    pub(super) collection: Arc<Symbol>,
    pub(super) body: Body,
}

/// Products, the first of them with a meaningless `+`.
#[derive(Debug)]
pub(super) struct Sum(pub(super) Vec<(char, Product)>);

/// Factors, the first of them with a meaningless `*`.
#[derive(Debug)]
pub(super) struct Product(pub(super) Vec<(char, Factor)>);

/// An operand of a calculation.
#[derive(Debug)]
pub(super) enum Factor {
    Sum(Sum),
    Number(f64),
    Symbol(Arc<Symbol>),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&text.replace("#{", "##{")),
            Self::Substitution(expression) => write!(f, "#{{{expression}}}"),
            Self::Conditional(conditional) => conditional.fmt(f),
            Self::Calculation(sum) => write!(f, "#{{{sum}}}"),
            Self::Repetition(each) => {
                write!(f, "#{{each {} in {}}}", each.variable, each.collection)?;
                write_all(f, &each.body)?;
                f.write_str("#{/each}")
            }
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(symbol) = &self.symbol {
            symbol.fmt(f)?;
        }
        for filter in &self.filters {
            write!(f, " | {}", filter.name)?;
            for option in &filter.options {
                match option {
                    Token::Text(_) => write!(f, " \"{option}\"")?,
                    option => write!(f, " {option}")?,
                }
            }
        }
        Ok(())
    }
}

/// The language has one form for all: `unless` comes back as an `if` whose bodies changed places, `elseif` as an `if`
/// within `else`.
impl fmt::Display for Conditional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (condition, body)) in self.branches.iter().enumerate() {
            if place > 0 {
                f.write_str("#{else}")?;
            }
            write!(f, "#{{if {condition}}}")?;
            if self.is_negated {
                write_all(f, &self.otherwise)?;
                f.write_str("#{else}")?;
            }
            write_all(f, body)?;
        }
        if !self.is_negated && !self.otherwise.is_empty() {
            f.write_str("#{else}")?;
            write_all(f, &self.otherwise)?;
        }
        self.branches.iter().try_for_each(|_| f.write_str("#{/if}"))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.left.fmt(f)?;
        let Some(comparison) = &self.comparison else { return Ok(()) };
        f.write_str(if comparison.is_equal { " == " } else { " != " })?;
        match &comparison.right {
            Operand::Expression(right) => write!(f, "{right} "),
            Operand::Literal(right) => write!(f, "\"{right}\" "),
        }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (operator, product)) in self.0.iter().enumerate() {
            if place > 0 {
                write!(f, "{operator}")?;
            }
            for (place, (operator, factor)) in product.0.iter().enumerate() {
                if place > 0 {
                    write!(f, "{operator}")?;
                }
                match factor {
                    Factor::Sum(sum) => sum.fmt(f)?,
                    Factor::Number(number) => f.write_str(&super::number::text(*number))?,
                    Factor::Symbol(symbol) => symbol.fmt(f)?,
                }
            }
        }
        Ok(())
    }
}

fn write_all(f: &mut fmt::Formatter<'_>, body: &[Token]) -> fmt::Result {
    body.iter().try_for_each(|token| write!(f, "{token}"))
}
