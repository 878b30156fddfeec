//! The command `colloquy`.

use std::process::ExitCode;

/// A mail is written in many small pieces: they cost less here than from glibc.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    colloquy::cli::main()
}
