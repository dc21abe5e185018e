//! The merged package database, byte by byte: what dpkg would find in a profile on the candidate. Its own
//! tools are asked about it before anything moves, and rebase writes it.

use crate::dpkg::status::{Package, Want};

use super::fates::Row;

/// A status file: the paragraphs of the merge, sorted as dpkg sorts them.
pub fn status(rows: &[Row]) -> Vec<u8> {
    let mut merged: Vec<_> = rows.iter().filter_map(|row| Some((row.merged()?, row))).collect();
    merged.sort_by_key(|(package, _)| (package.name, package.architecture));
    let mut text = Vec::new();
    for (package, row) in merged {
        text.extend(paragraph(package, want(row, package)));
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

/// As it is in its file, but for the first word of Status.
fn paragraph(package: &Package, want: Want) -> Vec<u8> {
    if package.want == want {
        return package.paragraph().to_vec();
    }
    let mut text = Vec::with_capacity(package.paragraph().len() + 8);
    for field in package.fields() {
        match field.is("Status") {
            true => text.extend(
                format!("Status: {} {} {}", want.name(), package.flag.name(), package.state.name()).bytes(),
            ),
            false => text.extend([field.name, b":", field.raw].concat()),
        }
        text.push(b'\n');
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
        String::from_utf8(status(&[row])).unwrap()
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
