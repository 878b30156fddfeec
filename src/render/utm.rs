//! The parameters that a campaign appends to its links.

use std::borrow::Cow;

use handlebars::{Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext};

use super::target::{fit, scheme, unescaped, with_parameters};
use crate::domain::campaign::Utm;

/// Appends them.
#[derive(Clone)]
pub(super) struct Tagger {
    utm: Utm,
    /// Of our own pages, which get none.
    base_url: String,
}

impl Tagger {
    /// For a campaign whose pages are under `base_url`.
    pub fn new(utm: &Utm, base_url: &str) -> Self {
        Self { utm: utm.clone(), base_url: base_url.trim_end_matches('/').to_owned() }
    }

    /// The address with the parameters that it does not have yet.
    pub fn tagged<'a>(&self, url: &'a str) -> Cow<'a, str> {
        if !matches!(scheme(url), "http" | "https") || !self.concerns(url) {
            return Cow::Borrowed(url);
        }
        let query = url.split('#').next().and_then(|url| url.split_once('?')).map_or("", |(_, query)| query);
        let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
        let missing = self.utm.parameters.iter().filter(|(name, _)| !has(name));
        Cow::Owned(with_parameters(url, missing.map(|(name, value)| (name.as_str(), value.as_str()))))
    }

    fn concerns(&self, url: &str) -> bool {
        if url.strip_prefix(&self.base_url).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#'])) {
            return false;
        }
        let Some(only) = &self.utm.only else { return true };
        let authority = url.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or(""));
        let host = authority.rsplit('@').next().unwrap_or("");
        let host = host.split_once(':').map_or(host, |(host, _)| host).to_ascii_lowercase();
        only.iter().any(|known| match known.strip_prefix("*.") {
            Some(domain) => host.strip_suffix(domain).is_some_and(|sub| sub.ends_with('.')),
            None => *known == host,
        })
    }
}

/// `{{#__utm}}https://…{{/__utm}}`: a link that is not counted, with its parameters.
impl HelperDef for Tagger {
    fn call<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        r: &'reg Handlebars<'reg>,
        ctx: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let target = h.template().map_or_else(|| Ok(String::new()), |inner| unescaped(inner, r, ctx, rc))?;
        Ok(out.write(&r.get_escape_fn()(&self.tagged(&fit(target.trim()))))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagger(only: Option<&[&str]>) -> Tagger {
        let parameters = vec![("utm_source".into(), "news".into()), ("utm_campaign".into(), "spring 1".into())];
        let only = only.map(|hosts| hosts.iter().map(|host| (*host).to_owned()).collect());
        Tagger::new(&Utm { parameters, only }, "https://t.example/x/")
    }

    #[test]
    fn parameters_are_appended_once_and_never_to_our_own_pages() {
        let all = tagger(None);
        for (url, expected) in [
            ("https://a.example", "https://a.example?utm_source=news&utm_campaign=spring%201"),
            ("https://a.example/?q=1#top", "https://a.example/?q=1&utm_source=news&utm_campaign=spring%201#top"),
            ("https://a.example/?utm_source=x", "https://a.example/?utm_source=x&utm_campaign=spring%201"),
            ("https://t.example/x/u/token", "https://t.example/x/u/token"),
            ("https://t.example/xy", "https://t.example/xy?utm_source=news&utm_campaign=spring%201"),
            ("mailto:a@a.example", "mailto:a@a.example"),
        ] {
            assert_eq!(all.tagged(url), expected);
        }
        assert_eq!(all.tagged(&all.tagged("https://a.example/#x")), all.tagged("https://a.example/#x"));
    }

    #[test]
    fn only_the_named_hosts_get_them() {
        let some = tagger(Some(&["shop.example", "*.alps.example"]));
        for url in ["https://shop.example/", "HTTPS://u@SHOP.example:444/a", "http://a.b.alps.example"] {
            assert!(some.tagged(url).contains("utm_source"), "{url}");
        }
        for url in [
            "https://shop.example.org/",
            "https://alps.example",
            "https://x.example/shop.example",
            "https://malps.example",
        ] {
            assert_eq!(some.tagged(url), url);
        }
        assert_eq!(tagger(Some(&[])).tagged("https://shop.example/"), "https://shop.example/");
    }
}
