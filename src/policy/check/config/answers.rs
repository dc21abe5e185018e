//! What debconf keeps (C12): answers and questions. One file holds those of all packages, so a copy in the
//! profile hides those of the candidate's packages.

use crate::dpkg::debconf::Database;
use crate::model::error::Result;
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::finding::{Finding, Severity, readable};
use crate::policy::check::side::Side;
use crate::policy::compare::{Change, change};

const ANSWERS: &[u8] = b"var/cache/debconf/config.dat";
const QUESTIONS: &[u8] = b"var/cache/debconf/templates.dat";
/// How many names a finding shows.
const SHOWN: usize = 5;

pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    for path in [ANSWERS, QUESTIONS] {
        if look.triple(path).is_some_and(|triple| triple.mine.as_ref().is_some_and(|mine| mine.is_file())) {
            found.extend(records_to_merge(look, path)?);
        }
    }
    Ok(())
}

fn records_to_merge(look: &Look, path: &[u8]) -> Result<Option<Finding>> {
    let text = |side: &Side| side.tree.text(path).map(Option::unwrap_or_default);
    let texts = [text(look.old)?, text(look.mine)?, text(look.new)?];
    if texts[0] == texts[2] || texts[1] == texts[2] {
        return Ok(None); // changed on one side only, or alike
    }
    let parse = |at: usize, side: &Side| {
        Database::parse(&texts[at]).map_err(|error| side.damaged(path, error)).map(|database| database.items)
    };
    let (old, mine, new) = (parse(0, look.old)?, parse(1, look.mine)?, parse(2, look.new)?);
    let names: std::collections::BTreeSet<&[u8]> = old.keys().chain(new.keys()).copied().collect();
    let changed = names.iter().filter(|name| old.get(*name) != new.get(*name)).count();
    if changed == 0 {
        return Ok(None);
    }
    let value = |items: &std::collections::BTreeMap<&[u8], crate::dpkg::debconf::Item>, name: &[u8]| {
        items.get(name).and_then(|item| item.field("value")).map(<[u8]>::to_vec)
    };
    let answered_twice: Vec<String> = names
        .iter()
        .filter(|name| {
            let values = [value(&old, name), value(&mine, name), value(&new, name)];
            change(values[0].as_ref(), values[1].as_ref(), values[2].as_ref()) == Change::Conflict
        })
        .map(|name| readable(name))
        .collect();
    let merges = "merges debconf's records, each by its own; where both changed an answer, yours stays";
    let finding = Finding::path(Class::C12, Severity::Automatic, path, merges)
        .seen("records that are others in the candidate", changed.to_string());
    Ok(Some(match answered_twice.len() {
        0 => finding,
        _ => {
            finding.seen("answers both changed", answered_twice[..answered_twice.len().min(SHOWN)].join(", "))
        }
    }))
}
