//! Images on their way through skopeo.

mod transports;
mod verifying;
mod wire3;
