//! The station's settings: one TOML file whose keys are defaults of options. Options of the command line go before the
//! environment, and the environment before the file.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::store::fs::others_may_write;
use crate::text::Printable;

/// The variable with the path of the file.
pub(super) const VARIABLE: &str = "PHT_CONFIG";
/// The place of the file for all users of a machine.
const SYSTEM: &str = "/etc/pht-oci/station.toml";
/// The place of the file of one user, below the directory for configurations.
const USER: &str = "pht-oci/station.toml";
/// The largest file that is read, in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// The file that was read, for those who look at it.
static USED: OnceLock<PathBuf> = OnceLock::new();
/// What is wrong with its values, where that is a finding of the command.
static FAULTS: OnceLock<Vec<Error>> = OnceLock::new();

/// Says it when others can change the settings that are used.
pub(super) fn warn_of_writers() {
    if let Some(path) = used().filter(|path| others_can_change(path)) {
        tracing::warn!("others can change the settings {}, and so what runs here; chmod go-w", path.display());
    }
}

/// Whether others may write these settings; a pipe, as a shell makes it, is nobody else's.
pub(super) fn others_can_change(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && others_may_write(&found))
}

/// The file whose settings hold for this process.
pub(super) fn used() -> Option<&'static Path> {
    USED.get().map(PathBuf::as_path)
}

/// What is wrong with the values of the file, for the command that examines them; other commands do not begin with such.
pub(super) fn faults() -> &'static [Error] {
    FAULTS.get().map_or(&[], Vec::as_slice)
}

/// The form of a key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    /// A path; a relative one is below the directory of the file.
    Path,
    /// A number, or a text that begins with one, as in "12h".
    Amount,
    /// A whole number, and nothing else.
    Count,
    Flag,
    Texts,
    Paths,
    /// HOST:PATH[:ro], whose host path is a [`Form::Path`].
    Volumes,
}

impl Form {
    /// The words for a value of another form.
    fn expected(self) -> &'static str {
        match self {
            Form::Text => "expected a text, within quotes",
            Form::Path => "expected a path, within quotes",
            Form::Amount => "expected a number, or a text such as \"12h\" or \"8G\"",
            Form::Count => "expected a whole number, without quotes",
            Form::Flag => "expected true or false",
            Form::Texts | Form::Paths | Form::Volumes => "expected a list of texts, as in [\"first\", \"second\"]",
        }
    }
}

/// A key of the file: its path, the option that it is the default of, and its form.
type Key = (&'static str, &'static str, Form);

/// Every key. A new one is a line here; that its option exists is held by a test.
const KEYS: &[Key] = &[
    ("station", "station", Form::Text),
    ("private-key", "private-key", Form::Path),
    ("passphrase-file", "passphrase-file", Form::Path),
    ("trust", "trust", Form::Path),
    ("journal", "journal", Form::Path),
    ("accept.min-wire", "accept-min-wire", Form::Text),
    ("accept.strict", "strict", Form::Flag),
    ("accept.masters", "accept-master", Form::Texts),
    ("run.engine", "engine", Form::Text),
    ("run.volumes", "volume", Form::Volumes),
    ("run.timeout", "timeout", Form::Amount),
    ("run.memory", "memory", Form::Amount),
    ("run.cpus", "cpus", Form::Amount),
    ("run.pids", "pids", Form::Count),
    ("run.log-limit", "log-limit", Form::Amount),
    ("run.results-limit", "results-limit", Form::Amount),
    ("run.require-results", "require-results", Form::Flag),
    ("release.review", "hold", Form::Flag),
    ("release.against", "against", Form::Paths),
    ("release.reviewers", "reviewers", Form::Count),
    ("release.min-count", "min-count", Form::Count),
    ("release.allow-zeros", "allow-zeros", Form::Flag),
    ("release.max-file", "max-file", Form::Amount),
    ("release.max-total", "max-total", Form::Amount),
    ("release.max-rows", "max-rows", Form::Count),
    ("release.types", "types", Form::Texts),
];

