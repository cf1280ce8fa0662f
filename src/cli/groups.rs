//! The commands in the help of the program, by who needs them.

use clap::Command;
use clap::builder::StyledStr;

/// The commands in the order of a train's journey; that of the subcommands is the same.
pub(super) const GROUPS: [(&str, &[&str]); 7] = [
    ("Keys", &["keygen", "fingerprint", "trust"]),
    ("Creators", &["build", "sign", "try", "rebase", "results"]),
    ("Stations", &["doctor", "inspect", "verify", "run", "pre-run", "post-run", "cleanup", "cache"]),
    ("Reviewers", &["review", "approve", "release", "reject"]),
    ("Records", &["journal", "report", "diff", "validate"]),
    ("Images", &["ls", "extract", "copy", "gc", "tool-image"]),
    ("Program", &["completions", "man", "help"]),
];

/// The widest lines of the help, in columns.
pub(super) const WIDTH: usize = 120;

/// The same command line, whose help shows the commands in groups.
pub(super) fn grouped(command: Command) -> Command {
    let shown = GROUPS.map(|(heading, names)| group(&command, heading, names)).concat();
    let template = format!("{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{shown}{{all-args}}{{after-help}}");
    // The groups take the place of the list of all of them, and what is hidden is in no usage either.
    let usage = format!("{} [OPTIONS] <COMMAND>", command.get_name());
    command.override_usage(usage).help_template(StyledStr::from(template)).mut_subcommands(|one| one.hide(true))
}

/// Of a command its name, and what it is about.
pub(super) fn outline(command: &Command) -> Command {
    Command::new(command.get_name().to_owned()).about(command.get_about().cloned().unwrap_or_default())
}

/// One group as the parser renders its own list: wrapped to the terminal, and in its styles.
fn group(command: &Command, heading: &str, names: &[&str]) -> String {
    // For their lines alone: whatever else they have may refer to the options of the program.
    let lines = names.iter().filter_map(|name| command.find_subcommand(name)).map(outline);
    let styles = command.get_styles().clone();
    let header = styles.get_header();
    let mut list = Command::new("group")
        .styles(styles.clone())
        .max_term_width(WIDTH)
        .disable_help_subcommand(true)
        .disable_help_flag(true)
        .help_template("{subcommands}")
        .subcommands(lines);
    format!("{header}{heading}:{header:#}\n{}\n\n", list.render_help().ansi().to_string().trim_end())
}
