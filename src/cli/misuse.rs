//! What the parser says of a command line that is wrong, as a person should see it.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};

use super::repeated::Repeated;
use super::{advice, groups, settings};
use crate::error::Error;
use crate::store::registry::without_login;
use crate::text::Printable;

/// The same error without what misleads, what is secret, and what a terminal would act on.
pub(super) fn for_people(command: &clap::Command, arguments: &[OsString], error: clap::Error) -> clap::Error {
    let typed = as_typed(command.clone(), arguments, error);
    escape_values(hide_login(with_tips(command, arguments, typed)))
}

/// The same error as a person should see it. A usage is that of the command line alone: the parser's names what variables
/// give as if it had to be typed. The help, which is an error as well, has the commands in groups.
fn as_typed(command: clap::Command, arguments: &[OsString], error: clap::Error) -> clap::Error {
    let command = if error.use_stderr() { settings::without_variables(command) } else { groups::grouped(command) };
    match command.try_get_matches_from(arguments) {
        Err(typed) if typed.kind() == error.kind() => typed,
        _ => error,
    }
}

/// The same error with what our own parser of a value advises, and without the parser's guess at another option unless
/// that begins alike: some options lift a protection, and nobody should be led to them.
fn with_tips(command: &clap::Command, arguments: &[OsString], mut error: clap::Error) -> clap::Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.trim_start_matches('-').to_owned(),
        _ => String::new(),
    };
    let (typed, guess) = (text(ContextKind::InvalidArg), text(ContextKind::SuggestedArg));
    if !guess.is_empty() && typed.get(..ALIKE) != guess.get(..ALIKE) {
        error.remove(ContextKind::SuggestedArg);
        if let Some(named) = arguments.iter().skip(1).find_map(|argument| command.find_subcommand(argument)) {
            let line = format!("{} {}", command.get_name(), named.get_name());
            let usage = named.clone().bin_name(line).render_usage();
            error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
        }
    }
    let advice = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<Error>()?.advice().cloned());
    if let Some(advice) = advice {
        let words = advice::words(&advice, &Repeated::default());
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![words.into()]));
    }
    error
}

/// The characters in which an option has to begin like what was typed to be worth a guess.
const ALIKE: usize = 2;

/// The same error without a login that somebody has written into an argument: logs keep messages.
fn hide_login(mut error: clap::Error) -> clap::Error {
    for kind in [ContextKind::InvalidValue, ContextKind::InvalidArg] {
        if let Some(ContextValue::String(value)) = error.get(kind)
            && let Some(shown) = without_login(value)
        {
            error.insert(kind, ContextValue::String(shown));
        }
    }
    error
}

/// What was typed, escaped: it may come from a list that somebody else has written.
fn escape_values(mut error: clap::Error) -> clap::Error {
    let typed = |(kind, value): (ContextKind, &ContextValue)| match value {
        ContextValue::String(text) => Some((kind, ContextValue::String(Printable::new(text).to_string()))),
        _ => None,
    };
    let escaped: Vec<_> = error.context().filter_map(typed).collect();
    for (kind, value) in escaped {
        error.insert(kind, value);
    }
    error
}

/// The fault of a command line, in one line; the rest of the parser's text is advice.
pub(super) fn usage_error(error: &clap::Error) -> Error {
    let text = error.render().to_string();
    let (what, advice) = text.split_once("\n\n").unwrap_or((&text, ""));
    let what = what.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ");
    Error::usage(what).hint(advice.trim())
}
