use super::*;
use crate::model::boot::{Boot, Mcu, Method, Place};

fn entry(id: &str, kernel: &str, good: Option<&str>) -> MenuEntry {
    let key = |text: &str| text.parse().expect("a key");
    let id = id.parse().expect("an id");
    MenuEntry { id, name: String::new(), kernel: key(kernel), good: good.map(key), args: r"a=\b".into() }
}

fn boot() -> Boot {
    let mcu = Mcu { bus: 0, chip: 0x69, register: 0x210 };
    let place = Place { uuid: "1234-ABCD".into(), dir: "".into() };
    Boot { method: Method::Uboot, place, args: "quiet".into(), mcu: Some(mcu) }
}

#[test]
fn an_environment_of_names_and_words() {
    let entries = [entry("lab", "6.1-00000001", None), entry("a-b", "6.1-00000001", None)];
    let default = "lab".parse().expect("an id");
    let menu =
        Menu { boot: &boot(), pool_uuid: "p-1", default: Some(&default), entries: &entries, counts: true };
    let expected = "\
flipper_profiles=lab a-b
flipper_default=lab
flipper_root=UUID=p-1
flipper_args=quiet
flipper_words=0xfe01 0xfd02 0xbe41 0xbd42
flipper_slots=0xfe01/lab 0xfd02/a-b 0xbe41/lab/good 0xbd42/a-b/good
flipper_bus=0
flipper_chip=0x69
flipper_register=0x0210
";
    let text = environment(&menu, "");
    assert_eq!(text.split_once('\n').expect("a comment").1, expected);
    assert_eq!(profile(&entries[0]), "kernel=6.1-00000001\ngood=\nargs=a=\\\\b\n");
}

#[test]
fn a_profile_keeps_its_slot() {
    let of = |ids: &str, before: &str| {
        let entries: Vec<_> = ids.split(' ').map(|id| entry(id, "6.1-00000001", None)).collect();
        let words = slots(&entries, before).into_iter().map(|(slot, id)| format!("{slot}:{id}"));
        words.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(of("a b c", ""), "1:a 2:b 3:c");
    let before = "x=y\nflipper_slots=0xfe01/a 0xfc03/c 0xbe41/a/good\n";
    assert_eq!(of("c b a d", before), "3:c 2:b 1:a 4:d");
    assert_eq!(of("c d", "flipper_slots=0xfe01/c 0xfe01/d 0x/q 0xff00/d\n"), "1:c 2:d", "one slot each");
    let many: Vec<String> = (0..70).map(|n| format!("p{n}")).collect();
    assert!(of(&many.join(" "), "").ends_with(" 63:p62"));
}

#[test]
fn the_state_of_one_copy_is_enough() {
    let (old, new) = ("6.1-00000001", "6.2-00000002");
    let mut state = State::default();
    state.arm(&[entry("lab", new, Some(old)), entry("calm", old, Some(old)), entry("fresh", new, None)]);
    state.choose_once(&"calm".parse().expect("an id"));
    let bytes = state.to_bytes();
    assert_eq!((bytes.len(), State::parse(&bytes)), (SIZE, Some(state.clone())));
    let torn = &bytes[..512];
    assert_eq!(State::of_copies([torn, &bytes]), state);
    assert_eq!(State::of_copies([&bytes, torn]), state);
    assert_eq!(State::of_copies([torn, b""]), State::default());
    for at in [0, 3, 4, 700, SIZE - 1] {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        assert_eq!(State::parse(&bad), None, "byte {at}");
    }
}

#[test]
fn a_kernel_is_armed_once() {
    let (old, new) = ("6.1-00000001", "6.2-00000002");
    let on_trial = [entry("lab", new, Some(old))];
    let mut state = State { once: String::new(), tries: vec![(format!("lab/{new}"), 1)] };
    state.arm(&on_trial);
    assert_eq!(state.tries(&on_trial[0]), Some(1));
    let newer = [entry("lab", "6.3-00000003", Some(old))];
    state.arm(&newer);
    assert_eq!(state.tries(&newer[0]), Some(TRIES));
    state.arm(&[entry("lab", "6.3-00000003", Some("6.3-00000003"))]);
    assert_eq!(state, State::default());
}

#[test]
fn more_kernels_than_there_is_room_for() {
    let many: Vec<_> =
        (0..60).map(|n| entry(&format!("p{n}"), "6.2-00000002", Some("6.1-00000001"))).collect();
    let mut state = State::default();
    state.arm(&many);
    state.choose_once(&many[59].id);
    let read = State::parse(&state.to_bytes()).expect("whole");
    assert_eq!((read.once(), read.tries(&many[0]), read.tries(&many[59])), (Some("p59"), Some(TRIES), None));
}
