//! One start each, or a few in a row.

use std::fs;
use std::process::Command;

use crate::card::{Card, Uboot};
use crate::made::{Made, install};
use crate::rig::need;

/// The register's word for a slot.
fn word(slot: u8) -> u16 {
    u16::from_le_bytes([slot, !slot])
}

pub fn the_default_starts(uboot: &Uboot) {
    let start = uboot.start(&Card::new());
    start.is("lab", "one").falls_back(false);
    assert_eq!(start.argument("boot="), Some("flipper"));
    assert!(start.argument("root=UUID=").is_some_and(|uuid| uuid.len() == 36), "{}", start.args());
    assert!(start.argument("flipper.kernel=").is_some_and(|key| key.starts_with("6.1-")), "{}", start.args());
    assert_ne!(start.says("fdt"), "0 none");
}

pub fn another_default(uboot: &Uboot) {
    let card = Card::new();
    card.edit("boot.env", |text| text.replace("flipper_default=lab", "flipper_default=router"));
    uboot.start(&card).is("router", "other");
}

pub fn a_slot_is_a_profile(uboot: &Uboot) {
    let card = Card::new();
    uboot.start_with_word(&card, word(2)).is("router", "other").falls_back(false);
    uboot.start_with_word(&card, word(1)).is("lab", "one").falls_back(false);
    uboot.start(&card).is("lab", "one");
}

pub fn a_slot_with_last_good(uboot: &Uboot) {
    let card = Card::on_trial();
    uboot.start_with_word(&card, word(1)).is("lab", "two").falls_back(false);
    uboot.start_with_word(&card, word(1 | 0x40)).is("lab", "one").falls_back(true);
    // It has nothing else than what is good.
    uboot.start_with_word(&card, word(2 | 0x40)).is("router", "other").falls_back(false);
}

pub fn no_word_is_no_choice(uboot: &Uboot) {
    for word in [0x0000, 0xffff] {
        uboot.start_with_word(&Card::new(), word).is("lab", "one");
    }
}

pub fn a_word_without_its_complement(uboot: &Uboot) {
    for word in [0x0002, 0xfe02, 0x0202, 0xff02] {
        uboot.start_with_word(&Card::new(), word).is("lab", "one");
    }
}

pub fn a_word_with_its_bytes_swapped(uboot: &Uboot) {
    uboot.start_with_word(&Card::new(), word(2).swap_bytes()).is("lab", "one");
}

pub fn a_slot_nobody_has(uboot: &Uboot) {
    uboot.start_with_word(&Card::new(), word(3)).is("lab", "one");
}

pub fn words_for_reset_and_clone_are_kept_free(uboot: &Uboot) {
    for asked in [0x80, 0xc0] {
        uboot.start_with_word(&Card::new(), word(2 | asked)).is("lab", "one");
    }
}

pub fn no_chip_answers(uboot: &Uboot) {
    let card = Card::new();
    card.edit("boot.env", |text| text.replace("flipper_chip=0x69", "flipper_chip=0x11"));
    uboot.start_with_word(&card, word(2)).is("lab", "one");
}

pub fn there_is_no_such_bus(uboot: &Uboot) {
    let card = Card::new();
    card.edit("boot.env", |text| text.replace("flipper_bus=0", "flipper_bus=7"));
    uboot.start(&card).is("lab", "one");
}

/// On many boards i2c is an unknown command.
pub fn there_is_no_i2c(uboot: &Uboot) {
    let without = uboot.with("i2c", "i2c-that-is-not-there");
    let start = without.start_with_word(&Card::new(), word(2));
    start.is("lab", "one");
    assert!(start.out.contains("Unknown command 'i2c-that-is-not-there'"), "{}", start.out);
}

/// As `boot router --once` leaves it, on a FAT.
fn once(card: &Card, id: &str) {
    let [first, second] = card.both_copies();
    let mut state = flipper_profiles::policy::uboot::State::of_copies([&first, &second]);
    state.choose_once(&id.parse().unwrap());
    for name in ["state.bin", "state.bak"] {
        fs::write(card.path(name), state.to_bytes()).unwrap();
    }
}

