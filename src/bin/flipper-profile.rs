fn main() -> std::process::ExitCode {
    flipper_profiles::commands::profile_main()
}
