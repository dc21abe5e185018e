//! `--decide`: what a person decides is done, whatever the safe way would have been.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::case::{Case, Tree};
use crate::deb::Deb;
use crate::merged;
use crate::rig::Rig;

/// Five lines, of which the first and the last can be others.
fn text(first: &str, last: &str) -> String {
    format!("{first}\nb\nc\nd\n{last}\n")
}

/// Conffiles of one version, all with the same text.
const CONFFILES: [&str; 5] = ["merge", "new", "keep", "gone", "odd name é"];

fn tool(version: &str, last: &str) -> Deb {
    let plain = ["keep", "merge", "unasked", "away"].iter().fold(Deb::new("tool", version), |deb, name| {
        deb.file(&format!("usr/share/tool/{name}"), &text("a", last))
    });
    let conffiles = CONFFILES.iter().fold(plain, |deb, name| {
        let path = format!("etc/tool/{name}");
        deb.file(&path, &text("a", last)).control("conffiles", &format!("/{path}\n"))
    });
    conffiles.file("usr/share/tool/docs/old", version).file("usr/share/tool/dir/x", "x").file_of_mode(
        "usr/bin/tool-run",
        &format!("#!/bin/sh\n{}", text("# a", last)),
        0o755,
    )
}

/// What ucf knows of its files, and the files.
fn under_ucf(tree: &Tree, last: &str) {
    for name in ["ucf-merge", "ucf-new"] {
        tree.write(&format!("etc/{name}"), &text("a", last));
        tree.sh(&format!(
            "mkdir -p var/lib/ucf; echo \"$(md5sum < etc/{name} | cut -c 1-32)  /etc/{name}\" >> var/lib/ucf/hashfile"
        ));
    }
}

fn old_base(tree: &Tree) {
    tree.install(&[
        tool("1", "e").conffile("etc/tool/dropped", "1").conffile("etc/tool/removed", "1"),
        Deb::new("ahead", "1").file("usr/share/ahead/x", "1").file("usr/share/ahead/only-1", "1"),
    ]);
    tree.write("etc/generated", &text("a", "e"));
    tree.write("etc/generated-merge", &text("a", "e"));
    under_ucf(tree, "e");
}

fn new_base(tree: &Tree) {
    tree.install(&[
        tool("2", "new")
            .file("usr/share/tool/docs/new", "2")
            .file("usr/share/tool/local", "theirs")
            .file("etc/tool.local", "theirs")
            .control("conffiles", "remove-on-upgrade /etc/tool/removed\n"),
        Deb::new("ahead", "2").file("usr/share/ahead/x", "2").file("usr/share/ahead/only-2", "2"),
    ]);
    tree.chmod("usr/share/tool/dir", 0o750);
    tree.write("etc/generated", &text("a", "new"));
    tree.write("etc/generated-merge", &text("a", "new"));
    under_ucf(tree, "new");
}

fn lived_in(tree: &Tree) {
    tree.install(&[Deb::new("ahead", "3")
        .file("usr/share/ahead/x", "3")
        .file("usr/share/ahead/only-3", "3")]);
    let edited = ["usr/share/tool/keep", "usr/share/tool/merge", "usr/share/tool/unasked"];
    let conffiles =
        ["merge", "new", "keep", "dropped", "removed", "odd name é"].map(|name| format!("etc/tool/{name}"));
    let others = ["etc/generated", "etc/generated-merge", "etc/ucf-merge", "etc/ucf-new"];
    for path in edited.iter().chain(&others).copied().chain(conffiles.iter().map(String::as_str)) {
        tree.write(path, &text("mine", "e"));
    }
    tree.sh("chown 1:2 etc/tool/merge; chmod 0640 etc/tool/merge");
    tree.write("usr/bin/tool-run", &format!("#!/bin/sh\n{}", text("# mine", "e")));
    tree.remove("usr/share/tool/away");
    tree.remove("etc/tool/gone");
    tree.sh("rm -r usr/share/tool/docs; mkdir usr/share/tool/docs; echo mine > usr/share/tool/docs/mine");
    tree.chmod("usr/share/tool/dir", 0o711);
    tree.write("usr/share/tool/local", "mine");
    tree.write("etc/tool.local", "mine");
}

