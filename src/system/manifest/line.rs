//! One line of a manifest. Names and texts are bytes: what is no UTF-8 is an array of numbers.
//!
//! ```text
//! {"p":"usr/bin/dpkg","t":"f","m":33261,"u":0,"g":0,"z":318176,"h":"9f86d0..."}
//! {"p":"usr/bin/ping","t":"f","m":33261,"u":0,"g":0,"z":90568,"h":"...","x":{"security.capability":"0100..."}}
//! {"p":"bin","t":"l","m":41471,"u":0,"g":0,"l":"usr/bin"}
//! {"text":"etc/hostname","s":"device\n"}
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::difference::NodeKind;
use crate::model::tree::{Object, Xattrs};

const DIRECTORY_BITS: u32 = 0o040000;
const FILE_BITS: u32 = 0o100000;
const LINK_BITS: u32 = 0o120000;

/// The path comes first, so that it can be found without reading the rest.
#[derive(Default, Serialize, Deserialize)]
pub struct PathLine<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    p: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pb: Option<Vec<u8>>,
    t: char,
    /// st_mode: the type too.
    m: u32,
    u: u32,
    g: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    z: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    h: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    l: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lb: Option<Vec<u8>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r: Option<u64>,
    /// Extended attributes, their values in hexadecimal digits; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<BTreeMap<String, String>>,
    /// The inode number of a file with several names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    i: Option<u64>,
}

#[derive(Serialize, Deserialize)]
pub struct TextLine<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    textb: Option<Vec<u8>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    s: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sb: Option<Vec<u8>>,
}

/// The path a line is about, without reading more of it than that where it can be done.
pub fn path_of(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    let rest = line.strip_prefix(b"{\"p\":\"").or_else(|| line.strip_prefix(b"{\"text\":\""));
    if let Some(rest) = rest {
        let end = rest.iter().position(|b| matches!(b, b'"' | b'\\'))?;
        if rest[end] == b'"' {
            return Some(Cow::Borrowed(&rest[..end]));
        }
    }
    #[derive(Deserialize)]
    struct Either<'a> {
        #[serde(borrow, alias = "text")]
        p: Option<Cow<'a, str>>,
        #[serde(alias = "textb")]
        pb: Option<Vec<u8>>,
    }
    let read: Either = serde_json::from_slice(line).ok()?;
    bytes_of(read.p, read.pb)
}

/// None: not a line about a path.
pub fn object_of(line: &[u8]) -> Option<Object> {
    let line: PathLine = serde_json::from_slice(line).ok()?;
    let kind = match line.t {
        'd' => NodeKind::Directory,
        'l' => NodeKind::Link,
        'f' => NodeKind::File,
        'c' => NodeKind::CharacterDevice,
        'b' => NodeKind::BlockDevice,
        'p' => NodeKind::Fifo,
        's' => NodeKind::Socket,
        _ => return None,
    };
    let sha256 = match &line.h {
        Some(text) => Some(<[u8; 32]>::try_from(from_hex(text)?).ok()?),
        None => None,
    };
    let pairs = line.x.unwrap_or_default().into_iter();
    let xattrs = pairs.map(|(name, value)| Some((name.into_bytes(), from_hex(&value)?)));
    Some(Object {
        kind,
        mode: (line.m & 0o7777) as u16,
        uid: line.u,
        gid: line.g,
        size: line.z,
        sha256,
        target: bytes_of(line.l, line.lb).map(|target| target.into_owned().into_boxed_slice()),
        device: line.r.unwrap_or(0),
        xattrs: Some(xattrs.collect::<Option<Xattrs>>()?),
        linked: line.i,
    })
}

