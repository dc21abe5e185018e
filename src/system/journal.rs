//! The journal on disk: `@journal/entries/<profile>/`. This is the truth; the SQLite index is made
//! from it.
//!
//! ```text
//! 57.open.json     begun; durable before anything changes, because a syncfs follows
//! 57.plan.json     what apt said it would do; best effort, a torn one is passed over
//! 57.archives.json where the new versions come from; best effort
//! 57.json          closed; written under a new name and synced, then the others go
//! ```
//! While both 57.open.json and a readable 57.json exist, the closed one counts; a torn 57.json beside
//! an open one is not there yet.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::entry::{Kind, Planned};
use crate::model::error::{At, Error, Result};
use crate::model::kept::with_unknown;
use crate::model::{Entry, EntryNumber, Layout, ProfileId};

use super::btrfs;
use super::files;
use super::locks::Lock;
use super::reserve::{For, with_room};

/// Reading needs no lock: every file appears whole under its name or not at all.
#[derive(Clone, Debug)]
pub struct Journal {
    layout: Layout,
}

/// The journal while `@journal/lock` is held: only here can it be changed.
#[derive(Debug)]
pub struct LockedJournal {
    journal: Journal,
    _lock: Lock,
}

/// What a package run's second hook learned.
#[derive(Debug, Default, Serialize, serde::Deserialize)]
pub struct PlanFile {
    pub command_line: Option<String>,
    pub comment: Option<String>,
    pub planned: Vec<Planned>,
    /// Where the .deb of a package lies, as apt knows it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub debs: BTreeMap<String, String>,
}

/// `archives[package:architecture=version] = trixie-security/main`
pub type Archives = BTreeMap<String, String>;

/// All entries of one profile, and the files that could not be read as such.
#[derive(Debug, Default)]
pub struct Entries {
    pub entries: Vec<Entry>,
    pub damaged: Vec<PathBuf>,
    /// The highest number, of those too.
    pub newest: Option<EntryNumber>,
}

impl Journal {
    pub fn new(layout: &Layout) -> Journal {
        Journal { layout: layout.clone() }
    }

    /// Waits for the lock; it is only ever held for milliseconds.
    pub fn lock(&self) -> Result<LockedJournal> {
        let lock = Lock::wait(&self.layout.journal_lock())?;
        Ok(LockedJournal { journal: self.clone(), _lock: lock })
    }

    /// Every entry of a profile (None: of the pool itself), in the order of their numbers.
    pub fn entries(&self, profile: Option<&ProfileId>) -> Result<Entries> {
        let mut found = Entries::default();
        for number in self.numbers(profile)? {
            found.newest = Some(number);
            match self.entry(profile, number) {
                Ok(Some(entry)) => found.entries.push(entry),
                Ok(None) => {}
                Err(Error::Damaged { what, .. }) => found.damaged.push(what),
                Err(other) => return Err(other),
            }
        }
        Ok(found)
    }

    /// The numbers that have an entry, open or closed, ascending.
    pub fn numbers(&self, profile: Option<&ProfileId>) -> Result<Vec<EntryNumber>> {
        let mut numbers: Vec<EntryNumber> = Vec::new();
        for name in files::names(&self.layout.entries(profile))? {
            let Some(name) = name.to_str() else { continue };
            let stem = name.strip_suffix(".open.json").or_else(|| name.strip_suffix(".json"));
            numbers.extend(stem.and_then(|s| s.parse::<EntryNumber>().ok()));
        }
        numbers.sort();
        numbers.dedup();
        Ok(numbers)
    }

    /// The numbers that have an open file, in no order.
    fn open_numbers(&self, profile: Option<&ProfileId>) -> Result<Vec<EntryNumber>> {
        let names = files::names(&self.layout.entries(profile))?;
        let number = |name: &std::ffi::OsString| name.to_str()?.strip_suffix(".open.json")?.parse().ok();
        Ok(names.iter().filter_map(number).collect())
    }

