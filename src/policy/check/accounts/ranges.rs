//! Subordinate ids (A4): ranges of numbers that accounts may use in containers. Two accounts with one
//! number of them could each act as the other's container.

use std::collections::BTreeSet;

use crate::dpkg::account_file::{File, Table, place};
use crate::policy::check::class::Class;
use crate::policy::check::finding::{Severity, readable};

use super::Notes;
use super::merge::Texts;

/// (owner, first number, how many)
type Range = (Vec<u8>, u32, u32);

pub fn find(texts: [&Texts; 4], notes: &mut Notes) {
    let subuid = texts.map(|side| ranges(&side.subuid));
    let subgid = texts.map(|side| ranges(&side.subgid));
    for (what, sides) in [("subordinate users", subuid), ("subordinate groups", subgid)] {
        let [old, mine, new, exchanged] = &sides;
        let added: Vec<&Range> = mine.difference(old).filter(|range| !new.contains(range)).collect();
        let theirs: Vec<&Range> = new.difference(old).filter(|range| !mine.contains(range)).collect();
        for range in &added {
            let clash = theirs.iter().find(|other| other.0 != range.0 && overlap(range, other));
            if let Some(other) = clash {
                overlapping(what, range, other, notes);
            }
        }
        let stays = new.iter().filter(|range| mine.contains(range) || !old.contains(range));
        let merged: BTreeSet<&Range> = stays.chain(added).collect();
        for range in merged.iter().filter(|range| !exchanged.contains(**range)) {
            let adds = "takes what the candidate changed, and keeps what you did";
            notes.note(Class::A1, Severity::Automatic, &range.0, adds).add(what, text(range));
        }
    }
}

fn ranges(text: &[u8]) -> BTreeSet<Range> {
    let table = Table::parse(File::Subuid, text);
    let range = |record: &crate::dpkg::account_file::Record| {
        Some((record.name().to_vec(), record.number(place::FIRST)?, record.number(place::COUNT)?))
    };
    table.records().filter_map(range).collect()
}

fn overlap((_, a, a_count): &Range, (_, b, b_count): &Range) -> bool {
    let (a, b) = (u64::from(*a), u64::from(*b));
    a < b + u64::from(*b_count) && b < a + u64::from(*a_count)
}

/// `anna 100000-165535`
fn text((owner, first, count): &Range) -> String {
    let last = u64::from(*first) + u64::from(*count).saturating_sub(1);
    format!("{} {first}-{last}", readable(owner))
}

fn overlapping(what: &'static str, range: &Range, other: &Range, notes: &mut Notes) {
    let option = if what == "subordinate users" { "subuids" } else { "subgids" };
    let (owner, shown) = (readable(&range.0), text(range));
    let numbers = shown.rsplit(' ').next().unwrap_or_default();
    let refused = "is refused: each could act as the other in a container";
    let finding = notes.note(Class::A4, Severity::Blocker, &range.0, refused);
    finding.add(what, format!("{shown} in the profile, {} in the candidate", text(other)));
    let mend = format!("usermod --del-{option} {numbers} --add-{option} FIRST-LAST {owner}");
    finding.choices.push(format!("give it another range: {mend}"));
}
