//! Pages for people: one file each, which loads nothing and runs nothing.

use std::io::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::crypto::Sha256;
use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::store::fs::{ensure_replaceable, no_directory, parent_of};
use crate::text::Printable;

/// How pages look: on paper, in the dark, on a telephone.
const STYLE: &str = include_str!("page.css");

/// A whole page. All of strangers is text: the policy of the page allows its own style, and pictures that are in it.
pub(super) fn page(title: &str, header: &Markup, main: &Markup) -> String {
    let style = STANDARD.encode(Sha256::of(STYLE.as_bytes()));
    let policy =
        format!("default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; form-action 'none'");
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { (header) }
                main { (main) }
                footer {
                    p.soft { "pht-oci " (env!("CARGO_PKG_VERSION")) }
                }
            }
        }
    };
    page.into_string()
}

/// Text of strangers, so that a person sees what it is.
pub(super) fn shown(text: &(impl AsRef<[u8]> + ?Sized)) -> String {
    Printable::new(text).to_string()
}

/// A line as a sentence.
pub(super) fn sentence(line: &str) -> String {
    let (first, rest) = line.split_at(line.chars().next().map_or(0, char::len_utf8));
    format!("{}{rest}.", first.to_uppercase())
}

/// Writes a page where an older one may be; for its owner alone.
///
/// # Errors
/// Input/output; what is there is none that a page may take the place of, such as a pipe or `/dev/stdout`.
pub(super) fn write(file: &Path, page: &str) -> Result<()> {
    if file.as_os_str() == "-" {
        return Err(Error::usage("a page goes to a file, not to standard output").hint("give the name of a file"));
    }
    if !parent_of(file).is_dir() {
        return Err(no_directory().at(file.display()));
    }
    ensure_replaceable(file).doing("write the page").at(file.display())?;
    let written = tempfile::NamedTempFile::new_in(parent_of(file)).and_then(|mut new| {
        new.write_all(page.as_bytes())?;
        new.as_file().sync_all()?;
        new.persist(file).map_err(|error| error.error)
    });
    written.map(drop).doing("write the page").at(file.display())
}
