//! A base as a send stream, for other pools. `btrfs send` names the subvolume as it is called here, and
//! what is received must be called [`NAME`]: its first command is written anew, and nothing else. (A snapshot
//! of that name would have another UUID, and no delta would find its parent.)

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::model::error::{At, Error, Result};
use crate::model::send_stream::{self, FRAME, Frame, HEADER, LONGEST_COMMAND, NAME};

use super::files;

const ROOM: usize = 1 << 20;

/// Where a stream goes.
pub enum Target {
    /// `-`
    StandardOutput,
    /// Made aside, and there only when it is whole.
    File(PathBuf),
    /// A device, a pipe or what a link leads to: nothing may take its place.
    Through(PathBuf),
}

impl Target {
    pub fn named(path: &Path) -> Result<Target> {
        if path == Path::new("-") {
            return Ok(Target::StandardOutput);
        }
        match path.symlink_metadata() {
            Ok(meta) if meta.is_dir() => {
                let why = "it is a directory: name a file".to_owned();
                Err(Error::NotWritable { path: path.to_path_buf(), why })
            }
            Ok(meta) if !meta.is_file() => Ok(Target::Through(path.to_path_buf())),
            _ => Ok(Target::File(path.to_path_buf())),
        }
    }

    /// A file of somebody's would go.
    pub fn replaces(&self) -> bool {
        matches!(self, Target::File(path) | Target::Through(path) if path.is_file())
    }

    fn is_packed(&self) -> bool {
        match self {
            Target::StandardOutput => false,
            Target::File(path) | Target::Through(path) => {
                path.extension().is_some_and(|ending| ending == "zst")
            }
        }
    }

    /// With the name it has for now.
    fn open(&self) -> Result<(File, PathBuf)> {
        let at = match self {
            Target::StandardOutput => {
                let out = io::stdout().as_fd().try_clone_to_owned().at("open", "standard output")?;
                return Ok((out.into(), "standard output".into()));
            }
            Target::File(path) => files::beside(path, ".new"),
            Target::Through(path) => path.clone(),
        };
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&at).at("write", &at)?;
        Ok((file, at))
    }
}

/// Writes the stream of a base, whole or as a delta to another one. How many bytes the file has then; None
/// where it is no file of ours.
pub fn send(base: &Path, parent: Option<&Path>, target: &Target) -> Result<Option<u64>> {
    let (mut file, at) = target.open()?;
    let sent = if target.is_packed() {
        send_packed(base, parent, &file, &at)
    } else {
        send_into(base, parent, &mut file, &at)
    };
    let Target::File(path) = target else { return sent.map(|()| None) };
    let finished = sent.and_then(|()| {
        file.sync_all().at("sync", &at)?;
        let length = file.metadata().at("look at", &at)?.len();
        fs::rename(&at, path).at("rename to", path)?; // the visible moment
        files::sync_parent(path)?;
        Ok(Some(length))
    });
    if finished.is_err() {
        files::remove_if_there(&at)?;
    }
    finished
}

fn send_packed(base: &Path, parent: Option<&Path>, file: &File, at: &Path) -> Result<()> {
    let out = file.try_clone().at("open", at)?;
    let mut zstd = Command::new("zstd");
    zstd.args(["--stdout", "--quiet", "--threads=0"]).stdin(Stdio::piped()).stdout(out);
    let mut child = zstd.stderr(Stdio::piped()).spawn().at("run zstd for", at)?;
    let sent = match child.stdin.take() {
        Some(mut to) => send_into::<ChildStdin>(base, parent, &mut to, at),
        None => Err(Error::Child { program: "zstd".into(), why: "it has no pipe".into() }),
    };
    let ended = child.wait_with_output().at("run zstd for", at)?;
    let said = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
    match (sent, ended.status.success()) {
        // Its own words first: we only see that nobody reads any more.
        (_, false) if !said.is_empty() => Err(Error::Child { program: "zstd".into(), why: said }),
        (sent, _) => sent,
    }
}

fn send_into<To: Write>(base: &Path, parent: Option<&Path>, to: &mut To, at: &Path) -> Result<()> {
    let mut command = Command::new("btrfs");
    command.args(["send", "--quiet"]).env("LC_ALL", "C").stdin(Stdio::null());
    if let Some(parent) = parent {
        command.arg("-p").arg(parent);
    }
    command.arg(base).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().at("run btrfs for", base)?;
    let handed_on = hand_on(&mut child, to, at);
    if handed_on.is_err() {
        let _ = child.kill();
    }
    let ended = child.wait_with_output().at("run btrfs for", base)?;
    let said = String::from_utf8_lossy(&ended.stderr);
    let why = said.lines().find_map(|line| line.strip_prefix("ERROR: ")).map(str::to_owned);
    match (handed_on, ended.status.success()) {
        (Err(_), _) if why.is_some() => Err(failed(why.unwrap_or_default())),
        (Err(error), _) => Err(error),
        (Ok(()), true) => Ok(()),
        (Ok(()), false) => Err(failed(why.unwrap_or_else(|| "it failed without a word".to_owned()))),
    }
}

fn failed(why: String) -> Error {
    Error::Child { program: "btrfs send".into(), why }
}

fn hand_on(child: &mut Child, to: &mut impl Write, at: &Path) -> Result<()> {
    let out = child.stdout.take().ok_or_else(|| failed("it has no pipe".to_owned()))?;
    let mut from = BufReader::with_capacity(ROOM, out);
    let mut read = |length: usize| -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        from.read_exact(&mut bytes).map_err(|_| failed("it made no stream".to_owned()))?;
        Ok(bytes)
    };
    let header = read(HEADER)?;
    send_stream::version(&header).map_err(failed)?;
    let frame: [u8; FRAME] = read(FRAME)?.try_into().map_err(|_| failed("it made no stream".to_owned()))?;
    let frame = Frame::parse(&frame);
    let attributes = read(frame.length.min(LONGEST_COMMAND))?;
    send_stream::first(frame, &attributes).map_err(failed)?;
    let first = send_stream::renamed(frame, &attributes, NAME).map_err(failed)?;
    to.write_all(&header).and_then(|()| to.write_all(&first)).at("write", at)?;
    io::copy(&mut from, to).at("write", at)?;
    Ok(())
}
