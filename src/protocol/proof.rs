//! How a worker proves who it is: its public key, and the statements that it signs.
//!
//! A statement begins with its purpose, so that what was signed for one call is good for no other, and names the
//! installation that it is meant for, so that no other server can use it there. Each part has its length before it: two
//! requests never make one statement.

use std::{borrow::Cow, fmt};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

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

    /// Whether its owner signed this statement; `signature` as it is sent, in hexadecimal digits.
    pub fn signed(&self, statement: &[u8], signature: &str) -> bool {
        hex::decode(signature).is_ok_and(|signature| {
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
        Self::read(&text).ok_or_else(|| {
            let length = text.chars().count();
            de::Error::custom(format!(
                "a public key has 64 hexadecimal digits, found a text of {length} characters"
            ))
        })
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
}
