//! A send stream that comes in: from a file or standard input, unpacked where it is compressed. Its first
//! command is read before anything is made of it; the rest is handed on command by command, each looked at,
//! and the last one only when it is sure that the stream is whole.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::{FcntlArg, fcntl};

use crate::model::error::{At, Error, Result};
use crate::model::send_stream::{self, FRAME, First, Frame, HEADER, LONGEST_COMMAND};

/// Enough to tell a tarball by.
const HEAD: usize = 512;
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
/// Of pipes and buffers: in a pipe of 64 KiB there is room for one write of a stream.
const ROOM: usize = 1 << 20;

pub struct Stream {
    /// For people.
    pub path: PathBuf,
    pub first: First,
    /// In bytes, as it lies in its file; None: nobody can say.
    pub length: Option<u64>,
    version: u32,
    /// Header and first command, as they came.
    beginning: Vec<u8>,
    from: BufReader<Box<dyn Read>>,
    /// Bytes taken from the file so far.
    taken: Arc<AtomicU64>,
    unpack: Option<Child>,
}

/// Whoever was handed the stream took all of it, or stopped and says itself why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poured {
    Whole,
    Stopped,
}

impl Stream {
    /// `-` is standard input. What is no stream is refused.
    pub fn open(path: &Path) -> Result<Stream> {
        let (file, path, length) = source(path)?;
        let taken = Arc::new(AtomicU64::new(0));
        let mut counted = Counted { from: file, taken: taken.clone() };
        let head = take(&mut counted, ZSTD.len()).at("read", &path)?;
        let is_packed = head == ZSTD;
        let whole = io::Cursor::new(head).chain(counted);
        let (from, unpack): (Box<dyn Read>, _) = match is_packed {
            true => unpack(whole, &path).map(|(out, child)| (out, Some(child)))?,
            false => (Box::new(whole), None),
        };
        let from = BufReader::with_capacity(ROOM, from);
        let first = First { name: Vec::new(), uuid: [0; 16], parent: None };
        let mut stream =
            Stream { path, first, length, version: 0, beginning: Vec::new(), from, taken, unpack };
        stream.begin()?;
        Ok(stream)
    }

    fn begin(&mut self) -> Result<()> {
        let mut beginning = take(&mut self.from, HEADER).at("read", &self.path)?;
        self.version = match send_stream::version(&beginning) {
            Ok(version) => version,
            Err(_) => {
                beginning.extend(take(&mut self.from, HEAD - HEADER).at("read", &self.path)?);
                let why = send_stream::version(&beginning).err().unwrap_or_default();
                let why = self.unpacking_failed().unwrap_or(why);
                return Err(self.refused(why));
            }
        };
        let mut attributes = Vec::new();
        let torn = || "it ends in its first command".to_owned();
        let (bytes, frame) = match self.frame()? {
            Some((bytes, frame)) if frame.length <= LONGEST_COMMAND => (bytes, frame),
            Some(_) => return Err(self.refused("its first command is longer than any".to_owned())),
            None => return Err(self.refused(torn())),
        };
        if !self.attributes(frame, &mut attributes)? {
            return Err(self.refused(torn()));
        }
        self.first = send_stream::first(frame, &attributes).map_err(|why| self.refused(why))?;
        self.beginning = [&beginning[..], &bytes, &attributes].concat();
        Ok(())
    }

    /// Hands the stream on. `progress` is told how many bytes of the file were read.
    pub fn pour(&mut self, to: impl Write + AsFd, mut progress: impl FnMut(u64)) -> Result<Poured> {
        let _ = fcntl(&to, FcntlArg::F_SETPIPE_SZ(ROOM as i32)); // a smaller one is slower, nothing else
        let mut to = BufWriter::with_capacity(ROOM / 4, to);
        if to.write_all(&self.beginning).is_err() {
            return Ok(Poured::Stopped);
        }
        let mut attributes = Vec::new();
        loop {
            let Some((bytes, frame)) = self.frame()? else { return Err(self.ended_early()) };
            if frame.length > LONGEST_COMMAND {
                return Err(self.broken("it has a command that is longer than any".to_owned()));
            }
            if !self.attributes(frame, &mut attributes)? {
                return Err(self.ended_early());
            }
            if let Err(why) = send_stream::check(self.version, frame, &attributes) {
                return Err(if frame.holds(&attributes) { self.refused(why) } else { self.broken(why) });
            }
            if frame.is_end() {
                self.need_end()?;
            }
            let written = to.write_all(&bytes).and_then(|()| to.write_all(&attributes));
            let flushed = if frame.is_end() { written.and_then(|()| to.flush()) } else { written };
            progress(self.taken.load(Ordering::Relaxed));
            match (flushed, frame.is_end()) {
                (Err(_), _) => return Ok(Poured::Stopped),
                (Ok(()), true) => return Ok(Poured::Whole),
                (Ok(()), false) => {}
            }
        }
    }

