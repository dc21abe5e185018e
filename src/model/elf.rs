//! What a program or a library asks of the dynamic linker (elf(5), ld.so(8)). Read by `system::elf`, held
//! against what is there by whoever checks a set of files.

/// Of one file. A program without a dynamic section needs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    pub abi: Abi,
    /// `/lib64/ld-linux-x86-64.so.2`; programs have one, libraries do not.
    pub interpreter: Option<Vec<u8>>,
    /// What it is called by those that need it, `libssl.so.3`. Plugins and programs have none.
    pub soname: Option<Vec<u8>>,
    /// DT_NEEDED, in the order in which they are looked for.
    pub needed: Vec<Vec<u8>>,
    /// Directories to look in, with colons between them, `$ORIGIN` and its like not filled in. The linker
    /// passes over `rpath` when there is a `runpath`.
    pub rpath: Option<Vec<u8>>,
    pub runpath: Option<Vec<u8>>,
}

/// The linker takes only libraries that are like the program in these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Abi {
    /// 32 or 64.
    pub bits: u8,
    pub big_endian: bool,
    /// EM_X86_64 is 62, EM_AARCH64 183.
    pub machine: u16,
}

/// What a file turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    Elf(Elf),
    /// A script, a text, an archive: anything without ELF's first four bytes.
    Other,
    /// It begins as ELF does and cannot be read as such; what is wrong, in a few words.
    Broken(String),
}
