use super::*;
use crate::model::ledger::{lacking, parse};

fn root(passwd: &str, group: &str) -> Texts {
    let shadow: String =
        passwd.lines().map(|l| format!("{}:*:1::::::\n", l.split(':').next().unwrap())).collect();
    let gshadow: String = group.lines().map(|l| format!("{}:*::\n", l.split(':').next().unwrap())).collect();
    let texts = [(PASSWD, passwd), (GROUP, group), (SHADOW, &shadow), (GSHADOW, &gshadow), (SUBUID, "")];
    texts.into_iter().map(|(inside, text)| (inside, text.as_bytes().to_vec())).collect()
}

const ROOT: &str = "root:x:0:0:root:/root:/bin/bash\n";
const CHRONY: &str = "_chrony:x:104:110:Chrony,,,:/var/lib/chrony:/usr/sbin/nologin\n";

fn before() -> Texts {
    root(ROOT, "root:x:0:\nnogroup:x:65534:\n")
}

fn with_chrony() -> Texts {
    root(&format!("{ROOT}{CHRONY}"), "root:x:0:\nnogroup:x:65534:\n_chrony:x:110:\n")
}

/// With what the other files of `texts` have.
fn after(texts: &Texts, changed: &Texts) -> Texts {
    texts.iter().chain(changed).map(|(k, v)| (*k, v.clone())).collect()
}

fn text(texts: &Texts, inside: &str) -> String {
    String::from_utf8(texts[inside].clone()).unwrap()
}

#[test]
fn what_a_root_lacks_is_reserved_once() {
    let ledger = given(&with_chrony());
    let now = after(&before(), &reserve(&ledger, &before()));
    assert_eq!(
        text(&now, PASSWD),
        format!("{ROOT}_chrony:x:104:110:reserved by flipper-profiles:/nonexistent:/usr/sbin/nologin\n")
    );
    assert!(text(&now, SHADOW).ends_with("_chrony:!*flipper-reserved:1:::::1:\n"));
    assert!(text(&now, GROUP).ends_with("_chrony:x:110:\n"));
    assert!(text(&now, GSHADOW).ends_with("_chrony:!*flipper-reserved::\n"));
    // A second time there is nothing to do, and what is only reserved is not given anew.
    assert_eq!(reserve(&ledger, &now), Texts::new());
    assert_eq!(lacking(&ledger, given(&now)), []);
    // The proof of an undo: without our lines it is what it was.
    assert_eq!(used(&now), before());
    // Who has them all gets nothing, and so does a root without accounts.
    assert_eq!(reserve(&ledger, &with_chrony()), Texts::new());
    assert_eq!(reserve(&ledger, &Texts::new()), Texts::new());
}

#[test]
fn another_holder_of_name_or_number() {
    let ledger = given(&with_chrony());
    let other_number = root(&format!("{ROOT}_chrony:x:200:0:::\n"), "root:x:0:\n_chrony:x:201:\n");
    let now = after(&other_number, &reserve(&ledger, &other_number));
    assert!(
        text(&now, PASSWD).contains("\nflipper-reserved-104:x:104:110:reserved"),
        "{}",
        text(&now, PASSWD)
    );
    assert!(text(&now, GROUP).contains("\nflipper-reserved-110:x:110:\n"));
    assert_eq!(used(&now), other_number);
    let other_name = root(&format!("{ROOT}b:x:104:110:::\n"), "root:x:0:\nb:x:110:\nnogroup:x:65534:\n");
    assert_eq!(reserve(&ledger, &other_name), Texts::new(), "the number is not free");
    // Two that had one name, one after the other: the newer keeps it.
    let mut twice = ledger.clone();
    twice.push(Given { number: 107, ..ledger[1].clone() });
    let now = text(&reserve(&twice, &before()), PASSWD);
    assert!(now.contains("_chrony:x:107:") && now.contains("flipper-reserved-104:x:104:"), "{now}");
}

