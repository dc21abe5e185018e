//! What systemd starts (G8), link by link, and what deb-systemd-helper notes of it (G7). A link that is
//! there or not is the person's word when it is not as the old base had it.

use crate::dpkg::enablement::{self, Link};
use crate::model::error::Result;
use crate::model::tree::{self, Object, Tree, Triple};
use crate::policy::check::class::Class;
use crate::policy::check::finding::{Finding, Severity, readable};
use crate::policy::check::territory::{self, Territory};
use crate::policy::check::{Look, canonical};
use crate::policy::compare::{Change, change_by};

pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    let is_unit = |triple: &&Triple| {
        let near = triple.path.starts_with(b"etc/systemd/") || triple.path.starts_with(b"var/lib/systemd/");
        near && territory::of(&triple.path) == Territory::Units
    };
    for triple in look.trees.triples.iter().filter(is_unit) {
        let is_directory = triple.mine.as_ref().is_some_and(|mine| mine.is_directory());
        let hides_a_directory = triple.new.as_ref().is_some_and(|new| new.is_directory());
        if hides_a_directory && (!is_directory || triple.opaque) {
            hidden(look, &triple.path, found);
        }
        if is_directory || (triple.is_whiteout() && hides_a_directory) {
            continue;
        }
        match place_of(&triple.path) {
            Some((dir, inside)) => found.extend(link(look, triple, dir, inside)?),
            None => found.extend(note(triple)),
        }
    }
    Ok(())
}

/// One of the directories with links, and the path below it.
fn place_of(path: &[u8]) -> Option<(&'static str, &[u8])> {
    let below = |dir: &&str| path.strip_prefix(dir.as_bytes())?.strip_prefix(b"/");
    enablement::DIRECTORIES.iter().find_map(|dir| Some((*dir, below(dir)?)))
}

/// Links the candidate has for the first time, below something that hides them.
fn hidden(look: &Look, dir: &[u8], found: &mut Vec<Finding>) {
    for (hidden, _) in look.hidden_below(dir) {
        let is_new = hidden.old.is_none() && hidden.new.as_ref().is_some_and(|new| new.is_link());
        if is_new && place_of(&hidden.path).is_some() {
            found.push(shows(&hidden.path));
        }
    }
}

fn shows(path: &[u8]) -> Finding {
    let shows = "shows it, what was disabled here was another";
    Finding::path(Class::G8, Severity::Automatic, path, shows)
        .seen("enabled for the first time in", "the candidate")
}

fn link(look: &Look, triple: &Triple, dir: &str, inside: &[u8]) -> Result<Option<Finding>> {
    let path = &triple.path[..];
    let (old, mine, new) = (triple.old.as_deref(), triple.mine.as_deref(), triple.new.as_deref());
    match change_by(old, mine, new, |a, b| same(inside, a, b)) {
        Change::Theirs => return Ok(Some(outdated(path, mine, new))),
        Change::Conflict if mine.is_some() && new.is_some() => {
            let finding = Finding::path(Class::G8, Severity::Decision, path, "keeps yours")
                .seen("profile has", shown(mine))
                .seen("candidate has", shown(new));
            return Ok(Some(finding));
        }
        _ => {}
    }
    let Some(target) = mine.and_then(|mine| mine.target.as_deref()) else { return Ok(None) };
    let Some(link) = enablement::link(inside, target) else { return Ok(None) };
    let here = is_there(look.trees.mine, dir, path, target, &link)?;
    if !here || is_there(look.trees.exchanged, dir, path, target, &link)? {
        return Ok(None);
    }
    let keeps = "keeps the link; there is nothing to start any more";
    Ok(Some(
        Finding::path(Class::G8, Severity::Decision, path, keeps)
            .seen("unit that the candidate lacks", readable(unit(&link)))
            .choice(format!("disable it: systemctl disable {}", readable(unit(&link)))),
    ))
}

/// Only the candidate changed it, and the profile has a copy of what was before.
fn outdated(path: &[u8], mine: Option<&Object>, new: Option<&Object>) -> Finding {
    let Some(_) = mine else { return shows(path) };
    let takes = match new {
        Some(_) => "takes the candidate's",
        None => "drops the copy, the candidate has it no more",
    };
    Finding::path(Class::G8, Severity::Automatic, path, takes)
        .seen("profile has", shown(mine))
        .seen("candidate has", shown(new))
}

fn shown(object: Option<&Object>) -> String {
    match object {
        None => "nothing".to_owned(),
        Some(object) => match &object.target {
            Some(target) => format!("a link to {}", readable(target)),
            None => object.kind.name().to_owned(),
        },
    }
}

/// Of a link in a .wants directory only the name counts; of any other where it leads, whatever way /usr
/// is written.
fn same(inside: &[u8], a: &Object, b: &Object) -> bool {
    match (&a.target, &b.target) {
        (Some(a), Some(b)) => match (enablement::link(inside, a), enablement::link(inside, b)) {
            (Some(Link::Pulled { .. }), Some(Link::Pulled { .. })) => true,
            _ => canonical(a) == canonical(b),
        },
        _ => a.same_content(b),
    }
}

fn unit<'a>(link: &Link<'a>) -> &'a [u8] {
    match link {
        Link::Pulled { unit, .. } | Link::Masked { unit } | Link::Linked { unit } => unit,
        Link::Alias { unit, .. } => unit,
    }
}

/// Has this tree what the link is about? Where systemd looks for units (systemd.unit(5), "Unit File Load
/// Path"), or where the link leads.
fn is_there(tree: &dyn Tree, dir: &str, path: &[u8], target: &[u8], link: &Link) -> Result<bool> {
    if matches!(link, Link::Masked { .. }) {
        return Ok(true);
    }
    if !matches!(link, Link::Pulled { .. }) {
        let at = match target.starts_with(b"/") {
            true => canonical(target),
            false => resolved(tree::parent(path), target),
        };
        return Ok(tree.find(&at)?.is_some());
    }
    let kind = dir.rsplit('/').next().unwrap_or(dir);
    let name = unit(link);
    let names = [Some(name.to_vec()), enablement::template(name)];
    for name in names.into_iter().flatten() {
        for place in ["etc", "usr/local/lib", "usr/lib"] {
            let at = [format!("{place}/systemd/{kind}/").as_bytes(), &name].concat();
            if tree.find(&at)?.is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// A relative target, as it lies from the directory of the link.
fn resolved(dir: &[u8], target: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = dir.split(|b| *b == b'/').filter(|part| !part.is_empty()).collect();
    for part in target.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    canonical(&parts.join(&b'/'))
}

/// G7: notes of deb-systemd-helper, as plain files.
fn note(triple: &Triple) -> Option<Finding> {
    let (old, mine, new) = (triple.old.as_deref(), triple.mine.as_deref(), triple.new.as_deref());
    let (severity, rebase) = match change_by(old, mine, new, Object::same_content) {
        Change::Theirs if new.is_some() => (Severity::Automatic, "takes the candidate's note"),
        Change::Theirs => (Severity::Automatic, "drops the copy, the candidate has no such note any more"),
        Change::Conflict if mine.is_some() && new.is_some() => {
            (Severity::Automatic, "keeps the profile's note, which goes with its links")
        }
        _ => return None,
    };
    Some(Finding::path(Class::G7, severity, &triple.path, rebase))
}
