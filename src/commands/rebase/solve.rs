//! apt and dpkg over the new base, in a sandbox of its own: dependencies closed, triggers run, and what the
//! proof asks of them written down.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::commands::session::{ProfileFacts, Session};
use crate::model::EntryNumber;
use crate::model::error::{At, Error, Result};
use crate::model::layout::{Layout, RootDir};
use crate::system::assemble::Assembly;
use crate::system::{files, reserve, sandbox};

use super::{Bases, Planned};

/// A directory at the top of the new root, for what the sandbox and we tell each other.
const BENCH: &str = ".flipper-rebase";

/// `$1`: upgrade or keep. Ends with 20 and more where it could not go on; `step` says where.
const SCRIPT: &str = include_str!("in-the-sandbox.sh");

pub struct Bench {
    dir: PathBuf,
    upgrade: bool,
}

/// What came of it.
pub struct Ended {
    pub status: i32,
    /// The step it ended in: check, update, fix, upgrade, triggers, proof.
    pub step: String,
    pub audit: String,
    pub check: String,
    pub verify: Vec<u8>,
    /// It ended because there is no room: that says nothing of the base.
    pub is_full: bool,
}

impl Bench {
    pub fn make(root: &RootDir, planned: &Planned, upgrade: bool) -> Result<Bench> {
        let dir = root.upper().join(BENCH);
        files::remove_tree(&dir)?;
        files::make_dir(&dir, 0o755)?;
        let write = |name: &str, text: &str| fs::write(dir.join(name), text).at("write", dir.join(name));
        write("script", SCRIPT)?;
        write("pins", &pins(&planned.pins))?;
        Ok(Bench { dir, upgrade })
    }

    /// `log`: everything apt and dpkg say.
    pub fn run(
        &self,
        session: &Session,
        facts: &ProfileFacts,
        bases: &Bases,
        (entry, root): (EntryNumber, &RootDir),
        log: &Path,
        broken: bool,
    ) -> Result<Ended> {
        let assembly = Assembly {
            pool: &session.pool,
            profile: &facts.dir,
            root,
            base: &bases.to,
            target: Path::new("/"), // the sandbox chooses
            state: Some(facts.dir.made_state(entry)),
        };
        let word = |yes: bool, word: &str| OsString::from(if yes { word } else { "no" });
        let script = format!("/{BENCH}/script");
        let command: Vec<OsString> =
            vec!["/bin/sh".into(), script.into(), word(self.upgrade, "upgrade"), word(broken, "broken")];
        let status = sandbox::logged(&assembly, facts.id.as_str(), &command, log)?;
        let text =
            |name: &str| Ok::<_, Error>(files::read_if_there(&self.dir.join(name))?.unwrap_or_default());
        let line = |name: &str| Ok::<_, Error>(String::from_utf8_lossy(&text(name)?).trim().to_owned());
        let step = line("step")?;
        Ok(Ended {
            status,
            is_full: (status, &*step) != (0, "done") && ran_out_of_room(&session.pool.layout, log)?,
            step,
            audit: line("audit")?,
            check: line("check")?,
            verify: text("verify")?,
        })
    }

    pub fn remove(&self) -> Result<()> {
        let top = self.dir.parent().unwrap_or(&self.dir);
        files::keeping_times(top, || files::remove_tree(&self.dir))
    }
}

/// As the programs say it, and apt before it fetches; where not even that could be written, there is no room.
fn ran_out_of_room(layout: &Layout, log: &Path) -> Result<bool> {
    if reserve::is_full(layout)? {
        return Ok(true);
    }
    let text = String::from_utf8_lossy(&files::read_if_there(log)?.unwrap_or_default()).into_owned();
    Ok([Error::NO_SPACE, "You don't have enough free space"].iter().any(|words| text.contains(words)))
}

/// What the base has stays as the base has it (apt_preferences(5): 1001 also downgrades).
fn pins(packages: &[(String, String)]) -> String {
    let stanza = |(name, version): &(String, String)| {
        format!("Package: {name}\nPin: version {version}\nPin-Priority: 1001\n\n")
    };
    packages.iter().map(stanza).collect()
}
