//! The helpers that need nothing but their parameters.
//!
//! | helper | meaning |
//! |---|---|
//! | `default NAME FALLBACK` | the value, or the fallback when it is missing, null or empty |
//! | `has NAME` | whether a value is there, neither null nor empty |
//! | `ge`, `le` | as `gte` and `lte` |
//! | `eq ne gt gte lt lte and or not len lookup if unless each with` | as in Handlebars |
//!
//! Those that know the language are in [`super::local_helpers`], those that know the message in
//! [`super::message_helpers`]; what each takes is in [`super::signatures`].

use std::cmp::Ordering;
use std::sync::Arc;

use handlebars::{
    BlockContext, BlockParamHolder, Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext,
    RenderError, RenderErrorReason, Renderable, ScopedJson, no_escape,
};
use serde_json::Value;

use super::local_helpers::{self, given};
use super::locale::Formats;
use super::utm::Tagger;

/// Which escaping a part of the mail needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// For the HTML part.
    Html,
    /// For the text part and the subject.
    None,
}

/// A strict registry with the house's helpers, which write as `formats` say; links that are not counted get
/// their parameters from `utm`.
pub(super) fn registry(escape: Escape, formats: &Arc<Formats>, utm: Option<&Tagger>) -> Handlebars<'static> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    if escape == Escape::None {
        registry.register_escape_fn(no_escape);
    }
    registry.unregister_helper("log");
    registry.register_helper("default", Box::new(Default));
    registry.register_helper("has", Box::new(Has));
    registry.register_helper("ge", Box::new(Compare("ge", Ordering::is_ge)));
    registry.register_helper("le", Box::new(Compare("le", Ordering::is_le)));
    local_helpers::register(&mut registry, formats);
    if let Some(tagger) = utm {
        registry.register_helper("__utm", Box::new(tagger.clone()));
    }
    registry.register_helper("__scope", Box::new(Scope));
    registry
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(str::is_empty)
}

struct Default;

impl HelperDef for Default {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let value = h.param(0).ok_or(RenderErrorReason::ParamNotFoundForIndex("default", 0))?;
        let fallback = h.param(1).ok_or(RenderErrorReason::ParamNotFoundForIndex("default", 1))?;
        let chosen = if is_empty(value.value()) { fallback } else { value };
        Ok(ScopedJson::Derived(given(chosen)?.clone()))
    }
}

struct Has;

impl HelperDef for Has {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let value = h.param(0).ok_or(RenderErrorReason::ParamNotFoundForIndex("has", 0))?;
        Ok(ScopedJson::Derived(Value::Bool(!is_empty(value.value()))))
    }
}

/// Compares numbers as numbers and texts as texts; nothing else is in any order.
struct Compare(&'static str, fn(Ordering) -> bool);

impl HelperDef for Compare {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let value = |i| {
            let given = h.param(i).filter(|p| !p.is_value_missing()).map(handlebars::PathAndJson::value);
            given.ok_or(RenderErrorReason::ParamNotFoundForIndex(self.0, i))
        };
        let (a, b) = (value(0)?, value(1)?);
        let number = |v: &Value| v.as_f64().or_else(|| v.as_str()?.parse().ok());
        let order = match (a, b) {
            (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
            _ => number(a).zip(number(b)).and_then(|(a, b)| a.partial_cmp(&b)),
        };
        Ok(ScopedJson::Derived(Value::Bool(order.is_some_and(self.1))))
    }
}

/// A partial's text with its parameters: `{{> card item size="l"}}`. Like `each` and `with` it is one
/// step for `../`.
struct Scope;

impl HelperDef for Scope {
    fn call<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        r: &'reg Handlebars<'reg>,
        ctx: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let mut block = BlockContext::new();
        if let Some(parent) = rc.block() {
            block.local_variables_mut().clone_from(parent.local_variables());
            block.base_path_mut().clone_from(parent.base_path());
            if let Some(value) = parent.base_value() {
                block.set_base_value(value.clone());
            }
        }
        if let Some(param) = h.param(0) {
            let value = given(param)?;
            match param.context_path() {
                Some(path) => block.base_path_mut().clone_from(path),
                None => block.set_base_value(value.clone()),
            }
        }
        for (name, value) in h.hash() {
            block.set_block_param(name, BlockParamHolder::Value(given(value)?.clone()));
        }
        rc.push_block(block);
        let done = h.template().map_or(Ok(()), |inner| inner.render(r, ctx, rc, out));
        rc.pop_block();
        done
    }
}
