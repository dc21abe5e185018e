//! How long a property is tried: `tests/run property --all` sets FLIPPER_TESTS_LONG.

// A test takes the one or the other.
#![allow(dead_code)]

/// The short form's number of cases, or forty times it.
pub fn cases(short: u32) -> u32 {
    pick(short, short * 40)
}

/// One number for the short form, another for the long one.
pub fn pick<T>(short: T, long: T) -> T {
    match std::env::var("FLIPPER_TESTS_LONG").as_deref() {
        Ok("yes") => long,
        _ => short,
    }
}
