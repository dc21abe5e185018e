//! Who this machine is (classes A6-A9): its names and places, and secrets that nobody else may have. What the
//! profile has of them is its own and stays, so little of this is anybody's conflict.

use crate::model::error::Result;
use crate::model::tree::{self, Object, Triple};

use super::Look;
use super::class::Class;
use super::finding::{Finding, Severity};

/// Directories with private keys, and how their names end.
const KEYS: [(&[u8], &[&[u8]]); 4] = [
    (b"etc/ssl/private", &[b".key", b".pem"]),
    (b"etc/wireguard", &[b".conf", b".key"]),
    (b"etc/ipsec.d/private", &[b""]),
    (b"etc/swanctl/private", &[b""]),
];
/// Names and places that each machine sets for itself, and whether a change of the candidate's matters to it.
const PLACES: [(&[u8], Matters); 6] = [
    (b"etc/fstab", Matters::Perhaps),
    (b"etc/crypttab", Matters::Perhaps),
    (b"etc/hosts", Matters::Perhaps),
    (b"etc/resolv.conf", Matters::No),
    (b"etc/localtime", Matters::No),
    (b"etc/timezone", Matters::No),
];

#[derive(Clone, Copy, PartialEq)]
enum Matters {
    Perhaps,
    No,
}

pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    for (dir, _) in KEYS {
        let mut keys = Vec::new();
        look.trees.new.below(dir, &mut |path, object| {
            if object.is_file() && is_key(path) {
                keys.push((path.to_vec(), object.clone()));
            }
        })?;
        for (path, key) in keys {
            found.extend(shared_key(look, &path, &key)?);
        }
    }
    Ok(())
}

fn is_key(path: &[u8]) -> bool {
    let ends = |endings: &[&[u8]]| endings.iter().any(|ending| tree::name(path).ends_with(ending));
    KEYS.iter().any(|(dir, endings)| tree::is_below(path, dir) && ends(endings))
}

/// A7: a key that comes with the candidate is every device's that has it. The profile's own stays.
fn shared_key(look: &Look, path: &[u8], key: &Object) -> Result<Option<Finding>> {
    let known = look.trees.old.find(path)?.is_some_and(|old| old.same_content(key));
    let is_own = look
        .triple(path)
        .is_some_and(|triple| triple.mine.as_ref().is_none_or(|mine| !mine.same_content(key)));
    if is_own || (known && !look.is_doctor()) {
        return Ok(None);
    }
    let takes = match look.is_doctor() {
        true => "leaves it: whoever has this base has this key",
        false => "takes the candidate's: whoever has that base has this key",
    };
    let finding = Finding::path(Class::A7, Severity::Decision, path, takes);
    Ok(Some(match path {
        b"etc/ssl/private/ssl-cert-snakeoil.key" => {
            finding.choice("make one of your own: make-ssl-cert generate-default-snakeoil --force-overwrite")
        }
        _ => finding.choice("make a key of your own in its place"),
    }))
}

/// A7, A8: is what all three have differently a thing of this machine? Then it stays, and the person is told
/// where the candidate's may matter.
pub fn of_this_machine(triple: &Triple) -> Option<Finding> {
    if is_key(&triple.path) {
        let keeps = "keeps yours, it is of this machine";
        return Some(Finding::path(Class::A7, Severity::Harmless, &triple.path, keeps));
    }
    let (_, matters) = PLACES.iter().find(|(path, _)| *path == triple.path)?;
    let (severity, keeps) = match matters {
        Matters::Perhaps => {
            (Severity::Decision, "keeps yours; look whether you want what the candidate's says")
        }
        Matters::No => (Severity::Harmless, "keeps yours, it is of this machine"),
    };
    Some(Finding::path(Class::A8, severity, &triple.path, keeps))
}
