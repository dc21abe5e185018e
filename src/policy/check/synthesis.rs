//! The merged package database, byte by byte: what dpkg would find in a profile on the candidate. Its own
//! tools are asked about it before anything moves, and rebase writes it.

use std::collections::BTreeMap;
use std::mem::take;

use crate::dpkg::status::{Package, Want};

use super::fates::Row;

const AFTER_CONFFILES: [&str; 3] = ["Description", "Triggers-Pending", "Triggers-Awaited"];

/// Lines of the field Conffiles, each with the blank it begins with and no newline, by the name and the
/// architecture of the package: what it does not ship any more and the person keeps.
pub type Obsolete<'a> = BTreeMap<(&'a str, &'a str), Vec<Vec<u8>>>;

/// A status file: the paragraphs of the merge, sorted as dpkg sorts them.
pub fn status(rows: &[Row], obsolete: &Obsolete) -> Vec<u8> {
    let mut merged: Vec<_> = rows.iter().filter_map(|row| Some((row.merged()?, row))).collect();
    merged.sort_by_key(|(package, _)| (package.name, package.architecture));
    let mut text = Vec::new();
    for (package, row) in merged {
        let lines = obsolete.get(&(row.name, row.architecture)).map_or(&[][..], Vec::as_slice);
        text.extend(paragraph(package, want(row, package), lines));
        text.push(b'\n');
    }
    text
}

/// What somebody wants of a package (install, hold, ...) is the profile's word where it was given there.
fn want(row: &Row, merged: &Package) -> Want {
    let Some(mine) = row.mine_installed() else { return merged.want };
    match row.old {
        Some(old) if old.want == mine.want => merged.want,
        _ => mine.want,
    }
}

/// As it is in its file, but for the first word of Status and for what is obsolete.
fn paragraph(package: &Package, want: Want, obsolete: &[Vec<u8>]) -> Vec<u8> {
    if package.want == want && obsolete.is_empty() {
        return package.paragraph().to_vec();
    }
    let mut obsolete: Vec<u8> = obsolete.iter().flat_map(|line| [&b"\n"[..], line].concat()).collect();
    let mut text = Vec::with_capacity(package.paragraph().len() + 8);
    for field in package.fields() {
        if field.is("Status") {
            let words = format!("Status: {} {} {}", want.name(), package.flag.name(), package.state.name());
            text.extend(words.bytes());
        } else {
            // dpkg writes Conffiles before what the archive says of a package (lib/dpkg/parse.c, fieldinfos).
            let lines = if AFTER_CONFFILES.iter().any(|name| field.is(name)) {
                take(&mut obsolete)
            } else {
                Vec::new()
            };
            if !lines.is_empty() {
                text.extend([b"Conffiles:", &lines[..], b"\n"].concat());
            }
            text.extend([field.name, b":", field.raw].concat());
            if field.is("Conffiles") {
                text.extend(take(&mut obsolete));
            }
        }
        text.push(b'\n');
    }
    if !obsolete.is_empty() {
        text.extend([b"Conffiles:", &obsolete[..], b"\n"].concat());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dpkg::Status;
    use crate::policy::check::fates::Fate;

    const OLD: &str =
        "Package: x\nStatus: install ok installed\nArchitecture: all\nVersion: 1\nDescription: a\n b\n\n";

    fn merge(mine: &str, new: &str, fate: Fate) -> String {
        let texts = [OLD, mine, new];
        let parsed = texts.map(|text| Status::parse(text.as_bytes()).unwrap());
        let [old, mine, new] = [0, 1, 2].map(|at: usize| parsed[at].packages.first());
        let row = Row { name: "x", architecture: "all", old, mine, new, fate };
        String::from_utf8(status(&[row], &Obsolete::new())).unwrap()
    }

    #[test]
    fn what_is_obsolete_stands_where_dpkg_writes_it() {
        let line = " /etc/a b 0123456789abcdef0123456789abcdef obsolete";
        let with = |text: &str| {
            let parsed = Status::parse(text.as_bytes()).unwrap();
            let new = parsed.packages.first();
            let row = Row { name: "x", architecture: "all", old: new, mine: new, new, fate: Fate::Inherit };
            let obsolete = Obsolete::from([(("x", "all"), vec![line.as_bytes().to_vec()])]);
            String::from_utf8(status(&[row], &obsolete)).unwrap()
        };
        let conffiles =
            |lines: &str| OLD.replace("Description", &format!("Conffiles:\n{lines}\nDescription"));
        assert_eq!(with(OLD), conffiles(line));
        let own = " /etc/b 0123456789abcdef0123456789abcdef";
        assert_eq!(with(&conffiles(own)), conffiles(&format!("{own}\n{line}")));
        let bare = OLD.replace("Description: a\n b\n", "");
        assert_eq!(
            with(&bare),
            format!("{}Conffiles:\n{line}\n\n", bare.trim_end_matches('\n').to_owned() + "\n")
        );
    }

    #[test]
    fn a_hold_of_the_profile_stays_and_one_of_the_base_goes_as_the_base_has_it() {
        let new = OLD.replace("Version: 1", "Version: 2");
        let hold = |text: &str| text.replace("install ok", "hold ok");
        assert_eq!(merge(OLD, &new, Fate::Inherit), new);
        assert_eq!(merge(&hold(OLD), &new, Fate::Inherit), hold(&new));
        assert_eq!(merge(OLD, &hold(&new), Fate::Inherit), hold(&new));
        assert_eq!(merge(&hold(OLD), &new, Fate::Superseded), hold(&new));
        assert_eq!(merge(&hold(OLD), "", Fate::Keep), hold(OLD));
        assert_eq!(merge("", &new, Fate::Restored), new);
        assert_eq!(merge(OLD, "", Fate::Dropped), "");
    }
}
