//! create, clone, list, show, set, rename, delete, default, status.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::rig::tree::{assert_differ, assert_same};
use crate::rig::{FLOOR, Rig};

fn machine_id(rig: &Rig, id: &str) -> String {
    rig.mounted(id, |dir| fs::read_to_string(dir.join("etc/machine-id")).unwrap())
}

/// Another command takes the directory that is being made for a leftover, before its lock is on it.
#[test]
fn a_recover_that_meets_a_profile_being_made() {
    let rig = Rig::new();
    let aside = rig.in_pool("@profiles/.new-lab");
    fs::create_dir(&aside).unwrap();
    let file = fs::File::create(aside.join("lock")).unwrap();
    fs2::FileExt::lock_exclusive(&file).unwrap();
    std::thread::scope(|scope| {
        let made = scope.spawn(|| rig.profile(&["create", "lab"]));
        std::thread::sleep(std::time::Duration::from_millis(300));
        fs::remove_dir_all(&aside).unwrap();
        drop(file);
        made.join().unwrap().ok();
    });
    rig.verify();
}

#[test]
fn a_profile_is_published_whole() {
    let rig = Rig::new();
    let ended = rig.profile(&["create", "lab", "--name", "The lab", "--note", "for trying"]).ok();
    assert!(ended.out.contains("made profile lab on base 13.1"), "{}", ended.out);
    assert_eq!(rig.names("@profiles"), [".template", "lab"]);
    let number = rig.current("lab");
    let root = rig.root_dir("lab");
    assert_eq!(
        rig.names("@profiles/lab"),
        ["current", "lock", "pristine", "pristine.state", "profile.json", "roots", "snapshots", "state"]
    );
    for (file, text) in
        [("base", "13.1\n"), ("args", "\n"), ("dtbo", "\n"), ("entry", &format!("{number}\n"))]
    {
        assert_eq!(fs::read_to_string(root.join(file)).unwrap(), *text, "{file}");
    }
    assert_eq!(fs::metadata(&root).unwrap().ino(), 256);
    assert!(fs::metadata(root.join("root")).unwrap().ino() >= FLOOR);
    assert_eq!(fs::metadata(root.join("root")).unwrap().permissions().mode() & 0o7777, 0o755);
    let show = rig.profile(&["show", "lab", "--json"]).json();
    assert_eq!((&show["name"], &show["note"]), (&"The lab".into(), &"for trying".into()));
    let (n, entry) = rig.last_entry("lab");
    assert_eq!((n, &entry["kind"], &entry["state"]), (number, &"create".into(), &"completed".into()));
    rig.verify();
}

#[test]
fn every_profile_has_a_machine_id_of_its_own() {
    let rig = Rig::with_lab();
    rig.profile(&["clone", "lab", "twin"]).ok();
    rig.profile(&["create", "other"]).ok();
    let ids = ["lab", "twin", "other"].map(|id| machine_id(&rig, id));
    for id in &ids {
        assert!(
            id.len() == 33 && id.ends_with('\n') && id.trim().bytes().all(|b| b.is_ascii_hexdigit()),
            "{id:?}"
        );
    }
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
    let mode = rig.mounted("lab", |dir| fs::metadata(dir.join("etc/machine-id")).unwrap().mode());
    let base = fs::metadata(rig.in_pool("@base/13.1/etc/machine-id")).unwrap().mode();
    assert_eq!(mode, base);
}

#[test]
fn ids_are_those_of_the_shared_list() {
    let rig = Rig::new();
    let mut made = vec![".template".to_owned()];
    for line in include_str!("../names.txt").lines().filter(|l| !l.starts_with('#') && !l.is_empty()) {
        let (verdict, name) = line.split_once(' ').unwrap_or((line, ""));
        let ended = rig.profile(&["create", "--", name]);
        match verdict {
            "good" => {
                ended.ok();
                made.push(name.to_owned());
            }
            _ => drop(ended.says(64, "is not a profile id")),
        }
    }
    made.sort();
    assert_eq!(rig.names("@profiles"), made);
    rig.verify();
}

