//! What no database says and the files show: packages with another content than their version says
//! (P9), libraries that would be missing (P12), modules of another Python, Perl or Ruby (P14, P15), package sources of another release (P20), kernel modules (P21).

use crate::model::error::Result;

use super::Look;
use super::finding::Finding;

mod changing;
mod languages;
pub mod libraries;
mod linker;
mod modules;
pub mod paths;
mod python;
mod rebuilt;
mod sources;

/// Behind the packages and the files: what is said better here is taken out there.
pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    if look.is_doctor() {
        return Ok(()); // everything is as it is
    }
    libraries::find(look, found)?;
    python::find(look, found)?;
    languages::find(look, found);
    rebuilt::find(look, found);
    sources::find(look, found)?;
    modules::find(look, found)
}
