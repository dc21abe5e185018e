//! Reserved accounts as adduser and systemd-sysusers meet them when their package comes back.

use crate::machine::pool;
use crate::rig::Lab;

fn account(lab: &Lab, name: &str) -> String {
    lab.run(&format!("getent passwd {name}; getent group {name}")).ok().out
}

fn comes_back(lab: &Lab, package: &str) {
    let before = lab.tree();
    lab.run(&format!("apt-get -qq -y install {package}")).ok();
    let (was, home) = (account(lab, package), lab.run(&format!("stat -c %U:%a /var/lib/{package}")).ok().out);
    lab.undo(&[]).ok();
    lab.tree().must_be(&before);
    assert!(account(lab, package).contains("reserved by flipper-profiles"));
    lab.run(&format!("apt-get -qq -y install {package}")).ok();
    assert_eq!(account(lab, package), was);
    assert_eq!(lab.run(&format!("stat -c %U:%a /var/lib/{package}")).ok().out, home);
    lab.run(&format!("chage -l {package}")).ok().says("Account expires\t\t\t\t\t\t: never");
}

#[test]
fn with_adduser() {
    comes_back(&pool().lab("adduser"), "with-adduser");
}

#[test]
fn with_sysusers() {
    comes_back(&pool().lab("sysusers"), "with-sysusers");
}

/// A range of numbers for namespaces, of a person an undo took away.
#[test]
fn a_person() {
    let lab = pool().lab("person");
    let before = lab.tree();
    lab.run("apt-get -qq -y install plain; adduser --disabled-password --comment Anna anna").ok();
    let range = lab.run("cut -d: -f2- /etc/subuid").ok().out;
    lab.undo(&[]).ok();
    lab.tree().must_be(&before);
    assert_eq!(lab.run("cut -d: -f2- /etc/subuid").ok().out, range);
    lab.run("adduser --disabled-password --comment Otto otto").ok();
    let numbers = lab
        .run("id -u anna; id -u otto; stat -c %u /home/anna /home/otto; cut -d: -f1,2 /etc/subuid")
        .ok()
        .out;
    assert_eq!(numbers, "1000\n1001\n1000\n1001\nflipper-reserved:100000\notto:165536\n");
}
