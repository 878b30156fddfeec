//! The helpers that know the message: links, pixel, offers, clusters.
//!
//! | helper | meaning |
//! |---|---|
//! | `{{#cluster "running"}}…{{else}}…{{/cluster}}` | for those in this cluster; several names are allowed |
//! | `{{#interested "running"}}…{{/interested}}` | for those whose share of the category is at least `[cluster] min_share`, or whose cluster it is |
//! | `{{#each (offers limit=7)}}` | the campaign's offers in the recipient's order; `skip=1` leaves out the first |
//!
//! `{{cluster}}` alone is the cluster's name. Names that begin with `__` are written by the compiler
//! alone; `{{#each (offers …)}}` becomes `{{#__offers …}}`, which knows whose links it contains.

use handlebars::{
    BlockContext, BlockParams, Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext,
    RenderError, RenderErrorReason, Renderable, ScopedJson,
};
use serde_json::Value;

use super::job::Job;
use super::target::{fit, scheme, unescaped};

/// The key under which templates' data holds the campaign's offers.
pub(super) const OFFERS: &str = "__offers";

/// The helper that stands for a link's target.
pub(super) const TRACK: &str = "__track";

/// The helper that stands for the picture by which an open is seen.
pub(super) const PIXEL: &str = "__pixel";

#[derive(Clone, Copy)]
enum Role {
    Track,
    Pixel,
    EachOffer,
    Offers,
    Cluster,
    Interested,
}

const ROLES: [(&str, Role); 6] = [
    (TRACK, Role::Track),
    (PIXEL, Role::Pixel),
    ("__offers", Role::EachOffer),
    ("offers", Role::Offers),
    ("cluster", Role::Cluster),
    ("interested", Role::Interested),
];

/// Makes a message's helpers known for one rendering.
pub(super) fn register<'reg: 'rc, 'rc>(rc: &mut RenderContext<'reg, 'rc>, job: &'rc Job<'_>) {
    for (name, role) in ROLES {
        rc.register_local_helper(name, Box::new(OfMessage { job, role }));
    }
}

struct OfMessage<'j, 'a> {
    job: &'j Job<'a>,
    role: Role,
}

impl HelperDef for OfMessage<'_, '_> {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        ctx: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        match self.role {
            Role::Offers => self.offers(h, ctx).map(ScopedJson::Derived),
            Role::Cluster | Role::Interested => self.holds(h).map(|b| ScopedJson::Derived(Value::Bool(b))),
            Role::Track | Role::Pixel | Role::EachOffer => Err(RenderErrorReason::Unimplemented.into()),
        }
    }

    fn call<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        r: &'reg Handlebars<'reg>,
        ctx: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        match self.role {
            Role::Track => self.track(h, r, ctx, rc, out),
            Role::Pixel => self.pixel(out),
            Role::EachOffer => self.each_offer(h, r, ctx, rc, out),
            Role::Cluster if !h.is_block() && h.params().is_empty() => {
                let name = self.job.profile.cluster.as_deref().unwrap_or("");
                Ok(out.write(&r.get_escape_fn()(name))?)
            }
            Role::Cluster | Role::Interested if h.is_block() => {
                let branch = if self.holds(h)? { h.template() } else { h.inverse() };
                branch.map_or(Ok(()), |t| t.render(r, ctx, rc, out))
            }
            Role::Cluster | Role::Interested | Role::Offers => {
                Err(other(format!("'{}' is a block or a value for another helper", h.name())))
            }
        }
    }
}

impl OfMessage<'_, '_> {
    fn track<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        r: &'reg Handlebars<'reg>,
        ctx: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let number = h.param(0).and_then(|p| p.value().as_u64()).and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
        let mut written = Ok(());
        let mut write = |text: &str| written = out.write(text);
        if let Some(url) = self.job.fixed_target(number) {
            self.job.link(number, url.into(), r.get_escape_fn(), &mut write);
        } else if let Some(inner) = h.template() {
            let target = unescaped(inner, r, ctx, rc)?;
            let url = fit(target.trim());
            match scheme(&url) {
                "http" | "https" => self.job.link(number, url.into(), r.get_escape_fn(), &mut write),
                "mailto" | "tel" => write(&r.get_escape_fn()(&url)),
                _ => return Err(other(format!("link {number} leads neither to http(s) nor to mailto or tel here"))),
            }
        }
        Ok(written?)
    }

    fn pixel(&self, out: &mut dyn Output) -> HelperResult {
        let mut written = Ok(());
        self.job.pixel(&mut |text| written = out.write(text));
        Ok(written?)
    }

    fn each_offer<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        r: &'reg Handlebars<'reg>,
        ctx: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let picks = self.picks(h)?;
        let Some(inner) = h.template().filter(|_| !picks.is_empty()) else {
            return h.inverse().map_or(Ok(()), |t| t.render(r, ctx, rc, out));
        };
        for (slot, pick) in picks.iter().enumerate() {
            let mut block = BlockContext::new();
            *block.base_path_mut() = vec![OFFERS.to_owned(), pick.to_string()];
            block.set_local_var("index", Value::from(slot));
            block.set_local_var("first", Value::Bool(slot == 0));
            block.set_local_var("last", Value::Bool(slot + 1 == picks.len()));
            let mut params = BlockParams::new();
            if let Some((value, index)) = h.block_param_pair() {
                params.add_path(value, Vec::new())?;
                params.add_value(index, Value::from(slot))?;
            } else if let Some(value) = h.block_param() {
                params.add_path(value, Vec::new())?;
            }
            block.set_block_params(params);
            rc.push_block(block);
            let outer = self.job.enter_offer(pick + 1);
            let done = inner.render(r, ctx, rc, out);
            self.job.enter_offer(outer);
            rc.pop_block();
            done?;
        }
        Ok(())
    }

    fn offers(&self, h: &Helper<'_>, ctx: &Context) -> Result<Value, RenderError> {
        let all = &ctx.data()[OFFERS];
        Ok(self.picks(h)?.iter().map(|i| all[usize::from(*i)].clone()).collect())
    }

    fn picks(&self, h: &Helper<'_>) -> Result<&[u16], RenderError> {
        let count = |name: &'static str, otherwise: usize| match h.hash_get(name) {
            None => Ok(otherwise),
            Some(value) => value
                .value()
                .as_u64()
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| other(format!("offers takes a whole number as {name}"))),
        };
        Ok(self.job.take_offers(count("skip", 0)?, count("limit", usize::MAX)?))
    }

    fn holds(&self, h: &Helper<'_>) -> Result<bool, RenderError> {
        let profile = self.job.profile;
        if h.params().is_empty() {
            return Err(other(format!("'{}' needs a category", h.name())));
        }
        Ok(h.params().iter().filter_map(|p| p.value().as_str()).any(|name| {
            profile.cluster.as_deref() == Some(name)
                || (matches!(self.role, Role::Interested)
                    && profile.affinity(name) > 0.0
                    && profile.affinity(name) >= self.job.mailing.min_share)
        }))
    }
}

fn other(message: String) -> RenderError {
    RenderErrorReason::Other(message).into()
}
