fn main() -> std::process::ExitCode {
    flipper_profiles::commands::rescue_main()
}
