//! A group of alternatives: /var/lib/dpkg/alternatives/NAME, read and written as update-alternatives does
//! (dpkg's utils/update-alternatives.c, alternative_load and alternative_save). Which choice is selected is
//! not in it: that is where the link /etc/alternatives/NAME points to.

use std::collections::HashSet;

use super::error::ParseError;
use super::lines::Lines;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternative<'a> {
    pub mode: Mode,
    /// The link that follows the choice, e.g. `/usr/bin/editor`.
    pub link: &'a [u8],
    /// Links that go along with it, in the order in which the choices name their targets.
    pub slaves: Vec<Slave<'a>>,
    pub choices: Vec<Choice<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The best choice is selected whenever choices come or go.
    Auto,
    /// A person has chosen.
    Manual,
}

/// `editor.1.gz` is `/usr/share/man/man1/editor.1.gz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slave<'a> {
    /// Its name in /etc/alternatives.
    pub name: &'a [u8],
    pub link: &'a [u8],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<'a> {
    pub path: &'a [u8],
    pub priority: i32,
    /// As many as there are slaves; empty where this choice has none of it.
    pub slaves: Vec<&'a [u8]>,
}

impl<'a> Alternative<'a> {
    /// Choices whose path is gone are in it: update-alternatives drops them while it reads. What stands
    /// behind the last choice nobody reads.
    pub fn parse(input: &'a [u8]) -> Result<Alternative<'a>, ParseError> {
        let mut lines = Lines::new(input, usize::MAX);
        let mode = match lines.must("auto or manual")? {
            (_, b"auto") => Mode::Auto,
            (_, b"manual") => Mode::Manual,
            (line, other) => return Err(ParseError::new(line, "auto or manual", other)),
        };
        let (_, link) = lines.must("the link")?;
        let slaves = parse_slaves(&mut lines, link)?;
        let choices = parse_choices(&mut lines, slaves.len())?;
        Ok(Alternative { mode, link, slaves, choices })
    }

    /// The choice of the highest priority. Among equals it is `current`, where the link points now, and
    /// else the first.
    pub fn best(&self, current: Option<&[u8]>) -> Option<&Choice<'a>> {
        let first = self.choices.iter().find(|c| Some(c.path) == current).or(self.choices.first())?;
        Some(self.choices.iter().fold(first, |best, c| if c.priority > best.priority { c } else { best }))
    }

    /// What the link should point to, given where it points now. None when there is no choice left, and
    /// when a person has pointed it to something that is no choice.
    pub fn selected(&self, current: Option<&[u8]>) -> Option<&Choice<'a>> {
        match (self.mode, current) {
            (Mode::Auto, _) | (Mode::Manual, None) => self.best(current),
            (Mode::Manual, Some(path)) => self.choices.iter().find(|c| c.path == path),
        }
    }

    /// As update-alternatives leaves a group when it saves it: slaves that no choice has are dropped, slaves
    /// and choices are sorted.
    pub fn tidy(&mut self) {
        let mut order: Vec<usize> = (0..self.slaves.len()).collect();
        order.retain(|at| self.choices.iter().any(|c| c.slaves.get(*at).is_some_and(|s| !s.is_empty())));
        order.sort_by_key(|at| self.slaves[*at].name);
        self.slaves = order.iter().map(|at| self.slaves[*at]).collect();
        for choice in &mut self.choices {
            choice.slaves =
                order.iter().map(|at| choice.slaves.get(*at).copied().unwrap_or_default()).collect();
        }
        self.choices.sort_by_key(|c| c.path);
    }

    pub fn write(&self) -> Vec<u8> {
        let mut lines = vec![if self.mode == Mode::Auto { &b"auto"[..] } else { b"manual" }, self.link];
        lines.extend(self.slaves.iter().flat_map(|s| [s.name, s.link]));
        lines.push(b"");
        let priorities: Vec<String> = self.choices.iter().map(|c| c.priority.to_string()).collect();
        for (choice, priority) in self.choices.iter().zip(&priorities) {
            lines.extend([choice.path, priority.as_bytes()]);
            lines.extend(&choice.slaves);
        }
        lines.push(b"");
        let mut out = lines.join(&b'\n');
        out.push(b'\n');
        out
    }
}

fn parse_slaves<'a>(lines: &mut Lines<'a>, master: &'a [u8]) -> Result<Vec<Slave<'a>>, ParseError> {
    let (mut slaves, mut names, mut links) = (Vec::new(), HashSet::new(), HashSet::from([master]));
    loop {
        let (line, name) = lines.must("a slave or an empty line")?;
        if name.is_empty() {
            return Ok(slaves);
        }
        if !names.insert(name) {
            return Err(ParseError::new(line, "each slave once", name));
        }
        let (line, link) = lines.must("the link of a slave")?;
        if !links.insert(link) {
            return Err(ParseError::new(line, "each link once", link));
        }
        slaves.push(Slave { name, link });
    }
}

