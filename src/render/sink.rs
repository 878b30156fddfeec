//! Lets Handlebars write into a string that is used again for the next message.

use handlebars::Output;

/// Appends to a string.
pub(super) struct Sink<'a>(pub &'a mut String);

impl Output for Sink<'_> {
    fn write(&mut self, text: &str) -> std::io::Result<()> {
        self.0.push_str(text);
        Ok(())
    }
}
