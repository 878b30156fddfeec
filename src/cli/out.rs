//! What commands print. Who reads it may have seen enough, as `head` has: then the rest is for nobody, and the command does
//! all the same what it was asked for.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether something could not be printed for another reason.
static FAILED: AtomicBool = AtomicBool::new(false);

/// `println!` and `print!` of all commands.
pub fn print(words: Arguments<'_>, end: &str) {
    let mut out = io::stdout().lock();
    match out.write_fmt(words).and_then(|()| out.write_all(end.as_bytes())) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe && !FAILED.swap(true, Ordering::Relaxed) => {
            tell(format_args!("error: this cannot be printed: {error}"));
        }
        _ => {}
    }
}

/// `eprintln!` of all commands. Where it cannot be told, there is nobody to tell.
pub fn tell(words: Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{words}");
}

/// Whether all could be printed, as far as somebody read it.
pub fn is_whole() -> bool {
    let flushed = io::stdout().lock().flush();
    flushed.err().is_none_or(|error| error.kind() == ErrorKind::BrokenPipe) && !FAILED.load(Ordering::Relaxed)
}
