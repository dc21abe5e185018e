//! Files and links in the place of the base's (F1-F4, F15, F16), and the names of one file that were
//! parted (F13).

use std::collections::{BTreeMap, BTreeSet};

use crate::model::error::Result;
use crate::model::tree::{Object, Triple};
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::decided::Answer;
use crate::policy::check::finding::{Finding, Severity, Subject, readable};
use crate::policy::check::identity;
use crate::policy::check::owners::Owned;
use crate::policy::compare::{Change, change_by};

use super::{follows_a_package, is_code};

/// Where overlayfs keeps the flags `i` and `a` that chattr(1) sets through it (fs/overlayfs/util.c).
const FLAGS: &str = "trusted.overlay.protattr";

/// The other ways than what is done unasked.
const KEEPS: (Answer, &str) = (Answer::Keep, "keeps yours, until an upgrade of its package");
const TAKES: (Answer, &str) = (Answer::New, "takes the candidate's, and saves yours");

pub fn find(look: &Look, triple: &Triple, mine: &Object, owned: Owned) -> Result<Option<Finding>> {
    if follows_a_package(owned) {
        return Ok(None);
    }
    let (old, new) = (triple.old.as_deref(), triple.new.as_deref());
    let finding = match old {
        Some(old) if mine.same(old) && !triple.has_mark(FLAGS) => Some(stale(triple)),
        Some(old) if mine.same_content(old) => Some(metadata_only(look, triple, mine, old)),
        Some(_) if owned == Owned::Base => Some(changed(triple, mine)),
        Some(_) => generated(triple),
        None => new.map(|new| shipped_now(triple, mine, new)),
    };
    finding.map(|finding| finding.offers_merge(look, &triple.path, &triple.path)).transpose()
}

/// F1: a copy of what the old base has, which hides whatever the candidate has in its place.
fn stale(triple: &Triple) -> Finding {
    let hides = match (&triple.old, &triple.new) {
        (Some(old), Some(new)) if old.same_content(new) => "the same in the candidate",
        (_, Some(_)) => "another content in the candidate",
        (_, None) => "nothing in the candidate",
    };
    Finding::path(Class::F1, Severity::Automatic, &triple.path, "drops the copy").seen("it would hide", hides)
}

/// F2
fn metadata_only(look: &Look, triple: &Triple, mine: &Object, old: &Object) -> Finding {
    let takes = match &triple.new {
        _ if look.is_doctor() => {
            let keeps = "keeps them, and has the next base's content below them";
            let finding = Finding::path(Class::F2, Severity::Harmless, &triple.path, keeps);
            return with_flags(differences(finding, old, mine), triple);
        }
        Some(_) => "takes the candidate's content and changes the same attributes on it",
        None => "drops it, the candidate has no such file",
    };
    let finding = Finding::path(Class::F2, Severity::Automatic, &triple.path, takes);
    with_flags(differences(finding, old, mine), triple)
}

fn with_flags(finding: Finding, triple: &Triple) -> Finding {
    if triple.has_mark(FLAGS) { finding.seen("flags of chattr", "set") } else { finding }
}

/// What of the attributes is not the same, as evidence: before and now.
fn differences(mut finding: Finding, old: &Object, mine: &Object) -> Finding {
    if old.mode != mine.mode {
        finding = finding.seen("mode", format!("{:04o}, was {:04o}", mine.mode, old.mode));
    }
    if (old.uid, old.gid) != (mine.uid, mine.gid) {
        let text = format!("{}:{}, was {}:{}", mine.uid, mine.gid, old.uid, old.gid);
        finding = finding.seen("owner and group", text);
    }
    if let (Some(old), Some(mine)) = (&old.xattrs, &mine.xattrs) {
        let names: BTreeSet<_> = old.keys().chain(mine.keys()).collect();
        let changed: Vec<String> = names
            .into_iter()
            .filter(|name| old.get(*name) != mine.get(*name))
            .map(|name| readable(name))
            .collect();
        if !changed.is_empty() {
            finding = finding.seen("attributes", changed.join(", "));
        }
    }
    finding
}

/// F3, F4: somebody changed a file of a package, past dpkg.
fn changed(triple: &Triple, mine: &Object) -> Finding {
    let class = if is_code(&triple.path, mine) { Class::F4 } else { Class::F3 };
    let finding = match three_way(triple) {
        Change::Agreed | Change::Neither | Change::Theirs => Finding::path(
            Class::F3,
            Severity::Automatic,
            &triple.path,
            "drops yours, the candidate has the same",
        ),
        Change::Mine => {
            let keeps = "keeps yours, the candidate has what the base has";
            Finding::path(class, Severity::Harmless, &triple.path, keeps)
        }
        Change::Conflict => {
            let path = readable(&triple.path);
            let takes = match triple.new {
                Some(_) => "takes the candidate's, as an upgrade of its package would, and saves yours",
                None => "takes it away, as an upgrade of its package would, and saves yours",
            };
            Finding::path(class, Severity::Decision, &triple.path, takes)
                .decides(Answer::New, &[KEEPS])
                .choice(format!(
                    "keep yours for good: dpkg-divert --local --rename --add /{path}, and put it back"
                ))
        }
    };
    hashes(finding, triple)
}

