//! /etc/shadow (shadow(5)), line by line and as bytes: a line nobody understands stays as it is.

/// The accounts that both texts have and whose password is not the same, in the order of `now`.
pub fn changed(then: &[u8], now: &[u8]) -> Vec<String> {
    let old = |name: &[u8]| fields(then).find(|f| f[0] == name).map(|f| f[1]);
    let differs = |f: &Vec<&[u8]>| old(f[0]).is_some_and(|password| password != f[1]);
    fields(now).filter(differs).filter_map(|f| String::from_utf8(f[0].to_vec()).ok()).collect()
}

/// `text` with the passwords that these accounts have in `now`, where it has them at all. The day of the
/// last change goes along: without it a new password could count as expired.
pub fn with_passwords(text: &[u8], now: &[u8], names: &[String]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|b| *b == b'\n') {
        let kept = split(line).filter(|f| names.iter().any(|name| name.as_bytes() == f[0]));
        let new = kept.and_then(|f| fields(now).find(|new| new[0] == f[0]));
        match (split(line), new) {
            (Some(mut fields), Some(new)) => {
                (fields[1], fields[2]) = (new[1], new[2]);
                out.extend(fields.join(&b':'));
                if line.ends_with(b"\n") {
                    out.push(b'\n');
                }
            }
            _ => out.extend(line),
        }
    }
    out
}

/// name, password, day of the last change, ...
fn split(line: &[u8]) -> Option<Vec<&[u8]>> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let fields: Vec<&[u8]> = line.split(|b| *b == b':').collect();
    (fields.len() >= 3 && !fields[0].is_empty()).then_some(fields)
}

fn fields(text: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    text.split(|b| *b == b'\n').filter_map(split)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEN: &[u8] = b"root:*:1:0:99999:7:::\nanna:$y$old:10:0:99999:7:::\nbob:!:5:0:::::\n";
    const NOW: &[u8] =
        b"root:*:1:0:99999:7:::\nbob:$y$bob:21:0:::::\nanna:$y$new:20:0:1:7:::\nnew:$y$x:1::::::";

    #[test]
    fn only_the_password_is_kept() {
        assert_eq!(changed(THEN, NOW), ["bob", "anna"]);
        assert_eq!(changed(THEN, THEN), Vec::<String>::new());
        let names = ["anna".to_owned(), "new".to_owned()];
        assert_eq!(
            with_passwords(THEN, NOW, &names),
            b"root:*:1:0:99999:7:::\nanna:$y$new:20:0:99999:7:::\nbob:!:5:0:::::\n"
        );
        assert_eq!(with_passwords(THEN, NOW, &[]), THEN);
    }

    #[test]
    fn what_is_no_shadow_stays_as_it_is() {
        let odd = b"\nanna\n:x:1\n\xff:\xfe:3:\nanna:a:b";
        assert_eq!(with_passwords(odd, b"", &["anna".into()]), odd);
        assert_eq!(with_passwords(odd, NOW, &["anna".into()]), b"\nanna\n:x:1\n\xff:\xfe:3:\nanna:$y$new:20");
        assert_eq!(changed(odd, b"\xff:other:3:\n"), Vec::<String>::new(), "a name that is no text");
    }
}
