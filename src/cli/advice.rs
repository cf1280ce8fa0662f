//! The words for what a person can do about an error: only the command line knows its options.

use std::path::Path;

use super::repeated::{KEY, RECORD, Repeated, SETTINGS, TRUST};
use crate::error::{Advice, Side};
use crate::text::quoted;

/// The words of a piece of advice: a line, and below it a line for each command, with what it needs of the options that
/// were given.
pub(super) fn words(advice: &Advice, given: &Repeated) -> String {
    composed(advice, given).unwrap_or_else(|| fixed(advice).to_owned())
}

/// The words of advice that names something.
fn composed(advice: &Advice, given: &Repeated) -> Option<String> {
    Some(match advice {
        Advice::SendKept { first, archive, target } => {
            let first = first.as_deref().map(|first| format!("{}; then ", words(first, given))).unwrap_or_default();
            let send = send_command(archive, target, given);
            format!("the closed train with its results is in {archive}; {first}send it\n{send}")
        }
        Advice::ChoosePlatform { available } => {
            format!("there are: {}; choose one with --platform", available.join(", "))
        }
        Advice::PreRunTo { source } => {
            let options = given.stage(source, "");
            format!("give a DEST on this machine\npht-oci pre-run {} oci:./work:latest{options}", quoted(source))
        }
        Advice::InstallEngine { remedy } => format!("{remedy}, or choose another engine with --engine"),
        Advice::GiveCredentials { side } => give_credentials(*side),
        Advice::CheckCredentials { side } => check_credentials(*side),
        Advice::CheckRights { side } => check_rights(*side),
        Advice::CheckConnection { side } => check_connection(*side),
        Advice::ReviewHeld { opened, results, source, target } => {
            let review = review_command(opened, results, given);
            let release = given.stage(source, target);
            let reject = given.options(&[SETTINGS, KEY, RECORD]);
            let approve = given.options(&[SETTINGS, TRUST]);
            let [opened, results, source, target] = [opened, results, source, target].map(|word| quoted(word));
            format!(
                "look at them, have a reviewer approve them, and then release them; or reject them\n\
                 {review}\n\
                 pht-oci approve {opened} --results {results} --reviewer-key FILE --out approval.json{approve}\n\
                 pht-oci release {opened} {target} --base {source} --results {results} --approval approval.json{release}\n\
                 pht-oci reject {opened} --results {results}{reject}"
            )
        }
        Advice::SeeToHeld { opened, results, .. } => {
            format!(
                "see to them, and then release or reject them; if they have left already, remove the directory; --again \
                 runs the train once more all the same\n\
                 {}",
                review_command(opened, results, given)
            )
        }
        Advice::CloseKept { first, opened, results, source, target } => {
            let first = first.as_ref().map(|first| format!("{first}; then ")).unwrap_or_default();
            let dir = Path::new(results).parent().unwrap_or(Path::new(results)).display();
            let close = close_command(opened, results, source, target, given);
            format!(
                "its results are kept in {dir}, in plaintext; {first}close it, and then remove that directory\n{close}"
            )
        }
        _ => return None,
    })
}

/// What sends a closed train that was kept.
pub(super) fn send_command(archive: &str, target: &str, given: &Repeated) -> String {
    let options = given.options(&[SETTINGS]) + &given.registries(archive, target);
    format!("pht-oci copy {} {}{options}", quoted(archive), quoted(target))
}

/// What closes a train that was kept.
pub(super) fn close_command(opened: &str, results: &str, source: &str, target: &str, given: &Repeated) -> String {
    let options = given.stage_again(source, target);
    let [opened, results, source, target] = [opened, results, source, target].map(quoted);
    format!("pht-oci post-run {opened} {target} --base {source} --results {results}{options}")
}

/// What shows the results of a train that was kept.
pub(super) fn review_command(opened: &str, results: &str, given: &Repeated) -> String {
    format!("pht-oci review {} --results {}{}", quoted(opened), quoted(results), given.options(&[SETTINGS]))
}

const CHECK_LOGIN: &str = "check user name, password and the rights on the repository; -v shows where they came from";
const CHECK_PROXY: &str = "check the proxy and its login; HTTPS_PROXY, HTTP_PROXY and ALL_PROXY name it, NO_PROXY lists hosts that do without";
const AS_ROOT: &str = "run the command with --engine charliecloud, with --engine podman if /etc/subuid and /etc/subgid give \
                       you further users, or as root";
const FURTHER_USERS: &str = "have the administrator give you some (usermod -v 100000-165535 -w 100000-165535 \
    USER, then podman system migrate), or run the command with --engine \
                             charliecloud, or as root";
const RELEASE_HELD: &str =
    "have them reviewed and approved (pht-oci review, pht-oci approve), then use pht-oci release; or pht-oci reject";
const COMPLETE_IMAGE: &str =
    "complete it with what you have: pht-oci copy SRC DEST --with REF, where REF is the image that it was made without";
const PIN_KEYS: &str =
    "see the keys with pht-oci trust show SRC, compare them with what their owners tell you, then pht-oci trust add";
