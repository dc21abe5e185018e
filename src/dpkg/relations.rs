//! Relations between packages: `Depends: libc6 (>= 2.36), debconf (>= 0.5) | debconf-2.0` (Debian policy
//! 7.1), read as dpkg reads its own database (lib/dpkg/fields.c, f_dependency) and written as dpkg
//! writes them. A status of a desktop has some thirty thousand of them: nothing is copied, and
//! what an alternative says is compared only when somebody asks.

mod reader;

use std::cmp::Ordering;
use std::fmt;

use super::deb822::Field;
use super::version;
pub use reader::Relations;

/// The fields that hold relations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    PreDepends,
    Depends,
    Recommends,
    Suggests,
    Enhances,
    Breaks,
    Conflicts,
    Replaces,
    Provides,
}

impl Kind {
    pub const ALL: [Kind; 9] = [
        Kind::PreDepends,
        Kind::Depends,
        Kind::Recommends,
        Kind::Suggests,
        Kind::Enhances,
        Kind::Breaks,
        Kind::Conflicts,
        Kind::Replaces,
        Kind::Provides,
    ];

    /// None: a field of another kind.
    pub fn of(field: &Field) -> Option<Kind> {
        // By first letter and length: most fields are passed over without a comparison.
        let kind = match (field.name.first()? | 0x20, field.name.len()) {
            (b'p', 11) => Kind::PreDepends,
            (b'd', 7) => Kind::Depends,
            (b'r', 10) => Kind::Recommends,
            (b's', 8) => Kind::Suggests,
            (b'e', 8) => Kind::Enhances,
            (b'b', 6) => Kind::Breaks,
            (b'c', 9) => Kind::Conflicts,
            (b'r', 8) => Kind::Replaces,
            (b'p', 8) => Kind::Provides,
            _ => return None,
        };
        field.is(kind.name()).then_some(kind)
    }

    /// As dpkg writes it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::PreDepends => "Pre-Depends",
            Kind::Depends => "Depends",
            Kind::Recommends => "Recommends",
            Kind::Suggests => "Suggests",
            Kind::Enhances => "Enhances",
            Kind::Breaks => "Breaks",
            Kind::Conflicts => "Conflicts",
            Kind::Replaces => "Replaces",
            Kind::Provides => "Provides",
        }
    }

    /// May `|` stand in it?
    fn has_alternatives(self) -> bool {
        !matches!(self, Kind::Breaks | Kind::Conflicts | Kind::Replaces | Kind::Provides)
    }
}

/// How a version must stand to the one that is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Earlier,
    EarlierOrEqual,
    Equal,
    LaterOrEqual,
    Later,
}

impl Operator {
    pub fn name(self) -> &'static str {
        match self {
            Operator::Earlier => "<<",
            Operator::EarlierOrEqual => "<=",
            Operator::Equal => "=",
            Operator::LaterOrEqual => ">=",
            Operator::Later => ">>",
        }
    }

    /// Does `found` stand so to `wanted`?
    pub fn holds(self, found: &str, wanted: &str) -> bool {
        // Packages of one source depend on each other's very version.
        let order = if found == wanted { Ordering::Equal } else { version::compare(found, wanted) };
        match self {
            Operator::Earlier => order.is_lt(),
            Operator::EarlierOrEqual => order.is_le(),
            Operator::Equal => order.is_eq(),
            Operator::LaterOrEqual => order.is_ge(),
            Operator::Later => order.is_gt(),
        }
    }
}

/// One package of a relation, e.g. `perl:any (>= 5.36)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alternative<'a> {
    /// As written. dpkg makes capitals small; policy 5.6.1 forbids them.
    pub name: &'a str,
    /// What stands behind the colon: `any`, `native` or an architecture.
    pub architecture: Option<&'a str>,
    pub version: Option<(Operator, &'a str)>,
    /// The relation ends here: a comma or the end follows, and no `|`.
    pub last: bool,
}

impl fmt::Display for Alternative<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name)?;
        if let Some(architecture) = self.architecture {
            write!(out, ":{architecture}")?;
        }
        match self.version {
            Some((operator, version)) => write!(out, " ({} {})", operator.name(), without_zeros(version)),
            None => Ok(()),
        }
    }
}

/// A version as dpkg writes it: an epoch without zeros in front, and none at all that is 0, unless
/// another colon would then be taken for its end.
fn without_zeros(version: &str) -> &str {
    let Some((epoch, rest)) = version.split_once(':') else { return version };
    if !epoch.bytes().all(|b| b.is_ascii_digit()) {
        return version;
    }
    let zeros = epoch.bytes().take_while(|b| *b == b'0').count();
    match zeros == epoch.len() {
        true if rest.contains(':') => &version[epoch.len().saturating_sub(1)..],
        true => rest,
        false => &version[zeros..],
    }
}

/// As dpkg writes it: `a | b (>= 1), c`.
pub fn text(alternatives: &[Alternative]) -> String {
    let mut text = String::new();
    for (at, alternative) in alternatives.iter().enumerate() {
        text += &alternative.to_string();
        if at + 1 < alternatives.len() {
            text += if alternative.last { ", " } else { " | " };
        }
    }
    text
}

#[cfg(test)]
mod tests;
