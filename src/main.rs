//! Parses arguments and turns a result into an exit code; everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    hedgerow::cli::run(std::env::args_os(), &hedgerow::cli::Program)
}
