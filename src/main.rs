//! The program `pht-oci`.

fn main() {}
