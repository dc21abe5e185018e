fn main() -> std::process::ExitCode {
    flipper_profiles::commands::base_main()
}
