//! The account files and the ledger of their numbers: whatever lies there, numbers are reserved once, and
//! what is reserved can be told from what was there.

use flipper_profiles::model::ledger::{self, GROUP, GSHADOW, Given, PASSWD, SHADOW, SUBUID, Texts};
use flipper_profiles::model::reserved::without;
use flipper_profiles::policy::accounts::{given, reserve, reserved_names, revive};

use crate::engine::{Target, fuzz};

const LINES: &str = "root:x:0:0:root:/root:/bin/bash\n_chrony:x:104:110:Chrony,,,:/var/lib/chrony:/usr/sbin/nologin\n\
    b:x:105:110:reserved by flipper-profiles:/nonexistent:/usr/sbin/nologin\nnogroup:x:65534:\n_chrony:x:110:a,b\n\
    b:!*flipper-reserved:1:::::1:\nb:!*flipper-reserved::\nanna:100000:65536\nflipper-reserved:165536:65536\n\
    u 104 _chrony chrony 110:Chrony,,,:/var/lib/chrony:/usr/sbin/nologin\ng 110 _chrony -\nsu 1 b c,d 65536\n+::::::\n";

/// The same bytes as every file of a root, and as its ledger; and that ledger over another root.
fn accounts(bytes: &[u8]) {
    let ledger = ledger::parse(bytes);
    let lines: String = ledger.iter().map(Given::to_line).collect();
    assert_eq!(ledger::parse(lines.as_bytes()), ledger, "what is written is read back");
    let whole: Vec<u8> =
        bytes.iter().copied().chain(Some(b'\n').filter(|_| !bytes.ends_with(b"\n"))).collect();
    let same: Texts =
        [PASSWD, GROUP, SHADOW, GSHADOW, SUBUID].into_iter().map(|file| (file, whole.clone())).collect();
    let fresh = [
        (PASSWD, "root:x:0:0:::\n"),
        (GROUP, "root:x:0:\n"),
        (SHADOW, "root:*:1::::::\n"),
        (GSHADOW, "root:*::\n"),
        (SUBUID, ""),
    ];
    let fresh: Texts = fresh.into_iter().map(|(file, text)| (file, text.into())).collect();
    for (ledger, root) in [(&given(&same), &fresh), (&ledger, &fresh)] {
        let changed = reserve(ledger, root);
        let now: Texts = root.iter().chain(&changed).map(|(file, text)| (*file, text.clone())).collect();
        assert!(now.iter().all(|(file, text)| text.starts_with(&root[file])), "only lines at the end");
        assert_eq!(reserve(ledger, &now), Texts::new(), "a second time there is nothing to do");
        let told_apart = |(file, text): (&&str, &Vec<u8>)| without(file, text, &now[GSHADOW]) == root[file];
        assert!(now.iter().all(told_apart), "ours are told from what was there");
        let revived = revive(ledger, &now, &reserved_names(&now));
        assert!(
            revived.texts.values().all(|text| text.iter().filter(|b| **b == b'\n').count() < bytes.len() + 9)
        );
    }
}

#[test]
fn any_accounts_are_reserved_once() {
    let machine =
        ["/etc/passwd", "/etc/group"].map(|path| std::fs::read(path).expect("this machine has accounts"));
    fuzz(Target {
        name: "accounts",
        corpus: vec![LINES.into(), machine.concat()],
        pieces: &[
            ":",
            "\n",
            "::",
            " ",
            "x:",
            "!*flipper-reserved",
            "flipper-reserved",
            "-",
            "+",
            "u 7 a - 7:::\n",
            "g 7 a\n",
            ",",
            "0",
            "65534",
        ],
        read: accounts,
    });
}
