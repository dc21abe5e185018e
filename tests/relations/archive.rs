//! Debian's own packages, from the lists apt keeps on this machine.

use std::collections::HashMap;
use std::process::Command;
use std::sync::OnceLock;

use flipper_profiles::dpkg::deb822::{LastLine, Reader};
use flipper_profiles::dpkg::relations::{Kind, Relations};

const NO_LISTS: &str = "these tests take Debian's packages from apt's lists: apt-get update";

pub struct Archive {
    pub packages: Vec<Paragraph>,
    /// Who has the name, and who Provides it.
    named: HashMap<&'static str, Vec<usize>>,
}

pub struct Paragraph {
    /// All of it, without the empty line.
    pub text: &'static str,
    pub name: &'static str,
    pub architecture: &'static str,
    pub version: &'static str,
    /// Relations, Multi-Arch and Essential, as they stand there.
    pub fields: Vec<(&'static str, &'static str)>,
}

/// Read once: some sixty thousand paragraphs.
pub fn archive() -> &'static Archive {
    static ARCHIVE: OnceLock<Archive> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        let mut all = Archive { packages: Vec::new(), named: HashMap::new() };
        lists().iter().for_each(|list| all.read(list));
        assert!(all.packages.len() > 10_000, "{} packages: {NO_LISTS}", all.packages.len());
        all
    })
}

/// The text of every Packages file, decompressed.
fn lists() -> Vec<&'static [u8]> {
    let mut targets = Command::new("apt-get");
    targets.args(["indextargets", "--format", "$(FILENAME)", "Created-By: Packages"]);
    let files = String::from_utf8(targets.output().expect(NO_LISTS).stdout).expect("text");
    let read = |file: &str| {
        let text = Command::new("/usr/lib/apt/apt-helper").args(["cat-file", file]).output().expect(NO_LISTS);
        &*Box::leak(text.stdout.into_boxed_slice())
    };
    files.lines().map(read).collect()
}

impl Archive {
    fn read(&mut self, list: &'static [u8]) {
        let mut reader = Reader::new(list, LastLine::MayBeOpen);
        let text = |bytes| std::str::from_utf8(bytes).expect("UTF-8");
        while reader.next_paragraph() {
            let start = reader.offset();
            let mut package =
                Paragraph { text: "", name: "", architecture: "", version: "", fields: Vec::new() };
            while let Some(field) = reader.next_field().expect("a field") {
                if field.is("Package") {
                    package.name = text(field.value());
                } else if field.is("Architecture") {
                    package.architecture = text(field.value());
                } else if field.is("Version") {
                    package.version = text(field.value());
                } else if Kind::of(&field).is_some() || field.is("Multi-Arch") || field.is("Essential") {
                    package.fields.push((text(field.name), text(field.value())));
                }
            }
            package.text = text(list[start..reader.offset()].trim_ascii());
            let at = self.packages.len();
            self.named.entry(package.name).or_default().insert(0, at);
            for (name, value) in package.fields.iter().filter(|(name, _)| *name == "Provides") {
                for provided in relations(name, value) {
                    self.named.entry(provided.0).or_default().push(at);
                }
            }
            self.packages.push(package);
        }
    }

    /// The package of that name, or the first that provides it.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.named.get(name)?.first().copied()
    }
}

/// The names of a field, each with whether it ends its relation.
pub fn relations(field: &'static str, value: &'static str) -> Vec<(&'static str, bool)> {
    let field =
        flipper_profiles::dpkg::deb822::Field { name: field.as_bytes(), raw: value.as_bytes(), line: 1 };
    let kind = Kind::of(&field).expect("a relation");
    let read = Relations::new(kind, &field).map(|a| a.expect("an alternative"));
    read.map(|alternative| (alternative.name, alternative.last)).collect()
}