/// F16: of no package, made by a program or by whoever built the base. Changed on one side only it is
/// nobody's conflict.
fn generated(triple: &Triple) -> Option<Finding> {
    let (severity, rebase) = match three_way(triple) {
        Change::Agreed => (Severity::Automatic, "drops yours, the candidate has the same"),
        Change::Conflict if triple.new.is_some() => (Severity::Decision, "keeps yours"),
        _ => return None,
    };
    let own = identity::of_this_machine(triple).filter(|_| severity == Severity::Decision);
    let finding = own.unwrap_or(Finding::path(Class::F16, severity, &triple.path, rebase));
    Some(hashes(takes_yours_away(finding), triple))
}

/// Kept unasked.
fn takes_yours_away(finding: Finding) -> Finding {
    match finding.severity {
        Severity::Decision => finding.decides(Answer::Keep, &[TAKES]),
        _ => finding,
    }
}

/// F15: a local file where the candidate has one for the first time.
fn shipped_now(triple: &Triple, mine: &Object, new: &Object) -> Finding {
    if mine.same(new) {
        let drops = "drops yours, the candidate has the same";
        return Finding::path(Class::F15, Severity::Automatic, &triple.path, drops);
    }
    if let Some(finding) = identity::of_this_machine(triple) {
        return hashes(takes_yours_away(finding), triple);
    }
    let below_usr = triple.path.starts_with(b"usr/") && !triple.path.starts_with(b"usr/local/");
    let path = readable(&triple.path);
    let finding = match below_usr {
        true => Finding::path(
            Class::F15,
            Severity::Decision,
            &triple.path,
            "takes the candidate's, as dpkg would, and saves yours",
        )
        .decides(Answer::New, &[KEEPS])
        .choice(format!("move yours below /usr/local: mv /{path} /usr/local/...")),
        false => Finding::path(
            Class::F15,
            Severity::Decision,
            &triple.path,
            "keeps yours, and puts the candidate's beside it as .dpkg-dist",
        )
        .decides(Answer::Keep, &[TAKES]),
    };
    hashes(finding, triple)
}

fn three_way(triple: &Triple) -> Change {
    let (old, mine, new) = (triple.old.as_deref(), triple.mine.as_deref(), triple.new.as_deref());
    change_by(old, mine, new, Object::same_content)
}

/// Which content each side has.
fn hashes(mut finding: Finding, triple: &Triple) -> Finding {
    for (what, object) in
        [("base has", &triple.old), ("profile has", &triple.mine), ("candidate has", &triple.new)]
    {
        finding = finding.seen(what, object.as_deref().map_or("nothing".into(), content));
    }
    finding
}

/// A hash, a target or a kind, short.
fn content(object: &Object) -> String {
    if let Some(target) = &object.target {
        return format!("a link to {}", readable(target));
    }
    match (&object.sha256, object.size) {
        (Some(hash), _) => {
            let hex: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
            format!("sha256 {hex}...")
        }
        (None, Some(size)) => format!("another content of {size} bytes"),
        (None, None) => object.kind.name().to_owned(),
    }
}

/// F13: the base has one file with several names, and the profile has a copy under some of them only.
pub fn parted_names(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    let linked =
        |triple: &&Triple| triple.mine.is_some() && triple.old.as_ref().is_some_and(|o| o.linked.is_some());
    let parted: Vec<&Triple> = look.trees.triples.iter().filter(linked).collect();
    if parted.is_empty() {
        return Ok(());
    }
    let mut names: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
    look.trees.old.below(b"", &mut |path, object| {
        if let Some(number) = object.linked {
            names.entry(number).or_default().push(path.to_vec());
        }
    })?;
    for triple in parted {
        let number = triple.old.as_ref().and_then(|old| old.linked).unwrap_or_default();
        let others = names.get(&number).into_iter().flatten().filter(|name| **name != triple.path);
        let left: Vec<String> =
            others.filter(|name| look.triple(name).is_none()).map(|n| readable(n)).collect();
        if !left.is_empty() {
            let finding = match look.is_doctor() && !found.iter().any(|other| is_stale(other, triple)) {
                true => {
                    let leaves = "leaves them parted: this one is not what the base has";
                    Finding::path(Class::F13, Severity::Harmless, &triple.path, leaves)
                }
                false => {
                    let decides = "decides the same for all names of the file";
                    Finding::path(Class::F13, Severity::Automatic, &triple.path, decides)
                }
            };
            found.push(finding.seen("names only the base has", left.join(", ")));
        }
    }
    Ok(())
}

fn is_stale(finding: &Finding, triple: &Triple) -> bool {
    finding.class == Class::F1 && matches!(&finding.subject, Subject::Path(path) if *path == triple.path)
}
