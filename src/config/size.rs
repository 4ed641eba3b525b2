//! A size as people write it: `512 MiB`, or a number of bytes.

use serde::{Deserialize, Deserializer, de::Error as _};

const UNITS: [(&str, u32); 5] = [("b", 0), ("kib", 10), ("mib", 20), ("gib", 30), ("tib", 40)];

/// So many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

impl Size {
    pub(super) const fn mib(number: u64) -> Self {
        Self(number << 20)
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let (number, unit): (u64, _) = (number.parse().ok()?, unit.trim().to_ascii_lowercase());
        let shift = match unit.as_str() {
            "" => 0,
            unit => UNITS.iter().find(|(name, _)| *name == unit)?.1,
        };
        number.checked_mul(1 << shift).map(Self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A bare number of the environment arrives as one.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        let unreadable = || D::Error::custom("expected a size such as `512 MiB`, or a number of bytes");
        match Written::deserialize(deserializer).map_err(|_| unreadable())? {
            Written::Number(bytes) => Ok(Self(bytes)),
            Written::Text(text) => Self::parse(&text).ok_or_else(|| {
                D::Error::custom(format!(
                    "`{text}` is not a size, expected one such as `512 MiB`, or a number of bytes"
                ))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let read = |text| Size::parse(text).map(|size| size.0);
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("17 B", 17),
            ("64KiB", 65_536),
            ("512 MiB", 536_870_912),
            ("1 gib", 1_073_741_824),
        ] {
            assert_eq!(read(text), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5 GiB", "1 MB", "1 M", "99999999999 TiB", "1 MiB 2"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
