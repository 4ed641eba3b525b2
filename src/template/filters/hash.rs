//! Digests of a text, in lower-case hexadecimal.

use aws_lc_rs::digest;
use md5::{Digest as _, Md5};
use sha1::Sha1;

use super::encoding::{Encoding, bytes_of_base64};
use super::int;

/// The digests on offer. MD5 and SHA-1 name things (a cache entry, a file); they protect nothing.
#[derive(Debug, Clone, Copy)]
pub(super) enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Md5 => return Md5::digest(bytes).to_vec(),
            Self::Sha1 => return Sha1::digest(bytes).to_vec(),
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, bytes).as_ref().to_vec()
    }
}

/// How the input of a digest is read.
#[derive(Debug, Clone, Copy)]
enum Reading {
    Text(Encoding),
    Base64,
}

pub(super) fn digest(algorithm: Algorithm, input: &str, options: &[&str]) -> Option<String> {
    let default = Reading::Text(Encoding::Utf8);
    let (size, reading) = match options {
        [] => (None, default),
        [option] => match size(option) {
            Some(size) => (Some(size), default),
            None => (None, reading(option)?),
        },
        [first, second] => match size(first) {
            Some(size) => (Some(size), reading(second)?),
            None => (Some(size(second)?), reading(first)?),
        },
        _ => return None,
    };
    let bytes = match reading {
        Reading::Text(encoding) => encoding.encode(input),
        Reading::Base64 => bytes_of_base64(input)?,
    };
    let mut digest = algorithm.digest(&bytes);
    digest.truncate(size.unwrap_or(usize::MAX));
    Some(hex::encode(digest))
}

/// How many bytes of the digest are wanted.
fn size(option: &str) -> Option<usize> {
    int(option).and_then(|size| size.try_into().ok()).filter(|&size: &usize| size > 0)
}

fn reading(option: &str) -> Option<Reading> {
    if option.eq_ignore_ascii_case("base64") {
        Some(Reading::Base64)
    } else {
        Encoding::named(option).map(Reading::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    const FOX: &str = "The quick brown fox jumps over the lazy dog";
    const FOX_64: &str = "VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZw==";

    #[test]
    fn digests_are_the_known_ones() {
        check(&[
            ("Md5", "", Some("d41d8cd98f00b204e9800998ecf8427e")),
            ("Md5", FOX, Some("9e107d9d372bb6826bd81d3542a419d6")),
            ("Sha1", FOX, Some("2fd4e1c67a2d28fced849ee1bb76e7391b93eb12")),
            ("Sha256", FOX, Some("d7a8fbb307d7809469ca9abcb0082e4f8d5651e46d3cdb762d02d0bf37c9e592")),
            (
                "Sha384",
                FOX,
                Some(
                    "ca737f1014a48f4c0b6dd43cb177b0afd9e5169367544c494011e3317dbf9a509cb1e5dc1e85a941bbee3d7f2afbc9b1",
                ),
            ),
            (
                "Sha512",
                FOX,
                Some(
                    "07e547d9586f6a73f73fbac0435ed76951218fb7d0c8d788a309d785436bbb642e93a252a954f23912547d1e8a3b5ed6\
                     e1bfd7097821233fa0538f3db854fee6",
                ),
            ),
        ]);
    }

    #[test]
    fn a_size_and_a_reading_in_any_order() {
        check(&[
            ("Md5|4", "", Some("d41d8cd9")),
            ("Md5|800", "", Some("d41d8cd98f00b204e9800998ecf8427e")),
            ("Md5|unicode", FOX, Some("b0986ae6ee1eefee8a4a399090126837")),
            ("Sha1|Unicode", FOX, Some("bd136cb58899c93173c33a90dde95ead0d0cf6df")),
            ("Md5|BASE64", FOX_64, Some("9e107d9d372bb6826bd81d3542a419d6")),
            ("Md5|base64|3", FOX_64, Some("9e107d")),
            ("Md5|3|utf-8", FOX, Some("9e107d")),
            ("Md5|utf8|3", FOX, Some("9e107d")),
        ]);
    }

    #[test]
    fn other_options_are_refused() {
        for options in [
            "-1",
            "0",
            "bar",
            "utf8|0",
            "0|utf8",
            "bar|12",
            "12|bar",
            "utf8|12|extra",
            "12|utf8|extra",
            "base64",
            "12|12",
            "utf8|utf8",
        ] {
            check(&[(&format!("Md5|{options}"), "bar", None), (&format!("Sha512|{options}"), "bar", None)]);
        }
    }
}
