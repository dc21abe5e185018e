//! Packages of the base that were built again under the same version and installed in the profile (P9).

use std::collections::BTreeMap;

use crate::model::tree::{self, Object};
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::fates::{Fate, Row};
use crate::policy::check::finding::{Finding, Severity, Subject};
use crate::policy::check::side::stem;
use crate::policy::compare::{Change, change_by};

const INFO: &[u8] = b"var/lib/dpkg/info";

/// By the sums dpkg keeps of each package: they lie in the upper only when it was installed there. What the
/// rules about files say of the package's programs and documents is a part of it.
pub fn find(look: &Look, found: &mut Vec<Finding>) {
    let inherited = look.rows.iter().filter(|row| row.fate == Fate::Inherit);
    let rows: BTreeMap<String, &Row> =
        inherited.filter_map(|row| Some((stem(row.mine_installed()?), row))).collect();
    let start = look.trees.triples.partition_point(|t| tree::order(&t.path, INFO).is_lt());
    for triple in look.trees.triples[start..].iter().take_while(|t| t.path.starts_with(INFO)) {
        let name = tree::name(&triple.path).strip_suffix(b".md5sums").map(String::from_utf8_lossy);
        let Some((name, row)) = name.and_then(|name| rows.get_key_value(&*name)) else { continue };
        let (old, mine, new) = (triple.old.as_deref(), triple.mine.as_deref(), triple.new.as_deref());
        let (severity, rebase) = match change_by(old, mine, new, Object::same_content) {
            Change::Neither | Change::Theirs => continue,
            Change::Agreed => (Severity::Automatic, "takes the candidate's, it is the same build"),
            Change::Mine => (Severity::Harmless, "keeps your build, the candidate has what the base has"),
            Change::Conflict => (Severity::Decision, "takes the candidate's, and your build is gone"),
        };
        found.retain(|finding| !is_of(look, finding, name));
        let version = |package: Option<&crate::dpkg::status::Package>| {
            package.and_then(|package| package.version).unwrap_or("none").to_owned()
        };
        let finding = Finding::package(Class::P9, severity, row.name, rebase)
            .seen("version in the base and in the profile", version(row.mine))
            .seen("version in the candidate", version(row.new));
        found.push(match severity {
            Severity::Decision => finding
                .choice("build it again for the candidate with a version of its own: dch --local, debuild"),
            _ => finding,
        });
    }
}

/// Is it about a changed file of this package?
fn is_of(look: &Look, finding: &Finding, stem: &str) -> bool {
    let Subject::Path(path) = &finding.subject else { return false };
    matches!(finding.class, Class::F3 | Class::F4)
        && look.place(path).is_some_and(|place| look.owners.mine.of(place).any(|owner| owner == stem))
}
