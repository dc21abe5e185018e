use std::io::Cursor;

use super::*;

/// A file of segments only, as the linker sees one: header, PT_LOAD over all, PT_INTERP, PT_DYNAMIC.
fn made(bits: u8, big: bool, dynamic: &[(u64, u64)], strings: &[u8]) -> Vec<u8> {
    let wide = bits == 64;
    let number = |value: u64, size: usize| -> Vec<u8> {
        let bytes = value.to_le_bytes()[..size].to_vec();
        if big { bytes.into_iter().rev().collect() } else { bytes }
    };
    let word = |value: u64| number(value, if wide { 8 } else { 4 });
    let (header, entry) = if wide { (64, 56) } else { (52, 32) };
    let interpreter = b"/lib/ld.so\0";
    let at_interpreter = header + 3 * entry;
    let at_strings = at_interpreter + interpreter.len() as u64;
    let at_dynamic = at_strings + strings.len() as u64;
    // Loaded 0x1000 above where it lies, so that an address is no offset.
    let address = |at: u64| at + 0x1000;
    let dynamic: Vec<u8> = dynamic
        .iter()
        .map(|(tag, value)| (*tag, if *tag == DT_STRTAB as u64 { address(at_strings) } else { *value }))
        .flat_map(|(tag, value)| [word(tag), word(value)].concat())
        .collect();
    let end = at_dynamic + dynamic.len() as u64;
    let segment = |kind: u32, at: u64, size: u64| match wide {
        true => [
            number(kind.into(), 4),
            number(4, 4),
            word(at),
            word(address(at)),
            word(0),
            word(size),
            word(size),
            word(8),
        ]
        .concat(),
        false => [
            word(kind.into()),
            word(at),
            word(address(at)),
            word(0),
            word(size),
            word(size),
            word(4),
            word(4),
        ]
        .concat(),
    };
    let ident = [0x7f, b'E', b'L', b'F', if wide { 2 } else { 1 }, if big { 2 } else { 1 }, 1];
    let mut out = [&ident[..], &[0; 9]].concat();
    out.extend(
        [number(3, 2), number(183, 2), number(1, 4), word(0), word(header), word(0), number(0, 4)].concat(),
    );
    out.extend([header, entry, 3, 0, 0, 0].iter().flat_map(|value| number(*value, 2)));
    for (kind, at, size) in [
        (PT_LOAD, 0, end),
        (PT_INTERP, at_interpreter, interpreter.len() as u64),
        (PT_DYNAMIC, at_dynamic, dynamic.len() as u64),
    ] {
        out.extend(segment(kind, at, size));
    }
    [&out[..], interpreter, strings, &dynamic].concat()
}

const STRINGS: &[u8] = b"\0libc.so.6\0libm.so.6\0me.so.1\0$ORIGIN/..\0";
const DYNAMIC: [(u64, u64); 9] =
    [(1, 1), (1, 11), (14, 21), (29, 29), (15, 30), (5, 0), (10, 41), (0, 0), (1, 1)];

fn reading(bytes: &[u8]) -> Reading {
    read_from(&mut Cursor::new(bytes)).expect("memory has no errors")
}

#[test]
fn every_class_and_order_is_read() {
    for (bits, big_endian) in [(32, false), (32, true), (64, false), (64, true)] {
        let wanted = Elf {
            abi: Abi { bits, big_endian, machine: 183 },
            interpreter: Some(b"/lib/ld.so".to_vec()),
            soname: Some(b"me.so.1".to_vec()),
            needed: vec![b"libc.so.6".to_vec(), b"libm.so.6".to_vec()],
            rpath: Some(b"ORIGIN/..".to_vec()),
            runpath: Some(b"$ORIGIN/..".to_vec()),
        };
        let bytes = made(bits, big_endian, &DYNAMIC, STRINGS);
        assert_eq!(reading(&bytes), Reading::Elf(wanted), "{bits} bits, big-endian {big_endian}");
        // The end of the file is its dynamic section.
        assert!(matches!(reading(&bytes[..bytes.len() - 1]), Reading::Broken(_)));
    }
}

#[test]
fn what_is_broken_is_said_to_be() {
    let with = |at: usize, entry: (u64, u64)| {
        let mut dynamic = DYNAMIC;
        dynamic[at] = entry;
        reading(&made(64, false, &dynamic, STRINGS))
    };
    for (found, why) in [
        (with(7, (99, 0)), "no end"),
        (with(0, (1, 41)), "behind its strings"),
        (with(0, (1, u64::MAX)), "behind its strings"),
        (with(5, (99, 0)), "nowhere in the file"),
        (reading(b"\x7fELF"), "the header is cut"),
        (reading(b"\x7fELF\x02\x01\x01"), "the header is cut"),
        (reading(b"\x7fELF\x09\x01\x01\0\0\0\0\0\0\0\0\0"), "Class: 9"),
    ] {
        assert!(matches!(&found, Reading::Broken(said) if said.contains(why)), "{found:?}: {why}");
    }
    // A length that is too large hides nothing: each string has an end of its own.
    assert!(matches!(with(6, (10, u64::MAX)), Reading::Elf(_)));
    for other in [&b""[..], b"\x7fEL", b"#!/bin/sh\n", b"!<arch>\n"] {
        assert_eq!(reading(other), Reading::Other);
    }
}

#[test]
fn a_file_without_a_dynamic_section_needs_nothing() {
    let mut bytes = made(64, false, &DYNAMIC, STRINGS);
    bytes[56] = 0;
    let Reading::Elf(found) = reading(&bytes) else { panic!("it is one") };
    assert_eq!((found.needed.len(), found.interpreter), (0, None));
}

#[test]
fn a_link_a_directory_and_a_script() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("program"), made(64, false, &DYNAMIC, STRINGS)).unwrap();
    std::fs::write(at("script"), "#!/bin/sh\n").unwrap();
    std::os::unix::fs::symlink("program", at("link")).unwrap();
    assert!(matches!(read(&at("program")), Ok(Reading::Elf(_))));
    assert_eq!(read(&at("script")).unwrap(), Reading::Other);
    for none in ["link", "missing", "."] {
        assert!(read(&at(none)).is_err(), "{none}");
    }
}