pub fn write_object(path: &[u8], object: &Object) -> Vec<u8> {
    let (p, pb) = text_or_bytes(path);
    let (l, lb) = object.target.as_deref().map_or((None, None), text_or_bytes);
    let (t, bits) = match object.kind {
        NodeKind::Directory => ('d', DIRECTORY_BITS),
        NodeKind::Link => ('l', LINK_BITS),
        NodeKind::File => ('f', FILE_BITS),
        NodeKind::CharacterDevice => ('c', 0o020000),
        NodeKind::BlockDevice => ('b', 0o060000),
        NodeKind::Fifo => ('p', 0o010000),
        NodeKind::Socket => ('s', 0o140000),
    };
    let device = matches!(object.kind, NodeKind::CharacterDevice | NodeKind::BlockDevice);
    let xattrs = object.xattrs.as_ref().filter(|xattrs| !xattrs.is_empty());
    let named =
        |(name, value): (&Vec<u8>, &Vec<u8>)| (String::from_utf8_lossy(name).into_owned(), hex(value));
    let line = PathLine {
        p,
        pb,
        t,
        m: bits | u32::from(object.mode),
        u: object.uid,
        g: object.gid,
        z: object.size,
        h: object.sha256.as_ref().map(|hash| hex(hash).into()),
        l,
        lb,
        r: device.then_some(object.device),
        x: xattrs.map(|xattrs| xattrs.iter().map(named).collect()),
        i: object.linked,
    };
    serde_json::to_vec(&line).unwrap_or_default()
}

/// The text of a line; None: not a line with a text.
pub fn text_of(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    let line: TextLine = serde_json::from_slice(line).ok()?;
    bytes_of(line.s, line.sb)
}

pub fn write_text(path: &[u8], content: &[u8]) -> Vec<u8> {
    let ((text, textb), (s, sb)) = (text_or_bytes(path), text_or_bytes(content));
    serde_json::to_vec(&TextLine { text, textb, s, sb }).unwrap_or_default()
}

fn bytes_of<'a>(text: Option<Cow<'a, str>>, bytes: Option<Vec<u8>>) -> Option<Cow<'a, [u8]>> {
    match (text, bytes) {
        (Some(Cow::Borrowed(text)), _) => Some(Cow::Borrowed(text.as_bytes())),
        (Some(Cow::Owned(text)), _) => Some(Cow::Owned(text.into_bytes())),
        (None, bytes) => bytes.map(Cow::Owned),
    }
}

fn text_or_bytes(value: &[u8]) -> (Option<Cow<'_, str>>, Option<Vec<u8>>) {
    match std::str::from_utf8(value) {
        Ok(text) => (Some(Cow::Borrowed(text)), None),
        Err(_) => (None, Some(value.to_vec())),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|value| value as u8);
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Object {
        Object {
            kind: NodeKind::File,
            mode: 0o4755,
            uid: 1,
            gid: 2,
            size: Some(3),
            sha256: Some([0xa5; 32]),
            target: None,
            device: 0,
            xattrs: Some(Xattrs::from([(b"security.capability".to_vec(), vec![1, 0xff])])),
            linked: Some(9),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let none = Some(Xattrs::new());
        let link =
            Object { kind: NodeKind::Link, size: None, sha256: None, linked: None, xattrs: none, ..file() };
        let to = |target: &[u8]| Object { target: Some(target.into()), ..link.clone() };
        let device = Object { kind: NodeKind::CharacterDevice, device: 0x501, ..link.clone() };
        for (path, object) in [
            (&b"usr/bin/x"[..], file()),
            (b"a \"quoted\\ name\n", to(b"../there")),
            (b"no\xffutf8", to(b"\xfe")),
            (b"dev/x", device),
            ("gr\u{fc}n".as_bytes(), Object { kind: NodeKind::Directory, ..link.clone() }),
        ] {
            let line = write_object(path, &object);
            assert_eq!(path_of(&line).as_deref(), Some(path));
            assert_eq!(object_of(&line), Some(object));
            assert!(!line.contains(&b'\n'));
        }
        for text in [&b"x\ny\n"[..], b"", b"\xff"] {
            let line = write_text(b"etc/x", text);
            assert_eq!(text_of(&line).as_deref(), Some(text));
            assert_eq!(path_of(&line).as_deref(), Some(&b"etc/x"[..]));
        }
    }

    #[test]
    fn a_line_of_an_older_program_is_read_too() {
        let line = br#"{"g":0,"h":"00","m":33261,"p":"usr/bin/x","t":"f","u":0}"#;
        assert_eq!(path_of(line).as_deref(), Some(&b"usr/bin/x"[..]));
        assert_eq!(object_of(line), None, "a hash that is none");
        let line = br#"{"g":5,"l":"usr/bin","m":41471,"p":"bin","t":"l","u":0}"#;
        let object = object_of(line).unwrap();
        assert_eq!((object.gid, object.target.as_deref(), object.size), (5, Some(&b"usr/bin"[..]), None));
        assert_eq!(path_of(b"{\"manifest\":1}"), None);
        assert_eq!(path_of(b"nonsense"), None);
    }
}
