//! Which flip a rollback takes back, and which one another flip goes on with. A flip that was cut, or that
//! stopped for want of room, has moved some profiles: the entries of these name it.
//!
//! ```text
//!  60 flip 13.2       moved lab (61) ── cut        goes on with nothing      rollback: lab goes back
//!  62 flip 13.2       moved router (63)            goes on with 60           rollback: lab and router go back
//!  64 rollback of 62                               60 and 62 are taken back
//! ```

use std::collections::BTreeMap;

use crate::model::flip::Moved;
use crate::model::{BaseVersion, Entry, EntryNumber, Kind, State};

pub struct Facts<'a> {
    /// Of the pool, ascending. What recover would close is closed in them.
    pub entries: &'a [Entry],
    /// What the entries of profiles say they are parts of, as far as they came to pass.
    pub parts: &'a BTreeMap<EntryNumber, Moved>,
    /// What new profiles stand on.
    pub current: Option<&'a BaseVersion>,
}

/// The newest flip that changed anything and is not taken back. A rollback that was cut is done again.
pub fn last<'a>(facts: &Facts<'a>) -> Option<&'a Entry> {
    standing(facts).find(|flip| {
        let moves_current = flip.base.as_ref() == facts.current && flip.base_before() != flip.base;
        flip.state == State::Completed || moves_current || !moved(facts, flip).is_empty()
    })
}

/// The flip to this base that did not come to its end: another one does the rest, and a rollback takes back
/// both.
pub fn unfinished<'a>(facts: &Facts<'a>, to: &BaseVersion) -> Option<&'a Entry> {
    let newest = standing(facts).next()?;
    let is_cut = matches!(newest.state, State::Interrupted | State::Failed);
    (is_cut && newest.base.as_ref() == Some(to)).then_some(newest)
}

/// As the flip noted it, with those it went on with; of one that was cut, by the entries that name it.
#[must_use]
pub fn moved(facts: &Facts<'_>, flip: &Entry) -> Moved {
    if let Some(noted) = flip.moved() {
        return noted;
    }
    let before = flip.target.filter(|target| *target < flip.number);
    let before = before.and_then(|target| facts.entries.iter().find(|entry| entry.number == target));
    let mut all = before.map(|entry| moved(facts, entry)).unwrap_or_default();
    all.extend(facts.parts.get(&flip.number).cloned().unwrap_or_default());
    all
}

/// Newest first, without those that a rollback took back or another flip went on with.
fn standing<'a>(facts: &Facts<'a>) -> impl Iterator<Item = &'a Entry> + use<'a> {
    let done = |entry: &&Entry| entry.kind == Kind::Flip || entry.state == State::Completed;
    let ended = facts.entries.iter().filter(|e| matches!(e.kind, Kind::Flip | Kind::Rollback)).filter(done);
    let ended: Vec<EntryNumber> = ended.filter_map(|entry| entry.target).collect();
    let newest_first = facts.entries.iter().rev();
    newest_first.filter(move |entry| entry.kind == Kind::Flip && !ended.contains(&entry.number))
}

#[cfg(test)]
mod tests {
    use super::super::descent::tests::number;
    use super::*;

    /// `60 flip a>b lab=61`: to b, a was current before, and it noted this; `63 rollback @60`; `60 flip b
    /// interrupted`. Parts: `60:lab=61`.
    fn entries(text: &str) -> Vec<Entry> {
        let entry = |text: &str| {
            let mut words = text.split_whitespace();
            let at = words.next().unwrap().parse().unwrap();
            let mut entry = Entry::begin(at, Kind::from(words.next().unwrap().to_owned()), String::new());
            entry.state = State::Completed;
            for word in words {
                match (word, word.split_once('>'), word.split_once('=')) {
                    ("interrupted", ..) => entry.state = State::Interrupted,
                    ("failed", ..) => entry.state = State::Failed,
                    (_, Some((from, to)), _) => {
                        entry.note_base_before(&from.parse().unwrap());
                        entry.base = Some(to.parse().unwrap());
                    }
                    (_, _, Some((id, by))) => {
                        entry.note_moved(&[(id.parse().unwrap(), by.parse().unwrap())].into());
                    }
                    _ => entry.target = Some(word.strip_prefix('@').unwrap().parse().unwrap()),
                }
            }
            entry
        };
        text.split(", ").map(entry).collect()
    }

    /// What a rollback takes back: the flip and its profiles; and what a flip to b goes on with.
    fn told(text: &str, parts: &str, current: &str) -> (String, Option<u64>) {
        let entries = entries(text);
        let mut named: BTreeMap<EntryNumber, Moved> = BTreeMap::new();
        for part in parts.split_whitespace() {
            let (flip, (id, by)) =
                part.split_once(':').map(|(flip, part)| (flip, part.split_once('=').unwrap())).unwrap();
            let moved = named.entry(flip.parse().unwrap()).or_default();
            moved.insert(id.parse().unwrap(), by.parse().unwrap());
        }
        let current = current.parse().unwrap();
        let facts = Facts { entries: &entries, parts: &named, current: Some(&current) };
        let last = last(&facts).map_or("nothing".to_owned(), |flip| {
            let ids: Vec<String> = moved(&facts, flip).keys().map(ToString::to_string).collect();
            format!("{} {}", flip.number, ids.join(" ")).trim().to_owned()
        });
        (last, unfinished(&facts, &"b".parse().unwrap()).map(|flip| flip.number.get()))
    }

    #[test]
    fn what_is_taken_back_and_what_is_gone_on_with() {
        let rows: &[(&str, &str, &str, &str, Option<u64>)] = &[
            ("60 flip a>b lab=61", "", "b", "60 lab", None),
            ("60 flip a>b lab=61, 63 rollback @60", "", "a", "nothing", None),
            // A rollback that was cut is done again.
            ("60 flip a>b lab=61, 63 rollback @60 interrupted", "", "b", "60 lab", None),
            ("60 flip a>b interrupted", "60:lab=61", "a", "60 lab", Some(60)),
            // Cut before it changed anything: the one before it is the last.
            ("50 flip a>b lab=51, 60 flip b>c interrupted", "", "b", "50 lab", None),
            ("60 flip a>b interrupted", "", "a", "nothing", Some(60)),
            ("60 flip a>b interrupted", "", "b", "60", Some(60)),
            // What goes on with it takes its profiles along, noted or not.
            (
                "60 flip a>b interrupted, 62 flip a>b @60 interrupted",
                "60:lab=61 62:x=63",
                "b",
                "62 lab x",
                Some(62),
            ),
            ("60 flip a>b interrupted, 62 flip a>b @60, 64 rollback @62", "60:lab=61", "a", "nothing", None),
            ("60 flip a>b failed lab=61", "", "a", "60 lab", Some(60)),
            ("60 flip a>c failed lab=61", "", "a", "60 lab", None),
        ];
        for (text, parts, current, last, goes_on) in rows {
            assert_eq!(told(text, parts, current), ((*last).to_owned(), *goes_on), "{text}");
        }
        assert_eq!(number(60).get(), 60);
    }
}