/// Commands that have options of these names and another use for them: what a station always gives is not for new keys.
const OTHERS: [&str; 1] = ["keygen"];

/// The command that looks at all settings, and shows what is wrong with them beside what else it finds.
pub(super) const EXAMINER: &str = "doctor";

/// A key that the file has.
#[derive(Debug)]
struct Entry {
    key: &'static Key,
    line: usize,
    values: Vec<String>,
}

/// The settings of a file.
#[derive(Debug)]
pub(super) struct Settings {
    path: PathBuf,
    entries: Vec<Entry>,
}

impl Settings {
    /// The settings for this command line: those of `--config`, of the variable, of the user, of the machine, the first
    /// that is there. None for a command that no key is for.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if a file that was named is not there, or is no file of settings.
    pub(super) fn find(command: &Command, arguments: &[OsString]) -> Result<Option<Self>> {
        // What is wrong with the line is said when all of it is read.
        let Ok(given) = command.clone().ignore_errors(true).try_get_matches_from(arguments) else { return Ok(None) };
        if !given.subcommand_name().and_then(|name| command.find_subcommand(name)).is_some_and(takes_any) {
            return Ok(None);
        }
        let variable = || std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        let usual = || usual_places().into_iter().find(|path| path.symlink_metadata().is_ok());
        let Some(path) = option(&given).or_else(variable).or_else(usual) else { return Ok(None) };
        let mut settings = Self::read(&path)?;
        if given.subcommand_name() == Some(EXAMINER) {
            settings.set_faults_aside(command);
        }
        Ok(Some(settings))
    }

    fn read(path: &Path) -> Result<Self> {
        let file = fs::File::open(path).map_err(|error| {
            let missing = error.kind() == io::ErrorKind::NotFound;
            let error = Error::usage("cannot open the settings").because(error);
            if missing { error.hint("create the file, or name another with --config") } else { error }
        });
        let mut text = Vec::new();
        let file = file.at(path.display())?;
        let read = file.take(MAX_SIZE + 1).read_to_end(&mut text).doing("read the settings");
        read.map_err(|error| error.as_kind(Kind::Usage)).at(path.display())?;
        if text.len() as u64 > MAX_SIZE {
            return Err(
                Error::usage(format!("more than the {MAX_SIZE} bytes that settings may have")).at(path.display())
            );
        }
        let text =
            String::from_utf8(text).map_err(|_| Error::usage("settings that are not UTF-8").at(path.display()))?;
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let dir = absolute.parent().unwrap_or(Path::new("/"));
        let _ = USED.set(path.to_owned());
        Ok(Settings { entries: parse(&text, dir).at(path.display())?, path: path.to_owned() })
    }

    /// The command with the settings as defaults of its options.
    pub(super) fn apply(&self, command: Command) -> Command {
        if OTHERS.contains(&command.get_name()) {
            return command;
        }
        let command = command.mut_args(|argument| match self.entry_for(argument.get_long()) {
            // The help is the same on every machine.
            Some(entry) => {
                let takes_value = entry.key.2 != Form::Flag;
                argument.required(false).default_values(entry.values.clone()).hide_default_value(takes_value)
            }
            None => argument,
        });
        command.mut_subcommands(|below| self.apply(below))
    }

    /// Takes out the values that the commands would refuse which take them.
    fn set_faults_aside(&mut self, command: &Command) {
        let faults: Vec<(usize, Error)> =
            (0..self.entries.len()).filter_map(|at| Some((at, self.fault_of(&self.entries[at], command)?))).collect();
        for (at, _) in faults.iter().rev() {
            self.entries.remove(*at);
        }
        let _ = FAULTS.set(faults.into_iter().map(|(_, fault)| fault).collect());
    }

