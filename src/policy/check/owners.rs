//! Whose is a path? By the lists of each side, canonical through the merged /usr and through diversions.
//! Only paths of the upper are asked for, so only those are kept.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::dpkg::diversions::Diversion;
use crate::dpkg::file_list;
use crate::model::error::Result;
use crate::model::tree::{self, Tree, Triple};

use super::Hidden;

/// Names of packages as in info/ (`libc6:amd64`), each with the places it owns in the list of triples.
#[derive(Default)]
pub struct Owners {
    names: Vec<String>,
    /// A place and the number of a name, sorted.
    of: Vec<(u32, u32)>,
}

/// Paths and their places, see [`places`].
pub type Places<'a> = HashMap<Cow<'a, [u8]>, usize>;

impl Owners {
    /// `places`: see [`places`]; it must know the paths that are diverted on this side.
    pub fn read(tree: &dyn Tree, places: &Places, diversions: &[Diversion]) -> Result<Owners> {
        let mut owners = Owners::default();
        tree.texts(b"var/lib/dpkg/info", b".list", &mut |path, list| {
            let Some(stem) = tree::name(path).strip_suffix(b".list") else { return };
            let number = owners.names.len();
            owners.names.push(String::from_utf8_lossy(stem).into_owned());
            let package = stem.split(|b| *b == b':').next().unwrap_or(stem);
            file_list::find(list, places, |line, _, place| {
                let place = match lies_elsewhere(diversions, package, line) {
                    Some(to) => places.get(&*file_list::canonical(to)),
                    None => Some(place),
                };
                owners.of.extend(place.map(|place| (*place as u32, number as u32)));
            });
        })?;
        owners.of.sort_unstable();
        owners.of.dedup();
        Ok(owners)
    }

    /// The owners of the triple at this place, by their names in info/.
    pub fn of(&self, place: usize) -> impl Iterator<Item = &str> {
        let start = self.of.partition_point(|(at, _)| (*at as usize) < place);
        let here = self.of[start..].iter().take_while(move |(at, _)| *at as usize == place);
        here.map(|(_, number)| &*self.names[*number as usize])
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

/// Where a file of a package lies instead, relative to the root; `line` too. dpkg compares them as they are
/// written: a diversion of /lib/x is none of /usr/lib/x.
fn lies_elsewhere<'a>(diversions: &[Diversion<'a>], package: &[u8], line: &[u8]) -> Option<&'a [u8]> {
    let diverted = |d: &&Diversion<'a>| d.from.get(1..) == Some(line) && d.by != Some(package);
    diversions.iter().find(diverted).map(|diversion| &diversion.to[1..])
}

/// Every path of the upper and its place, behind those the hidden ones, and behind those `more`.
pub fn places<'a>(
    triples: &'a [Triple],
    hidden: &'a [Hidden],
    more: impl Iterator<Item = Vec<u8>>,
) -> Places<'a> {
    let paths = triples.iter().map(|triple| &triple.path).chain(hidden.iter().map(|hidden| &hidden.path));
    let mut places: Places = paths.enumerate().map(|(at, path)| (path.into(), at)).collect();
    for path in more {
        let next = places.len();
        places.entry(path.into()).or_insert(next);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tree::Object;

    /// Only the lists of a tree.
    struct Lists(&'static [(&'static str, &'static str)]);

    impl Tree for Lists {
        fn find(&self, _: &[u8]) -> Result<Option<Object>> {
            Ok(None)
        }

        fn text(&self, _: &[u8]) -> Result<Option<Vec<u8>>> {
            Ok(None)
        }

        fn below(&self, _: &[u8], _: &mut dyn FnMut(&[u8], &Object)) -> Result<()> {
            Ok(())
        }

        fn texts(&self, _: &[u8], _: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
            self.0.iter().for_each(|(path, text)| visit(path.as_bytes(), text.as_bytes()));
            Ok(())
        }
    }

    #[test]
    fn a_file_lies_where_its_name_as_it_is_written_is_diverted_to() {
        let lists = Lists(&[
            ("var/lib/dpkg/info/before.list", "/.\n/lib/x\n/lib/y\n"),
            ("var/lib/dpkg/info/after:amd64.list", "/usr/lib/x\n/usr/lib/y\n"),
            ("var/lib/dpkg/info/better.list", "/lib/x\n"),
        ]);
        let by = Some(&b"better"[..]);
        let diversions = [
            Diversion { from: b"/lib/x", to: b"/lib/x.real", by },
            Diversion { from: b"/usr/lib/y", to: b"/usr/lib/y.real", by: None },
        ];
        let paths = ["usr/lib/x", "usr/lib/y", "usr/lib/x.real", "usr/lib/y.real"];
        let places = places(&[], &[], paths.iter().map(|path| path.as_bytes().to_vec()));
        let owners = Owners::read(&lists, &places, &diversions).unwrap();
        let of = |path: &str| owners.of(places[path.as_bytes()]).collect::<Vec<_>>();
        assert_eq!(of("usr/lib/x"), ["after:amd64", "better"]);
        assert_eq!(of("usr/lib/x.real"), ["before"]);
        assert_eq!(of("usr/lib/y"), ["before"]);
        assert_eq!(of("usr/lib/y.real"), ["after:amd64"]);
    }
}
