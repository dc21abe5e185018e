//! Every parser on input nobody made on purpose: good files with bytes changed, pieces repeated, ends torn
//! off. No bytes panic one, none make it slow, and what is read is written back as it was. These
//! programs run inside apt, and the files they read lie on a disk that loses power.
//!
//! `tests/run fuzz` takes seconds, always the same cases; `tests/run fuzz --all` goes on for minutes with
//! a seed of its own, which it prints. A failing input is cut down, printed and saved;
//! `FLIPPER_FUZZ_INPUT=FILE cargo test --test fuzz TARGET` reads it again, FLIPPER_FUZZ_SEED=N repeats a run.

#[path = "fuzz/accounts.rs"]
mod accounts;
#[path = "fuzz/debian.rs"]
mod debian;
#[path = "fuzz/engine.rs"]
mod engine;
#[path = "fuzz/formats.rs"]
mod formats;
#[path = "fuzz/journal.rs"]
mod journal;
#[path = "fuzz/ours.rs"]
mod ours;
#[path = "fuzz/words.rs"]
mod words;
