//! How long a property is tried: `tests/run property --all` sets FLIPPER_TESTS_LONG.

/// The short form's number of cases, or forty times it.
pub fn cases(short: u32) -> u32 {
    match std::env::var("FLIPPER_TESTS_LONG").as_deref() {
        Ok("yes") => short * 40,
        _ => short,
    }
}
