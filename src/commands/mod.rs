//! STORIES. One file per verb: open, look, decide, act, record, report. The only room that knows
//! argv, the clock and the terminal.

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::filter::LevelFilter;

use crate::model::error::{Error, Exit, Result};

pub mod cli;
pub mod report;

mod accounts;
mod assemble;
mod bare;
mod base_flip;
mod base_good;
mod base_import;
mod base_inspect;
mod base_list;
mod base_prune;
mod base_publish;
mod base_receive;
mod base_rollback;
mod base_standing;
mod boot_files;
mod boot_menu;
mod boot_method;
mod check;
mod clone;
mod compared;
mod create;
mod cut;
mod default;
mod delete;
mod diff;
mod flips;
mod found;
mod held;
mod hook;
mod identity;
mod init;
mod install_builtin;
mod keep;
mod left;
mod list;
mod mount;
mod numbers;
mod own;
mod pin;
mod preview_shown;
mod prune;
mod prune_plan;
mod pruned;
mod rebase;
mod recover;
mod remake;
mod repair;
mod rescue;
mod reset;
mod restart;
mod restore;
mod run;
mod running_kernel;
mod save;
mod session;
mod set;
mod share;
mod show;
mod space;
mod space_parts;
mod stage;
mod state;
mod state_back;
mod status;
mod told;
mod trial;
mod undo;
mod undo_list;
mod undo_plan;
mod verify;

// These need the index, which flipper-rescue and flipper-hook are built without.
#[cfg(feature = "index")]
mod journal;
#[cfg(feature = "index")]
mod log;

#[cfg(feature = "index")]
pub fn undo_main() -> ExitCode {
    program("flipper-undo", |args: cli::Undo| undo::run(&args))
}

#[cfg(feature = "index")]
pub fn profile_main() -> ExitCode {
    program("flipper-profile", |args: cli::ProfileProgram| profile_verb(args.verb, &args.common))
}

#[cfg(feature = "index")]
pub fn base_main() -> ExitCode {
    program("flipper-base", |args: cli::BaseProgram| match args.verb {
        cli::BaseVerb::List => base_list::run(&args.common),
        cli::BaseVerb::Import { source, version, clean, no_clean } => {
            base_import::run(&args.common, &source, &version, base_import::Cleaning::from(clean, no_clean))
        }
        cli::BaseVerb::Flip(args_of) => base_flip::run(&args.common, &args_of),
        cli::BaseVerb::Rollback(args_of) => base_rollback::run(&args.common, &args_of),
        cli::BaseVerb::Receive { stream, base } => base_receive::run(&args.common, &stream, base.as_deref()),
        cli::BaseVerb::Publish { version, file, parent } => {
            base_publish::run(&args.common, &version, &file, parent.as_deref())
        }
        cli::BaseVerb::MarkGood { version } => base_good::run(&args.common, version.as_deref()),
        cli::BaseVerb::Prune { version, dry_run } => {
            base_prune::run(&args.common, version.as_deref(), dry_run)
        }
    })
}

pub fn rescue_main() -> ExitCode {
    program("flipper-rescue", |args: cli::Rescue| rescue::run(&args))
}

/// The hooks: no clap (it costs more than the whole look at the booted file), and no failure that
/// could break apt by accident.
pub fn hook_main() -> ExitCode {
    hook::main()
}

#[cfg(feature = "index")]
fn profile_verb(verb: cli::ProfileVerb, common: &cli::Common) -> Result<Exit> {
    use cli::ProfileVerb::*;
    match verb {
        Init(args) => init::run(common, &args),
        Status => status::run(common),
        Verify { deep } => verify::run(common, deep),
        List { format } => list::run(common, format == "columns"),
        Show { id } => show::run(common, &id),
        Create { id, name, base, note } => create::run(common, &id, name, base, note),
        Clone { from, new, name, note } => clone::run(common, &from, &new, name, note),
        Set(args) => set::run(common, &args),
        Rename { id, name } => set::rename(common, &id, &name),
        Delete { id } => delete::run(common, &id),
        Check(args) => check::run(common, &args),
        Rebase(args) => rebase::run(common, &args),
        Repair(args) => repair::run(common, &args),
        Reset(args) => reset::run(common, &args),
        InstallBuiltin(args) => install_builtin::run(common, &args),
        Share(args) => share::run(common, &args),
        Unshare(args) => share::take_back(common, &args),
        Default { id } => default::run(common, id.as_deref()),
        Boot { id, once } => boot_method::start_once(common, &id, once),
        BootMethod(args) => boot_method::run(common, &args),
        Space { id } => space::run(common, id.as_deref()),
        Prune { id, dry_run } => prune::run(common, id.as_deref(), dry_run),
        Pin { point, note } => pin::pin(common, &point, note),
        Unpin { point } => pin::unpin(common, &point),
        State { verb } => state::run(common, &verb),
        Run { throwaway, id, command } => run::run(common, &id, &command, throwaway),
        Mount { state, dir, read_only, refused } => mount::run(common, &state, &dir, read_only, refused),
        Diff(args) => diff::run(common, &args),
        Save { id, note } => save::run(common, id.as_deref(), note.as_deref()),
        Log { id, number } => log::run(common, id.as_deref(), number),
        Journal { verb: cli::JournalVerb::Rebuild } => journal::rebuild(common),
        Journal { verb: cli::JournalVerb::Refresh } => journal::refresh(common),
    }
}

/// What every program does around its verb: parse, run, say how it ended.
fn program<Args: Parser>(name: &str, verb: impl FnOnce(Args) -> Result<Exit>) -> ExitCode {
    log_to_stderr();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let usage = error.use_stderr();
            report::usage(&error);
            return ExitCode::from(if usage { Exit::Usage as u8 } else { 0 });
        }
    };
    end(name, verb(args))
}

fn end(name: &str, ended: Result<Exit, Error>) -> ExitCode {
    let exit = match ended {
        Ok(exit) => exit,
        Err(error) => {
            report::failure(name, &error);
            error.exit()
        }
    };
    ExitCode::from(exit as u8)
}

/// FLIPPER_LOG=debug shows what is done, on standard error. A level only: filters by module would
/// bring a regex engine into every hook, which costs more than the look at the booted file.
fn log_to_stderr() {
    let Ok(Ok(level)) = std::env::var("FLIPPER_LOG").map(|text| text.parse::<LevelFilter>()) else { return };
    let _ = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).try_init();
}

/// RFC 3339, UTC, to the second.
fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
