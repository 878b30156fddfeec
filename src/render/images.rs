//! Pictures that stand among the templates: each goes with the mail and is shown from there.

use std::collections::BTreeMap;
use std::ops::Range;

use aws_lc_rs::digest;

use super::html::Event;
use super::mime::Enclosure;
use super::problem::{TemplateProblem, nearest, problem};
use super::traced::Traced;
use crate::domain::media::{is_image, media_type};

/// What was found in an HTML text.
#[derive(Default)]
pub(super) struct Images {
    /// What stands for the pictures' addresses.
    pub edits: Vec<(Range<usize>, String)>,
    /// Each picture once.
    pub list: Vec<Enclosure>,
}

/// Finds `<img src="images/logo.png">`, a path under `templates/`; `files` holds the pictures in lines of
/// base64, `domain` makes their names unique in the world.
pub(super) fn embed(
    source: &Traced,
    events: &[Event],
    files: &BTreeMap<String, String>,
    domain: &str,
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
        let hash = digest::digest(&digest::SHA256, encoded.as_bytes());
        let hash: String = hash.as_ref()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
        let id = format!("{hash}@{domain}");
        images.edits.push((src.value.clone(), format!("cid:{id}")));
        if images.list.iter().all(|image| image.id != id) {
            let name = written.rsplit('/').next().unwrap_or(written);
            images.list.push(Enclosure::image(id, media, name, encoded));
        }
    }
    images
}

/// Whether an address names a file, neither something elsewhere nor what only a message knows.
fn is_local(written: &str) -> bool {
    let scheme = written.split(['/', '?', '#']).next().unwrap_or("").contains(':');
    !written.is_empty() && !scheme && !written.starts_with(['/', '#', '{']) && !written.contains("{{")
}
