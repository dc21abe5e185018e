//! What a crash image must hold, by what had been acknowledged when the power went.
//!
//! ```text
//! settled        nothing under way: everything as after the last step
//! ours           each profile as before or as after, and as after if its entry is closed; state/ and what
//!                is shared by themselves, until the next command brings both together
//! moves          the same, of each profile by itself, and apt's logs as they come
//! live           lab as before, or as far as it had been written, and then the new point is as before
//! live, and on   acknowledged in a run that goes on, and nothing synced since: its entry is closed, its
//!                point is as before, and of what maintainer scripts wrote anything may be missing
//! every one      nothing of before that the step keeps is gone; no point ever differs from what it was
//! ```

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::data::{Kept, View};
use crate::facts::{EntryKey, Facts, Profile};
use crate::recording::Done;
use crate::workload::Sort;

/// The states a cut lies between. Nothing under way: both are the same.
pub struct Between<'a> {
    pub before: &'a Facts,
    pub after: &'a Facts,
    /// None: nothing was under way.
    pub step: Option<&'a Done>,
    /// The entry of a package run that was acknowledged, with no commit since: dpkg syncs what it
    /// unpacks and its database, and nobody what maintainer scripts wrote.
    pub unsynced: Option<u64>,
}

/// What a step that was cut in its middle left in `lab`: undo must take it back.
#[derive(Debug, PartialEq, Eq)]
pub struct Mixed {
    /// The entry whose point is as before; None: nothing is promised.
    pub entry: Option<u64>,
    /// What it had written.
    pub written: String,
}