const DECIDED: [&str; 18] = [
    "C6:/etc/tool/merge=merge",
    "C6:/etc/tool/new=new",
    "C6:/etc/tool/keep=keep",
    "C6:/etc/tool/odd name é=merge",
    "C5:/etc/tool/gone=new",
    "C8:/etc/tool/dropped=new",
    "C9:/etc/tool/removed=keep",
    "C11:/etc/ucf-merge=merge",
    "C11:/etc/ucf-new=new",
    "F3:/usr/share/tool/keep=keep",
    "F3:/usr/share/tool/merge=merge",
    "F4:/usr/bin/tool-run=merge",
    "F5:/usr/share/tool/away=keep",
    "F8:/usr/share/tool/docs=keep",
    "F11:/usr/share/tool/dir=new",
    "F15:/usr/share/tool/local=keep",
    "F15:/etc/tool.local=new",
    "F16:/etc/generated=new",
];

const SEEN: &str = r##"
fail() { echo "not so: $*"; exit 1; }
is() { [ "$1" = "$2" ] || fail "$3: $1, not $2"; }
both=$(printf 'mine\nb\nc\nd\nnew')
mine=$(printf 'mine\nb\nc\nd\ne')
new=$(printf 'a\nb\nc\nd\nnew')
cd /etc/tool
is "$(cat merge)" "$both" "C6 merge"
is "$(stat -c '%u:%g %a' merge)" "1:2 640" "owner and mode of what was merged"
is "$(cat 'odd name é')" "$both" "C6 merge of an odd name"
is "$(cat new)" "$new" "C6 new"
is "$(cat keep)" "$mine" "C6 keep"
is "$(cat keep.dpkg-dist)" "$new" "C6 keep beside"
is "$(cat gone)" "$new" "C5 new"
[ ! -e dropped ] || fail C8
is "$(cat removed)" "$mine" "C9 keep"
is "$(ls | grep dpkg | tr '\n' ' ')" "keep.dpkg-dist " "beside"
is "$(cat /etc/ucf-merge)" "$both" "C11 merge"
is "$(cat /etc/ucf-new)" "$new" "C11 new"
is "$(ls /etc | grep -c 'ucf-dist')" 0 "ucf beside"
cd /usr/share/tool
is "$(cat keep)" "$mine" "F3 keep"
is "$(cat merge)" "$both" "F3 merge"
is "$(cat unasked)" "$new" "F3 unasked"
is "$(head -2 /usr/bin/tool-run | tail -1) $(tail -1 /usr/bin/tool-run)" "# mine new" "F4 merge"
[ -x /usr/bin/tool-run ] || fail "mode of F4"
[ ! -e away ] || fail F5
is "$(ls docs)" mine "F8 keep"
is "$(stat -c %a dir)" 750 "F11 new"
is "$(cat local)" mine "F15 keep"
is "$(cat /etc/tool.local)" theirs "F15 new"
is "$(cat /etc/generated)" "$new" "F16 new"
is "$(cat /etc/generated-merge)" "$mine" "F16 unasked"
is "$(dpkg-query -W -f '${Version}' ahead)" "$1" "P4"
is "$(cat /usr/share/ahead/*)" "$1$1" "files of P4"
is "$(dpkg --audit)" "" audit
dpkg --verify tool | sed 's/.* //' | sort | tr '\n' ' '
"##;

/// dpkg names what is not as the new base's package has it, and nothing else.
const VERIFIED: &str = "/etc/tool/keep /etc/tool/merge /usr/bin/tool-run /usr/share/tool/away /usr/share/tool/docs/new \
/usr/share/tool/docs/old /usr/share/tool/keep /usr/share/tool/local /usr/share/tool/merge é";

fn pool() -> Rig {
    merged::pool(|version, tree| if version == "1" { old_base(tree) } else { new_base(tree) }, lived_in)
}

fn rebase(rig: &Rig, decided: &[&str]) {
    let decided = decided.iter().flat_map(|said| ["--decide", said]);
    let args: Vec<&str> = ["rebase", "lab", "--base", "2", "--yes"].into_iter().chain(decided).collect();
    rig.profile(&args).ok();
}

