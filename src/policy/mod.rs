//! DECISIONS. Facts in, a verdict or a plan out: nothing here reads, writes or asks.

pub mod accounts;
pub mod check;
pub mod closure;
pub mod compare;
pub mod connections;
pub mod descent;
pub mod difference;
pub mod identity;
pub mod mend;
pub mod outcome;
pub mod own;
pub mod rebase;
pub mod received;
pub mod recover;
pub mod repair;
pub mod retention;
pub mod settled;
pub mod space;
pub mod span;
pub mod state;
pub mod state_line;
pub mod text_diff;
pub mod text_merge;
pub mod told;
pub mod undo;
