//! What entries say of a flip: which entry moved which profile, and what was current before.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{BaseVersion, Entry, EntryNumber, ProfileId};

/// Of a flip, `{"lab": 57}`: which entry moved which profile; of a rollback, which took it back.
const MOVED: &str = "moved";

/// Of a flip: the base that was current before it.
const FROM_BASE: &str = "from";

/// Of a rebase: the flip it is a part of. So a flip that was cut, and noted nothing, can be taken back too.
const PART_OF: &str = "flip";

/// Which entry moved which profile.
pub type Moved = BTreeMap<ProfileId, EntryNumber>;

impl Entry {
    pub fn note_moved(&mut self, moved: &Moved) {
        let numbers = moved.iter().map(|(id, number)| (id.to_string(), number.get().into()));
        self.more.insert(MOVED.to_owned(), Value::Object(numbers.collect::<Map<_, _>>()));
    }

    /// None: it was cut before it could note that.
    pub fn moved(&self) -> Option<Moved> {
        let noted = self.more.get(MOVED)?.as_object()?;
        let parse = |(id, number): (&String, &Value)| Some((id.parse().ok()?, parse(number)?));
        Some(noted.iter().filter_map(parse).collect())
    }

    pub fn note_base_before(&mut self, base: &BaseVersion) {
        self.more.insert(FROM_BASE.to_owned(), base.as_str().into());
    }

    pub fn base_before(&self) -> Option<BaseVersion> {
        self.more.get(FROM_BASE)?.as_str()?.parse().ok()
    }

    pub fn note_part_of(&mut self, flip: EntryNumber) {
        self.more.insert(PART_OF.to_owned(), flip.get().into());
    }

    /// None: somebody moved this profile alone.
    pub fn part_of(&self) -> Option<EntryNumber> {
        parse(self.more.get(PART_OF)?)
    }
}

fn parse(number: &Value) -> Option<EntryNumber> {
    number.as_u64()?.to_string().parse().ok()
}
