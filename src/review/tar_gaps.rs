//! What a tar archive carries beside its entries: in records, between and within its headers.

/// What is odd, in words; nothing if every byte is one that programs write.
pub(super) fn oddity(bytes: &[u8]) -> Option<&'static str> {
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + 512) {
        if header.iter().all(|&byte| byte == 0) {
            return None;
        }
        let is_ustar = &header[257..263] == b"ustar\0";
        if is_ustar && header[500..].iter().any(|&byte| byte != 0) {
            return Some("bytes behind the fields of a header");
        }
        let names = [&header[265..297], &header[297..329]];
        if names.iter().any(|name| !is_account(until_zero(name)) || has_more(name)) {
            return Some("an owner whose name is none of an account");
        }
        if [&header[..100], &header[157..257]].iter().any(|name| has_more(name)) {
            return Some("bytes behind the name of an entry");
        }
        let size = until_zero(&header[124..136]);
        let size = std::str::from_utf8(size).ok().and_then(|size| usize::from_str_radix(size.trim(), 8).ok())?;
        let content = bytes.get(at + 512..(at + 512).checked_add(size)?)?;
        if matches!(header[156], b'x' | b'g') && has_odd_records(content) {
            return Some("records that programs do not write for plain files");
        }
        let end = at + 512 + size;
        let next = end.checked_next_multiple_of(512)?;
        if bytes.get(end..next)?.iter().any(|&byte| byte != 0) {
            return Some("bytes between an entry and the next");
        }
        at = next;
    }
    None
}

fn until_zero(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// True if something stands behind the zero that ends a text.
fn has_more(field: &[u8]) -> bool {
    field[until_zero(field).len()..].iter().any(|&byte| byte != 0)
}

fn is_account(name: &[u8]) -> bool {
    name.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.$".contains(byte))
}

/// True for PAX records other than what a long name or a large file needs, and times.
fn has_odd_records(content: &[u8]) -> bool {
    const USUAL: [&[u8]; 10] =
        [b"path", b"linkpath", b"size", b"mtime", b"atime", b"ctime", b"uid", b"gid", b"uname", b"gname"];
    let mut rest = content;
    while !rest.is_empty() {
        let Some(blank) = rest.iter().position(|&byte| byte == b' ') else { return true };
        let length = std::str::from_utf8(&rest[..blank]).ok().and_then(|length| length.parse::<usize>().ok());
        let Some(record) = length.filter(|length| *length > blank).and_then(|length| rest.get(blank + 1..length))
        else {
            return true;
        };
        let Some(equals) = record.iter().position(|&byte| byte == b'=') else { return true };
        let (key, value) = (&record[..equals], record[equals + 1..].trim_ascii_end());
        let is_odd = match key {
            b"uname" | b"gname" => !is_account(value),
            // Before 1970 nothing was written.
            b"mtime" | b"atime" | b"ctime" => value.starts_with(b"-"),
            _ => !USUAL.contains(&key),
        };
        if is_odd {
            return true;
        }
        rest = &rest[blank + 1 + record.len()..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut header = vec![0; 512];
        header[..5].copy_from_slice(b"m.csv");
        header[124..135].copy_from_slice(b"00000000004");
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        edit(&mut header);
        let mut content = b"a,b\n".to_vec();
        content.resize(512, 0);
        [header, content, vec![0; 1024]].concat()
    }

    #[test]
    fn every_byte_has_its_use() {
        assert_eq!(oddity(&header(|_| {})), None);
        assert_eq!(oddity(b""), None);
        assert!(oddity(&header(|header| header[505] = b'x')).is_some());
        assert!(oddity(&header(|header| header[20] = b'x')).is_some());
        assert!(oddity(&header(|header| header[265..276].copy_from_slice(b"Anna Meier "))).is_some());
        let mut padded = header(|_| {});
        padded[600] = b'x';
        assert!(oddity(&padded).is_some());
        for (records, odd) in [
            ("16 path=averylong\n", true),
            ("18 path=averylong\n", false),
            ("27 comment=a patient of us\n", true),
            ("15 mtime=-1.5 \n", true),
            ("", false),
            ("x", true),
        ] {
            assert_eq!(has_odd_records(records.as_bytes()), odd, "{records}");
        }
        for length in 0..512 {
            let _ = (oddity(&padded[..length * 4]), has_odd_records(&b"18 path=averylong\n"[..length.min(18)]));
        }
    }
}
