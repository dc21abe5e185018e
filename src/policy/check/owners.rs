//! Whose is a path? By the lists of each side, canonical through the merged /usr and through diversions.
//! Only paths of the upper are asked for, so only those are kept.

use std::collections::HashMap;

use crate::dpkg::file_list;
use crate::model::error::Result;
use crate::model::tree::{self, Tree, Triple};

use super::Hidden;

/// Names of packages as in info/ (`libc6:amd64`), each with the places it owns in the list of triples.
#[derive(Default)]
pub struct Owners {
    names: Vec<String>,
    of: HashMap<usize, Vec<usize>>,
}

impl Owners {
    /// `wanted`: every path of the upper and its place.
    pub fn read(tree: &dyn Tree, wanted: &HashMap<Vec<u8>, usize>) -> Result<Owners> {
        let mut owners = Owners::default();
        tree.texts(b"var/lib/dpkg/info", b".list", &mut |path, list| {
            let Some(stem) = tree::name(path).strip_suffix(b".list") else { return };
            let number = owners.names.len();
            owners.names.push(String::from_utf8_lossy(stem).into_owned());
            file_list::find(list, wanted, |_, place| {
                let of = owners.of.entry(*place).or_default();
                if !of.contains(&number) {
                    of.push(number);
                }
            });
        })?;
        Ok(owners)
    }

    /// The owners of the triple at this place, by their names in info/.
    pub fn of(&self, place: usize) -> impl Iterator<Item = &str> {
        self.of.get(&place).into_iter().flatten().map(|number| &*self.names[*number])
    }
}

/// Who owns a path of the upper, as it decides what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owned {
    /// A package of the profile's own stays, and the path with it.
    Kept,
    /// Only packages of the profile whose place the candidate's take: the path goes with them.
    Superseded,
    /// A package as the base has it.
    Base,
    /// A package that is not installed in the profile (any more), of one of the bases.
    Removed,
    Nobody,
}

/// Every path of the upper and its place, and behind those the hidden ones.
pub fn places(triples: &[Triple], hidden: &[Hidden]) -> HashMap<Vec<u8>, usize> {
    let paths = triples.iter().map(|triple| &triple.path).chain(hidden.iter().map(|hidden| &hidden.path));
    paths.enumerate().map(|(at, path)| (path.clone(), at)).collect()
}
