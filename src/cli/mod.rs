//! The command line: one file per command, reports, shared options. Nothing below imports it.

mod access;
mod advice;
mod approve;
mod build;
#[cfg(feature = "engines")]
mod cache;
mod check_words;
mod choices;
#[cfg(feature = "engines")]
mod cleanup;
mod color;
mod completions;
#[cfg(feature = "engines")]
mod container;
mod copy;
mod damage_page;
mod diff;
mod directories;
mod doctor;
mod documents;
mod done_text;
mod extract;
mod findings;
mod fingerprint;
mod format;
mod gc;
mod groups;
mod guest;
mod help;
mod inspect;
mod journal;
mod json_line;
mod keygen;
mod log;
mod ls;
mod man;
mod metrics;
mod misuse;
mod on_terminal;
mod output;
mod page;
mod policy;
mod post_run;
mod pre_run;
mod progress;
mod prompt;
mod quantity;
mod rebase;
#[cfg(feature = "engines")]
mod rehearsal;
#[cfg(feature = "engines")]
mod rehearsal_text;
mod reject;
mod release;
mod release_options;
mod repeated;
mod report;
mod report_json;
mod report_page;
mod report_text;
mod results;
mod review;
mod review_page;
mod review_text;
mod route_file;
#[cfg(feature = "engines")]
mod run;
#[cfg(feature = "engines")]
mod running_time;
#[cfg(feature = "engines")]
mod screen;
mod secrets;
mod settings;
mod sign;
mod signals;
mod station;
mod text;
mod told;
mod tool_image;
mod trust;
mod validate;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint};

use crate::error::{Error, Result};
use crate::store::registry::Side;
use crate::store::{Context, DEFAULT_MAX_FILES, Platform, Waiting};

use directories::{own_directory, temporary_directory};
use format::Format;
use output::Output;
use progress::{Display, When};
use repeated::Repeated;
use settings::Settings;

/// Exit statuses, shown at the end of the help.
const AFTER_HELP: &str = "\
Images (SRC, DEST, REF):
  oci:DIR[:TAG]               an OCI image layout
  oci-archive:FILE[:TAG]      an OCI image layout in a tar file
  docker-archive:FILE[:NAME]  an archive written by `docker save`
  dir:DIR                     one image, as written by `skopeo copy`
  docker://HOST/REPO[:TAG|@DIGEST]
                              a repository in a registry
  PATH                        any of these, detected from what is there
  Without TAG: the only image there, else `latest`. An image without a tag is
  PATH@DIGEST, or PATH:@N for the Nth from 0.

Environment (an option goes first; an empty variable counts as none):
  PRIVATE_KEY_PATH            the private key, as --private-key
  PRIVATE_KEY_PASSWORD        its passphrase, unless --passphrase-file has it
  STATION_ID                  the station, as --station
  PHT_TRUST_DIR               the pinned keys, as --trust
  REGISTRY_AUTH_FILE          the file with logins, as --authfile; else
                              XDG_RUNTIME_DIR, XDG_CONFIG_HOME and
                              DOCKER_CONFIG say where it is looked for
  SOURCE_DATE_EPOCH           the time in images, in seconds since 1970
  TMPDIR                      the directory for temporary files, as --tmpdir
  NO_COLOR                    no colours
  https_proxy, no_proxy       the proxy for registries

Topics (pht-oci help TOPIC):
  station, running, creator, review, pipelines, security, troubleshooting,
  commands, checks, json, images, performance, migrating, wire-3

Exit status:
  0 done   1 I/O or internal   2 usage   3 verification failed   4 key
  5 not a train, or malformed   6 registry, network or credentials
  7 a person has to decide, or the station does not accept it
  8 the train failed   129, 130, 143 ended by a signal";

