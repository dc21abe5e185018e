//! Which package runs a person is told about, at login and in `status`, until they are settled: by a
//! run that ends well (the repair, or any other), or by an undo that takes them out of the line.

use super::descent::History;
use crate::model::{Entry, EntryNumber, Kind, State};

/// The package runs of a root that were cut or failed and that nothing settled since, newest first.
pub fn unsettled<'a>(history: &History<'a>, root: EntryNumber) -> Vec<&'a Entry> {
    let runs = history.line(root).into_iter().filter(|e| e.kind == Kind::Packages && !e.is_open());
    let since = runs.take_while(|e| e.state != State::Completed);
    since.filter(|e| matches!(e.state, State::Interrupted | State::Failed)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::descent::tests::{history, number};
    use super::*;

    #[test]
    fn until_it_is_settled() {
        let rows: &[(&str, u64, &[u64])] = &[
            ("1 create, 2 apt @1 interrupted", 1, &[2]),
            ("1 create, 2 apt @1 interrupted, 3 set @1", 1, &[2]),
            ("1 create, 2 apt @1 interrupted, 3 apt @1 failed", 1, &[3, 2]),
            ("1 create, 2 apt @1 interrupted, 3 apt @1 cancelled", 1, &[2]),
            ("1 create, 2 apt @1 interrupted, 3 apt @1 open", 1, &[2]),
            // repaired
            ("1 create, 2 apt @1 interrupted, 3 apt @1", 1, &[]),
            // taken back, and brought back
            ("1 create, 2 apt @1 interrupted, 3 undo>2 @1", 3, &[]),
            ("1 create, 2 apt @1 interrupted, 3 undo>2 @1, 4 redo>3 @3", 4, &[2]),
            ("1 create, 2 set @1 interrupted", 1, &[]),
        ];
        for (text, root, expected) in rows {
            let entries = history(text);
            let told = unsettled(&History::new(&entries), number(*root));
            assert_eq!(told.iter().map(|e| e.number.get()).collect::<Vec<_>>(), *expected, "{text}");
        }
    }
}
