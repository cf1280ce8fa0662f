//! The stack machine without objects: of what is on its stack only texts and names of classes are known, which is enough
//! to tell every import. Joblib writes the bytes of arrays between the opcodes; they are skipped by shape and type.

use std::collections::BTreeMap;

/// The objects that the stack may have. More takes a tuple of as many members, which no model is.
pub(super) const MAX_STACK: usize = 1 << 20;
/// The objects that are remembered; a name that is made of a forgotten one counts as computed.
const MAX_MEMO: usize = 1 << 21;
/// The different names of imports that are kept.
pub(super) const MAX_IMPORTS: usize = 1000;
/// The longest name of an import in a report.
const MAX_NAME: usize = 200;

/// What is said of a pickle that ends too early.
const CUT: &str = "cut off";

/// What is known of a pickle.
#[derive(Debug, Default)]
pub(in crate::review) struct PickleFacts {
    /// What it imports, as `module.name`, and how often.
    pub(in crate::review) imports: BTreeMap<String, u64>,
    /// Bytes in buffers: of arrays mostly.
    pub(in crate::review) buffers: u64,
    /// Numbers outside of buffers.
    pub(in crate::review) numbers: u64,
    /// It refers to objects outside of it.
    pub(in crate::review) has_persistent_ids: bool,
    /// Why it could not be read to its end.
    pub(in crate::review) fault: Option<&'static str>,
}

/// What is known of an object on the stack.
#[derive(Clone, Copy)]
enum Symbol {
    Mark,
    /// A text, at this place.
    Text(u32, u32),
    /// The type of numbers in arrays, by its name.
    DtypeClass,
    /// A type of numbers: bytes of one, none for objects.
    Dtype(u32),
    Other,
}

/// Reads one pickle.
pub(super) struct Machine<'a, 'f> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Symbol>,
    memo: Vec<Symbol>,
    facts: &'f mut PickleFacts,
    text: &'f mut dyn FnMut(&str),
    array: Array,
}

/// What has been seen of the array that joblib is about to write.
#[derive(Default)]
struct Array {
    /// The numbers that follow `shape`, while they are collected.
    dimensions: Option<Vec<u64>>,
    shape: Vec<u64>,
    item: Option<u32>,
    /// The members of joblib's wrapper have been seen: its array comes next.
    pending: bool,
    aligned: bool,
}

impl<'a, 'f> Machine<'a, 'f> {
    /// A machine for the pickle at this place in a file. What is learnt is added to `facts`; every text in it goes to `text`.
    pub(super) fn new(bytes: &'a [u8], at: usize, facts: &'f mut PickleFacts, text: &'f mut dyn FnMut(&str)) -> Self {
        Machine { bytes, at, stack: Vec::new(), memo: Vec::new(), facts, text, array: Array::default() }
    }