/// Run the Personal Health Train security protocol on OCI images, without a container daemon.
#[derive(Debug, Parser)]
#[command(name = "pht-oci", version, after_help = AFTER_HELP, max_term_width = groups::WIDTH, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// The options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// The station's settings [default: pht-oci/station.toml in XDG_CONFIG_HOME, else in /etc]
    #[arg(long, global = true, value_name = "FILE", env = settings::VARIABLE)]
    config: Option<std::path::PathBuf>,
    /// Format of reports
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Platform of the image, if there are several [default: this machine's]
    #[arg(long, global = true, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Fail instead of waiting when another process writes to the same layout
    #[arg(long, global = true)]
    no_wait: bool,
    /// Directory for temporary files [default: TMPDIR, else /var/tmp]
    #[arg(long, global = true, value_name = "DIR")]
    tmpdir: Option<std::path::PathBuf>,
    /// Refuse images and directories with more files than this
    #[arg(long, global = true, value_name = "NUMBER", default_value_t = DEFAULT_MAX_FILES, value_parser = quantity::count)]
    max_files: usize,
    /// Show more detail; twice for debugging
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Show errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// When to show the progress of long steps, on standard error
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = When::Auto)]
    progress: When,
    /// A file for exit status, duration and bytes, as node_exporter collects it (*.prom); it is replaced
    #[arg(long, global = true, value_name = "FILE")]
    metrics: Option<std::path::PathBuf>,
    #[command(flatten)]
    access: access::AccessOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    Keygen(keygen::Keygen),
    Fingerprint(fingerprint::Fingerprint),
    Trust(trust::Trust),
    Build(build::Build),
    Sign(sign::Sign),
    #[cfg(feature = "engines")]
    Try(rehearsal::Try),
    Rebase(rebase::Rebase),
    Results(results::Results),
    Doctor(doctor::Doctor),
    Inspect(inspect::Inspect),
    Verify(verify::Verify),
    #[cfg(feature = "engines")]
    Run(run::Run),
    PreRun(pre_run::PreRun),
    PostRun(post_run::PostRun),
    #[cfg(feature = "engines")]
    Cleanup(cleanup::Cleanup),
    #[cfg(feature = "engines")]
    Cache(cache::Cache),
    Review(review::ReviewCommand),
    Approve(approve::Approve),
    Release(release::Release),
    Reject(reject::Reject),
    Journal(journal::JournalCommand),
    Report(report::Report),
    Diff(diff::Diff),
    Validate(validate::Validate),
    Ls(ls::Ls),
    Extract(extract::Extract),
    Copy(copy::Copy),
    Gc(gc::Gc),
    ToolImage(tool_image::ToolImage),
    Completions(completions::Completions),
    Man(man::Man),
    Help(help::Help),
}

impl Command {
    fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        match self {
            Command::Keygen(command) => command.run(output),
            Command::Fingerprint(command) => command.run(output),
            Command::Trust(command) => command.run(context, output),
            Command::Build(command) => command.run(context, output),
            Command::Sign(command) => command.run(context, output),
            #[cfg(feature = "engines")]
            Command::Try(command) => command.run(context, output),
            Command::Rebase(command) => command.run(context, output),
            Command::Results(command) => command.run(context, output),
            Command::Doctor(command) => command.run(context, output),
            Command::Inspect(command) => command.run(context, output),
            Command::Verify(command) => command.run(context, output),
            #[cfg(feature = "engines")]
            Command::Run(command) => command.run(context, output),
            Command::PreRun(command) => command.run(context, output),
            Command::PostRun(command) => command.run(context, output),
            #[cfg(feature = "engines")]
            Command::Cleanup(command) => command.run(context, output),
            #[cfg(feature = "engines")]
            Command::Cache(command) => command.run(context, output),
            Command::Review(command) => command.run(context, output),
            Command::Approve(command) => command.run(context, output),
            Command::Release(command) => command.run(context, output),
            Command::Reject(command) => command.run(context, output),
            Command::Journal(command) => command.run(output),
            Command::Report(command) => command.run(context, output),
            Command::Diff(command) => command.run(context, output),
            Command::Validate(command) => command.run(context, output),
            Command::Ls(command) => command.run(context, output),
            Command::Extract(command) => command.run(context, output),
            Command::Copy(command) => command.run(context, output),
            Command::Gc(command) => command.run(context, output),
            Command::ToolImage(command) => command.run(context, output),
            Command::Completions(command) => command.run(self::command(), output),
            Command::Man(command) => command.run(self::command(), output),
            Command::Help(command) => command.run(self::command(), output),
        }
    }
}

