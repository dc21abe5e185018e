//! Single files: written aside, synced, renamed. Directories: read as numbers or names. Nothing here
//! knows what a file means.

use std::ffi::{CString, OsStr};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::model::error::{At, Error, Result};

/// Text of a file that may be missing. Anything but a file is an error at once: in a profile the name
/// may have become a FIFO, which would be waited for, or a device without an end.
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match read_file(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at("read", path),
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(no_file());
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What stands where a file should: a FIFO, a directory, a link in a tree that is not ours.
pub fn no_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is not a file")
}

/// Itself, not what a link leads to.
pub fn is_regular(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_file())
}

/// The bytes of `root`/`inside` in a tree that is not ours; None where no regular file is, or a link is on
/// the way.
pub fn read_real(root: &Path, inside: &Path) -> Result<Option<Vec<u8>>> {
    let above = inside.parent().unwrap_or(Path::new(""));
    match is_real_directory(root, above) && is_regular(&root.join(inside)) {
        true => read_if_there(&root.join(inside)),
        false => Ok(None),
    }
}

/// First line of a one-line file, without its newline; empty when the file is missing.
pub fn read_line(path: &Path) -> Result<String> {
    let bytes = read_if_there(path)?.unwrap_or_default();
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).trim().to_owned())
}

/// Replaces a file whole: aside, fsync, rename, fsync of the directory. After it returns the new
/// text survives a power cut; before, the old one does.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let aside = beside(path, ".new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(&aside)
        .at("write", &aside)?;
    file.write_all(bytes).at("write", &aside)?;
    file.sync_all().at("sync", &aside)?;
    fs::rename(&aside, path).at("rename to", path)?; // the visible moment
    sync_parent(path)
}

/// Writes a file of something that nobody can reach yet, a new root or profile. Not durable: the sync
/// before its publication makes all of it so at once, where a sync of each file would cost a flush.
pub fn write_unpublished(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).at("write", path)
}

/// `dir/name` -> `dir/.name<suffix>`
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or(OsStr::new("file")));
    name.push(suffix);
    path.with_file_name(name)
}

/// `dir/name` -> `dir/name<suffix>`
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A fresh directory on this machine's /run that only root can look into.
pub fn private_directory(name: &str) -> Result<PathBuf> {
    let dir = Path::new("/run").join(format!("{name}.{}", std::process::id()));
    remove_tree(&dir)?; // of a process that had this number
    std::os::unix::fs::DirBuilderExt::mode(&mut fs::DirBuilder::new(), 0o700)
        .create(&dir)
        .at("make", &dir)?;
    Ok(dir)
}

/// Makes a rename or a new name in the directory of `path` durable.
pub fn sync_parent(path: &Path) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    File::open(dir).and_then(|d| d.sync_all()).at("sync", dir)
}

/// Everything written to the file system of `path` so far is durable afterwards (syncfs(2)).
pub fn sync_file_system(path: &Path) -> Result<()> {
    let file = File::open(path).at("open", path)?;
    let done = unsafe { nix::libc::syncfs(file.as_raw_fd()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()).at("sync", path) }
}

/// Makes `link` point to `target` with one rename. The rename is durable when this returns.
pub fn replace_symlink(target: &str, link: &Path) -> Result<()> {
    let aside = beside(link, ".new");
    remove_if_there(&aside)?;
    std::os::unix::fs::symlink(target, &aside).at("make", &aside)?;
    fs::rename(&aside, link).at("rename to", link)?; // the visible moment
    sync_parent(link)
}

pub fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at("remove", path),
        _ => Ok(()),
    }
}

/// Removes a tree of ordinary files; missing is fine.
pub fn remove_tree(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).at("look at", path),
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path).at("remove", path),
        Ok(_) => fs::remove_file(path).at("remove", path),
    }
}

/// Like [`remove_tree`], also where chattr(1) forbids it: for what has its copy elsewhere, or was never seen.
pub fn remove_tree_for_good(path: &Path) -> Result<()> {
    match remove_tree(path) {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
            let _ = allow_removal(path); // where it fails, the removal says why
            remove_tree(path)
        }
        other => other,
    }
}

/// Takes the flags `i` and `a` from a file, or from a directory and all below it.
pub fn allow_removal(path: &Path) -> Result<()> {
    let meta = fs::symlink_metadata(path).at("look at", path)?;
    if !meta.is_dir() && !meta.is_file() {
        return Ok(()); // neither links nor devices can have them
    }
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).at("open", path)?;
    const FORBIDS: nix::libc::c_long = 0x10 | 0x20; // linux/fs.h: FS_IMMUTABLE_FL, FS_APPEND_FL
    let mut set: nix::libc::c_long = 0;
    unsafe { flags_of(file.as_raw_fd(), &raw mut set) }.at("read the flags of", path)?;
    if set & FORBIDS != 0 {
        set &= !FORBIDS;
        unsafe { set_flags_of(file.as_raw_fd(), &raw const set) }.at("change the flags of", path)?;
    }
    match meta.is_dir() {
        true => names(path)?.iter().try_for_each(|name| allow_removal(&path.join(name))),
        false => Ok(()),
    }
}

