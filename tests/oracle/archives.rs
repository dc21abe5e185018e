//! Sources and pins next to what apt makes of the same files, and links of units next to what systemctl says
//! of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flipper_profiles::dpkg::enablement::{self, Link};
use flipper_profiles::dpkg::preferences::{self, Priority};
use flipper_profiles::dpkg::sources::{self, SignedBy, Source, Style, Type};

const NO_APT: &str = "these tests ask apt: apt-get install apt";
const NO_SYSTEMD: &str = "these tests ask systemctl: apt-get install systemd";

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// apt with these sources and pins and no others, and no lists of packages.
struct Apt(tempfile::TempDir);

impl Apt {
    fn new() -> Apt {
        let dir = tempfile::tempdir().expect("make a directory");
        fs::create_dir_all(dir.path().join("lists/partial")).expect("make a directory");
        fs::write(dir.path().join("preferences"), "").expect("write");
        Apt(dir)
    }

    fn write(&self, name: &str, text: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).expect("write");
        path
    }

    fn run(&self, program: &str, words: &[&str], sources: &Path) -> Output {
        let mut command = Command::new(program);
        let setting = |name: &str, value: &Path| format!("-oDir::{name}={}", value.display());
        command.args([
            setting("Etc::sourcelist", sources),
            setting("Etc::sourceparts", Path::new("/dev/null")),
            setting("Etc::preferences", &self.0.path().join("preferences")),
            setting("Etc::preferencesparts", Path::new("/dev/null")),
            setting("State::Lists", &self.0.path().join("lists")),
        ]);
        command.args(["-oDir::Cache::pkgcache=", "-oDir::Cache::srcpkgcache="]).args(words);
        command.env("LC_ALL", "C.UTF-8").output().expect(NO_APT)
    }

    /// Where apt would look for lists of packages; None when it refuses the file.
    fn lists(&self, sources: &Path) -> Option<BTreeSet<String>> {
        let output = self.run("apt-get", &["--print-uris", "update"], sources);
        let uris = lossy(&output.stdout);
        let uris = uris.lines().filter_map(|line| line.split('\'').nth(1)).filter_map(|uri| {
            let (dir, file) = uri.rsplit_once('/')?;
            let file = file.split('.').next().unwrap_or_default();
            let dir = dir.strip_suffix("/source").unwrap_or(dir);
            let dir = dir.rsplit_once("/binary-").map_or(dir, |(dir, _)| dir);
            (file == "Packages" || file == "Sources").then(|| format!("{dir}/ {file}"))
        });
        output.status.success().then(|| uris.collect())
    }
}

fn style(name: &str) -> Style {
    sources::style(name.as_bytes()).expect("a name apt reads")
}

/// The same of what we read.
fn lists(found: &[Source]) -> BTreeSet<String> {
    let mut lists = BTreeSet::new();
    for source in found.iter().filter(|s| s.enabled) {
        for (kind, uri) in source.types.iter().flat_map(|kind| source.uris.iter().map(move |uri| (kind, uri)))
        {
            let uri = lossy(uri);
            let uri = format!("{}/", uri.strip_suffix('/').unwrap_or(&uri));
            let file = if *kind == Type::Deb { "Packages" } else { "Sources" };
            for suite in source.suites.iter().map(|s| lossy(&s.name)) {
                if suite.ends_with('/') {
                    lists.insert(format!("{uri}{suite} {file}"));
                }
                let components = source.components.iter().map(|c| lossy(c));
                lists.extend(components.map(|c| format!("{uri}dists/{suite}/{c}/ {file}")));
            }
        }
    }
    lists
}

