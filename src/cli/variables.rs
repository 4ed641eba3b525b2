//! Variables given on a command line or in a file.

use std::{fmt, io::Read, path::Path};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

use super::CliError;
use crate::{conventions::Conventions, model::Variable, template::Variables};

/// A file of variables that is longer than this is something else.
const FILE_LIMIT: u64 = 16 * 1024 * 1024;

/// `NAME=VALUE` of a command line.
pub(super) fn parse_pair(text: &str) -> Result<(String, String), String> {
    // The text itself is not repeated: it may hold a secret that does not belong there.
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let name = name.trim();
    if name.is_empty() {
        return Err("expected NAME=VALUE, found no name".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// A command line is no place for secrets: every user of the machine can read it.
pub(super) fn refuse_sensitive(
    pairs: &[(String, String)],
    conventions: &Conventions,
) -> Result<(), CliError> {
    match pairs.iter().find(|(name, _)| conventions.is_sensitive(name)) {
        Some((name, _)) => Err(CliError::SensitiveArgument { name: name.clone() }),
        None => Ok(()),
    }
}

/// A name that is given twice: one of the two values would be lost.
pub(super) fn refuse_twice<'n>(names: impl Iterator<Item = &'n str>) -> Result<(), CliError> {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if seen.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            return Err(CliError::GivenTwice { name: name.to_owned() });
        }
        seen.push(name);
    }
    Ok(())
}

/// Nor for what the project calls a secret.
pub(super) fn refuse_sensitive_of<'n>(
    mut names: impl Iterator<Item = &'n str>,
    document: &Value,
) -> Result<(), CliError> {
    let rows = || document["Variables"].as_array().into_iter().flatten();
    let is_secret = |name: &str| {
        rows().any(|row| {
            row["IsSensitive"] == true
                && row["Name"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(name))
        })
    };
    match names.find(|name| is_secret(name)) {
        Some(name) => Err(CliError::SensitiveArgument { name: name.to_owned() }),
        None => Ok(()),
    }
}

/// A secret that is given for a variable which is none: logs would show it. What nothing asks for is left to the server.
pub(super) fn refuse_shown<'n>(
    mut names: impl Iterator<Item = &'n str>,
    documents: &[Value],
) -> Result<(), CliError> {
    let is_shown = |name: &str| {
        let rows = documents.iter().filter_map(|document| document["Variables"].as_array()).flatten();
        let mut asked = rows.filter(|row| {
            row["Prompt"].is_object()
                && row["Name"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(name))
        });
        asked.next().is_some_and(|first| {
            first["IsSensitive"] != true && asked.all(|other| other["IsSensitive"] != true)
        })
    };
    match names.find(|name| is_shown(name)) {
        Some(name) => Err(CliError::ShownVariable { name: name.to_owned() }),
        None => Ok(()),
    }
}

/// Reads a JSON file of variables, in either of its two forms.
pub(super) fn read_file(file: &Path, conventions: &Conventions) -> Result<Vec<Variable>, CliError> {
    let (source, origin): (Box<dyn Read>, _) = if file == Path::new("-") {
        (Box::new(std::io::stdin()), "standard input".to_owned())
    } else {
        let opened = fs_err::File::open(file)
            .map_err(|source| CliError::Reading { act: "reading the variables file".to_owned(), source })?;
        (Box::new(opened), format!("`{}`", file.display()))
    };
    let mut bytes = Vec::new();
    source
        .take(FILE_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| CliError::Reading { act: format!("reading the variables of {origin}"), source })?;
    let wrong = |reason: String| CliError::Variables { origin: origin.clone(), reason };
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(wrong(format!("it is over {FILE_LIMIT} bytes")));
    }
    // Windows' editors begin UTF-8 so.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let text = std::str::from_utf8(bytes)
        .map_err(|error| wrong(format!("it is not UTF-8 at byte {}", error.valid_up_to())))?;
    let not_json = |error: serde_json::Error| {
        // serde_json's own words may repeat the text, which may be secret: only the place is told.
        wrong(format!("it is not JSON at line {}, column {}", error.line(), error.column()))
    };
    let variables = if text.trim_start().starts_with('{') {
        let pairs: Pairs = serde_json::from_str(text).map_err(not_json)?;
        pairs.0.into_iter().map(|(name, value)| of_parts(name, value, false)).collect()
    } else {
        match serde_json::from_str(text).map_err(not_json)? {
            Value::Array(items) => items.into_iter().map(of_item).collect(),
            _ => Err("it is neither an object nor an array".to_owned()),
        }
    };
    let mut variables: Vec<Variable> = variables.map_err(wrong)?;
    let mut known = Variables::default();
    for variable in &mut variables {
        // Which of two was meant nobody can say.
        if known.get(&variable.name).is_some() {
            return Err(wrong(format!(
                "`{}` is there twice; names compare without regard to case",
                variable.name
            )));
        }
        known.set(Variable::plain(variable.name.clone(), ""));
        variable.sensitive |= conventions.is_sensitive(&variable.name);
    }
    Ok(variables)
}

