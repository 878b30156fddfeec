//! Reads what Handlebars would write.

use handlebars::{Context, Handlebars, RenderContext, RenderError, Renderable, Template};

use super::draft::Draft;

/// What a block holds, not escaped: an address that is to be looked at before it is written.
pub(super) fn unescaped<'reg: 'rc, 'rc>(
    inner: &'rc Template,
    r: &'reg Handlebars<'reg>,
    ctx: &'rc Context,
    rc: &mut RenderContext<'reg, 'rc>,
) -> Result<String, RenderError> {
    let mut text = Draft::default();
    let escapes = !rc.is_disable_escape();
    rc.set_disable_escape(true);
    let done = inner.render(r, ctx, rc, &mut text);
    rc.set_disable_escape(!escapes);
    done.map(|()| text.text().to_owned())
}
