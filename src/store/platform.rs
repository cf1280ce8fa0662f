use std::fmt;
use std::str::FromStr;

use oci_spec::image::Descriptor;

use crate::error::{Error, Result};
use crate::json::{Object, Value, json};
use crate::text::Printable;

/// Operating system, architecture and, where it matters, its variant, as in `linux/arm64/v8` (OCI image index).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Platform {
    /// This machine's. Images of other systems than Linux carry no trains.
    pub fn here() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Platform { os: "linux".into(), architecture: architecture.into(), variant: None }
    }

    /// The platform in an image config or in the `platform` of a descriptor; `None` if there is none.
    pub(crate) fn read(object: &Object) -> Option<Self> {
        let text = |key| object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        Some(Platform { os: text("os")?, architecture: text("architecture")?, variant: text("variant") })
    }

    /// The platform that a descriptor names; `None` if it names none.
    pub(crate) fn of(descriptor: &Descriptor) -> Option<Self> {
        let platform = descriptor.platform().as_ref()?;
        let (os, architecture) = (platform.os().to_string(), platform.architecture().to_string());
        if os.is_empty() || architecture.is_empty() {
            return None;
        }
        let variant = platform.variant().clone().filter(|variant| !variant.is_empty());
        Some(Platform { os, architecture, variant })
    }

    /// An image config for it that says nothing else.
    pub(crate) fn to_config(&self) -> Object {
        let mut config = Object::new();
        config.insert("architecture".into(), self.architecture.clone().into());
        config.insert("os".into(), self.os.clone().into());
        config.extend(self.variant.iter().map(|variant| ("variant".to_owned(), Value::from(variant.clone()))));
        config.insert("rootfs".into(), json!({ "type": "layers", "diff_ids": [] }));
        config
    }

    /// True if an image of platform `other` is what was asked for; a variant counts only if one was asked for.
    pub(crate) fn accepts(&self, other: &Platform) -> bool {
        let variant = self.significant_variant().is_none_or(|asked| other.significant_variant() == Some(asked));
        self.is_of(other) && variant
    }

    /// True if an image whose config says `config` cannot be what was asked for. Configs often leave the variant to the
    /// index.
    pub(crate) fn contradicts(&self, config: &Platform) -> bool {
        !(self.accepts(config) || self.is_of(config) && config.variant.is_none())
    }

    fn is_of(&self, other: &Platform) -> bool {
        self.os == other.os && self.architecture == other.architecture
    }

    /// `arm64` is short for `arm64/v8`.
    fn significant_variant(&self) -> Option<&str> {
        self.variant.as_deref().filter(|variant| (self.architecture.as_str(), *variant) != ("arm64", "v8"))
    }

    /// True if this is how build tools mark what is not an image, such as attestations.
    pub(crate) fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown"
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

fn not_a_platform(text: &str) -> Error {
    Error::usage(format!("`{}` is not a platform; write OS/ARCH or OS/ARCH/VARIANT", Printable::new(text)))
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(not_a_platform(text)),
        };
        if parts.contains(&"") {
            return Err(not_a_platform(text));
        }
        let variant = variant.map(str::to_owned);
        Ok(Platform { os: os.into(), architecture: architecture.into(), variant })
    }
}
