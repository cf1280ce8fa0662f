//! The one error type of the library.
//!
//! An [`Error`] is written for the person at the station. It has four parts, shown as `where: what: cause`, then the
//! advice:
//!
//! - **What** was found and, where it helps, what was expected: "`index.json` is 5 MiB, more than the 4 MiB that are read".
//!   Lower case, no final period. It names its object ("cannot read the key file", never "cannot read it"), unless the
//!   place does: "`route[2].station` is missing".
//! - **Where** it was found, outermost first: the image, the layer's digest, the path in the image or on the disk. A
//!   function adds the place that it was given ([`at`](ErrorContext::at)); what is inside that place, the callee has added.
//!   No place is added twice.
//! - **The cause**, in the words of the system or of a library, if there is one ([`because`](Error::because)).
//! - **Advice** ([`Advice`]): what the person can do now. The library gives data, the command line the words, since only
//!   the command line knows its options.
//!
//! The [`Kind`] says who has to act, and thereby the exit status. It is decided where the fault is found and kept on
//! the way up; code branches on values that a function returns, not on the class of its error. A mistake of this
//! program is [`Kind::Internal`], never a panic.
//!
//! No message holds a secret: no key, passphrase, token or plaintext. Text that comes from elsewhere is shown through
//! [`Printable`](crate::text::Printable).

use std::fmt;
use std::path::Path;

/// The result of a fallible operation of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The class of an error: who has to act, and therefore the exit status of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Input/output failed. Exit status 1.
    Io,
    /// A mistake of this program. Exit status 1.
    Internal,
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
    /// A person has to decide first, or the station does not accept this. Exit status 7.
    Decision,
    /// The train itself failed, or reached a limit. Exit status 8.
    Train,
    /// Somebody asked the program to end. Exit status 128 and the number of the signal: 130 for an interrupt.
    Interrupted,
}

impl Kind {
    /// The exit status that the program ends with.
    pub fn exit_status(self) -> u8 {
        match self {
            Kind::Io | Kind::Internal => 1,
            Kind::Usage => 2,
            Kind::Verification => 3,
            Kind::Key => 4,
            Kind::Malformed => 5,
            Kind::Registry => 6,
            Kind::Decision => 7,
            Kind::Train => 8,
            Kind::Interrupted => 130,
        }
    }

    /// The stable name of this class in JSON reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Io => "io",
            Kind::Internal => "internal",
            Kind::Usage => "usage",
            Kind::Verification => "verification",
            Kind::Key => "key",
            Kind::Malformed => "malformed",
            Kind::Registry => "registry",
            Kind::Decision => "decision",
            Kind::Train => "train",
            Kind::Interrupted => "interrupted",
        }
    }
}

/// One of the two places of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Images are read from it.
    Source,
    /// Images are written to it.
    Destination,
}

/// Advice on an error. The words, with the options of the command line, are in `cli::advice`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// Words that name no option.
    Text(String),
    /// Pass the passphrase of the private key.
    GivePassphrase,
    /// Name the station: the private key belongs to several.
    NameStation,
    /// The finding is a warning only, unless the policy is strict.
    NotStrict,
    /// Do again what the journal says is done.
    Again,
    /// Say that the results were moved to another directory on purpose.
    NameMovedResults,
    /// Give the directory into which pre-run has written the results.
    GiveResults,
    /// Allow that an open train leaves in plaintext.
    AllowOpen,
    /// Look at the keys of the train, compare them with their owners' own, and pin them.
    PinKeys,
    /// Do without the creator's Paillier key.
    OmitPaillierKey,
    /// Choose one of these platforms.
    ChoosePlatform {
        /// The platforms of the image.
        available: Vec<String>,
    },
    /// Copy one image only, or to a place that holds several.
    CopyOne,
    /// Complete a thin image with the layers that it goes without.
    CompleteImage,
    /// Write to another place: this one holds one image only.
    GiveDestination,
    /// Open the train in another place: where it is, it travels, and the plaintext would with it.
    PreRunTo {
        /// The image in the registry or in the archive.
        source: String,
    },
    /// Install the engine, or choose another.
    InstallEngine {
        /// The remedy, as in "install podman".
        remedy: &'static str,
    },
    /// Use an engine that has drivers for GPUs.
    ChooseGpuEngine,
    /// Run as root, or with an engine that maps users.
    RunAsRoot,
    /// Have further users (`/etc/subuid`), or run with an engine that needs none.
    GiveFurtherUsers,
    /// Choose another file for the train's output.
    ChooseLog,
    /// Ask for no GPUs: all of them are there anyway.
    OmitGpus,
    /// Use another engine, or be another user: this one is not for root.
    ChooseEngineForRoot,
    /// Use an engine that bounds memory and processors without root.
    ChooseBoundingEngine,
    /// Choose another directory for what is kept between runs.
    ChooseCache,
    /// Remove what is in the way of the working directory, or choose another place.
    ChooseWorkDir,
    /// Have the run's own files elsewhere.
    ChooseRunDir,
    /// Choose a directory of one's own for plaintext, or say that others may share it.
    ChoosePrivatePlace,
    /// Raise the limit on the number of files.
    RaiseMaxFiles,
    /// The registry does not take the closed train; it is kept on this machine.
    SendKept {
        /// Advice on the registry's error.
        first: Option<Box<Advice>>,
        /// The archive with the closed train.
        archive: String,
        /// The destination of the train.
        target: String,
    },
    /// Review the results of a run that are held, and release or reject them.
    ReviewHeld {
        /// The opened image, without its base.
        opened: String,
        /// The directory with the results.
        results: String,
        /// The encrypted image, which has the base.
        source: String,
        /// The destination of the train.
        target: String,
    },
    /// Have the held results approved, and release them, or reject them.
    ReleaseHeld,
    /// Accept each finding with a reason, or reject the results.
    AcceptFindings,
    /// Pin the keys of those who may approve.
    PinReviewers,
    /// Name an image that has the base.
    GiveBase,
    /// See to the results of an earlier run that are held, before the train runs again.
    SeeToHeld {
        /// The opened image, without its base.
        opened: String,
        /// The directory with the results.
        results: String,
        /// The destination of the train.
        target: String,
    },
    /// Close the train from what was kept of its run.
    CloseKept {
        /// Advice on the error, in words that name no option.
        first: Option<String>,
        /// The opened image, without its base.
        opened: String,
        /// The directory with the results.
        results: String,
        /// The encrypted image, which has the base.
        source: String,
        /// The destination of the train.
        target: String,
    },
    /// Give the master image that the train was built on.
    GiveOldBase,
    /// Give the very image that the train was built on, or none.
    CheckOldBase,
    /// Give the image that the train was built as, or none.
    CheckBase,
    /// Give the key of whoever builds the train.
    GiveBuilderKey,
    /// Leave the base to the train, or have it built anew.
    OmitBase,
    /// Say which the master image is.
    NameMaster,
    /// Carry results along that came with the train as built.
    KeepInitialResults,
    /// Allow the network, or copy the image first.
    GoOnline,
    /// Give credentials for the registry.
    GiveCredentials {
        /// The side of the command.
        side: Side,
    },
    /// Check the credentials and their rights on the repository.
    CheckCredentials {
        /// The side of the command.
        side: Side,
    },
    /// Check the rights that the login has on the repository; the login itself is right.
    CheckRights {
        /// The side of the command.
        side: Side,
    },
    /// Check user name and password, which the token server refuses.
    CheckLogin,
    /// Check the proxy that the environment names.
    CheckProxy,
    /// Give the login apart from the image's name.
    SeparateLogin,
    /// Check host, port and network, the certificate authority, or plain HTTP.
    CheckConnection {
        /// The side of the command.
        side: Side,
    },
}

