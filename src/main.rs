//! The command `colloquy`.

use std::process::ExitCode;

/// A mail is written in many small pieces, and SQLite asks for memory at every statement: a tenth less of processor time
/// a message than with glibc's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    colloquy::cli::main()
}
