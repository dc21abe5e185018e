//! What is different between two states of a profile, path by path, in the merged tree: what a person
//! would see, whatever it is made of below (a whiteout is a removed file, a copied-up file with the
//! base's content is no change at all). Times alone are no difference.

use std::path::{Path, PathBuf};

use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PathChange {
    /// Relative to the merged root, in the later state (a removed one: in the earlier), e.g. `etc/fstab`
    #[serde(serialize_with = "as_text")]
    pub path: PathBuf,
    /// What it is now, or was.
    pub kind: NodeKind,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum What {
    Added,
    Removed,
    /// A directory carries along what is in it: that is not listed again, unless it changed as well.
    Renamed {
        #[serde(serialize_with = "as_text")]
        from: PathBuf,
    },
    /// The content: bytes, the target of a link, the number of a device.
    Changed {
        attributes: Attributes,
    },
    /// Only these.
    Metadata {
        attributes: Attributes,
    },
    /// Something else has its name now. What was or is below it is listed by itself.
    TypeChanged {
        was: NodeKind,
    },
}

/// Which attributes differ: (before, after).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Attributes {
    /// The permission bits, e.g. 0o644
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<(u32, u32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<(u32, u32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<(u32, u32)>,
    /// Extended attributes, ACLs among them: the names that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extended: Vec<String>,
}

impl Attributes {
    pub fn is_empty(&self) -> bool {
        *self == Attributes::default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeKind {
    File,
    Directory,
    Link,
    CharacterDevice,
    BlockDevice,
    Fifo,
    Socket,
}

impl NodeKind {
    /// From st_mode.
    pub fn of_mode(mode: u32) -> NodeKind {
        match mode & 0o170000 {
            0o040000 => NodeKind::Directory,
            0o120000 => NodeKind::Link,
            0o020000 => NodeKind::CharacterDevice,
            0o060000 => NodeKind::BlockDevice,
            0o010000 => NodeKind::Fifo,
            0o140000 => NodeKind::Socket,
            _ => NodeKind::File,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            NodeKind::File => "file",
            NodeKind::Directory => "directory",
            NodeKind::Link => "link",
            NodeKind::CharacterDevice => "character device",
            NodeKind::BlockDevice => "block device",
            NodeKind::Fifo => "fifo",
            NodeKind::Socket => "socket",
        }
    }
}

impl PathChange {
    /// Is it, or was it, at or below this place?
    pub fn is_within(&self, place: &Path) -> bool {
        let from = match &self.what {
            What::Renamed { from } => from.starts_with(place),
            _ => false,
        };
        from || self.path.starts_with(place)
    }
}

/// JSON has no bytes: what is not UTF-8 is shown with U+FFFD.
fn as_text<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}
