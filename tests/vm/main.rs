//! A machine that starts from a profile: QEMU, a real kernel and initrd, systemd. `--all` also what each
//! fault alone does, and Debian 12.
//!
//! Needs root and qemu-system-x86_64. The first run fetches a Debian root; after that no network is used.

mod broken;
#[path = "../long/mod.rs"]
mod long;
mod machine;
mod packages;
#[path = "../apt/repo.rs"]
mod repo;
#[path = "../apt/rig.rs"]
mod rig;
mod starts;
#[path = "../apt/tree.rs"]
mod tree;
mod typed;

/// One of these in the short form; each alone is a minute of a machine without nested KVM.
#[test]
fn what_else_a_start_meets() {
    let all: [fn(); 4] = [
        broken::a_root_that_is_damaged_is_passed_over,
        broken::two_disks_with_one_file_system_are_not_written_to,
        typed::an_undo_a_root_and_a_pool_on_another_disk,
        typed::debian_12_with_busybox,
    ];
    long::pick(&all[..1], &all[..]).iter().for_each(|case| case());
}
