//! A tar writer that is not the program's own, in the two dialects that builders use.

/// How a long name, a large number and a time stand in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// POSIX: PAX records.
    Pax,
    /// GNU: `L` and `K` entries, binary numbers.
    Gnu,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    File(Vec<u8>),
    Directory,
    Symlink(String),
    HardLink(String),
}

/// Mode, owner, time and extended attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub mtime: i64,
    /// The fraction of the time; not with times before 1970, which programs round in different ways.
    pub nanos: u32,
    pub xattrs: Vec<(String, Vec<u8>)>,
}

impl Attributes {
    pub fn plain(mode: u32, mtime: i64) -> Self {
        Attributes { mode, uid: 0, gid: 0, mtime, nanos: 0, xattrs: Vec::new() }
    }
}

/// One entry, its name as it will be spelled.
#[derive(Debug, Clone)]
pub struct Item {
    pub name: String,
    pub what: What,
    pub attributes: Attributes,
    pub dialect: Dialect,
}

/// The archive of these entries.
pub fn archive(items: &[Item]) -> Vec<u8> {
    let mut out = Vec::new();
    items.iter().for_each(|item| write_item(&mut out, item));
    out.resize(out.len() + 1024, 0);
    out
}

fn write_item(out: &mut Vec<u8>, item: &Item) {
    let Item { name, what, attributes, .. } = item;
    // Only PAX has a place for these two.
    let needs_pax = attributes.nanos > 0 || !attributes.xattrs.is_empty();
    let dialect = if needs_pax { Dialect::Pax } else { item.dialect };
    let (kind, link, contents) = match what {
        What::File(contents) => (b'0', "", contents.as_slice()),
        What::HardLink(target) => (b'1', target.as_str(), &[][..]),
        What::Symlink(target) => (b'2', target.as_str(), &[][..]),
        What::Directory => (b'5', "", &[][..]),
    };
    match dialect {
        Dialect::Pax => {
            let records = pax_records(name, link, attributes);
            if !records.is_empty() {
                let about = Attributes::plain(0o644, 0);
                header(out, "PaxHeaders.0/x", b'x', "", records.len(), &about, dialect);
                block(out, &records);
            }
        }
        Dialect::Gnu => {
            for (kind, text) in [(b'K', link), (b'L', name.as_str())] {
                if text.len() > 100 {
                    let terminated = [text.as_bytes(), b"\0"].concat();
                    let about = Attributes::plain(0, 0);
                    header(out, "././@LongLink", kind, "", terminated.len(), &about, dialect);
                    block(out, &terminated);
                }
            }
        }
    }
    header(out, name, kind, link, contents.len(), attributes, dialect);
    block(out, contents);
}

fn pax_records(name: &str, link: &str, attributes: &Attributes) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, text) in [("path", name), ("linkpath", link)] {
        if text.len() > 100 || !text.is_ascii() {
            record(&mut out, key, text.as_bytes());
        }
    }
    for (key, id) in [("uid", attributes.uid), ("gid", attributes.gid)] {
        if id > 0o7_777_777 {
            record(&mut out, key, id.to_string().as_bytes());
        }
    }
    if attributes.nanos > 0 {
        record(&mut out, "mtime", format!("{}.{:09}", attributes.mtime, attributes.nanos).as_bytes());
    } else if attributes.mtime < 0 {
        record(&mut out, "mtime", attributes.mtime.to_string().as_bytes());
    }
    for (key, value) in &attributes.xattrs {
        record(&mut out, &format!("SCHILY.xattr.{key}"), value);
    }
    out
}

fn record(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let len = (rest..).find(|len| *len == rest + len.to_string().len()).expect("a length that counts itself");
    out.extend_from_slice(format!("{len} {key}=").as_bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn header(out: &mut Vec<u8>, name: &str, kind: u8, link: &str, size: usize, about: &Attributes, dialect: Dialect) {
    let mut header = [0; 512];
    let mut put = |start: usize, most: usize, bytes: &[u8]| {
        let len = bytes.len().min(most);
        header[start..start + len].copy_from_slice(&bytes[..len]);
    };
    put(0, 100, name.as_bytes());
    put(100, 8, format!("{:07o}\0", about.mode).as_bytes());
    put(108, 8, &number::<8>(about.uid.into(), dialect));
    put(116, 8, &number::<8>(about.gid.into(), dialect));
    put(124, 12, &number::<12>(size as i128, dialect));
    put(136, 12, &number::<12>(about.mtime.into(), dialect));
    put(148, 8, b"        ");
    put(156, 1, &[kind]);
    put(157, 100, link.as_bytes());
    put(257, 8, if dialect == Dialect::Gnu { b"ustar  \0" } else { b"ustar\x0000" });
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    out.extend_from_slice(&header);
}

/// Octal where it fits; else GNU's binary form, or 0 where a PAX record has the number.
fn number<const N: usize>(value: i128, dialect: Dialect) -> [u8; N] {
    let fits = (0..1 << (3 * (N - 1))).contains(&value);
    let mut field = [0; N];
    if fits || dialect == Dialect::Pax {
        let value = if fits { value } else { 0 };
        field.copy_from_slice(format!("{value:0width$o}\0", width = N - 1).as_bytes());
    } else {
        field.copy_from_slice(&value.to_be_bytes()[16 - N..]);
        field[0] |= 0x80;
    }
    field
}

fn block(out: &mut Vec<u8>, contents: &[u8]) {
    out.extend_from_slice(contents);
    out.resize(out.len().next_multiple_of(512), 0);
}