fn as_apt_reads(apt: &Apt, name: &str, text: &[u8]) -> bool {
    let theirs = apt.lists(&apt.write(name, text));
    let ours = sources::parse(text, style(name));
    assert_eq!(ours.as_ref().ok().map(|found| lists(found)), theirs, "{name}: {}: {ours:?}", lossy(text));
    let Ok(found) = ours else { return false };
    let same = sources::with_suites(text, style(name), |_, _| None).expect("it was read");
    assert_eq!(lossy(&same), lossy(text));
    // apt refuses an archive that is there twice and signed by different keys: so it says whether ours are
    // the same.
    if let [Source { enabled: true, signed_by: Some(signed), uris, suites, .. }] = &found[..] {
        let value = match signed {
            SignedBy::Keys(keys) => keys.iter().map(|key| lossy(key)).collect::<Vec<_>>().join(" "),
            SignedBy::Block(block) => lossy(block)
                .lines()
                .map(|l| if l.is_empty() { "\n .".into() } else { format!("\n {l}") })
                .collect(),
        };
        let again = format!(
            "\n\nTypes: deb\nURIs: {}\nSuites: {}\nComponents: other\nSigned-By: {value}\n",
            lossy(&uris[0]),
            lossy(&suites[0].name)
        );
        let once = format!(
            "Types: deb\nURIs: {}\nSuites: {}\nComponents: other\nSigned-By:{}\n",
            lossy(&uris[0]),
            lossy(&suites[0].name),
            " /other.gpg"
        );
        if style(name) == Style::Deb822 && !suites[0].name.ends_with(b"/") {
            let both = |more: &str| {
                apt.lists(&apt.write("both.sources", &[text, b"\n\n", more.as_bytes()].concat()))
            };
            assert!(both(&again).is_some(), "{}{again}", lossy(text));
            assert!(both(&once).is_none(), "another key is no conflict: {}", lossy(text));
        }
    }
    true
}

#[test]
fn sources_are_what_apt_reads() {
    let apt = Apt::new();
    let block = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQ==\n  =x\n -----END PGP PUBLIC KEY BLOCK-----";
    let block = format!("Types: deb\nURIs: http://x.org/d\nSuites: s\nComponents: c\nSigned-By:\n {block}\n");
    let (mut taken, mut refused) = (0, 0);
    for (name, texts) in [
        (
            "x.list",
            &[
                "",
                "# nothing\n",
                "deb http://x.org/d s c\n",
                "deb http://x.org/d/ s c d # e\ndeb-src [arch=amd64] http://x.org/ s/u c\n",
                "deb [signed-by=/a] http://x.org/ ./\n",
                " \tdeb  http://x.org/d\ts  c\r\n",
                "#deb http://x.org/d s c\n",
                "deb http://x.org/d s c",
                "deb [ a=b] http://x.org/d s c\n",
                "deb [ab=c ] http://x.org/d s c\n",
                "deb [ab=c de=#f] http://x.org/d s c#\n",
                "deb \"http://x.org/a b\" %73 \"c\"\n",
                "deb [ab=\"c d\"] http://x.org/d s c\n",
                "deb [ab=[c]] http://x.org/d s c\n",
                "deb http://x.org/d s/ \n",
                "deb\n",
                "deb http://x.org/\n",
                "deb http://x.org/ s\n",
                "deb http://x.org/ s/ c\n",
                "deb x.org s c\n",
                "rpm http://x.org/ s c\n",
                "deb [a http://x.org/ s c\n",
                "deb [a] http://x.org/ s c\n",
                "deb [=ab] http://x.org/ s c\n",
                "deb [ab=] http://x.org/ s c\n",
                "deb \"http://x.org/ s c\n",
                "deb [] http://x.org/ s c\n",
                "deb [] [] c d\n",
                "x\n",
                "deb http://x.org/d s c\ndeb\n",
                "deb \"\" s c\n",
            ][..],
        ),
        (
            "x.sources",
            &[
                "",
                "# nothing\n",
                "Types: deb deb-src\nURIs: http://x.org/d http://y.org\nSuites: s\n t/u\nComponents: c d\n",
                "# a\n\nTypes: deb\n# b\nURIs: http://x.org/d\nSuites:\n s\n# c\n t\nComponents: c\n\n\nTypes: deb-src\nURIs: http://z.org/\nSuites: ./\n",
                "Types: deb\nURIs: http://x.org/d\nSuites: s\nComponents: c\nEnabled: no\n",
                "Types: deb\nURIs: http://x.org/d\nSuites: s\nComponents: c\nEnabled: 0\n",
                "Types: deb\nURIs: http://x.org/d\nSuites: s\nComponents: c\nEnabled: perhaps\n",
                "Types: deb\nEnabled: FALSE\n",
                "types: deb\nuris: http://x.org/d\nsuites: s\ncomponents: c",
                "Types:\nURIs: http://x.org/d\nSuites: s\nComponents: c\n",
                "Types: deb\nURIs: http://x.org/d\nSuites: a\nSuites: s\nComponents: c\n",
                "Types: deb\nURIs: http://x.org/d\nSuites: s\nComponents: c\nSigned-By: /a.gpg,\n /b.gpg\n",
                &block,
                "URIs: http://x.org/d\nSuites: s\nComponents: c\n",
                "Types: rpm\nURIs: http://x.org/d\nSuites: s\nComponents: c\n",
                "Types: deb\nSuites: s\nComponents: c\n",
                "Types: deb\nURIs: x.org\nSuites: s\nComponents: c\n",
                "Types: deb\nURIs: http://x.org/d\nComponents: c\n",
                "Types: deb\nURIs: http://x.org/d\nSuites: s\n",
                "Types: deb\nURIs: http://x.org/d\nSuites: s/\nComponents: c\n",
                "Types: deb\nURIs: http://x.org/d\nSuites: s t/\nComponents: c\n",
                "Types\n",
            ][..],
        ),
    ] {
        for text in texts {
            *if as_apt_reads(&apt, name, text.as_bytes()) { &mut taken } else { &mut refused } += 1;
        }
    }
    assert!(taken > 20 && refused > 15, "{taken} taken, {refused} refused");
    // This machine's.
    let here = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("an entry").path());
    for path in here.chain([PathBuf::from("/etc/apt/sources.list")]).filter(|path| path.exists()) {
        let name = path.file_name().map(|name| lossy(name.as_encoded_bytes())).unwrap_or_default();
        if sources::style(name.as_bytes()).is_some() {
            assert!(as_apt_reads(&apt, &name, &fs::read(&path).expect("it is there")), "{}", path.display());
        }
    }
}

