//! What needs nothing but this package: every command, on trains and images that are made here. Python and OpenSSL
//! judge the outcome where a second reader or a second implementation has to; without them such tests are left out.

// What tests need is there, or the test fails; what modules show to each other is `pub` for short; tables say much at once.
#![allow(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::unwrap_used, unreachable_pub)]
#![allow(clippy::too_many_arguments)]

mod architecture;
mod base_memory;
mod building;
mod centre;
mod copying;
mod creator;
mod doctor;
mod every_byte;
mod extracting;
mod formats;
mod forms;
mod helping;
mod hostile;
mod inspecting;
mod journal;
mod journey;
mod leaks;
mod listing;
mod messages;
mod metrics;
mod min_wire;
mod mistakes;
mod mutation;
mod pinning;
mod places;
mod rebasing;
mod refusals;
mod registry;
mod reports;
mod review;
mod secrets;
mod settings;
mod signing;
mod statuses;
mod strangers;
mod support_readers;
mod thin;
mod topics;
mod transports;
mod trusting;
mod trying;
mod validating;
mod variants;
mod vectors;
mod verifying;
mod what_runs;
mod wire3;
mod wording;

#[test]
fn no_file_is_forgotten() {
    support::modules::check("tests/it");
}
