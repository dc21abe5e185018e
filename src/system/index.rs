//! `@journal/journal.db`: the SQLite index over the entries. It may be lost at any time: whoever
//! reads it first compares it with the entry files (name, size, time) and mends the difference.
//! The system's SQLite; WAL with FULL and no checkpoint on close costs 1.3 ms a commit, the other
//! modes 2.4 to 3.1. Locked exclusively: then SQLite keeps the WAL's index in its own memory and not in
//! a mapped file, where a full disk ends the process with SIGBUS instead of an error.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, params};

use crate::model::error::{At, Error, Result};
use crate::model::{Entry, EntryNumber, Layout, ProfileId};

use super::files;
use super::journal::Journal;

/// Bumped with every change of the tables; an index of another version is made again.
const VERSION: i64 = 1;

/// Bytes; about ten transactions.
const WORTH_A_CHECKPOINT: u64 = 256 << 10;

const TABLES: &str = "
    CREATE TABLE entry (
        number INTEGER PRIMARY KEY, profile TEXT, kind TEXT NOT NULL, state TEXT NOT NULL,
        root INTEGER, base TEXT, target INTEGER, uid INTEGER, command_line TEXT,
        started TEXT NOT NULL, ended TEXT,
        file TEXT NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL,
        document TEXT NOT NULL
    ) STRICT;
    CREATE INDEX entry_by_profile ON entry (profile, number);
    CREATE TABLE change (
        number INTEGER NOT NULL REFERENCES entry (number) ON DELETE CASCADE,
        package TEXT NOT NULL, architecture TEXT NOT NULL, old TEXT, new TEXT,
        action TEXT NOT NULL, auto INTEGER, archive TEXT, security INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX change_by_package ON change (package, number);
    CREATE INDEX change_by_number ON change (number);
";

pub struct Index {
    connection: Connection,
    layout: Layout,
}

/// What [`Index::refresh`] had to do.
#[derive(Debug, PartialEq, Eq)]
pub struct Refreshed {
    pub added: usize,
    pub removed: usize,
}

impl Index {
    /// Opens the index; a missing, damaged or outdated one is made anew (empty).
    pub fn open(layout: &Layout) -> Result<(Index, bool)> {
        match Index::open_existing(layout) {
            Ok(Some(index)) => Ok((index, false)),
            Ok(None) | Err(Error::Index { .. }) => Ok((Index::make(layout)?, true)),
            Err(other) => Err(other),
        }
    }

    /// Throws the index away and reads every entry again.
    pub fn rebuild(journal: &Journal, layout: &Layout) -> Result<usize> {
        let mut index = Index::make(layout)?;
        Ok(index.refresh(journal)?.added)
    }

    /// Brings the index up to the entry files.
    pub fn refresh(&mut self, journal: &Journal) -> Result<Refreshed> {
        let known = self.known()?;
        let mut seen = BTreeMap::new();
        let mut profiles: Vec<Option<ProfileId>> = journal.profiles()?.into_iter().map(Some).collect();
        profiles.push(None);
        let transaction = self.connection.transaction().map_err(broken)?;
        let mut added = 0;
        for profile in &profiles {
            for number in journal.numbers(profile.as_ref())? {
                let stamp = stamp(&self.layout, profile.as_ref(), number);
                seen.insert(number, ());
                if known.get(&number) == Some(&stamp) {
                    continue;
                }
                match journal.entry(profile.as_ref(), number) {
                    Ok(Some(entry)) => insert(&transaction, &entry, &stamp)?,
                    // What it said once is not the truth any more: a rebuild would not find it either.
                    Ok(None) | Err(Error::Damaged { .. }) => {
                        seen.remove(&number);
                        continue;
                    }
                    Err(other) => return Err(other),
                }
                added += 1;
            }
        }
        let gone: Vec<_> = known.keys().filter(|n| !seen.contains_key(n)).copied().collect();
        for number in &gone {
            transaction
                .execute("DELETE FROM entry WHERE number = ?1", [number.get() as i64])
                .map_err(broken)?;
        }
        transaction.commit().map_err(broken)?;
        Ok(Refreshed { added, removed: gone.len() })
    }

    /// The entries of which the index holds something else, and would not notice: their files are as
    /// they were when it read them. Looked up in a copy, because opening an index writes to it.
    pub fn lies(layout: &Layout, journal: &Journal) -> Result<Vec<EntryNumber>> {
        if !layout.index().exists() {
            return Ok(Vec::new());
        }
        let aside = Layout::new(files::private_directory("flipper-verify")?);
        let looked = Index::copy(layout, &aside).and_then(|()| Index::compare(layout, &aside, journal));
        files::remove_tree(aside.top())?;
        looked
    }

    fn copy(from: &Layout, to: &Layout) -> Result<()> {
        files::make_dir(&to.journal(), 0o700)?;
        for suffix in ["", "-wal"] {
            let [from, to] = [from, to].map(|layout| files::with_suffix(&layout.index(), suffix));
            if from.exists() {
                fs::copy(&from, &to).at("copy", &from)?;
            }
        }
        Ok(())
    }

    fn compare(layout: &Layout, aside: &Layout, journal: &Journal) -> Result<Vec<EntryNumber>> {
        // Of another version: it would be made anew.
        let Some(index) = Index::open_existing(aside)? else { return Ok(Vec::new()) };
        let known = index.known()?;
        let mut owners: Vec<Option<ProfileId>> = journal.profiles()?.into_iter().map(Some).collect();
        owners.push(None);
        let mut lies = Vec::new();
        for owner in owners.iter().map(Option::as_ref) {
            let said: BTreeMap<_, _> = index.entries(owner)?.into_iter().map(|e| (e.number, e)).collect();
            let up_to_date = |number: EntryNumber| known.get(&number) == Some(&stamp(layout, owner, number));
            for entry in journal.entries(owner)?.entries {
                if up_to_date(entry.number) && said.get(&entry.number) != Some(&entry) {
                    lies.push(entry.number);
                }
            }
        }
        Ok(lies)
    }

    /// Records one entry: the second and last fsync of a transaction.
    pub fn record(&mut self, entry: &Entry) -> Result<()> {
        let stamp = stamp(&self.layout, entry.profile.as_ref(), entry.number);
        let transaction = self.connection.transaction().map_err(broken)?;
        insert(&transaction, entry, &stamp)?;
        transaction.commit().map_err(broken)
    }

    pub fn forget(&mut self, number: EntryNumber) -> Result<()> {
        let done = self.connection.execute("DELETE FROM entry WHERE number = ?1", [number.get() as i64]);
        done.map(|_| ()).map_err(broken)
    }

    /// Writes the WAL back into the database when it has grown. Every opening reads the whole WAL (it
    /// finds no other user, so it trusts nothing), and a commit that finds a thousand pages writes them
    /// back itself; so whoever has time does it.
    pub fn checkpoint(&self) -> Result<()> {
        let wal = files::with_suffix(&self.layout.index(), "-wal");
        if fs::metadata(&wal).map_or(0, |meta| meta.len()) < WORTH_A_CHECKPOINT {
            return Ok(());
        }
        let done = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        done.map_err(broken)
    }

    /// Every entry of a profile, ascending.
    pub fn entries(&self, profile: Option<&ProfileId>) -> Result<Vec<Entry>> {
        let mut query = self
            .connection
            .prepare_cached("SELECT document FROM entry WHERE profile IS ?1 ORDER BY number")
            .map_err(broken)?;
        let rows = query.query_map([profile.map(ProfileId::as_str)], |row| row.get::<_, String>(0));
        let mut entries = Vec::new();
        for text in rows.map_err(broken)? {
            let entry = serde_json::from_str(&text.map_err(broken)?);
            entries.push(entry.map_err(|e| Error::Index { why: e.to_string() })?);
        }
        Ok(entries)
    }

    fn open_existing(layout: &Layout) -> Result<Option<Index>> {
        if !layout.index().exists() {
            return Ok(None);
        }
        let connection = connect(layout)?;
        let version: i64 =
            connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(broken)?;
        if version != VERSION {
            return Ok(None);
        }
        connection
            .query_row("SELECT count(*) FROM (SELECT 1 FROM entry LIMIT 1)", [], |_| Ok(()))
            .map_err(broken)?;
        connection.prepare("SELECT number FROM change").map_err(broken)?;
        Ok(Some(Index { connection, layout: layout.clone() }))
    }

    fn make(layout: &Layout) -> Result<Index> {
        for suffix in ["", "-wal", "-shm"] {
            files::remove_if_there(&files::with_suffix(&layout.index(), suffix))?;
        }
        let connection = connect(layout)?;
        connection.execute_batch(TABLES).map_err(broken)?;
        connection.pragma_update(None, "user_version", VERSION).map_err(broken)?;
        Ok(Index { connection, layout: layout.clone() })
    }

    fn known(&self) -> Result<BTreeMap<EntryNumber, Stamp>> {
        let mut query =
            self.connection.prepare("SELECT number, file, size, mtime FROM entry").map_err(broken)?;
        let rows = query.query_map([], |row| {
            let stamp = Stamp { file: row.get(1)?, size: row.get(2)?, mtime: row.get(3)? };
            Ok((row.get::<_, i64>(0)?, stamp))
        });
        let mut known = BTreeMap::new();
        for row in rows.map_err(broken)? {
            let (number, stamp) = row.map_err(broken)?;
            if let Ok(number) = number.to_string().parse() {
                known.insert(number, stamp);
            }
        }
        Ok(known)
    }
}

/// What tells an entry file that changed from one that did not: its name and inode (every file that is
/// written anew has another), size and time; of an open one the plan beside it counts too.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    file: String,
    size: i64,
    mtime: i64,
}