#[test]
fn pins_are_those_apt_has() {
    let apt = Apt::new();
    let none = apt.write("none.list", b"");
    let (mut taken, mut refused, mut pinned) = (0, 0, 0);
    for text in [
        "",
        "# nothing\n",
        "Package: apt dpkg\nPin: version *\nPin-Priority: 990\n",
        "Explanation: x\nPackage: apt\n# y\nPin: Version *\nPin-Priority: -5\n",
        "Package: *\nPin: release n=x\nPin-Priority: never\n",
        "Package: apt\nPin: phase 5\n\nPackage: dpkg\nPin: version *\nPin-Priority: 7x",
        "Package: apt\nPin-Priority: 5\n",
        "Package: *\nPin: version *\nPin-Priority: 5\n",
        "Package: apt\n coreutils\nPin: version *\nPin-Priority: 32767\n",
        "Pin: version *\nPin-Priority: 5\n",
        "Package: apt\nPin: version *\n",
        "Package: apt\nPin: version *\nPin-Priority: 0\n",
        "Package: apt\nPin: version *\nPin-Priority: x\n",
        "Package: apt\nPin: version *\nPin-Priority: 32768\n",
        "Package: apt\nPin: version *\nPin-Priority: never\n",
        "Package\n",
    ] {
        apt.write("preferences", text.as_bytes());
        let output = apt.run("apt-cache", &["policy"], &none);
        let ours = preferences::parse(text.as_bytes());
        assert_eq!(
            ours.is_ok(),
            output.status.success(),
            "{text:?}: {ours:?}, apt: {}",
            lossy(&output.stderr)
        );
        *if ours.is_ok() { &mut taken } else { &mut refused } += 1;
        let Ok(pins) = ours else { continue };
        let mut wanted = BTreeSet::new();
        for pin in pins.iter().filter(|pin| pin.pin.eq_ignore_ascii_case(b"version *")) {
            let Priority::Number(priority) = pin.priority else { continue };
            wanted.extend(pin.packages.iter().map(|name| format!("{} {priority}", lossy(name))));
        }
        let shown = lossy(&output.stdout);
        let shown =
            shown.split_once("Pinned packages:").map_or("", |(_, lines)| lines).lines().filter_map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                Some(format!("{} {}", words.first()?, words.last()?))
            });
        assert_eq!(wanted, shown.collect(), "{text:?}");
        pinned += wanted.len();
        // What we write says the same.
        let written = preferences::write(&pins);
        let again = preferences::parse(&written).expect("ours");
        let brief = |pins: &[preferences::Pin]| {
            pins.iter().map(|p| format!("{:?}{:?}{:?}", p.packages, p.pin, p.priority)).collect::<Vec<_>>()
        };
        assert_eq!(brief(&again), brief(&pins));
    }
    assert!(taken >= 8 && refused >= 6 && pinned >= 6, "{taken} taken, {refused} refused, {pinned} pinned");
}

