use super::*;

/// What `btrfs send` of btrfs-progs 6.2 wrote for a subvolume `.incoming`: header and first command.
const REAL: &[u8] = b"btrfs-stream\0\x01\0\0\0\
    \x2d\0\0\0\x01\0\x06\x4b\x4f\xed\
    \x0f\0\x09\0.incoming\
    \x01\0\x10\0\x20\x57\xbe\xbc\x06\xac\xa1\x46\xa4\x0b\xe1\x1c\xcb\xc7\xdf\x9a\
    \x02\0\x08\0\x08\0\0\0\0\0\0\0";

fn command(bytes: &[u8]) -> (Frame, &[u8]) {
    let (frame, attributes) = bytes.split_first_chunk::<FRAME>().unwrap();
    (Frame::parse(frame), attributes)
}

fn made(command: u16, attributes: &[(u16, &[u8])]) -> (Frame, Vec<u8>) {
    let mut bytes = Vec::new();
    for (kind, value) in attributes {
        bytes.extend(kind.to_le_bytes());
        bytes.extend((value.len() as u16).to_le_bytes());
        bytes.extend_from_slice(value);
    }
    let frame = Frame { length: bytes.len(), command, crc: 0 };
    (Frame { crc: checksum(frame, &bytes), ..frame }, bytes)
}

#[test]
fn a_real_beginning_is_read_and_renamed() {
    assert_eq!(version(REAL), Ok(1));
    let (frame, attributes) = command(&REAL[HEADER..]);
    let found = first(frame, attributes).unwrap();
    assert_eq!((found.name.as_slice(), found.parent), (&b".incoming"[..], None));
    assert_eq!(uuid_text(&found.uuid), "2057bebc-06ac-a146-a40b-e11ccbc7df9a");
    assert_eq!(renamed(frame, attributes, NAME).unwrap(), &REAL[HEADER..]);
    let other = renamed(frame, attributes, "13.2").unwrap();
    let (frame, attributes) = command(&other);
    assert_eq!(frame.length, attributes.len());
    assert_eq!(first(frame, attributes).unwrap(), First { name: b"13.2".to_vec(), ..found });
}

#[test]
fn what_is_no_stream_is_named() {
    let mut tarball = vec![0; 512];
    tarball[257..262].copy_from_slice(b"ustar");
    let mut newer = REAL.to_vec();
    newer[13] = 3;
    for (bytes, why) in [
        (&b""[..], "it is empty"),
        (b"btrfs-st", "ends in its first line"),
        (&REAL[..HEADER - 1], "ends in its first line"),
        (&tarball, "it is a tarball"),
        (b"\x1f\x8b\x08", "may be a tarball"),
        (b"hello, world, hello", "begins otherwise"),
        (&newer, "of version 3"),
    ] {
        let said = version(bytes).unwrap_err();
        assert!(said.contains(why), "{bytes:?}: {said}");
    }
}

#[test]
fn a_wrong_first_command_is_refused() {
    let (frame, attributes) = command(&REAL[HEADER..]);
    let mut flipped = attributes.to_vec();
    flipped[5] ^= 1;
    assert!(first(frame, &flipped).unwrap_err().contains("checksum"));
    let uuid = [7; 16];
    for (number, attributes, why) in [
        (3, vec![(PATH, &b"x"[..])], "does not begin with a subvolume"),
        (SUBVOLUME, vec![(PATH, b"x")], "does not say which"),
        (SUBVOLUME, vec![(UUID, &uuid[..])], "does not say which"),
        (SUBVOLUME, vec![(PATH, b"x"), (UUID, &uuid[..15])], "does not say which"),
        (SNAPSHOT, vec![(PATH, b"x"), (UUID, &uuid[..])], "does not say which"),
    ] {
        let (frame, attributes) = made(number, &attributes);
        assert!(first(frame, &attributes).unwrap_err().contains(why), "{number} {attributes:?}");
    }
    let (frame, attributes) = made(SNAPSHOT, &[(PATH, b"x"), (UUID, &uuid), (CLONE_UUID, &[9; 16])]);
    assert_eq!(first(frame, &attributes).unwrap().parent, Some([9; 16]));
    let (frame, mut attributes) = made(SUBVOLUME, &[(PATH, b"x"), (UUID, &uuid)]);
    attributes.truncate(10);
    let frame = Frame { length: 10, ..frame };
    let frame = Frame { crc: checksum(frame, &attributes), ..frame };
    assert!(first(frame, &attributes).unwrap_err().contains("torn"));
}

#[test]
fn no_path_leads_out_and_a_link_may_say_anything() {
    const SYMLINK: u16 = 8;
    const WRITE: u16 = 15;
    const CLONE: u16 = 16;
    for (number, attributes, fine) in [
        (3, vec![(PATH, &b"a/..b/c.."[..])], true),
        (3, vec![(PATH, b"../x")], false),
        (9, vec![(PATH, b"a"), (PATH_TO, b"b/../../c")], false),
        (LINK, vec![(PATH, b"a"), (PATH_LINK, b"../passwd")], false),
        (SYMLINK, vec![(PATH, b"a"), (PATH_LINK, b"../../passwd")], true),
        (CLONE, vec![(PATH, b"a"), (CLONE_PATH, b"..")], false),
        (WRITE, vec![(DATA, b"../x"), (PATH, b"../x")], false),
        (SUBVOLUME, vec![(PATH, b"x")], false),
        (SNAPSHOT, vec![(PATH, b"x")], false),
    ] {
        let (frame, attributes) = made(number, &attributes);
        assert_eq!(check(1, frame, &attributes).is_ok(), fine, "{number} {attributes:?}");
    }
    // From version 2 on data has no length, and what looks like an attribute in it is none.
    let (frame, mut attributes) = made(WRITE, &[(PATH, b"a")]);
    attributes.extend(DATA.to_le_bytes());
    attributes.extend(b"\x0f\0\x02\0..");
    assert!(check(2, frame, &attributes).is_ok());
    assert!(check(1, frame, &attributes).is_err());
}

#[test]
fn the_checksum_is_crc32c() {
    // The check value every description of CRC-32C gives, with the register inverted at both ends.
    let table = |crc: u32, byte: &u8| (crc >> 8) ^ CRC_OF_BYTE[((crc ^ u32::from(*byte)) & 0xff) as usize];
    assert_eq!(!b"123456789".iter().fold(!0, table), 0xe306_9283);
    let (frame, attributes) = command(&REAL[HEADER..]);
    assert!(frame.holds(attributes));
}
