fn main() -> std::process::ExitCode {
    flipper_profiles::commands::hook_main()
}
