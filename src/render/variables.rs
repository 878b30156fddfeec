//! Checks the names in a template against what is known when it is compiled, and collects the
//! recipients' attributes that it uses.
//!
//! Handlebars' strict mode does not notice `{{#if misspelt}}`; names of offers, of the sender, and
//! of helpers can be checked here, and attributes can be compared with sample recipients.

use std::collections::BTreeSet;

use handlebars::template::{BlockParam, HelperTemplate, Parameter, TemplateElement};
use handlebars::{Path, Template};

use super::locale::Formats;
use super::problem::{TemplateProblem, nearest, problem, unknown_category};
use super::signatures::{is_variable_alone, literal, names, signature};
use super::traced::{Place, Traced};

/// What every template can use besides the recipient's attributes.
pub(super) const BUILT_IN: [&str; 8] =
    ["address", "cluster", "keep_url", "preferences_url", "score", "sender", "unsubscribe_url", "view_url"];

/// The fields of `sender`.
pub(super) const SENDER: [&str; 9] = [
    "bounce_domain",
    "from_address",
    "from_name",
    "imprint_url",
    "locale",
    "name",
    "postal_address",
    "reply_to",
    "timezone",
];

/// Said once, whatever of them a template uses.
const NO_OFFERS: &str = "the campaign has no offers";

/// What a name without `../` belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The recipient.
    Root,
    /// An offer.
    Offer,
    /// A value that only a message knows.
    Other,
}

/// Collects names over all parts of a mail.
#[derive(Default)]
pub(super) struct Names {
    /// Attributes of recipients.
    pub attributes: BTreeSet<String>,
    /// Of these, what is written as a date.
    pub dates: BTreeSet<String>,
    /// Of these, what is written as a number.
    pub numbers: BTreeSet<String>,
    /// Of [`BUILT_IN`], what is used.
    pub built_in: BTreeSet<&'static str>,
    /// Fields that offers have; none where there are no offers.
    pub offer_fields: BTreeSet<String>,
    /// The project's categories.
    pub categories: BTreeSet<String>,
}

struct Walk<'a> {
    names: &'a mut Names,
    formats: &'a mut Formats,
    source: &'a Traced,
    problems: &'a mut Vec<TemplateProblem>,
    scopes: Vec<Scope>,
    locals: Vec<String>,
    here: (usize, usize),
}

impl Names {
    /// Goes through a template compiled from `source`; what its helpers need is made ready in `formats`.
    pub fn collect(
        &mut self,
        template: &Template,
        source: &Traced,
        formats: &mut Formats,
        problems: &mut Vec<TemplateProblem>,
    ) {
        let (scopes, locals) = (vec![Scope::Root], Vec::new());
        let mut walk = Walk { names: self, formats, source, problems, scopes, locals, here: (1, 1) };
        walk.template(template);
    }
}

