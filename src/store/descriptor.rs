use oci_spec::image::Descriptor;

use crate::error::{Error, Result};
use crate::json::Value;

/// The descriptor in a document of others. What its platform does not say counts as empty: Go leaves it out, and one such
/// entry is no reason to refuse every image beside it.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if it is none.
pub(crate) fn read_descriptor(value: &Value) -> Result<Descriptor> {
    let mut value = value.clone();
    if let Some(Value::Object(platform)) = value.get_mut("platform") {
        for member in ["architecture", "os"] {
            if platform.get(member).is_none_or(Value::is_null) {
                platform.insert(member.to_owned(), "".into());
            }
        }
    }
    serde_json::from_value(value).map_err(|error| Error::malformed("not a descriptor").because(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::json;
    use crate::store::Platform;

    #[test]
    fn a_platform_need_not_say_everything() {
        let of = |platform: Value| {
            let digest = format!("sha256:{}", "1".repeat(64));
            let media_type = "application/vnd.oci.image.manifest.v1+json";
            json!({ "mediaType": media_type, "digest": digest, "size": 2, "platform": platform })
        };
        for platform in [
            json!(null),
            json!({}),
            json!({ "architecture": "amd64" }),
            json!({ "os": "linux", "architecture": null }),
            json!({ "os": "", "architecture": "" }),
        ] {
            let descriptor = read_descriptor(&of(platform.clone())).unwrap();
            assert_eq!(Platform::of(&descriptor), None, "{platform}");
        }
        let whole = read_descriptor(&of(json!({ "os": "linux", "architecture": "arm64" }))).unwrap();
        assert_eq!(Platform::of(&whole).map(|platform| platform.to_string()).as_deref(), Some("linux/arm64"));
        for wrong in [json!(null), json!({}), of(json!({ "os": 1, "architecture": "x" })), of(json!("linux/amd64"))] {
            assert!(read_descriptor(&wrong).is_err(), "{wrong}");
        }
    }
}
