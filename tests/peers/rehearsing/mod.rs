//! `try`: what it predicts is what the stations then see.

mod predicted;
mod shown;
