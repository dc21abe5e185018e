//! Files (classes F): what the upper has in the place of what the bases have. Each path by the first rule
//! that is about it; what another territory rules, and what goes or stays with a package of the profile's
//! own, is nothing of ours.

use crate::dpkg::filters::Filters;
use crate::model::error::Result;
use crate::model::tree::{Object, Triple};

use super::Look;
use super::finding::Finding;
use super::owners::Owned;
use super::territory::{self, Territory};

mod content;
mod deleted;
mod directories;
mod marks;

pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    let filters = filters(look)?;
    marks::of_the_upper(look, found);
    for (place, triple) in look.trees.triples.iter().enumerate() {
        found.extend(marks::of(triple));
        let of_files = territory::of(&triple.path) == Territory::Files;
        if of_files && triple.is_whiteout() && triple.new.is_none() {
            found.push(deleted::hides_nothing(triple));
            continue;
        }
        if !of_files || look.conffiles.contains(&triple.path) || look.overruled.contains(&triple.path) {
            continue; // these are decided by rules of their own
        }
        let owned = look.owned(place);
        match &triple.mine {
            None => found.extend(deleted::whiteout(look, &filters, place, owned)),
            Some(mine) if mine.is_directory() => directories::find(look, place, mine, found),
            Some(mine) if takes_a_directory(triple) => {
                found.extend(directories::in_its_place(look, place, mine, owned));
            }
            Some(mine) => found.extend(content::find(look, triple, mine, owned)?),
        }
    }
    content::parted_names(look, found)
}

fn takes_a_directory(triple: &Triple) -> bool {
    triple.new.as_ref().is_some_and(|new| new.is_directory())
}

/// What dpkg is told to leave out in this profile.
pub fn filters(look: &Look) -> Result<Filters> {
    let mut filters = Filters::default();
    filters.add(&look.trees.mine.text(b"etc/dpkg/dpkg.cfg")?.unwrap_or_default());
    look.trees.mine.texts(b"etc/dpkg/dpkg.cfg.d", b"", &mut |_, text| filters.add(text))?;
    Ok(filters)
}

/// Something that runs or is linked by what runs: an old one of these breaks others.
fn is_code(path: &[u8], object: &Object) -> bool {
    const PLACES: [&[u8]; 6] =
        [b"usr/bin/", b"usr/sbin/", b"usr/lib", b"usr/libexec/", b"usr/games/", b"opt/"];
    let runs = object.mode & 0o111 != 0 || crate::model::tree::name(path).windows(3).any(|w| w == b".so");
    object.is_file() && runs && PLACES.iter().any(|place| path.starts_with(place))
}

/// Does a package of the candidate own what is at this place?
fn candidate_owns(look: &Look, place: usize) -> bool {
    look.owners.new.of(place).next().is_some()
}

/// Does it go or stay with a package of the profile's own?
fn follows_a_package(owned: Owned) -> bool {
    matches!(owned, Owned::Kept | Owned::Superseded | Owned::Removed)
}
