//! `flipper-profile install-builtin`: a profile whose pristine state is shipped, as a stream of an upper or
//! as a list of packages. Made aside and published by one rename, as create does.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::model::builtin::{BuiltinConf, package_names};
use crate::model::error::{Error, Exit, Result};
use crate::model::layout::{ProfileDir, RootDir, RootFact};
use crate::model::profile::Origin;
use crate::model::state_path::StateList;
use crate::model::{BaseVersion, Entry, Kind, ProfileId, State};
use crate::system::assemble::Assembly;
use crate::system::locks::Lock;
use crate::system::{base, btrfs, builtin, files, guard, profiles, roots, sandbox, state};

use super::cli::{Common, InstallBuiltin};
use super::session::Session;
use super::{create, identity, report, stage};

/// What was found, and what is to be made of it.
struct Plan {
    conf: BuiltinConf,
    id: ProfileId,
    source: Source,
    /// `files/`, laid over what apt made.
    files: Option<PathBuf>,
    wanted_base: Option<BaseVersion>,
}

enum Source {
    Stream(PathBuf),
    Packages(Vec<String>),
}

pub fn run(common: &Common, args: &InstallBuiltin) -> Result<Exit> {
    let session = Session::to_change(common)?;
    session.need_outside("installing a built-in")?;
    // In the pool, because a stream may be large; a cut leaves it to recover.
    let name = format!(".new-unpack-{}", std::process::id());
    let unpacked = ProfileDir::at(session.pool.layout.profiles().join(name));
    let lock = profiles::make_aside(&unpacked)?;
    let made = install(&session, args, unpacked.path());
    profiles::remove(&session.pool, &unpacked)?;
    drop(lock);
    let (plan, entry, version) = made?;
    let (id, number) = (&plan.id, entry.number);
    if common.json {
        report::json(
            &serde_json::json!({"profile": id, "base": version, "root": number, "builtin": plan.conf.id}),
        );
    } else {
        report::line(format_args!("made profile {id} from built-in {} on base {version}", plan.conf.id));
        report::line(format_args!(
            "next: flipper-profile run {id}; back to this: flipper-profile reset {id}"
        ));
    }
    Ok(Exit::Done)
}

fn install(session: &Session, args: &InstallBuiltin, unpacked: &Path) -> Result<(Plan, Entry, BaseVersion)> {
    let plan = look(&args.from, args, unpacked)?;
    session.need_free_id(&plan.id)?;
    let layout = &session.pool.layout;
    let version = match &plan.wanted_base {
        Some(version) => version.clone(),
        None => base::current(layout)?.ok_or(Error::NoBaseYet)?,
    };
    if !btrfs::is_subvolume(&layout.base(&version)) {
        return Err(Error::NoSuchBase { version });
    }
    if !plan.conf.fits(&version) {
        let why = format!("it needs base {}, and this is {version}", plan.conf.base);
        return Err(builtin::not_one(&args.from, &why));
    }
    let _kept = Lock::of_directory(&layout.base(&version), true)?
        .ok_or_else(|| Error::NoSuchBase { version: version.clone() })?;
    let mut entry = create::begin(session, Kind::Create, &plan.id, &version, None)?;
    let aside = layout.new_profile(&plan.id);
    let lock = profiles::make_aside(&aside)?;
    if let Err(error) = make(session, &plan, &aside, &entry, &version) {
        let removed = profiles::remove(&session.pool, &aside); // what stays, recover removes
        drop(lock);
        removed.unwrap_or_else(|error| report::note(format_args!("note: {error}")));
        stage::close(session, &mut entry, State::Cancelled, Some(format!("not made: {error}")))?;
        return Err(error);
    }
    profiles::publish(&aside, &layout.profile(&plan.id))?;
    drop(lock);
    let outcome = format!("from built-in {}", plan.conf.id);
    stage::close(session, &mut entry, State::Completed, Some(outcome))?;
    Ok((plan, entry, version))
}

fn look(from: &Path, args: &InstallBuiltin, unpacked: &Path) -> Result<Plan> {
    let dir = builtin::find(from, unpacked)?;
    let refuse = |why: String| builtin::not_one(from, &why);
    let read = |name: &str| -> Result<Option<String>> {
        let bytes = files::read_if_there(&dir.join(name))?;
        bytes.map(|b| String::from_utf8(b).map_err(|_| refuse(format!("{name} is no text")))).transpose()
    };
    let text = read("builtin.conf")?.ok_or_else(|| refuse("it has no builtin.conf".into()))?;
    let conf = BuiltinConf::parse(&text).map_err(refuse)?;
    let id = args.id.as_deref().unwrap_or(&conf.id).parse()?;
    let mut wanted_base: Option<BaseVersion> = args.base.as_deref().map(str::parse).transpose()?;
    // A plain version names the base it stands on; a pattern only says which ones would do.
    if wanted_base.is_none() && !conf.base.is_empty() && !conf.base.contains('*') {
        wanted_base = Some(conf.base.parse()?);
    }
    let stream = ["upper.stream", "upper.stream.zst"].map(|name| dir.join(name));
    let source = match (stream.into_iter().find(|path| path.is_file()), read("packages")?) {
        (Some(stream), None) => Source::Stream(stream),
        (None, Some(list)) => Source::Packages(package_names(&list).map_err(refuse)?),
        (None, None) => return Err(refuse("it has neither upper.stream nor packages".into())),
        _ => return Err(refuse("it has both upper.stream and packages".into())),
    };
    let files = Some(dir.join("files")).filter(|files| files.is_dir());
    Ok(Plan { conf, id, source, files, wanted_base })
}

