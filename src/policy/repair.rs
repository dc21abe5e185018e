//! A package run that was cut is finished by another one: `dpkg --configure -a`, `apt -f install`. The
//! two are one step to the person who takes it back: the state between them is the broken one.

use crate::model::entry::Action;
use crate::model::{Entry, Kind, State};

/// How many entries a plain undo takes back together. `changes`: those of a line, newest first. More
/// than one where the newest only repaired what was cut before it; a repair that was cut too is both.
pub fn one_step(changes: &[&Entry]) -> usize {
    let mut length = 1;
    while let Some(cut) = next_cut(changes, length) {
        if !changes[..cut].iter().all(|entry| repairs(entry, changes[cut])) {
            break;
        }
        length = cut + 1;
    }
    length.min(changes.len())
}

fn next_cut(changes: &[&Entry], from: usize) -> Option<usize> {
    let was_cut = |e: &&Entry| e.kind == Kind::Packages && e.state == State::Interrupted;
    changes.iter().skip(from).position(was_cut).map(|at| from + at)
}

/// Did this run do nothing but finish the one that was cut? Its words say so, or its deeds: it only
/// configured packages of the other's plan.
pub fn repairs(entry: &Entry, cut: &Entry) -> bool {
    let of_its_plan = |package: &str| cut.planned.iter().any(|planned| planned.package == package);
    let only_configured = !entry.changes.is_empty()
        && entry.changes.iter().all(|c| c.action == Action::Configure && of_its_plan(&c.package));
    entry.kind == Kind::Packages
        && (only_configured || entry.command_line.as_deref().is_some_and(asks_for_it))
}

/// `dpkg --configure -a`, `apt-get -yf install`, `apt --fix-broken install`
fn asks_for_it(command_line: &str) -> bool {
    let mut words = command_line.split_whitespace();
    let program = words.next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let words: Vec<&str> = words.collect();
    let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(word));
    match program {
        "dpkg" => has(&["--configure"]) && has(&["-a", "--pending"]),
        "apt" | "apt-get" | "aptitude" => {
            has(&["--fix-broken"]) || words.iter().any(|word| is_cluster_with(word, 'f'))
        }
        _ => false,
    }
}

/// `-f`, `-yf`, `-qqf`: options of one letter, none of which takes a value (`-oAPT::x=f` does).
fn is_cluster_with(word: &str, letter: char) -> bool {
    let letters = word.strip_prefix('-').unwrap_or_default();
    letters.contains(letter) && letters.chars().all(|c| "dfmqsuyV".contains(c))
}

#[cfg(test)]
mod tests {
    use super::super::descent::tests::history;
    use super::*;
    use crate::model::entry::{Change, Planned};

    #[test]
    fn words_of_a_repair() {
        let yes = [
            "dpkg --configure -a",
            "/usr/bin/dpkg --configure --pending",
            "apt -f install",
            "apt-get -qqyf install",
            "apt-get install -f -y",
            "apt --fix-broken install",
        ];
        let no = [
            "",
            "dpkg --configure nginx",
            "dpkg -i -a.deb",
            "apt install -t fun foo",
            "apt-get -oDpkg::Options::=--force-confnew install f",
            "apt-get install fix-broken",
            "aptitude-f -f",
        ];
        yes.iter().for_each(|line| assert!(asks_for_it(line), "{line}"));
        no.iter().for_each(|line| assert!(!asks_for_it(line), "{line}"));
    }

    /// Entries of a line, `2 apt @1 interrupted, 3 apt @1`; `repairs` names the numbers that ask for it.
    fn step(text: &str, repairs: &[u64]) -> usize {
        let mut entries = history(text);
        for entry in &mut entries {
            let asked = repairs.contains(&entry.number.get());
            entry.command_line = asked.then(|| "dpkg --configure -a".to_owned());
        }
        let newest_first: Vec<&Entry> = entries.iter().rev().collect();
        one_step(&newest_first)
    }

    #[test]
    fn a_repair_and_what_was_cut_are_one_step() {
        assert_eq!(step("2 apt @1, 3 apt @1 interrupted", &[]), 1);
        assert_eq!(step("2 apt @1 interrupted, 3 apt @1", &[3]), 2);
        assert_eq!(step("2 apt @1 interrupted, 3 apt @1 failed, 4 apt @1", &[3, 4]), 3);
        // The repair was cut as well.
        assert_eq!(step("2 apt @1 interrupted, 3 apt @1 interrupted, 4 apt @1", &[3, 4]), 3);
        assert_eq!(step("2 apt @1 interrupted, 3 apt @1 interrupted", &[3]), 2);
        // Something else came between, or nothing was cut.
        assert_eq!(step("2 apt @1 interrupted, 3 apt @1, 4 apt @1", &[4]), 1);
        assert_eq!(step("2 apt @1 interrupted, 3 set @1, 4 apt @1", &[4]), 1);
        assert_eq!(step("2 apt @1 interrupted, 3 apt @1, 4 apt @1", &[3]), 1);
        assert_eq!(step("2 apt @1, 3 apt @1", &[3]), 1);
        assert_eq!(step("2 set @1 interrupted, 3 apt @1", &[3]), 1);
    }

    #[test]
    fn a_repair_is_known_by_its_deeds_too() {
        let mut entries = history("2 apt @1 interrupted, 3 apt @1");
        let change = |package: &str, action| Change {
            package: package.into(),
            architecture: "all".into(),
            old: None,
            new: None,
            action,
            auto: None,
            archive: None,
            security: false,
            stuck: None,
        };
        let planned = |package: &str| Planned {
            package: package.into(),
            architecture: "all".into(),
            old: None,
            new: None,
            action: Action::Install,
        };
        entries[0].planned = vec![planned("a"), planned("b")];
        entries[1].changes = vec![change("b", Action::Configure)];
        assert!(repairs(&entries[1], &entries[0]));
        entries[1].changes.push(change("c", Action::Configure));
        assert!(!repairs(&entries[1], &entries[0]));
        entries[1].changes = vec![change("b", Action::Install)];
        assert!(!repairs(&entries[1], &entries[0]));
    }
}