pub fn a_choice_for_one_start(uboot: &Uboot) {
    let card = Card::new();
    once(&card, "router");
    uboot.start(&card).is("router", "other");
    uboot.start(&card).is("lab", "one");
}

pub fn a_choice_for_a_profile_that_is_gone(uboot: &Uboot) {
    let card = Card::new();
    once(&card, "gone");
    uboot.start(&card).is("lab", "one");
    let [first, _] = card.both_copies();
    assert!(!String::from_utf8_lossy(&first).contains("gone"), "it is forgotten all the same");
}

pub fn the_mcu_before_the_choice_for_one_start(uboot: &Uboot) {
    let card = Card::new();
    once(&card, "lab");
    uboot.start_with_word(&card, word(2)).is("router", "other");
    card.edit("boot.env", |text| text.replace("flipper_default=lab", "flipper_default=router"));
    uboot.start(&card).is("router", "other");
}

pub fn three_starts_and_the_last_good_one(uboot: &Uboot) {
    let card = Card::on_trial();
    for _ in 0..3 {
        uboot.start(&card).is("lab", "two").falls_back(false);
    }
    for _ in 0..2 {
        uboot.start(&card).is("lab", "one").falls_back(true);
    }
}

pub fn two_on_trial_are_counted_apart(uboot: &Uboot) {
    let card = Card::on_trial();
    let kernel = |name: &str| {
        let text = card.text(name);
        text.lines().find_map(|line| line.strip_prefix("kernel=").map(str::to_owned)).unwrap()
    };
    let (new, other) = (kernel("profiles/lab.env"), kernel("profiles/router.env"));
    // router has come up with its own, and is given lab's.
    fs::write(card.path("profiles/router.env"), format!("kernel={new}\ngood={other}\nargs=\n")).unwrap();
    let state = |word: &str| {
        let mut data = format!("flipper_tries={word}\0").into_bytes();
        data.resize(0x3fc, 0);
        let mut bytes = crc32fast::hash(&data).to_le_bytes().to_vec();
        bytes.extend(data);
        bytes
    };
    let bytes = state(&format!("router/{new}:1 lab/{new}:3"));
    for name in ["state.bin", "state.bak"] {
        fs::write(card.path(name), &bytes).unwrap();
    }
    uboot.start(&card).is("lab", "two");
    uboot.start_with_word(&card, word(2)).is("router", "two").falls_back(false);
    uboot.start_with_word(&card, word(2)).is("router", "other").falls_back(true);
    uboot.start(&card).is("lab", "two");
    uboot.start(&card).is("lab", "two").falls_back(false);
    uboot.start(&card).is("lab", "one").falls_back(true);
}

pub fn what_has_come_up_writes_nothing(uboot: &Uboot) {
    let card = Card::new();
    fs::remove_file(card.path("state.bin")).unwrap();
    fs::remove_file(card.path("state.bak")).unwrap();
    uboot.start(&card).is("lab", "one");
    assert!(card.both_copies().iter().all(Vec::is_empty));
}

pub fn last_good_is_not_counted(uboot: &Uboot) {
    let card = Card::on_trial();
    let before = card.both_copies();
    uboot.start_with_word(&card, word(1 | 0x40)).is("lab", "one");
    assert_eq!(card.both_copies(), before);
}

fn of_kernel(card: &Card, release: &str, name: &str) -> std::path::PathBuf {
    let mut entries = fs::read_dir(card.path("kernels")).unwrap().map(|entry| entry.unwrap());
    let found = entries.find(|entry| entry.file_name().to_string_lossy().starts_with(release));
    found.unwrap().path().join(name)
}

pub fn a_kernel_that_is_no_kernel_gives_way_to_the_good_one(uboot: &Uboot) {
    let card = Card::on_trial();
    fs::write(of_kernel(&card, "6.2", "vmlinuz"), "bad").unwrap();
    uboot.start(&card).is("lab", "one").falls_back(true);
}

