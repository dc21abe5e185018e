//! What is said about a set that does not hold together.

use std::fmt;

use crate::dpkg::relations::Kind;

/// As the status has it: the architecture may be `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageId<'a> {
    pub name: &'a str,
    pub architecture: &'a str,
    pub version: &'a str,
}

/// `libc6:i386 2.36-9`; `all` is not said.
impl fmt::Display for PackageId<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name)?;
        if !matches!(self.architecture, "all" | "") {
            write!(out, ":{}", self.architecture)?;
        }
        write!(out, " {}", self.version)
    }
}

/// A relation that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation<'a> {
    /// Whose relation it is.
    pub package: PackageId<'a>,
    /// Pre-Depends, Depends, Breaks or Conflicts.
    pub kind: Kind,
    /// As dpkg writes it, with all its alternatives; what Multi-Arch adds as apt writes it.
    pub relation: String,
    pub why: Why<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why<'a> {
    /// Nothing has the name or provides it.
    Missing,
    /// This one is there, in a version that will not do.
    Version(PackageId<'a>),
    /// This one provides it, in no version or in one that will not do.
    Provided(PackageId<'a>, Option<&'a str>),
    /// This one is there, in an architecture that will not do.
    Architecture(PackageId<'a>),
    /// This one must not be there.
    Present(PackageId<'a>),
}

/// `python3.11:amd64 3.11.2-6 Depends: libpython3.11-stdlib (= 3.11.2-6), but
/// libpython3.11-stdlib:amd64 3.11.2-7 is there`
impl fmt::Display for Violation<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}: {}, ", self.package, self.kind.name(), self.relation)?;
        match &self.why {
            Why::Missing => write!(out, "but nothing is or provides it"),
            Why::Version(other) | Why::Architecture(other) => write!(out, "but {other} is there"),
            Why::Provided(other, Some(version)) => write!(out, "but {other} provides {version}"),
            Why::Provided(other, None) => write!(out, "but {other} provides no version of it"),
            Why::Present(other) => write!(out, "and {other} is there"),
        }
    }
}

/// A relation that only one package meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need<'a> {
    /// Whose relation it is.
    pub package: PackageId<'a>,
    pub kind: Kind,
    pub relation: String,
}