    /// The entries that are open, found by name alone.
    pub fn open_entries(&self, profile: Option<&ProfileId>) -> Result<Vec<Entry>> {
        let mut open = Vec::new();
        for number in self.open_numbers(profile)? {
            match self.entry(profile, number) {
                Ok(Some(entry)) if entry.is_open() => open.push(entry),
                Ok(_) | Err(Error::Damaged { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        open.sort_by_key(|e| e.number);
        Ok(open)
    }

    pub fn entry(&self, profile: Option<&ProfileId>, number: EntryNumber) -> Result<Option<Entry>> {
        let open = read_entry(&self.open_file(profile, number), profile, number);
        match read_entry(&self.closed_file(profile, number), profile, number) {
            Ok(Some(entry)) => Ok(Some(entry)),
            Ok(None) => open.map(|e| e.map(|e| self.with_plan(e))),
            Err(broken) => match open {
                Ok(Some(entry)) => Ok(Some(self.with_plan(entry))),
                _ => Err(broken),
            },
        }
    }

    /// Why a file that was named as damaged cannot be read.
    pub fn reread(&self, path: &Path) -> Result<()> {
        let number = path.file_name().and_then(|n| n.to_str()?.split('.').next()?.parse().ok());
        let owner = path.parent().and_then(|dir| dir.file_name()?.to_str()?.parse::<ProfileId>().ok());
        match number {
            Some(number) => read_entry(path, owner.as_ref(), number).map(drop),
            None => Ok(()),
        }
    }

    /// The profiles that have entries, deleted ones too.
    pub fn profiles(&self) -> Result<Vec<ProfileId>> {
        let names = files::names(&self.layout.all_entries())?;
        let mut ids: Vec<ProfileId> = names.iter().filter_map(|n| n.to_str()?.parse().ok()).collect();
        ids.sort();
        Ok(ids)
    }

    /// Makes the text of an open entry durable, at the latest with the point that is taken next.
    pub fn sync_before_point(&self, entry: &Entry) -> Result<()> {
        let path = self.file(entry, ".open.json");
        let file = File::open(&path).at("open", &path)?;
        if btrfs::is_flushed_inline(&file) { Ok(()) } else { file.sync_all().at("sync", &path) }
    }

    /// Best effort, never synced: an entry that lost its plan still has its point.
    pub fn note_plan(&self, entry: &Entry, plan: &PlanFile) -> Result<()> {
        write_aside(&self.file(entry, ".plan.json"), plan)
    }

    /// [`PlanFile::debs`] of an open entry; empty where nobody noted a plan.
    pub fn debs(&self, entry: &Entry) -> BTreeMap<String, String> {
        let plan = read_json::<PlanFile>(&self.file(entry, ".plan.json"));
        plan.ok().flatten().map(|plan| plan.debs).unwrap_or_default()
    }

    /// Best effort too.
    pub fn note_archives(
        &self,
        profile: Option<&ProfileId>,
        number: EntryNumber,
        found: &Archives,
    ) -> Result<()> {
        write_aside(&self.layout.entries(profile).join(format!("{number}.archives.json")), found)
    }

    pub fn archives(&self, profile: Option<&ProfileId>, number: EntryNumber) -> Archives {
        let path = self.layout.entries(profile).join(format!("{number}.archives.json"));
        read_json(&path).ok().flatten().unwrap_or_default()
    }

    fn with_plan(&self, mut entry: Entry) -> Entry {
        if let Ok(Some(plan)) = read_json::<PlanFile>(&self.file(&entry, ".plan.json")) {
            entry.command_line = plan.command_line.or(entry.command_line);
            entry.comment = plan.comment.or(entry.comment);
            entry.planned = plan.planned;
        }
        entry
    }

    fn open_file(&self, profile: Option<&ProfileId>, number: EntryNumber) -> PathBuf {
        self.layout.entries(profile).join(format!("{number}.open.json"))
    }

    fn closed_file(&self, profile: Option<&ProfileId>, number: EntryNumber) -> PathBuf {
        self.layout.entries(profile).join(format!("{number}.json"))
    }

    fn file(&self, entry: &Entry, suffix: &str) -> PathBuf {
        self.layout.entries(entry.profile.as_ref()).join(format!("{}{suffix}", entry.number))
    }
}

impl LockedJournal {
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Gives out the next number and writes the open entry. Not durable yet: the caller syncs the
    /// file system before anything changes (taking a point does it anyway).
    pub fn begin(&self, kind: Kind, now: String, fill: impl FnOnce(&mut Entry)) -> Result<Entry> {
        let who = For::of(&kind);
        let number = with_room(&self.journal.layout, who, || self.take_number())?;
        let mut entry = Entry::begin(number, kind, now);
        fill(&mut entry);
        with_room(&self.journal.layout, who, || self.write_open(&entry))?;
        Ok(entry)
    }

    fn write_open(&self, entry: &Entry) -> Result<()> {
        files::make_dir(&self.journal.layout.entries(entry.profile.as_ref()), 0o700)?;
        let path = self.journal.file(entry, ".open.json");
        let mut file = create_new(&path)?;
        let written = file.write_all(&to_json(entry)).at("write", &path);
        if written.is_err() {
            files::remove_if_there(&path)?; // a full disk: an empty file would look damaged for ever
        }
        written
    }

    /// Writes an open entry again, with what became known since; durable when this returns.
    pub fn amend(&self, entry: &Entry) -> Result<()> {
        with_room(&self.journal.layout, For::of(&entry.kind), || {
            files::replace(&self.journal.file(entry, ".open.json"), &self.with_what_is_there(entry)?)
        })
    }

    /// Closes an entry: after this returns it survives a power cut as it is.
    pub fn close(&self, entry: &Entry) -> Result<()> {
        with_room(&self.journal.layout, For::of(&entry.kind), || self.write_closed(entry))
    }

    fn write_closed(&self, entry: &Entry) -> Result<()> {
        let path = self.journal.file(entry, ".json");
        let bytes = self.with_what_is_there(entry)?;
        if path.exists() && read_json::<Entry>(&path).is_ok() {
            files::replace(&path, &bytes)?;
        } else {
            // A new name and its bytes become durable with one fsync (btrfs logs the directory entry
            // of a new inode with it: tests/power/closing.rs); until then the open file is there and counts.
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&path).at("write", &path)?;
            let written = file.write_all(&bytes).at("write", &path);
            if written.is_err() {
                files::remove_if_there(&path)?; // a full disk; the open one counts
            }
            written?;
            file.sync_all().at("sync", &path)?; // the visible moment
        }
        for suffix in [".open.json", ".plan.json", ".archives.json"] {
            files::remove_if_there(&self.journal.file(entry, suffix))?;
        }
        Ok(())
    }

    /// A closed package run goes on: the same process began another commit.
    pub fn reopen(&self, entry: &Entry) -> Result<()> {
        let path = self.journal.file(entry, ".open.json");
        files::replace(&path, &self.with_what_is_there(entry)?)?;
        files::remove_if_there(&self.journal.file(entry, ".json"))?;
        files::sync_parent(&path) // a cut run must not come back as the completed one it was
    }

    /// The text of an entry that is written again, with what a newer program wrote into it, into its
    /// plan too, and this one does not know.
    fn with_what_is_there(&self, entry: &Entry) -> Result<Vec<u8>> {
        let mut value = serde_json::to_value(entry).unwrap_or_default();
        let read = |suffix| files::read_if_there(&self.journal.file(entry, suffix));
        if let Some(plan) = read(".plan.json")? {
            value = with_unknown::<PlanFile>(&plan, value);
        }
        for suffix in [".json", ".open.json"] {
            if let Some(old) = read(suffix)? {
                value = with_unknown::<Entry>(&old, value);
            }
        }
        Ok(to_json(&value))
    }

    /// Clears away what a cut left beside entries: the open file of a closed one, an open file that
    /// is still empty, and one that was being written again. Nothing was changed under an empty one's number:
    /// a change begins after a sync.
    pub fn tidy(&self, profile: Option<&ProfileId>) -> Result<()> {
        for number in self.journal.open_numbers(profile)? {
            let open = self.journal.open_file(profile, number);
            let Ok(meta) = open.metadata() else { continue };
            files::remove_if_there(&files::beside(&open, ".new"))?;
            match read_entry(&self.journal.closed_file(profile, number), profile, number) {
                Ok(Some(entry)) => {
                    for suffix in [".open.json", ".plan.json", ".archives.json"] {
                        files::remove_if_there(&self.journal.file(&entry, suffix))?;
                    }
                }
                Ok(None) | Err(Error::Damaged { .. }) if meta.len() == 0 => files::remove_if_there(&open)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes an entry away that turned out to be nothing. Its number is not given again.
    pub fn forget(&self, entry: &Entry) -> Result<()> {
        for suffix in [".open.json", ".plan.json", ".archives.json", ".json"] {
            files::remove_if_there(&self.journal.file(entry, suffix))?;
        }
        Ok(())
    }

    /// The number the next entry will have; taken by making something that bears it.
    pub fn free_number(&self) -> Result<EntryNumber> {
        let text = files::read_line(&self.journal.layout.next())?;
        Ok(match text.trim_start_matches('0').parse::<EntryNumber>() {
            // A cut may keep an entry and lose the number written before it: two files, one commit.
            Ok(number) if !self.is_taken(number)? => number,
            _ => self.highest_number()?.map_or(EntryNumber::FIRST, EntryNumber::next),
        })
    }

    fn take_number(&self) -> Result<EntryNumber> {
        let number = self.free_number()?;
        self.count_past(number)?;
        Ok(number)
    }

    /// Writes the number after this one into `@journal/next`, in place: 20 digits and a newline, so that a
    /// power cut leaves the old or the new number, never half of one.
    pub fn count_past(&self, number: EntryNumber) -> Result<()> {
        let path = self.journal.layout.next();
        let next = format!("{:020}\n", number.next().get());
        let mut options = OpenOptions::new();
        let file =
            options.write(true).create(true).truncate(false).mode(0o600).open(&path).at("open", &path)?;
        std::os::unix::fs::FileExt::write_all_at(&file, next.as_bytes(), 0).at("write", &path)
    }

    /// Does anything in the pool bear this number?
    fn is_taken(&self, number: EntryNumber) -> Result<bool> {
        let layout = &self.journal.layout;
        let mut owners: Vec<Option<ProfileId>> = self.journal.profiles()?.into_iter().map(Some).collect();
        owners.push(None);
        let journalled = owners.iter().map(Option::as_ref).any(|owner| {
            self.journal.open_file(owner, number).exists() || self.journal.closed_file(owner, number).exists()
        });
        let made = files::names(&layout.profiles())?.into_iter().any(|name| {
            let dir = crate::model::layout::ProfileDir::at(layout.profiles().join(name));
            dir.root(number).path().exists() || dir.point(number).path().exists()
        });
        Ok(journalled || made)
    }

    /// The highest number anything in the pool bears; for a lost `next`.
    fn highest_number(&self) -> Result<Option<EntryNumber>> {
        let layout = &self.journal.layout;
        let mut highest = self.journal.numbers(None)?.last().copied();
        for id in self.journal.profiles()? {
            highest = highest.max(self.journal.numbers(Some(&id))?.last().copied());
        }
        for name in files::names(&layout.profiles())? {
            let dir = crate::model::layout::ProfileDir::at(layout.profiles().join(name));
            for made in [dir.roots(), dir.snapshots()] {
                let numbers = files::names(&made)?;
                highest = highest.max(numbers.iter().filter_map(|n| n.to_str()?.parse().ok()).max());
            }
        }
        Ok(highest)
    }
}

fn create_new(path: &Path) -> Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).at("make", path)
}

/// Written aside and renamed, so that a reader sees it whole; not synced.
fn write_aside(path: &Path, value: &impl Serialize) -> Result<()> {
    let aside = files::beside(path, ".new");
    std::fs::write(&aside, to_json(value)).at("write", &aside)?;
    std::fs::rename(&aside, path).at("rename to", path)
}

/// A missing file is None; a torn or foreign one is Damaged.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let Some(bytes) = files::read_if_there(path)? else { return Ok(None) };
    let read = serde_json::from_slice(&bytes);
    read.map(Some).map_err(|e| Error::Damaged { what: path.to_path_buf(), why: e.to_string() })
}

/// What is under the name of another entry, or in another profile's directory, would be ordered, undone
/// and closed as that one.
fn read_entry(path: &Path, profile: Option<&ProfileId>, number: EntryNumber) -> Result<Option<Entry>> {
    let Some(entry) = read_json::<Entry>(path)? else { return Ok(None) };
    let damaged = |why| Err(Error::Damaged { what: path.to_path_buf(), why });
    if entry.number != number {
        return damaged(format!("it says it is entry {}", entry.number));
    }
    if entry.profile.as_ref() != profile {
        let owner = entry.profile.as_ref().map_or("the pool", ProfileId::as_str);
        return damaged(format!("it says it is an entry of {owner}"));
    }
    Ok(Some(entry))
}

pub fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
