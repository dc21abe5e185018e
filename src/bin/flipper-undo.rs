fn main() -> std::process::ExitCode {
    flipper_profiles::commands::undo_main()
}
