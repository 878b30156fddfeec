//! Pictures that stand among the templates: each goes with the mail and is shown from there, or is linked and shown from
//! where its version is served.

use std::collections::BTreeMap;
use std::ops::Range;

use super::html::Event;
use super::mime::Enclosure;
use super::problem::{TemplateProblem, nearest, problem};
use super::traced::Traced;
use crate::domain::media::{is_image, media_type, picture_id};

/// What was found in an HTML text.
#[derive(Default)]
pub(super) struct Images {
    /// What stands for the pictures' addresses.
    pub edits: Vec<(Range<usize>, String)>,
    /// Each picture that goes with the mail, once.
    pub embedded: Vec<Enclosure>,
    /// Each picture that is linked, once; its id is its address.
    pub linked: Vec<Enclosure>,
}

/// How a reader gets a campaign's pictures.
#[derive(Clone, Copy)]
pub(super) enum Way<'a> {
    /// With the mail; the domain makes their names unique in the world.
    Embedded { domain: &'a str },
    /// From below this address, without trailing slash.
    Linked { base_url: &'a str },
}

/// Finds `<img src="images/logo.png">`, a path under `templates/`; `files` holds the pictures in lines of base64.
pub(super) fn find(
    source: &Traced,
    events: &[Event],
    files: &BTreeMap<String, String>,
    way: Way<'_>,
    problems: &mut Vec<TemplateProblem>,
) -> Images {
    let mut images = Images::default();
    for event in events {
        let Event::Start(start) = event else { continue };
        let Some(src) = start.attribute("src").filter(|_| start.name == "img") else { continue };
        let written = source.text()[src.value.clone()].trim();
        if !is_local(written) {
            continue;
        }
        let known = || files.keys().filter(|p| is_image(p)).filter_map(|p| p.strip_prefix("templates/"));
        let path = format!("templates/{written}");
        let (Some(encoded), true, Some(media)) = (files.get(&path), is_image(&path), media_type(&path)) else {
            let hint = nearest(written, known()).map_or_else(
                || {
                    "write its whole address, https://…, or put it under templates/ as gif, jpg, png, svg or webp"
                        .into()
                },
                |near| format!("did you mean '{near}'?"),
            );
            problems.push(problem(&source.place(src.value.start), format!("there is no picture '{path}'"), Some(hint)));
            continue;
        };
        let name = written.rsplit('/').next().unwrap_or(written);
        let hash = picture_id(encoded);
        let (id, shown, list) = match way {
            Way::Embedded { domain } => {
                let id = format!("{hash}@{domain}");
                (id.clone(), format!("cid:{id}"), &mut images.embedded)
            }
            Way::Linked { base_url } => {
                let ending = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
                let url = format!("{base_url}/i/{hash}.{ending}");
                (url.clone(), url, &mut images.linked)
            }
        };
        images.edits.push((src.value.clone(), shown));
        if list.iter().all(|image| image.id != id) {
            list.push(Enclosure::image(id, media, name, encoded));
        }
    }
    images
}

/// Whether an address names a file, neither something elsewhere nor what only a message knows.
fn is_local(written: &str) -> bool {
    let scheme = written.split(['/', '?', '#']).next().unwrap_or("").contains(':');
    !written.is_empty() && !scheme && !written.starts_with(['/', '#', '{']) && !written.contains("{{")
}