/// Everything but the name: nothing of it is to be seen yet.
fn make(
    session: &Session,
    plan: &Plan,
    aside: &ProfileDir,
    entry: &Entry,
    version: &BaseVersion,
) -> Result<()> {
    let base = session.pool.layout.base(version);
    let root = aside.root(entry.number);
    if let Source::Stream(stream) = &plan.source {
        let received = builtin::receive(stream, aside)?;
        let made_on = roots::base_of(&received)?;
        if made_on != *version {
            let why = format!("its stream stands on base {made_on}, and this is {version}");
            return Err(builtin::not_one(stream, &why));
        }
        btrfs::snapshot(session.pool.layout.template().as_path(), root.path())?;
        builtin::copy_upper(&received, &root)?;
        hand_on_facts(&received, &root)?;
        btrfs::delete(received.path())?;
        roots::drop_random_seed(&root)?;
        roots::give_back_lent(&root, &base)?;
        plan.files.as_ref().map_or(Ok(()), |tree| builtin::lay_over_root(tree, &root, &base))?;
        state::furnish_from_root(&base, aside, &root)?;
    } else {
        btrfs::snapshot(session.pool.layout.template().as_path(), root.path())?;
        state::furnish_new(&base, aside, &root)?;
    }
    let origin = Origin {
        base: Some(version.clone()),
        profile: None,
        point: None,
        builtin: Some(plan.conf.id.clone()),
    };
    create::describe(
        aside,
        &plan.id,
        plan.conf.name.clone(),
        plan.conf.note.clone(),
        origin,
        StateList::default(),
    )?;
    for (fact, text) in [(RootFact::Args, &plan.conf.args), (RootFact::Dtbo, &plan.conf.dtbo)] {
        text.iter().try_for_each(|text| roots::write_fact(&root, fact, text))?;
    }
    create::finish_root(session, aside, entry.number, version)?;
    identity::of_new(session, aside, entry.number)?;
    if let Source::Packages(names) = &plan.source {
        install_packages(session, plan, aside, &root, version, names)?;
    }
    profiles::seal_pristine(aside, entry.number)
}

/// What a root says beside its upper, but not which base and entry it is of.
fn hand_on_facts(from: &RootDir, to: &RootDir) -> Result<()> {
    for fact in [RootFact::Args, RootFact::Dtbo, RootFact::Mounts, RootFact::Kernel] {
        roots::write_fact(to, fact, &roots::fact(from, fact)?)?;
    }
    Ok(())
}

/// apt in a run of the profile that is being made; nothing of it is journalled. `$@`: the packages.
const INSTALL: &str = "exec 1>&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get --quiet update || exit
    exec apt-get --quiet --yes --option Dpkg::Options::=--force-confold install -- \"$@\"";

fn install_packages(
    session: &Session,
    plan: &Plan,
    aside: &ProfileDir,
    root: &RootDir,
    version: &BaseVersion,
    names: &[String],
) -> Result<()> {
    let _claimed = guard::claim(&session.pool, root)?;
    let (pool, target) = (&session.pool, Path::new("/")); // the sandbox chooses
    let assembly = Assembly { pool, profile: aside, root, base: version, target, state: Some(aside.state()) };
    let merged = sandbox::prepare(|target| assembly.at(target).map(drop), &session.pool.device, None)?;
    let done = in_run(plan, &merged, names);
    sandbox::dismantle(&merged)?;
    done?;
    // What apt fetched and logged is of this moment; directories and empty logs are of the packages.
    let found = base::to_clean(&aside.state())?;
    base::clean(&aside.state(), &found)
}

/// From where, apt must know before it begins; the rest of `files/` is laid over what the packages made.
fn in_run(plan: &Plan, merged: &Path, names: &[String]) -> Result<()> {
    let sources = Path::new("etc/apt");
    if let Some(tree) = plan.files.as_ref().filter(|tree| files::is_real_directory(tree, sources)) {
        builtin::lay_over_merged(tree, sources, merged)?;
    }
    if !names.is_empty() {
        let mut command: Vec<OsString> = ["/bin/sh", "-c", INSTALL, "apt"].map(OsString::from).to_vec();
        command.extend(names.iter().map(OsString::from));
        let status = sandbox::supervise_apart(merged, plan.id.as_str(), &command)?;
        sandbox::take_name_servers_back(merged)?;
        if status != 0 {
            let why = format!("it ended with {status}");
            return Err(Error::Child { program: "apt-get".into(), why });
        }
    }
    plan.files.as_ref().map_or(Ok(()), |tree| builtin::lay_over_merged(tree, Path::new(""), merged))
}
