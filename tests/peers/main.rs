//! What needs other programs, root or minutes: engines, registries, the readers and writers of images, the reference
//! implementation, a release, small disks and large files. `scripts/test.sh` installs what is missing; a test whose peer is
//! not here is left out, and with `CI=true` it fails.

// What tests need is there, or the test fails; and what modules show to each other is `pub` for short.
#![allow(clippy::expect_used, clippy::panic, clippy::too_many_arguments, clippy::unwrap_used, unreachable_pub)]

mod crashes;
mod engines;
mod formats;
mod json;
mod limits;
mod manual;
mod overlay;
mod pipelines;
mod readme;
mod reference;
mod registry;
mod release;
mod running;
mod skopeo;

#[test]
fn no_file_is_forgotten() {
    support::modules::check("tests/peers");
}
