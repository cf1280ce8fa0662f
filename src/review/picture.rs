//! What pictures carry beside their pixels.

use std::io::Read;

use flate2::read::ZlibDecoder;

/// The most bytes of a compressed text that are read.
const MAX_TEXT: u64 = 1 << 20;

/// What is in a picture.
#[derive(Debug, Default)]
pub(super) struct PictureFacts {
    /// Texts, as their name and themselves.
    pub(super) texts: Vec<(String, String)>,
    /// Bytes of tags of cameras and scanners.
    pub(super) tags: usize,
    /// Bytes after its end.
    pub(super) trailing: usize,
    /// Chunks that no reader of pictures knows.
    pub(super) unknown: usize,
    /// It ends before its end.
    pub(super) is_cut: bool,
}

/// What a PNG file carries.
pub(super) fn png(bytes: &[u8]) -> PictureFacts {
    let mut facts = PictureFacts { is_cut: true, ..PictureFacts::default() };
    let mut at = 8;
    while let Some(head) = bytes.get(at..at + 8) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some(data) = (at + 8).checked_add(length).and_then(|end| bytes.get(at + 8..end)) else { break };
        at += 12 + length;
        match &head[4..] {
            b"IEND" => {
                facts.is_cut = false;
                break;
            }
            b"tEXt" => facts.texts.extend(split(data).map(|(name, rest)| (latin(name), latin(rest)))),
            b"zTXt" => {
                let text = split(data).and_then(|(name, rest)| Some((latin(name), inflate(rest.get(1..)?)?)));
                facts.texts.extend(text);
            }
            b"iTXt" => facts.texts.extend(international(data)),
            b"eXIf" => facts.tags += length,
            b"IHDR" | b"PLTE" | b"IDAT" | b"tRNS" | b"gAMA" | b"cHRM" | b"sRGB" | b"iCCP" | b"bKGD" | b"pHYs"
            | b"sBIT" | b"tIME" | b"hIST" | b"sPLT" | b"acTL" | b"fcTL" | b"fdAT" | b"cICP" => {}
            _ => facts.unknown += 1,
        }
    }
    facts.trailing = bytes.len().saturating_sub(at);
    facts
}

fn split(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = data.iter().position(|&byte| byte == 0)?;
    Some((&data[..end], &data[end + 1..]))
}

fn latin(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn inflate(bytes: &[u8]) -> Option<String> {
    let mut text = Vec::new();
    ZlibDecoder::new(bytes).take(MAX_TEXT).read_to_end(&mut text).ok()?;
    Some(latin(&text))
}

/// Name, whether it is compressed, language, translated name, text.
fn international(data: &[u8]) -> Option<(String, String)> {
    let (name, rest) = split(data)?;
    let (compressed, rest) = (*rest.first()? == 1, rest.get(2..)?);
    let (_, rest) = split(rest)?;
    let (_, text) = split(rest)?;
    Some((latin(name), if compressed { inflate(text)? } else { latin(text) }))
}

/// What a JPEG file carries.
pub(super) fn jpeg(bytes: &[u8]) -> PictureFacts {
    let mut facts = PictureFacts { is_cut: true, ..PictureFacts::default() };
    let mut at = 2;
    while let Some(&[0xff, marker]) = bytes.get(at..at + 2).and_then(|two| two.first_chunk::<2>()) {
        at += 2;
        if marker == 0xd9 {
            facts.is_cut = false;
            break;
        }
        if (0xd0..=0xd8).contains(&marker) || marker == 0x01 {
            continue;
        }
        let Some(length) = bytes.get(at..at + 2).map(|two| usize::from(two[0]) << 8 | usize::from(two[1])) else {
            break;
        };
        let Some(data) = bytes.get(at + 2..at + length.max(2)) else { break };
        match marker {
            0xfe => facts.texts.push(("comment".to_owned(), latin(data))),
            0xe1 | 0xed => facts.tags += data.len(),
            _ => {}
        }
        at += length.max(2);
        if marker == 0xda {
            // Pixels, until a marker that is none of theirs.
            while let Some(two) = bytes.get(at..at + 2) {
                if two[0] == 0xff && two[1] != 0 && !(0xd0..=0xd7).contains(&two[1]) {
                    break;
                }
                at += 1;
            }
        }
    }
    facts.trailing = bytes.len().saturating_sub(at);
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        [&u32::try_from(data.len()).unwrap().to_be_bytes()[..], kind, data, &[0; 4]].concat()
    }

    #[test]
    fn finds_what_is_not_pixels() {
        let signature = b"\x89PNG\r\n\x1a\n".to_vec();
        let plain = [signature.clone(), chunk(b"IHDR", &[0; 13]), chunk(b"IEND", b"")].concat();
        let facts = png(&plain);
        assert!(facts.texts.is_empty() && facts.trailing == 0 && !facts.is_cut);
        assert_eq!(png(&[plain.clone(), b"a,b".to_vec()].concat()).trailing, 3);
        assert!(png(&plain[..20]).is_cut);
        let text = [signature, chunk(b"tEXt", b"Comment\0a note"), chunk(b"prVt", b"x"), chunk(b"IEND", b"")].concat();
        let facts = png(&text);
        assert_eq!((facts.texts, facts.unknown), (vec![("Comment".to_owned(), "a note".to_owned())], 1));
        let photo =
            [&b"\xff\xd8\xff\xe1\0\x06Exif\xff\xfe\0\x06note\xff\xda\0\x04ab\x12\xff\0\x34\xff\xd9"[..], b"more"]
                .concat();
        let facts = jpeg(&photo);
        assert_eq!((facts.tags, facts.trailing, facts.is_cut), (4, 4, false));
        assert_eq!(facts.texts, [("comment".to_owned(), "note".to_owned())]);
        for length in 0..photo.len() {
            let _ = (jpeg(&photo[..length]), png(&photo[..length]));
        }
    }
}
