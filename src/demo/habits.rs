//! What a reader does with a letter, and when: pure, by the reader's own dice.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::crowd::{Mailbox, Reader};
use super::letter::{Letter, Vocabulary};

/// How a request asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Follows a link or loads a picture.
    Get,
    /// Looks where a link leads.
    Head,
    /// Leaves with one click (RFC 8058).
    OneClick,
}

/// One request that somebody or something will make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// How long after delivery.
    pub after: Duration,
    /// How.
    pub ask: Ask,
    /// Where.
    pub url: String,
    /// What the client calls itself.
    pub user_agent: &'static str,
    /// The client's address as the proxy in front of the service tells it.
    pub client: [u8; 4],
}

/// Nobody looks at a mail later than this.
pub const LAST_LOOK: Duration = Duration::from_secs(6 * 86_400);
/// Hours after which half of those who open a mail have opened it.
const MEDIAN_HOURS: f64 = 18.0;
/// The probability that a link beside the interest is followed, of an opened mail.
const CURIOSITY: f64 = 0.05;
/// The probability that an opened mail is the last.
const LEAVES: f64 = 0.012;

const BROWSERS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 Safari/605.1.15",
    "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
];
const THUNDERBIRD: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0";
const IMAGE_PROXY: &str = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
const PREFETCHER: &str = "Mozilla/5.0";
const IPHONE: &str =
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148";
/// Scanners that want to see what readers will see do not tell their name.
const DISGUISED: &str = BROWSERS[0];

/// What happens to a letter. Only addresses that begin with `base` are visited: the world beyond
/// stays in peace.
#[must_use]
pub fn visits(reader: &Reader, letter: &Letter, words: &Vocabulary, base: &str) -> Vec<Visit> {
    let seed = letter.campaign.bytes().fold(reader.seed, |seed, byte| seed.rotate_left(8) ^ u64::from(byte));
    let mut dice = StdRng::seed_from_u64(seed);
    let mut visits = Vec::new();
    if reader.mailbox == Mailbox::Scanned {
        scan(letter, &mut dice, &mut visits);
    }
    if reader.mailbox == Mailbox::Prefetched {
        let after = minutes(dice.random_range(2.0..90.0));
        visits.extend(letter.pixel.clone().map(|url| get(after, url, PREFETCHER, [17, 58, 0, 1])));
    }
    if dice.random_bool(reader.opens) {
        read(reader, letter, words, &mut dice, &mut visits);
    }
    visits.retain(|visit| visit.url.starts_with(base));
    visits
}

/// A gateway looks at every link before it lets the mail through.
fn scan(letter: &Letter, dice: &mut StdRng, visits: &mut Vec<Visit>) {
    let ask = if dice.random_bool(0.5) { Ask::Head } else { Ask::Get };
    let client = [203, 0, 113, 25];
    let links = letter.links.iter().map(|link| link.href.clone());
    visits.extend(links.map(|url| Visit { after: Duration::ZERO, ask, url, user_agent: DISGUISED, client }));
}

fn read(reader: &Reader, letter: &Letter, words: &Vocabulary, dice: &mut StdRng, visits: &mut Vec<Visit>) {
    // Half by the median, half of the rest by twice the median, and so on.
    let hours = -MEDIAN_HOURS * (1.0 - dice.random::<f64>()).log2();
    let mut now = minutes(hours * 60.0 + 5.0).min(LAST_LOOK);
    let client = [198, 51, dice.random_range(0..=255), dice.random_range(1..=254)];
    let browser = match reader.mailbox {
        Mailbox::Prefetched => IPHONE,
        _ => BROWSERS[dice.random_range(0..BROWSERS.len())],
    };
    let loads = match reader.mailbox {
        // The provider has loaded the pictures already.
        Mailbox::Prefetched => None,
        Mailbox::ImageProxy => Some((IMAGE_PROXY, [66, 249, 93, 1])),
        _ => dice.random_bool(0.9).then_some((THUNDERBIRD, client)),
    };
    if let (Some((agent, from)), Some(pixel)) = (loads, &letter.pixel) {
        visits.push(get(now, pixel.clone(), agent, from));
    }
    for link in &letter.links {
        let Some(about) = words.about(link) else { continue };
        let follows = if about == reader.interest { reader.follows } else { CURIOSITY };
        if dice.random_bool(follows) {
            now += minutes(dice.random_range(5.0..40.0));
            visits.push(get(now, link.href.clone(), browser, client));
        }
    }
    if let Some(url) = letter.one_click.clone().filter(|_| dice.random_bool(LEAVES)) {
        let after = now + minutes(5.0);
        visits.push(Visit { after, ask: Ask::OneClick, url, user_agent: browser, client });
    }
}

fn get(after: Duration, url: String, user_agent: &'static str, client: [u8; 4]) -> Visit {
    Visit { after, ask: Ask::Get, url, user_agent, client }
}

fn minutes(minutes: f64) -> Duration {
    Duration::from_secs_f64(minutes * 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::crowd::Crowd;
    use crate::demo::letter::Link;

    const BASE: &str = "http://t.example";

    fn letter() -> (Letter, Vocabulary) {
        let texts = ["running", "trail", "hiking", "cycling"];
        let link = |about: &str| Link { href: format!("{BASE}/c/{about}"), text: about.to_owned(), category: None };
        let plain = Link { href: "https://shop.example/".to_owned(), text: "running".to_owned(), category: None };
        let links = texts.iter().map(|about| link(about)).chain([plain]).collect();
        let mut words = Vocabulary::default();
        words.learn(texts.map(|about| (about, about)));
        let pixel = Some(format!("{BASE}/o/1.gif"));
        (
            Letter { campaign: "c".into(), links, pixel, one_click: Some(format!("{BASE}/u/1")), ..Letter::default() },
            words,
        )
    }

    #[test]
    fn readers_mostly_follow_what_they_care_about_and_always_do_the_same() {
        let (letter, words) = letter();
        let (mut own, mut other) = (0, 0);
        for reader in Crowd::draw(2_000, 3).readers() {
            let found = visits(reader, &letter, &words, BASE);
            assert_eq!(found, visits(reader, &letter, &words, BASE));
            for visit in found.iter().filter(|v| v.url.contains("/c/") && !v.after.is_zero()) {
                if visit.url.ends_with(reader.interest) { own += 1 } else { other += 1 }
            }
        }
        assert!(own > 3 * other && other > 0, "{own} against {other}");
    }

    #[test]
    fn nobody_is_visited_but_the_service_and_nobody_is_too_late() {
        let (letter, words) = letter();
        let crowd = Crowd::draw(2_000, 3);
        let all: Vec<_> = crowd.readers().iter().flat_map(|r| visits(r, &letter, &words, BASE)).collect();
        assert!(all.iter().all(|visit| visit.url.starts_with(BASE)));
        assert!(all.iter().all(|visit| visit.after < LAST_LOOK + minutes(5.0 * 40.0)));
        assert!(all.iter().any(|visit| visit.ask == Ask::OneClick) && all.iter().any(|visit| visit.ask == Ask::Head));
    }

    #[test]
    fn a_scanner_looks_at_every_link_at_once() {
        let (letter, words) = letter();
        let crowd = Crowd::draw(2_000, 3);
        for reader in crowd.readers().iter().filter(|r| r.mailbox == Mailbox::Scanned) {
            let at_once = visits(reader, &letter, &words, BASE).into_iter().filter(|v| v.after.is_zero()).count();
            assert_eq!(at_once, 4);
        }
    }
}
