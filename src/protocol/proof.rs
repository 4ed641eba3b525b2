//! How a worker proves who it is: its public key, and the statements that it signs.
//!
//! A statement begins with its purpose, so that what was signed for one call is good for no other, and names the
//! installation that it is meant for, so that no other server can use it there. Each part has its length before it: two
//! requests never make one statement.

use std::{borrow::Cow, fmt};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The coordinates of the points of order eight, without their signs; those of smaller orders are 0, 1 and the prime less 1.
const OF_ORDER_EIGHT: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// The public half of a worker's key pair, of Ed25519. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key of these bytes, if they are as many as a key has.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The key that is written so.
    pub fn read(text: &str) -> Option<Self> {
        Self::new(&hex::decode(text).ok()?)
    }

    /// Whether anybody can sign for it, or another writing is the same key: a point of a small order, or a coordinate that is
    /// not below the field's prime. No key pair has such a key.
    pub fn is_weak(&self) -> bool {
        let mut coordinate = self.0;
        // The sign: each of these points is as weak with the other one.
        coordinate[31] &= 0x7f;
        let [first, middle @ .., last] = coordinate;
        let is_near_the_prime = first >= 0xec && last == 0x7f && middle.iter().all(|byte| *byte == 0xff);
        let is_small = first <= 1 && last == 0 && middle.iter().all(|byte| *byte == 0);
        is_near_the_prime || is_small || OF_ORDER_EIGHT.contains(&coordinate)
    }

    /// Whether its owner signed this statement; `signature` as it is sent, in hexadecimal digits. Nobody signs for a weak key.
    pub fn signed(&self, statement: &[u8], signature: &str) -> bool {
        !self.is_weak()
            && hex::decode(signature).is_ok_and(|signature| {
                UnparsedPublicKey::new(&ED25519, self.0).verify(statement, &signature).is_ok()
            })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let key = Self::read(&text).ok_or_else(|| {
            let length = text.chars().count();
            de::Error::custom(format!(
                "a public key has 64 hexadecimal digits, found a text of {length} characters"
            ))
        })?;
        if key.is_weak() {
            return Err(de::Error::custom(format!(
                "the public key {key} is one that anybody could sign for, expected that of a key pair"
            )));
        }
        Ok(key)
    }
}

impl JsonSchema for PublicKey {
    fn schema_name() -> Cow<'static, str> {
        "PublicKey".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
    }
}

/// What is signed: the purpose, then these parts.
pub(super) fn statement(purpose: &str, parts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in std::iter::once(&purpose).chain(parts) {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    #[test]
    fn two_statements_are_never_the_same_bytes() {
        assert_ne!(statement("a", &["b", "cd"]), statement("a", &["bc", "d"]));
        assert_ne!(statement("a", &["b"]), statement("ab", &[]));
        assert_ne!(statement("a", &["", "b"]), statement("a", &["b", ""]));
    }

    #[test]
    fn only_the_owner_of_the_key_signs_and_only_what_was_said() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let key = PublicKey::new(pair.public_key().as_ref()).unwrap();
        let signature = hex::encode(pair.sign(b"this"));
        assert!(key.signed(b"this", &signature));
        assert!(!key.signed(b"that", &signature));
        assert!(!key.signed(b"this", "zz") && !key.signed(b"this", ""));
        let other = Ed25519KeyPair::generate().unwrap();
        assert!(!PublicKey::new(other.public_key().as_ref()).unwrap().signed(b"this", &signature));
        assert_eq!(PublicKey::read(&key.to_string()), Some(key));
        assert_eq!(PublicKey::read("00"), None);
    }

    #[test]
    fn a_key_that_anybody_could_sign_for_is_none() {
        // The order of the first is one: with this signature it would stand for everything that is said.
        let identity = format!("01{}", "00".repeat(31));
        let signature = format!("{identity}{}", "00".repeat(32));
        let weak = |text: &str| PublicKey::read(text).unwrap().is_weak();
        assert!(!PublicKey::read(&identity).unwrap().signed(b"anything", &signature));
        for first in ["00", "01", "ec", "ed", "ee", "ff"] {
            let (middle, last) = if first < "02" { ("00", ["00", "80"]) } else { ("ff", ["7f", "ff"]) };
            assert!(last.iter().all(|last| weak(&format!("{first}{}{last}", middle.repeat(30)))), "{first}");
        }
        for (y, other_sign) in [
            ("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "85"),
            ("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "fa"),
        ] {
            assert!(weak(y) && weak(&format!("{}{other_sign}", &y[..62])), "{y}");
        }
        for first in ["02", "eb"] {
            let middle = if first == "02" { "00" } else { "ff" };
            let last = if first == "02" { "00" } else { "7f" };
            assert!(!weak(&format!("{first}{}{last}", middle.repeat(30))), "{first}");
        }
        let error = serde_json::from_str::<PublicKey>(&format!("\"{identity}\"")).unwrap_err().to_string();
        assert!(error.contains("is one that anybody could sign for"), "{error}");
    }
}
