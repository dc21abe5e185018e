//! A package that the new base dropped and something of the profile needs: without an archive, it can be carried
//! along.

use std::fs;

use crate::case::Tree;
use crate::deb::Deb;
use crate::merged;
use crate::rig::Rig;

fn dropped() -> Deb {
    Deb::new("dropped", "1")
        .field("Depends: deeper")
        .file("usr/share/dropped/data", "data")
        .link("usr/share/dropped/link", "data")
        .conffile("etc/dropped.conf", "one")
        .control("postrm", "#!/bin/sh\nexit 0\n")
}

fn pool() -> Rig {
    let base = |version: &str, tree: &Tree| {
        if version == "1" {
            let deeper = Deb::new("deeper", "1").file("usr/share/deeper/data", "deep");
            tree.install(&[deeper, dropped(), Deb::new("unneeded", "1").file("usr/share/unneeded/x", "x")]);
        }
    };
    merged::pool(base, |tree| {
        tree.install(&[Deb::new("mine", "1").field("Depends: dropped").file("usr/share/mine/x", "mine")]);
        tree.write("etc/dropped.conf", "edited");
        // No archive is to be reached.
        tree.sh("rm -f etc/apt/sources.list etc/apt/sources.list.d/*");
        tree.write("etc/apt/sources.list", "deb file:/nowhere ./\n");
    })
}

#[test]
fn what_the_base_dropped_is_carried_along_without_an_archive() {
    let rig = pool();
    let rebase = |more: &[&str]| rig.profile(&[&["rebase", "lab", "--base", "2", "--yes"], more].concat());
    let said = rebase(&["--dry-run", "--all"]).ok().out;
    assert!(said.contains("rebase --decide P2:dropped=keep"), "{said}");
    rebase(&[]).refused("the package lists could not be fetched");
    assert_eq!(rig.sh("lab", "dpkg-query -W -f '${Version}' dropped"), "1");

    rebase(&["--decide", "P2:dropped=keep"]).ok();
    assert_eq!(fs::read_to_string(rig.root_dir("lab").join("base")).unwrap(), "2\n");
    let seen = "cat /usr/share/dropped/data /usr/share/dropped/link /usr/share/deeper/data /etc/dropped.conf
        dpkg-query -W -f '${Package} ${Version} ${Status}\\n' dropped deeper mine unneeded 2> /dev/null
        test -e /usr/share/unneeded || echo gone
        dpkg --audit; dpkg --verify dropped deeper mine; apt-get check > /dev/null && echo checked
        dpkg --purge mine dropped > /dev/null 2>&1 && echo purged
        ls -d /usr/share/dropped /etc/dropped.conf 2> /dev/null || echo all of it";
    assert_eq!(
        rig.sh("lab", seen),
        "datadatadeepedited\
deeper 1 install ok installed
dropped 1 install ok installed
mine 1 install ok installed
gone
??5?????? c /etc/dropped.conf
checked
purged
all of it"
    );
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_eq!(fs::read_to_string(rig.root_dir("lab").join("base")).unwrap(), "1\n");
    rig.verify();
}
