//! What a start from a profile costs: from the first line of the initramfs to switch_root, by the guest's own
//! clock. Next to the very same machine, kernel and initrd with the same tree as a plain btrfs subvolume. `cargo bench
//! --bench boot_time`, or tests/bench boot; needs what the group vm needs.
#![allow(dead_code)]

mod machine;
#[path = "../apt/repo.rs"]
mod repo;
#[path = "../apt/rig.rs"]
mod rig;
#[path = "../apt/tree.rs"]
mod tree;

use machine::{Machine, Started};
use rig::command;

const ROUNDS: usize = 7;

const PLAIN: &str = "boot=local rootflags=subvol=plain rootfstype=btrfs";

/// When the initramfs began, and when it was about to end.
const ASK: &str = "
at() { dmesg | sed -n \"s/^\\[ *\\([0-9.]*\\)\\] .*$1.*/\\1/p\" | head -n 1; }
echo begin=$(at 'Run .init as init process')
echo end=$(at 'asked: the root is there')
echo root=$(findmnt -no FSTYPE /)";

fn main() {
    let machine = Machine::trixie();
    machine.outside(|pool| {
        let dir = tempfile::tempdir().expect("a directory");
        let at = dir.path().to_str().expect("text");
        let plain = pool.top.join("plain");
        let plain = plain.to_str().expect("text");
        command(&["btrfs", "subvolume", "create", plain], &[], b"").ok();
        pool.call("flipper-profile", &["mount", "lab", at]).ok();
        command(&["cp", "-a", &format!("{at}/."), plain], &[], b"").ok();
        while command(&["umount", at], &[], b"").status != 0 {}
    });
    // The first start of a state is on trial, and makes what later ones find.
    took(&machine, "", "overlay");
    took(&machine, PLAIN, "btrfs");
    let mut pairs: Vec<(f64, f64)> = Vec::new();
    for _ in 0..ROUNDS {
        pairs.push((took(&machine, "", "overlay"), took(&machine, PLAIN, "btrfs")));
    }
    let (profile, plain) = (median(pairs.iter().map(|p| p.0)), median(pairs.iter().map(|p| p.1)));
    let more = median(pairs.iter().map(|p| p.0 - p.1));
    println!("boot: initramfs to switch_root, median of {ROUNDS} pairs");
    println!("  from a profile      {profile:.3} s");
    println!("  a plain subvolume   {plain:.3} s");
    println!(
        "  more                {more:+.3} s, {:+.1} %   (aim: at most +0.3 s or +10 %)",
        (profile / plain - 1.0) * 100.0
    );
}

fn took(machine: &Machine, words: &str, root: &str) -> f64 {
    let started = machine.start(words, ASK);
    started.is("root", root);
    let seconds = |name: &str, of: &Started| of.says(name).parse::<f64>().expect("seconds");
    seconds("end", &started) - seconds("begin", &started)
}

fn median(of: impl Iterator<Item = f64>) -> f64 {
    let mut of: Vec<f64> = of.collect();
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}
