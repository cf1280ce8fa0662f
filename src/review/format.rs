//! What a file is, by its content.

use std::borrow::Cow;

use super::fields::{json, table};
use super::pickle;

/// The bytes that are looked at to tell text from anything else, and one kind of text from another.
const HEAD: usize = 64 << 10;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Empty,
    Csv,
    Tsv,
    Json,
    JsonLines,
    Text,
    Png,
    Jpeg,
    Html,
    Xml,
    Svg,
    Pdf,
    Notebook,
    /// Of Office or LibreOffice: a zip archive of XML.
    Document,
    Spreadsheet,
    /// A container of models, frames or arrays, by its name.
    Model(&'static str),
    Pickle,
    Numpy,
    /// Numpy arrays in a zip archive.
    NumpyArchive,
    /// A pickle and its tensors in a zip archive.
    Torch,
    /// Images, signals or sequences of patients, by their name.
    Medical(&'static str),
    Zip,
    Gzip,
    Zlib,
    Tar,
    /// An archive that is not opened, by its name.
    Sealed(&'static str),
    /// Another known type.
    Other(&'static str),
    Unknown,
}

impl Format {
    /// The stable name, as in the policy's list of types.
    pub(super) fn name(self) -> &'static str {
        match self {
            Format::Empty => "empty",
            Format::Csv => "csv",
            Format::Tsv => "tsv",
            Format::Json => "json",
            Format::JsonLines => "jsonl",
            Format::Text => "txt",
            Format::Png => "png",
            Format::Jpeg => "jpeg",
            Format::Html => "html",
            Format::Xml => "xml",
            Format::Svg => "svg",
            Format::Pdf => "pdf",
            Format::Notebook => "ipynb",
            Format::Document => "docx",
            Format::Spreadsheet => "xlsx",
            Format::Pickle => "pickle",
            Format::Numpy => "npy",
            Format::NumpyArchive => "npz",
            Format::Torch => "pt",
            Format::Zip => "zip",
            Format::Gzip => "gz",
            Format::Zlib => "zlib",
            Format::Tar => "tar",
            Format::Model(name) | Format::Medical(name) | Format::Sealed(name) | Format::Other(name) => name,
            Format::Unknown => "unknown",
        }
    }

    /// True if a person reads it as text.
    pub(super) fn is_text(self) -> bool {
        use Format::{Csv, Empty, Html, Json, JsonLines, Notebook, Svg, Text, Tsv, Xml};
        matches!(self, Empty | Csv | Tsv | Json | JsonLines | Text | Html | Xml | Svg | Notebook)
    }

    /// True if it is a picture that is shown.
    pub(super) fn is_picture(self) -> bool {
        matches!(self, Format::Png | Format::Jpeg)
    }

    /// True if it is a container whose entries are looked at.
    pub(super) fn is_archive(self) -> bool {
        use Format::{Document, Gzip, NumpyArchive, Spreadsheet, Tar, Torch, Zip, Zlib};
        matches!(self, Zip | Gzip | Zlib | Tar | NumpyArchive | Torch | Document | Spreadsheet)
    }

    /// The names that a file of this format goes by; empty if any name will do.
    pub(super) fn endings(self) -> &'static [&'static str] {
        match self {
            Format::Csv | Format::Text | Format::Empty => &[
                "csv", "txt", "tsv", "log", "md", "out", "dat", "tab", "yaml", "yml", "toml", "ini", "cfg", "rst",
                "tex",
            ],
            Format::Tsv => &["tsv", "txt", "tab", "csv", "dat", "out", "log"],
            Format::Json => &["json", "txt", "geojson", "jsonld"],
            Format::JsonLines => &["jsonl", "ndjson", "json", "txt", "log"],
            Format::Png => &["png"],
            Format::Jpeg => &["jpg", "jpeg"],
            _ => &[],
        }
    }
}

/// Endings that promise a type which may leave: a file that has one must be of it.
const PROMISES: [(&str, &[Format]); 6] = [
    ("csv", &[Format::Csv, Format::Tsv, Format::Text, Format::Empty]),
    ("tsv", &[Format::Csv, Format::Tsv, Format::Text, Format::Empty]),
    ("json", &[Format::Json, Format::JsonLines, Format::Empty]),
    ("png", &[Format::Png]),
    ("jpg", &[Format::Jpeg]),
    ("jpeg", &[Format::Jpeg]),
];

/// The ending of a name in lower case.
pub(super) fn ending(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let last = name.rsplit('/').next().unwrap_or_default();
    last.rsplit_once('.').map_or_else(String::new, |(_, ending)| ending.to_ascii_lowercase())
}

/// True if the name promises something else than the content is.
pub(super) fn name_disagrees(name: &[u8], format: Format) -> bool {
    let ending = ending(name);
    if let Some((_, promised)) = PROMISES.iter().find(|(promise, _)| *promise == ending) {
        return !promised.contains(&format);
    }
    if ending == "txt" || ending == "log" || ending == "md" {
        return !format.is_text();
    }
    let own = format.endings();
    // A type that may leave, under the name of one that may not: harmless in itself, but somebody is mistaken.
    format.is_picture() && !own.contains(&ending.as_str())
}

/// The type of a file that begins with `bytes` and has `size` bytes.
pub(super) fn detect(bytes: &[u8], whole: bool) -> Format {
    if bytes.is_empty() {
        return Format::Empty;
    }
    if let Some(format) = medical(bytes).or_else(|| by_magic(bytes)) {
        return format;
    }
    if let Some(text) = text_of(bytes, whole) {
        return of_text(&text, bytes, whole);
    }
    if pickle::begins(bytes) || whole && pickle::is_unmarked_pickle(bytes) {
        return Format::Pickle;
    }
    match infer::get(bytes) {
        Some(found) => Format::Other(found.extension()),
        None => Format::Unknown,
    }
}

/// Medical images, signals and sequences.
fn medical(bytes: &[u8]) -> Option<Format> {
    let at = |from: usize, magic: &[u8]| bytes.get(from..).is_some_and(|rest| rest.starts_with(magic));
    let lines = || bytes.split(|&byte| byte == b'\n');
    let is_fastq = || {
        let mut lines = lines().take(3);
        let (first, _, third) = (lines.next(), lines.next(), lines.next());
        first.is_some_and(|line| line.starts_with(b"@")) && third.is_some_and(|line| line.starts_with(b"+"))
    };
    let is_fasta = || {
        let mut lines = lines();
        let residue = |byte: &u8| b"ACGTUNRYKMSWBDHV-*acgtun".contains(byte);
        lines.next().is_some_and(|line| line.starts_with(b">"))
            && lines.next().is_some_and(|line| line.len() >= 10 && line.trim_ascii().iter().all(residue))
    };
    // Without preamble, DICOM begins with an element of group 2 or 8, explicit or implicit.
    let is_bare_dicom = || {
        (at(0, &[8, 0]) || at(0, &[2, 0])) && bytes.len() > 132 && bytes[3] == 0 && {
            let explicit = bytes[4..6].iter().all(u8::is_ascii_uppercase);
            let length = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
            explicit || length < 256 && !bytes[8..].is_empty() && (bytes[2] <= 0x18)
        }
    };
    let name = if at(128, b"DICM") || is_bare_dicom() {
        "dicom"
    } else if at(344, b"n+1\0") || at(344, b"ni1\0") || at(4, b"n+2\0") {
        "nifti"
    } else if at(0, b"##fileformat=VCF") || at(0, b"BCF\x02") {
        "vcf"
    } else if at(0, b"BAM\x01") {
        "bam"
    } else if at(0, b"CRAM") && text_of(bytes, false).is_none() {
        "cram"
    } else if at(0, b"@HD\tVN:") || at(0, b"@SQ\tSN:") {
        "sam"
    } else if at(0, b"MSH|") {
        "hl7"
    } else if at(0, b"NRRD000") {
        "nrrd"
    } else if at(0, b"0       ") && bytes.get(..256).is_some_and(|head| head.is_ascii() && !head.contains(&b'\n')) {
        "edf"
    } else if is_fastq() {
        "fastq"
    } else if is_fasta() {
        "fasta"
    } else {
        return None;
    };
    Some(Format::Medical(name))
}

/// Types with a signature of their own, and archives of them.
fn by_magic(bytes: &[u8]) -> Option<Format> {
    let at = |from: usize, magic: &[u8]| bytes.get(from..).is_some_and(|rest| rest.starts_with(magic));
    let table: [(&[u8], Format); 24] = [
        (b"\x89PNG\r\n\x1a\n", Format::Png),
        (b"\xff\xd8\xff", Format::Jpeg),
        (b"%PDF-", Format::Pdf),
        (b"\x89HDF\r\n\x1a\n", Format::Model("hdf5")),
        (b"\x93NUMPY", Format::Numpy),
        (b"PAR1", Format::Model("parquet")),
        (b"ARROW1", Format::Model("arrow")),
        (b"FEA1", Format::Model("feather")),
        (b"ORC", Format::Model("orc")),
        (b"RDX2\n", Format::Model("rdata")),
        (b"RDX3\n", Format::Model("rdata")),
        (b"RDA2\n", Format::Model("rdata")),
        (b"RDA3\n", Format::Model("rdata")),
        (b"X\n\0\0\0", Format::Model("rds")),
        (b"<stata_dta>", Format::Model("dta")),
        (b"$FL2", Format::Model("sav")),
        (b"SQLite format 3\0", Format::Other("sqlite")),
        (b"\x1f\x8b", Format::Gzip),
        (b"BZh", Format::Sealed("bz2")),
        (b"\xfd7zXZ\0", Format::Sealed("xz")),
        (b"\x28\xb5\x2f\xfd", Format::Sealed("zst")),
        (b"7z\xbc\xaf\x27\x1c", Format::Sealed("7z")),
        (b"Rar!\x1a\x07", Format::Sealed("rar")),
        (b"\x04\x22\x4d\x18", Format::Sealed("lz4")),
    ];
    if let Some((magic, format)) = table.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        // Words begin with some of them, as `ORCHIECTOMY`.
        let is_word = magic.len() < 5 && magic.iter().all(u8::is_ascii_alphanumeric) && text_of(bytes, false).is_some();
        return (!is_word).then_some(*format);
    }
    if at(0, b"PK\x03\x04") || at(0, b"PK\x05\x06") {
        return Some(in_zip(bytes));
    }
    if at(257, b"ustar") {
        return Some(Format::Tar);
    }
    if is_safetensors(bytes) {
        return Some(Format::Model("safetensors"));
    }
    if is_onnx(bytes) {
        return Some(Format::Model("onnx"));
    }
    let is_zlib = bytes.len() > 6 && bytes[0] == 0x78 && [0x01, 0x5e, 0x9c, 0xda].contains(&bytes[1]);
    // Text may begin with an x, but no text has the check bits right and a byte that no character begins with.
    (is_zlib && !bytes[1].is_ascii()).then_some(Format::Zlib).or_else(|| {
        (is_zlib && bytes[..bytes.len().min(64)].iter().any(|byte| !(9..=127).contains(byte))).then_some(Format::Zlib)
    })
}

