//! Follows links in a tree that is not mounted, as the kernel would.

use std::collections::HashMap;

use crate::model::error::Result;
use crate::model::tree;
use crate::policy::check::Look;
use crate::policy::check::merge::Shown;

/// As many links as the kernel follows before it says ELOOP (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Remembers every step, so that the directories above many files are asked for once.
pub struct Paths<'f> {
    find: Find<'f>,
    steps: HashMap<Vec<u8>, Step>,
}

/// What is at a path, links on the way not followed.
type Find<'f> = Box<dyn Fn(&[u8]) -> Result<Option<Shown>> + 'f>;

#[derive(Clone)]
enum Step {
    Nothing,
    Directory,
    /// Is it the upper's?
    File {
        mine: bool,
    },
    Other,
    Link(Box<[u8]>),
}

/// A regular file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Without links in it.
    pub path: Vec<u8>,
    pub is_mine: bool,
}

impl<'f> Paths<'f> {
    pub fn new(find: impl Fn(&[u8]) -> Result<Option<Shown>> + 'f) -> Paths<'f> {
        Paths { find: Box::new(find), steps: HashMap::new() }
    }

    /// What the profile shows as it is.
    pub fn of_the_profile(look: &'f Look<'f>) -> Paths<'f> {
        Paths::new(|path| {
            let is_mine = look.place(path).is_some();
            let found = look.trees.mine.find(path)?;
            Ok(found.map(|object| if is_mine { Shown::Mine(object) } else { Shown::Base(object) }))
        })
    }

    /// What it will show on the candidate.
    pub fn of_the_merge(look: &'f Look<'f>) -> Paths<'f> {
        Paths::new(|path| look.merged(path))
    }

    /// The regular file a path leads to.
    pub fn file(&mut self, path: &[u8]) -> Result<Option<Found>> {
        let Some(path) = self.real(path)? else { return Ok(None) };
        Ok(match self.step(&path)? {
            Step::File { mine } => Some(Found { path, is_mine: mine }),
            _ => None,
        })
    }

    /// The directory a path leads to, without links in it.
    pub fn directory(&mut self, path: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(path) = self.real(path)? else { return Ok(None) };
        let is_directory = path.is_empty() || matches!(self.step(&path)?, Step::Directory);
        Ok(is_directory.then_some(path))
    }

    /// Where a path, absolute or from the root, leads to. None: nowhere.
    pub fn real(&mut self, path: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut links = 0;
        self.follow(path, &mut links)
    }

    fn follow(&mut self, path: &[u8], links: &mut usize) -> Result<Option<Vec<u8>>> {
        let mut at: Vec<u8> = Vec::new();
        for part in path.split(|b| *b == b'/') {
            match part {
                b"" | b"." => continue,
                b".." => {
                    at.truncate(tree::parent(&at).len());
                    continue;
                }
                _ => {}
            }
            let next = join(&at, part);
            match self.step(&next)? {
                Step::Nothing => return Ok(None),
                Step::Link(target) => {
                    *links += 1;
                    if *links > MOST_LINKS {
                        return Ok(None);
                    }
                    let target = if target.starts_with(b"/") { target.to_vec() } else { join(&at, &target) };
                    match self.follow(&target, links)? {
                        Some(real) => at = real,
                        None => return Ok(None),
                    }
                }
                _ => at = next,
            }
        }
        Ok(Some(at))
    }

    fn step(&mut self, path: &[u8]) -> Result<Step> {
        if let Some(step) = self.steps.get(path) {
            return Ok(step.clone());
        }
        let step = match (self.find)(path)? {
            None => Step::Nothing,
            Some(shown) => {
                let mine = matches!(shown, Shown::Mine(_));
                match shown.object() {
                    object if object.is_directory() => Step::Directory,
                    object if object.is_file() => Step::File { mine },
                    object => object.target.clone().map_or(Step::Other, Step::Link),
                }
            }
        };
        self.steps.insert(path.to_vec(), step.clone());
        Ok(step)
    }
}

/// `usr/lib` and `x` to `usr/lib/x`
pub fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    match dir.is_empty() {
        true => name.to_vec(),
        false => [dir, b"/", name].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::difference::NodeKind;
    use crate::model::tree::Object;

    fn object(kind: NodeKind, target: Option<&[u8]>) -> Object {
        let target = target.map(|target| target.to_vec().into_boxed_slice());
        let (mode, uid, gid) = (0o755, 0, 0);
        let (size, sha256, xattrs, linked) = (None, None, None, None);
        Object { kind, mode, uid, gid, size, sha256, target, device: 0, xattrs, linked }
    }

    #[test]
    fn links_are_followed_as_the_kernel_does() {
        let tree = |path: &[u8]| -> Result<Option<Shown>> {
            let object = match path {
                b"usr" | b"usr/lib" | b"usr/lib/x" => object(NodeKind::Directory, None),
                b"lib" => object(NodeKind::Link, Some(b"usr/lib")),
                b"usr/lib/x/a.so" => object(NodeKind::Link, Some(b"../a.so.1")),
                b"usr/lib/a.so.1" => object(NodeKind::Link, Some(b"/lib/a.so.1.0")),
                b"usr/lib/a.so.1.0" => object(NodeKind::File, None),
                b"loop" => object(NodeKind::Link, Some(b"loop")),
                b"up" => object(NodeKind::Link, Some(b"../../../usr")),
                b"away" => object(NodeKind::Link, Some(b"/nowhere")),
                _ => return Ok(None),
            };
            Ok(Some(Shown::Base(object)))
        };
        let mut paths = Paths::new(tree);
        let mut file = |path: &[u8]| paths.file(path).unwrap().map(|found| found.path);
        for path in [&b"usr/lib/a.so.1.0"[..], b"/lib/a.so.1.0", b"lib//./x/a.so", b"up/lib/x/../a.so.1"] {
            assert_eq!(file(path).as_deref(), Some(&b"usr/lib/a.so.1.0"[..]), "{}", path.escape_ascii());
        }
        for path in [&b"usr/lib"[..], b"loop", b"away", b"lib/none", b"usr/lib/a.so.1.0/x", b""] {
            assert_eq!(file(path), None, "{}", path.escape_ascii());
        }
        assert_eq!(paths.directory(b"/up/lib").unwrap().as_deref(), Some(&b"usr/lib"[..]));
        assert_eq!(paths.directory(b"/").unwrap().as_deref(), Some(&b""[..]));
        assert_eq!(paths.directory(b"lib/a.so.1").unwrap(), None);
    }
}
