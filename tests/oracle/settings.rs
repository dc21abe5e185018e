//! Accounts, ucf's records and debconf's database, next to the C library, shadow's tools, ucf and debconf
//! itself: what they read we read, and what they write after a change is what we write.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use flipper_profiles::dpkg::account_file::{File, Record, Table, place};
use flipper_profiles::dpkg::debconf::{Database, Item, shown};
use flipper_profiles::dpkg::ucf;

const NO_SHADOW: &str = "these tests ask usermod and getent: apt-get install passwd libc-bin";
const NO_UCF: &str = "these tests ask ucf: apt-get install ucf";
const NO_DEBCONF: &str = "these tests ask debconf: apt-get install debconf perl-base";

fn run(command: &mut Command, hint: &str) -> Vec<u8> {
    let output =
        command.env("LC_ALL", "C.UTF-8").output().unwrap_or_else(|e| panic!("{command:?}: {e}: {hint}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}: {hint}");
    output.stdout
}

fn read(path: impl AsRef<Path>) -> Vec<u8> {
    let path = path.as_ref();
    fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

// ---- accounts -----------------------------------------------------------------------------------------

const FILES: [(&str, File); 4] =
    [("passwd", File::Passwd), ("group", File::Group), ("shadow", File::Shadow), ("gshadow", File::Gshadow)];

#[test]
fn accounts_are_those_getent_shows() {
    for (name, file) in FILES {
        let text = read(format!("/etc/{name}"));
        let table = Table::parse(file, &text);
        assert_eq!(table.write(), text, "{name}");
        let theirs = run(Command::new("getent").args(["-s", "files", name]), NO_SHADOW);
        let ours: Vec<String> = table.records().map(shown_by_getent(file)).collect();
        assert_eq!(ours.join("\n"), lossy(&theirs).trim_end(), "{name}");
        assert!(ours.len() > 10, "{ours:?}");
    }
}

/// An empty number of shadow is shown as it is, and members without blanks between them.
fn shown_by_getent(file: File) -> impl Fn(&Record) -> String {
    let fields = match file {
        File::Passwd => 7,
        File::Shadow => 9,
        _ => 4,
    };
    move |record| (0..fields).map(|at| lossy(record.field(at))).collect::<Vec<_>>().join(":")
}

/// A root with nothing but accounts, and the tools of shadow below it.
struct Accounts(tempfile::TempDir);

impl Accounts {
    fn new() -> Accounts {
        let dir = tempfile::tempdir().expect("make a directory");
        fs::create_dir(dir.path().join("etc")).expect("make a directory");
        for (name, text) in [
            (
                "passwd",
                "root:x:0:0:root:/root:/bin/bash\n_a:x:104:110:A daemon:/var/lib/a:/usr/sbin/nologin\nanna:x:1000:1000:,,,:/home/anna:/bin/bash\n",
            ),
            ("shadow", "root:*:19000:0:99999:7:::\n_a:!:19001::::::\nanna:!:19000:0:99999:7:::\n"),
            ("group", "root:x:0:\nadm:x:4:root\n_a:x:110:\nanna:x:1000:\n"),
            ("gshadow", "root:*::\nadm:*::root\n_a:!::\nanna:!::\n"),
        ] {
            fs::write(dir.path().join("etc").join(name), text).expect("write");
        }
        Accounts(dir)
    }

    fn text(&self, name: &str) -> Vec<u8> {
        read(self.0.path().join("etc").join(name))
    }

    fn tool(&self, program: &str, words: &[&str]) {
        run(Command::new(program).arg("--prefix").arg(self.0.path()).args(words), NO_SHADOW);
    }
}

#[test]
fn a_change_of_ours_is_one_of_shadows_tools() {
    let root = Accounts::new();
    let before = FILES.map(|(name, _)| root.text(name));
    let mut tables: Vec<Table> =
        FILES.iter().zip(&before).map(|((_, file), text)| Table::parse(*file, text)).collect();
    root.tool("groupmod", &["-g", "210", "_a"]);
    root.tool("usermod", &["-u", "204", "-s", "/bin/sh", "-c", "B daemon", "_a"]);
    root.tool("usermod", &["-a", "-G", "adm", "anna"]);
    root.tool("usermod", &["-e", "2030-01-01", "anna"]);
    let [passwd, group, shadow, gshadow] = &mut tables[..] else { unreachable!() };
    let user = passwd.find_mut(b"_a").expect("the user");
    assert!(user.set_number(place::UID, 204) && user.set_number(place::USER_GID, 210));
    assert!(user.set(place::SHELL, &b"/bin/sh"[..]) && user.set(place::COMMENT, &b"B daemon"[..]));
    assert!(group.find_mut(b"_a").expect("the group").set_number(place::GID, 210));
    for table in [group, gshadow] {
        assert!(table.find_mut(b"adm").expect("adm").set_list(place::MEMBERS, &[b"root", b"anna"]));
    }
    assert!(shadow.find_mut(b"anna").expect("anna").set(7, &b"21915"[..]));
    for ((name, _), table) in FILES.iter().zip(&tables) {
        assert_eq!(lossy(&table.write()), lossy(&root.text(name)), "{name}");
    }
    // And a new one.
    let before = FILES.map(|(name, _)| root.text(name));
    root.tool(
        "useradd",
        &["-r", "-u", "300", "-d", "/n", "-c", "", "-s", "/bin/false", "-N", "-g", "_a", "b"],
    );
    let mut passwd = Table::parse(File::Passwd, &before[0]);
    let fields = ["b", "x", "300", "210", "", "/n", "/bin/false"].map(|f| Cow::Borrowed(f.as_bytes()));
    passwd.push(Record::new(File::Passwd, fields.to_vec()).expect("a record"));
    assert_eq!(lossy(&passwd.write()), lossy(&root.text("passwd")));
}

// ---- ucf ----------------------------------------------------------------------------------------------

#[test]
fn what_ucf_knows_is_read_and_written() {
    let dir = tempfile::tempdir().expect("make a directory");
    let at = |name: &str| dir.path().join(name).to_str().expect("text").to_owned();
    for name in ["state", "etc", "etc/d"] {
        fs::create_dir(at(name)).expect("make a directory");
    }
    // A debconf of its own: the machine's may be locked, and ucf fails then.
    let driver = |name| format!("Name: {name}\nDriver: File\nFilename: {}\n\n", at(name));
    let settings = format!("Config: c\nTemplates: t\n\n{}{}", driver("c"), driver("t"));
    fs::write(at("debconf.conf"), settings).expect("write");
    let call = |program: &str, words: &[&str]| {
        let mut command = Command::new(program);
        command.arg("--state-dir").arg(at("state")).args(words);
        command.env("DEBCONF_SYSTEMRC", at("debconf.conf")).env("DEBIAN_FRONTEND", "noninteractive");
        run(command.stdin(Stdio::null()), NO_UCF);
    };
    let state = |name: &str| read(at("state").as_str().to_owned() + "/" + name);
    for (name, text) in [("one.conf", "1\n"), ("d/two.conf", "2\n")] {
        fs::write(at("new"), text).expect("write");
        call("ucf", &[&at("new"), &at(&format!("etc/{name}"))]);
        call("ucfr", &["package", &at(&format!("etc/{name}"))]);
    }
    let (hashfile, registry) = (state("hashfile"), state("registry"));
    let (mut hashes, mut owners) =
        (ucf::hashes(&hashfile).expect("hashfile"), ucf::owners(&registry).expect("registry"));
    assert_eq!(
        (ucf::write_hashes(&hashes), ucf::write_owners(&owners)),
        (hashfile.clone(), registry.clone())
    );
    let (one, two) = (at("etc/one.conf"), at("etc/d/two.conf"));
    let paths: BTreeSet<&[u8]> = hashes.iter().map(|h| h.path).collect();
    assert_eq!(paths, BTreeSet::from([one.as_bytes(), two.as_bytes()]));
    assert_eq!(
        owners.iter().map(|o| (o.package, o.path)).collect::<Vec<_>>(),
        [("package", one.as_bytes()), ("package", two.as_bytes())]
    );
    for path in [&one, &two] {
        let name = String::from_utf8(ucf::cache_name(path.as_bytes())).expect("text");
        assert_eq!(state(&format!("cache/{name}")), read(path), "the cached text of {path}");
    }
    // What a purge leaves.
    call("ucf", &["--purge", &one]);
    call("ucfr", &["--purge", "package", &one]);
    hashes.retain(|h| h.path != one.as_bytes());
    owners.retain(|o| o.path != one.as_bytes());
    assert_eq!(
        (ucf::write_hashes(&hashes), ucf::write_owners(&owners)),
        (state("hashfile"), state("registry"))
    );
    // This machine's.
    if let Ok(text) = fs::read("/var/lib/ucf/hashfile") {
        assert_eq!(ucf::write_hashes(&ucf::hashes(&text).expect("hashfile")), text);
    }
    if let Ok(text) = fs::read("/var/lib/ucf/registry") {
        assert_eq!(ucf::write_owners(&ucf::owners(&text).expect("registry")), text);
    }
}

// ---- debconf ------------------------------------------------------------------------------------------

/// Reads a file with debconf's own format, does `change` to the records in `%all`, and writes them as the
/// File driver does.
fn debconf(text: &[u8], change: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("make a directory");
    let path = dir.path().join("config.dat");
    fs::write(&path, text).expect("write");
    let script = format!(
        "my $f = Debconf::Format::822->new; my %all; open(my $in, '<', $ARGV[0]) or die; \
         while (!eof $in) {{ my ($n, $r) = $f->read($in); $all{{$n}} = $r if defined $n; }} {change}; \
         foreach my $n (sort keys %all) {{ $f->write(*STDOUT, $all{{$n}}, $n) or die; }}"
    );
    run(Command::new("perl").args(["-MDebconf::Format::822", "-e", &script]).arg(path), NO_DEBCONF)
}

#[test]
fn answers_are_read_and_written_as_debconf_does() {
    let mut items = 0;
    for name in ["config.dat", "templates.dat"] {
        let text = read(format!("/var/cache/debconf/{name}"));
        let found = Database::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(lossy(&found.write()), lossy(&text), "{name}");
        assert!(debconf(&text, "") == text, "{name}: debconf itself writes it otherwise");
        items += found.items.len();
    }
    assert!(items > 20, "{items}");
    for text in [
        "Name: a\n\nName: b\nValue:  x\nvalue: y\nFLAGS: z,  a, k,v\nOwners: two, one\n\n",
        "Name: b\nVariables:\n a  =  1\n\tb=2\n c = = \nOwners: o\n\nName: a\nX:y\nTemplate:\n",
        "Name: a\nValue: p\\nq\\\\n:\nName: later\n\n\nName: a\nValue: wins",
    ] {
        let found = Database::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        assert_eq!(lossy(&found.write()), lossy(&debconf(text.as_bytes(), "")), "{text:?}");
    }
}

#[test]
fn an_answer_of_ours_is_one_of_debconf() {
    let text = read("/var/cache/debconf/config.dat");
    let mut found = Database::parse(&text).expect("config.dat");
    let name = *found.items.keys().next().expect("an answer");
    let item = found.items.get_mut(name).expect("it");
    item.fields.insert("value".into(), b"one\\ntwo");
    item.owners.extend([&b"zz"[..], b"0a"]);
    item.flags.insert(b"seen");
    item.variables.insert(b"choices", b"x, y");
    let new = Item {
        fields: [("template".to_owned(), &b"t/t"[..])].into(),
        owners: [&b"me"[..]].into(),
        ..Item::default()
    };
    found.items.insert(b"m/m", new);
    let change = format!(
        "my $i = $all{{'{}'}}; $i->{{fields}}{{value}} = \"one\\ntwo\"; $i->{{owners}}{{$_}} = 1 for ('zz', '0a'); \
         $i->{{flags}}{{seen}} = 'true'; $i->{{variables}}{{choices}} = 'x, y'; \
         $all{{'m/m'}} = {{ fields => {{ template => 't/t' }}, owners => {{ me => 1 }}, flags => {{}}, variables => {{}} }}",
        lossy(name)
    );
    assert_eq!(lossy(&found.write()), lossy(&debconf(&text, &change)));
    assert_eq!(shown(b"one\\ntwo"), b"one\ntwo");
}