/// What a zip archive is, by the names of its entries, which stand in its directory and before each.
fn in_zip(bytes: &[u8]) -> Format {
    let has = |name: &[u8]| find(bytes, name).is_some();
    if has(b"[Content_Types].xml") || has(b"mimetypeapplication/vnd.oasis.opendocument") {
        return if has(b"xl/") || has(b"opendocument.spreadsheet") { Format::Spreadsheet } else { Format::Document };
    }
    if has(b"/data.pkl") {
        return Format::Torch;
    }
    let first = bytes.get(30..).unwrap_or_default();
    let length = bytes.get(26..28).map_or(0, |length| usize::from(length[0]) | usize::from(length[1]) << 8);
    if first.get(..length).is_some_and(|name| name.ends_with(b".npy")) { Format::NumpyArchive } else { Format::Zip }
}

/// The first place of `wanted` in `bytes`.
pub(super) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|&byte| byte == first) {
        let at = from + at;
        if bytes[at..].starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// Eight bytes of length, then a JSON object.
fn is_safetensors(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else { return false };
    (2..100 << 20).contains(&u64::from_le_bytes(*length)) && rest.starts_with(b"{\"")
}

/// A protocol buffer that begins with the version and the producer of an ONNX model.
fn is_onnx(bytes: &[u8]) -> bool {
    matches!(bytes, [0x08, version, 0x12, length, rest @ ..]
        if *version < 32 && rest.get(..usize::from(*length)).is_some_and(|name| !name.is_empty() && name.is_ascii()))
        && find(&bytes[..bytes.len().min(HEAD)], b"\x3a").is_some()
}

/// The kind of a text.
fn of_text(text: &str, bytes: &[u8], whole: bool) -> Format {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    let lower: String = start.chars().take(1024).collect::<String>().to_ascii_lowercase();
    if lower.starts_with("<!doctype html")
        || lower.starts_with("<html")
        || lower.contains("<body") && lower.starts_with('<')
    {
        return Format::Html;
    }
    if lower.starts_with("<svg") || lower.starts_with("<?xml") && lower.contains("<svg") {
        return Format::Svg;
    }
    if lower.starts_with("<?xml") {
        return Format::Xml;
    }
    if lower.starts_with('<') && lower.contains("</") {
        return Format::Html;
    }
    // Pickles of protocol 0 are ASCII.
    if whole && pickle::is_ascii_pickle(bytes) {
        return Format::Pickle;
    }
    if start.starts_with(['{', '[']) {
        match json::form(text, whole) {
            json::JsonForm::Notebook => return Format::Notebook,
            json::JsonForm::One => return Format::Json,
            json::JsonForm::Lines => return Format::JsonLines,
            json::JsonForm::None => {}
        }
    } else if whole && json::is_scalar(start) {
        return Format::Json;
    }
    match table::delimiter(text) {
        Some(b'\t') => Format::Tsv,
        Some(_) => Format::Csv,
        None => Format::Text,
    }
}

/// The file as text, if it is one: UTF-8, UTF-16 with its mark, or an 8-bit code such as Latin-1.
pub(super) fn text_of(bytes: &[u8], whole: bool) -> Option<Cow<'_, str>> {
    if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        return utf16(rest, u16::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        return utf16(rest, u16::from_be_bytes);
    }
    let is_control = |byte: &&u8| **byte < 0x20 && !b"\t\n\r\x0c\x1b".contains(byte) || **byte == 0x7f;
    if bytes.iter().any(|byte| is_control(&byte)) {
        return None;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(Cow::Borrowed(text)),
        // The last character of what was read may be cut.
        Err(error) if !whole && error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok().map(Cow::Borrowed)
        }
        Err(_) => {
            let high = bytes.iter().filter(|&&byte| byte >= 0x80).count();
            let text: Option<String> = bytes.iter().map(|&byte| of_windows(byte)).collect();
            text.filter(|_| high * 5 <= bytes.len()).map(Cow::Owned)
        }
    }
}

