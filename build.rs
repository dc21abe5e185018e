//! Man pages and shell completions, made from the same definitions the programs read. Written only
//! when FLIPPER_ASSETS_DIR names a directory (debian/rules does): an ordinary build writes nothing.

use std::path::Path;

use clap::CommandFactory;

#[allow(dead_code, unused_imports)]
#[path = "src/commands/cli.rs"]
mod cli;
#[path = "debian/manual_pages.rs"]
mod man;

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-env-changed=FLIPPER_ASSETS_DIR");
    println!("cargo:rerun-if-changed=src/commands/cli.rs");
    println!("cargo:rerun-if-changed=src/commands/cli");
    println!("cargo:rerun-if-changed=debian/changelog");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=debian/manual_pages.rs");
    let Some(dir) = std::env::var_os("FLIPPER_ASSETS_DIR") else { return Ok(()) };
    let dir = Path::new(&dir);
    std::fs::create_dir_all(dir)?;
    let changelog = std::fs::read_to_string("debian/changelog").unwrap_or_default();
    let date = man::release_date(&changelog).unwrap_or_default();
    for command in [
        cli::Undo::command(),
        cli::ProfileProgram::command(),
        cli::BaseProgram::command(),
        cli::Rescue::command(),
    ] {
        std::fs::write(dir.join(format!("{}.8", command.get_name())), man::page(&command, &date)?)?;
        completions(command, dir)?;
    }
    Ok(())
}

fn completions(mut command: clap::Command, dir: &Path) -> std::io::Result<()> {
    use clap_complete::{Shell, generate_to};
    let name = command.get_name().to_owned();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command, &name, dir)?;
    }
    Ok(())
}
