//! The program: everything is in the library.

use std::process::ExitCode;

/// Measured on the check path: 16 to 25 percent more requests than with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    countersign::cli::run()
}
