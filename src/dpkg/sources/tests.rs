use super::*;

fn shown(source: &Source) -> String {
    let text = |words: &[Cow<[u8]>]| {
        words.iter().map(|w| String::from_utf8_lossy(w).into_owned()).collect::<Vec<_>>().join(" ")
    };
    let types: Vec<_> =
        source.types.iter().map(|t| if *t == Type::Deb { "deb" } else { "deb-src" }).collect();
    let suites: Vec<_> = source.suites.iter().map(|s| s.name.clone()).collect();
    let signed = match &source.signed_by {
        None => String::new(),
        Some(SignedBy::Keys(keys)) => format!("|{}", text(keys)),
        Some(SignedBy::Block(block)) => format!("|{:?}", String::from_utf8_lossy(block)),
    };
    let off = if source.enabled { "" } else { "off " };
    let (uris, suites, components) = (text(&source.uris), text(&suites), text(&source.components));
    format!("{} {off}{}|{uris}|{suites}|{components}{signed}", source.line, types.join(" "))
}

fn read(text: &str, style: Style) -> Result<Vec<String>, String> {
    parse(text.as_bytes(), style).map(|found| found.iter().map(shown).collect()).map_err(|e| e.to_string())
}

#[test]
fn lines() {
    let text = "# See sources.list(5)\n\ndeb http://a/debian trixie main contrib\t# comment\r\n\
        \t deb-src [ arch=amd64  signed-by=/k/a.gpg,/k/b.gpg ] http://a/ ./\n\
        # deb http://b/ sid main\n#deb-src [signed-by=AB12] http://b/ sid main # really\n\
        deb [signed-by=\"/k/with blank.gpg\" x=#] \"http://c/with blank/\" stable/%6dain %22main%22\ndeb cdrom:[Debian 13]/ trixie main";
    assert_eq!(
        read(text, Style::OneLine).unwrap(),
        [
            "3 deb|http://a/debian|trixie|main contrib",
            "4 deb-src|http://a/|./||/k/a.gpg /k/b.gpg",
            "5 off deb|http://b/|sid|main",
            "6 off deb-src|http://b/|sid|main|AB12",
            "7 deb|http://c/with blank/|stable/main|\"main\"|/k/with blank.gpg",
            "8 deb|cdrom:[Debian 13]/|trixie|main",
        ]
    );
    assert!(read("", Style::OneLine).unwrap().is_empty());
    for bad in [
        "deb",
        "deb ",
        "rpm http://a/ b c",
        "deb http://a/",
        "deb http://a/ b",
        "deb http://a/ ./ c",
        "deb a b c",
        "deb \"\" b c",
        "deb [ http://a/ b c",
        "deb [x] http://a/ b c",
        "deb [abc] http://a/ b c",
        "deb [=ab] http://a/ b c",
        "deb [ab=] http://a/ b c",
        "deb [a=b",
        "deb [x=y] [ab=c%5d http://a/ b c",
        "deb [ab=c%5d http://a/ b c",
        "deb \"http://a/ b c",
        "deb http://a[ b c",
    ] {
        assert!(
            read(&format!("\n{bad}\n"), Style::OneLine).is_err_and(|e| e.starts_with("line 2:")),
            "{bad:?}"
        );
        assert_eq!(read(&format!("# {bad}"), Style::OneLine).unwrap(), [""; 0], "{bad:?}");
    }
}

#[test]
fn stanzas() {
    let text = "# x\nTypes: deb deb-src\nURIs: http://a/debian\n http://b/debian\nSuites: trixie\n# no: sid\n trixie-updates\n\
        Components: main\nSigned-By: /k/a.gpg,\n AB12\n\nTypes: deb\nURIs: http://c/\nSuites: ./\nEnabled: No\nSigned-By:\n \
        -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n  mQ==\n -----END PGP PUBLIC KEY BLOCK-----\n\nTypes: deb\nEnabled: 00";
    assert_eq!(
        read(text, Style::Deb822).unwrap(),
        [
            "2 deb deb-src|http://a/debian http://b/debian|trixie trixie-updates|main|/k/a.gpg AB12",
            "12 off deb|http://c/|./||\"-----BEGIN PGP PUBLIC KEY BLOCK-----\\n\\nmQ==\\n-----END PGP PUBLIC KEY BLOCK-----\\n\"",
            "22 off deb|||",
        ]
    );
    const GOOD: &str = "Types: deb\nURIs: http://a/\nSuites: s\nComponents: c\n";
    for (old, new) in [
        ("Types: deb\n", ""),
        ("deb", "rpm"),
        ("http://a/", ""),
        ("http://a/", "a"),
        (" s\n", "\n"),
        (" c\n", "\n"),
        (" s\n", " s/\n"),
        (" s\n", " s t/\n"),
        ("URIs", "URI"),
        ("URIs:", "URIs"),
    ] {
        let text = format!("\n{}", GOOD.replacen(old, new, 1));
        assert!(read(&text, Style::Deb822).is_err_and(|e| e.starts_with("line ")), "{text:?}");
    }
    assert!(read(&GOOD.replace("deb", ""), Style::Deb822).is_ok());
}

#[test]
fn only_the_word_of_a_suite_is_changed() {
    let newer = |source: &Source, suite: &[u8]| {
        let debian = source.uris.iter().any(|uri| uri.ends_with(b"/debian"));
        let rest = suite.strip_prefix(b"bookworm").filter(|_| debian)?;
        Some([b"trixie", rest].concat())
    };
    let text = b"# bookworm\n deb [a=b]  http://bookworm/debian\tbookworm-updates  bookworm #x\n\n#deb http://a/debian \"bookworm\" main\ndeb http://b/ bookworm main";
    let wanted = b"# bookworm\n deb [a=b]  http://bookworm/debian\ttrixie-updates  bookworm #x\n\n#deb http://a/debian trixie main\ndeb http://b/ bookworm main";
    assert_eq!(with_suites(text, Style::OneLine, newer).unwrap(), wanted);
    assert_eq!(with_suites(text, Style::OneLine, |_, _| None).unwrap(), text);
    let text = b"Types: deb\nURIs: http://a/debian\nSuites: bookworm\n# bookworm\n  sid bookworm-updates \nComponents: bookworm\n";
    let wanted = b"Types: deb\nURIs: http://a/debian\nSuites: trixie\n# bookworm\n  sid trixie-updates \nComponents: bookworm\n";
    assert_eq!(with_suites(text, Style::Deb822, newer).unwrap(), wanted);
}

#[test]
fn apt_reads_files_by_their_names() {
    for (name, wanted) in [
        ("debian.sources", Some(Style::Deb822)),
        ("a_b-c:d.e.list", Some(Style::OneLine)),
        ("x.list.save", None),
        ("x", None),
        (".x.list", None),
        ("x.list~", None),
        ("a b.list", None),
        ("list", None),
        ("x.list.", None),
        ("", None),
    ] {
        assert_eq!(style(name.as_bytes()), wanted, "{name:?}");
    }
}
