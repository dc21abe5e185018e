//! `flipper-base flip V`: profiles move to a base one after the other, and `current` last.

use std::collections::BTreeMap;

use crate::model::error::{Error, Exit, Result};
use crate::model::flip::Moved;
use crate::model::{BaseVersion, Entry, Kind, ProfileId};
use crate::policy::check::decided::Decisions;
use crate::policy::check::finding::Verdict;
use crate::policy::flip;
use crate::system::locks::Lock;
use crate::system::{driver, files, roots};

use super::cli::{self, Common};
use super::rebase::Move;
use super::session::Session;
use super::{flips, now, report};

/// Who is meant.
enum Whom {
    Clean,
    All,
    These(Vec<ProfileId>),
}

/// What becomes of one profile.
enum Going {
    Moves,
    /// It stands on that base.
    IsThere,
    /// It stays where it is: why.
    Stays(String),
}

pub fn run(common: &Common, args: &cli::Flip) -> Result<Exit> {
    let to: BaseVersion = args.version.parse()?;
    let whom = whom(args.profiles.as_deref())?;
    let session = if args.dry_run { Session::to_read(common)? } else { Session::to_change(common)? };
    session.need_outside("a flip")?;
    let layout = &session.pool.layout;
    let _lock = if args.dry_run { None } else { Some(Lock::take_soon(&layout.base_lock(), "the bases")?) };
    if !layout.base(&to).is_dir() || !layout.manifest(&to).is_file() {
        return Err(Error::NoSuchBase { version: to });
    }
    let mut going = look(&session, &to, &whom)?;
    tell(common, &to, &going, "would move");
    need_somebody(&to, &whom, &going)?;
    if args.dry_run {
        return Ok(exit(&going));
    }
    report::confirm(&format!("flip to base {to}?"), common.yes)?;
    let flips = flips::look(&session)?;
    let (mut entry, mut moved) = begin(&session, &to, &flips.facts())?;
    let done = move_all(&session, &entry, &mut going, &mut moved)
        .and_then(|()| need_somebody(&to, &whom, &going))
        .and_then(|()| base_is_current(&session, &to)); // the visible moment of the pool
    flips::finish(&session, &mut entry, &moved, "moved", &done)?;
    done?;
    tell(common, &to, &going, "moved");
    Ok(exit(&going))
}

/// Who names profiles wants these moved: where not one of them can be, nothing is.
fn need_somebody(to: &BaseVersion, whom: &Whom, going: &BTreeMap<ProfileId, Going>) -> Result<()> {
    let Whom::These(ids) = whom else { return Ok(()) };
    let mut held = Vec::new();
    for id in ids {
        match going.get(id) {
            Some(Going::Stays(why)) => held.push(format!("{id}: {why}")),
            _ => return Ok(()),
        }
    }
    let why = format!("not one of the profiles that are named can move: {}", held.join("; "));
    Err(Error::Blocked { base: to.clone(), why })
}

fn whom(text: Option<&str>) -> Result<Whom> {
    Ok(match text {
        None => Whom::Clean,
        Some("all") => Whom::All,
        Some(ids) => Whom::These(ids.split(',').map(str::parse).collect::<Result<_>>()?),
    })
}

/// In the order of the ids.
fn look(session: &Session, to: &BaseVersion, whom: &Whom) -> Result<BTreeMap<ProfileId, Going>> {
    if let Whom::These(ids) = whom {
        ids.iter().try_for_each(|id| session.need_profile(id).map(drop))?;
    }
    let mut going = BTreeMap::new();
    for id in session.profiles()? {
        let dir = session.pool.layout.profile(&id);
        let on = roots::current(&dir).and_then(|number| roots::base_of(&dir.root(number)));
        let asked = match whom {
            Whom::These(ids) => ids.contains(&id),
            Whom::Clean | Whom::All => true,
        };
        let going_on = match on {
            Ok(on) if on == *to => Going::IsThere,
            _ if !asked => Going::Stays("it was not named".into()),
            _ => one(session, &id, to, whom).unwrap_or_else(|error| Going::Stays(error.to_string())),
        };
        going.insert(id, going_on);
    }
    Ok(going)
}

fn one(session: &Session, id: &ProfileId, to: &BaseVersion, whom: &Whom) -> Result<Going> {
    let moving = Move::look(session, id, to.clone(), Decisions::default(), false)?;
    moving.need_no_blocker()?;
    let verdict = moving.checked().verdict();
    Ok(match (whom, verdict) {
        (Whom::Clean, Verdict::Attention | Verdict::Blocked) => {
            let worst = moving.checked().findings.into_iter().next();
            let class = worst.map_or(String::new(), |f| format!(": {} {}", f.class, f.subject.text()));
            Going::Stays(format!("its check says {}{class}", verdict.word()))
        }
        _ => Going::Moves,
    })
}

/// What a flip to this base that was cut has moved already is part of this one: a rollback takes back both.
fn begin(session: &Session, to: &BaseVersion, flips: &flip::Facts) -> Result<(Entry, Moved)> {
    let cut = flip::unfinished(flips, to);
    let before = cut.map_or(flips.current.cloned(), Entry::base_before);
    let entry = session.journal.lock()?.begin(Kind::Flip, now(), |entry| {
        entry.base = Some(to.clone());
        entry.target = cut.map(|cut| cut.number);
        entry.person = Some(driver::person("/".as_ref()));
        entry.command_line = Some(format!("flipper-base flip {to}"));
        if let Some(before) = &before {
            entry.note_base_before(before);
        }
    })?;
    files::sync_file_system(session.pool.layout.top())?;
    Ok((entry, cut.map(|cut| flip::moved(flips, cut)).unwrap_or_default()))
}

/// One that fails stays where it is, and stops no other; but a full disk says nothing of a profile.
fn move_all(
    session: &Session,
    flip: &Entry,
    going: &mut BTreeMap<ProfileId, Going>,
    moved: &mut Moved,
) -> Result<()> {
    let Some(to) = &flip.base else { return Ok(()) };
    for (id, going) in going.iter_mut().filter(|(_, going)| matches!(going, Going::Moves)) {
        report::note(format_args!("{id}: moving to base {to}"));
        let done = Move::look(session, id, to.clone(), Decisions::default(), true).and_then(|moving| {
            moving.need_no_blocker()?;
            moving.go(session, Some(flip.number))
        });
        match done {
            Ok(staged) => drop(moved.insert(id.clone(), staged.entry.number)),
            Err(error) if error.is_no_space() => return Err(error),
            Err(error) => *going = Going::Stays(error.to_string()),
        }
    }
    Ok(())
}

pub fn base_is_current(session: &Session, version: &BaseVersion) -> Result<()> {
    files::replace_symlink(version.as_str(), &session.pool.layout.current_base())
}

fn tell(common: &Common, to: &BaseVersion, going: &BTreeMap<ProfileId, Going>, moves: &str) {
    let told = |going: &Going| match going {
        Going::Moves => moves.to_owned(),
        Going::IsThere => "is there already".to_owned(),
        Going::Stays(why) => format!("stays: {why}"),
    };
    flips::tell(common, to, going.iter().map(|(id, going)| (id.clone(), told(going))));
}

fn exit(going: &BTreeMap<ProfileId, Going>) -> Exit {
    let stays = going.values().any(|going| matches!(going, Going::Stays(_)));
    if stays { Exit::Attention } else { Exit::Done }
}
