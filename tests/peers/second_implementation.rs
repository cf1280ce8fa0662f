//! The second implementation of wire 3 meets the same attacks as the program (`tests/it/wire3`): what one of the two lets
//! pass, the page does not say clearly.

use support::peers::cryptography;
use support::wire3::every_attack;

#[test]
fn it_refuses_every_attack() {
    let Some(python) = cryptography("second_implementation") else { return };
    every_attack(&python, None);
}
