//! How long apt waits for us to read what is installed: 900 packages made of this machine's own
//! paragraphs, next to what else could read them. Run with `cargo bench --bench status`.
//! The target is 1 ms; the ratios matter more than the milliseconds.

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flipper_profiles::dpkg::Status;

const PACKAGES: usize = 900;

fn main() {
    let real = std::fs::read("/var/lib/dpkg/status").expect("read /var/lib/dpkg/status");
    let text = nine_hundred(&real);
    let place = tempfile::tempdir().expect("make a directory");
    std::fs::write(place.path().join("status"), &text).expect("write the status");

    let ours = median(201, || {
        let status = Status::parse(black_box(&text)).expect("parse");
        assert_eq!(black_box(&status).packages.len(), PACKAGES);
    });
    let with_conffiles = median(201, || {
        let status = Status::parse(black_box(&text)).expect("parse");
        let count = |p: &flipper_profiles::dpkg::status::Package| p.conffiles().expect("conffiles").len();
        black_box(status.packages.iter().map(count).sum::<usize>());
    });
    let borrowed = std::str::from_utf8(&text).expect("UTF-8, for deb822-fast");
    let fast = median(51, || {
        black_box(deb822_fast::borrowed::parse_borrowed(black_box(borrowed)).expect("deb822-fast").len());
    });
    let query = median(21, || {
        let admindir = format!("--admindir={}", place.path().display());
        let run = Command::new("dpkg-query").arg(admindir).arg("-W").stdout(Stdio::null()).status();
        assert!(run.expect("run dpkg-query").success());
    });

    println!("{PACKAGES} packages, {} kB; medians", text.len() / 1000);
    for (name, time) in [
        ("our status parser", ours),
        ("with all conffiles", with_conffiles),
        ("deb822-fast, borrowed", fast),
        ("dpkg-query -W (a process)", query),
    ] {
        let ratio = time.as_secs_f64() / ours.as_secs_f64();
        println!("{name:26} {:8.3} ms {ratio:7.1} x", time.as_secs_f64() * 1e3);
    }
}

/// Real paragraphs, again and again under other names (so that none is there twice) or cut short.
fn nine_hundred(real: &[u8]) -> Vec<u8> {
    let status = Status::parse(real).expect("parse /var/lib/dpkg/status");
    let mut text = Vec::new();
    for (number, package) in status.packages.iter().cycle().take(PACKAGES).enumerate() {
        for field in package.fields() {
            text.extend_from_slice(field.name);
            text.push(b':');
            text.extend_from_slice(field.raw);
            if field.is("Package") && number >= status.packages.len() {
                text.extend_from_slice(format!("-{number}").as_bytes());
            }
            text.push(b'\n');
        }
        text.push(b'\n');
    }
    text
}

fn median(runs: usize, mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[runs / 2]
}
