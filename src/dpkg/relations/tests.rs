//! Fields as packages have them, and broken ones.

use super::*;

fn read(kind: Kind, raw: &str) -> Result<Vec<Alternative<'_>>, String> {
    let field = Field { name: kind.name().as_bytes(), raw: raw.as_bytes(), line: 7 };
    assert_eq!(Kind::of(&field), Some(kind));
    Relations::new(kind, &field).collect::<Result<_, _>>().map_err(|e| e.to_string())
}

#[test]
fn what_a_field_says() {
    let found = read(Kind::Depends, " a:any (>= 1:2-3) | b,\n c:i386").unwrap();
    assert_eq!(
        found,
        [
            Alternative {
                name: "a",
                architecture: Some("any"),
                version: Some((Operator::LaterOrEqual, "1:2-3")),
                last: false
            },
            Alternative { name: "b", architecture: None, version: None, last: true },
            Alternative { name: "c", architecture: Some("i386"), version: None, last: true },
        ]
    );
    assert!(read(Kind::Depends, " ").unwrap().is_empty());
    assert!(read(Kind::Provides, "").unwrap().is_empty());
}

#[test]
fn it_is_written_as_dpkg_writes_it() {
    for (raw, wanted) in [
        ("a", "a"),
        (" a(>=1)|b , c ", "a (>= 1) | b, c"),
        (
            "a (< 1), a(> 1), a (1), a(=1), a (<<1), a( >>  1 )",
            "a (<= 1), a (>= 1), a (= 1), a (= 1), a (<< 1), a (>> 1)",
        ),
        ("a:any(<=1)\n ,\tb", "a:any (<= 1), b"),
        (
            "a (= 0:1-0), a (= 00:1), a (= 012:1), a (= 0:1:2), a (= x:1)",
            "a (= 1-0), a (= 1), a (= 12:1), a (= 0:1:2), a (= x:1)",
        ),
    ] {
        let found = text(&read(Kind::Depends, raw).unwrap());
        assert_eq!(found, wanted, "{raw:?}");
        assert_eq!(text(&read(Kind::Depends, &found).unwrap()), wanted, "once more");
    }
}

#[test]
fn broken_fields_say_where_and_what() {
    for (kind, raw, wanted) in [
        (Kind::Depends, "\n a", "line 7: expected a package name, found \"\""),
        (Kind::Depends, "a,", "line 7: expected a package name, found \"\""),
        (Kind::Depends, "a,\n | b", "line 8: expected a package name, found \"\""),
        (Kind::Depends, "a, ../b", "line 7: expected a package name, found \"../b\""),
        (Kind::Depends, "a:", "line 7: expected an architecture, found \"\""),
        (Kind::Depends, "a:b:c", "line 7: expected an architecture, found \"b:c\""),
        (Kind::Depends, "a b", "line 7: expected a comma behind a package, found \"b\""),
        (Kind::Depends, "a [i386]", "line 7: expected a comma behind a package, found \"[i386]\""),
        (Kind::Depends, "a (>= 1", "line 7: expected a parenthesis behind the version, found the end"),
        (Kind::Depends, "a (>= 1 2)", "line 7: expected a parenthesis behind the version, found \"2)\""),
        (Kind::Depends, "a\n (>=\n )", "line 9: expected a version, found \"\""),
        (Kind::Depends, "a (<> 1)", "line 7: expected one of << <= = >= >>, found \"<> 1)\""),
        (Kind::Breaks, "a | b", "line 7: expected no alternatives in this field, found \"| b\""),
    ] {
        assert_eq!(read(kind, raw).unwrap_err(), wanted, "{raw:?}");
    }
    let field = Field { name: b"Depends", raw: b"a b, c", line: 1 };
    assert_eq!(Relations::new(Kind::Depends, &field).count(), 1, "nothing comes after an error");
}

#[test]
fn fields_are_known_by_their_names() {
    for kind in Kind::ALL {
        for name in [kind.name().to_owned(), kind.name().to_uppercase(), kind.name().to_lowercase()] {
            assert_eq!(Kind::of(&Field { name: name.as_bytes(), raw: b"", line: 1 }), Some(kind));
        }
    }
    for other in ["", "Version", "Pre.Depends", "Essential", "Protected", "Conffiles", "Recommendz"] {
        assert_eq!(Kind::of(&Field { name: other.as_bytes(), raw: b"", line: 1 }), None, "{other}");
    }
}

#[test]
fn operators_compare_as_versions_do() {
    use Operator::*;
    for (operator, earlier, same, later) in [
        (Earlier, true, false, false),
        (EarlierOrEqual, true, true, false),
        (Equal, false, true, false),
        (LaterOrEqual, false, true, true),
        (Later, false, false, true),
    ] {
        assert_eq!(operator.holds("1~rc1", "1"), earlier);
        assert_eq!(operator.holds("0:1-0", "1"), same);
        assert_eq!(operator.holds("1:0", "1"), later);
    }
}
