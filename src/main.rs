//! The program: everything is in the library.

use std::process::ExitCode;

/// Measured on the check path: 9 to 26 percent more requests than with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    countersign::cli::run()
}
