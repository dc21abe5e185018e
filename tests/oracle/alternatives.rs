//! Groups of alternatives, next to what update-alternatives shows of them and makes of ours.

use std::fs;
use std::path::Path;

use flipper_profiles::dpkg::alternatives::{Alternative, Choice, Mode};

use crate::NO_DPKG;
use crate::databases::{lossy, must, read, tool};

/// What `update-alternatives --query` shows of a group.
fn query(name: &str, group: &Alternative, value: Option<&[u8]>) -> String {
    let slaves = |lines: Vec<String>| {
        if group.slaves.is_empty() { String::new() } else { format!("Slaves:\n{}", lines.concat()) }
    };
    let links = group.slaves.iter().map(|s| format!(" {} {}\n", lossy(s.name), lossy(s.link))).collect();
    let mode = if group.mode == Mode::Auto { "auto" } else { "manual" };
    let best = group.best(value).map_or(String::new(), |c| format!("Best: {}\n", lossy(c.path)));
    let value = value.map_or("none".into(), lossy);
    let mut text = format!(
        "Name: {name}\nLink: {}\n{}Status: {mode}\n{best}Value: {value}\n",
        lossy(group.link),
        slaves(links)
    );
    for choice in &group.choices {
        let own = group.slaves.iter().zip(&choice.slaves).filter(|(_, path)| !path.is_empty());
        let own = own.map(|(s, path)| format!(" {} {}\n", lossy(s.name), lossy(path))).collect();
        text +=
            &format!("\nAlternative: {}\nPriority: {}\n{}", lossy(choice.path), choice.priority, slaves(own));
    }
    text
}

fn as_query_shows(name: &str, admindir: &Path, altdir: &Path) {
    use std::os::unix::ffi::OsStrExt;
    let text = read(admindir.join(name));
    let mut group = Alternative::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(lossy(&group.write()), lossy(&text), "{name}");
    // The tool passes over choices that are not there.
    group.choices.retain(|c| Path::new(std::ffi::OsStr::from_bytes(c.path)).exists());
    let value = fs::read_link(altdir.join(name)).ok();
    let value = value.as_deref().map(|path| path.as_os_str().as_bytes());
    let mut command = tool("update-alternatives", admindir);
    let theirs = must(command.arg("--altdir").arg(altdir).args(["--query", name]));
    assert_eq!(query(name, &group, value), theirs, "{name}");
    let theirs = theirs.lines().find_map(|line| line.strip_prefix("Best: "));
    assert_eq!(group.best(value).map(|c| lossy(c.path)).as_deref(), theirs, "{name}");
}

#[test]
fn alternatives_are_what_update_alternatives_shows() {
    let admindir = Path::new("/var/lib/dpkg/alternatives");
    let names = fs::read_dir(admindir)
        .expect(NO_DPKG)
        .map(|e| e.expect("an entry").file_name().into_string().expect("a name"));
    let names: Vec<String> = names.filter(|name| !name.ends_with(".dpkg-tmp")).collect();
    assert!(names.len() > 3, "{names:?}");
    names.iter().for_each(|name| as_query_shows(name, admindir, Path::new("/etc/alternatives")));
}

#[test]
fn a_choice_of_ours_is_one_of_update_alternatives() {
    let dir = tempfile::tempdir().expect("make a directory");
    let at = |name: &str| dir.path().join(name).to_str().expect("text").to_owned();
    for name in ["admin", "alt"] {
        fs::create_dir(at(name)).expect("make a directory");
    }
    for name in ["one", "two", "two.1", "three.1", "three", "z.1"] {
        fs::write(at(name), name).expect("write");
    }
    let (admin, alt) = (at("admin"), at("alt"));
    let run = |words: &[&str]| {
        let mut command = tool("update-alternatives", Path::new(&admin));
        must(command.args(["--quiet", "--altdir", &alt, "--log", &at("log")]).args(words))
    };
    let file = || read(Path::new(&admin).join("pick"));
    let check = || as_query_shows("pick", Path::new(&admin), Path::new(&alt));
    run(&[
        "--install",
        &at("link"),
        "pick",
        &at("two"),
        "10",
        "--slave",
        &at("link.1"),
        "pick.1",
        &at("two.1"),
        "--slave",
        &at("a.1"),
        "b.1",
        &at("z.1"),
    ]);
    check();
    let before = file();
    run(&["--install", &at("link"), "pick", &at("one"), "-5"]);
    run(&[
        "--install",
        &at("link"),
        "pick",
        &at("three"),
        "10",
        "--slave",
        &at("link.1"),
        "pick.1",
        &at("three.1"),
    ]);
    check();
    let mut group = Alternative::parse(&before).expect("made by the tool");
    let [one, three, three_1] = ["one", "three", "three.1"].map(|name| at(name).into_bytes());
    let slaves = group.slaves.iter().map(|s| if s.name == b"pick.1" { &three_1[..] } else { b"" }).collect();
    group.choices.push(Choice { path: &three, priority: 10, slaves });
    group.choices.push(Choice { path: &one, priority: -5, slaves: vec![b""; group.slaves.len()] });
    group.tidy();
    assert_eq!(lossy(&group.write()), lossy(&file()));
    // Both have 10: the one that is there stays, and a removed one takes its slave's name along.
    assert_eq!(group.selected(Some(at("two").as_bytes())).map(|c| c.path), Some(at("two").as_bytes()));
    run(&["--remove", "pick", &at("two")]);
    check();
    group.choices.retain(|c| c.path != at("two").as_bytes());
    group.tidy();
    assert_eq!(lossy(&group.write()), lossy(&file()));
    assert_eq!(fs::read_link(Path::new(&alt).join("pick")).ok(), Some(at("three").into()));
    assert_eq!(group.selected(None).map(|c| c.path), Some(&three[..]));
    run(&["--set", "pick", &at("one")]);
    check();
    group.mode = Mode::Manual;
    assert_eq!(lossy(&group.write()), lossy(&file()));
    assert_eq!(group.selected(Some(&one)).map(|c| c.path), Some(&one[..]));
}
