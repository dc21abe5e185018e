//! The house rules a machine can check: which room may import which, who prints, how long a file is.
//! It reads the text of src/, not the compiler's view: a forbidden arrow is found in code that is
//! compiled out, and in tests, too.

use std::fs;
use std::path::{Path, PathBuf};

const ROOMS: [&str; 5] = ["commands", "policy", "dpkg", "system", "model"];
const LONGEST_FILE: usize = 450;

/// What a room may import besides itself.
fn may_import(room: &str) -> &'static [&'static str] {
    match room {
        "commands" => &["policy", "dpkg", "system", "model"],
        "policy" => &["dpkg", "model"],
        "system" => &["model"],
        "dpkg" | "model" => &[],
        // A program is three lines that call its story.
        "bin" => &["commands"],
        _ => &[],
    }
}

/// Every Rust file below src/, as (path below src/, text).
fn sources(dir: &str) -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, top: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, top, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(top).unwrap().to_owned(), text));
            }
        }
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let mut found = Vec::new();
    walk(&top, &top, &mut found);
    found.sort();
    found
}

/// The text without comments and without what stands in strings and characters; lines stay lines.
fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let in_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        let length = if rest.starts_with(b"//") {
            rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            block_comment(rest)
        } else if let Some(length) = (!in_word).then(|| raw_string(rest)).flatten() {
            length
        } else if rest[0] == b'"' {
            quoted(rest)
        } else if let Some(length) = character(rest) {
            length
        } else {
            code.push(rest[0]);
            at += 1;
            continue;
        };
        // A blank keeps `a/**/b` two words; the line numbers stay.
        code.push(b' ');
        code.extend(rest[..length].iter().filter(|b| **b == b'\n'));
        at += length;
    }
    String::from_utf8(code).unwrap()
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (2, 1);
    while at < rest.len() && depth > 0 {
        match &rest[at..] {
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
            _ => at += 1,
        }
    }
    at.min(rest.len())
}

/// `r"..."`, `r#"..."#`, `br"..."`, `cr"..."`: the whole length, or None when it is none.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let prefix = if rest[0] == b'r' { 1 } else { usize::from(rest.get(1) == Some(&b'r')) * 2 };
    if prefix == 0 || (prefix == 2 && !matches!(rest[0], b'b' | b'c')) {
        return None;
    }
    let hashes = rest[prefix..].iter().take_while(|b| **b == b'#').count();
    let open = prefix + hashes;
    if rest.get(open) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = &rest[open + 1..];
    let end = body.windows(close.len()).position(|w| w == close).map(|p| p + close.len());
    Some(open + 1 + end.unwrap_or(body.len()))
}

fn quoted(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `'x'` or `'\n'`; None for a lifetime.
fn character(rest: &[u8]) -> Option<usize> {
    if rest[0] != b'\'' {
        return None;
    }
    if rest.get(1) == Some(&b'\\') {
        return rest[3..].iter().position(|b| *b == b'\'').map(|p| p + 4);
    }
    // One character is up to four bytes.
    (2..=5)
        .find(|at| rest.get(*at) == Some(&b'\''))
        .filter(|at| std::str::from_utf8(&rest[1..*at]).is_ok_and(|s| s.chars().count() == 1))
}

/// The first names of every path that begins at the crate: `crate::a::b`, `crate::{a::b, c}`,
/// `flipper_profiles::a`, and `super::super::a`, which is the same where it leaves the room. With the
/// line of each. `*` and `self` come as they are.
fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for root in ["crate", "flipper_profiles", "super::super"] {
        let squeezed = squeeze(code);
        let mut from = 0;
        while let Some(hit) = squeezed[from..].find(root).map(|p| p + from) {
            from = hit + root.len();
            let before = squeezed[..hit].chars().next_back();
            let inside_a_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
            let line = squeezed[..hit].matches('\n').count() + 1;
            let mut rest = &squeezed[from..];
            if !inside_a_word && (rest.starts_with(" as ") || rest.starts_with(";")) && root != "super::super"
            {
                found.push((line, format!("{root} under another name")));
            }
            while let Some(deeper) = rest.strip_prefix("::super") {
                rest = deeper;
            }
            let Some(path) = rest.strip_prefix("::").filter(|_| !inside_a_word) else { continue };
            let names = match path.strip_prefix('{') {
                Some(group) => group_heads(group),
                None => vec![word(path)],
            };
            let of_ours = |n: &String| root != "super::super" || ROOMS.contains(&n.as_str());
            found.extend(names.into_iter().filter(of_ours).map(|name| (line, name)));
        }
    }
    found.sort();
    found
}

