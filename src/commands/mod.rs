//! STORIES.
pub mod cli;
use std::process::ExitCode;
pub fn undo_main() -> ExitCode {
    ExitCode::SUCCESS
}
pub fn profile_main() -> ExitCode {
    ExitCode::SUCCESS
}
pub fn base_main() -> ExitCode {
    ExitCode::SUCCESS
}
pub fn hook_main() -> ExitCode {
    ExitCode::SUCCESS
}
pub fn rescue_main() -> ExitCode {
    ExitCode::SUCCESS
}
