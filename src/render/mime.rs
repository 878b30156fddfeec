//! The parts of a message that are the same for everybody: pictures and attachments, made once.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Octets of a parameter in one line: with `filename*99*=` in front it stays within 78.
const SECTION: usize = 60;

/// A part, from its first field to its last line.
pub(super) struct Enclosure {
    /// Its Content-ID without brackets (RFC 2392); empty for an attachment.
    pub id: String,
    pub media: String,
    /// Fields, an empty line, lines of base64.
    pub part: Vec<u8>,
}

impl Enclosure {
    /// A picture that the HTML part shows by `cid:ID`; `encoded` are its lines of base64.
    pub fn image(id: String, media: &str, name: &str, encoded: &str) -> Self {
        Self::new(id, media, "inline", name, encoded)
    }

    /// A file to keep.
    pub fn attachment(media: &str, name: &str, encoded: &str) -> Self {
        Self::new(String::new(), media, "attachment", name, encoded)
    }

    fn new(id: String, media: &str, disposition: &str, name: &str, encoded: &str) -> Self {
        let mut part = format!("Content-Type: {media}\r\nContent-Transfer-Encoding: base64\r\n");
        if !id.is_empty() {
            let _ = write!(part, "Content-ID: <{id}>\r\n");
        }
        let _ = write!(part, "Content-Disposition: {disposition}");
        file_name(name, &mut part);
        part.push_str("\r\n\r\n");
        part.push_str(encoded);
        Self { id, media: media.to_owned(), part: part.into_bytes() }
    }

    /// The picture itself.
    pub fn octets(&self) -> Vec<u8> {
        let body = memchr::memmem::find(&self.part, b"\r\n\r\n").map_or(self.part.len(), |at| at + 4);
        let body: Vec<u8> = self.part[body..].iter().copied().filter(|octet| !b"\r\n".contains(octet)).collect();
        STANDARD.decode(body).unwrap_or_default()
    }
}

/// A file's name: as it is where it is short and ASCII, else by RFC 2231, in sections.
fn file_name(name: &str, out: &mut String) {
    if name.len() <= SECTION && name.bytes().all(|b| (b' '..127).contains(&b)) {
        let _ = write!(out, ";\r\n filename=\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
        return;
    }
    let mut sections = Vec::new();
    let mut section = "utf-8''".to_owned();
    // Parsers decode section by section, so that no character may be torn.
    for c in name.chars() {
        let mut octets = [0; 4];
        let plain = c.is_ascii_alphanumeric() || "-._".contains(c);
        let written = match plain {
            true => c.to_string(),
            false => c.encode_utf8(&mut octets).bytes().map(|byte| format!("%{byte:02X}")).collect(),
        };
        if section.len() + written.len() > SECTION {
            sections.push(std::mem::take(&mut section));
        }
        section.push_str(&written);
    }
    sections.push(section);
    if let [only] = &sections[..] {
        let _ = write!(out, ";\r\n filename*={only}");
        return;
    }
    for (i, section) in sections.iter().enumerate() {
        let _ = write!(out, ";\r\n filename*{i}*={section}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_length_and_script_is_written_in_short_lines() {
        for name in ["a.pdf", "a \"b\\c\".pdf", "Übersicht.pdf", &"жé😀-".repeat(15), &"x".repeat(200)] {
            let part = Enclosure::attachment("application/pdf", name, "cGRm\r\n").part;
            let text = String::from_utf8(part).unwrap();
            assert!(text.is_ascii() && text.split("\r\n").all(|line| line.len() <= 78), "{text}");
            let parsed = mail_parser::MessageParser::default().parse(text.as_bytes()).unwrap();
            let disposition = mail_parser::MimeHeaders::content_disposition(&parsed).unwrap();
            assert_eq!(disposition.attribute("filename"), Some(name), "{text}");
        }
    }
}
