//! Tar headers of all formats, and of none.

use super::chance::Chance;

/// A member before it is written.
#[derive(Debug, Clone)]
pub struct Member {
    pub name: Vec<u8>,
    pub typeflag: u8,
    pub link: Vec<u8>,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub contents: Vec<u8>,
}

/// How often something in a header is not as it should be, in percent.
pub struct Oddness(pub usize);

pub fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let len = (rest..).find(|len| *len == rest + len.to_string().len()).expect("a length that counts itself");
    [format!("{len} {key}=").as_bytes(), value, b"\n"].concat()
}

pub fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

/// A header that says nothing unusual.
pub fn plain(name: &[u8], typeflag: u8, size: usize) -> [u8; 512] {
    let mut block = [0; 512];
    put(&mut block, 0, name, 100);
    for (at, text) in [(100, "0000644\0"), (108, "0000000\0"), (116, "0000000\0"), (136, "14000000000\0")] {
        put(&mut block, at, text.as_bytes(), 12);
    }
    put(&mut block, 124, format!("{size:011o}\0").as_bytes(), 12);
    block[156] = typeflag;
    put(&mut block, 257, b"ustar\x0000", 8);
    seal(&mut block);
    block
}

fn put(block: &mut [u8; 512], at: usize, bytes: &[u8], most: usize) {
    let len = bytes.len().min(most);
    block[at..at + len].copy_from_slice(&bytes[..len]);
}

