//! The one error type of the library.
//!
//! An [`Error`] is written for the person at the station: what was found, where, and what to do. Its [`Kind`] decides
//! the exit status of the program and is what a library user matches on.

use std::fmt;

/// What a fallible operation of this library returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The class of an error: who has to act, and therefore the exit status of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Input/output failed, or something inside went wrong. Exit status 1.
    Io,
    /// The request makes no sense as given. Exit status 2.
    Usage,
    /// A hash, a signature or the order of the route does not hold, or a key is not trusted. Exit status 3.
    Verification,
    /// A private key is wrong, missing or locked. Exit status 4.
    Key,
    /// This is not a train, or the image is malformed. Exit status 5.
    Malformed,
    /// Registry, network or credentials. Exit status 6.
    Registry,
    /// Somebody asked the program to end. Exit status 128 and the number of the signal: 130 for an interrupt.
    Interrupted,
}

impl Kind {
    /// The exit status that the program ends with.
    pub fn exit_status(self) -> u8 {
        match self {
            Kind::Io => 1,
            Kind::Usage => 2,
            Kind::Verification => 3,
            Kind::Key => 4,
            Kind::Malformed => 5,
            Kind::Registry => 6,
            Kind::Interrupted => 130,
        }
    }

    /// The stable name of this class in JSON reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Io => "io",
            Kind::Usage => "usage",
            Kind::Verification => "verification",
            Kind::Key => "key",
            Kind::Malformed => "malformed",
            Kind::Registry => "registry",
            Kind::Interrupted => "interrupted",
        }
    }
}

/// What went wrong, where, and what to do about it.
///
/// Shown as `where: what: cause`, outermost place first. No message ever holds a secret.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    what: String,
    /// Innermost first.
    places: Vec<String>,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A new error of `kind`; `what` says what was found and, where it helps, what was expected.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, what: what.into(), places: Vec::new(), hint: None, source: None }))
    }

    /// The request makes no sense as given.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Kind::Usage, what)
    }

    /// A hash, a signature, the route's order or a pinned key does not hold.
    pub fn verification(what: impl Into<String>) -> Self {
        Self::new(Kind::Verification, what)
    }

    /// A private key is wrong, missing or locked.
    pub fn key(what: impl Into<String>) -> Self {
        Self::new(Kind::Key, what)
    }

    /// Not a train, or a malformed image.
    pub fn malformed(what: impl Into<String>) -> Self {
        Self::new(Kind::Malformed, what)
    }

    /// Input/output failed while doing `what`.
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        // A reader of ours that found a fault hands it through `std::io`; do not bury its class.
        match source.downcast::<Error>() {
            Ok(inner) => inner,
            Err(source) => {
                let mut error = Self::new(Kind::Io, what);
                error.0.source = Some(Box::new(source));
                error
            }
        }
    }

    /// Adds the cause that a library reported.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds where it happened (a file, an image, a layer digest, a path in the image); call it from inside out.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.0.places.push(place.to_string());
        self
    }

    /// Adds what the person can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same error in another class: what is malformed, or no key, may be a fault of the request as a whole.
    #[must_use]
    pub fn as_kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    /// The class of the error.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What was found, without places and cause.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// Where it happened, outermost first.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.0.places.iter().rev().map(String::as_str)
    }

    /// What the person can do about it.
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in self.places() {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.0.what)?;
        match &self.0.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<Error> for std::io::Error {
    /// Lets a reader or writer of ours report a classified error through `std::io`; [`Error::io`] takes it out again.
    fn from(error: Error) -> Self {
        std::io::Error::other(error)
    }
}

/// Adds context to results.
pub trait ErrorContext<T> {
    /// Adds where it happened; see [`Error::at`].
    fn at(self, place: impl fmt::Display) -> Result<T>;
}

impl<T> ErrorContext<T> for Result<T> {
    fn at(self, place: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.at(place))
    }
}

/// Turns input/output results into ours.
pub trait IoContext<T> {
    /// Says what was being done when the operation failed, as in `cannot write index.json`.
    fn doing(self, what: impl fmt::Display) -> Result<T>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn doing(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Error::io(format!("cannot {what}"), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_places_from_outside_in_and_the_cause_last() {
        let cause = std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        let error = Err::<(), _>(cause).doing("open blob").unwrap_err().at("layer sha256:ab").at("oci:./train:latest");
        assert_eq!(error.to_string(), "oci:./train:latest: layer sha256:ab: cannot open blob: no such file");
    }

    #[test]
    fn keeps_its_class_through_std_io() {
        let carried = std::io::Error::from(Error::verification("digest differs"));
        assert_eq!(Error::io("cannot read", carried).kind(), Kind::Verification);
    }
}
