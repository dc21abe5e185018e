//! Owners and modes that dpkg-statoverride keeps (G2): the profile's and the candidate's together. dpkg
//! does not run when a name in them is no account.

use std::collections::{BTreeMap, BTreeSet};

use crate::dpkg::statoverride::{Override, Owner};
use crate::model::error::Result;
use crate::model::tree::Object;
use crate::policy::check::accounts::{self, merge::Kind};
use crate::policy::check::class::Class;
use crate::policy::check::finding::{Finding, Severity, readable};
use crate::policy::check::owners::Owned;
use crate::policy::check::side::{STATOVERRIDE, Side};
use crate::policy::check::{Look, canonical};
use crate::policy::compare::{Change, change};

type Records<'a> = BTreeMap<Vec<u8>, Override<'a>>;

pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    let (old, mine, new) = (records(look.old), records(look.mine), records(look.new));
    let paths: BTreeSet<&Vec<u8>> = old.keys().chain(mine.keys()).chain(new.keys()).collect();
    if paths.is_empty() {
        return Ok(());
    }
    let names = accounts::merged_names(look)?;
    let is_in_the_upper = look.triple(STATOVERRIDE.as_bytes()).is_some();
    for path in paths {
        let sides @ [_, own, theirs] = [old.get(path), mine.get(path), new.get(path)];
        let what = change(sides[0], own, theirs);
        let merged = if matches!(what, Change::Mine | Change::Conflict) { own } else { theirs };
        let unknown = merged.map(|record| unknown(record, &names)).unwrap_or_default();
        if !unknown.is_empty() {
            found.push(nobody(path, merged.expect("it names somebody"), unknown));
            continue;
        }
        match (what, own) {
            (Change::Conflict, Some(own)) => found.push(both(path, own, theirs)),
            (Change::Theirs, _) if is_in_the_upper => {
                found.push(finding(
                    Severity::Automatic,
                    path,
                    "takes the candidate's record",
                    merged.or(own),
                ));
            }
            (Change::Mine | Change::Agreed | Change::Neither, Some(own)) => {
                found.extend(outdated(look, path, own)?);
            }
            _ => {}
        }
    }
    Ok(())
}

fn records<'a>(side: &Side<'a>) -> Records<'a> {
    side.statoverride.iter().map(|record| (canonical(record.path), *record)).collect()
}

/// `root mail 2750`
fn shown(record: &Override) -> String {
    let name = |owner: Owner| match owner {
        Owner::Name(name) => readable(name),
        Owner::Number(number) => format!("#{number}"),
    };
    format!("{} {} {:o}", name(record.user), name(record.group), record.mode)
}

fn finding(severity: Severity, path: &[u8], rebase: &str, record: Option<&Override>) -> Finding {
    let finding = Finding::path(Class::G2, severity, path, rebase);
    match record {
        Some(record) => finding.seen("owner, group and mode", shown(record)),
        None => finding,
    }
}

fn unknown(record: &Override, names: &accounts::Names) -> Vec<(&'static str, String)> {
    let owners = [("user", Kind::User, record.user), ("group", Kind::Group, record.group)];
    let missing = |(what, kind, owner)| match owner {
        Owner::Name(name) if !names.contains(&(kind, name.to_vec())) => Some((what, readable(name))),
        _ => None,
    };
    owners.into_iter().filter_map(missing).collect()
}

fn nobody(path: &[u8], record: &Override, unknown: Vec<(&'static str, String)>) -> Finding {
    let refused = "is refused: dpkg does not run with an owner there that is no account";
    let mut finding = finding(Severity::Blocker, path, refused, Some(record));
    for (what, name) in unknown {
        finding = finding.seen("no account", format!("{what} {name}"));
    }
    finding.choice(format!("take it away first: dpkg-statoverride --remove {}", readable(record.path)))
}

fn both(path: &[u8], own: &Override, theirs: Option<&Override>) -> Finding {
    let finding = finding(Severity::Decision, path, "keeps yours", Some(own));
    finding.seen("in the candidate", theirs.map_or("no record of it".to_owned(), shown))
}

/// The profile's file is the old base's with another owner or mode, and the candidate has another one.
fn outdated(look: &Look, path: &[u8], own: &Override) -> Result<Option<Finding>> {
    let Some(place) = look.place(path) else { return new_file(look, path, own) };
    let triple = &look.trees.triples[place];
    let (Some(mine), Some(old), Some(new)) = (&triple.mine, &triple.old, &triple.new) else {
        return Ok(None);
    };
    if look.owned(place) == Owned::Kept || old.same_content(new) {
        return Ok(None);
    }
    let (severity, takes) = match mine.same_content(old) || mine.same_content(new) {
        true => (Severity::Automatic, "takes the candidate's content with this owner and mode"),
        false => {
            (Severity::Decision, "takes the candidate's content with this owner and mode, and saves yours")
        }
    };
    Ok(Some(finding(severity, path, takes, Some(own))))
}

/// The record waited for a file, and the candidate brings it.
fn new_file(look: &Look, path: &[u8], own: &Override) -> Result<Option<Finding>> {
    let is_new = look.trees.old.find(path)?.is_none();
    let other = |new: &Object| u32::from(new.mode) != own.mode;
    let new = look.trees.new.find(path)?.filter(|new| is_new && other(new));
    let gives = "gives the candidate's file this owner and mode";
    Ok(new.map(|_| finding(Severity::Automatic, path, gives, Some(own))))
}
