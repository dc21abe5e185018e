//! boot.scr in U-Boot's own sandbox, with the files our programs make, and what it writes read by them: each case
//! with the old shell of U-Boot and with the new one. And boot.scr with a fault in it, which a case must find.
//!
//! Needs root, u-boot-tools, mtools, and the sandbox that tests/uboot-sandbox builds.

mod card;
mod cases;
mod made;
#[path = "../rig/mod.rs"]
mod rig;

use card::{PARSERS, Uboot};

macro_rules! both_parsers {
    ($($name:ident,)*) => {
        $(
            #[test]
            fn $name() {
                for parser in PARSERS {
                    cases::$name(&Uboot::new(parser));
                }
            }
        )*
        const ALL: &[(&str, fn(&Uboot))] = &[$((stringify!($name), cases::$name),)*];
    };
}

both_parsers! {
    the_default_starts,
    another_default,
    a_slot_is_a_profile,
    a_slot_with_last_good,
    no_word_is_no_choice,
    a_word_without_its_complement,
    a_word_with_its_bytes_swapped,
    a_slot_nobody_has,
    words_for_reset_and_clone_are_kept_free,
    no_chip_answers,
    there_is_no_such_bus,
    there_is_no_i2c,
    a_choice_for_one_start,
    a_choice_for_a_profile_that_is_gone,
    the_mcu_before_the_choice_for_one_start,
    three_starts_and_the_last_good_one,
    two_on_trial_are_counted_apart,
    what_has_come_up_writes_nothing,
    last_good_is_not_counted,
    a_kernel_that_is_no_kernel_gives_way_to_the_good_one,
    a_kernel_that_is_missing_gives_way_to_the_good_one,
    an_initrd_that_is_missing,
    a_profile_without_its_environment,
    no_profile_can_be_started,
    nothing_is_there,
    a_state_that_is_damaged_has_a_copy,
    both_copies_are_damaged,
    a_state_cut_short,
    a_cut_between_the_copies,
    a_state_that_sets_other_names,
    an_environment_that_sets_other_names,
    a_default_that_is_not_there,
    arguments_are_one_word_each,
    arguments_are_not_run,
    the_arguments_of_a_router,
    no_arguments,
    below_boot,
    a_long_name_and_many_profiles,
    on_btrfs_nothing_is_counted,
    our_programs_read_what_it_counted,
    twice_the_same_start,
}

/// boot.scr with one thing wrong. Each is found by a case.
#[test]
fn faults_are_found() {
    let script = card::script_text();
    let mut missed = Vec::new();
    for (right, wrong) in FAULTS {
        assert!(script.contains(right), "{right:?} is not in boot.cmd any more");
        let uboot = Uboot::with_script("modern", &script.replacen(right, wrong, 1));
        std::panic::set_hook(Box::new(|_| {}));
        let finds = |case: &&(&str, fn(&Uboot))| {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case.1(&uboot))).is_err()
        };
        if !ALL.iter().any(|case| finds(&case)) {
            missed.push(right);
        }
        let _ = std::panic::take_hook();
    }
    assert!(missed.is_empty(), "no case finds a fault at {missed:#?}");
}

const FAULTS: &[(&str, &str)] = &[
    ("once tries asked", "asked"),
    ("for f in state.bin state.bak; do\n  if", "for f in state.bin; do\n  if"),
    ("env import -c ${buffer} ${filesize} flipper_once flipper_tries", "env import -c ${buffer} ${filesize}"),
    ("env import -t ${buffer} ${filesize} flipper_profiles", "env import -t ${buffer} ${filesize}; echo"),
    ("setenv flipper_once; setenv flipper_save yes", "setenv flipper_save yes"),
    ("setenv flipper_once; setenv flipper_save yes", "setenv flipper_once"),
    ("setenv flipper_asked \"${flipper_once}\"", "true"),
    ("${flipper_register}.2 2", "${flipper_register}.2 1"),
    ("itest.w", "itest.b"),
    ("\"${flipper_word}/${id}\"", "\"${flipper_word}/lab\""),
    ("setenv flipper_asked ${id}; setenv flipper_good ${id}", "setenv flipper_asked ${id}"),
    ("${id}/${kernel}:3\"; then", "${id}/${kernel}:9\"; then"),
    (":2\"; setenv flipper_save yes", ":2\""),
    ("${id}/${kernel}:0\"; then setenv flipper_good", "${id}/${kernel}:0\"; then setenv nothing"),
    ("else setenv flipper_left \"${flipper_left} ${t}\"; fi", "fi"),
    ("setenv flipper_left\n", "true\n"),
    ("for f in state.bak state.bin; do fatwrite", "for f in state.bak; do fatwrite"),
    ("for f in state.bak state.bin; do fatwrite", "for f in state.bin; do fatwrite"),
    ("for v in kernel good args fallback", "for v in kernel good fallback"),
    ("for v in kernel good args fallback", "for v in good args fallback"),
    ("if test \"${flipper_good}\" != \"${id}\"; then run", "if true; then run"),
    ("setenv fallback flipper.fallback=1", "true"),
    ("${flipper_args} ${args}", "${args}"),
    ("${flipper_args} ${args}", "${flipper_args}"),
    ("setenv bootargs \"", "setenv bootargs "),
    ("ramdisk_addr_r}:${filesize}", "ramdisk_addr_r}:1"),
    ("for want in ${flipper_asked} ${flipper_profiles}", "for want in ${flipper_asked}"),
    ("setenv flipper_good ${id}; run flipper_start", "true"),
    ("setenv dir \"${prefix}flipper\"", "setenv dir /flipper"),
    ("exit 1", "true"),
];
