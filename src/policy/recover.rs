//! What an open entry is, when nobody seems to be working on it: a power cut, a killed apt, a full
//! disk. The answer comes from what lies on disk, never from how far the program may have got,
//! because every change of ours has ONE visible moment:
//!
//! ```text
//!  undo 60   entry open ── point 60 ── roots/60 ── boot files ──┃ current -> roots/60 ── closed
//!                      cut here: cancelled, roots/60 goes       ┃   cut here: completed, and what it
//!                                                               ┃   cancels is dropped
//!
//!  packages  entry open ── point 57 ── dpkg writes, live, over minutes ──────────────── closed
//!                                      cut here: interrupted. The point is there, undo takes it back
//! ```
//!
//! An entry that might be alive is left alone (house rule 3). For our own programs a lock tells; a
//! package run has no lock of ours, so it is over only when its root is provably unused, or when
//! dpkg's own locks prove that nobody else can be running in it.

use crate::model::{EntryNumber, Kind, State};

#[derive(Clone, Debug)]
pub struct OpenFacts {
    pub number: EntryNumber,
    pub kind: Kind,
    /// The root it began in.
    pub root: Option<EntryNumber>,
    pub root_exists: bool,
    pub root_in_use: bool,
    /// `roots/<number>` is there.
    pub made_root_exists: bool,
    /// Where the profile's pointer points; absent when there is no profile (any more, or yet).
    pub current: Option<EntryNumber>,
    pub point_exists: bool,
    /// dpkg wrote nothing since the point was taken.
    pub never_wrote: bool,
    /// What a delete, undelete, import, receive or prune-base is about: the profile or the base, under its
    /// own name; and that the last good base is the one a mark-good names.
    pub subject_exists: bool,
    /// The lock a living author of an entry of ours would hold (the profile's, or the bases') is
    /// held by us, or free. Package runs hold none: it says nothing about them.
    pub author_gone: bool,
    /// This very entry's driver is alive and holds dpkg's lock.
    pub driver_holds_lock: bool,
    /// We see this root as its processes do, from inside or from outside, and nobody else holds dpkg's locks (one of our ancestors may).
    pub no_other_run: bool,
}

#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is alive, or might be, or a newer program must judge it.
    Leave,
    Close {
        state: State,
        /// One sentence for the entry.
        outcome: String,
        /// `roots/<number>` never became current: delete it.
        drop_root: bool,
    },
}

pub fn verdict(facts: &OpenFacts) -> Verdict {
    match facts.kind {
        Kind::Packages => package_run(facts),
        Kind::Other(_) => Verdict::Leave,
        _ if !facts.author_gone => Verdict::Leave,
        Kind::Undo | Kind::Redo | Kind::Reset | Kind::Create | Kind::Clone => pointer_decides(facts),
        Kind::Rebase | Kind::Repair => pointer_decides(facts),
        Kind::Set | Kind::Restore => cut(facts.point_exists),
        // Its pointer goes back to the root it began in, which is in use.
        Kind::Cancel => done_if(facts.root.is_some() && facts.current == facts.root),
        Kind::Undelete | Kind::Import | Kind::Receive | Kind::MarkGood => done_if(facts.subject_exists),
        Kind::Delete | Kind::PruneBase => done_if(!facts.subject_exists),
        Kind::Left | Kind::Save => done_if(facts.point_exists),
        Kind::Share => close(State::Interrupted, "cut off: do it again to finish it"),
        Kind::Prune => close(State::Interrupted, "cut off: what it did not delete goes with the next prune"),
        Kind::Flip | Kind::Rollback => close(State::Interrupted, "cut off: do it again to finish it"),
        Kind::Default => close(State::Interrupted, "cut off: the old default or the new one is in force"),
    }
}

fn package_run(facts: &OpenFacts) -> Verdict {
    let might_live = facts.root_in_use && facts.root_exists && !facts.no_other_run;
    if facts.driver_holds_lock || might_live {
        return Verdict::Leave;
    }
    if !facts.root_exists {
        return close(State::Interrupted, "nobody closed it, and its root is gone");
    }
    unfinished(facts.never_wrote, facts.point_exists)
}

/// A package run nobody is left to close. A hook after ours may have refused it (apt-listbugs does).
pub fn unfinished(never_wrote: bool, point_exists: bool) -> Verdict {
    if never_wrote {
        return close(State::Cancelled, "it ended before dpkg changed anything");
    }
    cut(point_exists)
}

