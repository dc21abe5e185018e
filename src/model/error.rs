//! The situations a person can be in. Each says in one sentence what is so (the last line on standard
//! error, which a small screen shows), and where it helps a hint says what to do next. Io always
//! carries its path (house rule 6).

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::id::{BaseVersion, EntryNumber, ProfileId};
use super::trial::TRIES;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// 0 done or clean · 1 attention · 2 refused, nothing changed · 3 could not · 64 usage
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    Attention = 1,
    Refused = 2,
    CouldNot = 3,
    Usage = 64,
}

#[derive(Debug)]
pub enum Error {
    Usage(String),
    BadId { text: String },
    BadBaseVersion { text: String },
    BadEntryNumber { text: String },
    BadDecision { text: String },
    NotRoot,
    NoPool,
    NotBtrfs { path: PathBuf },
    NotAPool { path: PathBuf },
    AlreadyAPool { path: PathBuf },
    TwinPools { one: PathBuf, other: PathBuf },
    FormatTooNew { format: u32, may_read: bool },
    DeviceHolds { path: PathBuf, what: String },
    NotConfirmed { question: String },
    NoSuchProfile { id: ProfileId },
    NoSuchBase { version: BaseVersion },
    NoBaseYet,
    NoProfileNamed,
    ProfileExists { id: ProfileId },
    ProfileDeleted { id: ProfileId, entry: EntryNumber },
    BaseExists { version: BaseVersion },
    BaseKept { version: BaseVersion, why: String },
    NotADebianRoot { path: PathBuf, why: String },
    NotAStream { path: PathBuf, why: String },
    BrokenStream { path: PathBuf, why: String },
    NoParentBase { path: PathBuf, wanted: Option<BaseVersion>, here: String },
    InUse { what: String, by: String },
    Busy { what: String },
    AptRunning { pid: i32 },
    Unprotected { why: String },
    InsideRun { verb: String },
    NoSuchEntry { number: EntryNumber },
    NoSuchRoot { number: EntryNumber, profile: ProfileId },
    DoesNotStart { profile: ProfileId, number: EntryNumber, why: String },
    TriesSpent { profile: ProfileId, number: EntryNumber, back_to: Option<EntryNumber> },
    NotInLine { number: EntryNumber, profile: ProfileId },
    PointMissing { number: EntryNumber },
    NoStateBefore { number: EntryNumber },
    PointPruned { number: EntryNumber, by: EntryNumber, when: String },
    NotPinned { number: EntryNumber },
    BadSetting { line: String, why: String },
    NothingToUndo { profile: ProfileId },
    NothingToRedo { profile: ProfileId, newer: Option<EntryNumber> },
    NothingToCancel { profile: ProfileId },
    NothingRefused { profile: ProfileId },
    Waits { profile: ProfileId, entry: EntryNumber, what: String },
    NoPristine { profile: ProfileId },
    PristineOnOtherBase { profile: ProfileId, pristine: BaseVersion, now: BaseVersion },
    Blocked { base: BaseVersion, why: String },
    NotProved { profile: ProfileId, base: BaseVersion, why: String },
    NotDecidable { what: String, why: String },
    NotKeepable { path: PathBuf, why: String },
    NotShareable { path: PathBuf, why: String },
    NotABuiltin { path: PathBuf, why: String },
    NotRestorable { path: PathBuf, why: String },
    NotMendable { what: String, why: String },
    BadStatePath { path: PathBuf, why: String },
    PurgesState { package: String, path: String },
    NotWritable { path: PathBuf, why: String },
    Damaged { what: PathBuf, why: String },
    Child { program: String, why: String },
    Index { why: String },
    Io { path: PathBuf, action: &'static str, source: io::Error },
}

impl Error {
    pub fn exit(&self) -> Exit {
        use Error::*;
        match self {
            Usage(_) | BadId { .. } | BadBaseVersion { .. } | BadEntryNumber { .. } => Exit::Usage,
            BadDecision { .. } => Exit::Usage,
            Io { .. } | Child { .. } | Damaged { .. } | Index { .. } | NotWritable { .. } => Exit::CouldNot,
            NotRoot | NoPool | NotBtrfs { .. } | NotAPool { .. } | BrokenStream { .. } => Exit::CouldNot,
            _ => Exit::Refused,
        }
    }

