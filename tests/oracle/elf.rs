//! What our reader finds in the programs and libraries of this machine, next to readelf.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use flipper_profiles::model::elf::{Elf, Reading};
use flipper_profiles::system::elf;

use crate::long;

const NO_READELF: &str = "these tests ask readelf: apt-get install binutils";

fn regular_files(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut entries: Vec<_> = entries.map(|e| e.expect("an entry")).collect();
    entries.sort_by_key(|e| e.file_name());
    for entry in entries {
        let kind = entry.file_type().expect("a type");
        if kind.is_dir() {
            regular_files(&entry.path(), found);
        } else if kind.is_file() && may_be_elf(&entry) {
            found.push(entry.path());
        }
    }
}

/// A program can be executed, and a library says so in its name: nothing else is opened.
fn may_be_elf(entry: &fs::DirEntry) -> bool {
    let library = entry.file_name().as_encoded_bytes().windows(3).any(|part| part == b".so");
    library || entry.metadata().expect("its mode").mode() & 0o111 != 0
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The lines readelf has about one file, as it words them.
fn lines(elf: &Elf) -> Vec<String> {
    let machine = match elf.abi.machine {
        3 => "Intel 80386",
        62 => "Advanced Micro Devices X86-64",
        183 => "AArch64",
        _ => "another",
    };
    let mut lines = vec![
        format!("Class: ELF{}", elf.abi.bits),
        format!("Data: 2's complement, {} endian", if elf.abi.big_endian { "big" } else { "little" }),
        format!("Machine: {machine}"),
    ];
    lines.extend(
        elf.interpreter.iter().map(|path| format!("[Requesting program interpreter: {}]", lossy(path))),
    );
    lines.extend(elf.needed.iter().map(|name| format!("(NEEDED) Shared library: [{}]", lossy(name))));
    lines.extend(elf.soname.iter().map(|name| format!("(SONAME) Library soname: [{}]", lossy(name))));
    lines.extend(elf.rpath.iter().map(|path| format!("(RPATH) Library rpath: [{}]", lossy(path))));
    lines.extend(elf.runpath.iter().map(|path| format!("(RUNPATH) Library runpath: [{}]", lossy(path))));
    lines.sort();
    lines
}

/// The same of what readelf says, by file.
fn readelf(paths: &[&PathBuf]) -> BTreeMap<String, Vec<String>> {
    let mut command = Command::new("readelf");
    let output =
        command.args(["-hldW", "--"]).args(paths).env("LC_ALL", "C.UTF-8").output().expect(NO_READELF);
    let (mut found, mut file) = (BTreeMap::<String, Vec<String>>::new(), String::new());
    for line in lossy(&output.stdout).lines() {
        if let Some(path) = line.strip_prefix("File: ") {
            file = path.to_owned();
        }
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let tags = ["(NEEDED)", "(SONAME)", "(RPATH)", "(RUNPATH)"];
        let tagged = tags.iter().find_map(|tag| line.find(tag)).map(|at| line[at..].to_owned());
        let plain = ["Class:", "Data:", "Machine:", "[Requesting"].iter().any(|word| line.starts_with(word));
        found.entry(file.clone()).or_default().extend(tagged.or(plain.then(|| line.clone())));
    }
    found.values_mut().for_each(|lines| lines.sort());
    found
}

#[test]
fn programs_need_what_readelf_says() {
    let mut files = Vec::new();
    regular_files(Path::new("/usr"), &mut files);
    let found: Vec<(PathBuf, Elf)> = files
        .into_iter()
        // Where symbols were taken to, the segments are empty.
        .filter(|path| !path.starts_with("/usr/lib/debug"))
        .filter_map(|path| match elf::read(&path) {
            Ok(Reading::Elf(elf)) => Some((path, elf)),
            Ok(Reading::Other) => None,
            other => panic!("{}: {other:?}", path.display()),
        })
        .collect();
    assert!(found.len() > 300, "{} ELF files in /usr", found.len());
    let step = (found.len() / long::cases(300) as usize).max(1);
    let some: Vec<_> = found.iter().step_by(step).collect();
    for some in some.chunks(200) {
        let theirs = readelf(&some.iter().map(|(path, _)| path).collect::<Vec<_>>());
        for (path, elf) in some {
            assert_eq!(
                Some(&lines(elf)),
                theirs.get(&lossy(path.as_os_str().as_encoded_bytes())),
                "{}",
                path.display()
            );
        }
    }
    // Only what says something can be compared.
    let all = |say: fn(&Elf) -> bool| some.iter().filter(|(_, elf)| say(elf)).count();
    let said = [all(|e| !e.needed.is_empty()), all(|e| e.soname.is_some()), all(|e| e.interpreter.is_some())];
    assert!(said.iter().all(|n| *n > 10), "{said:?}");
}