fn stamp(layout: &Layout, profile: Option<&ProfileId>, number: EntryNumber) -> Stamp {
    let dir = layout.entries(profile);
    let look = |suffix: &str| fs::metadata(dir.join(format!("{number}{suffix}"))).ok();
    let nanoseconds =
        |meta: &fs::Metadata| meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec());
    let of = |suffix: &str, meta: fs::Metadata| Stamp {
        file: format!("{number}{suffix} {}", meta.ino()),
        size: meta.len() as i64,
        mtime: nanoseconds(&meta),
    };
    match (look(".json"), look(".open.json")) {
        (Some(closed), None) => of(".json", closed),
        (closed, Some(open)) => {
            let mut stamp = of(".open.json", open);
            for beside in [closed, look(".plan.json")].into_iter().flatten() {
                stamp.file += &format!(" {}", beside.ino());
                stamp.size = stamp.size.wrapping_add(beside.len() as i64);
                stamp.mtime = stamp.mtime.max(nanoseconds(&beside));
            }
            stamp
        }
        (None, None) => Stamp { file: String::new(), size: 0, mtime: 0 },
    }
}

fn insert(connection: &Connection, entry: &Entry, stamp: &Stamp) -> Result<()> {
    let number = entry.number.get() as i64;
    let document = serde_json::to_string(entry).map_err(|e| Error::Index { why: e.to_string() })?;
    connection.execute("DELETE FROM entry WHERE number = ?1", [number]).map_err(broken)?;
    connection
        .prepare_cached("INSERT INTO entry VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)")
        .and_then(|mut insert| {
            insert.execute(params![
                number,
                entry.profile.as_ref().map(ProfileId::as_str),
                entry.kind.name(),
                entry.state.name(),
                entry.root.map(|n| n.get() as i64),
                entry.base.as_ref().map(|b| b.as_str()),
                entry.target.map(|n| n.get() as i64),
                entry.person.as_ref().map(|p| p.uid),
                entry.command_line,
                entry.started,
                entry.ended,
                stamp.file,
                stamp.size,
                stamp.mtime,
                document,
            ])
        })
        .map_err(broken)?;
    let mut insert = connection
        .prepare_cached("INSERT INTO change VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)")
        .map_err(broken)?;
    for change in &entry.changes {
        let action = serde_json::to_value(change.action).ok();
        let action = action.as_ref().and_then(|a| a.as_str()).unwrap_or("mark").to_owned();
        let Change { package, architecture, old, new, auto, archive, security, .. } = change;
        insert
            .execute(params![number, package, architecture, old, new, action, auto, archive, security])
            .map_err(broken)?;
    }
    Ok(())
}

use crate::model::entry::Change;

fn connect(layout: &Layout) -> Result<Connection> {
    let connection = Connection::open(layout.index()).map_err(broken)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(broken)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(broken)?;
    connection
        .execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;",
        )
        .map_err(broken)?;
    Ok(connection)
}

/// Somebody else's transaction is no damage: an index in use must not be made anew under its user.
fn broken(error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    if matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked)) {
        return Error::Busy { what: "the journal's index".into() };
    }
    Error::Index { why: error.to_string() }
}
