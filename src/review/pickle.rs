//! Pickles, read opcode by opcode and never run: what they import, and how much data they carry.
//!
//! A pickle is a program for a stack machine (Python, `Lib/pickletools.py`), and [`machine`] is one without objects. Here
//! pickles are told from other files, and those in one file are read one after the other.

mod machine;

use machine::Machine;
pub(super) use machine::PickleFacts;

/// The pickles that may follow one another in a file.
const MAX_PICKLES: usize = 10_000;

/// How a file begins that PyTorch wrote before it had archives: the pickle of a number that nobody else writes.
const OLD_TORCH: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
/// The pickles there, behind which are the numbers of tensors to the end of the file.
const OLD_TORCH_PICKLES: usize = 5;

/// True if a file that is no text begins as a pickle of protocol 2 or later.
pub(super) fn begins(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, opcode, ..] if *opcode == 0x95 || is_opcode(*opcode))
}

fn is_opcode(byte: u8) -> bool {
    byte.is_ascii_graphic() || (0x81..=0x98).contains(&byte)
}

/// True if a file that is no text is a pickle without a mark of its protocol, from its first byte to its last.
pub(super) fn is_unmarked_pickle(bytes: &[u8]) -> bool {
    bytes.last() == Some(&b'.')
        && bytes.first().is_some_and(|first| is_opcode(*first))
        && read(bytes, &mut |_| {}).fault.is_none()
}

/// True if a text is a pickle of protocol 0, from its first character to its last.
pub(super) fn is_ascii_pickle(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii_end();
    let may_begin = bytes.first().is_some_and(|first| b"(cIFSVLN]}".contains(first));
    if !may_begin || bytes.len() < 3 || bytes.last() != Some(&b'.') {
        return false;
    }
    read(bytes, &mut |_| {}).fault.is_none()
}

/// Reads the pickles in `bytes`, one after the other; `text` is called with every text in them.
pub(super) fn read(bytes: &[u8], text: &mut dyn FnMut(&str)) -> PickleFacts {
    let mut facts = PickleFacts::default();
    let mut at = 0;
    let before_tensors = bytes.starts_with(OLD_TORCH).then_some(OLD_TORCH_PICKLES);
    for read in 0..MAX_PICKLES {
        if Some(read) == before_tensors {
            facts.buffers += (bytes.len() - at) as u64;
            return facts;
        }
        match Machine::new(bytes, at, &mut facts, text).run() {
            Ok(end) => at = end,
            Err(fault) => {
                facts.fault = Some(fault);
                return facts;
            }
        }
        if at >= bytes.len() || bytes[at..].trim_ascii().is_empty() {
            return facts;
        }
    }
    facts.fault = Some("more pickles in a row than are read");
    facts
}

/// For the fuzzer: reads any bytes.
#[cfg(fuzzing)]
pub(super) fn fuzz(bytes: &[u8]) {
    let mut texts = 0_usize;
    let facts = read(bytes, &mut |text| texts += text.len());
    assert!(facts.imports.len() <= machine::MAX_IMPORTS + 1 && facts.buffers <= 2 * bytes.len() as u64);
    let _ = (begins(bytes), is_ascii_pickle(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(bytes: &[u8]) -> Vec<String> {
        read(bytes, &mut |_| {}).imports.into_keys().collect()
    }

    #[test]
    fn tells_every_way_to_import() {
        for (bytes, expected) in [
            (&b"cos\nsystem\n(S'id'\ntR."[..], "os.system"),
            (b"(S'id'\nios\nsystem\n.", "os.system"),
            (b"\x80\x04\x8c\x02os\x8c\x06system\x93)R.", "os.system"),
            // By the memo, and by a copy on the stack.
            (b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93.", "os.system"),
            (b"\x80\x04\x8c\x02os2\x93.", "os.os"),
            (b"\x80\x04NN\x93.", "(a computed name)"),
            (b"\x80\x02\x82\x01.", "(an extension code)"),
        ] {
            assert_eq!(names(bytes), [expected], "{bytes:?}");
        }
    }

    #[test]
    fn tells_what_it_cannot_read() {
        for bytes in [
            &b"\x80\x04"[..],
            b"\x80\x04X\xff\xff\xff\xff",
            b"\x80\x04\xff.",
            b"\x80\x04R.",
            b"\x80\x04t.",
            b"\x80\x04N.garbage",
            b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff.",
            b"I1",
        ] {
            assert!(read(bytes, &mut |_| {}).fault.is_some(), "{bytes:?}");
        }
    }

    #[test]
    fn counts_what_it_carries() {
        let mut texts = Vec::new();
        let facts = read(b"\x80\x04}\x8c\x01nK\x05sC\x03abcQ.", &mut |text| texts.push(text.to_owned()));
        assert_eq!((facts.numbers, facts.buffers, facts.has_persistent_ids, facts.fault), (1, 3, true, None));
        assert_eq!(texts, ["n"]);
    }

    #[test]
    fn a_deep_stack_is_refused_and_a_large_memo_forgotten() {
        let mut deep = vec![b'N'; machine::MAX_STACK + 10];
        deep.push(b'.');
        assert!(read(&deep, &mut |_| {}).fault.is_some());
        assert_eq!(
            names(b"\x80\x04\x8c\x02osr\xff\xff\xff\x7fj\xff\xff\xff\x7f\x8c\x06system\x93."),
            ["(a computed name)"]
        );
    }

    #[test]
    fn text_is_no_pickle_by_chance() {
        assert!(is_ascii_pickle(b"(lp0\nI1\naI2\na.\n") && is_ascii_pickle(b"I5\n."));
        for text in [&b"In all, 5 patients.\n"[..], b"N = 5.", b"(a) b.", b"Variance.", b".", b"F1 score was good."] {
            assert!(!is_ascii_pickle(text), "{text:?}");
        }
    }
}
