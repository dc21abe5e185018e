//! The manual: every program has its page with all its sections, every verb an example, every example is
//! a command line the programs understand, and man(1) and mandoc(1) have nothing to say about a page.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::CommandFactory;
use flipper_profiles::commands::cli::{BaseProgram, ProfileProgram, Rescue, Undo};

#[path = "../debian/manual_pages.rs"]
mod man;

fn programs() -> Vec<clap::Command> {
    vec![Undo::command(), ProfileProgram::command(), BaseProgram::command(), Rescue::command()]
}

/// The verbs of a program (`flipper-profile journal rebuild`), or the program itself where it has none.
fn verbs(name: &str, command: &clap::Command, found: &mut Vec<(String, clap::Command)>) {
    if !command.has_subcommands() {
        return found.push((name.to_owned(), command.clone()));
    }
    for verb in command.get_subcommands() {
        verbs(&format!("{name} {}", verb.get_name()), verb, found);
    }
}

fn all_verbs() -> Vec<(String, clap::Command)> {
    let mut found = Vec::new();
    for program in programs() {
        verbs(program.get_name(), &program, &mut found);
    }
    assert!(found.len() > 20, "only {} verbs", found.len());
    found
}

/// The words of an example, up to the two blanks before its explanation. Quotes as in a shell, no more.
fn words(example: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    for (at, c) in example.char_indices() {
        match c {
            '"' => (quoted, begun) = (!quoted, true),
            ' ' if !quoted && example[at..].starts_with("  ") => break,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun && (!word.is_empty() || example.ends_with("\"\"") || example.contains("\"\"  ")) {
        words.push(word);
    }
    words
}

#[test]
fn every_verb_has_an_example_of_itself() {
    let mut without = Vec::new();
    for (name, verb) in all_verbs() {
        let verb_words: Vec<&str> = name.split(' ').collect();
        // `flipper-base --pool X import` is one of `flipper-base import` too.
        let of_it = |line: &String| {
            let words = words(line.trim());
            let mut wanted = verb_words.iter();
            let mut next = wanted.next();
            for word in &words {
                if next.is_some_and(|next| word == next) {
                    next = wanted.next();
                }
            }
            next.is_none()
        };
        if !man::examples(&verb).iter().any(of_it) {
            without.push(name);
        }
    }
    assert!(
        without.is_empty(),
        "no example: after_help = \"Examples:\\n  ...\" is missing in src/commands/cli.rs: {without:?}"
    );
}

#[test]
fn every_example_is_understood() {
    let mut commands = all_verbs();
    commands.extend(programs().into_iter().map(|program| (program.get_name().to_owned(), program)));
    let mut tried = 0;
    for (name, command) in commands {
        for line in man::examples(&command) {
            let words = words(line.trim());
            let Some(program) =
                programs().into_iter().find(|p| Some(p.get_name()) == words.first().map(String::as_str))
            else {
                // The explanation of the line above.
                assert!(line.starts_with("      "), "{name}: {line:?} is no command of ours");
                continue;
            };
            if let Err(error) = program.try_get_matches_from(&words) {
                panic!("{name}: {line:?}\n{error}");
            }
            tried += 1;
        }
    }
    assert!(tried > 40, "only {tried} examples");
}

#[test]
fn every_argument_is_explained() {
    for (name, verb) in all_verbs() {
        for argument in verb.get_arguments() {
            assert!(argument.get_help().is_some(), "{name}: {} has no help", argument.get_id());
        }
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(!about.is_empty() && !about.ends_with('.'), "{name}: {about:?}");
    }
}

/// Every page: ours from clap, and those written by hand. Written once, for tests that run side by side.
fn pages() -> &'static [PathBuf] {
    static PAGES: std::sync::OnceLock<Vec<PathBuf>> = std::sync::OnceLock::new();
    PAGES.get_or_init(write_pages)
}

fn write_pages() -> Vec<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("man");
    std::fs::create_dir_all(&dir).unwrap();
    let changelog = std::fs::read_to_string(top.join("debian/changelog")).unwrap();
    let date = man::release_date(&changelog).expect("a date in debian/changelog");
    assert_eq!((date.len(), &date[4..5]), (10, "-"), "{date}");
    let mut pages: Vec<PathBuf> = programs()
        .iter()
        .map(|program| {
            let path = dir.join(format!("{}.8", program.get_name()));
            std::fs::write(&path, man::page(program, &date).unwrap()).unwrap();
            path
        })
        .collect();
    let by_hand = std::fs::read_dir(top.join("debian/man")).unwrap().map(|item| item.unwrap().path());
    pages.extend(by_hand);
    assert!(pages.len() >= 6, "{pages:?}");
    pages
}

#[test]
fn every_page_has_its_sections() {
    for page in pages() {
        let text = std::fs::read_to_string(page).unwrap();
        for section in ["NAME", "DESCRIPTION", "EXAMPLES", "EXIT STATUS", "FILES", "SEE ALSO"] {
            let heading = format!(".SH {section}\n");
            let (_, body) =
                text.split_once(&heading).unwrap_or_else(|| panic!("{}: no {section}", page.display()));
            let body = body.split(".SH ").next().unwrap_or_default();
            assert!(
                body.lines().filter(|line| !line.starts_with(".nf") && !line.starts_with(".fi")).count() > 0,
                "{}: {section} is empty",
                page.display()
            );
        }
    }
}

/// What a tool says about a page, on both its outputs; nothing is right.
#[track_caller]
fn silent(command: &mut Command, package: &str) {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}: apt-get install {package}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.trim().is_empty(),
        "{command:?}\n{said}{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
fn man_and_mandoc_have_nothing_to_say() {
    for page in pages() {
        let mut man = Command::new("man");
        man.env("LC_ALL", "C.UTF-8").env("MANROFFSEQ", "").env("MANWIDTH", "80");
        silent(man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(page), "man-db");
        let mut mandoc = Command::new("mandoc");
        let output = mandoc.args(["-Tlint", "-Wwarning"]).arg(page).output();
        let output = output.unwrap_or_else(|e| panic!("mandoc: {e}: apt-get install mandoc"));
        assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
