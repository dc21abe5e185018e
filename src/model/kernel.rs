//! Kernels as a boot directory holds them, and what a root says of its own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::Error;

/// A kernel with its initrd, by what is in them: `6.12.48+deb13-amd64-1f2e3d4c`, the release and the first
/// eight digits of a SHA-256 over both. The name of a directory on FAT, and a word on a kernel command line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KernelKey(String);

impl KernelKey {
    const LONGEST: usize = 100;

    /// `digest`: at least eight hexadecimal digits.
    pub fn new(release: &str, digest: &str) -> Result<KernelKey, Error> {
        format!("{release}-{}", digest.get(..8).unwrap_or_default()).parse()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What `uname -r` says: `6.12.48+deb13-amd64`
    pub fn release(&self) -> &str {
        self.0.rsplit_once('-').map_or("", |(release, _)| release)
    }

    /// The eight digits.
    pub fn digest(&self) -> &str {
        self.0.rsplit_once('-').map_or("", |(_, digest)| digest)
    }
}

impl FromStr for KernelKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let harmless = |b: u8| b.is_ascii_alphanumeric() || b"+-._~".contains(&b);
        let (release, digest) = text.rsplit_once('-').unwrap_or_default();
        let begins = release.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        let is_digest = digest.len() == 8 && digest.bytes().all(|b| b.is_ascii_hexdigit());
        match begins && is_digest && text.len() <= Self::LONGEST && text.bytes().all(harmless) {
            true => Ok(KernelKey(text.to_owned())),
            false => Err(Error::Usage(format!("{text:?} is not the name of a kernel"))),
        }
    }
}

impl TryFrom<String> for KernelKey {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<KernelKey> for String {
    fn from(key: KernelKey) -> String {
        key.0
    }
}

impl fmt::Display for KernelKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What the fact `kernel` of a root says: its key, and the stamp of the two files it was made from. With
/// another stamp the key is out of date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelFact {
    pub key: KernelKey,
    /// No blanks in it.
    pub stamp: String,
}

impl KernelFact {
    /// None: it says nothing, or nothing usable.
    pub fn parse(text: &str) -> Option<KernelFact> {
        let (key, stamp) = text.trim().split_once(' ')?;
        Some(KernelFact { key: key.parse().ok()?, stamp: stamp.to_owned() })
    }
}

impl fmt::Display for KernelFact {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.key, self.stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_release_and_a_digest() {
        let key = KernelKey::new("6.12.48+deb13-cloud-amd64", "1f2e3d4c99").expect("a key");
        assert_eq!(key.as_str(), "6.12.48+deb13-cloud-amd64-1f2e3d4c");
        assert_eq!((key.release(), key.digest()), ("6.12.48+deb13-cloud-amd64", "1f2e3d4c"));
        for bad in ["", "6.1", "6.1-12", "-1f2e3d4c", "../x-1f2e3d4c", "6 1-1f2e3d4c", "a$b-1f2e3d4c"] {
            assert!(bad.parse::<KernelKey>().is_err(), "{bad}");
        }
        assert!(KernelKey::new(&"6".repeat(100), "1f2e3d4c").is_err());
    }

    #[test]
    fn a_fact_is_read_as_it_was_written() {
        let fact = KernelFact { key: "6.1-1f2e3d4c".parse().expect("a key"), stamp: "1.2+3.4".into() };
        assert_eq!(KernelFact::parse(&format!("{fact}\n")), Some(fact));
        assert_eq!(KernelFact::parse(""), None);
        assert_eq!(KernelFact::parse("6.1-1f2e3d4c"), None);
    }
}
