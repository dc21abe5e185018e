//! Streams as apt writes them, one row a case, and broken ones with the line they are broken in.

use super::*;

const HEAD: &str = "VERSION 3\nAPT::Architecture=amd64\nDPkg::Pre-Invoke::=a%3db\n\
    commandline::asstring=apt%20install%20./my%20d%c3%a9b%20100%\nAPT::History::Comment=caf%C3%A9%0aline\n\n";

fn actions(lines: &str) -> Result<Vec<String>, String> {
    let stream = parse(lines.as_bytes()).map_err(|e| e.to_string())?;
    let or = |text: &Option<String>| text.clone().unwrap_or("-".into());
    let show = |a: &HookAction| {
        let what = match &a.what {
            What::Unpack(path) => String::from_utf8_lossy(path).into_owned(),
            other => format!("{other:?}"),
        };
        let (old, new) = (or(&a.old_version), or(&a.new_version));
        let (from, to) = (or(&a.old_arch), or(&a.new_arch));
        format!("{} {old} {from} {:?} {new} {to} {what}", a.package, a.direction)
    };
    Ok(stream.actions.iter().map(show).collect())
}

#[test]
fn the_settings_people_want_to_see() {
    let stream = parse(HEAD.as_bytes()).unwrap();
    assert_eq!(stream.version, 3);
    assert_eq!(stream.command_line.as_deref(), Some("apt install ./my d\u{e9}b 100%"));
    assert_eq!(stream.comment.as_deref(), Some("caf\u{e9}\nline"));
    assert!(stream.actions.is_empty());
}

#[test]
fn one_line_of_each_kind() {
    let v3 = |line: &str| format!("{HEAD}{line}\n");
    for (text, wanted) in [
        (v3("a - - none < 1 amd64 same /p/a.deb"), "a - - Upgrade 1 amd64 /p/a.deb"),
        (v3("a 1 all foreign < 2 amd64 none /p/x y=z.deb"), "a 1 all Upgrade 2 amd64 /p/x y=z.deb"),
        (v3("a 1 all none = 1 all none /p/a.deb"), "a 1 all Same 1 all /p/a.deb"),
        (v3("a 1 all none < 2 all none **CONFIGURE**"), "a 1 all Upgrade 2 all Configure"),
        (v3("a 1 all none > - - none **REMOVE**"), "a 1 all Downgrade - - Remove"),
        ("VERSION 2\n\na 1:1 < 2 /p/a b.deb\n".into(), "a 1:1 - Upgrade 2 - /p/a b.deb"),
        ("VERSION 2\n\na 2 > - **REMOVE**\n".into(), "a 2 - Downgrade - - Remove"),
        ("/p/a_1%3a2-3_all.deb\n".into(), "a - - Upgrade 1:2-3 all /p/a_1%3a2-3_all.deb"),
        ("/p/my-own.deb\n".into(), "my-own - - Upgrade - - /p/my-own.deb"),
    ] {
        assert_eq!(actions(&text).unwrap(), [wanted], "{text:?}");
    }
    assert!(actions("").unwrap().is_empty());
}

#[test]
fn broken_streams_name_their_line() {
    let v2 = |line: &str| format!("VERSION 2\nA=b\n\n{line}\n");
    for (text, wanted) in [
        ("VERSION 4\n\n".into(), "line 1: expected VERSION 2 or VERSION 3, found \"VERSION 4\""),
        ("VERSION 3\nA=b\n".into(), "line 3: expected an empty line behind the configuration, found the end"),
        ("VERSION 3\nA=b".into(), "line 2: expected a newline behind the last line, found the end"),
        ("VERSION 3\nAb\n\n".into(), "line 2: expected a setting and its value, found \"Ab\""),
        (v2("a 1 < 2"), "line 4: expected an action of 5 words, found \"a 1 < 2\""),
        (v2("a/b 1 < 2 /p"), "line 4: expected a package name, found \"a/b\""),
        (v2("a 1 ? 2 /p"), "line 4: expected <, > or =, found \"?\""),
        (
            v2("a 1 < 2 **ERROR**"),
            "line 4: expected a path, **CONFIGURE** or **REMOVE**, found \"**ERROR**\"",
        ),
        ("a.deb\n".into(), "line 1: expected the path of a .deb, found \"a.deb\""),
        ("/p/_.deb\n".into(), "line 1: expected a package name, found \"\""),
    ] {
        assert_eq!(actions(&text).unwrap_err(), wanted, "{text:?}");
    }
}
