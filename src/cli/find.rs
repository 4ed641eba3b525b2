//! Finding what a person means: by id, by name or by slug, with the nearest names where nothing is called so.

use std::collections::BTreeSet;

use serde_json::Value;

use super::CliError;
use crate::client::{Collection, ServerClient};

/// How many names a person is shown who mistyped one.
const NAMES: usize = 5;

/// The one of a collection that is called so.
pub(super) async fn find(
    client: &ServerClient,
    collection: Collection,
    named: &str,
) -> Result<Value, CliError> {
    let all = client.list(collection, None, &[], usize::MAX).await?.items;
    one_of(&all, collection.one(), named).cloned()
}

/// The one of a project's, given by its id, that is called so.
pub(super) async fn find_in(
    client: &ServerClient,
    collection: Collection,
    project: &str,
    named: &str,
) -> Result<Value, CliError> {
    let all = client.list(collection, Some(project), &[], usize::MAX).await?.items;
    one_of(&all, collection.one(), named).cloned()
}

/// The ids of those that are called so, in that order.
pub(super) async fn ids(
    client: &ServerClient,
    collection: Collection,
    named: &[String],
) -> Result<Vec<String>, CliError> {
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let all = client.list(collection, None, &[], usize::MAX).await?.items;
    let id = |named: &String| Ok(text(one_of(&all, collection.one(), named)?, "Id").to_owned());
    named.iter().map(id).collect()
}

/// The one of these that is called so.
fn one_of<'a>(all: &'a [Value], kind: &'static str, named: &str) -> Result<&'a Value, CliError> {
    let named = given(kind, named)?;
    let is_named = |item: &Value, field: &str| text(item, field).to_lowercase() == named.to_lowercase();
    // An id names one thing for ever; a slug only where no name is so.
    for field in ["Id", "Name", "Version", "Slug"] {
        let found: Vec<_> = all.iter().filter(|item| is_named(item, field)).collect();
        match found.as_slice() {
            [] => {}
            [one] => return Ok(one),
            several => {
                let ids = several.iter().map(|item| text(item, "Id").to_owned()).collect();
                return Err(CliError::Several { kind, named: named.to_owned(), ids });
            }
        }
    }
    Err(unknown(kind, named, all.iter().map(name_of)))
}

/// A name that says something. One that is empty, such as a script's variable that was never set, names nothing: what has
/// no slug, or is the only one, must not be taken for it.
pub(super) fn given<'n>(kind: &'static str, named: &'n str) -> Result<&'n str, CliError> {
    let named = named.trim();
    if named.is_empty() { Err(CliError::NoName { kind }) } else { Ok(named) }
}

/// What people call it.
pub(super) fn name_of(item: &Value) -> &str {
    let names = [text(item, "Name"), text(item, "Version")];
    names.into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| text(item, "Id"))
}

/// Nothing is called so, but these are.
pub(super) fn unknown<'n>(kind: &'static str, named: &str, known: impl Iterator<Item = &'n str>) -> CliError {
    let mut known: Vec<&str> = known.collect::<BTreeSet<_>>().into_iter().collect();
    let named_low = named.to_lowercase();
    known.sort_by_cached_key(|name| {
        let name = name.to_lowercase();
        // Half a name is nearer to the whole one than it is to another short one.
        let is_part = name.contains(&named_low) || named_low.contains(&name);
        (!is_part, distance(&name, &named_low))
    });
    let nearest = known.into_iter().take(NAMES).map(str::to_owned).collect();
    CliError::Unknown { kind, named: named.to_owned(), nearest }
}

/// How many characters must be changed, put in or taken out to make one text of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, character) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = place + 1;
        for (column, wanted) in other.iter().enumerate() {
            let changed = diagonal + usize::from(character != *wanted);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

/// A text field; empty where there is none.
pub(super) fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_id_goes_before_a_name_and_a_name_before_a_slug() {
        let all = vec![
            json!({ "Id": "X-1", "Name": "a b", "Slug": "a-b" }),
            json!({ "Id": "X-2", "Name": "a-b", "Slug": "a-b-1" }),
            json!({ "Id": "X-3", "Name": "X-1", "Slug": "x-1" }),
            json!({ "Id": "X-4", "Name": "same", "Slug": null }),
            json!({ "Id": "X-5", "Name": "Same", "Slug": null }),
        ];
        let id = |named: &str| one_of(&all, "thing", named).map(|item| text(item, "Id").to_owned());
        assert_eq!(id("x-1").unwrap(), "X-1");
        assert_eq!(id("A-B").unwrap(), "X-2");
        assert_eq!(id("a-b-1").unwrap(), "X-2");
        let several = id("same").unwrap_err();
        assert_eq!(several.to_string(), "`same` names more than one thing: X-4, X-5");
    }

    #[test]
    fn who_mistypes_a_name_sees_the_nearest_first() {
        let error = unknown("environment", "Stagin", ["CI", "Production", "Staging"].into_iter());
        let CliError::Unknown { nearest, .. } = &error else { panic!("{error}") };
        assert_eq!(nearest[0], "Staging");
        assert_eq!(error.to_string(), "the environment `Stagin` does not exist");
        let error = unknown("environment", "prod", ["CI", "QA", "Production"].into_iter());
        let CliError::Unknown { nearest, .. } = &error else { panic!("{error}") };
        assert_eq!(nearest[0], "Production");
    }
}
