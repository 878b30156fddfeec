//! What each helper takes. Calls are checked when a template is compiled, so that a wrong argument is
//! refused with its place, and nobody's mail fails by it.

use handlebars::template::{HelperTemplate, Parameter};
use serde_json::Value;

use super::local_helpers::{date_format, width};
use super::locale::{Fault, Formats, MAX_DIGITS, WIDTHS, decimal};

/// A helper's name and arguments.
pub(super) struct Signature {
    pub name: &'static str,
    least: usize,
    most: usize,
    named: &'static [&'static str],
    kind: Kind,
    usage: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Written by the compiler alone.
    Own,
    /// Stands for a value, or opens a block.
    Any,
    /// Stands for a value; its name alone is a variable.
    Value,
}

const ANY: usize = usize::MAX;
const PLURALS: &[&str] = &["few", "many", "one", "other", "two", "zero"];

/// All names that templates may call.
const SIGNATURES: [Signature; 39] = [
    own("__offers"),
    own("__pixel"),
    own("__scope"),
    own("__track"),
    own("__utm"),
    any("and", 2, ANY, &[], "(and a b)"),
    value("capitalize", 1, &[], "{{capitalize city}}"),
    any("cluster", 1, ANY, &[], "{{#cluster \"running\"}}"),
    value("date", 2, &["pattern"], "{{date birthday \"long\"}}"),
    any("default", 2, 2, &[], "{{default first_name \"there\"}}"),
    any("each", 1, 1, &[], "{{#each (offers)}}"),
    any("eq", 2, 2, &[], "(eq country \"AT\")"),
    any("ge", 2, 2, &[], "(ge score 20)"),
    any("gt", 2, 2, &[], "(gt score 20)"),
    any("gte", 2, 2, &[], "(gte score 20)"),
    any("has", 1, 1, &[], "(has first_name)"),
    any("if", 1, 1, &["includeZero"], "{{#if (has first_name)}}"),
    any("inline", 1, 1, &[], "{{#*inline \"name\"}}"),
    any("interested", 1, ANY, &[], "{{#interested \"running\"}}"),
    any("le", 2, 2, &[], "(le score 20)"),
    any("len", 1, 1, &[], "{{len (offers)}}"),
    value("list", ANY, &["or"], "{{list city country}}"),
    any("lookup", 2, 2, &[], "{{lookup sender \"name\"}}"),
    value("lower", 1, &[], "{{lower city}}"),
    any("lt", 2, 2, &[], "(lt score 20)"),
    any("lte", 2, 2, &[], "(lte score 20)"),
    value("money", 2, &["style"], "{{money price \"EUR\"}}"),
    any("ne", 2, 2, &[], "(ne country \"AT\")"),
    any("not", 1, 1, &[], "(not (has first_name))"),
    value("number", 1, &["digits"], "{{number points digits=1}}"),
    any("offers", 0, 0, &["limit", "skip"], "(offers limit=3)"),
    any("or", 2, ANY, &[], "(or a b)"),
    value("plural", 1, PLURALS, "{{plural runs one=\"# run\" other=\"# runs\"}}"),
    any("raw", 0, 0, &[], "{{{{raw}}}}"),
    value("truncate", 2, &[], "{{truncate title 40}}"),
    any("unless", 1, 1, &["includeZero"], "{{#unless (has first_name)}}"),
    value("upper", 1, &[], "{{upper city}}"),
    Signature { named: &["*"], ..value("url", 1, &[], "{{url \"https://example.org/search\" q=city}}") },
    any("with", 1, 1, &[], "{{#with sender}}"),
];

const fn any(
    name: &'static str,
    least: usize,
    most: usize,
    named: &'static [&'static str],
    usage: &'static str,
) -> Signature {
    Signature { name, least, most, named, kind: Kind::Any, usage }
}

const fn value(name: &'static str, most: usize, named: &'static [&'static str], usage: &'static str) -> Signature {
    Signature { name, least: 1, most, named, kind: Kind::Value, usage }
}

const fn own(name: &'static str) -> Signature {
    Signature { name, least: 0, most: ANY, named: &["*"], kind: Kind::Own, usage: "" }
}

/// The helper of a name.
pub(super) fn signature(name: &str) -> Option<&'static Signature> {
    SIGNATURES.iter().find(|s| s.name == name)
}

/// The names that a template's author may write.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SIGNATURES.iter().filter(|s| s.kind != Kind::Own).map(|s| s.name)
}

/// Whether the name alone, without arguments, is a variable although a helper has it.
pub(super) fn is_variable_alone(name: &str) -> bool {
    signature(name).is_none_or(|s| s.kind == Kind::Value)
}

