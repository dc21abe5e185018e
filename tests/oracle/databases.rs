//! dpkg's small databases, next to what dpkg's own tools show of the same bytes: this machine's, and some
//! that the tools make here. What was read is written as it was, and a change of ours is what the tool
//! itself would have made of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use flipper_profiles::dpkg::diversions::{self, Diversion};
use flipper_profiles::dpkg::info_file::InfoFile;
use flipper_profiles::dpkg::statoverride::{self, Override, Owner};
use flipper_profiles::dpkg::status::{MultiArch, PackageState};
use flipper_profiles::dpkg::triggers::interests::{self, Interests};
use flipper_profiles::dpkg::{Status, architectures, conffile_list, md5sums, triggers};
use tempfile::TempDir;

use crate::{NO_DPKG, system_status};

const DPKG: &str = "/var/lib/dpkg";

/// Standard output; None when it fails.
fn answer(command: &mut Command) -> Option<String> {
    let output =
        command.env("LC_ALL", "C.UTF-8").output().unwrap_or_else(|e| panic!("{command:?}: {e}: {NO_DPKG}"));
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

pub fn must(command: &mut Command) -> String {
    answer(command).unwrap_or_else(|| panic!("{command:?} failed"))
}

/// A program with its --admindir.
pub fn tool(program: &str, admindir: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("--admindir").arg(admindir);
    command
}

fn empty_database() -> TempDir {
    let dir = tempfile::tempdir().expect("make a directory");
    for name in ["info", "updates", "triggers"] {
        fs::create_dir(dir.path().join(name)).expect("make a directory");
    }
    for name in ["status", "available"] {
        fs::write(dir.path().join(name), "").expect("write a file");
    }
    dir
}

pub fn read(path: impl AsRef<Path>) -> Vec<u8> {
    let path = path.as_ref();
    fs::read(path).unwrap_or_else(|e| panic!("{}: {e}: this machine must be a Debian", path.display()))
}

pub fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

// ---- diversions ---------------------------------------------------------------------------------------

fn as_divert_lists(records: &[Diversion], admindir: &Path) {
    let line = |d: &Diversion| match d.by {
        Some(by) => format!("diversion of {} to {} by {}", lossy(d.from), lossy(d.to), lossy(by)),
        None => format!("local diversion of {} to {}", lossy(d.from), lossy(d.to)),
    };
    let ours: BTreeSet<String> = records.iter().map(line).collect();
    let theirs = must(tool("dpkg-divert", admindir).arg("--list"));
    assert_eq!(ours, theirs.lines().map(str::to_owned).collect());
}

#[test]
fn diversions_are_what_dpkg_divert_lists() {
    let text = read(format!("{DPKG}/diversions"));
    let records = diversions::parse(&text).expect("this machine's diversions");
    as_divert_lists(&records, Path::new(DPKG));
    assert_eq!(diversions::write(&records), text);
}

#[test]
fn a_diversion_of_ours_is_one_of_dpkg_divert() {
    let dir = empty_database();
    let add = |who: &[&str], from: &str| {
        let mut divert = tool("dpkg-divert", dir.path());
        must(divert.args(who).args(["--no-rename", "--divert", &format!("{from}.real"), "--add", from]));
    };
    add(&["--local"], "/usr/bin/a b");
    add(&["--package", "dash"], "/bin/sh");
    let text = read(dir.path().join("diversions"));
    let mut records = diversions::parse(&text).expect("made by dpkg-divert");
    assert_eq!((records.len(), diversions::write(&records)), (2, text.clone()));
    records.push(Diversion { from: b"/etc/\xc3\xa9", to: b"/etc/\xc3\xa9.real", by: None });
    records.retain(|d| d.by != Some(b"dash"));
    fs::write(dir.path().join("diversions"), diversions::write(&records)).expect("write");
    as_divert_lists(&records, dir.path());
    // dpkg-divert makes the same of the same change.
    fs::write(dir.path().join("diversions"), &text).expect("write");
    add(&["--local"], "/etc/\u{e9}");
    must(tool("dpkg-divert", dir.path()).args(["--no-rename", "--package", "dash", "--remove", "/bin/sh"]));
    let theirs = read(dir.path().join("diversions"));
    let theirs: BTreeSet<_> =
        diversions::parse(&theirs).expect("theirs").into_iter().map(|d| format!("{d:?}")).collect();
    assert_eq!(records.iter().map(|d| format!("{d:?}")).collect::<BTreeSet<_>>(), theirs);
}

#[test]
fn we_are_as_strict_about_diversions_as_dpkg_divert() {
    let dir = empty_database();
    let long = |length| format!("/{}\n/b\n:\n", "x".repeat(length));
    let (fits, not) = (long(1021), long(1022));
    let (mut taken, mut refused) = (0, 0);
    for text in [
        "",
        "/a\n/b\n:\n",
        "/a\n/b\nx\n",
        "/a\n/b\n:\n/c\n/d\ne\n",
        "/a\n",
        "/a\n/b\n",
        "/a\n/b\n:",
        "/a\n/b\nx\n/a\n/c\n:\n",
        "/a\n/b\n:\n/c\n/a\n:\n",
        "/a\n/b\n:\n/b\n/c\n:\n",
        "/a\n/b\n:\n/c\n/b\n:\n",
        &fits,
        &not,
        "/a\n/b\n:\n/c\n",
        "/a\0b\n/c\n:\n",
    ] {
        fs::write(dir.path().join("diversions"), text).expect("write");
        let theirs = answer(tool("dpkg-divert", dir.path()).arg("--list"));
        let ours = diversions::parse(text.as_bytes());
        assert_eq!(ours.is_ok(), theirs.is_some(), "{text:?}: {ours:?}, dpkg-divert: {theirs:?}");
        *if ours.is_ok() { &mut taken } else { &mut refused } += 1;
    }
    assert!(taken >= 4 && refused >= 8, "{taken} taken, {refused} refused");
}

// ---- overrides ----------------------------------------------------------------------------------------

#[test]
fn overrides_are_what_dpkg_statoverride_lists() {
    let text = read(format!("{DPKG}/statoverride"));
    let records = statoverride::parse(&text).expect("this machine's overrides");
    assert_eq!(statoverride::write(&records), text);
    let dir = empty_database();
    let add = |user: &str, group: &str, mode: &str, path: &str| {
        must(tool("dpkg-statoverride", dir.path()).args(["--add", user, group, mode, path]));
    };
    let list = |dir: &Path| must(tool("dpkg-statoverride", dir).arg("--list"));
    add("root", "mail", "2750", "/usr/bin/ch age");
    add("#54321", "#54321", "0", "/x");
    let made = read(dir.path().join("statoverride"));
    let mut records = statoverride::parse(&made).expect("made by dpkg-statoverride");
    assert_eq!(lossy(&statoverride::write(&records)), list(dir.path()));
    records.push(Override {
        user: Owner::Name(b"root"),
        group: Owner::Number(54322),
        mode: 0o644,
        path: b"/y",
    });
    fs::write(dir.path().join("statoverride"), statoverride::write(&records)).expect("write");
    let ours = list(dir.path());
    fs::write(dir.path().join("statoverride"), &made).expect("write");
    add("root", "#54322", "0644", "/y");
    assert_eq!(sorted(&ours), sorted(&list(dir.path())));
    assert_eq!(sorted(&lossy(&statoverride::write(&records))), sorted(&list(dir.path())));
}

#[test]
fn we_are_as_strict_about_overrides_as_dpkg_statoverride() {
    let dir = empty_database();
    let (mut taken, mut refused) = (0, 0);
    for text in [
        "root root 755 /x\n",
        "#1 #2 0 /x y\n",
        "nobody-such nor-this 4755 /x\n",
        "root root 7777 /x\n",
        "root root 10000 /x\n",
        "root root 0755 /x\n",
        "root root 8 /x\n",
        "root root x /x\n",
        "\n",
        "root\n",
        "root root 755\n",
        "root root 755 /x",
        "# root 755 /x\n",
        "#x root 755 /x\n",
        "root root 755 /x\nroot root 644 /x\n",
        "root root 755 /x\n\n",
        "root root  /x\n",
    ] {
        fs::write(dir.path().join("statoverride"), text).expect("write");
        let theirs = answer(tool("dpkg-statoverride", dir.path()).arg("--list"));
        let ours = statoverride::parse(text.as_bytes());
        assert_eq!(ours.is_ok(), theirs.is_some(), "{text:?}: {ours:?}, dpkg-statoverride: {theirs:?}");
        *if ours.is_ok() { &mut taken } else { &mut refused } += 1;
    }
    assert!(taken >= 4 && refused >= 8, "{taken} taken, {refused} refused");
}

// ---- info/, arch, triggers/ ---------------------------------------------------------------------------

/// The names in info/ that are of a package.
fn info_names() -> Vec<Vec<u8>> {
    use std::os::unix::ffi::OsStringExt;
    let names = fs::read_dir(format!("{DPKG}/info"))
        .expect(NO_DPKG)
        .map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<Vec<u8>> = names.map(OsStringExt::into_vec).filter(|name| name != b"format").collect();
    names.sort();
    assert!(names.len() > 200, "{} files in info/", names.len());
    names
}

#[test]
fn info_files_are_those_dpkg_query_lists() {
    let names = info_names();
    let files: Vec<InfoFile> =
        names.iter().map(|name| InfoFile::parse(name).unwrap_or_else(|| panic!("{}", lossy(name)))).collect();
    names.iter().zip(&files).for_each(|(name, file)| assert_eq!(file.name().as_bytes(), name));
    let lists = files.iter().filter(|f| f.kind == "list");
    for list in lists.clone().step_by(1 + lists.count() / 40) {
        // dpkg keeps `list` and `conffiles` to itself.
        let mine = files.iter().filter(|f| f.stem() == list.stem());
        let mine: BTreeSet<&str> =
            mine.map(|f| f.kind).filter(|k| !["list", "conffiles"].contains(k)).collect();
        let theirs = must(Command::new("dpkg-query").args(["--control-list", &list.stem()]));
        let theirs = theirs.lines().filter(|k| *k != "conffiles").collect();
        assert_eq!(mine, theirs, "{}", list.stem());
    }
}

#[test]
fn what_packages_ship_in_info_is_written_as_it_was() {
    let mut read_of = [0; 3];
    for name in info_names() {
        let file = InfoFile::parse(&name).expect("a name");
        let text = || read(format!("{DPKG}/info/{}", file.name()));
        match file.kind {
            "md5sums" => {
                let text = text();
                let sums = md5sums::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", file.name()));
                assert_eq!(md5sums::write(&sums), text, "{}", file.name());
                read_of[0] += 1;
            }
            "conffiles" => {
                let text = text();
                let listed = conffile_list::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", file.name()));
                assert_eq!(conffile_list::write(&listed), text, "{}", file.name());
                read_of[1] += 1;
            }
            "triggers" => {
                let text = text();
                let found = triggers::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", file.name()));
                assert_eq!(triggers::parse(&triggers::write(&found)).as_ref(), Ok(&found), "{}", file.name());
                read_of[2] += 1;
            }
            _ => {}
        }
    }
    assert!(read_of.iter().all(|n| *n > 10), "{read_of:?}");
}

/// What a package lists as its conffiles is what dpkg noted of them in the status.
#[test]
fn listed_conffiles_are_those_of_the_status() {
    let text = system_status();
    let status = Status::parse(&text).expect("ours");
    let mut compared = 0;
    for package in status.packages.iter().filter(|p| p.state == PackageState::Installed) {
        let architecture = (package.multi_arch == MultiArch::Same).then_some(package.architecture);
        let file = InfoFile { package: package.name, architecture, kind: "conffiles" };
        let Ok(text) = fs::read(format!("{DPKG}/info/{}", file.name())) else { continue };
        let listed: BTreeSet<&[u8]> =
            conffile_list::parse(&text).expect("a list").iter().map(|c| c.path).collect();
        let noted = package.conffiles().expect("conffiles").into_iter().filter(|c| !c.obsolete);
        assert_eq!(listed, noted.map(|c| c.path).collect(), "{}", package.name);
        compared += listed.len();
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn architectures_are_those_dpkg_prints() {
    let dir = empty_database();
    let native = must(Command::new("dpkg").arg("--print-architecture")).trim().to_owned();
    let foreign = || must(tool("dpkg", dir.path()).arg("--print-foreign-architectures"));
    must(tool("dpkg", dir.path()).args(["--add-architecture", "s390x"]));
    must(tool("dpkg", dir.path()).args(["--add-architecture", "riscv64"]));
    let text = read(dir.path().join("arch"));
    let mut names = architectures::parse(&text).expect("made by dpkg");
    assert_eq!((names.join("\n"), names[0]), (format!("{native}\n{}", foreign().trim()), native.as_str()));
    assert_eq!(architectures::write(&names), text);
    names.remove(1);
    must(tool("dpkg", dir.path()).args(["--remove-architecture", "s390x"]));
    assert_eq!(architectures::write(&names), read(dir.path().join("arch")));
}

/// What dpkg holds in triggers/ follows from the packages' lists, name by name.
#[test]
fn interests_follow_from_the_packages_as_dpkg_has_them() {
    let text = system_status();
    let status = Status::parse(&text).expect("ours");
    let there = status.packages.iter().filter(|p| {
        !matches!(
            p.state,
            PackageState::NotInstalled | PackageState::ConfigFiles | PackageState::HalfInstalled
        )
    });
    let name = |p: &flipper_profiles::dpkg::status::Package| {
        let architecture = (p.multi_arch == MultiArch::Same).then(|| p.architecture.to_owned());
        (p.name.to_owned(), architecture)
    };
    let lists = there.map(name).filter_map(|(package, architecture)| {
        let file =
            InfoFile { package: &package, architecture: architecture.as_deref(), kind: "triggers" }.name();
        Some((package, architecture, fs::read(format!("{DPKG}/info/{file}")).ok()?))
    });
    let lists: Vec<_> = lists.collect();
    let mut made = Interests::default();
    for (package, architecture, text) in &lists {
        made.add(package, architecture.as_deref(), &triggers::parse(text).expect("a list"));
    }
    let file = read(format!("{DPKG}/triggers/File"));
    let theirs = interests::parse_file(&file).expect("triggers/File");
    assert_eq!(interests::write_file(&theirs), file);
    assert!(theirs.len() > 5, "{theirs:?}");
    assert_eq!(made.file.iter().collect::<BTreeSet<_>>(), theirs.iter().collect());
    let entries = fs::read_dir(format!("{DPKG}/triggers"))
        .expect("triggers/")
        .map(|e| e.expect("an entry").file_name());
    let words: BTreeSet<Vec<u8>> =
        entries.map(|name| name.into_encoded_bytes()).filter(|name| interests::is_named(name)).collect();
    assert_eq!(made.named.keys().map(|word| word.to_vec()).collect::<BTreeSet<_>>(), words);
    for word in words {
        let text = read(format!("{DPKG}/triggers/{}", lossy(&word)));
        let theirs = interests::parse_named(&text).expect("a list");
        assert_eq!(interests::write_named(&theirs), text, "{}", lossy(&word));
        let ours = &made.named[&word[..]];
        assert_eq!(ours.iter().collect::<BTreeSet<_>>(), theirs.iter().collect(), "{}", lossy(&word));
    }
}
