//! A tiny package, made by dpkg-deb.

#![allow(dead_code)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::rig::need;

/// `Deb::new("tool", "1").file("usr/bin/tool", "one")`
#[derive(Clone)]
pub struct Deb {
    pub name: String,
    pub version: String,
    architecture: String,
    fields: Vec<String>,
    files: Vec<(String, String, u32)>,
    links: Vec<(String, String)>,
    copies: Vec<(String, PathBuf)>,
    directories: Vec<String>,
    control: Vec<(String, String)>,
}

impl Deb {
    /// Of architecture `all`.
    pub fn new(name: &str, version: &str) -> Deb {
        Deb {
            name: name.into(),
            version: version.into(),
            architecture: "all".into(),
            fields: Vec::new(),
            files: Vec::new(),
            links: Vec::new(),
            copies: Vec::new(),
            directories: Vec::new(),
            control: Vec::new(),
        }
    }

    pub fn architecture(mut self, architecture: &str) -> Deb {
        self.architecture = architecture.into();
        self
    }

    /// `Depends: other (>= 2)`
    pub fn field(mut self, line: &str) -> Deb {
        self.fields.push(line.into());
        self
    }

    /// 0755 below a bin or sbin directory, else 0644.
    pub fn file(self, path: &str, text: &str) -> Deb {
        let mode = if path.contains("bin/") { 0o755 } else { 0o644 };
        self.file_of_mode(path, text, mode)
    }

    pub fn file_of_mode(mut self, path: &str, text: &str, mode: u32) -> Deb {
        self.files.push((path.into(), text.into(), mode));
        self
    }

    /// A file below /etc that is a conffile.
    pub fn conffile(mut self, path: &str, text: &str) -> Deb {
        self = self.control("conffiles", &format!("/{path}\n"));
        self.file(path, text)
    }

    pub fn link(mut self, path: &str, target: &str) -> Deb {
        self.links.push((path.into(), target.into()));
        self
    }

    /// A file as it lies on this machine.
    pub fn copy(mut self, path: &str, from: &Path) -> Deb {
        self.copies.push((path.into(), from.into()));
        self
    }

    pub fn directory(mut self, path: &str) -> Deb {
        self.directories.push(path.into());
        self
    }

    /// A file of the control archive: `postinst`, `triggers`, ...; said twice, the lines are added.
    pub fn control(mut self, name: &str, text: &str) -> Deb {
        match self.control.iter_mut().find(|(known, _)| known == name) {
            Some((_, lines)) => lines.push_str(text),
            None => self.control.push((name.into(), text.into())),
        }
        self
    }

    /// The .deb, in a directory of its own below `dir`.
    pub fn build(&self, dir: &Path) -> PathBuf {
        let tree = tempfile::Builder::new().prefix("deb").tempdir_in(dir).unwrap().keep();
        let root = tree.join("tree");
        let write = |path: &str, text: &str, mode: u32| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let mut control = format!(
            "Package: {}\nVersion: {}\nArchitecture: {}\nMaintainer: Nobody <nobody@example.org>\n",
            self.name, self.version, self.architecture
        );
        self.fields.iter().for_each(|field| control.push_str(&format!("{field}\n")));
        control.push_str("Description: stands for a package\n");
        write("DEBIAN/control", &control, 0o644);
        for (name, text) in &self.control {
            let script = text.starts_with("#!");
            write(&format!("DEBIAN/{name}"), text, if script { 0o755 } else { 0o644 });
        }
        self.files.iter().for_each(|(path, text, mode)| write(path, text, *mode));
        self.directories.iter().for_each(|path| fs::create_dir_all(root.join(path)).unwrap());
        for (path, from) in &self.copies {
            write(path, "", 0o755);
            fs::copy(from, root.join(path)).unwrap();
        }
        for (path, target) in &self.links {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(target, path).unwrap();
        }
        let made = tree.join(format!("{}.deb", self.name));
        let mut command = Command::new("dpkg-deb");
        command.args(["--root-owner-group", "-Znone", "--build"]).arg(&root).arg(&made);
        need("dpkg-deb", &mut command);
        made
    }
}