/// The links below a directory, as path and target.
fn links(dir: &Path, inside: &str, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).into_iter().flatten().map(|entry| entry.expect("an entry")) {
        let name = format!("{inside}{}", lossy(entry.file_name().as_encoded_bytes()));
        match fs::read_link(entry.path()) {
            Ok(target) => found.push((name, lossy(target.as_os_str().as_encoded_bytes()))),
            Err(_) => links(&entry.path(), &format!("{name}/"), found),
        }
    }
}

#[test]
fn links_of_units_are_what_systemctl_makes_of_them() {
    let dir = tempfile::tempdir().expect("make a directory");
    let at = |name: &str| dir.path().join(name);
    for (name, install) in [
        (
            "usr/lib/systemd/system/one.service",
            "WantedBy=multi-user.target\nRequiredBy=x.target\nUpheldBy=\nAlias=uno.service",
        ),
        ("usr/lib/systemd/system/two.timer", ""),
        ("usr/lib/systemd/system/many@.service", "WantedBy=multi-user.target\nDefaultInstance=a"),
        ("opt/three.service", ""),
    ] {
        fs::create_dir_all(at(name).parent().expect("a parent")).expect("make a directory");
        fs::write(at(name), format!("[Service]\nExecStart=/bin/true\n[Install]\n{install}\n"))
            .expect("write");
    }
    let systemctl = |words: &[&str]| {
        let output = Command::new("systemctl")
            .arg(format!("--root={}", dir.path().display()))
            .args(words)
            .output()
            .expect(NO_SYSTEMD);
        lossy(&output.stdout).trim().to_owned()
    };
    for words in [
        &["enable", "one.service", "many@b.service"][..],
        &["mask", "two.timer"],
        &["link", "/opt/three.service"],
    ] {
        systemctl(words);
    }
    let mut found = Vec::new();
    links(&at(enablement::DIRECTORIES[0]), "", &mut found);
    assert_eq!(found.len(), 6, "{found:?}");
    for (path, target) in &found {
        let (unit, state) = match enablement::link(path.as_bytes(), target.as_bytes()) {
            Some(Link::Pulled { unit, .. }) => (unit, "enabled"),
            Some(Link::Masked { unit }) => (unit, "masked"),
            Some(Link::Alias { name, .. }) => (name, "alias"),
            Some(Link::Linked { unit }) => (unit, "linked"),
            None => panic!("{path} -> {target}"),
        };
        assert_eq!(systemctl(&["is-enabled", &lossy(unit)]), state, "{path} -> {target}");
    }
    // Every link of this machine's own units is one we know.
    let mut here = Vec::new();
    links(&Path::new("/").join(enablement::DIRECTORIES[0]), "", &mut here);
    let unknown: Vec<_> = here
        .iter()
        .filter(|(path, target)| enablement::link(path.as_bytes(), target.as_bytes()).is_none())
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
