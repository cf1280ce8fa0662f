//! The order in which a feed takes its files, and that its caller keeps to it.

use crate::error::{Error, Result};

/// The files that a feed takes, in order, and how many of them have begun.
#[derive(Debug)]
pub(crate) struct Turns {
    order: Vec<usize>,
    begun: usize,
}

impl Turns {
    pub(crate) fn new(order: Vec<usize>) -> Self {
        Turns { order, begun: 0 }
    }

    pub(crate) fn order(&self) -> &[usize] {
        &self.order
    }

    /// The file begins whose turn it must be.
    pub(crate) fn begin(&mut self, file: usize) -> Result<()> {
        match self.order.get(self.begun) {
            Some(&next) if next == file => {
                self.begun += 1;
                Ok(())
            }
            _ => Err(Error::internal(format!("file {file} was hashed out of order"))),
        }
    }

    /// Every file must have begun. One that was left out would only show as a wrong hash, which looks like an attack.
    pub(crate) fn finish(&self) -> Result<()> {
        match self.order.get(self.begun) {
            None => Ok(()),
            Some(next) => Err(Error::internal(format!("file {next} was not hashed"))),
        }
    }
}
