//! Takes sensitive values out of every line before it is written anywhere.

mod wrapped;

use std::{fmt::Write as _, ops::Range};

use aho_corasick::AhoCorasick;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use jiff::ZonedDateTime;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use self::wrapped::Wrapped;
use crate::template::{Renderer, Variables};

/// What stands where a sensitive value stood.
pub(super) const MASK: &str = "********";
/// Shorter values are not masked: they would black out everything. The server refuses to save such values.
const MIN_LENGTH: usize = 4;

/// What most encoders of URLs write as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// What encoders of paths and queries write as it is besides.
const RELAXED: &AsciiSet = &UNRESERVED.remove(b'/').remove(b':').remove(b'@').remove(b'!').remove(b'*');
/// Longer values are searched for one by one.
const LONG: usize = 256;
/// How long the lines are in which base64 is wrapped: of PEM, and of MIME and `base64`.
const LINES: [usize; 2] = [64, 76];

/// Knows the sensitive values of one deployment, in the forms in which they turn up.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    matcher: Option<AhoCorasick>,
    /// Long values one by one, the longest first: in the automaton they would cost the square of their length.
    long: Vec<String>,
    wrapped: Wrapped,
}

/// The values cannot be searched for; no line may be written then.
#[derive(Debug, thiserror::Error)]
#[error("preparing to hide {count} sensitive values in the log")]
pub struct RedactorError {
    count: usize,
    #[source]
    source: aho_corasick::BuildError,
}

impl Redactor {
    /// Hides these values, as they are and in their JSON, URL, hexadecimal and base64 forms; of a text of several lines,
    /// also every line; of base64 that is longer than a line, also its lines.
    pub fn new<'v>(values: impl IntoIterator<Item = &'v str>) -> Result<Self, RedactorError> {
        let (mut forms, mut wrapped) = (Vec::new(), Wrapped::default());
        let mut count = 0;
        for value in values.into_iter().filter(|value| value.trim().len() >= MIN_LENGTH) {
            count += 1;
            for part in std::iter::once(value).chain(value.lines()).chain(std::iter::once(value.trim())) {
                add_forms(part, &mut forms, &mut wrapped);
            }
        }
        forms.sort();
        forms.dedup();
        let mut long: Vec<String> = forms.extract_if(.., |form| form.len() > LONG).collect();
        long.sort_by_key(|form| std::cmp::Reverse(form.len()));
        if forms.is_empty() {
            return Ok(Self { matcher: None, long, wrapped });
        }
        let matcher =
            AhoCorasick::builder().build(&forms).map_err(|source| RedactorError { count, source })?;
        Ok(Self { matcher: Some(matcher), long, wrapped })
    }

    /// Hides every sensitive value of a set, as written and as rendered at this time.
    pub fn of(variables: &Variables, now: &ZonedDateTime) -> Result<Self, RedactorError> {
        let renderer = Renderer::new(variables, now);
        let (written, rendered): (Vec<_>, Vec<_>) = renderer
            .values(|variable| variable.sensitive)
            .map(|(variable, rendered)| (variable.value.as_str(), rendered.value))
            .unzip();
        Self::new(written.into_iter().chain(rendered.iter().flatten().map(String::as_str)))
    }

    /// Whether there is nothing that it hides.
    pub(super) fn is_idle(&self) -> bool {
        self.matcher.is_none() && self.long.is_empty()
    }

    /// The text with every sensitive value masked.
    pub fn redact(&self, text: &str) -> String {
        mask(text, self.found_in(text))
    }

    /// Where sensitive values stand, in no order. Also those that share a part: what is left of the one would be shown
    /// if only the other were masked.
    pub(super) fn found_in(&self, text: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for form in self.long.iter().filter(|form| form.len() <= text.len()) {
            let mut from = 0;
            while let Some(at) = text[from..].find(form.as_str()) {
                found.push(from + at..from + at + form.len());
                // The next place may overlap this one.
                from = text.ceil_char_boundary(from + at + 1);
            }
        }
        self.wrapped.find(text, &mut found);
        if let Some(matcher) = &self.matcher {
            found.extend(matcher.find_overlapping_iter(text).map(|one| one.range()));
        }
        found
    }
}

/// The text with these ranges masked, each stretch that they cover together by one mask.
pub(super) fn mask(text: &str, mut found: Vec<Range<usize>>) -> String {
    found.sort_by_key(|range| range.start);
    let (mut shown, mut at) = (String::with_capacity(text.len()), 0);
    for Range { start, end } in found {
        if start >= at {
            shown.push_str(&text[at..start]);
            shown.push_str(MASK);
        }
        at = at.max(end);
    }
    shown.push_str(&text[at..]);
    shown
}

/// What of a text that is shown must be hidden: what sensitive values became in it. Pieces that are too short to be
/// masked by themselves hide all of it.
pub(super) fn hidden_in(text: &str, mut secrets: Vec<String>) -> Vec<String> {
    if secrets.iter().any(|secret| secret.trim().len() < MIN_LENGTH) {
        secrets.push(text.to_owned());
    }
    secrets
}

