//! A compiled template as a list of steps. What most of a mail consists of (text, variables, links that lead to the same
//! place for all, the pixel) is written straight away. Handlebars, which makes a call of each of them, does the rest; also
//! where a variable holds no text, so that there is one place that knows what else may stand there.

use std::borrow::Cow;

use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use handlebars::{Context, Handlebars, Path, PathSeg, RenderContext, RenderError, Renderable as _, Template};

use super::draft::Draft;
use super::job::Job;
use super::message_helpers::{PIXEL, TRACK, register};
use super::signatures::signature;

/// What is rendered for each message.
pub(super) struct Program {
    steps: Vec<Step>,
    /// The variables that steps write, each once.
    variables: Vec<Vec<String>>,
}

struct Step {
    known: Known,
    /// The template of this step alone, for Handlebars.
    template: Template,
}

/// What can be written without Handlebars.
enum Known {
    Text(Draft),
    /// A variable by its place among all, escaped.
    Variable(usize),
    /// A link's number.
    Link(u16),
    Pixel,
    Nothing,
}

impl Program {
    /// Takes a template apart.
    pub fn new(template: Template) -> Self {
        let Template { elements, mapping, .. } = template;
        let mut variables = Vec::new();
        let steps = elements.into_iter().zip(mapping).map(|(element, place)| {
            let (known, mut template) = (Known::of(&element, &mut variables), Template::new());
            (template.elements, template.mapping) = (vec![element], vec![place]);
            Step { known, template }
        });
        Self { steps: steps.collect(), variables }
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
        out: &mut Draft,
    ) -> Result<(), RenderError> {
        let escape = registry.get_escape_fn();
        let mut calls = None;
        let texts: Vec<Option<Cow<'_, str>>> =
            self.variables.iter().map(|path| Some(escaped(text_at(context, path)?, escape))).collect();
        for Step { known, template } in &self.steps {
            match known {
                Known::Text(text) => out.append(text),
                Known::Variable(number) if let Some(text) = &texts[*number] => out.push(text),
                Known::Pixel => job.pixel(&mut |text| out.push(text)),
                Known::Link(number) if let Some(url) = job.fixed_target(*number) => {
                    job.link(*number, url.into(), escape, &mut |text| out.push(text));
                }
                Known::Variable(_) | Known::Link(_) | Known::Nothing => {
                    let calls = calls.get_or_insert_with(|| {
                        let mut calls = RenderContext::new(None);
                        register(&mut calls, job);
                        calls
                    });
                    template.render(registry, context, calls, out)?;
                }
            }
        }
        Ok(())
    }
}

/// What a variable holds, if that is a text.
fn text_at<'a>(context: &'a Context, path: &[String]) -> Option<&'a str> {
    path.iter().try_fold(context.data(), |value, name| value.get(name))?.as_str()
}

fn escaped<'a>(text: &'a str, escape: &dyn Fn(&str) -> String) -> Cow<'a, str> {
    match text.bytes().any(|byte| ESCAPED.contains(&byte)) {
        true => Cow::Owned(escape(text)),
        false => Cow::Borrowed(text),
    }
}

/// What the escape function of HTML parts changes.
const ESCAPED: &[u8] = b"<>&\"'`=";

impl Known {
    fn of(element: &TemplateElement, variables: &mut Vec<Vec<String>>) -> Self {
        match element {
            TemplateElement::RawString(text) => Self::Text(Draft::of(text)),
            TemplateElement::Expression(call) => Self::call(call, variables).unwrap_or(Self::Nothing),
            _ => Self::Nothing,
        }
    }

    fn call(call: &HelperTemplate, variables: &mut Vec<Vec<String>>) -> Option<Self> {
        match (&call.name, call.params.as_slice()) {
            (name, []) if name.as_name() == Some(PIXEL) => Some(Self::Pixel),
            (Parameter::Path(Path::Relative((path, written))), [])
                if call.hash.is_empty() && signature(written).is_none() =>
            {
                let name = |segment: &PathSeg| match segment {
                    PathSeg::Named(name) => Some(name.clone()),
                    _ => None,
                };
                let path: Vec<String> = path.iter().map(name).collect::<Option<_>>()?;
                let known = variables.iter().position(|known| *known == path);
                Some(Self::Variable(known.unwrap_or_else(|| {
                    variables.push(path);
                    variables.len() - 1
                })))
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
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::id::RunId;
    use crate::domain::time::Micros;
    use crate::render::Envelope;
    use crate::render::testing::{compile, keyring, profile};

    const TEMPLATE: &str = "<p title=\"{{first_name}}\">{{ first_name }} {{{first_name}}} {{[url]}} {{cluster}} {{score}}
        {{sender.name}} {{list.0}} {{list.1.x}} {{[odd name]}} {{#if (has country)}}{{country}}{{/if}} {{#each (offers)}}<a href=\"{{url}}\">{{title}}</a>{{/each}}
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
            data["list"] = json!(["a=b", {"x": "<c>"}]);
            data["odd name"] = json!("&");
            if let Some(country) = country {
                data["country"] = country.into();
            }
            let context = Context::wraps(data).unwrap();
            let edition = &mailing.editions[0];
            for (part, registry) in [(&edition.html, &edition.escaping), (&edition.text, &edition.plain)] {
                let job = || Job::new(&mailing, &profile, &envelope, &keyring);
                let (mut ours, ours_job) = (Draft::default(), job());
                let done = part.program.run(registry, &ours_job, &context, &mut ours);
                let (mut theirs, theirs_job) = (Draft::default(), job());
                let whole = Template::compile(part.source.text()).unwrap();
                let mut calls = RenderContext::new(None);
                register(&mut calls, &theirs_job);
                let expected = whole.render(registry, &context, &mut calls, &mut theirs);
                prop_assert_eq!(ours.text(), theirs.text());
                prop_assert_eq!(ours.is_seven_bit(), theirs.is_seven_bit());
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
