//! Where the dynamic linker looks for a library: the directories a file names itself, those of
//! /etc/ld.so.conf, and its own (ld.so(8), Debian's multiarch paths).

use std::collections::BTreeSet;

use crate::model::elf::{Abi, Elf};
use crate::model::error::Result;
use crate::model::tree::{self, Tree};

use super::paths::{Paths, join};

const CONF: &[u8] = b"etc/ld.so.conf";

/// Without `lib` and `usr/lib` before them; by ELF's machine (elf.h) and word.
const MULTIARCH: &[(u16, u8, &str)] = &[
    (62, 64, "x86_64-linux-gnu"),
    (62, 32, "x86_64-linux-gnux32"),
    (3, 32, "i386-linux-gnu"),
    (183, 64, "aarch64-linux-gnu"),
    (40, 32, "arm-linux-gnueabihf"),
    (40, 32, "arm-linux-gnueabi"),
    (243, 64, "riscv64-linux-gnu"),
    (21, 64, "powerpc64le-linux-gnu"),
    (22, 64, "s390x-linux-gnu"),
    (258, 64, "loongarch64-linux-gnu"),
    (8, 64, "mips64el-linux-gnuabi64"),
    (8, 32, "mipsel-linux-gnu"),
];

/// The directories of /etc/ld.so.conf and what it includes, in their order.
pub fn configured(tree: &dyn Tree) -> Result<Vec<Vec<u8>>> {
    let mut conf = Conf { tree, read: BTreeSet::new(), found: Vec::new() };
    conf.read(CONF)?;
    Ok(conf.found)
}

struct Conf<'t> {
    tree: &'t dyn Tree,
    /// Files that include each other would never end.
    read: BTreeSet<Vec<u8>>,
    found: Vec<Vec<u8>>,
}

impl Conf<'_> {
    fn read(&mut self, path: &[u8]) -> Result<()> {
        if !self.read.insert(path.to_vec()) {
            return Ok(());
        }
        let text = self.tree.text(path)?.unwrap_or_default();
        for line in text.split(|b| *b == b'\n') {
            let line = line.split(|b| *b == b'#').next().unwrap_or_default().trim_ascii();
            let include = line.strip_prefix(b"include");
            match include.filter(|rest| rest.first().is_some_and(u8::is_ascii_whitespace)) {
                Some(patterns) => {
                    let mut patterns = patterns.split(u8::is_ascii_whitespace).filter(|p| !p.is_empty());
                    patterns.try_for_each(|pattern| self.include(pattern, path))?;
                }
                None if line.starts_with(b"/") => self.found.push(line[1..].to_vec()),
                None => {}
            }
        }
        Ok(())
    }

    /// `/etc/ld.so.conf.d/*.conf`; a star stands for the beginning of a name only.
    fn include(&mut self, pattern: &[u8], by: &[u8]) -> Result<()> {
        let pattern = match pattern.strip_prefix(b"/") {
            Some(absolute) => absolute.to_vec(),
            None => join(tree::parent(by), pattern),
        };
        let Some(ending) = tree::name(&pattern).strip_prefix(b"*") else { return self.read(&pattern) };
        let dir = tree::parent(&pattern);
        let mut paths = Vec::new();
        self.tree.texts(dir, ending, &mut |path, _| {
            if tree::parent(path) == dir && !tree::name(path).starts_with(b".") {
                paths.push(path.to_vec());
            }
        })?;
        paths.iter().try_for_each(|path| self.read(path))
    }
}

/// Where every file of this kind is served from: the configured directories, then the linker's own.
pub fn common(paths: &mut Paths, configured: &[Vec<u8>], abi: Abi) -> Result<Vec<Vec<u8>>> {
    let own = MULTIARCH.iter().filter(|(machine, bits, _)| (*machine, *bits) == (abi.machine, abi.bits));
    let own = own.flat_map(|(_, _, name)| [format!("lib/{name}"), format!("usr/lib/{name}")]);
    let plain = ["lib64", "usr/lib64", "lib32", "usr/lib32", "lib", "usr/lib"].map(str::to_owned);
    let mut dirs = Vec::new();
    for dir in configured.iter().cloned().chain(own.chain(plain).map(String::into_bytes)) {
        if let Some(real) = paths.directory(&dir)?.filter(|real| !dirs.contains(real)) {
            dirs.push(real);
        }
    }
    Ok(dirs)
}

/// What a file names itself, with its own directory for $ORIGIN. Other words ($LIB, $PLATFORM) depend on the
/// machine; such a directory is left out.
pub fn private(elf: &Elf, file: &[u8]) -> Vec<Vec<u8>> {
    let list = elf.runpath.as_deref().or(elf.rpath.as_deref()).unwrap_or_default();
    let fill = |dir: &[u8]| -> Option<Vec<u8>> {
        let origin = [&b"$ORIGIN"[..], b"${ORIGIN}"].into_iter().find_map(|word| dir.strip_prefix(word));
        match origin {
            Some(rest) => Some([tree::parent(file), rest].concat()),
            None => dir.starts_with(b"/").then(|| dir[1..].to_vec()),
        }
    };
    let dirs = list.split(|b| *b == b':').filter_map(fill);
    dirs.filter(|dir| !dir.contains(&b'$')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_its_own_directories() {
        let abi = Abi { bits: 64, big_endian: false, machine: 62 };
        let elf = |rpath: Option<&str>, runpath: Option<&str>| Elf {
            abi,
            interpreter: None,
            soname: None,
            needed: Vec::new(),
            rpath: rpath.map(|text| text.into()),
            runpath: runpath.map(|text| text.into()),
        };
        let file = b"opt/app/bin/app";
        let dirs = |elf: Elf| private(&elf, file).iter().map(|d| String::from_utf8_lossy(d).into()).collect();
        let dirs = |elf: Elf| -> Vec<String> { dirs(elf) };
        assert_eq!(dirs(elf(None, Some("$ORIGIN/../lib:/opt/x"))), ["opt/app/bin/../lib", "opt/x"]);
        assert_eq!(dirs(elf(Some("/a"), None)), ["a"]);
        assert_eq!(dirs(elf(Some("/a"), Some("${ORIGIN}"))), ["opt/app/bin"]);
        assert_eq!(dirs(elf(None, Some("/usr/$LIB/x::relative"))), [""; 0]);
    }
}