pub fn a_kernel_that_is_missing_gives_way_to_the_good_one(uboot: &Uboot) {
    let card = Card::on_trial();
    fs::remove_file(of_kernel(&card, "6.2", "vmlinuz")).unwrap();
    uboot.start(&card).is("lab", "one").falls_back(true);
}

pub fn an_initrd_that_is_missing(uboot: &Uboot) {
    let card = Card::on_trial();
    for release in ["6.2", "6.1"] {
        fs::remove_file(of_kernel(&card, release, "initrd.img")).unwrap();
    }
    let start = uboot.start(&card);
    assert!(start.out.contains("lab cannot be started"), "{}", start.out);
    // The one that is left of 6.1 is lab's or router's: both have that release.
    assert!(start.out.contains("@@gave-up") || start.says("kernel") == "kernel other", "{}", start.out);
}

pub fn a_profile_without_its_environment(uboot: &Uboot) {
    let card = Card::new();
    fs::remove_file(card.path("profiles/lab.env")).unwrap();
    uboot.start(&card).is("router", "other");
}

pub fn no_profile_can_be_started(uboot: &Uboot) {
    let card = Card::new();
    fs::remove_dir_all(card.path("kernels")).unwrap();
    let start = uboot.start(&card);
    start.gives_up();
    assert!(start.out.contains("router cannot be started"), "{}", start.out);
    assert!(start.out.contains("no profile can be started"), "{}", start.out);
}

pub fn nothing_is_there(uboot: &Uboot) {
    let card = Card::new();
    fs::remove_dir_all(card.dir.path().join("flipper")).unwrap();
    uboot.start(&card).gives_up();
}

pub fn a_state_that_is_damaged_has_a_copy(uboot: &Uboot) {
    for name in ["state.bin", "state.bak"] {
        let card = Card::on_trial();
        let mut bytes = fs::read(card.path(name)).unwrap();
        bytes[20] ^= 1;
        fs::write(card.path(name), bytes).unwrap();
        for _ in 0..3 {
            uboot.start(&card).is("lab", "two");
        }
        uboot.start(&card).is("lab", "one").falls_back(true);
    }
}

pub fn both_copies_are_damaged(uboot: &Uboot) {
    let card = Card::on_trial();
    for name in ["state.bin", "state.bak"] {
        fs::write(card.path(name), "nonsense").unwrap();
    }
    uboot.start(&card).is("lab", "two").falls_back(false);
}

pub fn a_state_cut_short(uboot: &Uboot) {
    let card = Card::new();
    once(&card, "router");
    let whole = fs::read(card.path("state.bin")).unwrap();
    for length in [0, 3, 4, 512, 1023] {
        fs::write(card.path("state.bin"), &whole[..length]).unwrap();
        fs::write(card.path("state.bak"), &whole).unwrap();
        uboot.start(&card).is("router", "other");
    }
}

/// The power went when one copy was written: the start it counted is counted, or it is given once more.
pub fn a_cut_between_the_copies(uboot: &Uboot) {
    let card = Card::on_trial();
    let [before, _] = card.both_copies();
    uboot.start(&card).is("lab", "two");
    let [after, copy] = card.both_copies();
    assert_eq!(after, copy);
    assert_ne!(before, after);
    // The copy is written first: the other is as it was, or it is torn.
    let mut torn = after.clone();
    torn[512..].fill(0xff);
    torn[..512].copy_from_slice(&after[..512]);
    for (first, more) in [(before.clone(), 3), (torn, 2)] {
        let card = Card::on_trial();
        fs::write(card.path("state.bin"), first).unwrap();
        fs::write(card.path("state.bak"), &after).unwrap();
        for _ in 0..more {
            uboot.start(&card).is("lab", "two");
        }
        uboot.start(&card).is("lab", "one").falls_back(true);
    }
}

