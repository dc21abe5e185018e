//! Roots that are not ours, and a root without our program: no entry, no word, and no program started.

use std::fs;

use crate::rig::{Lab, Pool, command, program};

#[track_caller]
fn leaves_no_trace(lab: &Lab, script: &str) {
    let before = (lab.entries(), lab.points());
    lab.run(script).ok().silent();
    assert_eq!((lab.entries(), lab.points()), before, "{script}");
}

#[test]
fn another_root_of_dpkg() {
    let lab = Pool::trixie().lab("other-root");
    let make =
        "set -e; mkdir -p /tmp/o/var/lib/dpkg/info /tmp/o/var/lib/dpkg/updates /tmp/o/var/lib/dpkg/triggers
        touch /tmp/o/var/lib/dpkg/status /tmp/o/var/lib/dpkg/available";
    let deb = "/home/apt/flat/foreign_1_all.deb";
    leaves_no_trace(&lab, &format!("{make}; dpkg --root=/tmp/o -i {deb}; test -e /tmp/o/opt/foreign/a"));
    leaves_no_trace(&lab, &format!("{make}; dpkg --admindir=/tmp/o/var/lib/dpkg -i {deb}"));
    leaves_no_trace(
        &lab,
        &format!("{make}; DPKG_ROOT=/tmp/o DPKG_ADMINDIR=/tmp/o/var/lib/dpkg dpkg -i {deb}"),
    );
    leaves_no_trace(&lab, &format!("{make}; dpkg --root=/tmp/o -i {deb}; dpkg --root=/tmp/o -P foreign"));
    lab.run(&format!("dpkg -i {deb}")).ok();
    assert_eq!(lab.entries().len(), 1, "the same without another root has an entry");
}

/// A root of its own inside the run, as debootstrap leaves it, with our conffiles and our program in it.
/// It sees our /run, as a careless builder's does.
const CHROOT: &str = "set -e
    mkdir /tmp/c; mount -t tmpfs none /tmp/c; cd /tmp/c; mkdir usr etc var run dev proc tmp home opt root srv
    for d in bin sbin lib lib64; do ln -s usr/$d $d; done
    cp -a /etc/. etc; cp -a /var/. var; mount --bind /usr usr; mount --bind /run run; mount --rbind /dev dev
    mount --bind /home home; rm -f var/lib/dpkg/lock* var/lib/apt/lists/lock
    test -x usr/libexec/flipper-profiles/flipper-hook; test -e etc/apt/apt.conf.d/00flipper-profiles; test -e run/flipper/booted
    ";

#[test]
fn a_foreign_chroot() {
    let lab = Pool::trixie().lab("chroot");
    let apt = "chroot . apt-get -qq install foreign; test -e opt/foreign/a; test ! -e /opt/foreign; chroot . dpkg -P foreign";
    leaves_no_trace(&lab, &format!("{CHROOT}{apt}"));
    // With /proc, our hooks see that / is not the root of process 1 before they start anything.
    leaves_no_trace(&lab, &format!("{CHROOT}mount --bind /proc proc; {apt}"));
    // And with a /proc of another namespace, where process 1 is in that root.
    leaves_no_trace(
        &lab,
        &format!("{CHROOT}unshare --pid --fork sh -c 'chroot . mount -t proc proc /proc; {apt}'"),
    );
}

/// Every program that is started in a run.
fn started(lab: &Lab, script: &str) -> Vec<String> {
    let trace = tempfile::NamedTempFile::new().expect("a file");
    let (to, profile) = (trace.path().to_str().unwrap(), program("flipper-profile"));
    let strace = ["strace", "-f", "-qq", "-s", "200", "-e", "trace=execve", "-o", to, &profile];
    let words = [&strace[..], &["--pool", &lab.pool.device, "run", &lab.id, "sh", "-c", script]].concat();
    command(&words, &[], b"").ok();
    fs::read_to_string(trace.path()).expect("read").lines().map(str::to_owned).collect()
}

#[test]
fn a_foreign_chroot_costs_nothing() {
    let lab = Pool::trixie().lab("costs");
    let hooks = |calls: &[String]| {
        calls.iter().filter(|c| c.contains("execve(\"/usr/libexec/flipper-profiles")).count()
    };
    let runs = "apt-get -qq install foreign; chroot . dpkg -P foreign";
    let calls = started(&lab, &format!("{CHROOT}mount --bind /proc proc; chroot . {runs}"));
    assert!(calls.iter().any(|c| c.contains("dpkg-deb")), "nothing was installed");
    assert_eq!(hooks(&calls), 0);
    let own = started(&lab, "apt-get -qq install foreign; dpkg -P foreign");
    // pre, packages, post of apt; pre and post of dpkg; none for the dpkg processes of apt.
    assert_eq!(hooks(&own), 5, "{own:#?}");
}

/// The conffiles outlive the package.
#[test]
fn our_package_is_removed() {
    let lab = Pool::trixie().lab("removed");
    let before = lab.tree();
    lab.run("apt-get -qq remove flipper-profiles").ok();
    let number = lab.newest()["number"].to_string();
    assert!(lab.tree().has("etc/apt/apt.conf.d/zz-flipper-profiles"), "this case is no case");
    leaves_no_trace(
        &lab,
        "apt-get -qq install plain; dpkg -i /home/apt/flat/conf_1_all.deb; apt-get -qq purge conf",
    );
    leaves_no_trace(&lab, "apt-get -qq purge flipper-profiles; apt-get -qq install conf");
    lab.undo(&[&number]).ok();
    lab.tree().must_be(&before);
}