#[test]
fn a_group_that_is_gone_too_and_ranges() {
    let ledger = parse(b"u 104 _chrony - 999:::\nsu 100000 anna - 65536\nsg 100000 anna - 65536\n");
    let now = reserve(&ledger, &before());
    assert!(text(&now, PASSWD).contains("_chrony:x:104:65534:"));
    assert_eq!(text(&now, SUBUID), "flipper-reserved:100000:65536\n");
    assert!(!now.contains_key(SUBGID), "a root without the file gets none");
    assert_eq!(used(&after(&before(), &now)), before());
}

#[test]
fn without_shadow_the_mark_stands_in_the_files_themselves() {
    let ledger = given(&with_chrony());
    let mut bare = before();
    for shadow in [SHADOW, GSHADOW] {
        bare.remove(shadow);
    }
    let now = after(&bare, &reserve(&ledger, &bare));
    assert!(text(&now, GROUP).ends_with("_chrony:!*flipper-reserved:110:\n"));
    assert!(text(&now, PASSWD).contains("_chrony:!*flipper-reserved:104:110:"));
    assert_eq!(used(&now), bare);
    let names = reserved_names(&now);
    assert_eq!(given(&after(&now, &revive(&ledger, &now, &names).texts)), ledger);
}

#[test]
fn its_package_finds_it_as_it_was() {
    let ledger = given(&with_chrony());
    let reserved = after(&before(), &reserve(&ledger, &before()));
    let names = reserved_names(&reserved);
    assert_eq!(names.iter().collect::<Vec<_>>(), ["_chrony"]);
    assert_eq!(revive(&ledger, &reserved, &BTreeSet::from(["other".to_owned()])), Revived::default());
    let revived = revive(&ledger, &reserved, &names);
    assert_eq!(revived.homes, [("/var/lib/chrony".to_owned(), 104, 110)]);
    let now = after(&reserved, &revived.texts);
    assert_eq!(text(&now, PASSWD), format!("{ROOT}{CHRONY}"));
    assert!(text(&now, SHADOW).ends_with("_chrony:!*:1::::::\n"), "{}", text(&now, SHADOW));
    assert!(text(&now, GSHADOW).ends_with("_chrony:!::\n"));
    assert_eq!((given(&now), reserved_names(&now)), (ledger, BTreeSet::new()));
}

/// An account that somebody made by hand is nobody's but theirs.
#[test]
fn a_person_never_wakes_by_itself() {
    let ledger = parse(
        b"u 104 _chrony chrony 110:::\nu 1001 test bash 1001:::\ng 1001 test bash\nu 998 half x 1002:::\ng 1002 half x\nsu 100000 _chrony - 65536\nsu 165536 test - 65536\n",
    );
    let reserved = after(&before(), &reserve(&ledger, &before()));
    let names = reserved_names(&reserved);
    assert_eq!(names.iter().collect::<Vec<_>>(), ["_chrony"]);
    // What wakes has its range again, and no other.
    let subuid = text(&revive(&ledger, &reserved, &names).texts, SUBUID);
    assert!(
        subuid.contains("_chrony:100000:65536\n") && subuid.contains("flipper-reserved:165536:65536\n"),
        "{subuid}"
    );
}

#[test]
fn a_package_is_credited_with_what_its_run_gave() {
    let names = |given: &Given| vec![format!("package-of-{}", given.name)];
    let credited = |before: &Texts, now: &Texts| -> Vec<String> {
        let mut now = given(now);
        credit(&mut now, before, names);
        now.into_iter().filter(|given| !given.packages.is_empty()).map(|given| given.name).collect()
    };
    assert_eq!(credited(&before(), &with_chrony()), ["_chrony", "_chrony"], "user and group");
    assert_eq!(credited(&with_chrony(), &with_chrony()), Vec::<String>::new(), "it was there before the run");
    let person = root(&format!("{ROOT}test:x:1001:1001:::\n"), "root:x:0:\ntest:x:1001:\nnogroup:x:65534:\n");
    assert_eq!(credited(&before(), &person), Vec::<String>::new(), "a person is of no package");
}