    /// None: the stream ends here, or in it.
    fn frame(&mut self) -> Result<Option<([u8; FRAME], Frame)>> {
        let bytes = take(&mut self.from, FRAME).at("read", &self.path)?;
        Ok(<[u8; FRAME]>::try_from(bytes).ok().map(|bytes| (bytes, Frame::parse(&bytes))))
    }

    /// False: the stream ends in them.
    fn attributes(&mut self, frame: Frame, into: &mut Vec<u8>) -> Result<bool> {
        into.resize(frame.length, 0);
        match self.from.read_exact(into) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            read => read.at("read", &self.path).map(|()| true),
        }
    }

    /// After its last command nothing may follow, and what unpacked it must have found it whole.
    fn need_end(&mut self) -> Result<()> {
        if !take(&mut self.from, 1).at("read", &self.path)?.is_empty() {
            return Err(self.refused("something follows after its end".to_owned()));
        }
        self.unpacking_failed().map_or(Ok(()), |why| Err(self.broken(why)))
    }

    fn ended_early(&mut self) -> Error {
        let why = self.unpacking_failed();
        self.broken(why.unwrap_or_else(|| "it ends too early".to_owned()))
    }

    /// Asked when there is nothing more to read.
    fn unpacking_failed(&mut self) -> Option<String> {
        let ended = self.unpack.take()?.wait_with_output();
        match ended {
            Ok(ended) if ended.status.success() => None,
            Ok(ended) => {
                let said = String::from_utf8_lossy(&ended.stderr);
                let last = said.lines().last().unwrap_or_default().rsplit(" : ").next().unwrap_or_default();
                Some(format!("zstd: {}", last.trim()))
            }
            Err(error) => Some(format!("zstd: {error}")),
        }
    }

    fn refused(&self, why: String) -> Error {
        Error::NotAStream { path: self.path.clone(), why }
    }

    fn broken(&self, why: String) -> Error {
        Error::BrokenStream { path: self.path.clone(), why }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(child) = &mut self.unpack {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The file, its name for people, and its length.
fn source(path: &Path) -> Result<(File, PathBuf, Option<u64>)> {
    if path == Path::new("-") {
        if io::stdin().is_terminal() {
            return Err(Error::Usage("standard input is a terminal: give a stream to it".into()));
        }
        let file = io::stdin().as_fd().try_clone_to_owned().at("open", "standard input")?;
        return Ok((file.into(), "standard input".into(), None));
    }
    let file = File::open(path).at("open", path)?;
    let meta = file.metadata().at("look at", path)?;
    if meta.is_dir() {
        let why = "it is a directory".to_owned();
        return Err(Error::NotAStream { path: path.to_path_buf(), why });
    }
    Ok((file, path.to_path_buf(), meta.is_file().then_some(meta.len())))
}

/// Through zstd(1), which works beside us. A thread feeds it, and is left alone when nobody wants more: it may
/// be waiting for standard input.
fn unpack(mut packed: impl Read + Send + 'static, path: &Path) -> Result<(Box<dyn Read>, Child)> {
    let mut zstd = Command::new("zstd");
    zstd.args(["--decompress", "--stdout", "--quiet"]).env("LC_ALL", "C").stdin(Stdio::piped());
    let mut child = zstd.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().at("run zstd for", path)?;
    let (Some(mut to), Some(out)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Error::Child { program: "zstd".into(), why: "it has no pipes".into() });
    };
    let _ = fcntl(&out, FcntlArg::F_SETPIPE_SZ(ROOM as i32));
    std::thread::spawn(move || io::copy(&mut packed, &mut to));
    Ok((Box::new(out), child))
}

/// As many bytes, or fewer where there are no more.
fn take(from: &mut impl Read, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(count);
    from.take(count as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

struct Counted {
    from: File,
    taken: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(into)?;
        self.taken.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