impl Between<'_> {
    /// Whether the one profile that may be between is.
    pub fn judge(&self, seen: &Facts) -> Result<Option<Mixed>, String> {
        self.entries(seen)?;
        self.names("base", &self.before.bases, &self.after.bases, &seen.bases)?;
        self.either(
            "the current base",
            &self.before.current_base,
            &self.after.current_base,
            &seen.current_base,
        )?;
        self.either("the last good base", &self.before.good_base, &self.after.good_base, &seen.good_base)?;
        self.either("the default profile", &self.before.default, &self.after.default, &seen.default)?;
        let keys = |facts: &Facts| facts.profiles.keys().cloned().collect::<BTreeSet<_>>();
        self.names("profile", &keys(self.before), &keys(self.after), &keys(seen))?;
        self.names("deleted profile", &self.before.deleted, &self.after.deleted, &seen.deleted)?;
        let mut mixed = None;
        for (id, profile) in &seen.profiles {
            self.copies(id, profile)?;
            mixed = mixed.or(self.profile(id, profile, seen)?);
        }
        self.done_if_closed(seen)?;
        Ok(mixed)
    }

    /// A change of ours, or nothing: state/ and what is shared are as they were said to be, too.
    pub fn is_ours(&self) -> bool {
        matches!(self.sort(), Sort::Ours | Sort::PutsBack | Sort::Moves) && self.unsynced.is_none()
    }

    fn sort(&self) -> Sort {
        self.step.map_or(Sort::Ours, |step| step.sort)
    }

    /// In both: it must be there. In neither: it must not.
    fn names(
        &self,
        what: &str,
        before: &BTreeSet<String>,
        after: &BTreeSet<String>,
        seen: &BTreeSet<String>,
    ) -> Result<(), String> {
        if let Some(lost) = before.intersection(after).find(|name| !seen.contains(*name)) {
            return Err(format!("{what} {lost} is gone"));
        }
        match seen.iter().find(|name| !before.contains(*name) && !after.contains(*name)) {
            Some(name) => Err(format!("there is a {what} {name}, and never was")),
            None => Ok(()),
        }
    }

    fn either<T: PartialEq + std::fmt::Debug>(
        &self,
        what: &str,
        before: &T,
        after: &T,
        seen: &T,
    ) -> Result<(), String> {
        let fine = seen == before || seen == after;
        if fine { Ok(()) } else { Err(format!("{what} is {seen:?}, not {before:?} or {after:?}")) }
    }

    fn entries(&self, seen: &Facts) -> Result<(), String> {
        let newest = self.before.newest();
        for (key, was) in &self.before.entries {
            let will = self.after.entries.get(key);
            match seen.entries.get(key) {
                Some(is) if is == was || Some(is) == will => {}
                None if will.is_none() => {}
                is => return Err(format!("entry {key:?} was {was:?}, and is {is:?}")),
            }
        }
        for (key, is) in &seen.entries {
            let known = self.before.entries.contains_key(key) || self.after.entries.get(key) == Some(is);
            let under_way = self.step.is_some() && key.1 > newest && (is.1 == "open" || is.1 == "torn");
            if !known && !under_way {
                return Err(format!("entry {key:?} is {is:?}, and never was"));
            }
        }
        if self.step.is_none() {
            let lost = self.after.entries.keys().find(|key| !seen.entries.contains_key(*key));
            return lost.map_or(Ok(()), |key| Err(format!("entry {key:?} is lost")));
        }
        Ok(())
    }

    fn profile(&self, id: &str, seen: &Profile, all: &Facts) -> Result<Option<Mixed>, String> {
        let (before, after) = (self.before.profiles.get(id), self.after.profiles.get(id));
        self.points(id, seen, before, after)?;
        if self.is_ours() {
            return self.as_it_was(id, seen).map(|()| None);
        }
        let as_it_was = |was: Option<&Profile>| {
            was.is_some_and(|was| was.current == seen.current && was.tree == seen.tree)
        };
        if as_it_was(before) || as_it_was(after) {
            return Ok(None);
        }
        let same_root = before.is_some_and(|was| was.current == seen.current);
        if id == "lab" && same_root && self.sort() == Sort::Writing {
            return Ok(Some(Mixed { entry: None, written: String::new() }));
        }
        if let (Some(number), true) = (self.unsynced, id == "lab" && same_root) {
            let written = before.expect("it was there").tree.differences(&seen.tree);
            let entry = Some(number).filter(|number| seen.points.contains_key(number));
            return entry
                .map(|_| Some(Mixed { entry, written }))
                .ok_or("the point of the last run is lost".into());
        }
        if id == "lab" && same_root && matches!(self.sort(), Sort::Live | Sort::LiveAndOn) {
            let written = before.expect("it was there").tree.differences(&seen.tree);
            return self.protected(seen, all).map(|entry| Some(Mixed { entry: Some(entry), written }));
        }
        let difference = |was: Option<&Profile>| {
            was.map_or("there was none".into(), |was| {
                format!("root {}\n{}", was.current, was.tree.differences(&seen.tree))
            })
        };
        Err(format!(
            "{id}: root {} is neither before ({}) nor after ({})",
            seen.current,
            difference(before),
            difference(after)
        ))
    }

    /// Before recovery root and data may each be as before or as after; what is put back into state/ comes
    /// one after the other.
    fn as_it_was(&self, id: &str, seen: &Profile) -> Result<(), String> {
        let states: Vec<_> =
            [self.before, self.after].iter().filter_map(|all| all.profiles.get(id)).collect();
        let covered = states.iter().flat_map(|was| was.data.covers()).chain(seen.data.covers()).collect();
        let mut is = self.view(seen, &seen.data.state, &covered);
        if self.step.is_some() {
            is.root.lines.retain(|path, _| !is_half_put_back(path)); // it goes when somebody recovers
        }
        let were: Vec<(u64, View)> =
            states.iter().map(|was| (was.current, self.view(was, &was.data.state, &covered))).collect();
        if !were.iter().any(|(current, was)| *current == seen.current && was.root == is.root) {
            let others = were
                .iter()
                .map(|(current, was)| format!("root {current}\n{}", was.root.differences(&is.root)));
            let others: Vec<_> = others.collect();
            return Err(format!(
                "{id}: root {} is neither before nor after: {}",
                seen.current,
                others.join("")
            ));
        }
        let one_by_one =
            self.sort() == Sort::PutsBack && is.data.is_between(&were[0].1.data, &were[1].1.data);
        if !one_by_one && !were.iter().any(|(_, was)| was.data == is.data) {
            let others: Vec<_> = were.iter().map(|(_, was)| was.data.differences(&is.data)).collect();
            return Err(format!("{id}: its data is neither before nor after:\n{}", others.join("and\n")));
        }
        match states.iter().any(|was| was.data.listed == seen.data.listed) {
            true => Ok(()),
            false => Err(format!("{id} lists {}", seen.data.listed)),
        }
    }

    /// As a person sees it; while a profile moves, apt and dpkg write their logs.
    fn view(&self, profile: &Profile, state: &Kept, covered: &BTreeSet<PathBuf>) -> View {
        const WRITTEN: [&str; 2] = ["var/log", "var/cache"];
        let mut view = profile.view(state, covered);
        if self.sort() == Sort::Moves {
            view.data.lines.retain(|path, _| !WRITTEN.iter().any(|written| path.starts_with(written)));
        }
        view
    }

    /// Recovered, and nobody uses it: root and data belong together.
    pub fn recovered(&self, id: &str, now: &Profile) -> Result<(), String> {
        let states: Vec<_> =
            [self.before, self.after].iter().filter_map(|all| all.profiles.get(id)).collect();
        let covered = states.iter().flat_map(|was| was.data.covers()).chain(now.data.covers()).collect();
        let is = self.view(now, &now.data.state, &covered);
        if let Some(of) = now.data.bears.as_ref().filter(|of| **of != now.tree.base) {
            return Err(format!(
                "{id} stands on base {}, and state/ bears the numbers of {of}",
                now.tree.base
            ));
        }
        let mut others = String::new();
        for was in states {
            let view = self.view(was, was.data.at_rest(), &covered);
            if was.current == now.current && is.root.is_back(&view.root) && is.data == view.data {
                return Ok(());
            }
            let (root, data) = (view.root.differences(&is.root), view.data.differences(&is.data));
            others.push_str(&format!("root {}\n{root}{data}", was.current));
        }
        Err(format!("recovered, and {id} is neither before nor after: root {}, {others}", now.current))
    }

    /// What an undo brings state/ back from never changes, and is there as long as its point.
    fn copies(&self, id: &str, seen: &Profile) -> Result<(), String> {
        let of =
            |all: &Facts| all.profiles.get(id).map(|profile| profile.data.copies.clone()).unwrap_or_default();
        let (was, will) = (of(self.before), of(self.after));
        let kept = |number: &&u64| !self.after.profiles.contains_key(id) || will.contains_key(number);
        for number in was.keys().filter(kept) {
            if seen.data.copies.get(number) != was.get(number) {
                return Err(format!("{id}: the copy of state/ beside point {number} is not as it was"));
            }
        }
        if !self.is_ours() {
            return Ok(());
        }
        let before = self.before.profiles.get(id).map(|profile| &profile.data.state);
        for (number, copy) in seen.data.copies.iter().filter(|(number, _)| !was.contains_key(number)) {
            if will.get(number) != Some(copy) && before != Some(copy) {
                return Err(format!("{id}: there is a copy of state/ beside point {number}"));
            }
        }
        Ok(())
    }

    /// Something has been written: then there is an entry, and its point is as before.
    fn protected(&self, seen: &Profile, all: &Facts) -> Result<u64, String> {
        let was = &self.before.profiles["lab"];
        let newest = self.before.newest();
        let entry = all.entries.keys().find(|(owner, number)| owner == "lab" && *number > newest);
        let Some((_, number)) = entry else {
            return Err(format!(
                "lab was written to without an entry:\n{}",
                was.tree.differences(&seen.tree)
            ));
        };
        match seen.points.get(number) {
            Some(point) if *point == was.tree => Ok(*number),
            Some(point) => Err(format!("point {number} is not as before:\n{}", was.tree.differences(point))),
            None => Err(format!("lab was written to without a point:\n{}", was.tree.differences(&seen.tree))),
        }
    }

    /// A point never changes, and one that is kept is never lost.
    fn points(
        &self,
        id: &str,
        seen: &Profile,
        before: Option<&Profile>,
        after: Option<&Profile>,
    ) -> Result<(), String> {
        let (none, newest) = (Default::default(), self.before.newest());
        let (was, will) = (before.map_or(&none, |p| &p.points), after.map_or(&none, |p| &p.points));
        if let Some(lost) =
            was.keys().find(|n| (after.is_none() || will.contains_key(n)) && !seen.points.contains_key(n))
        {
            return Err(format!("{id}: point {lost} is lost"));
        }
        for (number, point) in &seen.points {
            let tree =
                was.get(number).or(will.get(number)).or(before.filter(|_| *number > newest).map(|p| &p.tree));
            let Some(tree) = tree else { return Err(format!("{id}: there is a point {number}")) };
            // In a run the root is a little ahead of what was recorded before the run began.
            if tree != point {
                return Err(format!("{id}: point {number} is not as it was:\n{}", tree.differences(point)));
            }
        }
        Ok(())
    }

    /// An entry is closed last: what it says is so.
    fn done_if_closed(&self, seen: &Facts) -> Result<(), String> {
        if !self.is_ours() {
            return Ok(());
        }
        let new = |key: &&EntryKey| !self.before.entries.contains_key(*key);
        for key in self.after.entries.keys().filter(new) {
            if seen.entries.get(key).is_none_or(|(_, state)| state != "completed") {
                continue;
            }
            let alone = self.sort() == Sort::Moves;
            let told =
                self.after.profiles.iter().filter(|(id, _)| !alone || key.0 == ".pool" || key.0 == **id);
            for (id, profile) in told {
                if seen.profiles.get(id).is_none_or(|is| !as_after(is, profile)) {
                    return Err(format!("entry {key:?} says completed, and {id} is not as after it"));
                }
            }
            let pool = |facts: &Facts| {
                let current = facts.current_base.clone().filter(|_| alone && key.0 == ".pool");
                (facts.default.clone(), facts.bases.clone(), facts.good_base.clone(), current)
            };
            if pool(seen) != pool(self.after) {
                return Err(format!("entry {key:?} says completed, and the pool is not as after it"));
            }
        }
        Ok(())
    }
}

/// `.wifi.conf.flipper-new`
pub fn is_half_put_back(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(b".flipper-new"))
}

fn as_after(is: &Profile, after: &Profile) -> bool {
    let covered = is.data.covers().union(&after.data.covers()).cloned().collect();
    let views = [is, after].map(|profile| profile.view(&profile.data.state, &covered));
    is.current == after.current && is.data.listed == after.data.listed && views[0] == views[1]
}
