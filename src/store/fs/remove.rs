use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Removes a directory of this user's with all that is in it, be it closed to its owner.
pub(crate) fn remove_tree(dir: &Path) -> io::Result<()> {
    fs::remove_dir_all(dir).or_else(|_| {
        unlock_directories(dir);
        fs::remove_dir_all(dir)
    })
}

/// Gives the user every right to the directories below.
fn unlock_directories(dir: &Path) {
    let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            unlock_directories(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_closed_is_removed_too() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        fs::create_dir_all(top.join("closed/below")).unwrap();
        fs::write(top.join("closed/below/file"), "1").unwrap();
        for name in ["closed/below", "closed"] {
            fs::set_permissions(top.join(name), fs::Permissions::from_mode(0o000)).unwrap();
        }
        remove_tree(&top).unwrap();
        assert!(!top.exists());
    }
}