pub fn a_state_that_sets_other_names(uboot: &Uboot) {
    let card = Card::new();
    let mut data =
        b"flipper_args=hostile\0bootargs=hostile\0flipper_default=router\0flipper_once=\0".to_vec();
    data.resize(0x3fc, 0);
    let mut bytes = crc32fast::hash(&data).to_le_bytes().to_vec();
    bytes.extend(data);
    for name in ["state.bin", "state.bak"] {
        fs::write(card.path(name), &bytes).unwrap();
    }
    let start = uboot.start(&card);
    start.is("lab", "one");
    assert!(!start.args().contains("hostile"), "{}", start.args());
}

pub fn an_environment_that_sets_other_names(uboot: &Uboot) {
    let card = Card::new();
    card.edit("boot.env", |text| text + "kernel_addr_r=0\nfilesize=1\nflipper_once=router\n");
    card.edit("profiles/lab.env", |text| text + "flipper_args=hostile\nkernel_addr_r=0\nfallback=hostile\n");
    let start = uboot.start(&card);
    start.is("lab", "one");
    assert!(!start.args().contains("hostile"), "{}", start.args());
}

pub fn a_default_that_is_not_there(uboot: &Uboot) {
    for default in ["gone", "", "lab router", "*", "$(x)"] {
        let card = Card::new();
        card.edit("boot.env", |text| {
            text.replace("flipper_default=lab", &format!("flipper_default={default}"))
        });
        uboot.start(&card).is("lab", "one");
    }
}

/// Through `set --args`, our programs' environment and U-Boot's shell, byte for byte: but for ' and \\, which the old
/// shell loses and the kernel has no use for.
pub fn arguments_are_one_word_each(uboot: &Uboot) {
    let args = r#"a="b  c" $h ${kernel} `i` "j;k" *"#;
    let made = Made::new();
    made.rig.profile(&["set", "lab", "--args", args]).ok();
    let start = uboot.start(&Card::of(&made.at));
    start.is("lab", "one");
    assert!(start.args().ends_with(&format!(" console=ttyS0 quiet {args}")), "{}\n{args}", start.args());
}

pub fn arguments_are_not_run(uboot: &Uboot) {
    let card = Card::new();
    card.edit("profiles/lab.env", |text| {
        text.replace("args=", "args=x; echo hostile-one && echo hostile-two; setenv bootargs y; ")
    });
    let start = uboot.start(&card);
    start.is("lab", "one");
    assert!(!start.out.lines().any(|line| line.starts_with("hostile")), "{}", start.out);
}

/// A profile that is only a word on the kernel command line.
pub fn the_arguments_of_a_router(uboot: &Uboot) {
    let made = Made::new();
    made.rig.profile(&["set", "router", "--args", "systemd.unit=router.target"]).ok();
    let card = Card::of(&made.at);
    let start = uboot.start_with_word(&card, word(2));
    start.is("router", "other");
    assert_eq!(start.argument("systemd.unit="), Some("router.target"));
    // What one has the next has not.
    fs::remove_dir_all(of_kernel(&card, "6.1", "")).unwrap();
    let start = uboot.start_with_word(&card, word(2));
    if start.out.contains("@@args") {
        assert_eq!(
            start.argument("systemd.unit=").is_some(),
            start.argument("flipper.profile=") == Some("router")
        );
    }
}

pub fn no_arguments(uboot: &Uboot) {
    let card = Card::new();
    card.edit("boot.env", |text| text.replace("flipper_args=console=ttyS0 quiet", "flipper_args="));
    let start = uboot.start(&card);
    start.is("lab", "one");
    assert!(!start.args().contains("quiet"), "{}", start.args());
}

pub fn below_boot(uboot: &Uboot) {
    let mut card = Card::on_trial();
    card.prefix = "/boot/";
    for _ in 0..3 {
        uboot.start(&card).is("lab", "two");
    }
    uboot.start(&card).is("lab", "one").falls_back(true);
}