    /// What a command that takes this key would say of its value.
    fn fault_of(&self, entry: &Entry, command: &Command) -> Option<Error> {
        let takes = |one: &&Command| {
            !OTHERS.contains(&one.get_name())
                && one.get_arguments().any(|argument| argument.get_long() == Some(entry.key.1))
        };
        // A flag has one form, which was looked at.
        let mut taking = command.get_subcommands().filter(takes).filter(|_| entry.key.2 != Form::Flag);
        taking.find_map(|one| {
            let alone = one.clone().subcommand_required(false).arg_required_else_help(false).mut_args(|argument| {
                let argument = argument.required(false).env(Resettable::Reset);
                let is_it = argument.get_long() == Some(entry.key.1);
                if is_it { argument.default_values(entry.values.clone()) } else { argument }
            });
            self.fault(&alone.try_get_matches_from([one.get_name()]).err()?)
        })
    }

    /// What a parser found wrong with a value of the file; `None` if the fault is another.
    pub(super) fn fault(&self, error: &clap::Error) -> Option<Error> {
        if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
            return None;
        }
        let text = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => Some(text.as_str()),
            _ => None,
        };
        let (argument, value) = (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?);
        let long = argument.trim_start_matches("--").split([' ', '=']).next();
        let entry = self.entry_for(long).filter(|entry| entry.values.iter().any(|own| own == value))?;
        let mut fault = Error::usage(format!("`{}` is not a value for this key", Printable::new(value)));
        if let Some(cause) = std::error::Error::source(error) {
            fault = fault.because(cause.to_string());
            let own = cause.downcast_ref::<Error>().and_then(Error::advice).cloned();
            fault = own.into_iter().fold(fault, Error::advise);
        }
        if let Some(ContextValue::Strings(values)) = error.get(ContextKind::ValidValue)
            && !values.is_empty()
        {
            fault = fault.hint(format!("the values are: {}", values.join(", ")));
        }
        Some(fault.at(format_args!("line {}: {}", entry.line, entry.key.0)).at(self.path.display()))
    }

    fn entry_for(&self, long: Option<&str>) -> Option<&Entry> {
        // A flag that is not set is as if it were not there.
        let is_set = |entry: &&Entry| entry.key.2 != Form::Flag || entry.values == ["true"];
        self.entries.iter().filter(is_set).find(|entry| Some(entry.key.1) == long)
    }
}

/// The command as it is without any environment.
pub(super) fn without_variables(command: Command) -> Command {
    let command = command.mut_args(|argument| argument.env(Resettable::Reset));
    command.mut_subcommands(without_variables)
}

/// Variables that are set and empty count as ones that are not set.
pub(super) fn without_empty_variables(command: Command) -> Command {
    let is_empty = |argument: &Arg| argument.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    let command =
        command.mut_args(|argument| if is_empty(&argument) { argument.env(Resettable::Reset) } else { argument });
    command.mut_subcommands(without_empty_variables)
}

/// True if some key is for an option of the command, or of one below.
fn takes_any(command: &Command) -> bool {
    if OTHERS.contains(&command.get_name()) {
        return false;
    }
    let is_known = |argument: &Arg| KEYS.iter().any(|(_, option, _)| argument.get_long() == Some(option));
    command.get_arguments().any(is_known) || command.get_subcommands().any(takes_any)
}

/// The value of `--config`, before or behind the command.
fn option(given: &ArgMatches) -> Option<PathBuf> {
    let below = given.subcommand().and_then(|(_, below)| option(below));
    below.or_else(|| given.try_get_one::<PathBuf>("config").ok().flatten().cloned())
}

/// Where the file is looked for (XDG Base Directory specification), the user's own first.
pub(super) fn usual_places() -> Vec<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let user = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
    user.map(|dir| dir.join(USER)).into_iter().chain([PathBuf::from(SYSTEM)]).collect()
}

/// The keys of a file in the directory `dir`.
fn parse(text: &str, dir: &Path) -> Result<Vec<Entry>> {
    let line = |span: Range<usize>| 1 + text[..span.start.min(text.len())].matches('\n').count();
    let table = DeTable::parse(text).map_err(|error| {
        let what = Error::usage(format!("not valid TOML: {}", error.message()));
        match error.span() {
            Some(span) => what.at(format_args!("line {}", line(span))),
            None => what,
        }
    })?;
    let mut entries = Vec::new();
    walk("", table.get_ref(), &mut |name, at, value| {
        let place = line(at);
        let entry = entry(name, place, value, dir).at(format_args!("line {place}"))?;
        entries.extend(entry);
        Ok(matches!(value.get_ref(), DeValue::Table(_)))
    })?;
    Ok(entries)
}

