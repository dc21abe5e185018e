//! What is installed: /var/lib/dpkg/status (and the files of /var/lib/dpkg/updates, which have the same
//! form). Read before and after every package run, with apt waiting, so it is one pass that borrows
//! from the input; what only some packages need (conffiles, other fields) is parsed when asked for.

use super::conffiles::{self, Conffile};
use super::deb822::{Field, LastLine, Reader};
use super::error::{ParseError, architecture_name, package_name, version_word};
use super::words::{self, YesNo};
pub use super::words::{Flag, MultiArch, PackageState, Want};

#[derive(Clone, Debug, Default)]
pub struct Status<'a> {
    /// In the order of the file: dpkg sorts by name.
    pub packages: Vec<Package<'a>>,
}

/// One paragraph. A package of which only a selection is known is here too, as `not-installed`.
#[derive(Clone, Debug)]
pub struct Package<'a> {
    pub name: &'a str,
    /// Empty when the paragraph has none, which dpkg writes for packages it never saw.
    pub architecture: &'a str,
    /// Always there, unless the state is not-installed or half-installed.
    pub version: Option<&'a str>,
    /// The version last configured; absent when that is `version` or when there was none.
    pub config_version: Option<&'a str>,
    pub want: Want,
    pub flag: Flag,
    pub state: PackageState,
    pub essential: bool,
    /// Protected (dpkg) or Important (apt): asked about before it is removed.
    pub protected: bool,
    pub multi_arch: MultiArch,
    /// The whole paragraph, and the line it starts on.
    paragraph: &'a [u8],
    line: usize,
    conffiles: Option<Field<'a>>,
}

impl<'a> Status<'a> {
    /// An empty file is a status with no packages. A field we read that is broken or there twice, a
    /// missing name or version and a torn end are errors, as they are for dpkg; other fields are not
    /// looked at.
    pub fn parse(input: &'a [u8]) -> Result<Status<'a>, ParseError> {
        let mut reader = Reader::new(input, LastLine::MustEnd);
        // A paragraph with its description is about 900 bytes.
        let mut packages = Vec::with_capacity(input.len() / 800);
        while reader.next_paragraph() {
            packages.push(parse_package(input, &mut reader)?);
        }
        Ok(Status { packages })
    }

    /// The package as dpkg knows it: should it be there twice, the last one counts. An empty
    /// architecture finds any.
    pub fn find(&self, name: &str, architecture: &str) -> Option<&Package<'a>> {
        let any = architecture.is_empty();
        self.packages.iter().rev().find(|p| p.name == name && (any || p.architecture == architecture))
    }

    /// Puts a file of /var/lib/dpkg/updates on top, as dpkg does with what a killed run left there: each
    /// holds whole paragraphs, to be applied in the order of their names. Only names that are all digits
    /// count: `tmp.i` beside them is padding or half a record.
    pub fn amend(&mut self, update: Status<'a>) {
        for package in update.packages {
            let same = |p: &&mut Package| p.name == package.name && p.architecture == package.architecture;
            match self.packages.iter_mut().rfind(same) {
                Some(old) => *old = package,
                None => self.packages.push(package),
            }
        }
    }
}

/// The fields we read, while a paragraph goes by.
#[derive(Default)]
struct Seen<'a> {
    name: Option<&'a str>,
    architecture: Option<&'a str>,
    version: Option<&'a str>,
    config_version: Option<&'a str>,
    status: Option<(Want, Flag, PackageState)>,
    essential: Option<YesNo>,
    protected: Option<YesNo>,
    important: Option<YesNo>,
    multi_arch: Option<MultiArch>,
    conffiles: Option<Field<'a>>,
}