    /// Reads the pickle to its end; the place behind it.
    ///
    /// # Errors
    /// Why it could not be read to its end.
    pub(super) fn run(mut self) -> Result<usize, &'static str> {
        self.run_below(0)?;
        Ok(self.at)
    }

    /// The same, where it lies in `depth` others.
    fn run_below(&mut self, depth: usize) -> Result<(), &'static str> {
        loop {
            let opcode = self.take(1)?[0];
            if opcode == b'.' {
                return Ok(());
            }
            if self.stack.len() > MAX_STACK {
                return Err("more objects at once than are followed");
            }
            self.step(opcode, depth)?;
        }
    }

    fn step(&mut self, opcode: u8, depth: usize) -> Result<(), &'static str> {
        match opcode {
            // Arguments without meaning here: protocol and frame.
            0x80 => self.take(1).map(drop),
            0x95 => self.take(8).map(drop),
            b'(' => self.push(Symbol::Mark),
            b'N' | 0x88 | 0x89 | b'}' | b']' | 0x8f => self.push(Symbol::Other),
            b')' => {
                self.end_of_shape();
                self.push(Symbol::Other)
            }
            b'J' | b'K' | b'M' | b'I' | b'L' | 0x8a | 0x8b | b'F' | b'G' => self.number(opcode),
            b'S' | b'V' | b'T' | b'U' | b'X' | 0x8c | 0x8d => self.string(opcode),
            b'B' | b'C' | 0x8e | 0x96 => {
                let length = self.length(opcode)?;
                self.take(length)?;
                self.facts.buffers += length as u64;
                self.push(Symbol::Other)
            }
            0x97 => self.push(Symbol::Other),
            0x98 => Ok(()),
            b'c' | b'i' | 0x93 => self.import(opcode),
            b'P' => {
                self.line()?;
                self.facts.has_persistent_ids = true;
                self.push(Symbol::Other)
            }
            b'Q' => {
                self.facts.has_persistent_ids = true;
                self.pop_push(1)
            }
            0x82..=0x84 => {
                self.take(1 << (opcode - 0x82))?;
                self.note_import("(an extension code)".to_owned());
                self.push(Symbol::Other)
            }
            b'p' | b'q' | b'r' | 0x94 | b'g' | b'h' | b'j' => self.memo(opcode),
            b'b' => self.build(depth),
            _ => self.rearrange(opcode),
        }
    }

    /// What moves objects on the stack.
    fn rearrange(&mut self, opcode: u8) -> Result<(), &'static str> {
        match opcode {
            b'0' | b'a' => self.pop(1),
            b's' => self.pop(2),
            b'1' | b'e' | b'u' | 0x90 => self.pop_mark(),
            b'2' => {
                let top = self.top();
                self.push(top)
            }
            b't' | b'l' | b'd' | b'o' | 0x91 => {
                self.end_of_shape();
                self.pop_mark()?;
                self.push(Symbol::Other)
            }
            0x85..=0x87 => {
                self.end_of_shape();
                self.pop_push(usize::from(opcode - 0x84))
            }
            b'R' => {
                let callable = self.stack.len().checked_sub(2).and_then(|at| self.stack.get(at)).copied();
                self.pop(2)?;
                match (callable, self.array.item) {
                    (Some(Symbol::DtypeClass), Some(item)) => self.push(Symbol::Dtype(item)),
                    _ => self.push(Symbol::Other),
                }
            }
            0x81 => self.pop_push(2),
            0x92 => self.pop_push(3),
            _ => Err("an opcode that no version of Python knows"),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let end = self.at.checked_add(length).ok_or(CUT)?;
        let taken = self.bytes.get(self.at..end).ok_or(CUT)?;
        self.at = end;
        Ok(taken)
    }

    fn line(&mut self) -> Result<&'a [u8], &'static str> {
        let rest = self.bytes.get(self.at..).ok_or(CUT)?;
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or(CUT)?;
        self.take(length + 1).map(|line| &line[..length])
    }

    /// A little-endian number of so many bytes.
    fn little(&mut self, bytes: usize) -> Result<u64, &'static str> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// The length that precedes the argument of an opcode.
    fn length(&mut self, opcode: u8) -> Result<usize, &'static str> {
        let bytes = match opcode {
            b'C' | b'U' | 0x8c | 0x8a => 1,
            b'B' | b'T' | b'X' | 0x8b => 4,
            _ => 8,
        };
        usize::try_from(self.little(bytes)?).map_err(|_| CUT)
    }

    fn push(&mut self, symbol: Symbol) -> Result<(), &'static str> {
        self.stack.push(symbol);
        Ok(())
    }

    fn top(&self) -> Symbol {
        self.stack.last().copied().unwrap_or(Symbol::Other)
    }

    fn pop(&mut self, count: usize) -> Result<(), &'static str> {
        let left = self.stack.len().checked_sub(count).ok_or("more taken from its stack than is there")?;
        self.stack.truncate(left);
        Ok(())
    }

    fn pop_push(&mut self, count: usize) -> Result<(), &'static str> {
        self.pop(count)?;
        self.push(Symbol::Other)
    }

    fn pop_mark(&mut self) -> Result<(), &'static str> {
        let mark = self.stack.iter().rposition(|symbol| matches!(symbol, Symbol::Mark));
        self.stack.truncate(mark.ok_or("a mark that is not there")?);
        Ok(())
    }

    fn number(&mut self, opcode: u8) -> Result<(), &'static str> {
        let value = match opcode {
            b'J' => Some(self.little(4)?),
            b'K' => Some(self.little(1)?),
            b'M' => Some(self.little(2)?),
            b'I' | b'L' => {
                let digits = std::str::from_utf8(self.line()?).map_err(|_| "a number that is none")?;
                digits.trim_end_matches('L').trim().parse().ok()
            }
            0x8a | 0x8b => {
                let length = self.length(opcode)?;
                let digits = self.take(length)?;
                (length <= 8).then(|| digits.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
            }
            b'G' => self.take(8).map(|_| None)?,
            _ => self.line().map(|_| None)?,
        };
        self.facts.numbers += 1;
        if let (Some(dimensions), Some(value)) = (&mut self.array.dimensions, value)
            && dimensions.len() < 64
        {
            dimensions.push(value);
        }
        self.push(Symbol::Other)
    }

    fn string(&mut self, opcode: u8) -> Result<(), &'static str> {
        let from = self.at;
        let (start, length) = match opcode {
            b'V' => (from, self.line()?.len()),
            b'S' => {
                // In quotes.
                let line = self.line()?;
                (from + 1, line.trim_ascii_end().len().saturating_sub(2))
            }
            _ => {
                let length = self.length(opcode)?;
                let start = self.at;
                self.take(length)?;
                (start, length)
            }
        };
        let text = self.bytes.get(start..start + length).unwrap_or_default();
        self.seen(text);
        (self.text)(&String::from_utf8_lossy(text));
        match (u32::try_from(start), u32::try_from(length)) {
            (Ok(start), Ok(length)) => self.push(Symbol::Text(start, length)),
            _ => self.push(Symbol::Other),
        }
    }

    /// What a text says of the array to come.
    fn seen(&mut self, text: &[u8]) {
        match text {
            b"shape" => self.array.dimensions = Some(Vec::new()),
            b"allow_mmap" => (self.array.pending, self.array.aligned) = (true, false),
            b"numpy_array_alignment_bytes" => self.array.aligned = true,
            [kind, size @ ..] if b"fiubcSUVOmM".contains(kind) => {
                let size = std::str::from_utf8(size).ok().and_then(|size| size.parse().ok());
                self.array.item = size
                    .map(|size: u32| match kind {
                        b'O' => 0,
                        b'U' => size.saturating_mul(4),
                        _ => size,
                    })
                    .or(self.array.item);
            }
            _ => {}
        }
    }

    /// A tuple ends: if it was that of a shape, the shape is known.
    fn end_of_shape(&mut self) {
        if let Some(dimensions) = self.array.dimensions.take() {
            self.array.shape = dimensions;
        }
    }

    fn import(&mut self, opcode: u8) -> Result<(), &'static str> {
        let name = if opcode == 0x93 {
            let texts = self.stack.len().checked_sub(2).map(|from| [self.stack[from], self.stack[from + 1]]);
            self.pop(2)?;
            match texts {
                Some([Symbol::Text(..), Symbol::Text(..)]) => {
                    let [module, name] = texts.unwrap_or([Symbol::Other; 2]).map(|symbol| self.shown(symbol));
                    format!("{module}.{name}")
                }
                _ => "(a computed name)".to_owned(),
            }
        } else {
            let (module, name) = (self.line()?, self.line()?);
            format!("{}.{}", String::from_utf8_lossy(module), String::from_utf8_lossy(name))
        };
        if opcode == b'i' {
            self.pop_mark()?;
        }
        let is_dtype = name == "numpy.dtype" || name.starts_with("numpy.dtypes.");
        self.note_import(name);
        self.push(if is_dtype { Symbol::DtypeClass } else { Symbol::Other })
    }

    fn shown(&self, symbol: Symbol) -> String {
        match symbol {
            Symbol::Text(start, length) => {
                let range = start as usize..(start as usize + length as usize).min(self.bytes.len());
                String::from_utf8_lossy(self.bytes.get(range).unwrap_or_default()).into_owned()
            }
            _ => String::new(),
        }
    }

    fn note_import(&mut self, mut name: String) {
        if name.len() > MAX_NAME {
            name = "(a name that is too long)".to_owned();
        }
        if self.facts.imports.len() < MAX_IMPORTS || self.facts.imports.contains_key(&name) {
            *self.facts.imports.entry(name).or_default() += 1;
        } else {
            *self.facts.imports.entry("(more names)".to_owned()).or_default() += 1;
        }
    }

    fn memo(&mut self, opcode: u8) -> Result<(), &'static str> {
        let index = match opcode {
            b'p' | b'g' => {
                let digits = std::str::from_utf8(self.line()?).ok().and_then(|digits| digits.trim().parse().ok());
                digits.ok_or("a reference to no object")?
            }
            b'q' | b'h' => self.little(1)?,
            b'r' | b'j' => self.little(4)?,
            _ => self.memo.len() as u64,
        };
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        if matches!(opcode, b'g' | b'h' | b'j') {
            let symbol = self.memo.get(index).copied().unwrap_or(Symbol::Other);
            match symbol {
                Symbol::Text(start, length) => {
                    let range = start as usize..start as usize + length as usize;
                    self.seen(self.bytes.get(range).unwrap_or_default());
                }
                Symbol::Dtype(item) => self.array.item = Some(item),
                _ => {}
            }
            return self.push(symbol);
        }
        if index < MAX_MEMO {
            if index >= self.memo.len() {
                self.memo.resize(index + 1, Symbol::Other);
            }
            self.memo[index] = self.top();
        }
        Ok(())
    }

    /// The state of an object; after that of joblib's wrapper comes the array itself.
    fn build(&mut self, depth: usize) -> Result<(), &'static str> {
        self.pop(1)?;
        // The state of a type with fields names the types of these; what counts is the size of the whole.
        if let Symbol::Dtype(item) = self.top() {
            self.array.item = Some(item);
            return Ok(());
        }
        if !std::mem::take(&mut self.array.pending) {
            return Ok(());
        }
        let item = self.array.item.ok_or("an array of a type that is not known")?;
        if item == 0 {
            // Objects are a pickle of their own.
            if depth > 8 {
                return Err("nested too deeply");
            }
            let mut inner = Machine::new(self.bytes, self.at, self.facts, self.text);
            inner.run_below(depth + 1)?;
            self.at = inner.at;
            return Ok(());
        }
        let bytes = self.array.shape.iter().try_fold(u64::from(item), |bytes, dimension| bytes.checked_mul(*dimension));
        let bytes = usize::try_from(bytes.ok_or(CUT)?).map_err(|_| CUT)?;
        if self.array.aligned {
            let padding = self.little(1)?;
            self.take(usize::try_from(padding).map_err(|_| CUT)?)?;
        }
        self.take(bytes)?;
        self.facts.buffers += bytes as u64;
        Ok(())
    }
}