    /// strerror(ENOSPC) in the C locale: what programs say.
    pub const NO_SPACE: &str = "No space left on device";

    pub fn is_no_space(&self) -> bool {
        const ENOSPC: i32 = 28;
        match self {
            Error::Io { source, .. } => {
                source.raw_os_error() == Some(ENOSPC) || source.kind() == io::ErrorKind::StorageFull
            }
            Error::Child { why, .. } => why.contains(Error::NO_SPACE),
            _ => false,
        }
    }

    /// What to do next, when one thing helps.
    pub fn hint(&self) -> Option<String> {
        use Error::*;
        Some(match self {
            BadId { .. } => "an id is 1 to 32 of a-z, 0-9 and -, and does not begin with -".into(),
            BadBaseVersion { .. } => "a version is 1 to 48 of letters, digits and . + ~ -, e.g. 13.2".into(),
            BadEntryNumber { .. } | NoSuchEntry { .. } => "list entries with: flipper-undo --list".into(),
            BadDecision { .. } => {
                "a decision is CLASS:PATH=keep, =new or =merge, e.g. --decide C6:/etc/tool.conf=new".into()
            }
            NotDecidable { .. } => {
                "what can be decided, and how it is typed: the same with --dry-run --all".into()
            }
            NotRoot => "run it with sudo".into(),
            NoPool => {
                "make one with: flipper-profile init --image pool.img --size 8G, or name one with --pool"
                    .into()
            }
            NotAPool { .. } => "prepare it with: flipper-profile init".into(),
            DeviceHolds { path, .. } => {
                let path = path.display();
                format!("if nothing on it is needed any more: mkfs.btrfs --force {path}, and then this again")
            }
            NotConfirmed { .. } => "say yes on a terminal, or give --yes".into(),
            NoSuchProfile { .. } | NoProfileNamed => "list profiles with: flipper-profile list".into(),
            NoSuchBase { .. } => "list bases with: flipper-base list".into(),
            BaseKept { .. } => "every base, and why it is kept: flipper-base prune --dry-run".into(),
            NotAStream { .. } => {
                "a stream is made with: flipper-base publish V FILE; a directory or a tarball comes in with: flipper-base import"
                    .into()
            }
            TwinPools { other, .. } => {
                let other = other.display();
                format!("take one of the two out, or give the copy an identity of its own: btrfstune -u {other}")
            }
            BrokenStream { .. } => "get it again: nothing of it stays in the pool".into(),
            NoParentBase { .. } => "receive that base first, or get a whole stream instead of a delta".into(),
            NoBaseYet => "import one with: flipper-base import DIR --version V".into(),
            ProfileDeleted { id, .. } => format!("bring it back with: flipper-undo --profile {id}"),
            AptRunning { .. } => "wait until it has ended, then try again".into(),
            Unprotected { .. } => "for this one run without protection: FLIPPER_SKIP=1".into(),
            InsideRun { .. } => "leave the run first".into(),
            BadStatePath { .. } => "what is in state/, and what may be: flipper-profiles(7), STATE".into(),
            PurgesState { .. } => "for this one run all the same, without protection: FLIPPER_SKIP=1".into(),
            NotInLine { number, profile } => {
                format!("make a profile of that state with: flipper-profile clone {profile}@{number} NEW")
            }
            NoStateBefore { .. } => {
                "what it dropped is staged again with: flipper-undo, or flipper-undo N".into()
            }
            NothingToUndo { .. } | NothingToCancel { .. } => "list entries with: flipper-undo --list".into(),
            NothingToRedo { newer: Some(newer), .. } => {
                format!("entry {newer} was made since; its state can be left by number: flipper-undo --list")
            }
            PointPruned { .. } => {
                "what is kept, and why: flipper-profile prune --dry-run; pin what must stay: flipper-profile pin"
                    .into()
            }
            Waits { profile, .. } => {
                format!("start the profile first, or drop what waits: flipper-undo --profile {profile} --cancel")
            }
            NoPristine { profile } => {
                format!("go back by number: flipper-undo --profile {profile} --list; or make a fresh profile: flipper-profile create NEW")
            }
            Blocked { base, .. } => format!("all of it: flipper-profile check --base {base} --all"),
            NotProved { profile, .. } => format!(
                "look at it: flipper-profile mount {profile} --refused DIR; what apt and dpkg said is in apt.log of its entry, in @journal/entries/{profile}"
            ),
            PristineOnOtherBase { profile, pristine, .. } => {
                format!("a fresh profile on it: flipper-profile create NEW --base {pristine}; back to before {profile} moved: flipper-undo --profile {profile} --list")
            }
            BadSetting { .. } => {
                "a new pool's settings, explained: flipper-profiles(7), RETENTION; mend @journal/pool.conf".into()
            }
            Damaged { .. } => "look at it with: flipper-profile verify".into(),
            Io { .. } | Child { .. } if self.is_no_space() => "free some space on the pool, then try again".into(),
            _ => return None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Error::*;
        match self {
            Usage(text) => write!(out, "{text}"),
            BadId { text } => write!(out, "{text:?} is not a profile id"),
            BadBaseVersion { text } => write!(out, "{text:?} is not a base version"),
            BadEntryNumber { text } => write!(out, "{text:?} is not an entry number"),
            BadDecision { text } => write!(out, "{text:?} is not a decision"),
            NotRoot => write!(out, "this needs root"),
            NoPool => write!(out, "there is no pool: this machine has no flipper profiles yet"),
            NotBtrfs { path } => write!(out, "{} is not on btrfs, and a pool must be", path.display()),
            NotAPool { path } => write!(out, "{} holds no pool of flipper profiles", path.display()),
            AlreadyAPool { path } => write!(out, "{} is a pool already", path.display()),
            TwinPools { one, other } => write!(
                out,
                "{} and {} bear the same file system: one is a copy, and nothing is written to either",
                one.display(),
                other.display()
            ),
            FormatTooNew { format, may_read: true } => write!(
                out,
                "this pool was written by a newer program (format {format}): this one may read it but not change it"
            ),
            FormatTooNew { format, .. } => write!(
                out,
                "this pool was written by a newer program (format {format}) that this one cannot read"
            ),
            DeviceHolds { path, what } => {
                write!(out, "{} holds {what}: it will not be formatted", path.display())
            }
            NotConfirmed { question } => write!(out, "not confirmed: {question}"),
            NoSuchProfile { id } => write!(out, "there is no profile {id}"),
            NoSuchBase { version } => write!(out, "there is no base {version}"),
            NoBaseYet => write!(out, "this pool has no base yet"),
            NoProfileNamed => write!(out, "no profile is booted here and none was named"),
            ProfileExists { id } => write!(out, "there is a profile {id} already"),
            ProfileDeleted { id, entry } => {
                write!(out, "profile {id} was deleted (entry {entry}) and is still kept")
            }
            BaseExists { version } => write!(out, "there is a base {version} already"),
            BaseKept { version, why } => write!(out, "base {version} is kept: {why}"),
            NotADebianRoot { path, why } => {
                write!(out, "{} is not a settled Debian root: {why}", path.display())
            }
            NotAStream { path, why } => write!(out, "{} is no stream of a base: {why}", path.display()),
            BrokenStream { path, why } => write!(out, "{} was not received whole: {why}", path.display()),
            NoParentBase { path, wanted, here } => {
                let base = wanted.as_ref().map_or("a base".to_owned(), |base| format!("base {base}"));
                write!(out, "{} is a delta to {base} that is not here; here: {here}", path.display())
            }
            InUse { what, by } => write!(out, "{what} is in use: {by}"),
            Busy { what } => write!(out, "another program is working on {what}"),
            AptRunning { pid } => write!(out, "apt or dpkg is at work in this profile (process {pid})"),
            Unprotected { why } => write!(out, "strict=yes refuses a run that cannot be taken back: {why}"),
            InsideRun { verb } => write!(out, "{verb} is not done from inside a run"),
            NoSuchEntry { number } => write!(out, "there is no entry {number}"),
            NotInLine { number, profile } => {
                write!(out, "entry {number} is not in the line of descent of what {profile} is now")
            }
            NoStateBefore { number } => {
                write!(
                    out,
                    "entry {number} dropped what waited and changed nothing else: there is nothing to return to"
                )
            }
            PointMissing { number } => write!(out, "the point before entry {number} is not kept any more"),
            PointPruned { number, by, when } => {
                write!(
                    out,
                    "the point before entry {number} is not kept any more: pruned {when} (entry {by})"
                )
            }
            NoSuchRoot { number, profile } => write!(out, "profile {profile} has no root {number}"),
            DoesNotStart { profile, number, why } => {
                write!(out, "root {number} of {profile} cannot be started: {why}")
            }
            TriesSpent { profile, number, back_to } => {
                let rest = back_to.map_or(", and there is no better state of it", |_| "");
                write!(out, "root {number} of {profile} was started {TRIES} times and never came up{rest}")
            }
            NotPinned { number } => write!(out, "the point before entry {number} is not pinned"),
            BadSetting { line, why } => {
                write!(out, "pool.conf has the line {line:?}: {why}; nothing is deleted")
            }
            NothingToUndo { profile } => write!(out, "nothing to undo in profile {profile}"),
            NothingToRedo { profile, .. } => write!(out, "nothing to redo in profile {profile}"),
            NothingToCancel { profile } => write!(out, "nothing waits for a boot in profile {profile}"),
            NothingRefused { profile } => {
                write!(
                    out,
                    "no root of {profile} was refused and kept: the last rebase was proved, or there was none"
                )
            }
            Waits { profile, entry, what } => {
                write!(out, "entry {entry} waits for the next start of {profile}: {what} must wait for it")
            }
            NoPristine { profile } => {
                write!(out, "profile {profile} has no pristine state to go back to: an older program made it")
            }
            PristineOnOtherBase { profile, pristine, now } => write!(
                out,
                "the pristine state of {profile} stands on base {pristine}, and the profile on base {now} by now"
            ),
            Blocked { base, why } => write!(out, "base {base} is refused: {why}"),
            NotProved { profile, base, why } => {
                write!(out, "{profile} on base {base} does not hold, and stays where it is: {why}")
            }
            NotDecidable { what, why } => write!(out, "{what} cannot be decided: {why}"),
            NotKeepable { path, why } => write!(out, "{} cannot be kept: {why}", path.display()),
            NotShareable { path, why } => write!(out, "{} cannot be shared: {why}", path.display()),
            NotABuiltin { path, why } => write!(out, "{} is no built-in profile: {why}", path.display()),
            NotRestorable { path, why } => write!(out, "{} cannot be restored alone: {why}", path.display()),
            NotMendable { what, why } => write!(out, "{what} cannot be mended: {why}"),
            BadStatePath { path, why } => write!(out, "{}: {why}", path.display()),
            PurgesState { package, path } => {
                write!(out, "purging {package} may delete what is in {path}; flipper-undo puts it back")
            }
            NotWritable { path, why } => write!(out, "{} cannot be written to: {why}", path.display()),
            Damaged { what, why } => write!(out, "{} is damaged: {why}", what.display()),
            Child { program, why } => write!(out, "{program}: {why}"),
            Index { why } => write!(out, "the journal's index: {why}"),
            Io { path, action, source } => write!(out, "cannot {action} {}: {source}", path.display()),
        }
    }
}

impl std::error::Error for Error {}

/// Gives an io error its path: `fs::read(&p).at("read", &p)?`. No bare `?` on file system calls.
pub trait At<T> {
    fn at(self, action: &'static str, path: impl AsRef<Path>) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|source| Error::Io { path: path.as_ref().to_path_buf(), action, source })
    }
}

impl<T> At<T> for nix::Result<T> {
    fn at(self, action: &'static str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(io::Error::from).at(action, path)
    }
}