// FS_IOC_GETFLAGS and FS_IOC_SETFLAGS; the kernel reads and writes an int of it.
nix::ioctl_read!(flags_of, b'f', 1, nix::libc::c_long);
nix::ioctl_write_ptr!(set_flags_of, b'f', 2, nix::libc::c_long);

/// Makes a directory with exactly this mode, whatever the umask; there already is fine.
pub fn make_dir(path: &Path, mode: u32) -> Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        other => other.at("make", path)?,
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).at("set the mode of", path)
}

/// The names in a directory, as bytes, unsorted; a missing directory has none.
pub fn names(dir: &Path) -> Result<Vec<std::ffi::OsString>> {
    let list = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.at("list", dir)?,
    };
    list.map(|item| item.map(|i| i.file_name()).at("list", dir)).collect()
}

/// Is `root`/`inside` a directory, with no symbolic link on the way? A link in a tree that is not
/// ours may be absolute, and then leads to files of this machine.
pub fn is_real_directory(root: &Path, inside: &Path) -> bool {
    let mut path = root.to_path_buf();
    inside.components().all(|part| {
        path.push(part);
        fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir())
    })
}

/// A directory to mount on in a tree that is not ours, made when it is missing. A link on the way is
/// refused: it would be followed to a directory of this machine.
pub fn mount_point(root: &Path, inside: impl AsRef<Path>) -> Result<PathBuf> {
    let mut path = root.to_path_buf();
    for part in inside.as_ref().components() {
        path.push(part);
        match path.symlink_metadata() {
            Ok(meta) if meta.is_dir() => {}
            // Before anything is made below it: that would be made on this machine.
            Ok(_) => {
                let why = "nothing can be mounted at or below it: it is a link or a file".into();
                return Err(Error::Damaged { what: path, why });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(&path).at("make", &path)?;
            }
            Err(error) => return Err(error).at("look at", &path),
        }
    }
    Ok(path)
}

/// `st_dev:st_ino`, the identity a booted file names.
pub fn identity(path: &Path) -> Result<String> {
    let meta = fs::metadata(path).at("look at", path)?;
    Ok(format!("{}:{}", meta.dev(), meta.ino()))
}

/// Is it gone, or a character device 0:0 (overlayfs's whiteout)?
pub fn is_whiteout(meta: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    meta.file_type().is_char_device() && meta.rdev() == 0
}

/// Owner, mode, times and extended attributes of `from` onto `to`, which exists. Overlay's own
/// attributes (`trusted.overlay.*`) belong to the upper they lie in and are not copied.
pub fn copy_attributes(from: &Path, to: &Path) -> Result<()> {
    let meta = fs::symlink_metadata(from).at("look at", from)?;
    std::os::unix::fs::lchown(to, Some(meta.uid()), Some(meta.gid())).at("change the owner of", to)?;
    for name in xattr::list(from).at("read attributes of", from)? {
        if name.as_bytes().starts_with(b"trusted.overlay.") {
            continue;
        }
        if let Some(value) = xattr::get(from, &name).at("read attributes of", from)? {
            xattr::set(to, &name, &value).at("write attributes of", to)?;
        }
    }
    if !meta.file_type().is_symlink() {
        fs::set_permissions(to, fs::Permissions::from_mode(meta.mode() & 0o7777))
            .at("set the mode of", to)?;
    }
    copy_times(&meta, to)
}

/// Access and modification time, to the nanosecond, also of a symlink.
pub fn copy_times(meta: &fs::Metadata, to: &Path) -> Result<()> {
    let path = CString::new(to.as_os_str().as_bytes()).map_err(|_| invalid()).at("name", to)?;
    let spec = |s: i64, n: i64| nix::libc::timespec { tv_sec: s, tv_nsec: n };
    let times = [spec(meta.atime(), meta.atime_nsec()), spec(meta.mtime(), meta.mtime_nsec())];
    let flags = nix::libc::AT_SYMLINK_NOFOLLOW;
    let done = unsafe { nix::libc::utimensat(nix::libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), flags) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()).at("set the times of", to) }
}

/// Changes a name in a directory without leaving a trace in the directory's times: what `run` lends
/// and takes back must not show in the profile.
pub fn keeping_times(dir: &Path, change: impl FnOnce() -> Result<()>) -> Result<()> {
    let before = fs::symlink_metadata(dir).at("look at", dir)?;
    change()?;
    copy_times(&before, dir)
}

fn invalid() -> io::Error {
    io::Error::from(io::ErrorKind::InvalidInput)
}
