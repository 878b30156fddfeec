//! Lets Handlebars write into a string: one that is used again for the next message, or one of its own.

use handlebars::{Context, Handlebars, Output, RenderContext, RenderError, Renderable, Template};

/// Appends to a string.
pub(super) struct Sink<'a>(pub &'a mut String);

impl Output for Sink<'_> {
    fn write(&mut self, text: &str) -> std::io::Result<()> {
        self.0.push_str(text);
        Ok(())
    }
}

/// What a block holds, not escaped: an address that is to be looked at before it is written.
pub(super) fn unescaped<'reg: 'rc, 'rc>(
    inner: &'rc Template,
    r: &'reg Handlebars<'reg>,
    ctx: &'rc Context,
    rc: &mut RenderContext<'reg, 'rc>,
) -> Result<String, RenderError> {
    let mut text = String::new();
    let escapes = !rc.is_disable_escape();
    rc.set_disable_escape(true);
    let done = inner.render(r, ctx, rc, &mut Sink(&mut text));
    rc.set_disable_escape(!escapes);
    done.map(|()| text)
}