/// The character of a byte in Windows-1252, which is Latin-1 with characters in the place of controls; of these, five are
/// none.
fn of_windows(byte: u8) -> Option<char> {
    const CHARACTERS: [char; 32] = [
        '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0', '‘', '’', '“', '”',
        '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..0xa0 => Some(CHARACTERS[usize::from(byte - 0x80)]).filter(|c| *c != '\0'),
        _ => Some(char::from(byte)),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<Cow<'static, str>> {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let text: String = char::decode_utf16(units).collect::<Result<_, _>>().ok()?;
    let is_text = !text.chars().any(|c| c.is_control() && !"\t\n\r".contains(c));
    is_text.then_some(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_types_by_content() {
        let mut dicom = vec![0; 128];
        dicom.extend(b"DICM\x02\0");
        for (bytes, format) in [
            (&b""[..], Format::Empty),
            (b"a,b\n1,2\n", Format::Csv),
            (b"a;b\n1,5;2\n", Format::Csv),
            (b"a\tb\n1\t2\n", Format::Tsv),
            (b"{\"a\": 1}", Format::Json),
            (b"{\"a\": NaN}", Format::Json),
            (b"0.93\n", Format::Json),
            (b"{\"a\": 1}\n{\"a\": 2}\n", Format::JsonLines),
            (b"{\"nbformat\": 4, \"cells\": []}", Format::Notebook),
            (b"accuracy was 0.9\n", Format::Text),
            (b"M\xfcller\n", Format::Text),
            (b"a;b\n40 \x96 50;2\n", Format::Csv),
            (b"CRAMER V,0.31\nPHI,0.22\n", Format::Csv),
            (b"ORCHIECTOMY,120\nNEPHRECTOMY,340\n", Format::Csv),
            (b"ORC\x08\x03\0", Format::Model("orc")),
            (b"CRAM\x03\0", Format::Medical("cram")),
            (b"\xff\xfea\0,\0b\0\n\0", Format::Text),
            (b"<html><body>", Format::Html),
            (b"<svg>", Format::Svg),
            (b"\x80\x04K\x05.", Format::Pickle),
            (b"I5\n.", Format::Pickle),
            (b"@r1\nACGT\n+\nIIII\n", Format::Medical("fastq")),
            (b"##fileformat=VCFv4.2\n", Format::Medical("vcf")),
            (b"MSH|^~\\&|", Format::Medical("hl7")),
            (&dicom, Format::Medical("dicom")),
            (b"PK\x03\x04", Format::Zip),
            (b"\x1f\x8b\x08", Format::Gzip),
            (b"\x78\x9c\x03\0\0\0\0\x01", Format::Zlib),
            (b"\x01\x02\x03\x04", Format::Unknown),
        ] {
            assert_eq!(detect(bytes, true), format, "{bytes:?}");
        }
    }

    #[test]
    fn names_must_not_promise_another_type() {
        for (name, format, disagrees) in [
            ("a.csv", Format::Csv, false),
            ("a.csv", Format::Text, false),
            ("a.csv", Format::Pickle, true),
            ("a.json", Format::Text, true),
            ("a.png", Format::Jpeg, true),
            ("a.jpeg", Format::Jpeg, false),
            ("a.txt", Format::Json, false),
            ("a.txt", Format::Zip, true),
            ("a", Format::Csv, false),
            ("a.csv", Format::Png, true),
            ("a.bin", Format::Png, true),
            ("a.pkl", Format::Pickle, false),
        ] {
            assert_eq!(name_disagrees(name.as_bytes(), format), disagrees, "{name}");
        }
    }
}
