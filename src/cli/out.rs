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

/// An error and its causes, without those whose words were said before.
pub fn told(error: &anyhow::Error) -> String {
    let mut told = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

/// Whether all could be printed, as far as somebody read it.
pub fn is_whole() -> bool {
    let flushed = io::stdout().lock().flush();
    flushed.err().is_none_or(|error| error.kind() == ErrorKind::BrokenPipe) && !FAILED.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_was_said_is_not_said_again() {
        let refused = || anyhow::Error::from(io::Error::other("refused"));
        assert_eq!(told(&refused().context("no answer: refused")), "no answer: refused");
        assert_eq!(told(&refused().context("no answer")), "no answer: refused");
    }
}
