//! Who a profile is to others: the hostname and the ssh host keys of the device or of its own, what a
//! clone must not have, and what an undo must not change.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::rig::Rig;
use crate::rig::tree::assert_same;
use crate::sweep::{Moment, trace, under_strace};

/// Stands for openssh-server: new keys are other keys.
const SSH: &str = "mkdir -p /etc/ssh; echo x > /usr/sbin/sshd
    printf '#!/bin/sh\\nfor kind in rsa ed25519; do key=/etc/ssh/ssh_host_${kind}_key
    test -e $key || { cat /proc/sys/kernel/random/uuid > $key; chmod 600 $key; echo pub > $key.pub; }; done\\n' > /usr/bin/ssh-keygen
    chmod 755 /usr/bin/ssh-keygen /usr/sbin/sshd";

fn keys(rig: &Rig, id: &str) -> String {
    rig.sh(id, "cd /etc/ssh; for f in ssh_host_*; do test -e $f && echo $f $(cat $f) $(stat -c %a:%u:%g $f); done; true")
}

fn hostname(rig: &Rig, id: &str) -> String {
    rig.sh(id, "cat /etc/hostname 2>/dev/null; hostname")
}

fn two_profiles() -> Rig {
    let rig = Rig::with_lab();
    rig.profile(&["create", "two"]).ok();
    rig
}

#[test]
fn the_device_has_the_first_hostname_that_is_set_and_then_the_last() {
    let rig = two_profiles();
    assert_eq!(
        (hostname(&rig, "lab"), hostname(&rig, "two")),
        ("lab".into(), "two".into()),
        "nothing is set"
    );
    assert!(!rig.in_pool("@data/identity").exists() && !rig.in_pool("@profiles/lab/applied").exists());
    rig.sh(
        "lab",
        "echo box > /etc/hostname; printf '127.0.0.1 localhost\\n127.0.1.1\\told.lan\\told\\n' > /etc/hosts",
    );
    assert_eq!(hostname(&rig, "lab"), "box\nbox");
    assert_eq!(rig.sh("lab", "cat /etc/hosts"), "127.0.0.1 localhost\n127.0.1.1\tbox.lan\tbox");
    assert_eq!(hostname(&rig, "two"), "box\nbox");
    let mode = fs::metadata(rig.in_pool("@data/identity")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700, "only root may look into it");
    let chmod =
        |mode| fs::set_permissions(rig.in_pool("@data/identity"), fs::Permissions::from_mode(mode)).unwrap();
    chmod(0o750);
    let found = rig.profile(&["verify", "--json"]);
    assert!(found.status == 1 && found.out.contains("@data/identity"), "{}", found.out);
    chmod(0o700);
    // An assembly that has nothing to do leaves the file it finds.
    let inode = || fs::metadata(rig.root_dir("two").join("root/etc/hostname")).unwrap().ino();
    let before = (inode(), fs::metadata(rig.root_dir("two").join("root/etc")).unwrap().mtime_nsec());
    rig.sh("two", "true");
    assert_eq!(before, (inode(), fs::metadata(rig.root_dir("two").join("root/etc")).unwrap().mtime_nsec()));
    // hostnamectl renames over it, in any profile.
    rig.sh("two", "echo other > /etc/.x; mv /etc/.x /etc/hostname");
    assert_eq!(hostname(&rig, "two"), "other\nother");
    assert_eq!(hostname(&rig, "lab"), "other\nother");
    // What is no hostname goes no further.
    rig.sh("two", "echo 'not a name' > /etc/hostname");
    assert_eq!(
        (hostname(&rig, "two"), hostname(&rig, "lab")),
        ("other\nother".into(), "other\nother".into())
    );
    rig.verify();
}

#[test]
fn a_profile_may_have_a_hostname_of_its_own() {
    let rig = two_profiles();
    rig.sh("lab", "echo box > /etc/hostname");
    rig.sh("lab", "true");
    rig.profile(&["set", "lab", "--hostname", "fixed-1"]).ok();
    rig.profile(&["set", "two", "--hostname", "profile"]).ok();
    rig.sh("two", "echo mine > /etc/hostname");
    assert_eq!(
        (hostname(&rig, "lab"), hostname(&rig, "two")),
        ("fixed-1\nfixed-1".into(), "mine\nmine".into())
    );
    let shown = |id: &str| rig.profile(&["show", id, "--json"]).json()["identity"]["hostname"].clone();
    assert_eq!(shown("lab"), serde_json::json!({"policy": "fixed", "name": "fixed-1"}));
    assert_eq!(shown("two"), serde_json::json!({"policy": "profile", "name": "mine"}));
    // Back to the device's: what it had meanwhile does not become everybody's.
    rig.profile(&["set", "lab", "--hostname", "device"]).ok();
    rig.profile(&["set", "two", "--hostname", "device"]).ok();
    assert_eq!((hostname(&rig, "lab"), hostname(&rig, "two")), ("box\nbox".into(), "box\nbox".into()));
    for bad in ["-x", "a b", ""] {
        rig.profile(&["set", "lab", &format!("--hostname={bad}")]).says(64, "is not a hostname");
    }
    rig.profile(&["set", "lab", "--ssh-host-keys", "mine"]).says(64, "");
    rig.verify();
}