impl Walk<'_> {
    fn template(&mut self, template: &Template) {
        for (i, element) in template.elements.iter().enumerate() {
            // Handlebars keeps no place of `{{else if …}}`.
            self.here = template.mapping.get(i).map_or(self.here, |place| (place.0, place.1));
            match element {
                TemplateElement::Expression(ht) | TemplateElement::HtmlExpression(ht) => self.expression(ht),
                TemplateElement::HelperBlock(ht) => self.block(ht),
                _ => {}
            }
        }
    }

    fn expression(&mut self, ht: &HelperTemplate) {
        match &ht.name {
            Parameter::Subexpression(_) => self.parameter(&ht.name),
            name if ht.params.is_empty() && ht.hash.is_empty() => {
                if name.as_name().is_none_or(is_variable_alone) {
                    self.parameter(name);
                } else if name.as_name() == Some("cluster") {
                    self.names.built_in.insert("cluster");
                } else {
                    self.helper(ht, false);
                }
            }
            _ => {
                self.helper(ht, false);
                self.parameters(ht);
            }
        }
    }

    fn block(&mut self, ht: &HelperTemplate) {
        let here = self.here;
        self.helper(ht, true);
        self.parameters(ht);
        let locals = self.locals.len();
        let name = ht.name.as_name().unwrap_or_default();
        let pushed = match name {
            "each" if is_offers(ht.params.first()) => Some(Scope::Offer),
            "__scope" if ht.params.is_empty() => self.scopes.last().copied(),
            "each" | "with" | "__scope" => Some(Scope::Other),
            _ => None,
        };
        self.scopes.extend(pushed);
        self.locals.extend(ht.block_param.iter().flat_map(block_params));
        if name == "__scope" {
            self.locals.extend(ht.hash.keys().cloned());
        }
        if let Some(inner) = &ht.template {
            self.template(inner);
        }
        self.locals.truncate(locals);
        if pushed.is_some() {
            self.scopes.pop();
        }
        self.here = here;
        if let Some(inverse) = &ht.inverse {
            self.template(inverse);
        }
    }

    fn parameters(&mut self, ht: &HelperTemplate) {
        for parameter in ht.params.iter().chain(ht.hash.values()) {
            self.parameter(parameter);
        }
    }

    fn parameter(&mut self, parameter: &Parameter) {
        match parameter {
            Parameter::Path(Path::Relative((_, raw))) => self.path(raw),
            Parameter::Name(name) => self.path(name),
            Parameter::Subexpression(sub) => {
                if let TemplateElement::Expression(ht) = sub.as_element() {
                    self.helper(ht, false);
                    self.parameters(ht);
                }
            }
            _ => {}
        }
    }

    fn helper(&mut self, call: &HelperTemplate, is_block: bool) {
        let Some(name) = call.name.as_name() else { return };
        let Some(signature) = signature(name) else {
            let hint = nearest(name, names())
                .map_or_else(|| format!("for a variable write {{{{#if {name}}}}}"), |n| format!("did you mean '{n}'?"));
            return self.report(format!("there is no helper '{name}'"), Some(hint));
        };
        if let Err(fault) = signature.check(call, is_block, self.formats) {
            self.report(fault.message, fault.hint);
        }
        match name {
            "cluster" | "interested" => self.categories(call),
            "date" => self.names.dates.extend(variable(call)),
            "money" | "number" | "plural" => self.names.numbers.extend(variable(call)),
            _ => {}
        }
    }

    fn categories(&mut self, call: &HelperTemplate) {
        let place = self.place();
        let known = &self.names.categories;
        let written = call.params.iter().filter_map(literal);
        let written = written.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        let unknown = written.filter(|name| !known.contains(name));
        self.problems.extend(unknown.map(|name| unknown_category(&place, &name, known.iter().map(String::as_str))));
    }

    fn path(&mut self, raw: &str) {
        let mut segments =
            raw.split(['.', '/']).map(|s| s.trim_matches(['[', ']'])).filter(|s| !s.is_empty() && *s != "this");
        let ups = raw.matches("../").count();
        let depth = self.scopes.len().saturating_sub(1 + ups);
        let mut scope = self.scopes[depth];
        let Some(mut first) = segments.next() else { return };
        if first == "@root" {
            scope = Scope::Root;
            let Some(next) = segments.next() else { return };
            first = next;
        } else if self.locals.iter().any(|l| l == first) {
            return;
        }
        match scope {
            Scope::Other => {}
            Scope::Offer => self.offer_field(first),
            Scope::Root => match BUILT_IN.iter().find(|b| **b == first) {
                Some(built_in) => {
                    self.names.built_in.insert(built_in);
                    if *built_in == "sender" {
                        self.sender_field(segments.next());
                    }
                }
                None => {
                    self.names.attributes.insert(first.to_owned());
                }
            },
        }
    }

    fn offer_field(&mut self, name: &str) {
        if self.names.offer_fields.is_empty() {
            if self.problems.iter().all(|problem| problem.message != NO_OFFERS) {
                self.report(NO_OFFERS.to_owned(), Some("add [[offers.item]] to its file".to_owned()));
            }
            return;
        }
        if !self.names.offer_fields.contains(name) {
            let near = nearest(name, self.names.offer_fields.iter().map(String::as_str));
            let hint =
                near.map_or_else(|| format!("for the recipient's write ../{name}"), |n| format!("did you mean '{n}'?"));
            self.report(format!("offers have no '{name}'"), Some(hint));
        }
    }

    fn sender_field(&mut self, name: Option<&str>) {
        if let Some(name) = name.filter(|n| !SENDER.contains(n)) {
            self.report(format!("the sender has no '{name}'"), Some(format!("it has {}", SENDER.join(", "))));
        }
    }

    fn report(&mut self, message: String, hint: Option<String>) {
        let place = self.place();
        self.problems.push(problem(&place, message, hint));
    }

    fn place(&self) -> Place {
        self.source.place_of(self.here.0, self.here.1)
    }
}

/// The variable that a call writes, with a default or without.
fn variable(call: &HelperTemplate) -> Option<String> {
    let name = match call.params.first()? {
        Parameter::Subexpression(sub) if sub.name() == "default" => match sub.as_element() {
            TemplateElement::Expression(default) => return variable(default),
            _ => None,
        },
        parameter => parameter.as_name(),
    };
    name.map(|name| name.trim_start_matches("../").to_owned())
}

fn is_offers(parameter: Option<&Parameter>) -> bool {
    matches!(parameter, Some(Parameter::Subexpression(sub)) if sub.name() == "offers")
}

fn block_params(param: &BlockParam) -> Vec<String> {
    let names = match param {
        BlockParam::Single(a) => vec![a],
        BlockParam::Pair((a, b)) => vec![a, b],
        _ => Vec::new(),
    };
    names.into_iter().filter_map(Parameter::as_name).map(str::to_owned).collect()
}
