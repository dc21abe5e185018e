//! What dpkg says of versions and of relations.

use std::cmp::Ordering;
use std::io::Write;
use std::process::{Command, Stdio};

use flipper_profiles::dpkg::version::compare;

const NO_DPKG: &str = "these tests ask dpkg itself: apt-get install dpkg";

/// The pairs of which dpkg says something else than we, as `a OPERATOR b` with our operator. One process
/// for each pair, on two processors.
pub fn disagrees(pairs: &[(String, String)]) -> Vec<String> {
    const ASK: &str = r#"asked=0; while [ $# -gt 0 ]; do
        dpkg --compare-versions "$1" "$2" "$3" || echo "$1 $2 $3"; asked=$((asked + 1)); shift 3
    done; echo "asked $asked""#;
    let mut xargs = Command::new("xargs");
    xargs.args(["-0", "-n", "600", "-P", "2", "sh", "-c", ASK, "sh"]);
    let mut xargs = xargs.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("run xargs");
    let mut input = xargs.stdin.take().expect("a pipe");
    let mut triples = Vec::new();
    for (a, b) in pairs {
        let operator = match compare(a, b) {
            Ordering::Less => "lt",
            Ordering::Equal => "eq",
            Ordering::Greater => "gt",
        };
        triples.extend(format!("{a}\0{operator}\0{b}\0").bytes());
    }
    // What differs is little: writing everything first cannot block.
    input.write_all(&triples).expect("write to xargs");
    drop(input);
    let output = xargs.wait_with_output().expect("wait for xargs");
    assert!(output.status.success(), "{NO_DPKG}: {}", output.status);
    let answers = String::from_utf8(output.stdout).expect("text");
    let (asked, other): (Vec<_>, Vec<_>) = answers.lines().partition(|line| line.starts_with("asked "));
    let asked: usize = asked.iter().map(|line| line[6..].parse::<usize>().expect("a number")).sum();
    assert_eq!(asked, pairs.len(), "{NO_DPKG}");
    other.into_iter().map(str::to_owned).collect()
}

/// Each package with the named field as dpkg writes it; None when dpkg refuses the status.
pub fn written(status: &str, field: &str) -> Option<Vec<(String, String)>> {
    let admindir = tempfile::tempdir().expect("make a directory");
    for name in ["info", "updates", "triggers"] {
        std::fs::create_dir(admindir.path().join(name)).expect("make a directory");
    }
    std::fs::write(admindir.path().join("status"), status).expect("write a status");
    let format = format!("${{Package}}\t${{{field}}}\n");
    let mut query = Command::new("dpkg-query");
    query.arg("--admindir").arg(admindir.path()).args(["-W", "-f", &format]).env("LC_ALL", "C.UTF-8");
    let answer = query.output().expect(NO_DPKG);
    let complaint = String::from_utf8_lossy(&answer.stderr).into_owned();
    if complaint.contains("parsing file") && complaint.contains("error") {
        return None;
    }
    let text = String::from_utf8(answer.stdout).expect("text");
    let pair = |line: &str| line.split_once('\t').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a tab");
    Some(text.lines().map(pair).collect())
}
