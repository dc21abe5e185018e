//! What a newer program wrote into a JSON file survives an older one that writes the file again
//! (house rule 13). Fields at the top of an entry or a profile are kept by their own `more`; this is for
//! what lies deeper (a new field of one change of an entry) and costs our types nothing.
//!
//! What a type does not know is found by reading the old text as that type and writing it again: the
//! difference is what nobody here would have written.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// `now` as JSON, with everything of `old` (an earlier text of the same thing, as a `Then`) that `Then`
/// does not know. An old text that cannot be read adds nothing.
pub fn with_unknown<Then: Serialize + DeserializeOwned>(old: &[u8], now: Value) -> Value {
    let mut now = now;
    let known = serde_json::from_slice::<Then>(old).and_then(|then| serde_json::to_value(then));
    if let (Ok(old), Ok(known)) = (serde_json::from_slice::<Value>(old), known) {
        add(&old, &known, &mut now);
    }
    now
}

fn add(old: &Value, known: &Value, now: &mut Value) {
    if old == known {
        return;
    }
    match (old, known, now) {
        (Value::Object(old), Value::Object(known), Value::Object(now)) => {
            for (key, value) in old {
                match (known.get(key), now.get_mut(key)) {
                    (Some(known), Some(now)) => add(value, known, now),
                    (None, None) if !value.is_null() => drop(now.insert(key.clone(), value.clone())),
                    _ => {}
                }
            }
        }
        (Value::Array(old), Value::Array(known), Value::Array(now)) => {
            let mut places = BTreeMap::new();
            for value in now.iter_mut() {
                if let Some(package) = package(value) {
                    places.insert(package, value);
                }
            }
            // A type that passed over an element would put the others beside the wrong ones.
            for (old, known) in old.iter().zip(known).filter(|_| old.len() == known.len()) {
                if let Some(now) = package(known).and_then(|package| places.get_mut(&package)) {
                    add(old, known, now);
                }
            }
        }
        _ => {}
    }
}

/// The elements of our lists are packages: name and architecture.
fn package(value: &Value) -> Option<(String, String)> {
    let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
    Some((text("package")?, text("architecture")?))
}

#[cfg(test)]
mod tests {
    use super::super::Entry;
    use super::super::entry::Action;
    use super::*;

    #[test]
    fn what_lies_deep_is_kept_and_what_is_known_is_not_brought_back() {
        let old = r#"{"number":57,"kind":"packages","state":"open","started":"x","outcome":"gone","top":[1],
            "person":{"uid":0,"name":"root","seat":{"of":"honour"}},
            "changes":[{"package":"a","architecture":"all","action":"install","security":false,"size":7},
                       {"package":"b","architecture":"all","action":"fold","security":true,"size":8}]}"#;
        let mut entry: Entry = serde_json::from_str(old).unwrap();
        entry.outcome = None;
        entry.changes[1].security = false;
        entry.changes.swap(0, 1);
        assert_eq!(entry.changes[0].action, Action::from_word("fold"));
        let now = with_unknown::<Entry>(old.as_bytes(), serde_json::to_value(&entry).unwrap());
        assert_eq!(now["person"]["seat"]["of"], "honour");
        assert_eq!((&now["changes"][0]["size"], &now["changes"][1]["size"]), (&8.into(), &7.into()));
        assert_eq!(
            (&now["changes"][0]["action"], &now["changes"][0]["security"]),
            (&"fold".into(), &false.into())
        );
        assert_eq!(now["top"], serde_json::json!([1]));
        assert!(now.get("outcome").is_none(), "{now}");
    }

    #[test]
    fn an_old_text_that_is_no_entry_adds_nothing() {
        let now = serde_json::json!({"number": 1});
        for old in [&b""[..], b"[]", b"{\"number\":", b"\xff", b"null"] {
            assert_eq!(with_unknown::<Entry>(old, now.clone()), now);
        }
    }
}