/// An object in the order in which it was written: loops run over variables in the order in which they were set.
pub(super) struct Pairs(pub(super) Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

pub(super) fn of_parts(name: String, value: Value, sensitive: bool) -> Result<Variable, String> {
    let value = match value {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null => String::new(),
        Value::Array(_) | Value::Object(_) => return Err(format!("the value of `{name}` is not a text")),
    };
    Ok(Variable { name, value, sensitive })
}

/// `{"k": name, "v": value, "s": sensitive}`, the form in which Octopus hands variables over.
fn of_item(item: Value) -> Result<Variable, String> {
    let Value::Object(mut item) = item else { return Err("an item is not an object".to_owned()) };
    let Some(Value::String(name)) = item.remove("k") else {
        return Err("an item has no text `k`".to_owned());
    };
    let sensitive = item.remove("s").is_some_and(|flag| flag == true || flag == "True" || flag == "true");
    of_parts(name, item.remove("v").unwrap_or_default(), sensitive)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn both_forms_are_read() {
        let conventions = Conventions::load(None).unwrap();
        let read = |text| read_file(file(text).path(), &conventions).unwrap();
        assert_eq!(
            read(r#"{"A": "1", "AWS.Deployment.Secret": "x", "N": 2}"#),
            [
                Variable::plain("A", "1"),
                Variable::sensitive("AWS.Deployment.Secret", "x"),
                Variable::plain("N", "2")
            ]
        );
        assert_eq!(
            read(r#"[{"k": "A", "v": "1", "s": true}, {"k": "B", "v": null}]"#),
            [Variable::sensitive("A", "1"), Variable::plain("B", "")]
        );
    }

    #[test]
    fn a_broken_file_is_not_quoted() {
        let conventions = Conventions::load(None).unwrap();
        let error = read_file(file(r#"{"Secret": hunter2}"#).path(), &conventions).unwrap_err();
        assert!(
            error.to_string().contains("line 1, column 12") && !error.to_string().contains("hunter2"),
            "{error}"
        );
    }

    #[test]
    fn files_that_cannot_be_meant_are_refused_and_a_byte_order_mark_is_not() {
        let conventions = Conventions::load(None).unwrap();
        let read = |bytes: &[u8]| {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs_err::write(file.path(), bytes).unwrap();
            read_file(file.path(), &conventions).map_err(|error| error.to_string())
        };
        assert_eq!(read(b"\xef\xbb\xbf{\"A\": \"1\"}").unwrap(), [Variable::plain("A", "1")]);
        for (bytes, reason) in [
            (&b"{\"A\": 1, \"a\": 2}"[..], "`a` is there twice; names compare without regard to case"),
            (br#"[{"k": "A"}, {"k": "A"}]"#, "`A` is there twice; names compare without regard to case"),
            (b"{\"A\": \"\xff\"}", "it is not UTF-8 at byte 7"),
            (&vec![b' '; 16 * 1024 * 1024 + 1], "it is over 16777216 bytes"),
        ] {
            let error = read(bytes).unwrap_err();
            assert!(error.ends_with(&format!("cannot be read: {reason}")), "{error}");
        }
    }

    #[test]
    fn secrets_are_refused_on_the_command_line() {
        let conventions = Conventions::load(None).unwrap();
        let pair = parse_pair("aws.deployment.secret=x=y").unwrap();
        assert_eq!(pair, ("aws.deployment.secret".to_owned(), "x=y".to_owned()));
        let error = refuse_sensitive(&[pair], &conventions).unwrap_err();
        assert!(!error.to_string().contains("x=y"), "{error}");
    }
}
