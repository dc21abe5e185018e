//! The programs that run packages, and how each is told what to do.

/// What a driver is asked for.
#[derive(Clone, Copy)]
pub enum Ask<'a> {
    /// To the newest version there is.
    Upgrade(&'a [&'a str]),
    /// What is there already.
    Nothing,
    /// The same, but only in play.
    Simulate(&'a str),
    Reinstall(&'a str),
    /// Two commits in one living process.
    Twice(&'a str, &'a str),
}

pub struct Driver {
    pub name: &'static str,
    /// The name of its process (15 bytes of it).
    pub process: &'static str,
    /// One living process of it can make several.
    pub many_commits: bool,
    pub debians: &'static [u32],
    /// What it writes for itself, outside of a package run: undo is not asked for it.
    pub own_files: &'static [&'static str],
}

pub const DRIVERS: &[Driver] = &[
    Driver { name: "apt", process: "apt", many_commits: false, debians: &[13], own_files: &[] },
    Driver { name: "apt-get", process: "apt-get", many_commits: false, debians: &[13, 12], own_files: &[] },
    Driver {
        name: "aptitude",
        process: "aptitude",
        many_commits: false,
        debians: &[13],
        own_files: &["var/lib/aptitude", "var/lib/dpkg/status-old"],
    },
    Driver { name: "python-apt", process: "commit", many_commits: true, debians: &[13], own_files: &[] },
    Driver {
        name: "unattended-upgrades",
        process: "unattended-upgr",
        many_commits: true,
        debians: &[13, 12],
        own_files: &["var/lib/unattended-upgrades", "var/lib/apt/periodic"],
    },
    Driver {
        name: "packagekit",
        process: "packagekitd",
        many_commits: true,
        debians: &[13],
        own_files: &["var/lib/PackageKit"],
    },
    Driver {
        name: "do-release-upgrade",
        process: "do-release-upgr",
        many_commits: true,
        debians: &[13],
        own_files: &[],
    },
    Driver { name: "dpkg", process: "dpkg", many_commits: false, debians: &[13, 12], own_files: &[] },
    Driver {
        name: "dpkg-configure",
        process: "dpkg",
        many_commits: false,
        debians: &[13, 12],
        own_files: &[],
    },
];

/// What the drivers' base has besides a minimal root.
pub fn packages(debian: u32) -> &'static str {
    match debian {
        13 => "aptitude,dbus,packagekit,packagekit-tools,polkitd,python3-apt,unattended-upgrades",
        _ => "python3-apt,unattended-upgrades",
    }
}

/// A program that uses python-apt as most do: one that initialises apt itself before apt's own Python
/// does it again (each hook of ours runs twice a commit), and makes one commit for each list of words.
pub const COMMIT: &str = r#"#!/usr/bin/python3
import sys
import apt_pkg
apt_pkg.init()
import apt
apt_pkg.init()
verb = sys.argv[1]
failed = False
for words in sys.argv[2:]:
    cache = apt.Cache()
    for name in words.split():
        package = cache[name]
        if verb == "reinstall":
            cache._depcache.set_reinstall(package._pkg, True)
        else:
            package.mark_install()
    if cache.get_changes() or verb == "reinstall":
        try:
            failed |= not cache.commit()
        except Exception as error:
            print(error)
            failed = True
sys.exit(failed)
"#;

