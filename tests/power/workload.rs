//! What is done while the writes are recorded. One line for each step: its name, what may be said of it
//! while it is under way, and what is typed.

use crate::machine::Machine;
use crate::rig::Done;

/// What a cut in the middle of a step may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// No pool, or a pool: the step that makes it.
    Init,
    /// A change of ours: as before, or as after.
    Ours,
    /// The same, and what it puts back into state/ comes one after the other.
    PutsBack,
    /// The same, for one profile or several: each has an entry of its own, and apt may have written its
    /// logs before anything counts.
    Moves,
    /// Something writes into `lab` as it goes (apt, dpkg, a path put back): how far it got, and then a
    /// point that is as before.
    Live,
    /// The same, and what it was done in goes on: nothing is synced when it is acknowledged.
    LiveAndOn,
    /// Somebody writes into `lab` without an entry: nothing is promised of that tree meanwhile.
    Writing,
}

pub struct Step {
    pub name: &'static str,
    pub sort: Sort,
    pub act: Box<dyn Fn(&mut Machine) -> Done>,
    /// How it ends: a package run may fail on purpose.
    pub status: i32,
    /// See recording.rs.
    pub again: Option<&'static [&'static str]>,
}

impl Step {
    pub fn run(&self, machine: &mut Machine) {
        let done = (self.act)(machine);
        let said = format!("{}\n{}", done.out, done.err);
        assert_eq!(done.status, self.status, "the step {:?} did not end as it should:\n{said}", self.name);
    }
}

pub fn step(name: &'static str, sort: Sort, act: impl Fn(&mut Machine) -> Done + 'static) -> Step {
    Step { name, sort, act: Box::new(act), status: 0, again: None }
}

