//! What no database says and the files show: libraries that would be missing (P12), modules of another
//! Python (P14), package sources of another release (P20), kernel modules (P21).

use crate::model::error::Result;

use super::Look;
use super::finding::Finding;

mod libraries;
mod linker;
pub mod paths;

/// Behind the packages and the files: what is said better here is taken out there.
pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    if look.is_doctor() {
        return Ok(()); // everything is as it is
    }
    libraries::find(look, found)
}