impl Driver {
    pub fn find(name: &str) -> &'static Driver {
        DRIVERS.iter().find(|d| d.name == name).expect("a driver of the list")
    }

    /// The command (sh, one simple command: its process is the driver, or asks it) for what is asked.
    pub fn command(&self, ask: Ask) -> String {
        let one;
        let ask = match ask {
            Ask::Nothing if self.name != "dpkg" => Ask::Upgrade(&["current"]),
            // libapt plays by a setting (Debug::pkgDPkgPM).
            Ask::Simulate(name) if !self.name.starts_with("dpkg") => {
                one = [name];
                Ask::Upgrade(&one)
            }
            other => other,
        };
        let deb = |name: &str| format!("/home/apt/upgrades/{name}_2_all.deb");
        match (self.name, ask) {
            ("apt" | "apt-get" | "aptitude", Ask::Upgrade(names)) => {
                format!("{} -q -y install {}", self.name, names.join(" "))
            }
            ("apt" | "apt-get", Ask::Reinstall(name)) => {
                format!("{} -q -y install --reinstall {name}", self.name)
            }
            ("aptitude", Ask::Reinstall(name)) => format!("aptitude -q -y reinstall {name}"),
            ("python-apt", Ask::Upgrade(names)) => format!("/home/apt/commit upgrade '{}'", names.join(" ")),
            ("python-apt", Ask::Reinstall(name)) => format!("/home/apt/commit reinstall {name}"),
            ("python-apt", Ask::Twice(one, two)) => format!("/home/apt/commit upgrade {one} {two}"),
            ("do-release-upgrade", Ask::Upgrade(names)) => {
                format!("/home/apt/do-release-upgrade upgrade {}", names.join(" "))
            }
            ("do-release-upgrade", Ask::Reinstall(name)) => {
                format!("/home/apt/do-release-upgrade reinstall {name}")
            }
            ("do-release-upgrade", Ask::Twice(one, two)) => {
                format!("/home/apt/do-release-upgrade upgrade {one} {two}")
            }
            ("unattended-upgrades", _) => "unattended-upgrade".to_owned(),
            ("packagekit", Ask::Upgrade(names)) => format!("pkcon -p -y update {}", names.join(" ")),
            ("packagekit", Ask::Reinstall(name)) => format!("pkcon -p -y install --allow-reinstall {name}"),
            ("packagekit", Ask::Twice(one, two)) => {
                format!("sh -c 'pkcon -p -y update {one} ; pkcon -p -y update {two}'")
            }
            ("dpkg", Ask::Upgrade(names)) => {
                format!("dpkg -i {}", names.iter().map(|n| deb(n)).collect::<Vec<_>>().join(" "))
            }
            ("dpkg", Ask::Nothing) => {
                "dpkg -i --skip-same-version /home/apt/upgrades/current_1_all.deb".to_owned()
            }
            ("dpkg", Ask::Reinstall(name)) => format!("dpkg -i /home/apt/upgrades/{name}_1_all.deb"),
            ("dpkg", Ask::Simulate(name)) => format!("dpkg --no-act -i {}", deb(name)),
            ("dpkg-configure", Ask::Simulate(_)) => "dpkg --no-act --configure -a".to_owned(),
            ("dpkg-configure", _) => "dpkg --configure -a".to_owned(),
            (name, _) => panic!("{name} cannot be asked for that"),
        }
    }

    /// What the profile needs before (sh): nothing of it is part of the run.
    pub fn prepare(&self, ask: Ask) -> String {
        let names: Vec<&str> = match ask {
            Ask::Upgrade(names) => names.to_vec(),
            Ask::Reinstall(name) | Ask::Simulate(name) => vec![name],
            Ask::Nothing => vec!["current"],
            Ask::Twice(one, two) => vec![one, two],
        };
        match self.name {
            // It takes everything of its origins: here, what the outcome is about.
            "unattended-upgrades" => format!(
                "printf '%s\\n' 'Unattended-Upgrade::Origins-Pattern {{ \"origin=flipper-tests\"; }};' \
                 'Unattended-Upgrade::Package-Whitelist {{ {} }};' \
                 'Unattended-Upgrade::Package-Whitelist-Strict \"true\";' > /etc/apt/apt.conf.d/60tests",
                names.iter().map(|n| format!("\"^{n}$\";")).collect::<Vec<_>>().join(" ")
            ),
            "dpkg-configure" => {
                let debs: Vec<_> =
                    names.iter().map(|n| format!("/home/apt/upgrades/{n}_2_all.deb")).collect();
                format!("test ! -e {0} || dpkg --unpack {1}", debs[0], debs.join(" "))
            }
            _ => ":".to_owned(),
        }
    }

    /// What must live around it (sh).
    pub fn around(&self) -> &'static str {
        match self.name {
            "packagekit" => "mkdir -p /run/dbus; dbus-daemon --system --fork",
            _ => ":",
        }
    }
}