/// The whole command line.
fn command() -> clap::Command {
    dressed(Cli::command())
}

/// The command line as far as these arguments may have to do with it: of other commands there is the name, and what each is
/// about. To make the options of all takes most of the time of a short command.
fn command_for(arguments: &[OsString]) -> clap::Command {
    let is_named = |name: &str| arguments.iter().skip(1).any(|argument| argument == name);
    let command = Cli::command();
    if is_named(settings::EXAMINER) {
        return dressed(command);
    }
    dressed(command.mut_subcommands(|one| if is_named(one.get_name()) { one } else { groups::outline(&one) }))
}

/// The same, with each command's own options shown in its help: those of registries where it has to do with one.
fn dressed(mut command: clap::Command) -> clap::Command {
    const LOCAL: [&str; 8] = ["keygen", "fingerprint", "journal", "cleanup", "gc", "completions", "man", "help"];
    const READING: [&str; 15] = [
        "inspect", "verify", "validate", "diff", "report", "results", "extract", "ls", "try", "review", "approve",
        "reject", "doctor", "trust", "cache",
    ];
    // Global options become those of the commands when it is built.
    command.build();
    command.mut_subcommands(|one| {
        let (is_local, only_reads) = (LOCAL.contains(&one.get_name()), READING.contains(&one.get_name()));
        one.mut_args(|argument| {
            let of_registries = argument.get_help_heading() == Some("Registries");
            let of_destination = argument.get_long().is_some_and(|long| long.starts_with("dest-"));
            let is_idle = is_local && of_registries || only_reads && of_destination;
            complete_paths(ignore_empty_variable(if is_idle { argument.hide(true) } else { argument }))
        })
    })
}

/// Has shells complete files, directories or commands where the value is one, and nothing where it is none.
fn complete_paths(argument: clap::Arg) -> clap::Arg {
    let name = argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let hint = match name.as_deref() {
        Some("DIR") => ValueHint::DirPath,
        Some("FILE" | "PEM" | "ROUTE.json" | "F") => ValueHint::FilePath,
        Some("SRC" | "DEST" | "REF" | "LAYOUT" | "SRC|DIR" | "DIR|FILE.tar|-" | "HOST:PATH[:rw]") => ValueHint::AnyPath,
        Some("COMMAND") => ValueHint::CommandString,
        _ => ValueHint::Other,
    };
    if argument.get_possible_values().is_empty() { argument.value_hint(hint) } else { argument }
}

/// Runs the program with these arguments; its exit status.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    secrets::forbid_core_dumps();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let began = (now.as_secs(), Instant::now());
    let Parsed { cli, name, repeated } = match parse(&arguments) {
        Ok(parsed) => parsed,
        Err(status) => return status,
    };
    let display = Display::new(cli.global.progress, cli.global.quiet, cli.global.format);
    log::start(cli.global.format, cli.global.quiet, cli.global.verbose, &display);
    settings::warn_of_writers();
    let mut output = Output::new(cli.global.format, cli.global.quiet, display.clone());
    output.repeat(repeated);
    let done = signals::catch().and_then(|()| context(&cli.global, &display));
    let done = done.and_then(|context| cli.command.run(&context, &mut output));
    display.end();
    let exit_status = done.as_ref().map_or_else(signals::exit_status, |()| 0);
    if let Some(path) = &cli.global.metrics {
        let ended = metrics::Ended { command: &name, began, exit_status, figures: output.figures() };
        // The work is done; that nobody measures it does not undo it.
        if let Err(error) = ended.write(path) {
            tracing::warn!("{error}");
        }
    }
    if let Err(error) = &done {
        output.error(error);
    }
    ExitCode::from(exit_status)
}

