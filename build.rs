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

/// `flipper-profile.8`: one page a program, its verbs inside (clap_mangen would refer to a page for each).
fn man_page(command: &clap::Command, dir: &Path) -> std::io::Result<()> {
    let name = command.get_name().to_owned();
    let page = clap_mangen::Man::new(command.clone()).section("8").source("").manual("flipper-profiles");
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    if command.has_subcommands() {
        text.extend_from_slice(b".SH VERBS\n");
        verb_sections(&name, command, &mut text)?;
    }
    if command.get_after_help().is_some() {
        // Examples and exit status; clap_mangen writes the heading EXTRA.
        text.extend_from_slice(b".SH NOTES\n");
        let mut section = Vec::new();
        page.render_extra_section(&mut section)?;
        append_without_headings(&section, &mut text);
    }
    text.extend_from_slice(b".SH SEE ALSO\n.BR flipper\\-profiles (7)\n");
    std::fs::write(dir.join(format!("{name}.8")), text)
}

/// One `.SS` for each verb, with its own options: those of the program are told once, above.
fn verb_sections(program: &str, command: &clap::Command, text: &mut Vec<u8>) -> std::io::Result<()> {
    for verb in command.get_subcommands() {
        let name = format!("{program} {}", verb.get_name());
        if verb.has_subcommands() {
            verb_sections(&name, verb, text)?;
            continue;
        }
        let own = verb.clone().bin_name(&name).disable_help_flag(true);
        let page = clap_mangen::Man::new(own);
        let mut section = Vec::new();
        page.render_synopsis_section(&mut section)?;
        section.extend_from_slice(b".PP\n");
        page.render_description_section(&mut section)?;
        if verb.get_arguments().next().is_some() {
            page.render_options_section(&mut section)?;
        }
        if verb.get_after_help().is_some() {
            page.render_extra_section(&mut section)?;
        }
        text.extend_from_slice(format!(".SS {}\n", name.replace('-', "\\-")).as_bytes());
        append_without_headings(&section, text);
    }
    Ok(())
}

fn append_without_headings(section: &[u8], text: &mut Vec<u8>) {
    text.extend(section.split_inclusive(|b| *b == b'\n').filter(|line| !line.starts_with(b".SH ")).flatten());
}

fn completions(mut command: clap::Command, dir: &Path) -> std::io::Result<()> {
    use clap_complete::{Shell, generate_to};
    let name = command.get_name().to_owned();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command, &name, dir)?;
    }
    Ok(())
}