#[test]
fn the_device_s_keys_are_in_every_profile_that_asks_for_no_others() {
    let rig = two_profiles();
    rig.sh("lab", &format!("{SSH}; ssh-keygen"));
    let of_lab = keys(&rig, "lab");
    assert!(of_lab.lines().count() == 4 && of_lab.contains("600:0:0"), "{of_lab}");
    assert_eq!(keys(&rig, "two"), of_lab);
    // The server comes to a profile later, and makes a kind the device has and one it has not.
    rig.sh("two", "cd /etc/ssh; rm *; echo other > ssh_host_rsa_key; echo new > ssh_host_x_key");
    let of_two = keys(&rig, "two");
    assert!(of_two.contains("ssh_host_rsa_key other") && of_two.contains("ssh_host_x_key new"), "{of_two}");
    assert!(!of_two.contains("rsa_key.pub"), "what was beside the old key went with it: {of_two}");
    assert_eq!(keys(&rig, "lab"), of_two, "changed in one, and so in all");
    rig.profile(&["set", "two", "--ssh-host-keys", "profile"]).ok();
    rig.sh("two", "echo own > /etc/ssh/ssh_host_rsa_key");
    assert!(keys(&rig, "two").contains("ssh_host_rsa_key own"));
    assert_eq!(keys(&rig, "lab"), of_two);
    let shown = rig.profile(&["show", "two", "--json"]).json()["identity"]["ssh_host_keys"].clone();
    assert_eq!(shown, serde_json::json!({"policy": "profile", "kinds": ["ed25519", "rsa", "x"]}));
    // Without a directory for them there are none, and nothing is made.
    rig.profile(&["create", "bare"]).ok();
    rig.sh("bare", "rm -r /etc/ssh");
    rig.sh("bare", "test ! -e /etc/ssh");
    rig.verify();
}

#[test]
fn a_clone_is_somebody_else() {
    let rig = Rig::with_lab();
    let secrets = [
        "var/lib/systemd/credential.secret",
        "var/lib/NetworkManager/secret_key",
        "var/lib/dhcp/dhclient.eth0.leases",
        "var/lib/dhcpcd/duid",
        "var/lib/dbus/machine-id",
    ];
    for path in secrets {
        let dir = path.rsplit_once('/').unwrap().0;
        rig.sh("lab", &format!("mkdir -p /{dir}; echo secret > /{path}"));
    }
    rig.sh("lab", &format!("{SSH}; ssh-keygen; echo stays > /var/lib/dhcp/other"));
    let show = rig.profile(&["show", "lab"]).ok().out;
    assert!(show.contains("/var/lib/dhcpcd/duid") && show.contains("the device's: none yet"), "{show}");
    rig.sh("lab", "true");
    rig.profile(&["clone", "lab", "same-keys"]).ok();
    assert_eq!(keys(&rig, "same-keys"), keys(&rig, "lab"), "the device's");
    rig.profile(&["set", "lab", "--ssh-host-keys", "profile", "--hostname", "lab"]).ok();
    rig.profile(&["clone", "lab", "twin"]).ok();
    for path in secrets {
        assert_eq!(rig.profile(&["run", "twin", "test", "-e", &format!("/{path}")]).status, 1, "{path}");
    }
    assert_eq!(
        rig.sh("twin", "cat /var/lib/dhcp/other; cat /etc/hostname"),
        "stays\nlab",
        "asked for the same"
    );
    let (of_lab, of_twin) = (keys(&rig, "lab"), keys(&rig, "twin"));
    assert_eq!(of_twin.lines().count(), 4, "{of_twin}");
    for line in of_twin.lines().filter(|line| !line.contains(".pub")) {
        assert!(!of_lab.contains(line), "{line} is the source's");
    }
    let show = rig.profile(&["show", "twin"]).ok().out;
    assert!(show.contains("by the machine-id") && show.contains("its own: ed25519, rsa"), "{show}");
    // Nothing to make keys with: they go, and it is said.
    rig.sh("lab", "rm /usr/bin/ssh-keygen");
    let ended = rig.profile(&["clone", "lab", "bare"]).ok();
    assert!(ended.err.contains("bare has no ssh host keys"), "{}", ended.err);
    assert_eq!(keys(&rig, "bare"), "");
    rig.verify();
}

