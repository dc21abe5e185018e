//! What is made once and kept for three days: the .deb under test with its programs, and an image of a
//! pool with a base and a profile, for each root and set of dependencies.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use fs2::FileExt;
use sha2::{Digest, Sha256};

use super::{command, program};

/// What the profile has beside a minimal root: what our package depends on, and what maintainer
/// scripts of the tests use.
const EXTRA: &str = "attr, faketime, libcap2-bin, passwd";

fn need(program: &str, package: &str) {
    let there = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    assert!(there.is_ok_and(|o| o.status.success()), "{program} is missing: apt-get install {package}");
}

/// One of our scripts in tests/; its last line is the answer.
fn script(words: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(words[0]);
    let output = Command::new(&path).args(&words[1..]).stderr(Stdio::inherit()).output();
    let output = output.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(output.status.success(), "tests/{} failed", words[0]);
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().last().unwrap_or_default().to_owned()
}

pub fn cache() -> PathBuf {
    let cache = std::env::var_os("FLIPPER_CACHE").map(PathBuf::from);
    let dir = cache.unwrap_or_else(|| "/var/cache/flipper-profiles-tests".into()).join("apt");
    fs::create_dir_all(&dir).expect("make the cache");
    dir
}

/// The .deb under test, and its programs unpacked for the outside.
pub struct Ours {
    pub deb: PathBuf,
    pub programs: PathBuf,
}

pub fn ours() -> &'static Ours {
    static OURS: OnceLock<Ours> = OnceLock::new();
    OURS.get_or_init(|| {
        assert!(
            nix::unistd::geteuid().is_root(),
            "these tests mount a pool: run them as root (sudo tests/run apt)"
        );
        for (program, package) in [("btrfstune", "btrfs-progs"), ("strace", "strace"), ("losetup", "mount")] {
            need(program, package);
        }
        let deb = std::env::var("FLIPPER_TEST_DEB").unwrap_or_else(|_| script(&["build-debs"]));
        let key = hex(&Sha256::digest(fs::read(&deb).expect("read the .deb")));
        let programs = cache().join(format!("programs-{key}"));
        let _lock = locked("programs");
        if !programs.is_dir() {
            let aside = cache().join("programs.new");
            let _ = fs::remove_dir_all(&aside);
            command(&["dpkg-deb", "-x", &deb, aside.to_str().unwrap()], &[], b"").ok();
            fs::rename(&aside, &programs).expect("rename");
        }
        used(&programs);
        Ours { deb: deb.into(), programs }
    })
}

/// This is still of use; what was of none for three days goes.
fn used(kept: &Path) {
    File::open(kept).and_then(|file| file.set_modified(SystemTime::now())).expect("touch");
    for old in fs::read_dir(cache()).expect("list").filter_map(Result::ok) {
        let age = old.metadata().and_then(|m| m.modified()).ok().and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age > Duration::from_secs(3 * 24 * 3600)) {
            let _ = fs::remove_dir_all(old.path()).or_else(|_| fs::remove_file(old.path()));
        }
    }
}

fn locked(name: &str) -> File {
    let lock = File::create(cache().join(format!("{name}.lock"))).expect("make a lock file");
    lock.lock_exclusive().expect("lock");
    lock
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Base, profile and dependencies: everything that needs the network. Made once per root and set of
/// dependencies.
pub fn prepared_image(suite: &str, packages: &str) -> PathBuf {
    let root = match std::env::var(format!("FLIPPER_TEST_ROOT_{suite}")) {
        Ok(path) if packages.is_empty() => path,
        _ => script(&["make-root", suite, "", packages]),
    };
    let depends = command(&["dpkg-deb", "-f", ours().deb.to_str().unwrap(), "Depends"], &[], b"").ok().out;
    let depends = format!("{}, {EXTRA}", depends.trim());
    let meta = fs::metadata(&root).unwrap_or_else(|e| panic!("{root}: {e}"));
    let stamp = format!("1 {root} {} {:?} {depends}", meta.len(), meta.modified().expect("a time"));
    let image = cache().join(format!("{suite}-{}.img", &hex(&Sha256::digest(stamp))[..16]));
    let _lock = locked(suite);
    if !image.exists() {
        prepare(&image, &root, &depends);
    }
    used(&image);
    image
}

fn prepare(image: &Path, root: &str, depends: &str) {
    let aside = image.with_extension("new");
    let _ = fs::remove_file(&aside);
    let text = aside.to_str().expect("text");
    let init = ["init", "--image", text, "--size", "3G", "--inode-floor", "65536", "--yes"];
    let profile = program("flipper-profile");
    command(&[&[profile.as_str()][..], &init].concat(), &[], b"").ok();
    let base = program("flipper-base");
    command(&[&base, "--pool", text, "import", root, "--version", "1", "--clean"], &[], b"").ok();
    command(&[&profile, "--pool", text, "create", "lab"], &[], b"").ok();
    let install = format!("set -e; apt-get -qq update; apt-get -qq satisfy '{depends}'; apt-get clean");
    command(&[&profile, "--pool", text, "run", "lab", "sh", "-c", &install], &[], b"").ok();
    for _ in 0..500 {
        let used = command(&["losetup", "-j", text], &[], b"").ok().out;
        if used.is_empty() {
            fs::rename(&aside, image).expect("rename");
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{text} stays attached to a loop device");
}
