//! Names that AWS accepts, checked before any call.

use std::{fmt, str::FromStr};

/// The name of a Lambda function in the caller's account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionName(String);

/// A name that Lambda would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FunctionNameError {
    /// Nothing.
    #[error("a function name must not be empty")]
    Empty,
    /// A character that is not allowed.
    #[error(
        "the function name `{name}` may hold only ASCII letters, digits, `-` and `_`, but holds `{found}`"
    )]
    Character {
        /// The name.
        name: String,
        /// The first wrong character.
        found: char,
    },
    /// Too long.
    #[error("the function name `{name}` may hold at most {MAX} characters, but holds {}", name.len())]
    TooLong {
        /// The name.
        name: String,
    },
}

const MAX: usize = 64;

impl FunctionName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FunctionName {
    type Err = FunctionNameError;

    fn from_str(name: &str) -> Result<Self, FunctionNameError> {
        if name.is_empty() {
            return Err(FunctionNameError::Empty);
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if let Some(found) = name.chars().find(|c| !allowed(*c)) {
            return Err(FunctionNameError::Character { name: name.to_owned(), found });
        }
        if name.len() > MAX {
            return Err(FunctionNameError::TooLong { name: name.to_owned() });
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of an S3 bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketName(String);

/// A name that no bucket has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the bucket name `{name}` must have 3 to 63 ASCII letters, digits, `-`, `_` and single `.`, begin and end with a letter or digit, and be no IP address"
)]
pub struct BucketNameError {
    /// The name.
    pub name: String,
}

/// The key of an S3 object, as octarm makes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectKey(String);

/// A key that S3 would refuse, or that one way to S3 writes differently from another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectKeyError {
    /// Too long.
    #[error("the S3 key `{key}` may hold at most {MAX_KEY} bytes, but holds {}", key.len())]
    TooLong {
        /// The key.
        key: String,
    },
    /// Parts that are empty or relative, or control characters.
    #[error(
        "the S3 key `{key}` must have parts between `/` that are neither empty nor `.` nor `..`, and no control characters"
    )]
    Parts {
        /// The key.
        key: String,
    },
}

const MAX_KEY: usize = 1024;

impl BucketName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BucketName {
    type Err = BucketNameError;

    fn from_str(name: &str) -> Result<Self, BucketNameError> {
        let allowed = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        let is_end = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = name.as_bytes();
        let is_good = (3..=63).contains(&bytes.len())
            && bytes.iter().all(allowed)
            && is_end(bytes.first())
            && is_end(bytes.last())
            && !name.contains("..")
            && !name.starts_with("xn--")
            && name.parse::<std::net::Ipv4Addr>().is_err();
        if is_good { Ok(Self(name.to_owned())) } else { Err(BucketNameError { name: name.to_owned() }) }
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ObjectKey {
    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ObjectKey {
    type Err = ObjectKeyError;

    fn from_str(key: &str) -> Result<Self, ObjectKeyError> {
        if key.len() > MAX_KEY {
            return Err(ObjectKeyError::TooLong { key: key.to_owned() });
        }
        if key.split('/').any(|part| matches!(part, "" | "." | "..")) || key.chars().any(char::is_control) {
            return Err(ObjectKeyError::Parts { key: key.to_owned() });
        }
        Ok(Self(key.to_owned()))
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_and_keys_that_s3_would_refuse_are_refused() {
        for good in ["abc", "my-bucket.eu", "Old_Bucket"] {
            assert_eq!(good.parse::<BucketName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "ab",
            "s3://bucket",
            "bucket/",
            ".abc",
            "abc-",
            "my..bucket",
            "192.168.1.1",
            "xn--a",
            &"a".repeat(64),
        ] {
            assert!(bad.parse::<BucketName>().is_err(), "{bad}");
        }
        assert_eq!("a/b c/é.zip".parse::<ObjectKey>().unwrap().as_str(), "a/b c/é.zip");
        for bad in ["", "/a", "a//b", "a/../b", "a/", "a\nb", &"a".repeat(1025)] {
            assert!(bad.parse::<ObjectKey>().is_err(), "{bad}");
        }
    }
}
