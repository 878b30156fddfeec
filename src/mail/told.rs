//! Reports in words: which addresses they are about, and what they say of each.

use super::address::{Found, addresses, plain};
use super::letter::{Holds, Letter};
use crate::domain::inbound::{Sign, Stage, sign};

/// More than a report names.
const MOST_ADDRESSES: usize = 200;

/// So many lines of a report are read.
const MOST_LINES: usize = 600;

/// What the text of a report says.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The media type of the part that was read.
    pub(super) media: String,
    /// The text before the returned mail.
    pub(super) words: String,
    /// The addresses in the order of the text, each with the words that follow it.
    pub(super) entries: Vec<(String, String)>,
    /// How surely the text is about them; `None` when it names nobody, and the returned mail does.
    pub(super) place: Option<Place>,
}

impl Told {
    /// What is said of this address; all that is said, where nothing is said of it alone.
    pub(super) fn about(&self, address: &str) -> &str {
        let own = self.entries.iter().find(|(own, _)| own.eq_ignore_ascii_case(address));
        own.map(|(_, words)| words.as_str()).filter(|words| says_something(words)).unwrap_or(&self.words)
    }
}

/// Reads the words for people.
pub(super) fn read(letter: &Letter<'_>) -> Told {
    let mut told = Told::default();
    let mut returned_to = letter.returned_to();
    for part in letter.parts.iter().take_while(|part| part.holds != Holds::Returned) {
        if !matches!(part.holds, Holds::Text | Holds::Html) {
            continue;
        }
        if told.media.is_empty() {
            told.media.clone_from(&part.media);
        }
        let text: Vec<&str> =
            part.text.lines().map(|line| line.trim_end_matches(['\r', '\0'])).take(MOST_LINES).collect();
        let end = text.iter().position(|line| is_copy(line)).unwrap_or(text.len());
        for line in &text[..end] {
            told.words.push_str(line);
            told.words.push('\n');
        }
        if returned_to.is_empty() {
            let to = text[end..]
                .iter()
                .take(80)
                .find(|line| line.get(..3).is_some_and(|name| name.eq_ignore_ascii_case("to:")));
            returned_to.extend(to.iter().flat_map(|line| addresses(line)).map(|found| plain(found.address)));
        }
    }
    (told.entries, told.place) = entries(letter, &told.words, &returned_to);
    // Addresses in a list, with a transcript below it.
    if told.entries.len() > 1 && told.entries.iter().any(|(_, words)| !says_something(words)) {
        for (address, words) in &mut told.entries {
            let mentions = mentions(&told.words, address);
            if says_something(&mentions) {
                *words = mentions;
            }
        }
    }
    told
}

/// The lines that name this address and say more, and what a server answers there.
fn mentions(words: &str, address: &str) -> String {
    let mut said = String::new();
    let mut follows = false;
    for line in words.lines() {
        let named = addresses(line).any(|found| found.address.eq_ignore_ascii_case(address));
        follows = named || follows && line.trim_start().starts_with("<<<");
        if follows && line.split_whitespace().nth(1).is_some() {
            said.push_str(line);
            said.push('\n');
        }
    }
    said
}

/// In a transcript, the first refusal of the server: lines that begin with `<<<`.
pub(super) fn answered(words: &str) -> Option<String> {
    let refusal = |line: &&str| {
        line.trim_start().strip_prefix("<<<").is_some_and(|said| said.trim_start().starts_with(['4', '5']))
    };
    let said: Vec<&str> = words.lines().skip_while(|line| !refusal(line)).take_while(refusal).collect();
    (!said.is_empty()).then(|| said.join("\n"))
}

fn is_copy(line: &str) -> bool {
    // Most lines have none of the marks that every rule asks for.
    line.len() < 300 && sign(Sign::Copy, line).is_some()
}

/// How surely a report is about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// It stands anywhere.
    Inside,
    /// Words before or after it say so.
    Named,
    /// It begins a line.
    First,
}

fn entries(letter: &Letter<'_>, words: &str, returned_to: &[String]) -> (Vec<(String, String)>, Option<Place>) {
    let mut found: Vec<(Place, Found<'_>)> = Vec::new();
    let mut begin = 0;
    for line in words.split_inclusive('\n') {
        for mut address in addresses(line).take(8) {
            if found.len() >= MOST_ADDRESSES || is_system(address.address) {
                continue;
            }
            let returned = returned_to.iter().any(|to| to.eq_ignore_ascii_case(address.address));
            if letter.is_own(address.address) && !returned {
                continue;
            }
            let place = place(line, &address);
            address.range = begin + address.range.start..begin + address.range.end;
            found.push((place, address));
        }
        begin += line.len();
    }
    let Some(best) = found.iter().map(|(place, _)| *place).max() else {
        return (returned_to.iter().take(1).map(|to| (to.clone(), String::new())).collect(), None);
    };
    // Where addresses merely stand in the text, those of the returned mail are meant.
    let is_returned = |found: &Found<'_>| returned_to.iter().any(|to| to.eq_ignore_ascii_case(found.address));
    let narrow = best == Place::Inside && found.iter().any(|(_, found)| is_returned(found));
    found.retain(|(place, found)| *place == best && (!narrow || is_returned(found)));
    let ends: Vec<usize> = found.iter().skip(1).map(|(_, next)| next.range.start).chain([words.len()]).collect();
    let mut entries: Vec<(String, String)> = Vec::new();
    for ((_, found), end) in found.iter().zip(ends) {
        let address = plain(found.address);
        let said = words.get(found.range.end..end).unwrap_or_default();
        match entries.iter_mut().find(|(own, _)| own.eq_ignore_ascii_case(&address)) {
            Some((_, own)) => own.push_str(said),
            None => entries.push((address, said.to_owned())),
        }
    }
    (entries, Some(best))
}

fn place(line: &str, found: &Found<'_>) -> Place {
    let before = &line[..found.range.start];
    let bare = before.trim_start().trim_start_matches(['<', '>', '*', '-', '"', '\'', ' ', '\t', '[', '(']);
    if bare.is_empty() && !before.contains("<<<") {
        return Place::First;
    }
    let start = (0..=before.len().saturating_sub(80)).rev().find(|at| before.is_char_boundary(*at)).unwrap_or_default();
    if sign(Sign::AddressWords, before[start..].trim_end()).is_some() {
        return Place::Named;
    }
    let after = line[found.range.end..].trim_end();
    let is_alone = after.trim_start_matches(['>', ')', ' ']).is_empty();
    match !is_alone && after.len() < 400 && sign(Sign::AddressWords, after).is_some() {
        true => Place::Named,
        false => Place::Inside,
    }
}

/// Addresses of mail systems, which no report is about.
fn is_system(address: &str) -> bool {
    let local = address.split('@').next().unwrap_or_default().to_ascii_lowercase();
    matches!(local.as_str(), "mailer-daemon" | "abuse" | "noc" | "helpdesk" | "support" | "double-bounce")
}

fn says_something(words: &str) -> bool {
    words.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).take(2).count() == 2
}

/// At which step a server refused.
pub(super) fn stage(words: &str) -> Stage {
    let flat: String = words.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    let flat = flat.get(..4_000).unwrap_or(&flat);
    for (mark, stage) in [
        (Sign::StageData, Stage::Data),
        (Sign::StageRcpt, Stage::Rcpt),
        (Sign::StageMail, Stage::Mail),
        (Sign::StageConnect, Stage::Connect),
    ] {
        if sign(mark, flat).is_some() {
            return stage;
        }
    }
    Stage::Unsaid
}