/// A change of ours that can be said twice.
fn twice(name: &'static str, words: &'static [&'static str]) -> Step {
    Step { again: Some(words), ..step(name, Sort::Ours, |m| m.profile(words)) }
}

fn init() -> Step {
    step("init", Sort::Init, |m| {
        let device = m.device();
        m.profile(&["init", &device, "--inode-floor", "65536", "--yes"])
    })
}

/// What the workload is made from.
pub struct Sources {
    /// A real Debian root with our package in it (a tarball), and the one that follows it.
    pub root: String,
    pub next: String,
    /// The test archive.
    pub archive: Vec<u8>,
    /// The tiny root.
    pub small: String,
}

pub fn whole(from: Sources) -> Vec<Step> {
    let mut steps = packages(from.root, from.archive);
    steps.extend(bases(from.small.clone()));
    steps.extend(data());
    steps.extend(resets());
    steps.extend(crate::moves::steps(from.next, from.small));
    steps
}

pub fn apt(words: &str) -> String {
    format!("apt-get -qq -y -o Dpkg::Options::=--force-confold {words} 2>&1")
}

fn packages(root: String, archive: Vec<u8>) -> Vec<Step> {
    use Sort::{Live, Ours, Writing};
    let import = root.clone();
    let (install, upgrade) =
        (apt("install plain=1 conf=1 service"), apt("install plain=2 conf=2 alternative"));
    let (remove, broken) = (apt("remove service"), apt("install bad-post"));
    let live = apt("install special odd");
    vec![
        init(),
        step("import", Ours, move |m| m.base(&["import", &import, "--version", "1", "--clean"])),
        step("create", Ours, |m| m.profile(&["create", "lab"])),
        step("an archive", Writing, move |m| m.run_with(ARCHIVE, &archive)),
        step("apt install", Live, move |m| m.run(&install)),
        step("a conffile of one's own", Writing, |m| m.run("echo mine >> /etc/conf.conf; sync")),
        step("apt upgrade", Live, move |m| m.run(&upgrade)),
        step("apt remove", Live, move |m| m.run(&remove)),
        step("dpkg -i", Live, |m| m.run("dpkg -i /home/apt/flat/foreign_1_all.deb")),
        Step { status: 100, ..step("apt fails", Live, move |m| m.run(&broken)) },
        step("undo", Ours, |m| m.undo(&[])),
        step("undo, further back", Ours, |m| m.undo(&[])),
        step("redo", Ours, |m| m.undo(&["--redo"])),
        step("set", Ours, |m| m.profile(&["set", "lab", "--args", "quiet"])),
        step("put a path back", Live, |m| m.undo(&["4", "--path", "/usr/share/plain/a"])),
        step("clone", Ours, |m| m.profile(&["clone", "lab", "twin", "--name", "the other"])),
        step("default", Ours, |m| m.profile(&["default", "twin"])),
        step("another default", Ours, |m| m.profile(&["default", "lab"])),
        step("apt in what goes on", Sort::LiveAndOn, move |m| m.enter(&live)),
        step("leave it", Ours, |m| m.leave()),
        step("delete", Ours, |m| m.profile(&["delete", "twin", "--yes"])),
        step("undelete", Ours, |m| m.undo_of("twin", &[])),
        step("journal rebuild", Ours, |m| m.profile(&["journal", "rebuild"])),
        step("enter", Writing, |m| m.enter("true")),
        step("undo of what runs", Ours, |m| m.undo(&[])),
        step("cancel", Ours, |m| m.undo(&["--cancel"])),
        step("undo of what runs, again", Ours, |m| m.undo(&[])),
        step("leave", Ours, |m| m.leave()),
        step("save", Ours, |m| m.profile(&["save", "lab", "--note", "by hand"])),
        step("pin", Ours, |m| m.profile(&["pin", "lab@4", "--note", "for ever"])),
        step("prune", Ours, |m| m.profile(&["prune", "--yes"])),
        step("create another", Ours, |m| m.profile(&["create", "third"])),
        step("import another", Ours, move |m| m.base(&["import", &root, "--version", "2", "--clean"])),
        step("prune a base", Ours, |m| m.base(&["prune", "2", "--yes"])),
    ]
}

/// A base comes by a stream, and one is called last good.
fn bases(small: String) -> Vec<Step> {
    use Sort::Ours;
    vec![
        step("import a small one", Ours, move |m| {
            m.base(&["import", &small, "--version", "small", "--clean"])
        }),
        step("receive", Ours, |m| {
            let stream = m.top.with_file_name("small.stream");
            let stream = stream.to_str().expect("text");
            let published = m.base(&["publish", "small", stream]);
            if published.status == 0 { m.base(&["receive", stream, "--base", "received"]) } else { published }
        }),
        step("mark good", Ours, |m| m.base(&["mark-good", "received"])),
        step("mark another good", Ours, |m| m.base(&["mark-good", "1"])),
        step("prune a received base", Ours, |m| m.base(&["prune", "received", "--yes"])),
    ]
}

/// What undo leaves alone: it comes into state/ and to what profiles share, and goes out again.
fn data() -> Vec<Step> {
    use Sort::{Live, Ours, PutsBack, Writing};
    let (install, purge) = (apt("install keeper=1"), apt("purge keeper"));
    vec![
        step("files of one's own", Writing, |m| m.run(FILES)),
        twice("state add", &["state", "add", "lab", "/srv/data"]),
        step("enter, for state", Writing, |m| m.enter("true")),
        step("state add of what runs", Ours, |m| m.profile(&["state", "add", "lab", "/srv/late"])),
        step("leave, for state", Ours, |m| m.leave()),
        step("a start that moves it", Ours, |m| m.run("true")),
        twice("share", &["share", "--profile", "lab", "/srv/music", "/etc/wifi.conf"]),
        step("share, another", Ours, |m| m.profile(&["share", "--profile", "third", "/srv/music"])),
        step("write there", Writing, |m| {
            m.run("for d in data late music; do echo new > /srv/$d/new; done; sync")
        }),
        step("apt install keeper", Live, move |m| m.run(&install)),
        twice("state add of a package's", &["state", "add", "lab", "/srv/keeper"]),
        step("apt purge", Live, move |m| m.run(&purge)),
        step("undo of a purge", PutsBack, |m| m.undo(&[])),
        twice("unshare", &["unshare", "--profile", "lab", "/srv/music", "/etc/wifi.conf"]),
        twice("state remove", &["state", "remove", "lab", "/srv/data"]),
        step("undo to before it was removed", Ours, |m| m.undo(&[])),
        twice("share again", &["share", "--profile", "lab", "/srv/music"]),
    ]
}

/// Back to pristine, with and without state/, at once and when a run has ended.
fn resets() -> Vec<Step> {
    use Sort::{Ours, Writing};
    let wipe = |m: &mut Machine| m.profile(&["reset", "lab", "--wipe", "--yes"]);
    vec![
        step("a setting of one's own", Writing, |m| {
            m.run("echo mine > /etc/mine; echo log > /var/log/mine; sync")
        }),
        step("undo that keeps", Ours, |m| m.undo(&["--keep", "/etc/mine", "--keep", "/srv/data"])),
        step("reset", Ours, |m| m.profile(&["reset", "lab", "--yes", "--keep", "/etc/mine"])),
        step("undo of a reset", Ours, |m| m.undo(&[])),
        step("reset --wipe", Ours, wipe),
        step("write over it", Writing, |m| m.run("echo log > /var/log/fresh; sync")),
        step("undo of a wipe", Ours, |m| m.undo(&[])),
        // What is listed and not in a new state/ comes into it at the next start, after it took its place.
        twice("state remove of a package's", &["state", "remove", "lab", "/srv/keeper"]),
        twice("state remove, another", &["state", "remove", "lab", "/srv/late"]),
        step("enter, for a wipe", Writing, |m| m.enter("true")),
        step("reset --wipe of what runs", Ours, wipe),
        step("cancel of a wipe", Ours, |m| m.undo(&["--cancel"])),
        step("reset --wipe of what runs, again", Ours, wipe),
        step("leave, for a wipe", Ours, |m| m.leave()),
        step("a start with a new state/", Ours, |m| m.run("true")),
        step("enter, for the undo of it", Writing, |m| m.enter("true")),
        step("undo of a wipe, of what runs", Ours, |m| m.undo(&[])),
        step("leave, for the undo of it", Ours, |m| m.leave()),
        step("set, which brings state/ back", Ours, |m| m.profile(&["set", "lab", "--note", "back"])),
    ]
}

/// A few steps on a tiny root, for the controls. The undo waits for the end of a run, so that nothing it
/// does after its last fsync makes durable what that fsync was to; `cheated`: without any fsync.
pub fn tiny(root: String, cheated: bool) -> Vec<Step> {
    use Sort::{Ours, Writing};
    vec![
        init(),
        step("import", Ours, move |m| m.base(&["import", &root, "--version", "1", "--clean"])),
        step("create", Ours, |m| m.profile(&["create", "lab"])),
        step("set", Ours, |m| m.profile(&["set", "lab", "--args", "quiet"])),
        step("enter", Writing, |m| m.enter("true")),
        step(UNDO, Ours, move |m| if cheated { m.undo_without_fsync() } else { m.undo(&[]) }),
        step("leave", Ours, |m| m.leave()),
    ]
}

/// The step of `tiny` that is cheated.
pub const UNDO: &str = "undo of what runs";

const ARCHIVE: &str = "set -e; tar x -C /home; apt-get -qq update; sync";

/// With everything a file can have, in two folders for state/, one to be shared, and a file to be shared.
const FILES: &str = r#"set -e; mkdir -p /srv/data/deep /srv/late /srv/music; cd /srv/data
echo one > one; ln one deep/same; ln -s one link; mknod deep/node c 1 3; chmod 2770 deep; chown 7:8 . one
setfattr -n user.flavour -v sweet one; echo odd > "$(printf 'badÿ
name')"; chmod 4755 "$(printf 'badÿ
name')"
head -c 300000 /dev/urandom > big; cp -a one big /srv/late; cp -a . /srv/music; echo net > /etc/wifi.conf
chmod 600 /etc/wifi.conf; sync"#;