const OMIT_PAILLIER_KEY: &str =
    "leave --paillier-key out: without the creator's public key no station can have encrypted numbers under it";
const NAME_MOVED_RESULTS: &str =
    "give that directory; if its results were moved to another one, say so with --moved-results";
const GIVE_BUILDER_KEY: &str =
    "give it with --builder-key; who builds a train alone makes one with pht-oci keygen builder";

/// The words of all other advice.
fn fixed(advice: &Advice) -> &str {
    match advice {
        Advice::Text(text) => text,
        Advice::SendKept { .. }
        | Advice::ChoosePlatform { .. }
        | Advice::PreRunTo { .. }
        | Advice::InstallEngine { .. }
        | Advice::GiveCredentials { .. }
        | Advice::CheckCredentials { .. }
        | Advice::CheckRights { .. }
        | Advice::CheckConnection { .. }
        | Advice::ReviewHeld { .. }
        | Advice::SeeToHeld { .. }
        | Advice::CloseKept { .. } => "",
        Advice::CheckProxy => CHECK_PROXY,
        Advice::SeparateLogin => "give the login with --src-creds, --dest-creds or --authfile",
        Advice::CheckLogin => CHECK_LOGIN,
        Advice::GoOnline => "leave --offline out, or copy the image into a layout first",
        Advice::GivePassphrase => "give it in the variable PRIVATE_KEY_PASSWORD or with --passphrase-file",
        Advice::NameStation => "name the station with --station",
        Advice::NotStrict => "without --strict this is only a warning",
        Advice::Again => "to sign the stop once more all the same, give --again; it is recorded",
        Advice::GiveResults => "give the directory that pre-run made with --results",
        Advice::NameMovedResults => NAME_MOVED_RESULTS,
        Advice::AllowOpen => "copy the encrypted image, or run post-run first; --allow-open copies the plaintext",
        Advice::PinKeys => PIN_KEYS,
        Advice::OmitPaillierKey => OMIT_PAILLIER_KEY,
        Advice::CopyOne => "leave --all out, or copy to a place that holds several images",
        Advice::CompleteImage => COMPLETE_IMAGE,
        Advice::GiveDestination => "give a DEST",
        Advice::ReleaseHeld => RELEASE_HELD,
        Advice::AcceptFindings => {
            "accept each with a reason, as in --accept 'CHECK:PATH=REASON', or reject the results"
        }
        Advice::PinReviewers => {
            "give the directory of pinned keys with --trust; those of reviewers are below it, in reviewers"
        }
        Advice::GiveBase => "give the encrypted train, or another image with its base, with --base",
        Advice::ChooseGpuEngine => "use --engine podman or --engine docker",
        Advice::RunAsRoot => AS_ROOT,
        Advice::GiveFurtherUsers => FURTHER_USERS,
        Advice::ChooseLog => "choose another file with --log",
        Advice::OmitGpus => "leave --gpus out",
        Advice::ChooseEngineForRoot => "choose another with --engine, or run it as an ordinary user",
        Advice::ChooseBoundingEngine => "choose podman or docker with --engine, or run as root",
        Advice::ChooseCache => "choose another directory with XDG_CACHE_HOME",
        Advice::ChooseWorkDir => "remove the directory, or choose another place with --tmpdir or DEST",
        Advice::ChooseRunDir => "choose another place for DEST, or of a registry with --tmpdir",
        Advice::ChoosePrivatePlace => {
            "choose a directory of your own that others cannot write (chmod go-w), or allow this one with --shared"
        }
        Advice::RaiseMaxFiles => "if these files are all wanted, raise the limit with --max-files",
        Advice::GiveOldBase => "give the master image that the train was built on with --old-base",
        Advice::CheckOldBase => "give the very image that the train was built on, or leave --old-base out",
        Advice::CheckBase => "give the image that the train was built as, or leave --base out",
        Advice::OmitBase => "leave --base out, or have the creator build the train anew",
        Advice::GiveBuilderKey => GIVE_BUILDER_KEY,
        Advice::NameMaster => "name the master image with --master",
        Advice::KeepInitialResults => "if they were built into the train, --keep-initial-results keeps them",
    }
}

fn give_credentials(side: Side) -> String {
    format!("give credentials with {} or --authfile; -v shows which file was used", option(side, "creds"))
}

fn check_credentials(side: Side) -> String {
    let creds = option(side, "creds");
    format!(
        "check the credentials ({creds} or --authfile) and their rights on the repository; -v shows where they came from"
    )
}

fn check_rights(side: Side) -> String {
    let creds = option(side, "creds");
    format!("check the rights on the repository, or use another login ({creds} or --authfile); -v shows which it was")
}

fn check_connection(side: Side) -> String {
    let (certificates, tls) = (option(side, "cert-dir"), option(side, "tls-verify"));
    let network = "check the host's name, its port and the network";
    format!("{network}; for another certificate authority give {certificates}, for plain HTTP {tls}=false")
}

