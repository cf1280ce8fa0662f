use std::io::{self, Write};

use crate::stage::run::Onlooker;

/// What programs say where there is no network, in lower case: the C library's words, and those of what trains use.
const NO_NETWORK: [&[u8]; 9] = [
    b"temporary failure in name resolution",
    b"name or service not known",
    b"no address associated with hostname",
    b"network is unreachable",
    b"could not resolve host",
    b"unable to resolve host",
    b"bad address '",
    b"failed to establish a new connection",
    b"cannot open url",
];
/// The bytes of what came before that may be the beginning of such words.
const KEPT: usize = 64;

/// Hands the output of a train on, and hears whether it misses a network.
pub(super) struct Listener<'a> {
    show: &'a mut dyn Onlooker,
    before: Vec<u8>,
    has_heard: bool,
}

impl<'a> Listener<'a> {
    pub(super) fn new(show: &'a mut dyn Onlooker) -> Self {
        Listener { show, before: Vec::new(), has_heard: false }
    }

    pub(super) fn wanted_network(&self) -> bool {
        self.has_heard
    }
}

impl Write for Listener<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.has_heard {
            self.before.extend(bytes.iter().map(u8::to_ascii_lowercase));
            let said = |words: &&[u8]| self.before.windows(words.len()).any(|window| window == *words);
            self.has_heard = NO_NETWORK.iter().any(said);
            self.before.drain(..self.before.len().saturating_sub(KEPT));
        }
        self.show.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.show.flush()
    }
}

impl Onlooker for Listener<'_> {
    fn tell(&mut self, text: &str) {
        self.show.tell(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_missed_however_the_words_come() {
        let hears = |writes: &[&str]| {
            let mut shown = io::sink();
            let mut listener = Listener::new(&mut shown);
            writes.iter().for_each(|text| listener.write_all(text.as_bytes()).unwrap());
            listener.wanted_network()
        };
        assert!(hears(&["curl: (6) Could not resolve host: example.org\n"]));
        assert!(hears(&["socket.gaierror: [Errno -3] Temporary fail", "ure in name res", "olution\n"]));
        assert!(!hears(&["the network of neurons is unreachable\n", "Could not resolve", "\n the host\n"]));
    }
}
