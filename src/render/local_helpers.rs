//! The helpers that write by the language of the message, and those that build texts and addresses.
//!
//! | helper | meaning |
//! |---|---|
//! | `date DAY "long"`, `date DAY pattern="d. MMMM"` | a date; without a style `medium` |
//! | `number 1234.5 digits=1` | a number |
//! | `money 9.9 "EUR"`, `money 9.9 "EUR" style="name"` | an amount; style `symbol`, `code` or `name` |
//! | `plural count one="# run" other="# runs"` | the text for a number; `#` stands for the number |
//! | `list items`, `list a b c or=true` | "a, b and c" |
//! | `upper`, `lower`, `capitalize` | capitals |
//! | `truncate title 40` | the beginning of a long text |
//! | `url "https://…" q=first_name` | an address with parameters, percent-encoded |
//!
//! Alone, without arguments, each of these names is a variable like any other. What they take is in
//! [`super::signatures`].

use std::sync::Arc;

use handlebars::{
    Context, Handlebars, Helper, HelperDef, JsonRender, PathAndJson, RenderContext, RenderError, RenderErrorReason,
    ScopedJson,
};
use serde_json::Value;

use super::locale::{DateFormat, Fault, Formats, WIDTHS, Width, decimal, truncated};
use super::target::with_parameters;

#[derive(Clone, Copy)]
enum Role {
    Date,
    Number,
    Money,
    Plural,
    List,
    Upper,
    Lower,
    Capitalize,
    Truncate,
    Url,
}

const ROLES: [(&str, Role); 10] = [
    ("capitalize", Role::Capitalize),
    ("date", Role::Date),
    ("list", Role::List),
    ("lower", Role::Lower),
    ("money", Role::Money),
    ("number", Role::Number),
    ("plural", Role::Plural),
    ("truncate", Role::Truncate),
    ("upper", Role::Upper),
    ("url", Role::Url),
];

/// Makes them known to a part's registry.
pub(super) fn register(registry: &mut Handlebars<'_>, formats: &Arc<Formats>) {
    for (name, role) in ROLES {
        registry.register_helper(name, Box::new(Local { name, role, formats: formats.clone() }));
    }
}

/// The format that a call of `date` names.
pub(super) fn date_format(style: Option<&str>, pattern: Option<&str>) -> DateFormat {
    match pattern {
        Some(pattern) => DateFormat::Pattern(pattern.to_owned()),
        None => DateFormat::Style(style.unwrap_or("medium").to_owned()),
    }
}

/// The width of a call of `money`, by its name.
pub(super) fn width(name: Option<&str>) -> Option<Width> {
    let name = name.unwrap_or("symbol");
    WIDTHS.iter().find(|(known, _)| *known == name).map(|(_, width)| *width)
}

struct Local {
    name: &'static str,
    role: Role,
    formats: Arc<Formats>,
}

impl HelperDef for Local {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let value = self.value(h, 0)?;
        let written = match self.role {
            Role::Date => {
                let format = date_format(text(h.param(1)), text(h.hash_get("pattern")));
                self.formats.date(&value.render(), &format).map_err(|fault| self.fails(&fault))?
            }
            Role::Number => self.formats.number(self.number(value)?, h.hash_get("digits").and_then(whole)),
            Role::Money => {
                let currency = self.value(h, 1)?.render();
                let width = width(text(h.hash_get("style"))).unwrap_or(Width::Symbol);
                let written = self.formats.money(&self.number(value)?, &(currency, width));
                written.map_err(|fault| self.fails(&fault))?
            }
            Role::Plural => self.plural(h, value)?,
            Role::List => self.list(h)?,
            Role::Upper => self.formats.upper(&value.render()),
            Role::Lower => self.formats.lower(&value.render()),
            Role::Capitalize => self.formats.capitalized(&value.render()),
            Role::Truncate => {
                let limit = h.param(1).and_then(whole).and_then(|n| usize::try_from(n).ok());
                truncated(&value.render(), limit.ok_or_else(|| self.other("needs a length"))?)
            }
            Role::Url => {
                let mut parameters = Vec::new();
                for (name, value) in h.hash() {
                    parameters.push((*name, given(value)?.render()));
                }
                parameters.sort_unstable();
                with_parameters(&value.render(), parameters.iter().map(|(name, value)| (*name, value.as_str())))
            }
        };
        Ok(ScopedJson::Derived(Value::String(written)))
    }
}

impl Local {
    fn value<'a>(&self, h: &'a Helper<'_>, index: usize) -> Result<&'a Value, RenderError> {
        given(h.param(index).ok_or(RenderErrorReason::ParamNotFoundForIndex(self.name, index))?)
    }

    fn number(&self, value: &Value) -> Result<icu_decimal::input::Decimal, RenderError> {
        decimal(value).ok_or_else(|| self.other("takes a number, as in 1234.5"))
    }

    fn plural(&self, h: &Helper<'_>, value: &Value) -> Result<String, RenderError> {
        let number = self.number(value)?;
        let chosen = h.hash_get(self.formats.plural(&number)).or_else(|| h.hash_get("other"));
        let text = given(chosen.ok_or_else(|| self.other("needs other=\"…\""))?)?.render();
        Ok(text.replace('#', &self.formats.number(number, None)))
    }

    fn list(&self, h: &Helper<'_>) -> Result<String, RenderError> {
        let mut items = Vec::new();
        for parameter in h.params() {
            match given(parameter)? {
                Value::Array(values) => items.extend(values.iter().map(JsonRender::render)),
                value => items.push(value.render()),
            }
        }
        items.retain(|item| !item.trim().is_empty());
        let or = h.hash_get("or").is_some_and(|or| or.value() == &Value::Bool(true));
        Ok(self.formats.list(&items, or))
    }

    fn fails(&self, fault: &Fault) -> RenderError {
        let hint = fault.hint.as_deref().map_or_else(String::new, |hint| format!(" ({hint})"));
        RenderErrorReason::Other(format!("'{}': {}{hint}", self.name, fault.message)).into()
    }

    fn other(&self, what: &str) -> RenderError {
        RenderErrorReason::Other(format!("'{}' {what}", self.name)).into()
    }
}

/// The value of a parameter that must be there.
pub(super) fn given<'a>(parameter: &'a PathAndJson<'_>) -> Result<&'a Value, RenderError> {
    match parameter.is_value_missing() {
        true => Err(RenderError::strict_error(parameter.relative_path())),
        false => Ok(parameter.value()),
    }
}

fn text<'a>(parameter: Option<&'a PathAndJson<'_>>) -> Option<&'a str> {
    parameter?.value().as_str()
}

fn whole(parameter: &PathAndJson<'_>) -> Option<u64> {
    parameter.value().as_u64()
}