/// The option of one side of a command, as in `--src-creds`.
fn option(side: Side, name: &str) -> String {
    match side {
        Side::Source => format!("--src-{name}"),
        Side::Destination => format!("--dest-{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each kind that says where something was kept.
    fn kept() -> Vec<Advice> {
        let first = Some(Box::new(Advice::GoOnline));
        vec![
            Advice::SendKept {
                first,
                archive: "oci-archive:t.tar".to_owned(),
                target: "docker://r.example/t".to_owned(),
            },
            Advice::ReviewHeld {
                opened: "oci:run-kept/opened:run".to_owned(),
                results: "run-kept/results".to_owned(),
                source: "oci:train:latest".to_owned(),
                target: "oci:train:latest".to_owned(),
            },
            Advice::SeeToHeld {
                opened: "oci:run-kept/opened".to_owned(),
                results: "run-kept/results".to_owned(),
                target: "oci:train:latest".to_owned(),
            },
            Advice::CloseKept {
                first: Some("make room".to_owned()),
                opened: "oci:run-kept/opened:run".to_owned(),
                results: "run-kept/results".to_owned(),
                source: "oci:train:latest".to_owned(),
                target: "oci:train:latest".to_owned(),
            },
        ]
    }

    /// One of each kind.
    fn all() -> Vec<Advice> {
        let side = Side::Destination;
        let others = vec![
            Advice::Text("run pre-run first".to_owned()),
            Advice::GivePassphrase,
            Advice::NameStation,
            Advice::NotStrict,
            Advice::Again,
            Advice::GiveResults,
            Advice::NameMovedResults,
            Advice::AllowOpen,
            Advice::PinKeys,
            Advice::OmitPaillierKey,
            Advice::ChoosePlatform { available: vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()] },
            Advice::CopyOne,
            Advice::CompleteImage,
            Advice::ReleaseHeld,
            Advice::PinReviewers,
            Advice::AcceptFindings,
            Advice::GiveBase,
            Advice::GiveDestination,
            Advice::PreRunTo { source: "docker://r.example/train:latest".to_owned() },
            Advice::InstallEngine { remedy: "install podman" },
            Advice::ChooseGpuEngine,
            Advice::RunAsRoot,
            Advice::GiveFurtherUsers,
            Advice::ChooseLog,
            Advice::OmitGpus,
            Advice::ChooseEngineForRoot,
            Advice::ChooseBoundingEngine,
            Advice::ChooseCache,
            Advice::ChooseWorkDir,
            Advice::ChooseRunDir,
            Advice::ChoosePrivatePlace,
            Advice::RaiseMaxFiles,
            Advice::GiveOldBase,
            Advice::CheckOldBase,
            Advice::CheckBase,
            Advice::OmitBase,
            Advice::GiveBuilderKey,
            Advice::NameMaster,
            Advice::KeepInitialResults,
            Advice::GoOnline,
            Advice::GiveCredentials { side },
            Advice::CheckCredentials { side },
            Advice::CheckRights { side },
            Advice::CheckLogin,
            Advice::CheckProxy,
            Advice::SeparateLogin,
            Advice::CheckConnection { side },
        ];
        others.into_iter().chain(kept()).collect()
    }

    #[test]
    fn every_piece_of_advice_is_one_plain_sentence() {
        let declared = include_str!("../error.rs");
        let body = declared.split("pub enum Advice {").nth(1).and_then(|rest| rest.split("\n}").next()).unwrap();
        let variants =
            body.lines().filter(|line| line.starts_with("    ") && line[4..].starts_with(char::is_uppercase));
        let (all, variants) = (all(), variants.count());
        let kinds: std::collections::HashSet<_> = all.iter().map(std::mem::discriminant).collect();
        assert_eq!((all.len(), kinds.len()), (variants, variants), "not every variant of Advice is rendered");
        for advice in &all {
            let text = words(advice, &Repeated::default());
            assert!(text.starts_with(|c: char| c.is_lowercase()), "{text}");
            assert!(!text.ends_with('.') && !text.contains(['{', '}']) && !text.contains("  "), "{text}");
            // Below it stand the commands that it is about, and nothing else.
            assert!(text.lines().skip(1).all(|line| line.starts_with("pht-oci ")), "{text}");
        }
    }

    #[test]
    fn options_named_in_advice_exist() {
        use clap::CommandFactory;
        let mut command = crate::cli::Cli::command();
        command.build();
        let known: Vec<String> = command
            .get_subcommands()
            .flat_map(|one| {
                one.get_arguments().filter_map(|argument| argument.get_long()).map(|long| format!("--{long}"))
            })
            .collect();
        for text in all().iter().map(|advice| words(advice, &Repeated::all())) {
            for option in text.split([' ', '\n', ',', '=', ')', '(', ';']).filter(|word| word.starts_with("--")) {
                assert!(known.iter().any(|long| long == option), "{option} in: {text}");
            }
        }
    }

    #[test]
    fn commands_in_advice_can_be_typed() {
        for given in [Repeated::default(), Repeated::all()] {
            let texts = all().into_iter().map(|advice| words(&advice, &given));
            for line in texts.flat_map(|text| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()) {
                let parsed = crate::cli::command().try_get_matches_from(line.split(' '));
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            }
        }
    }
}
