//! The command `colloquy`.

fn main() {}
