//! What stands at a path, looked at once: the same look for a base that is imported and for an upper that
//! is compared with it.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use md5::Md5;
use sha2::digest::Output;
use sha2::{Digest, Sha256};

use crate::model::difference::NodeKind;
use crate::model::error::{At, Result};
use crate::model::tree::{Object, Xattrs};

/// All but the hash of a file. `xattrs` are handed in, because an upper's say more than belongs here.
pub fn look(path: &Path, meta: &fs::Metadata, xattrs: Xattrs) -> Result<Object> {
    let kind = kind(meta);
    let target = match kind {
        NodeKind::Link => {
            Some(fs::read_link(path).at("read", path)?.as_os_str().as_bytes().to_vec().into_boxed_slice())
        }
        _ => None,
    };
    Ok(Object {
        kind,
        mode: (meta.mode() & 0o7777) as u16,
        uid: meta.uid(),
        gid: meta.gid(),
        size: (kind == NodeKind::File).then_some(meta.len()),
        sha256: None,
        target,
        device: if matches!(kind, NodeKind::CharacterDevice | NodeKind::BlockDevice) {
            meta.rdev()
        } else {
            0
        },
        xattrs: Some(xattrs),
        linked: (kind == NodeKind::File && meta.nlink() > 1).then(|| meta.ino()),
    })
}

pub fn kind(meta: &fs::Metadata) -> NodeKind {
    let kind = meta.file_type();
    match () {
        _ if kind.is_dir() => NodeKind::Directory,
        _ if kind.is_symlink() => NodeKind::Link,
        _ if kind.is_file() => NodeKind::File,
        _ if kind.is_char_device() => NodeKind::CharacterDevice,
        _ if kind.is_block_device() => NodeKind::BlockDevice,
        _ if kind.is_fifo() => NodeKind::Fifo,
        _ => NodeKind::Socket,
    }
}

/// Every extended attribute of a path, overlayfs's own too; of a link itself, not of what it names.
pub fn xattrs(path: &Path) -> Result<Xattrs> {
    let names = xattr::list(path).at("read the attributes of", path)?;
    let mut found = Xattrs::new();
    for name in names {
        if let Some(value) = xattr::get(path, &name).at("read the attributes of", path)? {
            found.insert(name.as_bytes().to_vec(), value);
        }
    }
    Ok(found)
}

pub fn sha256(path: &Path) -> Result<[u8; 32]> {
    digest::<Sha256>(path).map(Into::into)
}

/// As dpkg writes it: 32 hexadecimal digits.
pub fn md5(path: &Path) -> Result<String> {
    Ok(digest::<Md5>(path)?.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn digest<D: Digest>(path: &Path) -> Result<Output<D>> {
    // Of a tree in use, the file may have become a FIFO, which would be waited for.
    let mut file =
        File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path).at("open", path)?;
    let mut hash = D::new();
    let mut block = vec![0u8; 1 << 17];
    loop {
        match file.read(&mut block).at("read", path)? {
            0 => break,
            n => hash.update(&block[..n]),
        }
    }
    Ok(hash.finalize())
}
