//! `flipper-profile init`: where a pool can be made, where not, and what is in it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::rig::{Ended, FLOOR, Rig, SIZE, loop_device, need, tree};

/// A loop device of our own over a sparse file; it goes with this value.
struct Device(PathBuf);

impl Device {
    fn new(rig: &Rig) -> Device {
        let file = rig.path("disk.img");
        File::create(&file).unwrap().set_len(SIZE).unwrap();
        let name = need("losetup", Command::new("losetup").args(["--find", "--show"]).arg(&file));
        Device(name.into())
    }

    fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        use std::os::unix::fs::FileExt;
        let file = File::options().write(true).open(&self.0).unwrap();
        file.write_all_at(bytes, at).unwrap();
        file.sync_all().unwrap();
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("-d").arg(&self.0).status();
    }
}

fn init(rig: &Rig, args: &[&str]) -> Ended {
    let floor = FLOOR.to_string();
    rig.profile(&[&["init", "--inode-floor", &floor], args].concat())
}

fn begin_of(path: &Path) -> Vec<u8> {
    use std::io::Read;
    let mut bytes = Vec::new();
    File::open(path).unwrap().take(2 << 20).read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn an_image_becomes_a_pool_that_is_whole_and_private() {
    let rig = Rig::bare();
    let ended = init(&rig, &["--image", rig.image_name(), "--size", "512M"]).ok();
    assert!(ended.out.contains("next: flipper-base --pool"), "{}", ended.out);
    assert_eq!(fs::metadata(&rig.image).unwrap().len(), 512 << 20);
    rig.hold();
    assert_eq!(rig.names(""), ["@base", "@data", "@journal", "@profiles"]);
    for inside in ["@base", "@data", "@journal", "@profiles", "@journal/entries", "@journal/entries/.pool"] {
        let mode = fs::metadata(rig.in_pool(inside)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o700, "{inside}");
    }
    let text = |name: &str| fs::read_to_string(rig.in_pool("@journal").join(name)).unwrap();
    assert_eq!(text("format"), "format=1\noldest_reader=1\noldest_writer=1\ninode_floor=65536\n");
    assert_eq!(text("next"), "00000000000000000001\n");
    assert!(text("pool.conf").contains("\ndefault=\n"));
    assert_eq!(fs::metadata(rig.in_pool("@data/home")).unwrap().ino(), 256, "home is a subvolume");
    rig.verify();
}

#[test]
fn the_template_begins_at_the_floor_and_nothing_of_the_burning_stays() {
    let rig = Rig::new();
    let template = rig.in_pool("@profiles/.template");
    assert_eq!(fs::metadata(&template).unwrap().ino(), 256);
    let number = |name: &str| fs::metadata(template.join(name)).unwrap();
    let (anchor, upper, work) = (number(".floor"), number("root"), number("work"));
    assert!(FLOOR <= anchor.ino() && anchor.ino() < upper.ino() && upper.ino() < work.ino());
    assert_eq!(upper.permissions().mode() & 0o7777, 0o755, "it becomes the mode of /");
    assert_eq!(rig.names("@profiles"), [".template"]);
}

/// The collision the floor is there for: without it `cp a b` says "are the same file".
#[test]
fn no_file_of_a_profile_is_taken_for_one_of_its_base() {
    let rig = Rig::with_lab();
    let first = rig.mounted("lab", |dir| {
        for n in 0..400 {
            fs::write(dir.join(format!("opt/new-{n}")), format!("{n}\n")).unwrap();
            fs::create_dir(dir.join(format!("opt/dir-{n}"))).unwrap();
        }
        assert_eq!(tree::mistaken_for_one(dir), []);
        fs::metadata(dir).unwrap().ino()
    });
    assert!(first >= FLOOR, "stat(/).st_ino is {first}");
    rig.mounted("lab", |dir| {
        assert_eq!(tree::mistaken_for_one(dir), []);
        for name in ["usr/lib/os-release", "etc/hello.conf", "opt/data/one"] {
            need("cp", Command::new("cp").arg(dir.join(name)).arg(dir.join("opt/new-7")));
        }
    });
}

/// The one test with the floor of real pools; it burns half a minute of CPU.
#[test]
fn the_real_floor_is_reached() {
    let rig = Rig::bare();
    rig.profile(&["init", "--image", rig.image_name(), "--size", "512M"]).ok();
    rig.hold();
    let upper = fs::metadata(rig.in_pool("@profiles/.template/root")).unwrap().ino();
    assert!(upper > 1 << 20 && upper < (1 << 20) + 100, "{upper}");
    let format = fs::read_to_string(rig.in_pool("@journal/format")).unwrap();
    assert!(format.ends_with("inode_floor=1048576\n"), "{format}");
}

#[test]
fn an_empty_device_is_formatted_only_after_a_yes() {
    let rig = Rig::bare();
    let device = Device::new(&rig);
    init(&rig, &[device.name()]).refused("not confirmed");
    assert!(begin_of(&device.0).iter().all(|b| *b == 0), "nothing was written");
    init(&rig, &[device.name(), "--yes"]).ok();
    rig.run("flipper-profile", &["--pool", device.name(), "verify"]).ok();
}

#[test]
fn a_device_that_holds_anything_is_refused_even_with_yes() {
    type Filling = fn(&Device);
    let fillings: [(&str, Filling); 5] = [
        ("ext4", |d| drop(need("mkfs.ext4", Command::new("mkfs.ext4").arg("-q").arg(&d.0)))),
        ("swap", |d| drop(need("mkswap", Command::new("mkswap").arg(&d.0)))),
        ("dos", |d| {
            let mut table = [0u8; 512];
            table[446 + 4] = 0x83; // one partition of type Linux
            table[446 + 8] = 8;
            table[446 + 13] = 8;
            table[510..].copy_from_slice(&[0x55, 0xaa]);
            d.write(0, &table);
        }),
        ("data blkid does not know", |d| d.write(5000, b"somebody's own bytes")),
        ("data blkid does not know", |d| d.write((1 << 20) - 1, b"x")),
    ];
    for (what, fill) in fillings {
        let rig = Rig::bare();
        let device = Device::new(&rig);
        fill(&device);
        let before = begin_of(&device.0);
        init(&rig, &[device.name(), "--yes"]).refused(what);
        assert!(before == begin_of(&device.0), "{what}: it was written to");
        // The hint is no dead end: what it says works.
        need("mkfs.btrfs", Command::new("mkfs.btrfs").args(["--quiet", "--force"]).arg(&device.0));
        init(&rig, &[device.name(), "--yes"]).ok();
    }
}

/// A file system whose begin was lost still has its files, and the last MiB counts too.
#[test]
fn a_device_with_data_behind_an_empty_begin_is_refused() {
    let places: [(u64, usize); 2] = [(300 << 20, 16 << 20), (SIZE - 100, 10)];
    for (at, length) in places {
        let rig = Rig::bare();
        let device = Device::new(&rig);
        device.write(at, &vec![b'x'; length]);
        init(&rig, &[device.name(), "--yes"]).refused("holds");
    }
}

#[test]
fn a_pool_is_not_made_twice() {
    let rig = Rig::bare();
    let device = Device::new(&rig);
    init(&rig, &[device.name(), "--yes"]).ok();
    let before = begin_of(&device.0);
    init(&rig, &[device.name(), "--yes"]).refused("is a pool already");
    assert!(before == begin_of(&device.0));
    let rig = Rig::new();
    init(&rig, &["--image", rig.image_name()]).says(3, "File exists");
    rig.verify();
}

#[test]
fn a_btrfs_that_is_there_keeps_what_it_has() {
    let rig = Rig::bare();
    let device = Device::new(&rig);
    need("mkfs.btrfs", Command::new("mkfs.btrfs").arg("-q").arg(&device.0));
    need("mount", Command::new("mount").arg(&device.0).arg(rig.top()));
    fs::create_dir_all(rig.in_pool("srv/deep")).unwrap();
    fs::write(rig.in_pool("srv/mine"), "mine").unwrap();
    init(&rig, &[rig.in_pool("srv/deep").to_str().unwrap()]).ok();
    assert_eq!(rig.names(""), ["@base", "@data", "@journal", "@profiles", "srv"]);
    assert_eq!(fs::read(rig.in_pool("srv/mine")).unwrap(), b"mine");
    // The pool is found by a directory on it too, and below a subvolume.
    rig.run("flipper-profile", &["--pool", rig.in_pool("srv").to_str().unwrap(), "verify"]).ok();
}

#[test]
fn what_cannot_be_a_pool_is_said_in_one_sentence() {
    let rig = Rig::bare();
    let tmpfs = rig.path("elsewhere");
    fs::create_dir(&tmpfs).unwrap();
    init(&rig, &["/run"]).says(3, "is not on btrfs");
    init(&rig, &["/nowhere"]).says(3, "cannot look at /nowhere");
    for size in ["0", "1M", "much", "-1G"] {
        init(&rig, &["--image", rig.image_name(), &format!("--size={size}")]).says(64, "");
        assert!(!rig.image.exists(), "{size}: a refused image leaves no file");
    }
    rig.profile(&["init", "--image", rig.image_name(), "--inode-floor", "1000"]).says(64, "65536");
    init(&rig, &["--image", "/nowhere/pool.img"]).says(3, "/nowhere/pool.img");
    assert!(!rig.image.exists());
}

/// An init that was cut has no format file: it is no pool, and init begins again.
#[test]
fn an_init_that_was_cut_is_begun_again() {
    let rig = Rig::new();
    fs::remove_file(rig.in_pool("@journal/format")).unwrap();
    rig.profile(&["list"]).says(3, "holds no pool");
    let top = rig.top();
    init(&rig, &[top.to_str().unwrap()]).ok();
    rig.profile(&["list"]).ok();
    assert!(rig.in_pool("@base/13.1").is_dir(), "what was there stays");
}

/// The image's loop device goes with its last user: nothing stays attached.
#[test]
fn no_loop_device_is_left_behind() {
    let rig = Rig::with_lab();
    rig.release();
    rig.wait_until_detached();
    rig.profile(&["list"]).ok();
    assert_eq!(rig.sh("lab", "echo in"), "in");
    rig.wait_until_detached();
    assert_eq!(loop_device(&rig.image), None);
    let mut file = File::options().append(true).open(&rig.image).unwrap();
    file.write_all(b"").unwrap();
}