/// A command line that was understood.
struct Parsed {
    cli: Cli,
    /// The command's name.
    name: String,
    repeated: Repeated,
}

/// The command line, with the station's settings; or the exit status, when what was wrong with it has been said.
fn parse(arguments: &[OsString]) -> std::result::Result<Parsed, ExitCode> {
    let format = if asks_for_json(arguments) { Format::Json } else { Format::Text };
    let refuse = |error: &Error| {
        Output::new(format, false, Display::default()).error(error);
        ExitCode::from(error.kind().exit_status())
    };
    let command = settings::without_empty_variables(command_for(arguments));
    let settings = Settings::find(&command, arguments).map_err(|error| refuse(&error))?;
    let mut command = match &settings {
        Some(settings) => settings.apply(command),
        None => command,
    };
    let parsed = command.try_get_matches_from_mut(arguments).and_then(|found| {
        let repeated = |(name, given)| Some(Repeated::of(command.find_subcommand(name)?, given));
        let repeated = found.subcommand().and_then(repeated).unwrap_or_default();
        let name = found.subcommand_name().unwrap_or_default().to_owned();
        Cli::from_arg_matches(&found).map(|cli| Parsed { cli, name, repeated })
    });
    parsed.map_err(|error| {
        if let Some(fault) = settings.and_then(|settings| settings.fault(&error)) {
            return refuse(&fault);
        }
        let error = misuse::for_people(&command, arguments, error);
        if error.use_stderr() && format == Format::Json {
            return refuse(&misuse::usage_error(&error));
        }
        if arguments.len() < 2 {
            // Nothing was asked for.
            return output::print_help(&groups::grouped(command).render_help().to_string());
        }
        if error.use_stderr() {
            output::print_usage_error(&error.render().to_string());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
        // Help and version are no errors; a closed stdout cannot be reported.
        let _ = error.print();
        ExitCode::SUCCESS
    })
}

/// True if a command line that could not be parsed asks for JSON.
fn asks_for_json(arguments: &[OsString]) -> bool {
    let own = arguments.iter().take_while(|argument| *argument != "--" && *argument != "--cmd").collect::<Vec<_>>();
    own.contains(&&OsString::from("--format=json"))
        || own.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "json")
}

/// An empty variable counts as none; an option without a value stays an error.
fn ignore_empty_variable(argument: clap::Arg) -> clap::Arg {
    let is_empty = argument.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    if is_empty { argument.env(None::<&'static str>) } else { argument }
}

fn context(global: &Global, display: &Display) -> Result<Context> {
    Ok(Context {
        now: secrets::now()?,
        platform: global.platform.clone(),
        waiting: if global.no_wait { Waiting::Fail } else { Waiting::Wait },
        temporary: global.tmpdir.clone().unwrap_or_else(temporary_directory),
        cache: own_directory("XDG_CACHE_HOME", ".cache"),
        state: own_directory("XDG_STATE_HOME", ".local/state"),
        pull: global.access.access(Side::Source)?,
        push: global.access.access(Side::Destination)?,
        max_files: global.max_files,
        progress: display.progress(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_one_group_and_there_is_one_order() {
        let command = command();
        let commands: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        let mut grouped: Vec<&str> = groups::GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        if cfg!(not(feature = "engines")) {
            grouped.retain(|name| !["try", "run", "cleanup", "cache"].contains(name));
        }
        assert_eq!(grouped, commands);
    }

    /// At 80 columns nothing may be wrapped by the terminal: an example that is cannot be pasted.
    #[test]
    fn examples_can_be_pasted() {
        fn look(command: &clap::Command, long: &mut Vec<String>) {
            let after = command.get_after_long_help().or(command.get_after_help());
            let text = after.map(ToString::to_string).unwrap_or_default();
            let name = command.get_name();
            long.extend(text.lines().filter(|line| line.chars().count() > 80).map(|line| format!("{name}: {line}")));
            command.get_subcommands().for_each(|below| look(below, long));
        }
        let mut long = Vec::new();
        look(&command(), &mut long);
        assert_eq!(long, [""; 0]);
    }
}
