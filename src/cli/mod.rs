//! The command line: one file per command, reports, shared options. Nothing below imports it.

mod access;
mod advice;
mod build;
#[cfg(feature = "engines")]
mod cache;
#[cfg(feature = "engines")]
mod cleanup;
mod color;
mod completions;
mod copy;
mod doctor;
mod extract;
mod fingerprint;
mod format;
mod gc;
mod help;
mod inspect;
mod journal;
mod keygen;
mod log;
mod man;
mod output;
mod policy;
mod post_run;
mod pre_run;
mod progress;
mod prompt;
mod rebase;
mod results;
mod route_file;
#[cfg(feature = "engines")]
mod run;
mod secrets;
mod settings;
mod signals;
mod station;
mod text;
mod tool_image;
mod trust;
mod validate;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::error::{Error, Result};
use crate::store::registry::Side;
use crate::store::{Context, Platform, Waiting};

use format::Format;
use output::Output;
use progress::{Display, When};
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
  Without TAG: the only image there, else `latest`.

Exit status:
  0 done   1 I/O or internal   2 usage   3 verification failed   4 key   5 not a train, or malformed
  6 registry, network or credentials   7 a person has to decide, or the station does not accept it
  8 the train failed   129, 130, 143 ended by a signal";

/// Run the Personal Health Train security protocol on OCI images, without a container daemon.
#[derive(Debug, Parser)]
#[command(name = "pht-oci", version, after_help = AFTER_HELP, max_term_width = 120, disable_help_subcommand = true)]
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
    /// Directory for temporary files [default: TMPDIR, else /tmp]
    #[arg(long, global = true, value_name = "DIR")]
    tmpdir: Option<std::path::PathBuf>,
    /// Show more detail; twice for debugging
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Show errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// When to show the progress of long steps, on standard error
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = When::Auto)]
    progress: When,
    #[command(flatten)]
    access: access::AccessOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    Keygen(keygen::Keygen),
    Fingerprint(fingerprint::Fingerprint),
    Trust(trust::Trust),
    Journal(journal::JournalCommand),
    Doctor(doctor::Doctor),
    Build(build::Build),
    Inspect(inspect::Inspect),
    Verify(verify::Verify),
    Validate(validate::Validate),
    PreRun(pre_run::PreRun),
    PostRun(post_run::PostRun),
    #[cfg(feature = "engines")]
    Run(run::Run),
    #[cfg(feature = "engines")]
    Cleanup(cleanup::Cleanup),
    #[cfg(feature = "engines")]
    Cache(cache::Cache),
    Results(results::Results),
    Rebase(rebase::Rebase),
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
            Command::Journal(command) => command.run(output),
            Command::Doctor(command) => command.run(context, output),
            Command::Build(command) => command.run(context, output),
            Command::Copy(command) => command.run(context, output),
            Command::Extract(command) => command.run(context, output),
            Command::Gc(command) => command.run(context, output),
            Command::Inspect(command) => command.run(context, output),
            Command::Verify(command) => command.run(context, output),
            Command::Validate(command) => command.run(context, output),
            Command::PreRun(command) => command.run(context, output),
            Command::PostRun(command) => command.run(context, output),
            Command::Rebase(command) => command.run(context, output),
            #[cfg(feature = "engines")]
            Command::Run(command) => command.run(context, output),
            #[cfg(feature = "engines")]
            Command::Cleanup(command) => command.run(context, output),
            #[cfg(feature = "engines")]
            Command::Cache(command) => command.run(context, output),
            Command::Results(command) => command.run(context, output),
            Command::ToolImage(command) => command.run(context, output),
            Command::Completions(command) => command.run(Cli::command(), output),
            Command::Man(command) => command.run(Cli::command(), output),
            Command::Help(command) => command.run(Cli::command(), output),
        }
    }
}

/// Runs the program with these arguments; its exit status.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    secrets::forbid_core_dumps();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match parse(&arguments) {
        Ok(cli) => cli,
        Err(status) => return status,
    };
    let display = Display::new(cli.global.progress, cli.global.quiet, cli.global.format);
    start_log(&cli.global, &display);
    let mut output = Output::new(cli.global.format, cli.global.quiet, display.clone());
    let done = signals::catch().and_then(|()| context(&cli.global, &display));
    let done = done.and_then(|context| cli.command.run(&context, &mut output));
    display.end();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            ExitCode::from(signals::exit_status(&error))
        }
    }
}

/// The command line, with the station's settings; or the exit status, when what was wrong with it has been said.
fn parse(arguments: &[OsString]) -> std::result::Result<Cli, ExitCode> {
    let format = if asks_for_json(arguments) { Format::Json } else { Format::Text };
    let refuse = |error: &Error| {
        Output::new(format, false, Display::default()).error(error);
        ExitCode::from(error.kind().exit_status())
    };
    let command = settings::without_empty_variables(Cli::command());
    let settings = Settings::find(&command, arguments).map_err(|error| refuse(&error))?;
    let command = match &settings {
        Some(settings) => settings.apply(command),
        None => command,
    };
    let parsed = command.try_get_matches_from(arguments).and_then(|found| Cli::from_arg_matches(&found));
    parsed.map_err(|error| {
        if let Some(fault) = settings.and_then(|settings| settings.fault(&error)) {
            return refuse(&fault);
        }
        if error.use_stderr() && format == Format::Json {
            return refuse(&usage_error(&error));
        }
        // Help and version are no errors; a closed stdout cannot be reported.
        let _ = error.print();
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
    })
}

/// True if a command line that could not be parsed asks for JSON.
fn asks_for_json(arguments: &[OsString]) -> bool {
    let own = arguments.iter().take_while(|argument| *argument != "--" && *argument != "--cmd").collect::<Vec<_>>();
    own.contains(&&OsString::from("--format=json"))
        || own.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "json")
}

/// The fault of a command line, in one line; the rest of the parser's text is advice.
fn usage_error(error: &clap::Error) -> Error {
    let text = error.render().to_string();
    let (what, advice) = text.split_once("\n\n").unwrap_or((&text, ""));
    let what = what.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ");
    Error::usage(what).hint(advice.trim())
}

fn context(global: &Global, display: &Display) -> Result<Context> {
    Ok(Context {
        now: secrets::now()?,
        platform: global.platform.clone(),
        waiting: if global.no_wait { Waiting::Fail } else { Waiting::Wait },
        temporary: global.tmpdir.clone().unwrap_or_else(std::env::temp_dir),
        cache: own_directory("XDG_CACHE_HOME", ".cache"),
        state: own_directory("XDG_STATE_HOME", ".local/state"),
        pull: global.access.access(Side::Source)?,
        push: global.access.access(Side::Destination)?,
        progress: display.progress(),
    })
}

/// This program's directory in one of those that users have (XDG Base Directory Specification): the variable's, if it
/// names an absolute path, else the default below their home.
fn own_directory(variable: &str, default: &str) -> Option<PathBuf> {
    let directory = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let parent = directory(variable).or_else(|| directory("HOME").map(|home| home.join(default)));
    parent.map(|parent| parent.join("pht-oci"))
}

fn start_log(global: &Global, display: &Display) {
    let level = match (global.quiet, global.verbose) {
        (_, 0) => tracing::Level::WARN,
        (_, 1) => tracing::Level::INFO,
        (..) => tracing::Level::DEBUG,
    };
    let writer = log::LogWriter::new(display.clone(), global.quiet, global.format);
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(writer).without_time();
    // A second subscriber in one process (in tests of this library) is no fault.
    let _ = builder.with_target(false).with_ansi(color::may_color(&std::io::stderr())).try_init();
}
