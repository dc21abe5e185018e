//! DECISIONS. Facts in, a verdict or a plan out: nothing here reads, writes or asks.

pub mod descent;
pub mod difference;
pub mod outcome;
pub mod recover;
pub mod settled;
pub mod span;
pub mod text_diff;
pub mod undo;
