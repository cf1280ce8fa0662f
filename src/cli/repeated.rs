//! The options of the command that was given, for the commands in its hints: these are to be typed as they stand.

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use crate::text::quoted;

/// What says how the station works.
pub(super) const SETTINGS: &[&str] = &["config"];
/// Whose key opens and signs.
pub(super) const KEY: &[&str] = &["private-key", "passphrase-file", "station"];
/// Where the act is recorded.
pub(super) const RECORD: &[&str] = &["journal"];
/// Whether what is done already may be done again.
const AGAIN: &[&str] = &["again"];
/// Whose keys are trusted.
pub(super) const TRUST: &[&str] = &["trust"];
/// Where logins to registries are.
const LOGIN: &[&str] = &["authfile"];
/// How to talk to the registry of SRC.
const SOURCE: &[&str] = &["src-tls-verify", "src-cert-dir"];
/// How to talk to the registry of DEST.
const DESTINATION: &[&str] = &["dest-tls-verify", "dest-cert-dir"];

/// Options as they were typed. None of them holds a secret: a login has to be given anew.
#[derive(Debug, Default)]
pub(super) struct Repeated(Vec<(&'static str, String)>);

impl Repeated {
    /// Those that were given to this command on its command line; what settings and variables say, they say again.
    pub(super) fn of(command: &Command, given: &ArgMatches) -> Self {
        let all = [SETTINGS, KEY, TRUST, RECORD, AGAIN, LOGIN, SOURCE, DESTINATION].concat();
        let typed = |long: &&'static str| {
            let argument = command.get_arguments().find(|argument| argument.get_long() == Some(*long))?;
            let id = argument.get_id().as_str();
            let is_typed = given.value_source(id) == Some(ValueSource::CommandLine);
            let value = given.get_raw(id).and_then(|mut values| values.next())?.to_string_lossy().into_owned();
            is_typed.then(|| match argument.get_action().takes_values() {
                true => (*long, format!(" --{long}={}", quoted(&typed_elsewhere(long, value)))),
                false => (*long, format!(" --{long}")),
            })
        };
        Repeated(all.iter().filter_map(typed).collect())
    }

    /// Of the options in `groups` those that were given, each with a space before it.
    pub(super) fn options(&self, groups: &[&[&str]]) -> String {
        let wanted = |long: &str| groups.iter().any(|group| group.contains(&long));
        self.0.iter().filter(|(long, _)| wanted(long)).map(|(_, typed)| typed.as_str()).collect()
    }

    /// The same of all that a stage needs, from one of these places to the other. A stop that is closed is not closed again
    /// for a hint.
    pub(super) fn stage(&self, source: &str, destination: &str) -> String {
        self.options(&[SETTINGS, KEY, TRUST, RECORD]) + &self.registries(source, destination)
    }

    /// The same where the stage was to be done again.
    pub(super) fn stage_again(&self, source: &str, destination: &str) -> String {
        self.options(&[AGAIN]) + &self.stage(source, destination)
    }

    /// The same of what registries need, if there is one at these places.
    pub(super) fn registries(&self, source: &str, destination: &str) -> String {
        let is_remote = |place: &str| place.starts_with("docker://");
        let sides = [(source, SOURCE), (destination, DESTINATION)];
        let mut groups: Vec<&[&str]> =
            sides.iter().filter(|(place, _)| is_remote(place)).map(|(_, side)| *side).collect();
        if !groups.is_empty() {
            groups.push(LOGIN);
        }
        self.options(&groups)
    }

    /// One of each, as a command that takes them all would have been given them.
    #[cfg(test)]
    pub(super) fn all() -> Self {
        let flag = |long: &&'static str| (*long, format!(" --{long}"));
        let option = |long: &&'static str| {
            let value = if long.ends_with("tls-verify") { "false" } else { "given" };
            (*long, format!(" --{long}={value}"))
        };
        let options = [SETTINGS, KEY, TRUST, &["journal"], LOGIN, SOURCE, DESTINATION].concat();
        Repeated(options.iter().map(option).chain([flag(&"again")]).collect())
    }
}

/// A value as it means the same in every working directory: who reads a hint may have gone on.
fn typed_elsewhere(long: &str, value: String) -> String {
    if ["station", "src-tls-verify", "dest-tls-verify"].contains(&long) {
        return value;
    }
    std::path::absolute(&value).ok().and_then(|path| path.to_str().map(str::to_owned)).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeated(arguments: &[&str]) -> Repeated {
        let mut command = crate::cli::command();
        let found = command.try_get_matches_from_mut(arguments).unwrap();
        let (name, given) = found.subcommand().unwrap();
        Repeated::of(command.find_subcommand(name).unwrap(), given)
    }

    #[test]
    fn repeats_what_was_typed_and_no_secret() {
        let line =
            ["pht-oci", "release", "a", "docker://h/r", "--private-key", "my key.pem", "--again", "--dest-creds"];
        let given = repeated(&[&line[..], &["u:hidden", "--dest-tls-verify", "false", "--trust=pins"]].concat());
        let absolute = |path: &str| std::path::absolute(path).unwrap().display().to_string();
        assert_eq!(given.options(&[KEY]), format!(" --private-key='{}'", absolute("my key.pem")));
        assert_eq!(given.options(&[TRUST, RECORD, AGAIN]), format!(" --trust={} --again", absolute("pins")));
        assert_eq!(given.registries("oci:a", "docker://h/r"), " --dest-tls-verify=false");
        assert_eq!(given.registries("docker://h/r", "oci:a"), "");
        assert!(!format!("{given:?}").contains("hidden"));
    }

    #[test]
    fn repeats_nothing_that_was_not_typed() {
        let given = repeated(&["pht-oci", "copy", "docker://h/a", "docker://h/b"]);
        assert_eq!(given.registries("docker://h/a", "docker://h/b"), "");
    }
}
