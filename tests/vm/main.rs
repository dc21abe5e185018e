//! A machine that starts from a profile: QEMU, a real kernel and initrd, systemd. `--all` also what each
//! fault alone does, and Debian 12.
//!
//! Needs root and qemu-system-x86_64. The first run fetches a Debian root; after that no network is used.

mod broken;
mod grub;
#[path = "../long/mod.rs"]
mod long;
mod machine;
mod packages;
#[path = "../apt/repo.rs"]
mod repo;
#[path = "../apt/rig.rs"]
mod rig;
mod soft;
mod starts;
#[path = "../apt/tree.rs"]
mod tree;
mod trial;
mod typed;

/// One of these in the short form; each alone is a minute and more of a machine without nested KVM.
/// FLIPPER_VM_CASE=soft-reboot takes that one.
#[test]
fn what_else_a_start_meets() {
    let all: [(&str, fn()); 13] = [
        ("damaged-root", broken::a_root_that_is_damaged_is_passed_over),
        ("twin-disks", broken::two_disks_with_one_file_system_are_not_written_to),
        ("grub", grub::the_profile_of_the_next_start),
        ("kernel", grub::an_undo_across_a_kernel),
        ("panic", grub::a_kernel_that_panics_is_given_up),
        ("uefi", grub::a_kernel_that_panics_with_uefi_and_fat),
        ("soft-reboot", soft::an_undo_with_a_soft_reboot),
        ("trial", trial::a_package_that_breaks_booting_is_taken_back),
        ("watchdog", trial::one_that_hangs_is_reset_by_the_watchdog),
        ("encrypted", grub::a_pool_on_an_encrypted_disk),
        ("two-disks", starts::a_pool_over_two_disks),
        ("typed", typed::an_undo_a_root_and_a_pool_on_another_disk),
        ("bookworm", typed::debian_12_with_busybox),
    ];
    let named = std::env::var("FLIPPER_VM_CASE").ok();
    let asked = named.as_deref().or(long::pick(Some(all[0].0), None));
    let cases: Vec<_> = all.iter().filter(|(name, _)| asked.is_none_or(|asked| asked == *name)).collect();
    assert!(!cases.is_empty(), "there is no case {asked:?}");
    for (name, case) in cases {
        eprintln!("vm: {name}");
        case();
    }
}
