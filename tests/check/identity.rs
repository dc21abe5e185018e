//! Classes A6-A9.

use std::os::unix::fs::symlink;

use crate::case::{Case, Tree};

const KEY: &str = "etc/ssl/private/ssl-cert-snakeoil.key";

fn nothing(_: &Tree) {}

fn write(path: &'static str, text: &'static str) -> impl Fn(&Tree) {
    move |tree: &Tree| tree.write(path, text)
}

#[test]
fn a7_found_a_key_in_the_candidate() {
    let case = Case::of(nothing, write(KEY, "secret"), nothing);
    case.is(&[&format!("A7 decision /{KEY}")]);
    let doctor = Case::on(write(KEY, "secret"), nothing);
    doctor.doctor_is(&[&format!("A7 decision /{KEY}")]);
}

#[test]
fn a7_near_miss_the_base_has_it_too_or_the_profile_its_own() {
    Case::on(write(KEY, "secret"), nothing).is(&[]);
    let own = Case::of(write(KEY, "one"), write(KEY, "two"), write(KEY, "mine"));
    own.is(&[&format!("A7 harmless /{KEY}")]);
    Case::of(nothing, write("etc/ssl/private/README.txt", "no key"), nothing).is(&[]);
}

#[test]
fn a8_found_mounts_and_a_time_zone_all_three_have_differently() {
    let fstab = |line| write("etc/fstab", line);
    Case::of(fstab("one"), fstab("two"), fstab("mine")).is(&["A8 decision /etc/fstab"]);
    let zone = |name: &'static str| {
        move |tree: &Tree| {
            let _ = std::fs::remove_file(tree.path("etc/localtime"));
            symlink(format!("/usr/share/zoneinfo/{name}"), tree.path("etc/localtime")).unwrap();
        }
    };
    let zones = Case::of(zone("Etc/UTC"), zone("Etc/GMT"), zone("Europe/Berlin"));
    zones.is(&["A8 harmless /etc/localtime"]);
    let new = Case::of(nothing, write("etc/timezone", "Etc/UTC"), write("etc/timezone", "Europe/Berlin"));
    new.is(&["A8 harmless /etc/timezone"]);
}

#[test]
fn a8_near_miss_changed_on_one_side_only_or_alike() {
    let fstab = |line| write("etc/fstab", line);
    Case::of(fstab("one"), fstab("one"), fstab("mine")).is(&[]);
    Case::of(fstab("one"), fstab("two"), nothing).is(&[]);
    Case::of(fstab("one"), fstab("two"), fstab("two")).is(&["F16 automatic /etc/fstab"]);
}
