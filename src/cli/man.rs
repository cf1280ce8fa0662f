use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_mangen::Man as Manual;

use super::output::Output;
use crate::error::{ErrorContext, IoContext, Result};
use crate::json::json;
use crate::manual::{self, literal};

/// What the program keeps outside of images.
const FILES: &str = "\
~/.config/pht-oci/station.toml, /etc/pht-oci/station.toml
    the station's settings, the first that is there (XDG_CONFIG_HOME)
~/.cache/pht-oci
    what was found out about base layers, and bases that runs keep (XDG_CACHE_HOME)
~/.local/state/pht-oci
    the runs in progress (XDG_STATE_HOME)";

/// Write the manual pages: one for the program, one for each command, and one for each topic.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pht-oci man --out /usr/local/share/man/man1")]
pub(super) struct Man {
    /// The directory for the pages; created if it does not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Man {
    /// `program` is the whole command line.
    pub(super) fn run(&self, mut program: Command, output: &mut Output) -> Result<()> {
        fs::create_dir_all(&self.out).doing("create the directory").at(self.out.display())?;
        program.build();
        self.write(&program, &program)?;
        for page in &manual::PAGES {
            let path = self.out.join(format!("pht-oci-{}.1", page.topic));
            fs::write(&path, page.to_roff()).doing("write the manual page").at(path.display())?;
        }
        let out = self.out.display().to_string();
        output.value(&format!("{out}\n"), &json!({ "destination": out }))
    }

    /// The page of a command, and those of its own commands.
    fn write(&self, command: &Command, program: &Command) -> Result<()> {
        for one in command.get_subcommands().filter(|one| !one.is_hide_set()) {
            self.write(one, program)?;
        }
        let path = self.out.join(Manual::new(command.clone()).get_filename());
        let mut rendered = Vec::new();
        Manual::new(command.clone()).render(&mut rendered).doing("write the manual page").at(path.display())?;
        let page = page(&String::from_utf8_lossy(&rendered), command, program);
        fs::write(&path, page).doing("write the manual page").at(path.display())
    }
}

/// The page as it was rendered, with what manuals have and that does not: a synopsis with values, examples, environment,
/// files, exit statuses, and what else there is to read.
fn page(rendered: &str, command: &Command, program: &Command) -> String {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let is_program = command.get_name() == program.get_name();
    let mut sections = rendered.split("\n.SH ");
    let head = sections.next().unwrap_or_default().lines().filter(|line| !line.starts_with(".TH "));
    let mut out: String = head.map(|line| format!("{line}\n")).collect();
    let _ = writeln!(out, ".TH {name} 1 \"\" \"pht-oci {}\" \"\"", env!("CARGO_PKG_VERSION"));
    for section in sections {
        match section.split_once('\n').map_or(section, |(title, _)| title) {
            "SYNOPSIS" => {
                let usage = command.clone().render_usage().to_string();
                add(&mut out, "SYNOPSIS", usage.trim_start_matches("Usage:").trim());
            }
            // The blocks below are these.
            "EXTRA" => {}
            _ => {
                let _ = writeln!(out, ".SH {}", section.trim_end());
            }
        }
    }
    let own = blocks(command);
    own.iter().for_each(|(title, text)| add(&mut out, title, text));
    if !is_program {
        let environment = environment(command);
        if !environment.is_empty() {
            add(&mut out, "ENVIRONMENT", &environment);
        }
        let statuses = blocks(program).into_iter().filter(|(title, _)| title == "EXIT STATUS");
        statuses.for_each(|(title, text)| add(&mut out, &title, &text));
    }
    add(&mut out, "FILES", FILES);
    add(&mut out, "SEE ALSO", &see_also(command, is_program));
    out
}

/// One more section, whose lines stay as they are.
fn add(out: &mut String, title: &str, text: &str) {
    let _ = writeln!(out, ".SH \"{title}\"\n.nf\n{}.fi", literal(text));
}

/// The blocks at the end of a command's help: a heading and the lines below it.
fn blocks(command: &Command) -> Vec<(String, String)> {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match line.strip_suffix(':').filter(|heading| heading.starts_with(char::is_uppercase)) {
            Some(heading) => {
                let (title, rest) = heading.split_once(" (").unwrap_or((heading, ""));
                let rest = rest.strip_suffix(')').map(|rest| format!("{rest}:\n")).unwrap_or_default();
                found.push((title.to_uppercase(), rest));
            }
            None => {
                if let Some((_, body)) = found.last_mut() {
                    *body += line.strip_prefix("  ").unwrap_or(line);
                    body.push('\n');
                }
            }
        }
    }
    found.into_iter().map(|(title, text)| (title, text.trim_end().to_owned())).collect()
}

/// The variables that stand for options of a command.
fn environment(command: &Command) -> String {
    let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let line = |argument: &clap::Arg| {
        Some(format!("{:<24}as --{}\n", argument.get_env()?.to_string_lossy(), argument.get_long()?))
    };
    shown.filter_map(line).collect()
}

/// The other pages: of the program all of them.
fn see_also(command: &Command, is_program: bool) -> String {
    let below = command.get_subcommands().filter(|one| !one.is_hide_set());
    let below = below.filter_map(|one| one.get_display_name()).map(str::to_owned);
    let topics = manual::PAGES.iter().map(|page| format!("pht-oci-{}", page.topic));
    let names: Vec<String> = if is_program {
        below.chain(topics).collect()
    } else {
        std::iter::once("pht-oci".to_owned()).chain(below).chain(["pht-oci-commands".to_owned()]).collect()
    };
    names.iter().map(|name| format!("{name}(1)")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_help_are_sections() {
        let help = "Images (SRC, DEST):\n  oci:DIR  a layout\n  More: none.\n\nExamples:\n  pht-oci x \\\n    --y";
        let found = blocks(&Command::new("x").after_help(help));
        let expected = [("IMAGES", "SRC, DEST:\noci:DIR  a layout\nMore: none."), ("EXAMPLES", "pht-oci x \\\n  --y")];
        assert_eq!(found, expected.map(|(title, text)| (title.to_owned(), text.to_owned())));
    }
}
