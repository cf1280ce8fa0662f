//! What needs other programs, root or minutes: engines, registries, the readers and writers of images, the reference
//! implementation, a release, small disks and large files. `scripts/test.sh` installs what is missing; a test whose peer is
//! not here is left out, and with `CI=true` it fails.

// What tests need is there, or the test fails; what modules show to each other is `pub` for short; tables say much at once.
#![allow(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::unwrap_used, unreachable_pub)]
#![allow(clippy::too_many_arguments)]

mod crashes;
mod differential;
mod engines;
mod filesystems;
mod formats;
mod journal;
mod json;
mod limits;
mod manual;
mod overlay;
mod pages;
mod pipelines;
mod python;
mod readme;
mod reference;
mod registry;
mod rehearsing;
mod release;
mod running;
mod second_implementation;
mod skopeo;
mod strangers;
mod thin;
mod writers;

#[test]
fn no_file_is_forgotten() {
    support::modules::check("tests/peers");
}
