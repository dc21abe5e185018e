//! Configuration (classes C): what dpkg and ucf watch for a package, and what a person may have edited. It is
//! decided by the table dpkg itself goes by (src/main/configure.c): what was shipped before, what is there
//! now, what the candidate ships. Only what lies in the upper is looked at: of everything else the profile
//! has what its base has, and gets what the candidate has.

use crate::model::error::Result;

use super::Look;
use super::finding::Finding;

mod answers;
mod compared;
pub mod conffiles;
mod drop_ins;
mod moved;
pub mod paths;
pub mod ucf;

pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    if look.is_doctor() {
        return Ok(()); // all of this is about carrying
    }
    let listed = conffiles::listed(look)?;
    for (path, listed) in &listed {
        found.extend(conffiles::find(look, path, listed)?);
    }
    ucf::find(look, |path| listed.contains_key(path), found)?;
    answers::find(look, found)?;
    drop_ins::find(look, found)
}