impl Signature {
    /// Checks a call; what it names is made known to `formats`.
    pub fn check(&self, call: &HelperTemplate, is_block: bool, formats: &mut Formats) -> Result<(), Fault> {
        let count = call.params.len();
        let fault = |message: String| Err(Fault { message, hint: Some(format!("as in {}", self.usage)) });
        if self.kind == Kind::Value && is_block {
            return fault(format!("'{}' opens no block", self.name));
        }
        if count < self.least || count > self.most {
            let many = if count < self.least { "few" } else { "many" };
            return fault(format!("'{}' has too {many} arguments", self.name));
        }
        let known = |name: &String| self.named.contains(&"*") || self.named.contains(&name.as_str());
        let mut unknown: Vec<_> = call.hash.keys().filter(|name| !known(name)).collect();
        unknown.sort_unstable();
        if let Some(name) = unknown.first() {
            return fault(format!("'{}' knows no '{name}='", self.name));
        }
        match self.values(call, formats) {
            Err(Fault { message, hint: None }) => fault(format!("'{}' {message}", self.name)),
            done => done,
        }
    }

    /// Checks what can be known of the values before there is a recipient. A fault without a hint gets the
    /// usage as its hint.
    fn values(&self, call: &HelperTemplate, formats: &mut Formats) -> Result<(), Fault> {
        let plain = |message: &str| Err(Fault { message: message.to_owned(), hint: None });
        let first = call.params.first().and_then(literal);
        match self.name {
            "date" => {
                let style = fixed(call.params.get(1)).ok_or("wants its style written out, in quotes");
                let pattern = fixed(call.hash.get("pattern")).ok_or("wants its pattern written out, in quotes");
                let (style, pattern) = match (style, pattern) {
                    (Err(message), _) | (_, Err(message)) => return plain(message),
                    (Ok(Some(_)), Ok(Some(_))) => return plain("takes a style or a pattern, not both"),
                    (Ok(style), Ok(pattern)) => (style, pattern),
                };
                let format = date_format(style, pattern);
                formats.prepare_date(format.clone())?;
                match first {
                    Some(Value::String(day)) => formats.date(day, &format).map(drop),
                    Some(_) => plain("takes a date in quotes, or a variable"),
                    None => Ok(()),
                }
            }
            "number" => match call.hash.get("digits").map(|d| literal(d).and_then(Value::as_u64)) {
                None | Some(Some(0..=MAX_DIGITS)) => number(first),
                Some(_) => plain("takes 0 to 12 digits, written out"),
            },
            "money" => {
                let Some(width) = fixed(call.hash.get("style")).and_then(width) else {
                    let names = WIDTHS.map(|(name, _)| name).join(", ");
                    return plain(&format!("has the styles {names}"));
                };
                match call.params.get(1).map(literal) {
                    None => return plain("needs a currency"),
                    Some(Some(Value::String(code))) => formats.prepare_money((code.clone(), width))?,
                    Some(Some(_)) => return plain("takes a currency in quotes, or a variable"),
                    Some(None) => {}
                }
                number(first)
            }
            "plural" if !call.hash.contains_key("other") => plain("needs other=\"…\" for all other numbers"),
            "plural" => number(first),
            "truncate" => match call.params.get(1).and_then(literal).and_then(Value::as_u64) {
                Some(1..=10_000) => Ok(()),
                _ => plain("takes a length from 1 to 10000, written out"),
            },
            "list" => match call.hash.get("or").map(literal) {
                None | Some(Some(Value::Bool(_))) => Ok(()),
                Some(_) => plain("takes or=true or or=false"),
            },
            "url" => match first {
                Some(Value::String(url)) if url.starts_with("https://") || url.starts_with("http://") => Ok(()),
                Some(_) => plain("takes an address that begins with https://"),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// A value that is written out in the template.
pub(super) fn literal(parameter: &Parameter) -> Option<&Value> {
    match parameter {
        Parameter::Literal(value) => Some(value),
        _ => None,
    }
}

/// The text of a parameter that may be missing; nothing when it is there and no text.
fn fixed(parameter: Option<&Parameter>) -> Option<Option<&str>> {
    match parameter {
        None => Some(None),
        Some(parameter) => literal(parameter)?.as_str().map(Some),
    }
}

fn number(first: Option<&Value>) -> Result<(), Fault> {
    match first.is_none_or(|value| decimal(value).is_some()) {
        true => Ok(()),
        false => Err(Fault { message: "takes a number, as in 1234.5".into(), hint: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_each_usage_shows_its_helper() {
        assert!(SIGNATURES.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(SIGNATURES.iter().all(|s| s.kind == Kind::Own || s.usage.contains(s.name)));
    }
}
