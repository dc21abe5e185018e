//! What overlayfs and btrfs leave in an upper besides files: marks of features that must not be used (F17),
//! of the base that was below (F18), of overlays for users (F19), inode numbers (F20, F21), and what is no
//! file at all (F12, F22, F24).

use crate::model::difference::NodeKind;
use crate::model::tree::{Triple, name};
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::finding::{Finding, Severity, Subject};
use crate::policy::check::territory::{self, Territory};

/// With these, an upper belongs to one base for ever (kernel: overlayfs, "Changes to underlying filesystems").
const BOUND_TO_A_BASE: [&str; 3] =
    ["trusted.overlay.redirect", "trusted.overlay.metacopy", "trusted.overlay.upper"];
const ORIGIN: &str = "trusted.overlay.origin";
/// The inode number of a subvolume's top, and of the empty directory that stands for it in a snapshot.
const SUBVOLUME: u64 = 256;
const SUBVOLUME_IN_A_SNAPSHOT: u64 = 2;
const DEBRIS: [&[u8]; 3] = [b".dpkg-new", b".dpkg-tmp", b".ucf-new"];

/// Of the upper as a whole.
pub fn of_the_upper(look: &Look, found: &mut Vec<Finding>) {
    found.extend(origins(look));
    found.extend(mistaken(look));
    for stamp in ["etc/.updated", "var/.updated"] {
        let mine = look.triple(stamp.as_bytes()).is_some_and(|triple| triple.mine.is_some());
        if mine && !look.is_doctor() {
            let rebase =
                "removes it, so that the next start makes accounts, caches and links of the new base";
            found.push(Finding::path(Class::F12, Severity::Automatic, stamp.as_bytes(), rebase));
        }
    }
}

/// F18: one finding, however many there are: every copied-up file has one.
fn origins(look: &Look) -> Option<Finding> {
    let marked = look.trees.triples.iter().filter(|triple| triple.has_mark(ORIGIN)).count();
    (marked > 0 && !look.is_doctor()).then(|| {
        let named = Subject::Named(ORIGIN.to_owned());
        Finding::new(Class::F18, Severity::Automatic, named, "takes the marks away")
            .seen("paths that bear it", marked.to_string())
    })
}

/// F20: with inode numbers of both in one range, two files may seem to be one.
fn mistaken(look: &Look) -> Option<Finding> {
    let smallest = look.trees.triples.iter().filter(|t| t.inode > SUBVOLUME).min_by_key(|t| t.inode)?;
    let largest = look.trees.new_largest_inode;
    (largest >= smallest.inode).then(|| {
        let rebase = "is refused: dpkg would leave files behind without a word";
        Finding::path(Class::F20, Severity::Blocker, &smallest.path, rebase)
            .seen("smallest inode number of the profile", smallest.inode.to_string())
            .seen("largest inode number of the base", largest.to_string())
    })
}

/// Of one path.
pub fn of(triple: &Triple) -> Option<Finding> {
    let path = &triple.path[..];
    if let Some(mark) = triple.marks.iter().find(|mark| BOUND_TO_A_BASE.contains(&&***mark)) {
        let rebase = "is refused: another overlay wrote here, and over another base this is another file";
        return Some(Finding::path(Class::F17, Severity::Blocker, path, rebase).seen("mark", &**mark));
    }
    if let Some(mark) = triple.marks.iter().find(|mark| mark.starts_with("user.overlay.")) {
        let rebase =
            "is refused: these marks mean nothing in our mount, what is deleted would be there again";
        return Some(Finding::path(Class::F19, Severity::Blocker, path, rebase).seen("mark", &**mark));
    }
    let mine = triple.mine.as_ref()?;
    if mine.is_directory() && [SUBVOLUME, SUBVOLUME_IN_A_SNAPSHOT].contains(&triple.inode) {
        let rebase = "is refused: a snapshot does not hold what is in it";
        return Some(
            Finding::path(Class::F21, Severity::Blocker, path, rebase)
                .choice("make it a directory: move it away, cp -a it back"),
        );
    }
    if territory::of(path) == Territory::Hidden && !mine.is_directory() {
        let drops = "drops it: nobody sees it when the profile runs";
        return Some(Finding::path(Class::F24, Severity::Automatic, path, drops));
    }
    let special = !matches!(mine.kind, NodeKind::Directory | NodeKind::File | NodeKind::Link);
    if special || DEBRIS.iter().any(|ending| name(path).ends_with(ending)) {
        return Some(Finding::path(Class::F22, Severity::Harmless, path, "keeps it as it is"));
    }
    None
}
