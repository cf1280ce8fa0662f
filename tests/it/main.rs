//! What needs nothing but this package: every command, on trains and images that are made here. Python and OpenSSL
//! judge the outcome where a second reader or a second implementation has to; without them such tests are left out.

// What tests need is there, or the test fails; what modules show to each other is `pub` for short; tables say much at once.
#![allow(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::unwrap_used, unreachable_pub)]
#![allow(clippy::too_many_arguments)]

mod architecture;
mod building;
mod centre;
mod copying;
mod creator;
mod extracting;
mod formats;
mod helping;
mod hostile;
mod leaks;
mod messages;
mod mistakes;
mod mutation;
mod rebasing;
mod refusals;
mod reports;
mod secrets;
mod signing;
mod support_readers;
mod thin;
mod topics;
mod transports;
mod trusting;
mod validating;
mod variants;
mod vectors;
mod verifying;
mod wire3;

#[test]
fn no_file_is_forgotten() {
    support::modules::check("tests/it");
}
