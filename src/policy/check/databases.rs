//! Databases that dpkg and its companions keep beside the package database (classes G): each is merged
//! record by record, and what follows from it on disk follows from the merged one.

use crate::model::error::Result;

use super::Look;
use super::finding::Finding;

pub mod alternatives;
pub mod diversions;
pub mod records;
mod statoverride;
mod units;

pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    diversions::find(look, found)?;
    statoverride::find(look, found)?;
    alternatives::find(look, found)?;
    records::find(look, found);
    units::find(look, found)
}
