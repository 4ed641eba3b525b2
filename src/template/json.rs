//! JSON as people write it into variables: names without quotes, single quotes, comments, a comma too many. Values in
//! it are reached by path.

mod reader;

use std::fmt::Write as _;

use super::number;

/// A JSON value.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// A whole number, as it was written.
    Integer(String),
    Float(f64),
    Text(String),
    Array(Vec<Self>),
    /// In the order in which the names were first met.
    Object(Vec<(String, Self)>),
}

impl Json {
    /// Reads a text that holds one value and nothing else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        reader::read(text)
    }

    /// What a path's step finds in it. A property or an element that is not there is null, whose text is empty, as
    /// upstream has it: a template can then ask whether there is one. A scalar has every property: itself.
    pub(super) fn step(&self, step: &str) -> Option<&Self> {
        match self {
            Self::Object(properties) => {
                let found = properties.iter().find(|(name, _)| name == step);
                Some(found.map_or(&Self::Null, |(_, value)| value))
            }
            Self::Array(items) => {
                let index: i32 = step.trim().parse().ok()?;
                let found = usize::try_from(index).ok().and_then(|index| items.get(index));
                Some(found.unwrap_or(&Self::Null))
            }
            Self::Null => None,
            scalar => Some(scalar),
        }
    }

    /// How many values lie directly in it.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Array(items) => items.len(),
            Self::Object(properties) => properties.len(),
            _ => 0,
        }
    }

    /// The value as text: a scalar's own text, else compact JSON.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(true) => "True".to_owned(),
            Self::Bool(false) => "False".to_owned(),
            Self::Integer(number) => number.clone(),
            Self::Float(number) => number::text(*number),
            Self::Text(text) => text.clone(),
            Self::Array(_) | Self::Object(_) => {
                let mut out = String::new();
                self.write(&mut out);
                out
            }
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::Integer(number) => out.push_str(number),
            Self::Float(number) if number.is_finite() => {
                let text = number::text(*number);
                out.push_str(&text);
                // It stays a number with a fraction for whoever reads it next.
                if !text.contains(['.', 'E']) {
                    out.push_str(".0");
                }
            }
            Self::Float(number) => write_quoted(&number::text(*number), out),
            Self::Text(text) => write_quoted(text, out),
            Self::Array(items) => {
                out.push('[');
                for (place, item) in items.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(properties) => {
                out.push('{');
                for (place, (name, value)) in properties.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    write_quoted(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                // Writing into a text cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compact(text: &str) -> Option<String> {
        Json::parse(text).map(|json| {
            let mut out = String::new();
            json.write(&mut out);
            out
        })
    }

    #[test]
    fn what_people_write_is_read() {
        for (text, expected) in [
            (r#" {"a": [1, 2.50, -3], "b": {"c": null}} "#, r#"{"a":[1,2.5,-3],"b":{"c":null}}"#),
            ("{a: 'it\\'s', $b_1: \"x\"}", r#"{"a":"it's","$b_1":"x"}"#),
            ("/* x */ [1, // one\n 2,] // end", "[1,2]"),
            ("{a:1,}", r#"{"a":1}"#),
            ("[1,,2]", "[1,null,2]"),
            ("{a:1,b:2,a:3}", r#"{"a":3,"b":2}"#),
            ("[true,false,1e3,1.0,NaN,-Infinity]", r#"[true,false,1000.0,1.0,"NaN","-Infinity"]"#),
            ("12345678901234567890123", "12345678901234567890123"),
            (r#""\u00fc\ud83d\ude00\/\t""#, "\"ü😀/\\t\""),
            ("'a\nb'", r#""a\nb""#),
            ("[]", "[]"),
            ("{}", "{}"),
        ] {
            assert_eq!(compact(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_not_read() {
        for text in [
            "",
            " ",
            "{",
            "[1",
            "{a}",
            "{a:}",
            "{Name: NoComma}",
            "{a:1} x",
            "[1] [2]",
            "hello",
            "tru",
            "1 2",
            "1.2.3",
            "'a",
            "\"a",
            r#""\x""#,
            r#""\u12""#,
            "/* x",
            "1,2",
            "{a:1 b:2}",
            "[1 2]",
            "]",
            "-",
            "Infinityx",
            "0x",
        ] {
            assert_eq!(Json::parse(text), None, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert!(Json::parse(&format!("{}{}", "[".repeat(64), "]".repeat(64))).is_some());
        assert!(Json::parse(&format!("{}{}", "[".repeat(65), "]".repeat(65))).is_none());
        assert!(Json::parse(&"[".repeat(1_000_000)).is_none());
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_what_is_written_is_read_again(text in "[{}\\[\\]:,'\"a1.\\-/*\n tue\\\\]{0,40}") {
            if let Some(json) = Json::parse(&text) {
                let mut out = String::new();
                json.write(&mut out);
                prop_assert!(Json::parse(&out).is_some(), "{} -> {}", text, out);
            }
        }
    }
}