fn sh(rig: &Rig, ahead: &str) -> String {
    rig.profile(&["run", "lab", "sh", "-c", SEEN, "sh", ahead]).ok().out.trim_end().to_owned()
}

#[test]
fn what_is_decided_is_done() {
    let rig = pool();
    rebase(&rig, &DECIDED);
    assert_eq!(sh(&rig, "3"), VERIFIED);
    let (number, entry) = rig.last_entry("lab");
    let noted: Vec<&str> =
        entry["decided"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let mut wanted = DECIDED.to_vec();
    wanted.sort_by_key(|line| line.split_once(':').unwrap().1.rsplit_once('=').unwrap().0);
    assert_eq!(noted, wanted);
    let shown = rig.undo(&["--profile", "lab", "--show", &number.to_string()]).ok().out;
    assert!(shown.contains("C11:/etc/ucf-merge=merge"), "{shown}");
    // What gave way is there, as it was.
    let saved = rig.in_pool(format!("@journal/entries/lab/{number}/saved"));
    for path in ["etc/tool/merge", "etc/tool/new", "etc/tool/dropped", "etc/ucf-new", "etc/generated"] {
        assert_eq!(std::fs::read_to_string(saved.join(path)).unwrap(), text("mine", "e"), "{path}");
    }
    assert_eq!(std::fs::read_to_string(saved.join("etc/tool.local")).unwrap(), "mine");
    assert!(!saved.join("etc/tool/keep").exists() && !saved.join("usr/share/tool/keep").exists());
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    // The older package, too.
    rebase(&rig, &[&DECIDED[..], &["P4:ahead=new"]].concat());
    assert_eq!(sh(&rig, "2"), VERIFIED);
    rig.verify();
}

// ---- what can be decided -------------------------------------------------------------------------

fn conffile(version: &'static str, text: String) -> impl Fn(&Tree) {
    move |tree: &Tree| {
        tree.install(&[Deb::new("tool", version)
            .conffile("etc/tool.conf", &text)
            .file("usr/share/tool/same", "1")])
    }
}

/// The answers to a finding, the default first.
fn answers(case: &Case, class: &str) -> String {
    let json = case.json(&["--base", "2"]);
    let findings = json["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["class"] == class).unwrap();
    let words = finding["answers"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_merge_is_offered_where_it_is_clean() {
    let case = |mine: &'static str, new: String| {
        Case::of(conffile("1", text("a", "e")), conffile("2", new), move |t| t.write("etc/tool.conf", mine))
    };
    assert_eq!(answers(&case("mine\nb\nc\nd\ne\n", text("a", "new")), "C6"), "keep new merge");
    assert_eq!(answers(&case("a\nb\nc\nd\nmine\n", text("a", "new")), "C6"), "keep new");
    assert_eq!(answers(&case("mine\nb\nc\nd\ne\n\0", text("a", "new")), "C6"), "keep new");
    assert_eq!(answers(&case("<<<<<<< mine\nb\nc\nd\ne\n", text("a", "new")), "C6"), "keep new");
}

#[test]
fn what_cannot_be_decided_is_one_sentence_and_changes_nothing() {
    let case = Case::of(conffile("1", text("a", "e")), conffile("2", text("a", "new")), |tree| {
        tree.write("etc/tool.conf", &text("a", "mine"));
        tree.copy_up("usr/share/tool/same");
    });
    let root = case.rig.current("lab");
    let rebase = |decided: &[&str], more: &[&str]| {
        let decided = decided.iter().flat_map(|said| ["--decide", said]);
        case.rig.profile(
            &["rebase", "lab", "--base", "2"]
                .into_iter()
                .chain(decided)
                .chain(more.to_vec())
                .collect::<Vec<_>>(),
        )
    };
    for (typed, status, words) in [
        ("C6:/etc/tool.conf", 64, "is not a decision"),
        ("C99:/etc/tool.conf=new", 64, "is not a decision"),
        ("C6:/etc/tool.conf=theirs", 64, "is not a decision"),
        ("C7:/etc/tool.conf=new", 2, "C7:/etc/tool.conf=new cannot be decided: what is found there is C6"),
        ("C6:/etc/other=new", 2, "nothing is found there"),
        ("C6:/etc/tool.conf=merge", 2, "/etc/tool.conf does not merge without a conflict"),
        ("F1:/usr/share/tool/same=keep", 2, "there is no choice"),
    ] {
        for more in [&["--yes"][..], &["--dry-run"]] {
            rebase(&[typed], more).says(status, words);
        }
    }
    rebase(&["C6:/etc/tool.conf=new", "C6:/etc/tool.conf=keep"], &["--yes"]).says(64, "two decisions about");
    assert_eq!(case.rig.current("lab"), root);
    assert_eq!(case.rig.last_entry("lab").1["kind"], "create");
    // What was decided is part of the plan.
    let hash = |decided: &[&str]| rebase(decided, &["--dry-run", "--json"]).json()["plan_hash"].clone();
    let unasked = hash(&[]);
    assert_ne!(hash(&["C6:/etc/tool.conf=new"]), unasked);
    assert_ne!(hash(&["C6:/etc/tool.conf=keep"]), hash(&["C6:/etc/tool.conf=new"]));
    assert_eq!(hash(&[]), unasked);
    let shown = rebase(&[], &["--dry-run", "--all"]).ok().out;
    assert!(shown.contains("rebase --decide C6:/etc/tool.conf=new"), "{shown}");
    let page = rebase(&["C6:/etc/tool.conf=new"], &["--dry-run"]).ok().out;
    assert!(
        page.contains("decided: C6:/etc/tool.conf=new: takes the candidate's, and saves yours"),
        "{page}"
    );
}

// ---- asked ---------------------------------------------------------------------------------------

/// What a person on a terminal is asked, and what the entry then has.
fn asked(case: &Case, typed: &str) -> (String, serde_json::Value) {
    let program = crate::rig::program_path("flipper-profile");
    let mut script = Command::new("script");
    let line = format!("{} --pool {} rebase lab --base 2", program.display(), case.rig.image_name());
    script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut script = script.spawn().expect("script(1) is missing: apt-get install bsdutils");
    script.stdin.as_mut().unwrap().write_all(typed.as_bytes()).unwrap();
    let said = String::from_utf8_lossy(&script.wait_with_output().unwrap().stdout).into_owned();
    (said, case.rig.last_entry("lab").1)
}

/// One question for each finding with a choice; the tiny root has no apt, so nothing comes of the rebase.
#[test]
fn a_person_is_asked_one_by_one() {
    let with_three = |version: &'static str, last: &'static str| {
        move |tree: &Tree| {
            let deb = ["a", "b", "c"].iter().fold(Deb::new("tool", version), |deb, name| {
                let path = format!("etc/tool/{name}");
                deb.file(&path, &text("a", last)).control("conffiles", &format!("/{path}\n"))
            });
            tree.install(&[deb]);
        }
    };
    let case = Case::of(with_three("1", "e"), with_three("2", "new"), |tree| {
        for name in ["a", "b", "c"] {
            tree.write(&format!("etc/tool/{name}"), &text("mine", "e"));
        }
    });
    // No for the last question: nothing is begun.
    let (said, entry) = asked(&case, "what\nsee\nmerge\n\nn\nno\n");
    for words in [
        "C6 conffile changed on both sides: /etc/tool/a",
        "keep (Enter): keeps yours, and puts the candidate's beside it as .dpkg-dist",
        "keep, new, merge, or see the difference? [keep]",
        "it can be keep, new, merge",
        "-mine",
        "+new",
        "not confirmed: go on?",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    assert_eq!(said.matches("? [keep]").count(), 5, "{said}");
    assert_eq!(entry["kind"], "create");
    let (_, entry) = asked(&case, "see\nmerge\n\nn\ny\n");
    assert_eq!(entry["kind"], "rebase");
    assert_eq!(entry["decided"], serde_json::json!(["C6:/etc/tool/a=merge", "C6:/etc/tool/c=new"]));
    // What was said beforehand is not asked, and Enter is the safe way.
    let rebase = case.rig.profile(&["rebase", "lab", "--base", "2", "--yes"]);
    assert!(!rebase.err.contains("[keep]"), "{}", rebase.err);
    assert_eq!(case.rig.last_entry("lab").1.get("decided"), None);
}