pub fn seal(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn number(chance: &mut Chance, odd: &Oddness, value: u64, width: usize) -> Vec<u8> {
    let digits = width - 1;
    let binary = |value: u64| {
        let mut field = vec![0; width];
        let bytes = value.to_be_bytes();
        let from = bytes.len().saturating_sub(width);
        let start = width - (bytes.len() - from);
        field[start..].copy_from_slice(&bytes[from..]);
        field
    };
    if value >= 1 << (3 * digits) {
        let mut field = binary(value);
        field[0] |= 0x80;
        return field;
    }
    if !chance.happens(odd.0) {
        return match chance.below(6) {
            0 => format!("{value:0width$o} ", width = digits).into_bytes(),
            1 => format!("{value:digits$o}\0").into_bytes(),
            2 => format!("{value:0width$o} \0", width = digits - 1).into_bytes(),
            3 if value < 1 << 40 => {
                let mut field = binary(value);
                field[0] = 0x80;
                field
            }
            _ => format!("{value:0width$o}\0", width = digits).into_bytes(),
        };
    }
    match chance.below(10) {
        0 => format!("\0{value:0width$o}\0", width = digits - 1).into_bytes(),
        1 => format!(" \0{value:0width$o}", width = digits - 1).into_bytes(),
        2 => format!("{value:o}\0{}", "7".repeat(digits)).into_bytes(),
        3 => format!("+{value:0width$o}\0", width = digits - 1).into_bytes(),
        4 => format!("-{value:0width$o}\0", width = digits - 1).into_bytes(),
        5 => vec![0xff; width],
        6 => {
            let mut field = binary(value);
            field[0] = 0x81 + chance.below(0x7e) as u8;
            field
        }
        7 => vec![0; width],
        8 => format!("{value:o} {value:o}\0").into_bytes(),
        _ => format!("{value:x}g\0").into_bytes(),
    }
}

/// How a member's name stands in its headers.
struct Spelling {
    magic: &'static [u8],
    name: Vec<u8>,
    prefix: Vec<u8>,
    records: Vec<u8>,
    long: Vec<u8>,
}

fn spell(member: &Member, chance: &mut Chance, odd: &Oddness) -> Spelling {
    let magic: &[u8] = match chance.below(8) {
        0 if member.name.len() <= 100 => b"",
        1..=3 => b"ustar  \0",
        _ => b"ustar\x0000",
    };
    let (records, long) = Default::default();
    let mut spelling = Spelling { magic, name: member.name.clone(), prefix: Vec::new(), records, long };
    let Spelling { name, prefix, records, long, .. } = &mut spelling;
    match chance.below(7) {
        0 => records.extend(record("path", &member.name)),
        1 => gnu(long, b'L', &member.name),
        2 => {
            records.extend(record("path", &member.name));
            gnu(long, b'L', if chance.happens(odd.0) { &b"other/name"[..] } else { &member.name });
        }
        3 if magic != b"" => {
            let slash = name.iter().position(|&byte| byte == b'/').filter(|at| at + 1 < name.len());
            if let Some(slash) = slash.filter(|_| magic == b"ustar\x0000" || chance.happens(odd.0 * 2)) {
                *prefix = name[..slash].to_vec();
                *name = name[slash + 1..].to_vec();
            }
        }
        _ => {}
    }
    if name.len() > 100 && records.is_empty() && long.is_empty() {
        records.extend(record("path", &member.name));
    }
    if records.len() + long.len() > 0 && chance.happens(30) {
        *name = b"short".to_vec();
    }
    if chance.happens(odd.0) {
        odd_records(records, member, chance);
    }
    if chance.happens(odd.0 / 2) {
        gnu(long, *chance.one(&[&b'L', &b'K']), chance.one(&[&b""[..], b"a\0b", b"other", &member.name]));
    }
    spelling
}

/// Writes a member in one of the ways that there are for it.
pub fn write(out: &mut Vec<u8>, member: &Member, chance: &mut Chance, odd: &Oddness) {
    let spelling = spell(member, chance, odd);
    let mut extended = Vec::new();
    if !spelling.records.is_empty() {
        let typeflag = if chance.happens(odd.0 / 4) { b'g' } else { b'x' };
        extended.extend_from_slice(&plain(b"PaxHeaders/x", typeflag, spelling.records.len()));
        extended.extend(padded(&spelling.records));
    }
    let at = if chance.happens(50) { extended.len() } else { 0 };
    extended.splice(at..at, spelling.long.iter().copied());
    out.extend(extended);
    let has_contents = matches!(member.typeflag, b'0' | 0 | b'7');
    let size = match has_contents {
        true => member.contents.len(),
        false if chance.happens(odd.0) => 512,
        false => 0,
    };
    out.extend_from_slice(&header_of(member, &spelling, size, chance, odd));
    if has_contents {
        out.extend(padded(&member.contents));
    }
}

fn header_of(member: &Member, spelling: &Spelling, size: usize, chance: &mut Chance, odd: &Oddness) -> [u8; 512] {
    let mut block = plain(&spelling.name, member.typeflag, size);
    put(&mut block, 124, &number(chance, odd, size as u64, 12), 12);
    put(&mut block, 100, &number(chance, odd, member.mode.into(), 8), 8);
    put(&mut block, 108, &number(chance, odd, member.uid, 8), 8);
    put(&mut block, 116, &number(chance, odd, member.gid, 8), 8);
    put(&mut block, 157, &member.link, 100);
    block[257..265].fill(0);
    put(&mut block, 257, spelling.magic, 8);
    if chance.happens(odd.0 / 3) {
        put(&mut block, 257, chance.one(&[&b"ustar "[..], b"ustar\0  ", b"USTAR\x0000", b"ustar\x0001"]), 8);
    }
    put(&mut block, 345, &spelling.prefix, 155);
    if chance.happens(odd.0 / 3) {
        let times = &b"14000000000\x0014000000000\0"[..];
        put(&mut block, 345, chance.one(&[&b"0000"[..], times, b"\0\0\0x", b"odd", b"\xff"]), 155);
    }
    if chance.happens(odd.0 / 4) {
        put(&mut block, 508, b"tar\0", 4);
    }
    seal(&mut block);
    block
}

fn gnu(out: &mut Vec<u8>, typeflag: u8, text: &[u8]) {
    let text = [text, b"\0"].concat();
    out.extend_from_slice(&plain(b"././@LongLink", typeflag, text.len()));
    out.extend(padded(&text));
}

fn odd_records(records: &mut Vec<u8>, member: &Member, chance: &mut Chance) {
    let size = member.contents.len().to_string();
    let (key, value): (&str, &[u8]) = match chance.below(14) {
        0 => ("path", b""),
        1 => ("path", b"other/path"),
        2 => ("linkpath", b"other"),
        3 => ("size", size.as_bytes()),
        4 => ("size", b"0"),
        5 => ("size", b"512"),
        6 => ("uid", b""),
        7 => ("uid", b"+5"),
        8 => ("gid", b"4294967296"),
        9 => ("GNU.sparse.name", b"other"),
        10 => ("GNU.sparse.major", b"1"),
        11 => ("hdrcharset", b"KOI8"),
        12 => ("mtime", b"1e3"),
        _ => ("comment", b"fine"),
    };
    records.extend(record(key, value));
    if chance.happens(10) {
        records.extend(record(key, value));
    }
    if chance.happens(10) {
        records.push(0);
    }
}
