//! Classes A1 to A5. The machine's own useradd, groupadd and usermod change the account files.

use crate::case::{Case, Tree};

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n";
const GROUP: &str = "root:x:0:\n";
const SHADOW: &str = "root:*:19000:0:99999:7:::\n";

/// A base with root, these lines of passwd and group, and a shadow line for each user.
fn accounts(passwd: &'static str, group: &'static str) -> impl Fn(&Tree) {
    move |tree| {
        let shadow: String = passwd
            .lines()
            .map(|line| format!("{}:!*:19000::::::\n", line.split(':').next().unwrap()))
            .collect();
        tree.write("etc/passwd", &format!("{PASSWD}{passwd}"));
        tree.write("etc/group", &format!("{GROUP}{group}"));
        tree.write("etc/shadow", &format!("{SHADOW}{shadow}"));
        tree.chmod("etc/shadow", 0o640);
    }
}

const BUS_100: &str = "bus:x:100:106::/run:/usr/sbin/nologin\n";
const BUS_997: &str = "bus:x:997:997::/run:/usr/sbin/nologin\n";

/// `bus` with these lines, and nothing beside it.
fn bus_100() -> impl Fn(&Tree) {
    accounts(BUS_100, "bus:x:106:\n")
}

fn bus_997() -> impl Fn(&Tree) {
    accounts(BUS_997, "bus:x:997:\n")
}

fn add_user(profile: &Tree, args: &[&str]) {
    profile.root_tool("useradd", args);
    // What the tools leave beside the files.
    profile.sh("rm -f etc/passwd- etc/group- etc/shadow- etc/gshadow- etc/sub?id- etc/.pwd.lock");
}

// ---- A1 ------------------------------------------------------------------------------------------

#[test]
fn a1_found_an_account_the_candidate_has_now() {
    let case = Case::of(accounts("", ""), bus_997(), |profile| {
        add_user(profile, &["--uid", "1000", "--user-group", "anna"])
    });
    case.is(&["A1 automatic bus"]);
    assert_eq!(case.evidence("A1")["user"], "only in the candidate");
}

#[test]
fn a1_found_fields_changed_on_both_sides() {
    let with_shell = |shell: &'static str| {
        move |tree: &Tree| {
            bus_100()(tree);
            let text = tree.read("etc/passwd").replace("/usr/sbin/nologin", shell);
            tree.write("etc/passwd", &text);
        }
    };
    let case = Case::of(bus_100(), with_shell("/bin/false"), |profile| with_shell("/bin/bash")(profile));
    case.is(&["A1 decision bus"]);
    assert_eq!(case.evidence("A1")["shell"], "/bin/bash here, /bin/false in the candidate");
}

#[test]
fn a1_found_members_of_both_sides_and_a_dropped_account() {
    let old = accounts(BUS_100, "bus:x:106:\naudio:x:29:pulse\n");
    let new = accounts("", "audio:x:29:pulse,pipe\n");
    let case = Case::of(old, new, |profile| {
        let group = profile.read("etc/group").replace(":pulse", ":pulse,anna");
        profile.write("etc/group", &group);
    });
    // The candidate's passwd shows through; only group lies in the profile.
    case.is(&["A1 automatic audio", "A1 automatic bus"]);
    let json = case.json(&["--base", "2"]).to_string();
    assert!(json.contains("anna,pipe,pulse, was pulse,anna"), "{json}");
}

#[test]
fn a1_found_a_removed_account_the_candidate_has_files_for() {
    let with_file = |tree: &Tree| {
        bus_100()(tree);
        tree.write("srv/launch", "x");
        tree.sh("chown 0:106 srv/launch");
    };
    let remove = |profile: &Tree| {
        for file in ["etc/passwd", "etc/group", "etc/shadow"] {
            profile.sh(&format!("grep -v ^bus: {file} > tmp/x; cat tmp/x > {file}; rm tmp/x"));
        }
    };
    Case::of(bus_100(), with_file, remove).is(&["A1 blocker bus"]);
    Case::of(bus_100(), bus_100(), remove).is(&[]);
    Case::of(with_file, with_file, remove).is(&["A1 harmless bus"]);
}

#[test]
fn a1_near_miss_changed_in_the_profile_only() {
    let case = Case::on(bus_100(), |profile| {
        add_user(profile, &["--system", "--uid", "300", "--user-group", "svc"]);
        profile.root_tool("usermod", &["--shell", "/bin/bash", "--comment", "The bus", "bus"]);
        profile.sh("rm -f etc/passwd- etc/group- etc/shadow- etc/gshadow- etc/sub?id- etc/.pwd.lock");
    });
    case.is(&[]);
}

#[test]
fn a1_near_miss_the_account_files_of_the_base() {
    Case::of(accounts("", ""), bus_997(), |_| {}).is(&[]);
}

// ---- A2 ------------------------------------------------------------------------------------------

#[test]
fn a2_found_another_number_in_the_candidate() {
    let case = Case::of(bus_100(), bus_997(), |profile| {
        add_user(profile, &["--uid", "1000", "--user-group", "anna"]);
        profile.write("srv/state", "x");
        profile.sh("chown 100:106 srv/state; chown :106 srv");
    });
    case.is(&["A2 automatic bus"]);
    let evidence = case.evidence("A2");
    assert_eq!(evidence["user"], "100 in the profile, 997 in the candidate");
    assert_eq!((&evidence["paths of the user"], &evidence["paths of the group"]), (&"1".into(), &"2".into()));
}

