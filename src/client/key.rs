//! A worker's key pair. The private half never leaves the machine: what is sent is signed with it.

use std::{fmt, sync::Arc};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret as _, ExposeSecretMut as _, SecretBox, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::protocol::PublicKey;

/// No private key of Ed25519 is as long as this.
const LIMIT: usize = 256;

/// A key pair of Ed25519. Read and written as PKCS#8 in base64; `Debug` shows the public half alone.
#[derive(Clone)]
pub struct KeyPair {
    pair: Arc<Ed25519KeyPair>,
    text: SecretString,
    public: PublicKey,
}

/// A key pair cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The system gives no random numbers.
    #[error("making a key pair: the system's source of random numbers failed")]
    Random,
    /// The text is none.
    #[error("it is not a private key of Ed25519: expected PKCS#8 in base64")]
    Unreadable,
}

impl KeyPair {
    /// A new one.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::Random)?;
        // Cleared when it is dropped.
        let document = pair.to_pkcs8().map_err(|_| KeyError::Random)?;
        Self::of(pair, BASE64_STANDARD.encode(&document).into())
    }

    /// The one that is written so.
    pub fn read(text: SecretString) -> Result<Self, KeyError> {
        let mut bytes = SecretBox::new(Box::new([0_u8; LIMIT]));
        let length = BASE64_STANDARD
            .decode_slice(text.expose_secret().trim(), bytes.expose_secret_mut())
            .map_err(|_| KeyError::Unreadable)?;
        let pair =
            Ed25519KeyPair::from_pkcs8(&bytes.expose_secret()[..length]).map_err(|_| KeyError::Unreadable)?;
        Self::of(pair, text)
    }

    fn of(pair: Ed25519KeyPair, text: SecretString) -> Result<Self, KeyError> {
        let public = PublicKey::new(pair.public_key().as_ref()).ok_or(KeyError::Unreadable)?;
        Ok(Self { pair: Arc::new(pair), text, public })
    }

    /// As it is kept on the disk of its owner.
    pub fn text(&self) -> &SecretString {
        &self.text
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// The signature of a statement, as it is sent.
    pub fn sign(&self, statement: &[u8]) -> String {
        hex::encode(self.pair.sign(statement))
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

impl Serialize for KeyPair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text.expose_secret())
    }
}

impl<'de> Deserialize<'de> for KeyPair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(String::deserialize(deserializer)?.into()).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_kept_as_text_and_shown_as_its_public_half() {
        let pair = KeyPair::generate().unwrap();
        let again = KeyPair::read(pair.text().clone()).unwrap();
        assert_eq!(again.public(), pair.public());
        assert!(pair.public().signed(b"this", &again.sign(b"this")));
        let shown = format!("{pair:?}");
        assert!(shown.contains(&pair.public().to_string()), "{shown}");
        assert!(!shown.contains(pair.text().expose_secret()), "{shown}");
        assert_ne!(KeyPair::generate().unwrap().public(), pair.public());
        let long = BASE64_STANDARD.encode([0; LIMIT + 1]);
        for text in ["", "AAAA", "not base64", &long] {
            assert!(KeyPair::read(text.to_owned().into()).is_err(), "{text}");
        }
    }
}
