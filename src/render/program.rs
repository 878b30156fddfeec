//! A compiled template as a list of steps. What most of a mail consists of (text, variables, links that lead to the same
//! place for all) is written straight away. Handlebars, which makes a call of each of them, does the rest; also
//! where a variable holds no text, so that there is one place that knows what else may stand there.

use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use handlebars::{Context, Handlebars, Path, PathSeg, RenderContext, RenderError, Renderable as _, Template};
use serde_json::Value;

use super::job::Job;
use super::message_helpers::{TRACK, register};
use super::signatures::signature;
use super::sink::Sink;

/// What is rendered for each message.
pub(super) struct Program(Vec<Step>);

struct Step {
    known: Known,
    /// The template of this step alone, for Handlebars.
    template: Template,
}

/// What can be written without Handlebars.
enum Known {
    Text(String),
    /// A variable, escaped.
    Variable(String),
    /// A link's number.
    Link(u16),
    Nothing,
}

impl Program {
    /// Takes a template apart.
    pub fn new(template: Template) -> Self {
        let Template { elements, mapping, .. } = template;
        let steps = elements.into_iter().zip(mapping).map(|(element, place)| {
            let (known, mut template) = (Known::of(&element), Template::new());
            (template.elements, template.mapping) = (vec![element], vec![place]);
            Step { known, template }
        });
        Self(steps.collect())
    }

    /// Appends what a message's recipient gets.
    ///
    /// # Errors
    /// As Handlebars, with the place in the template.
    pub fn run(
        &self,
        registry: &Handlebars<'_>,
        job: &Job<'_>,
        context: &Context,
        out: &mut String,
    ) -> Result<(), RenderError> {
        let escape = registry.get_escape_fn();
        let mut calls = None;
        for Step { known, template } in &self.0 {
            match known {
                Known::Text(text) => out.push_str(text),
                Known::Variable(name) if let Some(Value::String(text)) = context.data().get(name) => {
                    match text.bytes().any(|byte| ESCAPED.contains(&byte)) {
                        true => out.push_str(&escape(text)),
                        false => out.push_str(text),
                    }
                }
                Known::Link(number) if let Some(url) = job.fixed_target(*number) => {
                    job.link(*number, url, escape, &mut |text| out.push_str(text));
                }
                Known::Variable(_) | Known::Link(_) | Known::Nothing => {
                    let calls = calls.get_or_insert_with(|| {
                        let mut calls = RenderContext::new(None);
                        register(&mut calls, job);
                        calls
                    });
                    template.render(registry, context, calls, &mut Sink(out))?;
                }
            }
        }
        Ok(())
    }
}

/// What the escape function of HTML parts changes.
const ESCAPED: &[u8] = b"<>&\"'`=";

impl Known {
    fn of(element: &TemplateElement) -> Self {
        match element {
            TemplateElement::RawString(text) => Self::Text(text.clone()),
            TemplateElement::Expression(call) => Self::call(call).unwrap_or(Self::Nothing),
            _ => Self::Nothing,
        }
    }

    fn call(call: &HelperTemplate) -> Option<Self> {
        match (&call.name, call.params.as_slice()) {
            (Parameter::Path(Path::Relative((path, written))), [])
                if call.hash.is_empty() && signature(written).is_none() =>
            {
                let [PathSeg::Named(name)] = path.as_slice() else { return None };
                Some(Self::Variable(name.clone()))
            }
            (name, [Parameter::Literal(number)]) if name.as_name() == Some(TRACK) => {
                u16::try_from(number.as_u64()?).ok().map(Self::Link)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use handlebars::html_escape;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::id::RunId;
    use crate::domain::time::Micros;
    use crate::render::Envelope;
    use crate::render::testing::{compile, keyring, profile};

    const TEMPLATE: &str = "<p title=\"{{first_name}}\">{{ first_name }} {{{first_name}}} {{[url]}} {{cluster}} {{score}}
        {{sender.name}} {{#if (has country)}}{{country}}{{/if}} {{#each (offers)}}<a href=\"{{url}}\">{{title}}</a>{{/each}}
        <a href=\"https://shop.example.org/running/1?a=1&amp;b=2\">shoes</a> {{country}}</p>";

    proptest! {
        #[test]
        fn a_program_writes_what_handlebars_writes(
            name in prop_oneof!["\\PC{0,12}".prop_map(Value::from), any::<i64>().prop_map(Value::from), Just(Value::Null)],
            country in prop::option::of("[a-z<>&\"'`= ]{0,6}"),
            tracking: bool,
        ) {
            let mailing = compile(TEMPLATE).unwrap();
            let profile = crate::domain::profile::Profile { tracking, ..profile() };
            let (keyring, envelope) = (keyring(), Envelope { run: RunId(42), occasion: "1", at: Micros(0) });
            let mut data = Value::Object((*mailing.data).clone());
            data["first_name"] = name;
            data["url"] = json!("https://x.example/?a=b");
            data["score"] = json!(1.5);
            if let Some(country) = country {
                data["country"] = country.into();
            }
            let context = Context::wraps(data).unwrap();
            let edition = &mailing.editions[0];
            for (part, registry) in [(&edition.html, &edition.escaping), (&edition.text, &edition.plain)] {
                let job = || Job::new(&mailing, &profile, &envelope, &keyring);
                let (mut ours, ours_job) = (String::new(), job());
                let done = part.program.run(registry, &ours_job, &context, &mut ours);
                let (mut theirs, theirs_job) = (String::new(), job());
                let whole = Template::compile(part.source.text()).unwrap();
                let mut calls = RenderContext::new(None);
                register(&mut calls, &theirs_job);
                let expected = whole.render(registry, &context, &mut calls, &mut Sink(&mut theirs));
                prop_assert_eq!(ours, theirs);
                let place = |e: RenderError| (e.line_no, e.column_no, e.reason().to_string());
                prop_assert_eq!(done.map_err(place), expected.map_err(place));
            }
        }

        #[test]
        fn what_needs_no_escaping_stays_as_it_is(text: String) {
            let escaped = text.bytes().any(|byte| ESCAPED.contains(&byte));
            prop_assert_eq!(html_escape(&text) != text, escaped);
        }
    }
}
