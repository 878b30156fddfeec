//! A mail's HTML for a frame: it looks as it will, and does nothing.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lol_html::{RewriteStrSettings, element, rewrite_str};
use mail_parser::{Message, MessageParser, MimeHeaders as _};

use crate::render::Explained;

/// Mail brings its own styles and pictures, and nothing that acts.
pub(super) const POLICY: &str = "sandbox; default-src 'none'; img-src https: http: data:; style-src 'unsafe-inline'; \
                                 form-action 'none'; frame-ancestors 'self'; base-uri 'none'";

/// The HTML as the message carries it, with linked pictures in place. Links open nowhere: they ask for a new window,
/// which the frame must not open. The pixel is left out, so that looking at a mail asks nothing of the tracker.
/// Pictures that are linked come from `linked`, by their address, as no service has them yet.
pub(super) fn harmless(mail: &Explained, base_url: &str, linked: &BTreeMap<String, String>) -> String {
    let parsed = MessageParser::new().parse(&mail.message.bytes).unwrap_or_default();
    let html = parsed.body_html(0).unwrap_or_default();
    let pixel = format!("{base_url}/o/");
    let handlers = [
        element!("script, base, meta[http-equiv=refresh i]", |el| {
            el.remove();
            Ok(())
        }),
        element!("a, area, form", |el| {
            el.set_attribute("target", "_blank")?;
            Ok(())
        }),
        element!("img[src], [background]", |el| {
            for name in ["src", "background"] {
                let Some(target) = el.get_attribute(name) else { continue };
                if target.starts_with(&pixel) {
                    el.remove();
                } else if let Some(picture) = target.strip_prefix("cid:").and_then(|id| picture(&parsed, id)) {
                    el.set_attribute(name, &picture)?;
                } else if let Some(picture) = linked.get(&target) {
                    el.set_attribute(name, picture)?;
                }
            }
            Ok(())
        }),
    ];
    let settings =
        handlers.into_iter().fold(RewriteStrSettings::new(), RewriteStrSettings::append_element_content_handler);
    rewrite_str(&html, settings.with_strict(false))
        .unwrap_or_else(|error| format!("<p>This mail cannot be shown as HTML: {error}</p>"))
}

/// The part with this Content-ID (RFC 2392), as a data URL.
fn picture(message: &Message<'_>, id: &str) -> Option<String> {
    let part = message.attachments().find(|part| part.content_id() == Some(id))?;
    let kind = part.content_type()?;
    let subtype = kind.subtype().unwrap_or("octet-stream");
    Some(data_url(&format!("{}/{subtype}", kind.ctype()), part.contents()))
}

/// A picture as an address that brings it along (RFC 2397).
pub(super) fn data_url(media: &str, octets: &[u8]) -> String {
    format!("data:{media};base64,{}", STANDARD.encode(octets))
}
