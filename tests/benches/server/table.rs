//! One table for each engine: what was reached beside what was to be reached.

use std::{
    io::{self, Write as _},
    time::Duration,
};

/// A line of the table.
struct Line {
    what: String,
    reached: String,
    goal: Option<(String, bool)>,
}

/// What was measured with one engine.
#[derive(Default)]
pub(crate) struct Table(Vec<Line>);

impl Table {
    /// A figure that has no goal.
    pub(crate) fn say(&mut self, what: &str, reached: String) {
        self.0.push(Line { what: what.to_owned(), reached, goal: None });
    }

    /// A figure that must be below `goal`.
    pub(crate) fn below(&mut self, what: &str, reached: f64, goal: f64, unit: &str) {
        let goal = (format!("< {goal} {unit}"), reached < goal);
        self.0.push(Line {
            what: what.to_owned(),
            reached: format!("{reached:.1} {unit}"),
            goal: Some(goal),
        });
    }

    /// A figure that must be at least `goal`.
    pub(crate) fn at_least(&mut self, what: &str, reached: f64, goal: f64, unit: &str) {
        let goal = (format!(">= {goal} {unit}"), reached >= goal);
        self.0.push(Line {
            what: what.to_owned(),
            reached: format!("{reached:.1} {unit}"),
            goal: Some(goal),
        });
    }

    /// Something that must hold.
    pub(crate) fn holds(&mut self, what: &str, holds: bool) {
        let reached = if holds { "yes" } else { "no" }.to_owned();
        self.0.push(Line { what: what.to_owned(), reached, goal: Some(("yes".to_owned(), holds)) });
    }

    /// Prints it, and answers how many goals were missed.
    pub(crate) fn print(&self, title: &str) -> io::Result<usize> {
        let mut out = io::stdout().lock();
        writeln!(out, "\n{title}")?;
        let mut missed = 0;
        for Line { what, reached, goal } in &self.0 {
            match goal {
                None => writeln!(out, "  {what:<52} {reached:>14}")?,
                Some((goal, met)) => {
                    missed += usize::from(!met);
                    let word = if *met { "" } else { "  MISSED" };
                    writeln!(out, "  {what:<52} {reached:>14}   {goal:<14}{word}")?;
                }
            }
        }
        Ok(missed)
    }
}

/// What a share of the times stays below; `sorted` is in order.
pub(crate) fn quantile(sorted: &[Duration], share: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place"
    )]
    let place = (sorted.len() as f64 * share) as usize;
    let time = sorted.get(place.min(sorted.len().saturating_sub(1)));
    // Nothing measured is nothing reached.
    time.map_or(f64::INFINITY, |time| time.as_secs_f64() * 1000.0)
}

/// Bytes as mebibytes.
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "to be read by people")]
    let bytes = bytes as f64;
    bytes / (1024.0 * 1024.0)
}
