use super::*;
use crate::model::boot::{Method, Place};

fn key(text: &str) -> KernelKey {
    text.parse().expect("a key")
}

fn entry(id: &str, kernel: &str, good: Option<&str>) -> MenuEntry {
    MenuEntry {
        id: id.parse().expect("an id"),
        name: format!("{id}'s"),
        kernel: key(kernel),
        good: good.map(key),
        args: "a='b c' $x".into(),
    }
}

fn boot() -> Boot {
    let place = Place { uuid: "1234-ABCD".into(), dir: "boot".into() };
    Boot { method: Method::Grub, place, args: "quiet".into(), mcu: None }
}

fn text(entries: &[MenuEntry], counts: bool) -> String {
    let default = "lab".parse().expect("an id");
    config(&Menu { boot: &boot(), pool_uuid: "p-1", default: Some(&default), entries, counts })
}

#[test]
fn a_menu_of_the_profiles() {
    let menu = text(&[entry("lab", "6.1-00000001", None)], false);
    let expected = "\
if [ \"${boot_once}\" != true ]; then set default=flipper-lab; fi
menuentry 'lab'\\''s' --id flipper-lab {
  set flipper_kernel=6.1-00000001
  set flipper_fallback=
  linux \"${flipper}/kernels/${flipper_kernel}/vmlinuz\" root=UUID=p-1 boot=flipper flipper.profile=lab \
flipper.kernel=${flipper_kernel} ${flipper_fallback} 'quiet' 'a='\\''b' 'c'\\''' '$x'
  initrd \"${flipper}/kernels/${flipper_kernel}/initrd.img\"
}
menuentry 'lab'\\''s: without its last change' --id flipper-lab-undo {
  linux \"${flipper}/kernels/6.1-00000001/vmlinuz\" root=UUID=p-1 boot=flipper flipper.profile=lab \
flipper.kernel=6.1-00000001 flipper.undo=last 'quiet' 'a='\\''b' 'c'\\''' '$x'
  initrd \"${flipper}/kernels/6.1-00000001/initrd.img\"
}
";
    assert_eq!(menu.split_once('\n').expect("a comment").1, expected);
}

#[test]
fn only_what_has_not_come_up_is_counted() {
    let (good, new) = ("6.1-00000001", "6.2-00000002");
    assert!(!text(&[entry("lab", good, Some(good))], true).contains("tries"));
    assert!(!text(&[entry("lab", new, Some(good))], false).contains("tries"), "nobody can write it down");
    let menu = text(&[entry("lab", new, Some(good)), entry("a-b", good, Some(good))], true);
    let ladder = "
  if [ \"${flipper_tries_lab}\" = 3 ]; then set flipper_tries_lab=2
  elif [ \"${flipper_tries_lab}\" = 2 ]; then set flipper_tries_lab=1
  elif [ \"${flipper_tries_lab}\" = 1 ]; then set flipper_tries_lab=0
  elif [ \"${flipper_tries_lab}\" = 0 ]; then set flipper_kernel=6.1-00000001; set flipper_fallback=flipper.fallback=1
  fi
  save_env --file \"${flipper}/grubenv\" flipper_tries_lab
";
    assert!(menu.contains(ladder), "{menu}");
    assert!(menu.contains("\" = a-b ]; then set default=flipper-a-b\n"), "{menu}");
    assert!(menu.contains("grubenv\" flipper_once flipper_tries_lab\n"), "{menu}");
}

#[test]
fn tries_begin_once_for_each_kernel() {
    let lab = |kernel| entry("lab", kernel, Some("6.1-00000001"));
    let mut block = Environment::default();
    block.arm(&[lab("6.2-00000002")]);
    assert_eq!(block.tries(&lab("6.2-00000002")), Some(3));
    // GRUB has counted.
    let text = String::from_utf8(block.to_bytes()).expect("text").replace("tries_lab=3", "tries_lab=0");
    let mut block = Environment::parse(text.as_bytes());
    block.arm(&[lab("6.2-00000002")]);
    assert_eq!(block.tries(&lab("6.2-00000002")), Some(0), "the same kernel");
    block.arm(&[lab("6.3-00000003")]);
    assert_eq!(block.tries(&lab("6.3-00000003")), Some(3));
    block.arm(&[lab("6.1-00000001")]);
    assert_eq!(block, Environment::default(), "it came up");
}

#[test]
fn a_block_is_1024_bytes_whatever_is_in_it() {
    let mut block = Environment::default();
    block.choose_once(&"lab".parse().expect("an id"));
    let many: Vec<MenuEntry> =
        (0..20).map(|n| entry(&format!("profile-{n}"), "6.2-00000002", Some("6.1-00000001"))).collect();
    block.arm(&many);
    assert_eq!(block.once(), Some("lab"));
    let bytes = block.to_bytes();
    assert_eq!(bytes.len(), 1024);
    let read = Environment::parse(&bytes);
    assert_eq!(read.once(), Some("lab"));
    assert_eq!(Environment::parse(b"garbage"), Environment::default());
}
