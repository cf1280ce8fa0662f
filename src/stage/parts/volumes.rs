use crate::json::{Object, Value};
use crate::path::is_below;
use crate::tar::normalise;
use crate::train::paths;

/// True for a declared volume at, above or below what is the train's own: engines put a volume there, and committing a
/// container leaves out what is in volumes. So is one that cannot be told.
pub(in crate::stage) fn hides_train(volume: &str) -> bool {
    let path = normalise(volume.as_bytes()).unwrap_or_default();
    [paths::TRAIN, paths::RESULTS, paths::CONFIG, paths::USER_KEY]
        .into_iter()
        .any(|own| *path == *own || is_below(&path, own) || is_below(own, &path))
}

/// The volumes that an image config declares and that hide the train.
pub(in crate::stage) fn hiding_volumes(config: &Object) -> Vec<String> {
    let declared = config.get("config").and_then(|config| config.get("Volumes")).and_then(Value::as_object);
    declared.into_iter().flat_map(Object::keys).filter(|volume| hides_train(volume)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_at_above_or_below_the_train_hides_it() {
        for hiding in [
            "/",
            "",
            ".",
            "/opt",
            "opt/",
            "//opt/./pht_results/",
            "/opt/pht_results/x",
            "/opt/pht_train",
            "/opt/train_config.json",
            "/opt/x/../pht_results",
            "/srv/../opt",
        ] {
            assert!(hides_train(hiding), "{hiding}");
        }
        for other in ["/data", "/optional", "/opt/other", "/opt/pht_results2", "/srv/opt/pht_results"] {
            assert!(!hides_train(other), "{other}");
        }
    }
}
