//! Entries: one by one, and a whole journal of them on disk with its index.

use flipper_profiles::commands::report::log::{LogRow, Paper, page};
use flipper_profiles::model::kept::with_unknown;
use flipper_profiles::model::{Entry, EntryNumber, Kind, Layout, ProfileId};
use flipper_profiles::policy::descent::History;
use flipper_profiles::policy::undo::{Ask, Facts, left_behind, plan};
use flipper_profiles::system::index::Index;
use flipper_profiles::system::journal::{Archives, Journal, PlanFile};

use crate::engine::{Random, Target, fuzz};
use crate::ours::JSON;

/// A directory in memory, gone with the case.
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").expect("a directory in memory")
}

const ENTRY: &str = r#"{"number":57,"profile":"lab","root":41,"base":"13.2","kind":"packages","state":"failed","target":3,
    "point":true,"driver":{"pid":1,"start":2,"pid_namespace":3,"boot":"b","name":"apt-get","seat":1},"command_line":"apt install a",
    "person":{"uid":1000,"name":"kim","of":{"a":1}},"comment":"\u001b[31m","started":"2026-11-23T02:24:00Z","ended":"x",
    "planned":[{"package":"a","architecture":"all","new":"1","action":"install","size":1}],
    "changes":[{"package":"a","architecture":"all","old":"1","new":"2","action":"fold","auto":true,"archive":"t","security":true,"stuck":"x"},
               {"package":"b","architecture":"amd64","action":"remove","why":[1,{"x":null}]}],
    "outcome":"a is half-configured","colour":{"of":[1,2.5,"x"]}}"#;

const OTHERS: [&str; 4] = [
    r#"{"number":1,"profile":"lab","kind":"create","state":"completed","started":""}"#,
    r#"{"number":60,"profile":"lab","root":41,"kind":"undo","state":"open","target":57,"point":true,"started":"2026-11-23T02:24:00Z"}"#,
    r#"{"number":61,"kind":"teleport","state":"suspended","started":"x","more":{"more":[]}}"#,
    r#"{"command_line":null,"comment":"c","planned":[{"package":"a","architecture":"all","action":"purge"}],"later":1}"#,
];

fn corpus() -> Vec<Vec<u8>> {
    std::iter::once(ENTRY).chain(OTHERS).map(|text| text.as_bytes().to_vec()).collect()
}

fn entry(bytes: &[u8]) {
    let _ = serde_json::from_slice::<PlanFile>(bytes);
    let _ = serde_json::from_slice::<Archives>(bytes);
    let Ok(entry) = serde_json::from_slice::<Entry>(bytes) else { return };
    let value = serde_json::to_value(&entry).expect("it is JSON");
    let again: Entry = serde_json::from_value(value.clone()).expect("it is read again");
    assert_eq!(again, entry);
    let kept = with_unknown::<Entry>(bytes, value);
    assert_eq!(serde_json::from_value::<Entry>(kept.clone()).expect("and with what is kept"), entry);
    assert_eq!(with_unknown::<Entry>(bytes, kept.clone()), kept, "keeping twice is keeping once");
    assert!(with_unknown::<PlanFile>(bytes, kept.clone()).is_object());
    printed(&[entry]);
}

/// However a journal reads, its page is lines of printable text.
fn printed(entries: &[Entry]) {
    let history = History::new(entries);
    let rows: Vec<LogRow> = entries
        .iter()
        .rev()
        .take(30)
        .map(|entry| LogRow {
            entry,
            in_line: history.contains(entry.number, entry.number),
            point: true,
            pruned: None,
            note: None,
        })
        .collect();
    let current = entries.last().map_or(EntryNumber::FIRST, |entry| entry.number);
    let text = page(
        "lab",
        &rows,
        &history,
        current,
        &Paper { colour: false, width: 80, when: &|time| time.to_owned() },
    );
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert!(!text.contains(['\u{202e}', '\u{2066}']));
}

#[test]
fn any_entry_is_read_or_refused() {
    const PIECES: &[&str] = &[
        "\"kind\":\"undo\",",
        "\"state\":",
        "\"open\"",
        "\"changes\":[",
        "{\"package\":\"a\",\"architecture\":\"all\",\"action\":\"x\"},",
        "\"planned\":[]",
        "\"driver\":{",
        "\"target\":57,",
        "null",
        "[[[[",
        "{\"a\":",
        "\\u0000",
        "\\ud800",
        "\"",
        ",",
        "}",
        "]",
        "1e400",
        "-",
    ];
    fuzz(Target { name: "entry", corpus: corpus(), pieces: PIECES, read: entry });
}

/// The words of a history: numbers say which entry, root and target; anything may be missing or wrong.
fn history(bytes: &[u8]) {
    let mut entries = Vec::new();
    let mut numbers: Vec<u64> = bytes.iter().map(|b| u64::from(*b % 24) + 1).collect();
    numbers.sort_unstable();
    numbers.dedup();
    for (at, number) in numbers.iter().enumerate() {
        let byte = |n: usize| bytes.get(at * 5 + n).copied().unwrap_or(n as u8);
        let some =
            |b: u8| (b % 7 != 0).then(|| (u64::from(b % 26) + 1).to_string().parse().expect("a number"));
        let kinds =
            ["packages", "undo", "redo", "create", "clone", "set", "left", "save", "delete", "teleport"];
        let kind = Kind::from(kinds[usize::from(byte(0)) % kinds.len()].to_owned());
        let mut entry = Entry::begin(number.to_string().parse().expect("a number"), kind, String::new());
        (entry.root, entry.target, entry.point) = (some(byte(1)), some(byte(2)), byte(3) % 3 != 0);
        let states = ["open", "completed", "completed", "failed", "cancelled", "suspended"];
        entry.state = flipper_profiles::model::State::from_word(states[usize::from(byte(4)) % states.len()]);
        entries.push(entry);
    }
    let Some(last) = entries.last().map(|entry| entry.number) else { return };
    let of = History::new(&entries);
    let id: ProfileId = "lab".parse().expect("an id");
    let points = entries.iter().filter(|e| e.point).map(|e| e.number).collect();
    for entry in &entries {
        assert!(of.descent(entry.number).count() <= entries.len() + 1, "a line ends");
        for in_use in [None, Some(entry.number)] {
            let facts = Facts { profile: &id, entries: &entries, current: last, in_use, points: &points };
            for ask in [Ask::Last, Ask::Redo, Ask::Cancel, Ask::To(entry.number), Ask::Point(entry.number)] {
                let _ = plan(&facts, ask);
            }
            assert!(left_behind(&facts).len() <= entries.len());
        }
    }
    printed(&entries);
}