/// Is shown a member's path, its place in the text and its value.
type See<'s, 'i> = dyn FnMut(&str, Range<usize>, &Spanned<DeValue<'i>>) -> Result<bool> + 's;

/// Shows every member to `see`, which says whether to look into it.
fn walk<'i>(above: &str, table: &DeTable<'i>, see: &mut See<'_, 'i>) -> Result<()> {
    for (name, value) in table {
        let path = format!("{above}{}", name.get_ref());
        if let (true, DeValue::Table(below)) = (see(&path, name.span(), value)?, value.get_ref()) {
            walk(&format!("{path}."), below, see)?;
        }
    }
    Ok(())
}

/// The entry of a key, or nothing for a table of keys.
fn entry(name: &str, line: usize, value: &Spanned<DeValue<'_>>, dir: &Path) -> Result<Option<Entry>> {
    let value = value.get_ref();
    let prefix = format!("{name}.");
    if KEYS.iter().any(|(path, _, _)| path.starts_with(&prefix)) {
        let is_table = matches!(value, DeValue::Table(_));
        return if is_table { Ok(None) } else { Err(Error::usage("expected a table").at(name)) };
    }
    let key = KEYS.iter().find(|(path, _, _)| *path == name).ok_or_else(|| unknown(name))?;
    let form = key.2;
    let wrong = || Error::usage(form.expected()).at(name);
    let plain = |value: &DeValue<'_>| match (form, value) {
        (Form::Amount | Form::Count, DeValue::Integer(number)) if number.radix() == 10 => {
            Some(number.as_str().replace('_', ""))
        }
        (Form::Amount, DeValue::Float(number)) => Some(number.as_str().replace('_', "")),
        (Form::Flag, DeValue::Boolean(flag)) => Some(flag.to_string()),
        (Form::Flag | Form::Count, _) => None,
        (Form::Path | Form::Paths | Form::Volumes, DeValue::String(path)) if !path.is_empty() => {
            dir.join(&**path).to_str().map(str::to_owned)
        }
        (Form::Path | Form::Paths | Form::Volumes, _) => None,
        (_, DeValue::String(text)) if !text.is_empty() => Some(text.to_string()),
        _ => None,
    };
    let values = match (form, value) {
        (Form::Texts | Form::Paths | Form::Volumes, DeValue::Array(items)) => {
            items.iter().map(|item| plain(item.get_ref())).collect()
        }
        (Form::Texts | Form::Paths | Form::Volumes, _) => None,
        _ => plain(value).map(|value| vec![value]),
    };
    let values: Vec<String> = values.ok_or_else(wrong)?;
    // No type at all would be no rule, and not the strictest one.
    if values.is_empty() && name == "release.types" {
        return Err(Error::usage("a list of no types").hint("name the types that may leave").at(name));
    }
    // Any other empty list says nothing.
    Ok((!values.is_empty()).then_some(Entry { key, line, values }))
}

fn unknown(name: &str) -> Error {
    let (table, _) = name.rsplit_once('.').unwrap_or(("", name));
    let known: Vec<&str> = KEYS
        .iter()
        .map(|(path, _, _)| *path)
        .filter(|path| path.rsplit_once('.').unwrap_or(("", path)).0 == table)
        .collect();
    let hint = match table {
        "" => format!("the keys are: {}; and the tables [{}]", known.join(", "), tables().join("], [")),
        _ if known.is_empty() => format!("the tables are: [{}]", tables().join("], [")),
        _ => format!("the keys are: {}", known.join(", ")),
    };
    Error::usage(format!("there is no key `{}`", Printable::new(name))).hint(hint)
}

