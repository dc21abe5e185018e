//! What `--explain CLASS` says: what it is, how it comes about, what a rebase does and what can be done
//! instead, with an example. A class that is not here is not looked at.

use super::class::Class;

mod accounts;
mod caches;
mod config;
mod databases;
mod files;
mod identity;
mod packages;
mod procedure;
mod truth;

pub fn text(class: Class) -> Option<&'static str> {
    let families = [
        files::text,
        packages::text,
        truth::text,
        config::text,
        accounts::text,
        databases::text,
        procedure::text,
        caches::text,
        identity::text,
    ];
    families.into_iter().find_map(|text| text(class))
}
