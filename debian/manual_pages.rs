//! The manual pages, made from the definitions the programs read: one page a program, its verbs inside
//! (clap_mangen would refer to a page for each). Used by build.rs and by tests/manual.rs.

use std::io::Result;

use clap::Command;
use clap_mangen::Man;

/// What a program reads and writes beside the pool.
const FILES: [(&str, &str); 4] = [
    ("/etc/flipper/profiles.conf", "how package runs in this root are protected."),
    ("/run/flipper/booted", "which profile, root and base is mounted on /."),
    ("@journal/entries/", "in the pool: one file an entry. This is the truth."),
    ("@journal/pool.conf", "in the pool: its settings, lines of key=value."),
];

const ENVIRONMENT: [(&str, &str); 4] = [
    ("FLIPPER_POOL", "the pool, where \\-\\-pool is not given."),
    ("FLIPPER_LOG", "error, warn, info or debug: what is done, on standard error."),
    ("NO_COLOR", "no colours, on a terminal too."),
    ("COLUMNS", "the width of lists, in characters."),
];

const EXIT_STATUS: [(&str, &str); 5] = [
    ("0", "done, or nothing is wrong."),
    ("1", "done, and something wants attention."),
    ("2", "refused; nothing was changed."),
    ("3", "it could not be done."),
    ("64", "the command line was not understood."),
];

/// `flipper-profile.8`, whole. `date`: of the release, `2026-11-22`.
pub fn page(command: &Command, date: &str) -> Result<Vec<u8>> {
    let name = command.get_name().to_owned();
    let page = Man::new(command.clone());
    let mut text = format!(
        ".TH {} 8 \"{date}\" \"flipper-profiles\" \"flipper-profiles\"\n.ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n",
        name.to_uppercase().replace('-', "\\-")
    )
    .into_bytes();
    section(&mut text, |to| page.render_name_section(to))?;
    section(&mut text, |to| page.render_synopsis_section(to))?;
    section(&mut text, |to| page.render_description_section(to))?;
    section(&mut text, |to| page.render_options_section(to))?;
    if command.has_subcommands() {
        text.extend_from_slice(b".SH VERBS\n");
        verbs(&name, command, &mut text)?;
    }
    text.extend_from_slice(b".SH EXAMPLES\n");
    write_examples(command, &mut text);
    for (title, rows) in [("EXIT STATUS", &EXIT_STATUS[..]), ("ENVIRONMENT", &ENVIRONMENT), ("FILES", &FILES)]
    {
        text.extend(format!(".SH {title}\n").bytes());
        for (term, what) in rows {
            text.extend(format!(".TP\n.B {}\n{what}\n", term.replace('-', "\\-")).bytes());
        }
    }
    text.extend(see_also(&name).bytes());
    Ok(text)
}

fn see_also(name: &str) -> String {
    let programs = ["flipper-base", "flipper-profile", "flipper-rescue", "flipper-undo"];
    let others: Vec<String> = programs
        .iter()
        .filter(|program| **program != name)
        .map(|program| format!(".BR {} (8),\n", program.replace('-', "\\-")))
        .collect();
    format!(".SH SEE ALSO\n{}.BR flipper\\-profiles (7)\n", others.concat())
}

/// One `.SS` for each verb, with its own options: those of the program are told once, above.
fn verbs(program: &str, command: &Command, text: &mut Vec<u8>) -> Result<()> {
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let name = format!("{program} {}", verb.get_name());
        if verb.has_subcommands() {
            verbs(&name, verb, text)?;
            continue;
        }
        let own = verb.clone().bin_name(&name).disable_help_flag(true);
        let page = Man::new(own);
        text.extend_from_slice(format!(".SS {}\n", name.replace('-', "\\-")).as_bytes());
        without_heading(text, |to| page.render_synopsis_section(to))?;
        text.extend_from_slice(b".PP\n");
        without_heading(text, |to| page.render_description_section(to))?;
        if verb.get_arguments().any(|argument| !argument.is_global_set()) {
            without_heading(text, |to| page.render_options_section(to))?;
        }
        text.extend_from_slice(b".PP\nExamples:\n.PP\n");
        write_examples(verb, text);
    }
    Ok(())
}

/// The lines below `Examples:` of a command's help, up to the next empty line.
pub fn examples(command: &Command) -> Vec<String> {
    let help = command.get_after_long_help().or(command.get_after_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let lines = help.lines().skip_while(|line| line.trim() != "Examples:").skip(1);
    lines.take_while(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

fn write_examples(command: &Command, text: &mut Vec<u8>) {
    text.extend_from_slice(b".nf\n");
    for line in examples(command) {
        let line = line.strip_prefix("  ").unwrap_or(&line);
        text.extend(
            format!("\\&{}\n", line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq")).bytes(),
        );
    }
    text.extend_from_slice(b".fi\n");
}

/// clap_mangen writes the same preamble before every section; one is enough.
fn section(text: &mut Vec<u8>, render: impl FnOnce(&mut dyn std::io::Write) -> Result<()>) -> Result<()> {
    let mut written = Vec::new();
    render(&mut written)?;
    let preamble = |line: &&[u8]| line.starts_with(b".ie \\n(.g") || line.starts_with(b".el .ds Aq");
    // An empty line is a break of its own in roff, and a warning.
    let empty = |line: &&[u8]| line.trim_ascii() == b"";
    let lines = written.split_inclusive(|b| *b == b'\n').filter(|line| !preamble(line) && !empty(line));
    let mut last: &[u8] = b"";
    for line in lines {
        if line == b".br\n" && last == line {
            continue; // what was between them was empty
        }
        last = line;
        text.extend_from_slice(line.trim_ascii_end());
        text.push(b'\n');
    }
    Ok(())
}

fn without_heading(
    text: &mut Vec<u8>,
    render: impl FnOnce(&mut dyn std::io::Write) -> Result<()>,
) -> Result<()> {
    let mut written = Vec::new();
    section(&mut written, render)?;
    text.extend(written.split_inclusive(|b| *b == b'\n').filter(|line| !line.starts_with(b".SH ")).flatten());
    Ok(())
}

/// The date of the newest release: `... Sun, 22 Nov 2026 12:00:00 +0000` in debian/changelog.
pub fn release_date(changelog: &str) -> Option<String> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let line = changelog.lines().find(|line| line.starts_with(" -- "))?;
    let words: Vec<&str> = line.split_once(">  ")?.1.split_whitespace().collect();
    let month = MONTHS.iter().position(|month| Some(month) == words.get(2))? + 1;
    Some(format!("{}-{month:02}-{:0>2}", words.get(3)?, words.get(1)?))
}
