//! Man pages and shell completions, made from the same definitions the programs read. Written only
//! when FLIPPER_ASSETS_DIR names a directory (debian/rules does): an ordinary build writes nothing.

use std::path::Path;

use clap::CommandFactory;

#[allow(dead_code)]
#[path = "src/commands/cli.rs"]
mod cli;

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-env-changed=FLIPPER_ASSETS_DIR");
    println!("cargo:rerun-if-changed=src/commands/cli.rs");
    println!("cargo:rerun-if-changed=build.rs");
    let Some(dir) = std::env::var_os("FLIPPER_ASSETS_DIR") else { return Ok(()) };
    let dir = Path::new(&dir);
    std::fs::create_dir_all(dir)?;
    for command in [
        cli::Undo::command(),
        cli::ProfileProgram::command(),
        cli::BaseProgram::command(),
        cli::Rescue::command(),
    ] {
        man_page(&command, dir)?;
        completions(command, dir)?;
    }
    Ok(())
}

/// `flipper-profile.8`: one page a program, its verbs inside.
fn man_page(command: &clap::Command, dir: &Path) -> std::io::Result<()> {
    let name = command.get_name().to_owned();
    let page = clap_mangen::Man::new(command.clone()).section("8").manual("flipper-profiles");
    let mut text = Vec::new();
    page.render(&mut text)?;
    for verb in command.get_subcommands() {
        verb_section(&name, verb, &mut text)?;
    }
    std::fs::write(dir.join(format!("{name}.8")), text)
}

/// One `.SS` per verb with its options, so that one page holds everything.
fn verb_section(program: &str, verb: &clap::Command, text: &mut Vec<u8>) -> std::io::Result<()> {
    let page = clap_mangen::Man::new(verb.clone());
    text.extend_from_slice(
        format!(".SH {} {}\n", program.to_uppercase(), verb.get_name().to_uppercase()).as_bytes(),
    );
    page.render_description_section(text)?;
    page.render_synopsis_section(text)?;
    if verb.get_arguments().next().is_some() {
        page.render_options_section(text)?;
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