#[test]
fn a_clone_has_everything_and_goes_its_own_way() {
    let rig = Rig::with_lab();
    rig.sh("lab", "echo mine > /etc/mine; echo log > /var/log/kept; rm -r /opt/data/deep");
    rig.profile(&["clone", "lab", "twin", "--name", "Twin"]).ok();
    assert_same(&rig.tree("lab"), &rig.tree("twin"));
    assert_eq!(rig.sh("twin", "cat /var/log/kept"), "log", "state/ comes along");
    rig.sh("twin", "echo other > /etc/mine; echo more >> /var/log/kept");
    assert_eq!(rig.sh("lab", "cat /etc/mine /var/log/kept"), "mine\nlog");
    let show = rig.profile(&["show", "twin", "--json"]).json();
    assert_eq!(show["name"], "Twin");
    rig.verify();
}

#[test]
fn a_point_can_be_cloned() {
    let rig = Rig::with_lab();
    rig.sh("lab", "echo before > /etc/mine");
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let (point, _) = rig.last_entry("lab");
    rig.sh("lab", "echo after > /etc/mine");
    rig.profile(&["clone", &format!("lab@{point}"), "then"]).ok();
    assert_eq!(rig.sh("then", "cat /etc/mine"), "before");
    assert_eq!(fs::read_to_string(rig.root_dir("then").join("args")).unwrap(), "\n");
    assert_differ(&rig.tree("lab"), &rig.tree("then"));
    rig.profile(&["clone", "lab@999", "never"]).refused("the point before entry 999 is not kept");
    rig.profile(&["clone", "nobody", "never"]).refused("there is no profile nobody");
    rig.profile(&["clone", "lab", "then"]).refused("there is a profile then already");
    assert_eq!(rig.names("@profiles"), [".template", "lab", "then"]);
    rig.verify();
}

#[test]
fn list_is_for_people_for_programs_and_for_the_screen() {
    let rig = Rig::with_lab();
    rig.profile(&["create", "two", "--name", "Second  one"]).ok();
    rig.profile(&["default", "two"]).ok();
    let text = rig.profile(&["list"]).ok().out;
    assert!(text.lines().count() == 3 && text.contains("default"), "{text}");
    let list = rig.profile(&["list", "--json"]).json();
    assert_eq!((&list[0]["id"], &list[1]["id"]), (&"lab".into(), &"two".into()));
    assert_eq!((&list[1]["default"], &list[1]["base"]), (&true.into(), &"13.1".into()));
    let screen = rig.profile(&["list", "--format=columns"]).ok().out;
    let cells = |line: &str| -> Vec<String> {
        line.split("  ").map(str::trim).filter(|c| !c.is_empty()).map(str::to_owned).collect()
    };
    let rows: Vec<Vec<String>> = screen.lines().map(cells).collect();
    assert_eq!(rows[0], ["NAME", "KIND", "ID", "CREATED", "LAST USED", "RO", "PARENT", "ORIGIN"]);
    assert!(rows.iter().all(|row| row.len() == 8), "{screen}");
    assert_eq!((rows[2][0].as_str(), rows[2][4].as_str()), ("Second one", "-"));
    rig.sh("lab", "true");
    let screen = rig.profile(&["list", "--format=columns"]).ok().out;
    assert_ne!(cells(screen.lines().nth(1).unwrap())[4], "-", "last used is noted");
}

#[test]
fn settings_are_kept_and_those_of_the_root_roll_back() {
    let rig = Rig::with_lab();
    let entries = rig.entries("lab").len();
    rig.profile(&["set", "lab", "--name", "Büro", "--note", "two words"]).ok();
    rig.profile(&["rename", "lab", "Lab again"]).ok();
    assert_eq!(rig.entries("lab").len(), entries, "name and note do not roll back: no entry");
    rig.profile(&[
        "set",
        "lab",
        "--args",
        "quiet splash",
        "--dtbo",
        "one two",
        "--mount",
        "/dev/x /mnt ext4 defaults",
    ])
    .ok();
    let fact = |name: &str| fs::read_to_string(rig.root_dir("lab").join(name)).unwrap();
    assert_eq!((fact("args"), fact("dtbo")), ("quiet splash\n".into(), "one two\n".into()));
    assert_eq!(fact("mounts"), "/dev/x /mnt ext4 defaults\n");
    let show = rig.profile(&["show", "lab", "--json"]).json();
    assert_eq!((&show["name"], &show["note"]), (&"Lab again".into(), &"two words".into()));
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!((fact("args"), fact("dtbo"), fact("mounts")), ("\n".into(), "\n".into(), "\n".into()));
    rig.undo(&["--profile", "lab", "--redo", "--yes"]).ok();
    assert_eq!(fact("args"), "quiet splash\n");
    let show = rig.profile(&["show", "lab", "--json"]).json();
    assert_eq!(show["name"], "Lab again", "the name belongs to the profile");
    rig.verify();
}

