//! The variable language through its public door: tables of cases, limits, and the command.

mod cases;
mod command;
mod limits;

use octarm::{
    model::Variable,
    template::{Rendered, Variables, render},
};

fn set(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| Variable::plain(*name, *value)).collect()
}

fn rendered(text: &str, variables: &Variables) -> Rendered {
    render(text, variables, &jiff::ZonedDateTime::now())
}
