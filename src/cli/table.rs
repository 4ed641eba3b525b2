//! Lists and single things as text: columns that are aligned, and names only where a person looks.

use serde_json::Value;

use super::Output;
use crate::client::Listed;

/// Shows a list: for people these rows, for programs the documents.
pub(super) fn show(rows: &[Value], columns: &[&str], documents: &Value, output: Output) {
    let text = lines(rows, columns, output.has_terminal());
    if text.is_empty() && !output.is_json() {
        if output.has_terminal() {
            output.aside("there are none");
        }
        return;
    }
    output.result(text, documents);
}

/// Shows a list that may be cut; on a terminal it says so.
pub(super) fn part(rows: &[Value], columns: &[&str], listed: Listed, output: Output) {
    let (shown, total) = (listed.items.len() as u64, listed.total);
    show(rows, columns, &listed.items.into(), output);
    if shown < total && output.is_interactive() {
        output.aside(&format!("these are {shown} of {total}: `--limit {total}` shows all"));
    }
}

/// Shows one thing: for people its name and these fields of it that hold something, for programs the document.
pub(super) fn card(fields: &[(&str, String)], document: &Value, output: Output) {
    let fields: Vec<_> = fields.iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0) + 1;
    let line = |(name, value): &&(&str, String)| {
        let value = value.replace('\n', &format!("\n{:width$}  ", ""));
        format!("{:width$}  {value}", format!("{name}:")).trim_end().to_owned()
    };
    output.result(fields.iter().map(line).collect::<Vec<_>>().join("\n"), document);
}

/// One line a row.
fn lines(rows: &[Value], columns: &[&str], has_heading: bool) -> String {
    // One that holds nothing must not move those behind it, for whoever counts columns.
    let is_last = |column: &str| columns.last().is_some_and(|last| *last == column);
    let part = |value: &Value, column: &str| match cell(value) {
        empty if empty.is_empty() && !is_last(column) => "-".to_owned(),
        // One row is one line, whatever a value holds.
        cell => cell.replace('\n', "\\n"),
    };
    let cells =
        |row: &Value| -> Vec<String> { columns.iter().map(|column| part(&row[*column], column)).collect() };
    let mut all: Vec<Vec<String>> = rows.iter().map(cells).collect();
    if has_heading && !all.is_empty() {
        all.insert(0, columns.iter().map(|column| (*column).to_owned()).collect());
    }
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        // By hand: a width in a format has at most 65,535 columns.
        let padded = |(cell, width): (&String, &usize)| {
            format!("{cell}{}", " ".repeat(width.saturating_sub(cell.chars().count())))
        };
        let cells: Vec<_> = row.iter().zip(&widths).map(padded).collect();
        cells.join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A value as a cell; a list's members with commas between them.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned_and_have_names_only_for_people() {
        let rows =
            [json!({ "Id": "A-1", "Name": "ünï", "Is": true }), json!({ "Id": "A-10", "Is": ["x", "y"] })];
        assert_eq!(lines(&rows, &["Id", "Name", "Is"], false), "A-1   ünï  yes\nA-10  -    x,y");
        assert_eq!(lines(&rows, &["Id", "Name"], true), "Id    Name\nA-1   ünï\nA-10  -");
        assert_eq!(lines(&[json!({ "Id": "two\nlines" })], &["Id"], false), "two\\nlines");
        let long = "x".repeat(70_000);
        let rows = [json!({ "Id": long, "Is": 1 }), json!({ "Id": "A-1", "Is": 2 })];
        assert_eq!(lines(&rows, &["Id", "Is"], false).lines().map(str::len).collect::<Vec<_>>(), [70_003; 2]);
        let empty = [json!({ "Id": "", "Name": "" })];
        assert_eq!(lines(&empty, &["Id", "Name"], false), "-");
        assert_eq!(lines(&[], &["Id"], true), "");
    }
}