fn parse_choices<'a>(lines: &mut Lines<'a>, slaves: usize) -> Result<Vec<Choice<'a>>, ParseError> {
    let (mut choices, mut paths) = (Vec::new(), HashSet::new());
    loop {
        let (line, path) = lines.must("a choice or an empty line")?;
        if path.is_empty() {
            return Ok(choices);
        }
        if !paths.insert(path) {
            return Err(ParseError::new(line, "each choice once", path));
        }
        let (line, text) = lines.must("a priority")?;
        let priority = priority(text).ok_or_else(|| ParseError::new(line, "a priority", text))?;
        let mut own = Vec::new();
        for _ in 0..slaves {
            own.push(lines.must("the path of a slave, or an empty line")?.1);
        }
        choices.push(Choice { path, priority, slaves: own });
    }
}

/// As C's strtol reads it: blanks in front, one sign.
fn priority(text: &[u8]) -> Option<i32> {
    let blanks = text.iter().take_while(|b| **b == b' ' || (b'\t'..=b'\r').contains(*b)).count();
    std::str::from_utf8(&text[blanks..]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDITOR: &[u8] = b"auto\n/usr/bin/editor\neditor.1.gz\n/usr/share/man/man1/editor.1.gz\n\
        editor.da.1.gz\n/usr/share/man/da/man1/editor.1.gz\n\n/bin/ed\n-100\n/usr/share/man/man1/ed.1.gz\n\n\
        /bin/nano\n40\n/usr/share/man/man1/nano.1.gz\n\n/usr/bin/vim.tiny\n40\n\n/usr/share/man/da/man1/vim.1.gz\n\n";

    #[test]
    fn a_group_is_read_and_written() {
        let group = Alternative::parse(EDITOR).unwrap();
        assert_eq!((group.mode, group.link, group.slaves.len()), (Mode::Auto, &b"/usr/bin/editor"[..], 2));
        assert_eq!(group.choices[0].priority, -100);
        assert_eq!(group.choices[2].slaves, [&b""[..], b"/usr/share/man/da/man1/vim.1.gz"]);
        assert_eq!(group.write(), EDITOR);
        let alone = b"manual\n/usr/bin/pager\n\n/bin/more\n50\n\n";
        assert_eq!(Alternative::parse(alone).unwrap().write(), alone);
        assert!(Alternative::parse(b"auto\n/x\n\n\n").unwrap().best(None).is_none());
        assert_eq!(Alternative::parse(b"auto\n/x\n\n/y\n +5\n\n").unwrap().choices[0].priority, 5);
    }

    #[test]
    fn the_best_is_selected_and_the_current_one_among_equals() {
        let mut group = Alternative::parse(EDITOR).unwrap();
        let path = |choice: Option<&Choice<'static>>| choice.map(|c| c.path);
        for (current, best) in [
            (None, "/bin/nano"),
            (Some("/bin/ed"), "/bin/nano"),
            (Some("/usr/bin/vim.tiny"), "/usr/bin/vim.tiny"),
            (Some("/elsewhere"), "/bin/nano"),
        ] {
            let current = current.map(str::as_bytes);
            assert_eq!(path(group.selected(current)), Some(best.as_bytes()), "{current:?}");
        }
        group.mode = Mode::Manual;
        assert_eq!(path(group.selected(Some(b"/bin/ed"))), Some(&b"/bin/ed"[..]));
        assert_eq!(path(group.selected(Some(b"/elsewhere"))), None);
        assert_eq!(path(group.selected(None)), Some(&b"/bin/nano"[..]));
    }

    #[test]
    fn it_is_saved_sorted_and_without_what_nobody_has() {
        let text = b"auto\n/l\nz\n/z\nb\n/b\na\n/a\n\n/2\n1\n/2z\n\n/2a\n/1\n2\n\n\n/1a\n\n";
        let mut group = Alternative::parse(text).unwrap();
        group.tidy();
        assert_eq!(group.write(), b"auto\n/l\na\n/a\nz\n/z\n\n/1\n2\n/1a\n\n/2\n1\n/2a\n/2z\n\n");
    }

    #[test]
    fn what_update_alternatives_refuses_is_refused() {
        for (bad, line) in [
            ("", 1),
            ("sometimes\n", 1),
            ("auto\n", 2),
            ("auto\n/l\n", 3),
            ("auto\n/l\na\n", 4),
            ("auto\n/l\na\n/l\n", 4),
            ("auto\n/l\na\n/a\na\n/b\n", 5),
            ("auto\n/l\na\n/a\nb\n/a\n", 6),
            ("auto\n/l\n\n", 4),
            ("auto\n/l\n\n/c\n", 5),
            ("auto\n/l\n\n/c\nx\n", 5),
            ("auto\n/l\n\n/c\n\n", 5),
            ("auto\n/l\n\n/c\n2147483648\n", 5),
            ("auto\n/l\na\n/a\n\n/c\n1\n", 8),
            ("auto\n/l\n\n/c\n1\n/c\n1\n\n", 6),
            ("auto\n/l\n\n/c\n1\n", 6),
            ("auto\n/l\n\n/c\n1\n\0", 6),
        ] {
            assert_eq!(Alternative::parse(bad.as_bytes()).unwrap_err().line, line, "{bad:?}");
        }
    }
}
