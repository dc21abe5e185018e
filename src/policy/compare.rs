//! The one question of every three-way comparison: what became of a thing on my side, and what on theirs,
//! since both had it from the old one? Packages, files, conffiles, accounts, links and records are all
//! asked it; an absent thing is a value like any other.

/// Who changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nobody.
    Neither,
    /// Only I: it stays as I have it.
    Mine,
    /// Only they: theirs is taken.
    Theirs,
    /// Both, to the same: it is as if they alone had.
    Agreed,
    /// Both, differently: somebody has to decide.
    Conflict,
}

pub fn change<T: PartialEq + ?Sized>(old: Option<&T>, mine: Option<&T>, new: Option<&T>) -> Change {
    change_by(old, mine, new, |a, b| a == b)
}

/// With equality as the caller has it.
pub fn change_by<T: ?Sized>(
    old: Option<&T>,
    mine: Option<&T>,
    new: Option<&T>,
    equal: impl Fn(&T, &T) -> bool,
) -> Change {
    let same = |a: Option<&T>, b: Option<&T>| match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => equal(a, b),
        _ => false,
    };
    match (same(old, mine), same(old, new), same(mine, new)) {
        (true, true, _) => Change::Neither,
        (false, true, _) => Change::Mine,
        (true, false, _) => Change::Theirs,
        (false, false, true) => Change::Agreed,
        (false, false, false) => Change::Conflict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_changed_it() {
        for (old, mine, new, wanted) in [
            (Some("a"), Some("a"), Some("a"), Change::Neither),
            (None, None, None, Change::Neither),
            (Some("a"), Some("b"), Some("a"), Change::Mine),
            (Some("a"), None, Some("a"), Change::Mine),
            (None, Some("a"), None, Change::Mine),
            (Some("a"), Some("a"), Some("b"), Change::Theirs),
            (Some("a"), Some("a"), None, Change::Theirs),
            (None, None, Some("b"), Change::Theirs),
            (Some("a"), Some("b"), Some("b"), Change::Agreed),
            (Some("a"), None, None, Change::Agreed),
            (Some("a"), Some("b"), Some("c"), Change::Conflict),
            (Some("a"), None, Some("c"), Change::Conflict),
            (Some("a"), Some("b"), None, Change::Conflict),
            (None, Some("b"), Some("c"), Change::Conflict),
        ] {
            assert_eq!(change(old, mine, new), wanted, "{old:?} {mine:?} {new:?}");
        }
    }
}
