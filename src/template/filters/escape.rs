//! Filters that write a text so that another language reads it back as it was.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but what RFC 3986 calls unreserved.
const DATA: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Everything but what RFC 3986 calls unreserved or reserved.
const STRING: &AsciiSet = &DATA
    .remove(b':')
    .remove(b'/')
    .remove(b'?')
    .remove(b'#')
    .remove(b'[')
    .remove(b']')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=');

pub(super) fn html(input: &str, options: &[&str]) -> Option<String> {
    each(input, options, |c, out| match c {
        '/' => out.push_str("&#x2F;"),
        c => entity(c, out),
    })
}

pub(super) fn xml(input: &str, options: &[&str]) -> Option<String> {
    each(input, options, entity)
}

pub(super) fn json(input: &str, options: &[&str]) -> Option<String> {
    each(input, options, |c, out| match c {
        '"' => out.push_str("\\\""),
        c => backslash(c, out, |c, out| out.push(c)),
    })
}

pub(super) fn yaml_single_quote(input: &str, options: &[&str]) -> Option<String> {
    if !options.is_empty() {
        return None;
    }
    // YAML folds a run of n line ends to n - 1 (and one to a blank), so each run gets one more of its first kind.
    let mut out = String::with_capacity(input.len() + 16);
    let mut rest = input;
    let mut in_run = false;
    while let Some(c) = rest.chars().next() {
        let line_end = ["\r\n", "\n"].into_iter().find(|end| rest.starts_with(end));
        if let Some(line_end) = line_end.filter(|_| !in_run) {
            out.push_str(line_end);
        }
        in_run = line_end.is_some();
        match line_end {
            Some(line_end) => out.push_str(line_end),
            None if c == '\'' => out.push_str("''"),
            None => out.push(c),
        }
        rest = &rest[line_end.map_or(c.len_utf8(), str::len)..];
    }
    Some(out)
}

pub(super) fn yaml_double_quote(input: &str, options: &[&str]) -> Option<String> {
    each(input, options, |c, out| match c {
        '"' => out.push_str("\\\""),
        c => backslash(c, out, |c, out| match c {
            ' '..='~' => out.push(c),
            c => units(c, out),
        }),
    })
}

pub(super) fn properties_key(input: &str, options: &[&str]) -> Option<String> {
    each(input, options, |c, out| match c {
        ' ' | ':' | '=' => out.extend(['\\', c]),
        c => property(c, out),
    })
}

pub(super) fn properties_value(input: &str, options: &[&str]) -> Option<String> {
    each(input, options, |c, out| match c {
        ' ' if out.is_empty() => out.push_str("\\ "),
        c => property(c, out),
    })
}

pub(super) fn uri(input: &str, options: &[&str]) -> Option<String> {
    options.is_empty().then(|| utf8_percent_encode(input, STRING).to_string())
}

pub(super) fn uri_data(input: &str, options: &[&str]) -> Option<String> {
    options.is_empty().then(|| utf8_percent_encode(input, DATA).to_string())
}

fn each(input: &str, options: &[&str], mut write: impl FnMut(char, &mut String)) -> Option<String> {
    options.is_empty().then(|| {
        let mut out = String::with_capacity(input.len() + 16);
        input.chars().for_each(|c| write(c, &mut out));
        out
    })
}

fn entity(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&apos;"),
        c => out.push(c),
    }
}

fn backslash(c: char, out: &mut String, otherwise: impl FnOnce(char, &mut String)) {
    match c {
        '\r' => out.push_str("\\r"),
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\\' => out.push_str("\\\\"),
        c => otherwise(c, out),
    }
}

fn property(c: char, out: &mut String) {
    backslash(c, out, |c, out| match c {
        '\0'..='\u{fe}' => out.push(c),
        c => units(c, out),
    });
}

/// `\u` and four digits for each UTF-16 unit.
fn units(c: char, out: &mut String) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        // Writing to a String cannot fail.
        let _ = write!(out, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn markup_is_escaped() {
        check(&[
            ("HtmlEscape", "A&'b<c>\"d/é", Some("A&amp;&apos;b&lt;c&gt;&quot;d&#x2F;é")),
            ("XmlEscape", "A&'b<c>\"d/é", Some("A&amp;&apos;b&lt;c&gt;&quot;d/é")),
            ("HtmlEscape|x", "a", None),
            ("XmlEscape|x", "a", None),
            ("JsonEscape", "\"\r\n\t\\\u{8}é/", Some("\\\"\\r\\n\\t\\\\\u{8}é/")),
            ("JsonEscape|x", "a", None),
        ]);
    }

    #[test]
    fn yaml_is_escaped() {
        check(&[
            ("YamlSingleQuoteEscape", "single'quote", Some("single''quote")),
            ("YamlSingleQuoteEscape", "a\n\tb\n\n\tc", Some("a\n\n\tb\n\n\n\tc")),
            ("YamlSingleQuoteEscape", "a\r\nb", Some("a\r\n\r\nb")),
            ("YamlSingleQuoteEscape", "a\n\r\nb", Some("a\n\n\r\nb")),
            ("YamlSingleQuoteEscape", "a\r\n\nb\r", Some("a\r\n\r\n\nb\r")),
            ("YamlSingleQuoteEscape|x", "a", None),
            ("YamlDoubleQuoteEscape", "a\"\\\r\n\t'~", Some("a\\\"\\\\\\r\\n\\t'~")),
            ("YamlDoubleQuoteEscape", "我\u{7f}\u{0}𐍈", Some("\\u6211\\u007f\\u0000\\ud800\\udf48")),
            ("YamlDoubleQuoteEscape|x", "a", None),
        ]);
    }

    #[test]
    fn properties_are_escaped() {
        check(&[
            ("PropertiesKeyEscape", " a:\n=b\\\t\r ", Some("\\ a\\:\\n\\=b\\\\\\t\\r\\ ")),
            ("PropertiesKeyEscape", "÷þÿ我", Some("÷þ\\u00ff\\u6211")),
            ("PropertiesKeyEscape|x", "a", None),
            ("PropertiesValueEscape", " a: \n=b\\ ", Some("\\ a: \\n=b\\\\ ")),
            ("PropertiesValueEscape", "  a", Some("\\  a")),
            ("PropertiesValueEscape", "÷þÿ𐍈", Some("÷þ\\u00ff\\ud800\\udf48")),
            ("PropertiesValueEscape|x", "a", None),
        ]);
    }

    #[test]
    fn uris_are_escaped() {
        check(&[
            ("UriEscape", "A b:c+d/e%é", Some("A%20b:c+d/e%25%C3%A9")),
            ("UriEscape", ";/?:@&=+$,#[]!'()*-_.~", Some(";/?:@&=+$,#[]!'()*-_.~")),
            ("UriEscape", "<>\"{}|\\^`", Some("%3C%3E%22%7B%7D%7C%5C%5E%60")),
            ("UriEscape|x", "a", None),
            ("UriDataEscape", "A b:c+d/e!*'()-_.~", Some("A%20b%3Ac%2Bd%2Fe%21%2A%27%28%29-_.~")),
            ("UriDataEscape|x", "a", None),
        ]);
    }
}