#[test]
fn an_undo_does_not_change_who_the_machine_is() {
    let rig = Rig::with_lab();
    rig.profile(&["set", "lab", "--hostname", "profile", "--ssh-host-keys", "profile"]).ok();
    rig.sh(
        "lab",
        "echo old > /etc/hostname; mkdir -p /var/lib/NetworkManager; echo old > /etc/ssh/ssh_host_x_key",
    );
    rig.profile(&["set", "lab", "--args", "quiet"]).ok();
    let before = rig.tree("lab");
    rig.sh(
        "lab",
        "echo new > /etc/hostname; cd /etc/ssh; rm ssh_host_x_key; echo new > ssh_host_y_key; chmod 600 ssh_host_y_key
         echo key > /var/lib/NetworkManager/secret_key; mkdir /var/lib/dhcpcd; echo id > /var/lib/dhcpcd/duid; echo x > /etc/other",
    );
    let after = rig.tree("lab");
    rig.undo(&["--profile", "lab", "--yes"]).ok();
    assert_same(&before, &rig.tree("lab"));
    assert_eq!(hostname(&rig, "lab"), "new\nnew");
    assert_eq!(keys(&rig, "lab"), "ssh_host_y_key new 600:0:0");
    assert_eq!(rig.sh("lab", "cat /var/lib/NetworkManager/secret_key"), "key");
    // Where its directory is not, nothing is made for it.
    rig.sh("lab", "test ! -e /var/lib/dhcpcd");
    // A root without keys takes none away from the one a redo returns to.
    rig.sh("lab", "rm /etc/ssh/ssh_host_* /etc/hostname");
    rig.undo(&["--profile", "lab", "--redo", "--yes"]).ok();
    assert_same(&after, &rig.tree("lab"));
    assert_eq!(
        (keys(&rig, "lab"), rig.sh("lab", "cat /etc/hostname")),
        ("ssh_host_y_key new 600:0:0".into(), "new".into())
    );
    rig.verify();
}

/// Cut anywhere, an assembly is finished by the next one, and nothing old comes back to the device.
#[test]
fn an_assembly_that_is_cut() {
    let rig = two_profiles();
    rig.sh("lab", "echo box > /etc/hostname; mkdir -p /etc/ssh");
    let words = |id: &str| ["run", id, "true"].map(str::to_owned);
    let renew = |round: usize| {
        let line = "cd /etc/ssh; for kind in a b; do key=ssh_host_${kind}_key; echo $n > .x; chmod 600 .x; mv .x $key; echo $n > $key.pub; done";
        rig.sh("two", &format!("n={round}; echo box-$n > /etc/hostname; {line}"));
    };
    let expected = |round: usize| {
        let key =
            |kind| format!("ssh_host_{kind}_key {round} 600:0:0\nssh_host_{kind}_key.pub {round} 644:0:0\n");
        (format!("{}{}", key("a"), key("b")).trim_end().to_owned(), format!("box-{round}\nbox-{round}"))
    };
    renew(0);
    rig.sh("two", "true");
    let moments = |id: &str| {
        let all = trace(&rig, "flipper-profile", &words(id));
        let wanted = |(at, moment): &(usize, &Moment)| moment.call.starts_with("rename") || at % 16 == 0;
        all.iter().enumerate().filter(wanted).map(|(_, moment)| moment.clone()).collect::<Vec<_>>()
    };
    let given = moments("lab");
    renew(1);
    let taken = moments("two");
    let (mut round, mut cut) = (1, 0);
    for (moments, id) in [(given, "lab"), (taken, "two")] {
        assert!(moments.iter().filter(|moment| moment.call.starts_with("rename")).count() > 5, "{moments:?}");
        for moment in moments {
            round += 1;
            renew(round);
            if id == "lab" {
                rig.sh("two", "true");
            }
            let options = ["-o", "/dev/null", "-e", &moment.inject()];
            cut += usize::from(under_strace(&rig, "flipper-profile", &words(id), &options).status == 137);
            rig.sh("two", "true");
            for id in ["lab", "two"] {
                assert_eq!((keys(&rig, id), hostname(&rig, id)), expected(round), "{id} after {moment:?}");
            }
        }
    }
    assert!(cut > 15, "{cut} cuts");
    rig.verify();
}

/// A link in a profile leads to a file of this machine when it is followed from outside, and a FIFO would
/// be waited for with the profile locked.
#[test]
fn what_lies_beside_a_key_is_a_file_or_nothing() {
    let rig = two_profiles();
    let secret = rig.path("secret");
    fs::write(&secret, "of this machine\n").unwrap();
    rig.sh(
        "lab",
        &format!(
            "{SSH}; ssh-keygen; cd /etc/ssh; ln -sf {} ssh_host_rsa_key.pub; rm ssh_host_ed25519_key.pub; mkfifo ssh_host_ed25519_key.pub",
            secret.display()
        ),
    );
    rig.sh("lab", "true");
    let names: Vec<_> =
        fs::read_dir(rig.in_pool("@data/identity/ssh")).unwrap().map(|d| d.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let of_two = keys(&rig, "two");
    assert!(of_two.lines().count() == 2 && !of_two.contains("of this machine"), "{of_two}");
    // Nor is a hostname taken from behind a link.
    let elsewhere = secret.parent().unwrap();
    fs::write(elsewhere.join("hostname"), "stranger\n").unwrap();
    rig.sh("two", &format!("mv /etc /opt/etc; ln -s {} /etc", elsewhere.display()));
    rig.sh("lab", "true");
    assert!(!rig.in_pool("@data/identity/hostname").exists());
    rig.verify();
}
