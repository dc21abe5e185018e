//! The closed sets of words in a dpkg status: the three of its Status field, Multi-Arch, yes and no.
//! A word that is not in its set is an error, as it is for dpkg: guessing a state would be worse.

use super::error::ParseError;

/// A closed set of words that dpkg writes and reads (lib/dpkg/namevalue tables).
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $($variant:ident = $text:literal),*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($variant),* }

        impl $name {
            /// The word as dpkg writes it.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text),* }
            }

            pub(super) fn parse(word: &[u8], line: usize) -> Result<$name, ParseError> {
                $(if word.eq_ignore_ascii_case($text.as_bytes()) {
                    return Ok($name::$variant);
                })*
                Err(ParseError::new(line, $expected, word))
            }
        }
    };
}

words!(
    /// First word of Status: what somebody wants.
    Want, "install, hold, deinstall, purge or unknown",
    Install = "install", Hold = "hold", Deinstall = "deinstall", Purge = "purge", Unknown = "unknown"
);
words!(
    /// Second word of Status.
    Flag, "ok or reinstreq", Ok = "ok", ReinstallRequired = "reinstreq"
);
words!(
    /// Third word of Status: how far dpkg got.
    PackageState, "the state of a package",
    Installed = "installed", ConfigFiles = "config-files", NotInstalled = "not-installed",
    HalfInstalled = "half-installed", Unpacked = "unpacked", HalfConfigured = "half-configured",
    TriggersAwaited = "triggers-awaited", TriggersPending = "triggers-pending"
);
words!(
    /// May two architectures of it be installed at once (`same`)? Absence means `no`.
    MultiArch, "no, same, foreign or allowed",
    No = "no", Same = "same", Foreign = "foreign", Allowed = "allowed"
);
words!(YesNo, "yes or no", Yes = "yes", No = "no");

impl PackageState {
    /// Nothing is left to do: installed, config-files or not-installed.
    pub fn is_settled(self) -> bool {
        matches!(self, PackageState::Installed | PackageState::ConfigFiles | PackageState::NotInstalled)
    }

    /// Are (some of) the package's files on disk, beyond its conffiles?
    pub fn has_files(self) -> bool {
        !matches!(self, PackageState::ConfigFiles | PackageState::NotInstalled)
    }
}

/// `install ok installed`. The old spellings dpkg still reads are not: no dpkg since 1999 writes them.
pub(super) fn three(value: &[u8], line: usize) -> Result<(Want, Flag, PackageState), ParseError> {
    let mut words = value.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(want), Some(flag), Some(state), None) => {
            Ok((Want::parse(want, line)?, Flag::parse(flag, line)?, PackageState::parse(state, line)?))
        }
        _ => Err(ParseError::new(line, "the three words of a status", value)),
    }
}