/// The names of the tables.
fn tables() -> Vec<&'static str> {
    let mut tables: Vec<&str> = KEYS.iter().filter_map(|(path, _, _)| Some(path.split_once('.')?.0)).collect();
    tables.dedup();
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn options(command: &Command) -> Vec<String> {
        let own = command.get_arguments().filter_map(|argument| argument.get_long().map(str::to_owned));
        own.chain(command.get_subcommands().flat_map(options)).collect()
    }

    #[test]
    fn every_key_is_for_an_option() {
        let known = options(&crate::cli::Cli::command());
        let missing: Vec<&str> = KEYS.iter().map(|(_, option, _)| *option).collect();
        let missing: Vec<&str> =
            missing.into_iter().filter(|option| !known.iter().any(|known| known == option)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn reads_every_form() {
        let text = "station = \"a\"\nprivate-key = \"keys/a.pem\"\ntrust = \"/etc/trust\"\n[accept]\nstrict = true\n\
                    masters = []\n[run]\nvolumes = [\"data:/data:ro\", \"/srv:/srv\"]\ncpus = 1.5\npids = 4_096\ntimeout = \"12h\"\n\
                    [release]\nagainst = [\"data\", \"/srv\"]\n";
        let found = parse(text, Path::new("/conf")).unwrap();
        let found: Vec<_> = found.iter().map(|entry| (entry.key.0, entry.line, entry.values.join(" "))).collect();
        let expected = [
            ("station", 1, "a"),
            ("private-key", 2, "/conf/keys/a.pem"),
            ("trust", 3, "/etc/trust"),
            ("accept.strict", 5, "true"),
            ("run.volumes", 8, "/conf/data:/data:ro /srv:/srv"),
            ("run.cpus", 9, "1.5"),
            ("run.pids", 10, "4096"),
            ("run.timeout", 11, "12h"),
            ("release.against", 13, "/conf/data /srv"),
        ];
        let sorted = |mut list: Vec<(&'static str, usize, String)>| {
            list.sort_by_key(|(_, line, _)| *line);
            list
        };
        assert_eq!(sorted(found), expected.map(|(key, line, value)| (key, line, value.to_owned())));
    }

    #[test]
    fn says_the_line_of_what_is_wrong() {
        for (text, says) in [
            ("station = \"a\"\nstatoin = \"b\"\n", "line 2: there is no key `statoin`"),
            ("\n\n[run]\nenigne = \"x\"\n", "line 4: there is no key `run.enigne`"),
            ("[runs]\nengine = \"x\"\n", "line 1: there is no key `runs`"),
            ("run = 3\n", "line 1: run: expected a table"),
            ("station = 7\n", "line 1: station: expected a text"),
            ("station = \"\"\n", "line 1: station: expected a text"),
            ("station.x = 7\n", "line 1: station: expected a text"),
            ("trust = [\"x\"]\n", "line 1: trust: expected a path"),
            ("[accept]\nstrict = \"yes\"\n", "line 2: accept.strict: expected true or false"),
            ("[run]\nvolumes = \"/a:/b\"\n", "line 2: run.volumes: expected a list"),
            ("[run]\nvolumes = [7]\n", "line 2: run.volumes: expected a list"),
            ("[run]\npids = 0x10\n", "line 2: run.pids: expected a whole number"),
            ("[run]\npids = 1.5\n", "line 2: run.pids: expected a whole number"),
            ("[release]\nreviewers = \"1\"\n", "line 2: release.reviewers: expected a whole number"),
            ("[release]\nmin-count = \"10\"\n", "line 2: release.min-count: expected a whole number"),
            ("[release]\ntypes = []\n", "line 2: release.types: a list of no types"),
            ("station = \"a\"\nstation = \"b\"\n", "line 2: not valid TOML"),
            ("station\n", "line 1: not valid TOML"),
            ("[[run]]\nengine = \"x\"\n", "line 1: run: expected a table"),
            ("accept.strict.x = true\n", "line 1: accept.strict: expected true"),
        ] {
            let error = parse(text, Path::new("/")).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage);
            assert!(error.to_string().starts_with(says), "{error} / {says}");
        }
    }
}
