//! The program `pht-oci`: parse, run, map the error to an exit status.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    pht_oci::cli::main(std::env::args_os())
}
