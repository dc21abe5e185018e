//! Mutation by a seed, so that a case can be had again; the bounds; and what is said of a failure.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Mutex, Once};
use std::time::Duration;

use nix::libc;

/// One parser (or several that read the same files).
pub struct Target {
    pub name: &'static str,
    /// Good input, and what once was found bad.
    pub corpus: Vec<Vec<u8>>,
    /// What this format is made of.
    pub pieces: &'static [&'static str],
    /// Reads it and asserts what must hold whatever it is.
    pub read: fn(&[u8]),
}

/// Made-up input is at most this long.
const LONGEST: usize = 64 << 10;
/// Of one case, in CPU time of its thread: no clock on the wall, which other programs and a stopped
/// machine move. A thousand times what the slowest takes.
const MOST_CPU: Duration = Duration::from_secs(10);
/// For eight times the input: a sort takes 10 times as long, two nested loops 64 times.
const MOST_GROWTH: f64 = 24.0;
const SHORT_CASES: u64 = 400;

/// SplitMix64: small, and good enough to choose places.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to below `end`; 0 when that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }

    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Runs a target in the form that is asked for.
pub fn fuzz(target: Target) {
    if let Ok(path) = std::env::var("FLIPPER_FUZZ_INPUT") {
        return (target.read)(&std::fs::read(path).expect("the input"));
    }
    for bytes in &target.corpus {
        run(&target, bytes, "the corpus itself");
    }
    let long = std::env::var("FLIPPER_TESTS_LONG").as_deref() == Ok("yes");
    let given = std::env::var("FLIPPER_FUZZ_SEED").ok().and_then(|text| text.parse::<u64>().ok());
    let now = || {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_nanos() as u64
    };
    let seed = given.unwrap_or_else(|| if long { now() } else { 1 });
    let seconds = std::env::var("FLIPPER_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    let (begun, mut cases) = (cpu(), 0);
    while if long { cpu() - begun < Duration::from_secs(seconds) } else { cases < SHORT_CASES } {
        let mut random = Random::new(seed ^ cases.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let bytes = made_up(&target, &mut random);
        run(&target, &bytes, &format!("seed {seed}, case {cases}"));
        cases += 1;
    }
    let patterns = grows_with_its_input(&target, seed, if long { 400 } else { 12 });
    println!("fuzz {}: {cases} cases and {patterns} patterns held, seed {seed}", target.name);
}

fn made_up(target: &Target, random: &mut Random) -> Vec<u8> {
    let mut bytes = match random.below(20) {
        0 => (0..random.below(300)).map(|_| random.next() as u8).collect(),
        1 => (0..random.below(60)).flat_map(|_| random.one(target.pieces).bytes()).collect(),
        _ => random.one(&target.corpus).clone(),
    };
    for _ in 0..1 + random.below(6) {
        change(&mut bytes, target, random);
        bytes.truncate(LONGEST);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, target: &Target, random: &mut Random) {
    const NUMBERS: [&str; 10] = [
        "0",
        "-1",
        "00",
        "1e999",
        "4294967297",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "3.5",
    ];
    const BYTES: [&[u8]; 10] =
        [b"\0", b"\xff", b"\xc3\x28", b"\n", b" ", b"\x1b[31m", b"\xe2\x80\xae", b"\r", b"\\", b"/../"];
    let at = random.below(bytes.len() + 1);
    let end = (at + random.below(1 + 64.min(bytes.len() - at))).min(bytes.len());
    let replace = |bytes: &mut Vec<u8>, with: &[u8]| drop(bytes.splice(at..end, with.iter().copied()));
    match random.below(11) {
        0 => replace(bytes, random.one(target.pieces).as_bytes()),
        1 => drop(bytes.splice(at..at, random.one(target.pieces).bytes())),
        2 => replace(bytes, b""),
        3 => replace(bytes, random.one::<&[u8]>(&BYTES)),
        4 => replace(bytes, random.one(&NUMBERS).as_bytes()),
        5 => bytes.truncate(at),
        6 => bytes[at..end].iter_mut().for_each(|byte| *byte ^= 1 << (random.next() % 8)),
        7 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
        8 => {
            let other = random.one(&target.corpus);
            let (from, length) = (random.below(other.len() + 1), random.below(2000));
            replace(bytes, &other[from..(from + length).min(other.len())]);
        }
        9 => replace(bytes, &random.one(target.pieces).repeat(1 + random.below(300)).into_bytes()),
        _ => {
            let mut lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
            let (a, b) = (random.below(lines.len()), random.below(lines.len()));
            if !lines.is_empty() {
                lines.swap(a, b);
            }
            *bytes = lines.concat();
        }
    }
}

/// Quadratic work is a failure: a file of a few megabytes would hold apt up for minutes.
fn grows_with_its_input(target: &Target, seed: u64, pairs: u64) -> u64 {
    let mut random = Random::new(seed);
    let alone = target.pieces.iter().map(|piece| (String::new(), piece.to_string(), String::new()));
    let mixed = (0..pairs).map(|_| {
        let head = String::from_utf8_lossy(random.one::<Vec<u8>>(&target.corpus))
            .chars()
            .take(random.below(300))
            .collect();
        let one = format!("{}{}", random.one(target.pieces), random.one(target.pieces));
        (head, one, random.one(target.pieces).to_string())
    });
    let patterns: Vec<(String, String, String)> = alone.chain(mixed).collect();
    for (head, piece, tail) in &patterns {
        let input =
            |size: usize| [head.clone(), piece.repeat(size / piece.len().max(1)), tail.clone()].concat();
        let (small, large) = (input(LONGEST / 2), input(LONGEST * 4));
        let least = |bytes: &str, times: usize| {
            (0..times).map(|_| run(target, bytes.as_bytes(), "a pattern")).min().expect("one run")
        };
        if least(&large, 1) < Duration::from_millis(30) {
            continue;
        }
        let (short, long) = (least(&small, 5), least(&large, 3));
        let growth = long.as_secs_f64() / short.as_secs_f64().max(1e-6);
        assert!(
            growth < MOST_GROWTH,
            "{}: eight times the input takes {growth:.0} times as long ({short:?}, {long:?}): {head:?} {piece:?}... {tail:?}",
            target.name
        );
    }
    patterns.len() as u64
}

/// CPU time of this thread.
fn cpu() -> Duration {
    time_of(libc::CLOCK_THREAD_CPUTIME_ID).expect("the thread's own clock")
}

/// None when its thread has ended.
fn time_of(clock: libc::clockid_t) -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let there = unsafe { libc::clock_gettime(clock, &mut time) } == 0;
    there.then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

// ---- one case ---------------------------------------------------------------------------------------

thread_local! {
    /// Where and why the case of this thread panicked.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Reads one input. A panic or too much work ends the test, with the input cut down and saved.
fn run(target: &Target, bytes: &[u8], what: &str) -> Duration {
    watch(target, bytes);
    match attempt(target, bytes) {
        Ok(took) => took,
        Err(why) => {
            let small = cut_down(target, bytes);
            let saved = save(target, &small);
            panic!(
                "{} ({what}): {why}\n{} bytes, saved as {}:\n{}",
                target.name,
                small.len(),
                saved.display(),
                small[..small.len().min(2000)].escape_ascii()
            );
        }
    }
}

fn attempt(target: &Target, bytes: &[u8]) -> Result<Duration, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let ours =
                SAID.with_borrow_mut(|said| said.as_mut().map(|said| *said = info.to_string()).is_some());
            if !ours {
                loud(info);
            }
        }));
    });
    SAID.set(Some(String::new()));
    let begun = cpu();
    let ended = catch_unwind(AssertUnwindSafe(|| (target.read)(bytes)));
    let took = cpu() - begun;
    match (ended, SAID.take()) {
        (Err(_), said) => Err(said.unwrap_or_default()),
        (Ok(()), _) if took > MOST_CPU => Err(format!("it took {took:?}")),
        _ => Ok(took),
    }
}