pub fn a_long_name_and_many_profiles(uboot: &Uboot) {
    let card = Card::new();
    let long = "l".repeat(32);
    let mut names: Vec<String> = (0..40).map(|n| format!("profile-{n}")).collect();
    names.push(long.clone());
    card.edit("boot.env", |text| {
        let text = text.replace("flipper_profiles=lab", &format!("flipper_profiles={} lab", names.join(" ")));
        text.replace("flipper_default=lab", &format!("flipper_default={long}"))
    });
    fs::copy(card.path("profiles/lab.env"), card.path(&format!("profiles/{long}.env"))).unwrap();
    uboot.start(&card).is(&long, "one");
}

/// The boot directory on the pool itself: U-Boot reads btrfs, and writes nothing.
pub fn on_btrfs_nothing_is_counted(uboot: &Uboot) {
    let made = Made::new();
    let at = made.rig.top().join("boot");
    fs::create_dir(&at).unwrap();
    made.set(&at, &[]).says(0, "U-Boot cannot write");
    install(&made.rig, "lab", "6.2", "two");
    made.rig.profile(&["save", "lab"]).ok();
    made.rig.profile(&["boot", "lab", "--once"]).says(64, "U-Boot cannot write");
    let script = fs::read(at.join("boot.scr")).unwrap();
    assert!(script.starts_with(&[0x27, 0x05, 0x19, 0x56]), "the magic number of an image");
    need("sync", Command::new("sync").arg("-f").arg(&at));
    let card = made.rig.path("copy.img");
    need("cp", Command::new("cp").args(["--sparse=always"]).arg(&made.rig.image).arg(&card));
    for _ in 0..5 {
        uboot.run(&card, "/boot/", "true").is("lab", "two").falls_back(false);
    }
}

/// What U-Boot counted goes back to where our programs look, and what they make of it is what it counts next.
pub fn our_programs_read_what_it_counted(uboot: &Uboot) {
    let made = Made::new();
    install(&made.rig, "lab", "6.2", "two");
    made.follow();
    let tries = |made: &Made| {
        let shown = made.rig.profile(&["boot-method", "--json"]).ok().json();
        let entries = shown["entries"].as_array().unwrap().clone();
        let lab = entries.iter().find(|entry| entry["profile"] == "lab").unwrap().clone();
        (lab["tries"].as_u64(), lab["slot"].as_u64(), shown["once"].as_str().map(str::to_owned))
    };
    assert_eq!(tries(&made), (Some(3), Some(1), None));
    let card = Card::of(&made.at);
    once(&card, "lab");
    uboot.start(&card).is("lab", "two");
    for name in ["state.bin", "state.bak"] {
        fs::copy(card.path(name), made.at.join("flipper").join(name)).unwrap();
    }
    assert_eq!(tries(&made), (Some(2), Some(1), None));
    // Nothing of the boot directory changed since: it is not armed again, and the oracle says the same.
    made.follow();
    assert_eq!(tries(&made).0, Some(2));
    assert_eq!(Card::of(&made.at).both_copies(), card.both_copies(), "what U-Boot writes is what we write");
    install(&made.rig, "lab", "6.3", "three");
    made.follow();
    assert_eq!(tries(&made).0, Some(3));
    crate::made::has_come_up(&made.rig, "lab");
    made.follow();
    assert_eq!(tries(&made).0, None);
    uboot.start(&Card::of(&made.at)).is("lab", "three");
}

/// boot.scr that is run twice, as a person does at U-Boot's prompt, finds nothing of the first time.
pub fn twice_the_same_start(uboot: &Uboot) {
    let card = Card::on_trial();
    let kernels = card.path("kernels");
    fs::rename(&kernels, card.path("away")).unwrap();
    uboot
        .start_after(&card, "setenv flipper_once router; setenv flipper_tries x; setenv flipper_good lab")
        .gives_up();
    fs::rename(card.path("away"), &kernels).unwrap();
    let typed = "setenv flipper_once router; setenv flipper_good lab; setenv flipper_left y; setenv args z; setenv fallback f";
    uboot.start_after(&card, typed).is("lab", "two").falls_back(false);
}
