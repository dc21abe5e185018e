//! Have two files the same content? Mostly this is known without reading: files that share their
//! extents are equal, files of different size are not, and small ones lie in their items. Only what was
//! written again at the same size is read, up to the first difference.

use std::io::{self, Read};
use std::path::Path;

use super::items;
use super::side::{Node, Seen, Side};
use crate::model::difference::NodeKind;
use crate::model::error::{At, Error, Result};

type One<'a> = (&'a Side, &'a Path, Node, &'a Seen);

pub fn differ(a: One, b: One, kind: NodeKind) -> Result<bool> {
    let (was, is) = (a.3, b.3);
    match kind {
        NodeKind::CharacterDevice | NodeKind::BlockDevice => return Ok(was.device != is.device),
        NodeKind::Directory | NodeKind::Fifo | NodeKind::Socket => return Ok(false),
        NodeKind::File | NodeKind::Link if was.size != is.size => return Ok(true),
        NodeKind::File | NodeKind::Link => {}
    }
    if was.size == 0 {
        return Ok(false);
    }
    if let (Some(was), Some(is)) = (&was.extents, &is.extents) {
        if was == is {
            return Ok(false);
        }
        if let ([(0, was)], [(0, is)]) = (&was[..], &is[..]) {
            if let (Some(was), Some(is)) = (items::inline(was), items::inline(is)) {
                return Ok(was != is);
            }
        }
    }
    let opened = |one: One| one.0.open_bytes(one.2, one.1, kind);
    match (opened(a), opened(b)) {
        (Ok(mut was), Ok(mut is)) => streams_differ(&mut *was, &mut *is).at("read", b.1),
        // In a root in use it may have gone since.
        (_, Err(Error::Io { source, .. })) if source.kind() == io::ErrorKind::NotFound => Ok(true),
        (Err(Error::Io { source, .. }), _) if source.kind() == io::ErrorKind::NotFound => Ok(true),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

fn streams_differ(a: &mut dyn Read, b: &mut dyn Read) -> io::Result<bool> {
    const PIECE: usize = 64 << 10;
    let (mut from_a, mut from_b) = (Vec::new(), Vec::new());
    loop {
        from_a.clear();
        from_b.clear();
        a.take(PIECE as u64).read_to_end(&mut from_a)?;
        b.take(PIECE as u64).read_to_end(&mut from_b)?;
        if from_a != from_b {
            return Ok(true);
        }
        if from_a.len() < PIECE {
            return Ok(false);
        }
    }
}
