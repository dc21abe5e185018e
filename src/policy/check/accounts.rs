//! Accounts (classes A1 to A5): users, groups and their numbers. A profile that ever made an account has
//! its own account files, and shows those over any base, whose files bear the numbers of the base's.

use std::collections::{BTreeMap, HashSet};

use crate::dpkg::account_file::{File, place};
use crate::model::error::Result;

use super::Look;
use super::class::Class;
use super::finding::{Finding, Severity, Subject, readable};

pub mod merge;
mod numbers;
mod ranges;

use merge::{Account, Kind, Stays, Texts};
pub use numbers::Bearers;

pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    let trees = look.trees;
    let sides = [trees.old, trees.mine, trees.new, trees.exchanged];
    let [old, mine, new, exchanged] = sides.map(Texts::read);
    let texts = [&old?, &mine?, &new?, &exchanged?];
    let accounts = merge::accounts(texts);
    let bearers = numbers::Bearers::read(look);
    let mut notes = Notes::default();
    for account in &accounts {
        changed(look, account, &bearers, &mut notes)?;
    }
    numbers::drift(&accounts, &bearers, &mut notes);
    numbers::collisions(&accounts, &bearers, &mut notes);
    ranges::find(texts, &mut notes);
    found.extend(notes.into_findings());
    Ok(())
}

/// Users and groups by name.
pub type Names = HashSet<(Kind, Vec<u8>)>;

/// The accounts there are after the merge.
pub fn merged_names(look: &Look) -> Result<Names> {
    let trees = look.trees;
    let sides = [trees.old, trees.mine, trees.new, trees.exchanged];
    let [old, mine, new, exchanged] = sides.map(Texts::read);
    let texts = [&old?, &mine?, &new?, &exchanged?];
    let bearers = numbers::Bearers::read(look);
    let accounts = merge::accounts(texts);
    let stays = accounts.into_iter().filter(|account| match account.stays() {
        Stays::There | Stays::Kept => true,
        Stays::Gone => bearers.of(account) > 0,
        Stays::Removed => false,
    });
    Ok(stays.map(|account| (account.kind, account.name)).collect())
}

/// A user and a group of one name are one account to people: one finding of a class.
#[derive(Default)]
struct Notes {
    found: BTreeMap<(Class, Vec<u8>), Finding>,
}

impl Notes {
    /// The finding of an account; the worse severity, and what rebase does then, wins.
    fn note(&mut self, class: Class, severity: Severity, name: &[u8], rebase: &str) -> &mut Finding {
        let fresh = || Finding::new(class, severity, Subject::Account(readable(name)), rebase);
        let finding = self.found.entry((class, name.to_vec())).or_insert_with(fresh);
        if severity < finding.severity {
            (finding.severity, finding.rebase) = (severity, rebase.to_owned());
        }
        finding
    }

    fn into_findings(self) -> impl Iterator<Item = Finding> {
        self.found.into_values()
    }
}

impl Finding {
    fn add(&mut self, what: &'static str, value: impl Into<String>) {
        self.evidence.push((what, value.into()));
    }
}

/// A1, A5: an account that a plain exchange would show otherwise than the merge makes it.
fn changed(look: &Look, account: &Account, bearers: &numbers::Bearers, notes: &mut Notes) -> Result<()> {
    let name = &account.name[..];
    let what = match account.kind {
        Kind::User => "user",
        Kind::Group => "group",
    };
    match account.stays() {
        Stays::Gone => match (bearers.of(account), account.main.exchanged.is_some()) {
            (0, false) => {}
            (0, true) => {
                let goes = "takes it away, the candidate has it no more";
                notes.note(Class::A1, Severity::Automatic, name, goes).add(what, "not in the candidate");
            }
            (paths, _) => {
                let keeps = "keeps it, files of the profile belong to it";
                let finding = notes.note(Class::A1, Severity::Automatic, name, keeps);
                finding.add(what, format!("not in the candidate; {paths} paths of the profile belong to it"));
            }
        },
        Stays::Kept => {
            let keeps = "keeps it as you changed it, the candidate has it no more";
            notes.note(Class::A1, Severity::Decision, name, keeps).add(what, "not in the candidate");
        }
        Stays::Removed => removed(look, account, what, notes)?,
        Stays::There => there(account, what, notes),
    }
    Ok(())
}

