//! Which language fits a wish best.

/// The recipient's attribute that names their language (BCP 47).
pub const ATTRIBUTE: &str = "language";

/// The index of the tag that fits best: the wish itself, or what is left of it after its last parts were
/// taken off one by one (RFC 4647 §3.4).
#[must_use]
pub fn lookup(wished: &str, tags: &[&str]) -> Option<usize> {
    let mut range = wished.trim().replace('_', "-");
    while !range.is_empty() {
        if let Some(found) = tags.iter().position(|tag| tag.eq_ignore_ascii_case(&range)) {
            return Some(found);
        }
        let end = range.rfind('-')?;
        range.truncate(end);
        // A single letter or digit says something about what followed it.
        if range.len() >= 2 && range.as_bytes()[range.len() - 2] == b'-' {
            range.truncate(range.len() - 2);
        }
    }
    None
}

/// As [`lookup`]; where that finds nothing, the first tag of the same language: readers of Portuguese would
/// rather read that of Brazil than another language.
#[must_use]
pub fn nearest(wished: &str, tags: &[&str]) -> Option<usize> {
    fn primary(tag: &str) -> &str {
        tag.trim().split(['-', '_']).next().unwrap_or_default()
    }
    lookup(wished, tags).or_else(|| {
        let same = |tag: &&str| primary(tag).eq_ignore_ascii_case(primary(wished));
        tags.iter().position(same)
    })
}

/// The language ranges of an Accept-Language header (RFC 9110 §12.5.4), the best liked first; refused and
/// unreadable ones are left out.
#[must_use]
pub fn wishes(header: &str) -> Vec<&str> {
    let read = |wish| {
        let (tag, quality) = match str::split_once(wish, ";") {
            Some((tag, parameter)) => (tag, parameter.trim().strip_prefix("q=")?.trim().parse::<f64>().ok()?),
            None => (wish, 1.0),
        };
        (quality > 0.0).then_some((tag.trim(), quality))
    };
    let mut wishes: Vec<_> = header.split(',').filter_map(read).collect();
    wishes.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    wishes.into_iter().map(|(tag, _)| tag).collect()
}

/// What speakers of a language call it, with its region; the tag where that is not known here.
#[must_use]
pub fn own_name(tag: &str) -> String {
    let (language, rest) = tag.split_once('-').unwrap_or((tag, ""));
    let Some((_, name)) = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(language)) else {
        return tag.to_owned();
    };
    if rest.is_empty() { (*name).to_owned() } else { format!("{name} ({rest})") }
}

/// As the languages write their own names.
const NAMES: [(&str, &str); 34] = [
    ("ar", "العربية"),
    ("bg", "Български"),
    ("ca", "Català"),
    ("cs", "Čeština"),
    ("da", "Dansk"),
    ("de", "Deutsch"),
    ("el", "Ελληνικά"),
    ("en", "English"),
    ("es", "Español"),
    ("et", "Eesti"),
    ("fi", "Suomi"),
    ("fr", "Français"),
    ("he", "עברית"),
    ("hr", "Hrvatski"),
    ("hu", "Magyar"),
    ("it", "Italiano"),
    ("ja", "日本語"),
    ("ko", "한국어"),
    ("lt", "Lietuvių"),
    ("lv", "Latviešu"),
    ("nb", "Norsk"),
    ("nl", "Nederlands"),
    ("no", "Norsk"),
    ("pl", "Polski"),
    ("pt", "Português"),
    ("ro", "Română"),
    ("ru", "Русский"),
    ("sk", "Slovenčina"),
    ("sl", "Slovenščina"),
    ("sr", "Српски"),
    ("sv", "Svenska"),
    ("tr", "Türkçe"),
    ("uk", "Українська"),
    ("zh", "中文"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_language_above_the_wished_one_is_found() {
        let tags = ["en-GB", "de", "de-CH", "zh-Hant"];
        for (wished, found) in [
            ("de-AT", Some("de")),
            ("de-ch", Some("de-CH")),
            ("DE_ch_1996", Some("de-CH")),
            ("de", Some("de")),
            ("en-GB-x-mine", Some("en-GB")),
            ("zh-Hant-TW", Some("zh-Hant")),
            ("en", None),
            ("en-US", None),
            ("fr", None),
            ("", None),
            ("-", None),
            (" ", None),
        ] {
            assert_eq!(lookup(wished, &tags).map(|i| tags[i]), found, "{wished}");
        }
        assert_eq!(nearest("en-US", &tags), Some(0));
        assert_eq!(nearest("", &tags), None);
    }

    #[test]
    fn a_language_is_called_as_its_speakers_call_it() {
        assert_eq!(["de", "pt-BR", "tlh"].map(own_name), ["Deutsch", "Português (BR)", "tlh"]);
    }

    #[test]
    fn wishes_come_in_the_order_of_their_weight() {
        assert_eq!(wishes("fr, en;q=0.5, de; q=0.7"), ["fr", "de", "en"]);
        assert_eq!(wishes("de-AT,de;q=0.9,en;q=0.8"), ["de-AT", "de", "en"]);
        assert_eq!(wishes("fr;q=x, de;q=0, it;x=1"), [""; 0]);
        assert_eq!(wishes("it;q=nan"), [""; 0]);
    }
}