/// Takes pieces out for as long as it still fails: what is left is easier to read.
fn cut_down(target: &Target, bytes: &[u8]) -> Vec<u8> {
    let mut small = bytes.to_vec();
    let mut size = small.len().div_ceil(2);
    let mut left = 400;
    while size > 0 && left > 0 {
        let mut at = 0;
        while at < small.len() && left > 0 {
            left -= 1;
            let mut fewer = small.clone();
            fewer.drain(at..(at + size).min(small.len()));
            match attempt(target, &fewer) {
                Err(_) => small = fewer,
                Ok(_) => at += size,
            }
        }
        size /= 2;
    }
    small
}

fn save(target: &Target, bytes: &[u8]) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    std::fs::create_dir_all(&dir).expect("a directory");
    let path = dir.join(format!("{}-{}", target.name, bytes.len()));
    std::fs::write(&path, bytes).expect("the input is saved");
    path
}

/// What each thread is reading, for the watch: a parser that never ends would say nothing.
type Watched = (libc::clockid_t, Duration, &'static str, Vec<u8>);
static WATCHED: Mutex<Vec<(std::thread::ThreadId, Watched)>> = Mutex::new(Vec::new());

fn watch(target: &Target, bytes: &[u8]) {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| drop(std::thread::spawn(keep_watch)));
    let mut clock = 0;
    unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) };
    let this = std::thread::current().id();
    let mut watched = WATCHED.lock().expect("nobody panics here");
    watched.retain(|(id, _)| *id != this);
    watched.push((this, (clock, cpu(), target.name, bytes.to_vec())));
}

fn keep_watch() {
    loop {
        std::thread::sleep(Duration::from_secs(5));
        for (_, (clock, begun, name, bytes)) in WATCHED.lock().expect("nobody panics here").iter() {
            if time_of(*clock).is_some_and(|now| now.saturating_sub(*begun) > MOST_CPU * 3) {
                println!("{name} does not end on:\n{}", bytes[..bytes.len().min(4000)].escape_ascii());
                std::process::exit(101);
            }
        }
    }
}