#[test]
fn a2_found_by_what_bears_the_number_and_by_an_acl() {
    // No account file in the profile.
    let case = Case::of(bus_100(), bus_997(), |profile| {
        profile.write("srv/state", "x");
        profile.sh("setfacl -m u:100:r srv/state");
    });
    case.is(&["A2 automatic bus"]);
}

#[test]
fn a2_found_a_person_with_another_number() {
    let case = Case::of(
        accounts("", ""),
        accounts("anna:x:1001:1001::/home/anna:/bin/sh\n", "anna:x:1001:\n"),
        |profile| add_user(profile, &["--uid", "1000", "--user-group", "--shell", "/bin/sh", "anna"]),
    );
    case.is(&["A2 decision anna"]);
}

#[test]
fn a2_near_miss_nothing_of_it_in_the_profile() {
    let case = Case::of(bus_100(), bus_997(), |profile| profile.write("srv/state", "x"));
    case.is(&[]);
}

#[test]
fn a2_near_miss_changed_in_the_profile_only() {
    let case = Case::on(bus_100(), |profile| {
        profile.sh("sed -i s/^bus:x:100:/bus:x:123:/ etc/passwd");
        profile.write("srv/state", "x");
        profile.sh("chown 123 srv/state");
    });
    case.is(&[]);
}

// ---- A3 ------------------------------------------------------------------------------------------

#[test]
fn a3_found_a_number_the_candidate_gives_to_another() {
    let case = Case::of(accounts("", ""), bus_997(), |profile| {
        add_user(profile, &["--system", "--uid", "996", "--no-user-group", "--gid", "0", "svc"]);
        profile.root_tool("groupadd", &["--system", "--gid", "997", "mine"]);
        profile.sh("rm -f etc/group- etc/gshadow- etc/.pwd.lock");
        profile.write("srv/secret", "x");
        profile.sh("chown 996:997 srv/secret");
    });
    case.is(&["A1 automatic bus", "A3 automatic mine"]);
    let evidence = case.evidence("A3");
    assert_eq!(evidence["group"], "997, which is bus in the candidate");
    assert_eq!(evidence["paths of the group"], "1");
}

#[test]
fn a3_found_the_number_of_a_person() {
    let new = accounts("boss:x:1000:1000::/home/boss:/bin/sh\n", "boss:x:1000:\n");
    let case = Case::of(accounts("", ""), new, |profile| {
        add_user(profile, &["--uid", "1000", "--user-group", "anna"]);
    });
    case.is(&["A1 automatic boss", "A3 decision anna"]);
}

#[test]
fn a3_found_a_number_without_a_name() {
    let case = Case::of(accounts("", ""), bus_997(), |profile| {
        profile.write("srv/left", "x");
        profile.sh("chown 997 srv/left");
    });
    case.is(&["A3 decision bus"]);
}

#[test]
fn a3_near_miss_both_change_places_or_the_numbers_lie_beside() {
    // 100 was bus and is other in the candidate; bus moves away by itself (A2).
    let new = accounts(
        "other:x:100:100::/:/usr/sbin/nologin\nbus:x:997:997::/run:/usr/sbin/nologin\n",
        "other:x:100:\nbus:x:997:\n",
    );
    let case = Case::of(bus_100(), new, |profile| {
        add_user(profile, &["--system", "--uid", "996", "--no-user-group", "--gid", "0", "svc"]);
    });
    case.is(&["A1 automatic other", "A2 automatic bus"]);
}

// ---- A4 ------------------------------------------------------------------------------------------

fn sub_ids(line: &'static str) -> impl Fn(&Tree) {
    move |tree| {
        accounts("", "")(tree);
        tree.write("etc/subuid", line);
        tree.write("etc/subgid", line);
    }
}

#[test]
fn a4_found_ranges_that_overlap() {
    let add = |profile: &Tree| {
        profile.write("etc/subuid", "anna:100000:65536\n");
        profile.write("etc/subgid", "anna:100000:65536\n");
    };
    let case = Case::of(sub_ids(""), sub_ids("builder:165535:65536\n"), add);
    case.is(&["A4 blocker anna", "A1 automatic builder"]);
}

#[test]
fn a4_near_miss_ranges_side_by_side() {
    let add = |profile: &Tree| profile.write("etc/subuid", "anna:100000:65536\n");
    Case::of(sub_ids(""), sub_ids("builder:165536:65536\n"), add).is(&["A1 automatic builder"]);
    Case::on(sub_ids("builder:165535:65536\n"), |profile| {
        profile.write("etc/subuid", "builder:165535:65536\nanna:100000:65536\n");
    })
    .is(&[]);
}

// ---- A5 ------------------------------------------------------------------------------------------

fn root_password(tree: &Tree, password: &str) {
    let shadow = tree.read("etc/shadow").replace("root:*:19000", &format!("root:{password}:19500"));
    tree.write("etc/shadow", &shadow);
}

fn with_password(password: &'static str) -> impl Fn(&Tree) {
    move |tree| {
        accounts("", "")(tree);
        root_password(tree, password);
    }
}

#[test]
fn a5_found_a_password_of_root_that_both_changed() {
    let case =
        Case::of(with_password("*"), with_password("$y$theirs"), |profile| root_password_of(profile, "$y$m"));
    case.is(&["A5 decision root"]);
}

fn root_password_of(profile: &Tree, password: &str) {
    let shadow = profile.read("etc/shadow");
    let rest = shadow.split_once('\n').unwrap().1;
    profile.write("etc/shadow", &format!("root:{password}:19600:0:99999:7:::\n{rest}"));
}

#[test]
fn a5_near_miss_locked_in_another_way() {
    let case = Case::of(with_password("*"), with_password("!"), |profile| root_password_of(profile, "$y$m"));
    case.is(&[]);
}