/// Removed here, and the candidate has it: it stays away, unless files would belong to nobody then.
fn removed(look: &Look, account: &Account, what: &'static str, notes: &mut Notes) -> Result<()> {
    let [old, _, Some(new)] = account.numbers() else { return Ok(()) };
    let files = |tree, number| numbers::files_of(tree, account.kind, number);
    let in_candidate = files(look.trees.new, new)?;
    if in_candidate == 0 {
        return Ok(());
    }
    let had = old.map(|old| files(look.trees.old, old)).transpose()?.unwrap_or_default();
    let (severity, rebase) = match had {
        0 => (Severity::Blocker, "is refused: files of the candidate would belong to nobody"),
        _ => {
            (Severity::Harmless, "keeps it removed; files of the candidate belong to nobody, as they do now")
        }
    };
    let make = match account.kind {
        Kind::User => format!("useradd --system --no-create-home --uid {new} {}", readable(&account.name)),
        Kind::Group => format!("groupadd --system --gid {new} {}", readable(&account.name)),
    };
    let finding = notes.note(Class::A1, severity, &account.name, rebase);
    finding.add(what, format!("removed in the profile; {in_candidate} files of the candidate belong to it"));
    finding.choices.push(format!("make it again: {make}"));
    Ok(())
}

fn there(account: &Account, what: &'static str, notes: &mut Notes) {
    let name = &account.name[..];
    for (file, lines) in account.kind.files().into_iter().zip([&account.main, &account.shadow]) {
        let (merged, both) = lines.merged(file);
        let Some(merged) = merged else { continue };
        let is_main = file == File::Passwd || file == File::Group;
        let Some(exchanged) = &lines.exchanged else {
            let (adds, where_) = match is_main {
                true => ("adds the candidate's", "only in the candidate"),
                false => ("adds its line in shadow", "without a line in shadow"),
            };
            notes.note(Class::A1, Severity::Automatic, name, adds).add(what, where_);
            if is_main {
                break; // its other line is told with it
            }
            continue;
        };
        for at in 1..merge::fields(file) {
            let (class, field) = field(file, at, name);
            let text = |record: &crate::dpkg::account_file::Record| readable(record.field(at));
            if both.contains(&at) {
                let finding = notes.note(class, Severity::Decision, name, "keeps yours");
                match (&lines.mine, &lines.new) {
                    (Some(mine), Some(new)) if !field.contains("password") => {
                        finding.add(field, format!("{} here, {} in the candidate", text(mine), text(new)));
                    }
                    _ => finding.add(field, "changed on both sides"),
                }
            } else if !merge::is_number(file, at)
                && !merge::same_field(file, at, merged.field(at), exchanged.field(at))
            {
                let takes = "takes what the candidate changed, and keeps what you did";
                let finding = notes.note(class, Severity::Automatic, name, takes);
                match field.contains("password") {
                    true => finding.add(field, "changed in the candidate"),
                    false => finding.add(field, format!("{}, was {}", text(&merged), text(exchanged))),
                }
            }
        }
    }
}

/// The class a field belongs to, and its name as evidence.
fn field(file: File, at: usize, name: &[u8]) -> (Class, &'static str) {
    let text = match (file, at) {
        (File::Passwd, place::COMMENT) => "full name",
        (File::Passwd, place::HOME) => "home",
        (File::Passwd, place::SHELL) => "shell",
        (File::Passwd, place::PASSWORD) => "password field in passwd",
        (File::Group, place::MEMBERS) => "members",
        (File::Group, place::PASSWORD) => "password field in group",
        (File::Shadow, place::PASSWORD) => "password",
        (File::Shadow, _) => "ageing of the password",
        (File::Gshadow, place::PASSWORD) => "password of the group",
        (File::Gshadow, place::ADMINISTRATORS) => "administrators",
        (File::Gshadow, _) => "members in gshadow",
        _ => "number",
    };
    let is_root_password = file == File::Shadow && at == place::PASSWORD && name == b"root";
    (if is_root_password { Class::A5 } else { Class::A1 }, text)
}