/// No blanks around `::` and `{`, so that a path broken over lines is one path. A line break that
/// stood there moves behind it: line numbers stay right for what follows.
fn squeeze(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut owed = 0;
    let mut rest = code;
    while let Some(c) = rest.chars().next() {
        let blank = rest.len() - rest.trim_start().len();
        let next = rest.trim_start();
        let glued = next.starts_with("::") || out.ends_with("::") || out.ends_with('{');
        if blank > 0 && glued {
            owed += rest[..blank].matches('\n').count();
            rest = next;
            continue;
        }
        if c == '\n' {
            out.extend(std::iter::repeat_n('\n', owed));
            owed = 0;
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

fn word(text: &str) -> String {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    if end == 0 { text.chars().take(1).collect() } else { text[..end].to_owned() }
}

/// `a::{b, c}, d}` gives a, d: the first names at the outer level of a group, up to its end.
fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut heads) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let head = group[start..at].trim_start();
                if !head.is_empty() {
                    heads.push(word(head));
                }
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    heads
}

/// `commands` for commands/undo.rs; `lib.rs` for itself.
fn room_of(path: &Path) -> &str {
    path.iter().next().unwrap().to_str().unwrap()
}

fn arrows_against_the_rule(path: &Path, text: &str) -> Vec<String> {
    let room = room_of(path).trim_end_matches(".rs");
    imports(&code_only(text))
        .into_iter()
        .filter(|(_, name)| name != room && !may_import(room).contains(&name.as_str()))
        .map(|(line, name)| format!("src/{}:{line}: {room} -> {name}", path.display()))
        .collect()
}

/// Lines of code in which one of the words stands; a word that ends in `!(` is a macro's call.
fn lines_with(path: &Path, text: &str, words: &[&str]) -> Vec<String> {
    let code = code_only(text);
    let hit = |line: &str, word: &str| {
        line.match_indices(word)
            .any(|(at, _)| !line[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_'))
    };
    code.lines()
        .enumerate()
        .flat_map(|(at, line)| words.iter().filter(move |w| hit(line, w)).map(move |w| (at, *w)))
        .map(|(at, word)| format!("{}:{}: {word}", path.display(), at + 1))
        .collect()
}

fn none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn no_arrow_points_the_wrong_way() {
    let all = sources("src");
    assert!(all.len() > 10, "src/ was not found: only {} files", all.len());
    none(
        "a room imports what it may not know",
        all.iter().flat_map(|(path, text)| arrows_against_the_rule(path, text)).collect(),
    );
}

#[test]
fn only_the_report_prints() {
    let report = |path: &Path| path.to_str().is_some_and(|p| p.starts_with("commands/report"));
    let words = ["println!", "eprintln!", "print!", "eprint!"];
    none(
        "printing belongs into src/commands/report*",
        sources("src")
            .iter()
            .filter(|(path, _)| !report(path))
            .flat_map(|(path, text)| lines_with(path, text, &words))
            .collect(),
    );
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    // In two pieces, so that this file is not found by its own words.
    let words = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("dbg", "!("),
        concat!("#[", "ignore"),
    ];
    none(
        "unfinished",
        ["src", "tests"]
            .iter()
            .flat_map(|dir| sources(dir))
            .flat_map(|(path, text)| lines_with(&path, &text, &words))
            .collect(),
    );
}

#[test]
fn no_file_is_too_long_to_read() {
    none(
        "longer than 450 lines",
        sources("src")
            .iter()
            .filter(|(_, text)| text.lines().count() > LONGEST_FILE)
            .map(|(path, text)| format!("src/{}: {}", path.display(), text.lines().count()))
            .collect(),
    );
}

#[test]
fn no_module_is_a_drawer() {
    let drawer = |name: &str| ["utils", "util", "common", "helpers", "helper", "manager"].contains(&name);
    let by_path =
        |path: &Path| path.iter().any(|part| drawer(part.to_str().unwrap().trim_end_matches(".rs")));
    let inside = |text: &str| {
        let code = code_only(text);
        code.split("mod ").skip(1).any(|rest| drawer(&word(rest)))
    };
    none(
        "a module is named after what it is about",
        sources("src")
            .iter()
            .filter(|(path, text)| by_path(path) || inside(text))
            .map(|(path, _)| format!("src/{}", path.display()))
            .collect(),
    );
}

#[test]
fn the_checks_find_what_they_are_for() {
    let names = |room: &str, text: &str| -> Vec<String> {
        arrows_against_the_rule(Path::new(room), text)
            .into_iter()
            .map(|found| found.split_once(".rs:").unwrap().1.to_owned())
            .collect()
    };
    // Each way to write it, in a room that may know dpkg and model only.
    let wrong = "use crate::model::id;\n\
        use crate::system::pool;\n\
        use crate::{dpkg::status, commands::{cli, report}};\n\
        fn f() { crate :: system::x() }\n\
        use super::super::system;\n\
        pub(crate) fn g<'a>(c: char) -> bool { c == '\"' && crate::system::h() }\n\
        use crate::{\n    model,\n    system,\n};\n\
        use crate as ours;\n\
        fn k() { flipper_profiles::commands::l() }\n";
    assert_eq!(
        names("policy/check.rs", wrong),
        [
            "2: policy -> system",
            "3: policy -> commands",
            "4: policy -> system",
            "5: policy -> system",
            "6: policy -> system",
            "7: policy -> system",
            "11: policy -> crate under another name",
            "12: policy -> commands",
        ]
    );
    // What only looks like one.
    let right = "//! use crate::system::x;\n/* crate::system /* nested */ crate::commands */\n\
        const A: &str = \"crate::system \\\" println!\";\nconst B: &str = r#\"crate::system\"#;\n\
        use super::other;\nuse mycrate::system::x;\nfn f<'a>(x: &'a str) -> &'a str { x }\n";
    assert_eq!(names("policy/check.rs", right), [""; 0]);
    assert_eq!(names("dpkg/mod.rs", "use crate::model::id;\n"), ["1: dpkg -> model"]);
    assert_eq!(names("system/pool.rs", "use crate::policy;\n"), ["1: system -> policy"]);
    assert_eq!(names("commands/undo.rs", "use crate::{policy, dpkg, system, model};\n"), [""; 0]);

    let printing =
        "fn f() {\n    // println!(1)\n    println!(\"{}\", 1);\n    eprintln!(\"print!(x)\");\n}\n";
    let found = lines_with(Path::new("x.rs"), printing, &["println!", "eprintln!", "print!", "eprint!"]);
    assert_eq!(found, ["x.rs:3: println!", "x.rs:4: eprintln!"]);
    let unfinished = concat!("#[", "ignore]\nfn f() { todo", "!() }\n");
    assert_eq!(
        lines_with(Path::new("x.rs"), unfinished, &[concat!("todo", "!("), concat!("#[", "ignore")]).len(),
        2
    );
}
