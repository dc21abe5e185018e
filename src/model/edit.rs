//! What is changed in an upper that nobody uses: by a rebase, so that it stands on another base, or by a
//! repair. A plan is a list of them, in the order in which they are carried out; the system room does so
//! (`system/edits.rs`).

/// A mode as [`super::tree::Object`] has it, and numbers of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
}

/// The tree a file is copied from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The base the profile stood on.
    OldBase,
    /// The base it will stand on.
    NewBase,
}

/// Paths are bytes relative to the root, e.g. `usr/bin/cat`, with no link on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Whatever the upper has there goes, with all below it, also a whiteout: the base shows through.
    Drop(Vec<u8>),
    /// The same for a directory that is empty in the upper; one that is not stays.
    DropIfEmpty(Vec<u8>),
    /// A whiteout takes the place of whatever the upper has there.
    Hide(Vec<u8>),
    /// A directory stops hiding what the base has in it (`trusted.overlay.opaque`). Its whiteouts stay.
    Open(Vec<u8>),
    /// A copy of what the upper has there goes to the entry's `saved/`; the upper stays as it is.
    Save(Vec<u8>),
    /// A regular file with this text. None: owner, mode and attributes are those of what is there, in the
    /// upper or else in the new base, or 0644 of root.
    Write { path: Vec<u8>, text: Vec<u8>, owner: Option<Owner> },
    /// A symbolic link.
    Link { path: Vec<u8>, target: Vec<u8> },
    /// One object as a base has it, with owner, mode, times and attributes; a directory without what is in
    /// it.
    Copy { path: Vec<u8>, from: From },
    /// What the new base has at `of`, under another name.
    CopyOf { path: Vec<u8>, of: Vec<u8> },
    /// What the upper has at a path gets another name; what it has there goes.
    Rename { path: Vec<u8>, to: Vec<u8> },
    /// Mode and owner of what the upper has there.
    Owner { path: Vec<u8>, owner: Owner },
    /// An extended attribute of what the upper has there; None: it goes.
    Attribute { path: Vec<u8>, name: Vec<u8>, value: Option<Vec<u8>> },
    /// A directory of the base becomes one of the upper alone, with all that is seen in it: dpkg can then
    /// replace it by something else.
    Detach(Vec<u8>),
}
