//! `[[attachment]]`: files that a mail carries.

use super::binary::{FILES, decoded_size};
use super::files::{ProjectFiles, stays_inside};
use super::problem::Complaint;
use super::reader::Section;
use super::value::Field;
use crate::domain::campaign::Attachment;
use crate::domain::media::media_type;

/// A mail with a file larger than this is warned about.
const LARGE: usize = 1_024 * 1_024;

/// Reads the section's attachments.
pub(super) fn read(section: &Section<'_>, files: &ProjectFiles) -> Vec<Attachment> {
    let read = |item: &Section<'_>| {
        let field = item.required("file", "file = \"files/agenda.pdf\"");
        let named = item.parsed("name", name);
        let typed = item.parsed("type", media);
        let file = file(&field?, files)?;
        let own = file.rsplit('/').next().unwrap_or(&file).to_owned();
        let media = typed.unwrap_or_else(|| media_type(&file).unwrap_or("application/octet-stream").to_owned());
        Some(Attachment { name: named.unwrap_or(own), media, file })
    };
    section.each("attachment", read).into_iter().flatten().collect()
}

fn file(field: &Field<'_>, files: &ProjectFiles) -> Option<String> {
    let path = field.parsed(|text| {
        let inside = stays_inside(text) && text.strip_prefix(FILES).is_some_and(|rest| rest.starts_with('/'));
        let complaint = Complaint::new("an attachment is a file under files/").hint("as in files/agenda.pdf");
        if inside { Ok(text) } else { Err(complaint) }
    })?;
    match files.read_encoded(path) {
        Ok(Some(encoded)) => {
            let size = decoded_size(&encoded);
            if size > LARGE {
                let megabytes = size as f64 / LARGE as f64;
                let complaint = Complaint::new(format!("everybody gets these {megabytes:.1} MB"));
                field.warn(complaint.hint("a link to the file is lighter, and tells who wants it"));
            }
            return Some(path.to_owned());
        }
        Ok(None) => field.error(format!("there is no file {path}")),
        Err(error) => field.error(error.to_string()),
    }
    None
}

fn name(text: &str) -> Result<String, Complaint> {
    let fits = !text.trim().is_empty() && text.len() <= 200 && !text.contains(['/', '\\']);
    if fits && !text.contains(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(Complaint::new("a file's name is one line of up to 200 octets without slashes").hint("as in Agenda.pdf"))
}

/// A media type (RFC 2045 §5.1) that a file can have.
fn media(text: &str) -> Result<String, Complaint> {
    let token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+._".contains(&b));
    let text = text.to_ascii_lowercase();
    match text.split_once('/') {
        Some((kind, sub)) if token(kind) && token(sub) && !matches!(kind, "multipart" | "message") => Ok(text),
        _ => Err(Complaint::new(format!("'{text}' is not the type of a file")).hint("as in application/pdf")),
    }
}
