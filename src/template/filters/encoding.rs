//! Text as bytes: UTF-8, .NET's "Unicode" (UTF-16, little endian), and base64.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::Filtered;

/// Base64 as .NET reads and writes it: padded, and lenient about the bits that nobody uses.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// How the bytes of a text are meant.
#[derive(Debug, Clone, Copy)]
pub(super) enum Encoding {
    /// UTF-8, and what is not is U+FFFD.
    Utf8,
    /// UTF-16, little endian.
    Unicode,
}

impl Encoding {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "utf8" | "utf-8" => Some(Self::Utf8),
            "unicode" => Some(Self::Unicode),
            _ => None,
        }
    }

    pub(super) fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Self::Utf8 => text.as_bytes().to_vec(),
            Self::Unicode => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        }
    }

    fn decode(self, bytes: &[u8]) -> String {
        match self {
            Self::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Self::Unicode => {
                let (pairs, rest) = bytes.as_chunks::<2>();
                let units = pairs.iter().map(|pair| u16::from_le_bytes(*pair));
                let text = char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER));
                text.chain(rest.iter().map(|_| char::REPLACEMENT_CHARACTER)).collect()
            }
        }
    }
}

/// The encoding that the options of a base64 filter ask for.
fn chosen(options: &[&str]) -> Option<Encoding> {
    match options {
        [] => Some(Encoding::Utf8),
        [name] => Encoding::named(name),
        _ => None,
    }
}

/// The bytes of a base64 text, in which blanks and line ends do not count.
pub(super) fn bytes_of_base64(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\n')).collect();
    BASE64.decode(text).ok()
}

pub(super) fn to_base64(input: &str, options: &[&str]) -> Option<String> {
    Some(BASE64.encode(chosen(options)?.encode(input)))
}

pub(super) fn from_base64(input: &str, options: &[&str]) -> Filtered {
    if options.len() > 1 {
        return Ok(None);
    }
    let bytes = bytes_of_base64(input).ok_or("the input of `FromBase64` is not base64")?;
    Ok(chosen(options).map(|encoding| encoding.decode(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, filter};

    #[test]
    fn base64_goes_both_ways() {
        check(&[
            ("ToBase64", "Foo Bar", Some("Rm9vIEJhcg==")),
            ("ToBase64|UTF-8", "é", Some("w6k=")),
            ("ToBase64|utf8", "", Some("")),
            ("ToBase64|unicode", "Foo Bar", Some("RgBvAG8AIABCAGEAcgA=")),
            ("ToBase64|ascii", "Foo", None),
            ("ToBase64|utf8|utf8", "Foo", None),
            ("FromBase64", "Rm9v\r\n IEJh\tcg==", Some("Foo Bar")),
            ("FromBase64", "Rm9vIEJhch==", Some("Foo Bar")),
            ("FromBase64", "/w==", Some("\u{fffd}")),
            ("FromBase64", "", Some("")),
            ("FromBase64|Unicode", "RgBvAG8AIABCAGEAcgA=", Some("Foo Bar")),
            ("FromBase64|unicode", "ANhBAEIA", Some("\u{fffd}AB")),
            ("FromBase64|unicode", "QQBC", Some("A\u{fffd}")),
            ("FromBase64|ascii", "Rm9v", None),
            ("FromBase64|utf8|utf8", "!", None),
        ]);
    }

    #[test]
    fn what_is_not_base64_fails_without_being_quoted() {
        for (call, input) in [
            ("FromBase64", "secret!"),
            ("FromBase64", "Rm9vIEJhcg"),
            ("FromBase64|ascii", "a"),
            ("FromBase64", "é"),
        ] {
            let error = filter(call, Some(input)).unwrap_err();
            assert_eq!(error, "the input of `FromBase64` is not base64");
        }
    }
}