#[test]
fn any_history_is_planned_and_drawn() {
    let corpus = (0..8).map(|seed| {
        let mut random = Random::new(seed);
        (0..120).map(|_| random.next() as u8).collect()
    });
    fuzz(Target {
        name: "history",
        corpus: corpus.collect(),
        pieces: &["\x01\x02\x03\x04\x05", "aaaa", "\x07\x07\x07", "zyx"],
        read: history,
    });
}

/// A directory of entry files, names too as they come; then the journal does what it does.
fn journal(bytes: &[u8]) {
    let dir = scratch();
    let layout = Layout::new(dir.path());
    let entries = layout.all_entries();
    std::fs::create_dir_all(entries.join("lab")).expect("a directory");
    // Files are divided by a line of `%`: a name, a newline, its text.
    for file in bytes.split(|b| *b == b'%').take(30) {
        let (name, text) = file.split_at(file.iter().position(|b| *b == b'\n').unwrap_or(file.len()));
        let name = String::from_utf8_lossy(name);
        let fits = !name.contains('/')
            && !name.contains('\0')
            && !["", ".", ".."].contains(&&*name)
            && name.len() < 200;
        if fits {
            std::fs::write(entries.join("lab").join(&*name), text).expect("write");
        }
    }
    let journal = Journal::new(&layout);
    let id: ProfileId = "lab".parse().expect("an id");
    let owner = Some(&id);
    let found = journal.entries(owner).expect("reading fails for no text");
    assert!(found.entries.is_sorted_by(|a, b| a.number < b.number));
    assert!(found.entries.iter().all(|entry| entry.profile == Some(id.clone())));
    printed(&found.entries);

    let (mut index, _) = Index::open(&layout).expect("an index");
    index.refresh(&journal).expect("it is brought up to date");
    assert_eq!(index.entries(owner).expect("read"), found.entries, "the index is what the files say");
    drop(index);

    let locked = journal.lock().expect("the lock");
    locked.tidy(owner).expect("tidied");
    let tidied = journal.entries(owner).expect("read");
    assert_eq!(tidied.entries, found.entries, "tidying loses nothing that can be read");
    let highest = journal.numbers(owner).expect("read").last().copied();
    if highest.is_none_or(|highest| highest.next() > highest) {
        let mut begun =
            locked.begin(Kind::Set, "now".into(), |entry| entry.profile = Some(id.clone())).expect("begun");
        assert!(found.entries.iter().all(|entry| entry.number != begun.number), "no number is given twice");
        begun.state = flipper_profiles::model::State::Completed;
        locked.close(&begun).expect("closed");
        assert_eq!(journal.entry(owner, begun.number).expect("read").expect("there"), begun);
    }
    for entry in found.entries.into_iter().take(5) {
        locked.reopen(&entry).expect("reopened");
        locked.close(&entry).expect("closed");
        let now = journal.entry(owner, entry.number).expect("read").expect("there");
        // What a newer program put into the plan comes into the entry with it.
        let kept = |key: &String| now.more.get(key) == entry.more.get(key);
        assert!(entry.more.keys().all(kept), "nothing that is unknown is lost");
        assert_eq!(Entry { more: entry.more.clone(), ..now.clone() }, entry, "written again as it was");
    }
}

#[test]
fn any_directory_of_entries_is_a_journal() {
    let entry = |number: u32, more: &str| {
        format!(
            r#"{{"number":{number},"profile":"lab","root":1,"kind":"packages","state":"completed","started":"x"{more}}}"#
        )
    };
    let file = |name: &str, text: &str| format!("{name}\n{text}%");
    let good = [
        file("1.json", &entry(1, "")),
        file("2.open.json", &entry(2, r#","later":{"a":[1]}"#).replace("completed", "open")),
        file("2.plan.json", OTHERS[3]),
        file("2.archives.json", r#"{"a:all=1":"trixie/main"}"#),
        file("3.open.json", ""),
        file("4.json", "{"),
        file("4.open.json", &entry(4, "").replace("completed", "open")),
        file("5.json", &entry(5, "")),
        file("5.open.json", &entry(5, "").replace("completed", "suspended")),
        file("notes", "x"),
    ];
    let with_next = good.concat() + &file("next", "00000000000000000002");
    let mut pieces: Vec<&'static str> = vec![
        "%",
        "6.json\n",
        "2.json\n",
        ".open.json\n",
        "9223372036854775807.json\n",
        "007.json\n",
        "open",
        "\"number\":2",
    ];
    pieces.extend_from_slice(JSON);
    fuzz(Target {
        name: "journal",
        corpus: vec![good.concat().into_bytes(), with_next.into_bytes(), ENTRY.as_bytes().to_vec()],
        pieces: Box::leak(pieces.into_boxed_slice()),
        read: journal,
    });
}