impl<'a> Seen<'a> {
    /// Chosen by first letter and length: most fields are passed over without a comparison.
    fn take(&mut self, f: Field<'a>) -> Result<(), ParseError> {
        let (value, line) = (f.value(), f.line);
        match (f.name[0] | 0x20, f.name.len()) {
            (b'p', 7) if f.is("Package") => once(&mut self.name, &f, package_name(value, line)?),
            (b'a', 12) if f.is("Architecture") => {
                once(&mut self.architecture, &f, architecture_name(value, line)?)
            }
            (b'v', 7) if f.is("Version") => once(&mut self.version, &f, version_word(value, line)?),
            (b'c', 14) if f.is("Config-Version") => {
                once(&mut self.config_version, &f, version_word(value, line)?)
            }
            (b's', 6) if f.is("Status") => once(&mut self.status, &f, words::three(value, line)?),
            (b'e', 9) if f.is("Essential") => once(&mut self.essential, &f, YesNo::parse(value, line)?),
            (b'p', 9) if f.is("Protected") => once(&mut self.protected, &f, YesNo::parse(value, line)?),
            (b'i', 9) if f.is("Important") => once(&mut self.important, &f, YesNo::parse(value, line)?),
            (b'm', 10) if f.is("Multi-Arch") => {
                once(&mut self.multi_arch, &f, MultiArch::parse(value, line)?)
            }
            (b'c', 9) if f.is("Conffiles") => once(&mut self.conffiles, &f, f),
            _ => Ok(()),
        }
    }
}

fn once<T>(slot: &mut Option<T>, field: &Field, value: T) -> Result<(), ParseError> {
    if slot.replace(value).is_some() {
        return Err(ParseError::new(field.line, "each field once", field.name));
    }
    Ok(())
}

fn parse_package<'a>(input: &'a [u8], reader: &mut Reader<'a>) -> Result<Package<'a>, ParseError> {
    let (start, line) = (reader.offset(), reader.line());
    let mut seen = Seen::default();
    while let Some(field) = reader.next_field()? {
        seen.take(field)?;
    }
    let paragraph = &input[start..reader.offset()];
    let name =
        seen.name.ok_or_else(|| ParseError::new(line, "a paragraph with a Package field", paragraph))?;
    // dpkg takes a paragraph without Status for one that is not installed.
    let (want, flag, state) = seen.status.unwrap_or((Want::Unknown, Flag::Ok, PackageState::NotInstalled));
    let may_lack = matches!(state, PackageState::NotInstalled | PackageState::HalfInstalled);
    if seen.version.is_none() && !may_lack {
        return Err(ParseError::new(line, "a paragraph with a Version field", paragraph));
    }
    Ok(Package {
        name,
        architecture: seen.architecture.unwrap_or(""),
        version: seen.version,
        config_version: seen.config_version,
        want,
        flag,
        state,
        essential: seen.essential == Some(YesNo::Yes),
        protected: seen.protected == Some(YesNo::Yes) || seen.important == Some(YesNo::Yes),
        multi_arch: seen.multi_arch.unwrap_or(MultiArch::No),
        paragraph,
        line,
        conffiles: seen.conffiles,
    })
}

impl<'a> Package<'a> {
    /// Parsed on every call.
    pub fn conffiles(&self) -> Result<Vec<Conffile<'a>>, ParseError> {
        self.conffiles.as_ref().map_or(Ok(Vec::new()), conffiles::parse)
    }

    /// Any field of the paragraph, e.g. `Depends`, trimmed at both ends. The first one, should it be
    /// there twice.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.fields().find(|f| f.is(name)).map(|f| f.raw.trim_ascii())
    }

    /// The paragraph as it is in the file, without the empty line behind it.
    pub fn paragraph(&self) -> &'a [u8] {
        self.paragraph
    }

    /// All fields in their order, with lines of the whole file.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let mut reader = Reader::starting_at(self.paragraph, self.line);
        // The paragraph was read once without an error, so this ends only at its end.
        std::iter::from_fn(move || reader.next_field().ok().flatten())
    }
}

#[cfg(test)]
mod tests;