fn add_forms(value: &str, forms: &mut Vec<String>, wrapped: &mut Wrapped) {
    if value.len() < MIN_LENGTH {
        return;
    }
    forms.push(value.to_owned());
    forms.push(value.escape_debug().to_string());
    let json = in_json(value);
    // Some write JSON in ASCII, some escape the slash, and JSON is found in JSON.
    forms.extend([in_ascii(&json), json.replace('/', "\\/"), in_json(&json), json]);
    for kept in [NON_ALPHANUMERIC, UNRESERVED, RELAXED] {
        let url = utf8_percent_encode(value, kept).to_string();
        forms.extend([url.replace("%20", "+"), with_small_digits(&url), url]);
    }
    let hexadecimal = hex::encode(value);
    forms.extend([hexadecimal.to_uppercase(), hexadecimal]);
    // Of the value alone in lines, the last may be too short to be known by a part of it.
    let alone = STANDARD_NO_PAD.encode(value);
    let lasts = LINES.map(|line| alone.len() / line * line).into_iter().filter(|place| *place > 0);
    forms.extend(lasts.map(|place| alone[place..].to_owned()).filter(|last| last.len() >= MIN_LENGTH));
    // In a longer base64 text the value stands at one of three alignments. The characters that also hold bits of
    // its neighbours are left out.
    for lead in 0..3 {
        let mut bytes = vec![0; lead];
        bytes.extend_from_slice(value.as_bytes());
        let from = (lead * 8).div_ceil(6);
        let to = bytes.len() * 8 / 6;
        for text in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            if let Some(form) = text.get(from..to).filter(|form| form.len() >= MIN_LENGTH) {
                wrapped.add(form);
                forms.push(form.to_owned());
            }
        }
    }
}

/// As it stands between the quotes of a JSON string.
fn in_json(value: &str) -> String {
    let json = serde_json::Value::from(value).to_string();
    json[1..json.len() - 1].to_owned()
}

/// JSON with all that is not ASCII escaped.
fn in_ascii(json: &str) -> String {
    json.chars().fold(String::new(), |mut text, one| {
        if one.is_ascii() {
            text.push(one);
        } else {
            for unit in one.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
        text
    })
}

/// A URL's percent encoding with the hexadecimal digits that some encoders write.
fn with_small_digits(url: &str) -> String {
    let mut parts = url.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(part.len().min(2));
        let _ = write!(text, "%{}{rest}", digits.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "wJalr/XUt+n\"FEMI";

    #[test]
    fn every_form_is_hidden() {
        let redactor = Redactor::new([SECRET, "-----BEGIN KEY-----\nMIIabc123\n-----END KEY-----"]).unwrap();
        for text in [
            format!("secret={SECRET}."),
            format!("{SECRET:?}"),
            serde_json::json!({ "s": SECRET }).to_string(),
            utf8_percent_encode(SECRET, NON_ALPHANUMERIC).to_string(),
            "line: MIIabc123".to_owned(),
        ] {
            let shown = redactor.redact(&text);
            assert!(!shown.contains("wJalr") && !shown.contains("MIIabc"), "{shown}");
        }
    }

    #[test]
    fn values_that_overlap_are_hidden_whole() {
        let redactor = Redactor::new(["abcd", "cdef", "longer-value-with-abcd"]).unwrap();
        assert_eq!(redactor.redact("xabcdefx"), format!("x{MASK}x"));
        assert_eq!(redactor.redact("longer-value-with-abcdef."), format!("{MASK}."));
        let long = "ab".repeat(200);
        let redactor = Redactor::new([long.as_str()]).unwrap();
        assert_eq!(redactor.redact(&format!("{long}ab-")), format!("{MASK}-"), "it overlaps itself");
    }

    #[test]
    fn long_values_are_hidden_without_a_long_wait() {
        let value = "x".repeat(200_000);
        let key = format!("-----BEGIN-----\n{}\n-----END-----", "Ab1".repeat(300));
        let redactor = Redactor::new([value.as_str(), &key]).unwrap();
        assert_eq!(redactor.redact(&format!("a{value}b")), format!("a{MASK}b"));
        assert_eq!(redactor.redact(&"Ab1".repeat(300)), MASK);
    }

    #[test]
    fn short_values_do_not_black_out_everything() {
        let redactor = Redactor::new(["e", "   ", ""]).unwrap();
        assert_eq!(redactor.redact("everything here stays"), "everything here stays");
    }

    proptest! {
        #[test]
        fn base64_hides_it_at_each_alignment(before in "[a-z]{0,7}", after in "[a-z]{0,7}") {
            let redactor = Redactor::new(["TopSecretValue42"]).unwrap();
            let shown = redactor.redact(&STANDARD.encode(format!("{before}TopSecretValue42{after}")));
            let hidden = (0..3).all(|lead| {
                let text = STANDARD_NO_PAD.encode(format!("{}TopSecretValue42", "x".repeat(lead)));
                !shown.contains(&text[8..16])
            });
            prop_assert!(hidden, "{}", shown);
        }
    }
}