/// It wrote into a root as it went: how far it got, nobody can say.
fn cut(point_exists: bool) -> Verdict {
    let outcome = match point_exists {
        true => "cut off: undo returns to the state before it",
        false => "cut off, and no point was taken before it",
    };
    close(State::Interrupted, outcome)
}

fn pointer_decides(facts: &OpenFacts) -> Verdict {
    if facts.current == Some(facts.number) {
        return close(State::Completed, "finished after a cut");
    }
    Verdict::Close {
        state: State::Cancelled,
        outcome: "cut off before it took effect".to_owned(),
        drop_root: facts.made_root_exists,
    }
}

fn done_if(visible: bool) -> Verdict {
    match visible {
        true => close(State::Completed, "finished after a cut"),
        false => close(State::Cancelled, "cut off before it took effect"),
    }
}

fn close(state: State, outcome: &str) -> Verdict {
    Verdict::Close { state, outcome: outcome.to_owned(), drop_root: false }
}

#[cfg(test)]
mod tests {
    use super::super::descent::tests::number;
    use super::*;

    /// Entry 60 of root 41. Words set facts: `used` `gone` (root), `made`, `point`, `there` (subject),
    /// `busy` (author), `driver`, `inside`, and `at60` or `at41` for the pointer.
    fn brief(kind: &str, words: &str) -> String {
        let has = |word: &str| words.split_whitespace().any(|w| w == word);
        let facts = OpenFacts {
            number: number(60),
            kind: Kind::from(kind.to_owned()),
            root: Some(number(41)),
            root_exists: !has("gone"),
            root_in_use: has("used"),
            made_root_exists: has("made"),
            current: [41, 60].into_iter().find(|n| has(&format!("at{n}"))).map(number),
            point_exists: has("point"),
            never_wrote: has("unwritten"),
            subject_exists: has("there"),
            author_gone: !has("busy"),
            driver_holds_lock: has("driver"),
            no_other_run: has("inside"),
        };
        match verdict(&facts) {
            Verdict::Leave => "leave".to_owned(),
            Verdict::Close { state, drop_root: true, .. } => format!("{} drop", state.name()),
            Verdict::Close { state, .. } => state.name().to_owned(),
        }
    }

    #[test]
    fn verdicts() {
        let rows = [
            ("packages", "used point at41", "leave"),
            ("packages", "used point at41 inside", "interrupted"),
            ("packages", "used point at41 inside driver", "leave"), // the hook judges its own run
            ("packages", "point at41", "interrupted"),
            ("packages", "point unwritten at41", "cancelled"),
            ("packages", "used point unwritten at41", "leave"),
            ("packages", "busy point at41", "interrupted"), // no lock of ours is about it
            ("packages", "gone at60", "interrupted"),
            ("undo", "used made point at60", "completed"),
            ("undo", "used made point at41", "cancelled drop"),
            ("undo", "used at41", "cancelled"),
            ("undo", "made point at41 busy", "leave"),
            ("redo", "made at60", "completed"),
            ("cancel", "used at41", "completed"),
            ("cancel", "used", "cancelled"), // it still points to what waits
            ("cancel", "used at41 busy", "leave"),
            ("reset", "used made point at60", "completed"),
            ("reset", "made point at41", "cancelled drop"),
            ("share", "point at41", "interrupted"),
            ("share", "busy point at41", "leave"),
            ("create", "made at60", "completed"),
            ("create", "made", "cancelled drop"),
            ("clone", "", "cancelled"),
            ("set", "used point at41", "interrupted"),
            ("set", "used point at41 busy", "leave"),
            ("restore", "at41", "interrupted"),
            ("delete", "", "completed"),
            ("delete", "there at41", "cancelled"),
            ("undelete", "there at41", "completed"),
            ("undelete", "", "cancelled"),
            ("import", "there", "completed"),
            ("import", "busy", "leave"),
            ("receive", "there", "completed"),
            ("receive", "", "cancelled"),
            ("mark-good", "there", "completed"),
            ("mark-good", "", "cancelled"),
            ("prune-base", "there", "cancelled"),
            ("prune-base", "", "completed"),
            ("left", "point", "completed"),
            ("left", "", "cancelled"),
            ("default", "", "interrupted"),
            ("prune", "busy", "leave"),
            ("prune", "", "interrupted"),
            ("teleport", "made at60", "leave"),
        ];
        for (kind, words, expected) in rows {
            assert_eq!(brief(kind, words), expected, "{kind}: {words}");
        }
    }
}