#[test]
fn settings_that_make_no_sense_change_nothing() {
    let rig = Rig::with_lab();
    let before = fs::read(rig.in_pool("@profiles/lab/profile.json")).unwrap();
    for args in [
        &["set", "lab"][..],
        &["set", "lab", "--name", "two\nlines"],
        &["set", "lab", "--args", "a\nb"],
        &["set", "lab", "--mount", "nonsense"],
        &["set", "lab", "--mount", "/dev/x / ext4"],
        &["rename", "lab", "\u{1b}[31m"],
    ] {
        rig.profile(args).says(64, "");
    }
    rig.profile(&["set", "nobody", "--name", "x"]).refused("there is no profile nobody");
    assert_eq!(fs::read(rig.in_pool("@profiles/lab/profile.json")).unwrap(), before);
    assert_eq!(rig.entries("lab").len(), 1);
}

#[test]
fn a_deleted_profile_comes_back_as_it_was() {
    let rig = Rig::with_lab();
    rig.sh("lab", "echo mine > /etc/mine");
    let before = rig.tree("lab");
    rig.profile(&["delete", "lab"]).refused("not confirmed");
    rig.profile(&["delete", "lab", "--yes"]).ok();
    let (number, entry) = rig.last_entry("lab");
    assert_eq!((&entry["kind"], &entry["state"]), (&"delete".into(), &"completed".into()));
    assert_eq!(rig.names("@profiles"), [format!(".deleted-lab-{number}"), ".template".to_owned()]);
    rig.profile(&["run", "lab", "true"]).refused("was deleted");
    rig.profile(&["create", "lab"]).refused("was deleted");
    rig.profile(&["delete", "lab", "--yes"]).refused("was deleted");
    rig.verify();
    rig.undo(&["--profile", "lab"]).refused("not confirmed");
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_same(&before, &rig.tree("lab"));
    rig.verify();
}

#[test]
fn the_default_profile_is_shown_chosen_and_kept() {
    let rig = Rig::with_lab();
    assert_eq!(rig.profile(&["default"]).ok().out, "");
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    rig.undo(&["--yes"]).refused("no profile is booted here and none was named");
    rig.profile(&["default", "lab"]).ok();
    assert_eq!(rig.profile(&["default"]).ok().out, "lab\n");
    rig.profile(&["default", "nobody"]).refused("there is no profile nobody");
    rig.profile(&["delete", "lab", "--yes"]).refused("it is the pool's default");
    rig.undo(&["--yes"]).ok(); // unnamed: the default
    assert_eq!(fs::read_to_string(rig.root_dir("lab").join("args")).unwrap(), "\n");
    rig.verify();
}

#[test]
fn status_names_the_one_next_command() {
    let rig = Rig::bare();
    rig.profile(&["init", "--image", rig.image_name(), "--size", "512M", "--inode-floor", "65536"]).ok();
    let next = || rig.profile(&["status", "--json"]).json()["next"].as_str().unwrap().to_owned();
    assert!(next().starts_with("flipper-base import"));
    let rig = Rig::new();
    let status = || rig.profile(&["status", "--json"]).json();
    assert_eq!(status()["next"], "flipper-profile create ID");
    rig.profile(&["create", "lab"]).ok();
    assert_eq!(status()["next"], "flipper-profile run lab");
    let run = rig.start_waiting("lab");
    assert!(status()["profiles"][0]["in_use"].is_number());
    run.end();
    let text = rig.profile(&["status"]).ok().out;
    assert!(text.contains("no profile runs here"), "{text}");
}