impl Advice {
    /// The words, of advice that needs no option.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Advice::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// An error: what was found, where, the cause and advice.
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
    advice: Option<Advice>,
    /// The check that failed, by its stable name, and its subject.
    check: Option<(&'static str, String)>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A new error of `kind`; `what` says what was found and, where it helps, what was expected.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, what: what.into(), places: Vec::new(), advice: None, check: None, source: None }))
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

    /// A mistake of this program; `what` says which of its assumptions does not hold.
    pub fn internal(what: impl Into<String>) -> Self {
        Self::new(Kind::Internal, what)
    }

    /// A person has to decide, or the station's policy refuses.
    pub fn decision(what: impl Into<String>) -> Self {
        Self::new(Kind::Decision, what)
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

    /// Adds where it happened (a file, an image, a layer digest, a path in the image), from inside out.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        let place = place.to_string();
        // Where a function and its caller were given the same place, one mention is enough.
        if self.0.places.last() != Some(&place) {
            self.0.places.push(place);
        }
        self
    }

    /// The same where what it is about lies elsewhere by now: paths below `from` are those below `to`.
    #[must_use]
    pub fn moved(mut self, from: &Path, to: &Path) -> Self {
        let (from, to) = (from.display().to_string(), to.display().to_string());
        for text in self.0.places.iter_mut().chain([&mut self.0.what]) {
            *text = text.replace(&from, &to);
        }
        self
    }

    /// Adds what the person can do about it, in words that name no option.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        self.advise(Advice::Text(hint.into()))
    }

    /// Adds what the person can do about it.
    #[must_use]
    pub fn advise(mut self, advice: Advice) -> Self {
        self.0.advice = Some(advice);
        self
    }

    /// Says which check failed, by its stable name in reports, and of what.
    #[must_use]
    pub fn in_check(mut self, id: &'static str, subject: impl fmt::Display) -> Self {
        self.0.check = Some((id, subject.to_string()));
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

    /// The finding, without places and cause.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// The places, outermost first.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.0.places.iter().rev().map(String::as_str)
    }

    /// The stable name of the check that failed and its subject, where it was one.
    pub fn check(&self) -> Option<(&'static str, &str)> {
        self.0.check.as_ref().map(|(id, subject)| (*id, subject.as_str()))
    }

    /// The advice.
    pub fn advice(&self) -> Option<&Advice> {
        self.0.advice.as_ref()
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
    /// Carries an error through `std::io`, for readers and writers of this crate; [`Error::io`] takes it out again.
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
    /// Names what failed, as in `write index.json`; shown as `cannot write index.json`.
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
    fn names_a_place_once_and_where_it_is_now() {
        let error = Error::malformed("a socket").at("/w/results/s").at("/w/results/s").at("/w").at("/w/results/s");
        assert_eq!(error.to_string(), "/w/results/s: /w: /w/results/s: a socket");
        let error = Error::malformed("/w/a is one").at("/w/results/s").moved(Path::new("/w/"), Path::new("/kept/"));
        assert_eq!(error.to_string(), "/kept/results/s: /kept/a is one");
    }

    #[test]
    fn keeps_its_class_through_std_io() {
        let carried = std::io::Error::from(Error::verification("digest differs"));
        assert_eq!(Error::io("cannot read the blob", carried).kind(), Kind::Verification);
    }
}
