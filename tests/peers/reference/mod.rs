//! The reference implementation, in its three versions, and the program carry one another's trains.

mod interop;
mod rebasing;
mod variants;
mod vectors;
