use std::path::Path;

use crate::error::Result;
use crate::image::{Image, NodeKind, PathFilter, View};
use crate::json::{Object, Value};
use crate::path::{ancestors, is_below};
use crate::tar::normalise;
use crate::train::paths;

/// The most symbolic links on one way, as Linux has it.
const MAX_LINKS: usize = 40;

/// True for a declared volume at, above or below what is the train's own, through whatever symbolic links the image has on
/// the way: engines put a volume there, and committing a container leaves out what is in volumes. So is one whose place
/// cannot be told.
///
/// # Errors
/// As [`View::read`]: the layers of the image are read, as far down as they can matter.
pub(in crate::stage) fn hides_train(image: &Image, volume: &str, spool_dir: &Path) -> Result<bool> {
    let mut path = place_of(volume);
    for _ in 0..MAX_LINKS {
        if overlaps_train(&path) {
            return Ok(true);
        }
        let mut view = View::read(image, PathFilter::new([&*path]), spool_dir, |_| Ok(false))?;
        view.verify()?;
        let mut on_the_way: Vec<&[u8]> = std::iter::once(&*path).chain(ancestors(&path)).collect();
        on_the_way.reverse();
        let link = on_the_way.into_iter().find_map(|dir| match &view.tree.get(dir)?.kind {
            NodeKind::Symlink(target) => Some((dir, target)),
            _ => None,
        });
        let Some((link, target)) = link else { return Ok(false) };
        path = followed(link, target, &path);
    }
    Ok(true)
}

/// The path of a volume, normalised; the root where it cannot be told.
fn place_of(volume: &str) -> Vec<u8> {
    normalise(volume.as_bytes()).unwrap_or_default().into_vec()
}

fn overlaps_train(path: &[u8]) -> bool {
    [paths::TRAIN, paths::RESULTS, paths::CONFIG, paths::USER_KEY]
        .into_iter()
        .any(|own| *path == *own || is_below(path, own) || is_below(own, path))
}

/// The volumes that an image config declares.
pub(in crate::stage) fn volumes_of(config: &Object) -> Vec<String> {
    let declared = config.get("config").and_then(|config| config.get("Volumes")).and_then(Value::as_object);
    declared.into_iter().flat_map(Object::keys).cloned().collect()
}

/// Where `path` leads that passes through the symbolic link at `link`; normalised.
fn followed(link: &[u8], target: &[u8], path: &[u8]) -> Vec<u8> {
    let parent = link.iter().rposition(|byte| *byte == b'/').map_or(&b""[..], |slash| &link[..slash]);
    let start = if target.starts_with(b"/") { &b""[..] } else { parent };
    let mut parts: Vec<&[u8]> = Vec::new();
    let steps = [start, target, &path[link.len()..]];
    for part in steps.into_iter().flat_map(|text| text.split(|byte| *byte == b'/')) {
        match part {
            b"" | b"." => {}
            // Above the root there is the root.
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_at_above_or_below_the_train_hides_it() {
        let hides_train = |volume| overlaps_train(&place_of(volume));
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

    #[test]
    fn links_lead_where_engines_go() {
        for (link, target, path, led) in [
            ("lnk", "/opt/pht_results", "lnk", "opt/pht_results"),
            ("lnk", "opt", "lnk/pht_results", "opt/pht_results"),
            ("srv/a", "../opt/./x/..", "srv/a/pht_results", "opt/pht_results"),
            ("var/run", "/run", "var/run/postgresql", "run/postgresql"),
            ("a", "../../..", "a/b", "b"),
        ] {
            let found = followed(link.as_bytes(), target.as_bytes(), path.as_bytes());
            assert_eq!(String::from_utf8(found).unwrap(), led, "{link} {target} {path}");
        }
    }
}
