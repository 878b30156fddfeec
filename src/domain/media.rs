//! What a file holds, by the ending of its name (IANA media types).

use aws_lc_rs::digest;

use super::hex::hex;

/// Endings and types.
const TYPES: [(&str, &str); 25] = [
    ("csv", "text/csv"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("epub", "application/epub+zip"),
    ("gif", "image/gif"),
    ("gpx", "application/gpx+xml"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ics", "text/calendar"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain"),
    ("vcf", "text/vcard"),
    ("webp", "image/webp"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("zip", "application/zip"),
];

/// The type of a file of that name.
#[must_use]
pub fn media_type(path: &str) -> Option<&'static str> {
    let (_, ending) = path.rsplit_once('.')?;
    TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(ending)).map(|(_, media)| *media)
}

/// What names a picture by its content, in lines of base64: half of its SHA-256, in hexadecimal.
#[must_use]
pub fn picture_id(encoded: &str) -> String {
    let hash = digest::digest(&digest::SHA256, encoded.as_bytes());
    hex(&hash.as_ref()[..16])
}

/// Whether a mail can show a file of that name as a picture.
#[must_use]
pub fn is_image(path: &str) -> bool {
    media_type(path).is_some_and(|media| media.starts_with("image/"))
}
