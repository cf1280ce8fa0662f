use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::text::Printable;

/// The largest `/etc/passwd` or `/etc/group` that is read, in bytes.
const MAX_ACCOUNTS: u64 = 1 << 20;

/// A user of an image, in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// The groups that have this user as a member, unless the image names the group.
    pub(super) further_groups: Vec<u32>,
}

impl Account {
    /// The image's `User`: `USER[:GROUP]`, each as a number or a name in the files of the unpacked base.
    pub(super) fn of(text: &str, base: &Path) -> Result<Self> {
        let (name, group) = text.split_once(':').map_or((text, None), |(name, group)| (name, Some(group)));
        let unknown = |what: &str| {
            let shown = Printable::new(text);
            Error::malformed(format!("the image runs as the {what} `{shown}`, which it does not define"))
        };
        let accounts = lines(base, "etc/passwd")?;
        let fields = accounts.iter().find(|fields| fields.first().is_some_and(|own| own == name));
        let number = |fields: &[String], at: usize| fields.get(at).and_then(|text| text.parse::<u32>().ok());
        let uid = match name {
            "" => 0,
            name => name.parse().ok().or_else(|| number(fields?, 2)).ok_or_else(|| unknown("user"))?,
        };
        let groups = lines(base, "etc/group")?;
        let by_uid = || accounts.iter().find(|fields| number(fields, 2) == Some(uid));
        let gid = match group {
            Some(group) => {
                let named = groups.iter().find(|fields| fields.first().is_some_and(|own| own == group));
                group.parse().ok().or_else(|| number(named?, 2)).ok_or_else(|| unknown("group"))?
            }
            None => by_uid().and_then(|fields| number(fields, 3)).unwrap_or(0),
        };
        let own = by_uid().and_then(|fields| fields.first());
        let member = |fields: &&Vec<String>| {
            fields.get(3).is_some_and(|list| list.split(',').any(|one| Some(one) == own.map(String::as_str)))
        };
        let further = groups.iter().filter(|_| group.is_none()).filter(member);
        let further_groups = further.filter_map(|fields| number(fields, 2)).collect();
        Ok(Account { uid, gid, further_groups })
    }
}

/// The lines of `/etc/passwd` or `/etc/group` as the base has them, in fields; none where it has no such file. Links in it
/// lead to places in it, as they do for who runs there.
fn lines(base: &Path, path: &str) -> Result<Vec<Vec<String>>> {
    let dir = File::open(base).doing("open the directory").at(base.display())?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = openat2(&dir, path, flags, Mode::empty(), ResolveFlags::IN_ROOT).map(File::from);
    let mut text = Vec::new();
    match opened.map_err(io::Error::from) {
        Ok(file) if file.metadata().is_ok_and(|found| found.is_file()) => {
            file.take(MAX_ACCOUNTS).read_to_end(&mut text).doing("read the file").at(path)?;
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).doing("open the file").at(path);
        }
        _ => {}
    }
    let fields = |line: &str| line.split(':').map(str::to_owned).collect();
    Ok(String::from_utf8_lossy(&text).lines().map(fields).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_may_be_a_number() {
        let empty = tempfile::tempdir().unwrap();
        let found = Account::of("", empty.path()).unwrap();
        assert_eq!((found.uid, found.gid), (0, 0));
        assert!(Account::of("nobody", empty.path()).is_err(), "an image without accounts knows no name");
    }

    #[test]
    fn a_user_may_be_a_name_in_the_image() {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir(base.path().join("etc")).unwrap();
        std::fs::write(base.path().join("etc/passwd"), "root:x:0:0::/:/bin/sh\nana:x:7:8::/:/bin/sh\n").unwrap();
        // A link of the image leads to a place in it.
        std::fs::write(base.path().join("groups"), "staff:x:8:\ndata:x:9:bob,ana\n").unwrap();
        std::os::unix::fs::symlink("/groups", base.path().join("etc/group")).unwrap();
        let account = |uid, gid, further_groups: &[u32]| Account { uid, gid, further_groups: further_groups.to_vec() };
        assert_eq!(Account::of("ana", base.path()).unwrap(), account(7, 8, &[9]));
        assert_eq!(Account::of("ana:data", base.path()).unwrap(), account(7, 9, &[]));
        assert_eq!(Account::of("1000", base.path()).unwrap(), account(1000, 0, &[]));
        assert!(Account::of("ana:nobody", base.path()).is_err());
    }
}
