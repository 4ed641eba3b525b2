//! Sensitive values at rest: AES-256-GCM with a random nonce, bound to the variable that the value belongs to.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::StoreError;

/// Seals and opens values with the server's master key. `Debug` shows nothing of it.
pub struct Vault(RandomizedNonceKey);

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(***)")
    }
}

impl Vault {
    /// A vault with this key.
    pub fn new(key: &[u8; 32]) -> Result<Self, StoreError> {
        RandomizedNonceKey::new(&AES_256_GCM, key)
            .map(Self)
            .map_err(|_| StoreError::Corrupt { what: "the master key".into(), source: None })
    }

    /// Seals `value`; only the same `owner` opens it, so a sealed text cannot be moved to another variable.
    pub(super) fn seal(&self, owner: &str, value: &str) -> Result<String, StoreError> {
        let mut bytes = value.as_bytes().to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(owner.as_bytes()), &mut bytes)
            .map_err(|_| StoreError::Corrupt { what: "the master key".into(), source: None })?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut bytes);
        Ok(BASE64_STANDARD.encode(sealed))
    }

    /// Opens what [`Self::seal`] made.
    pub(super) fn open(&self, owner: &str, sealed: &str) -> Result<String, StoreError> {
        let refused =
            || StoreError::Corrupt { what: format!("the sensitive value of {owner}"), source: None };
        let mut bytes = BASE64_STANDARD.decode(sealed).map_err(|_| refused())?;
        if bytes.len() < NONCE_LEN {
            return Err(refused());
        }
        let mut text = bytes.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&bytes).map_err(|_| refused())?;
        let plain = self
            .0
            .open_in_place(nonce, Aad::from(owner.as_bytes()), &mut text)
            .map_err(|_| refused())?
            .to_vec();
        String::from_utf8(plain).map_err(|_| refused())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_for_its_owner_and_never_repeats() {
        let vault = Vault::new(&[7; 32]).unwrap();
        let sealed = vault.seal("set/a", "hunter22").unwrap();
        assert_eq!(vault.open("set/a", &sealed).unwrap(), "hunter22");
        assert!(vault.open("set/b", &sealed).is_err());
        assert!(Vault::new(&[8; 32]).unwrap().open("set/a", &sealed).is_err());
        assert!(vault.open("set/a", "AAAA").is_err());
        assert_ne!(vault.seal("set/a", "hunter22").unwrap(), sealed);
    }
}
