//! What it costs to know whether a set of packages holds together, next to asking apt, and to read the set, next
//! to other readers: real packages with all they depend on, 140 as in a small base and 2,500 as in a desktop.
//! Run with `cargo bench --bench closure`. Aims: 50 times `apt-get check`, twice grep-dctrl (a process), ten
//! times python3-apt (without Python's start). The ratios matter more than the milliseconds.

#[path = "../relations/archive.rs"]
mod archive;

use std::collections::HashSet;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flipper_profiles::dpkg::Status;
use flipper_profiles::policy::closure::Installed;

fn main() {
    for packages in [140, 2500] {
        let text = installed(packages);
        let place = tempfile::tempdir().expect("make a directory");
        let file = place.path().join("status");
        std::fs::write(&file, &text).expect("write the status");
        std::fs::create_dir_all(place.path().join("lists/partial")).expect("make a directory");
        compare(packages, &text, &file);
    }
}

/// In turn, so that noise meets all of them alike.
fn compare(packages: usize, text: &str, file: &Path) {
    let broken = |text: &str| {
        let status = Status::parse(black_box(text.as_bytes())).expect("parse");
        Installed::new(&status, "amd64").expect("relations").broken().len()
    };
    let [mut parse, mut check, mut dctrl, mut python, mut apt] = [const { Vec::new() }; 5];
    for _ in 0..21 {
        parse.push(timed(|| {
            assert_eq!(Status::parse(text.as_bytes()).expect("parse").packages.len(), packages)
        }));
        check.push(timed(|| assert!(black_box(broken(text)) < packages * 10)));
        dctrl.push(timed(|| {
            quietly(
                Command::new("grep-dctrl")
                    .args(["-n", "-s", "Package,Version", "-FStatus", "installed"])
                    .arg(file),
            )
        }));
        python.push(python_apt(file));
        apt.push(timed(|| quietly(&mut apt_check(file))));
    }
    println!("{packages} packages, {} kB, {} relations broken; medians", text.len() / 1000, broken(text));
    let (parse, check) = (median(parse), median(check));
    row("status read", parse, parse);
    row("  grep-dctrl (a process)", median(dctrl), parse);
    row("  python3-apt's TagFile", median(python), parse);
    row("read, relations and broken", check, check);
    row("  apt-get check (a process)", median(apt), check);
}

fn row(name: &str, time: Duration, ours: Duration) {
    let ratio = time.as_secs_f64() / ours.as_secs_f64();
    println!("{name:28} {:8.3} ms {ratio:7.1} x", time.as_secs_f64() * 1e3);
}

/// Packages with all they depend on, first alternatives first, as dpkg would list them.
fn installed(count: usize) -> String {
    let archive = archive::archive();
    let mut names = HashSet::new();
    let mut set = Vec::new();
    // Spread over the whole list; the essential ones first, for that is where most of it ends.
    let essential =
        (0..archive.packages.len()).filter(|at| archive.packages[*at].fields.contains(&("Essential", "yes")));
    let mut queue: Vec<usize> = (0..archive.packages.len()).step_by(97).collect();
    queue.extend(essential);
    while let Some(at) = queue.pop() {
        let package = &archive.packages[at];
        if set.len() == count || !names.insert(package.name) {
            continue;
        }
        set.push(package);
        for (field, value) in package.fields.iter().filter(|(name, _)| name.ends_with("Depends")) {
            let mut first = true;
            for (name, last) in archive::relations(field, value) {
                queue.extend(archive.find(name).filter(|_| first));
                first = last;
            }
        }
    }
    set.sort_by_key(|package| package.name);
    set.iter().map(|package| format!("{}\nStatus: install ok installed\n\n", package.text)).collect()
}

fn apt_check(file: &Path) -> Command {
    let lists = file.with_file_name("lists");
    let mut apt = Command::new("apt-get");
    apt.arg("check");
    for option in [
        format!("Dir::State::status={}", file.display()),
        format!("Dir::State::Lists={}", lists.display()),
        "Dir::State::extended_states=/dev/null".into(),
        "Dir::Etc::sourcelist=/dev/null".into(),
        "Dir::Etc::sourceparts=/dev/null".into(),
        "Dir::Cache::pkgcache=".into(),
        "Dir::Cache::srcpkgcache=".into(),
        "Debug::NoLocking=yes".into(),
    ] {
        apt.args(["-o", &option]);
    }
    apt
}

/// Once through all paragraphs, taking what our reader takes; Python's own start is not counted.
fn python_apt(file: &Path) -> Duration {
    const READ: &str = "import apt_pkg, sys, time
start = time.perf_counter()
for section in apt_pkg.TagFile(open(sys.argv[1])):
    for name in ('Package', 'Architecture', 'Version', 'Status', 'Essential', 'Multi-Arch'):
        section.get(name)
print(time.perf_counter() - start)";
    let answer = Command::new("/usr/bin/python3").args(["-c", READ]).arg(file).output().expect("run python3");
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    Duration::from_secs_f64(text.trim().parse().expect("python3-apt: apt-get install python3-apt"))
}

/// Whatever it says: some of what real packages need is not among the first so many.
fn quietly(command: &mut Command) {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
