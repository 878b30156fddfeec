//! Where a campaign's file says something, so that what is wrong with a subject is shown there.

use toml::de::DeTable;

use super::traced::Place;

/// The beginning of the text under these keys, without its quotes; the beginning of the file where it is
/// not found. Behind an escape in it, columns are too small.
pub(super) fn place(path: &str, text: Option<&str>, keys: &[&str]) -> Place {
    let start = Place::start(path);
    let Some(text) = text else { return start };
    let (table, _) = DeTable::parse_recoverable(text);
    let mut table = Some(table.get_ref());
    let mut span = None;
    for key in keys {
        let Some(here) = table else { return start };
        let found = here.iter().find(|(name, _)| name.get_ref().eq_ignore_ascii_case(key));
        let Some((_, value)) = found else { return start };
        span = Some(value.span());
        table = value.get_ref().as_table();
    }
    let Some(before) = span.and_then(|span| text.get(..span.start)) else { return start };
    let quotes = text[before.len()..].chars().take_while(|c| matches!(c, '"' | '\'')).take(1).count();
    let place = start.after(before);
    Place { column: place.column + quotes, ..place }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_under_its_keys() {
        let text = "topic = \"x\"\nsubject   = 'Hi'\n[language.de-AT]\nsubject = \"Grüß {{gott}}\"\n";
        let at = |keys: &[&str]| {
            let place = place("c.toml", Some(text), keys);
            (place.line, place.column)
        };
        assert_eq!(at(&["subject"]), (2, 14));
        assert_eq!(at(&["language", "de-at", "subject"]), (4, 12));
        assert_eq!(at(&["language", "fr", "subject"]), (1, 1));
        assert_eq!(at(&["preheader"]), (1, 1));
    }
}
