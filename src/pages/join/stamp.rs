//! What a form carries to show that it came from here, when, and how hard its browser has worked.
//!
//! A stamp is signed and says when the form was made, which topics and words it showed, how many bits of work it asks
//! for, and, where somebody is to wait instead, for which address. The work is a number that makes SHA-256 of stamp, address and number begin
//! with so many zero bits, so that it cannot be used for another address.

use std::time::Duration;

use aws_lc_rs::constant_time;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::time::Micros;
use crate::domain::token::Keyring;

/// People take longer than this to fill a form in.
const QUICKEST: Duration = Duration::from_secs(2);
/// A form that is older is shown anew.
const OLDEST: Duration = Duration::from_secs(24 * 3_600);
/// Whoever cannot work waits so long.
pub const WAIT: Duration = Duration::from_secs(120);
/// A browser finds the number in about a second.
pub const BITS: u8 = 17;

const LABEL: &str = "join-form";
const BODY: usize = 1 + 8 + 1 + 16 + 16;
const TAG: usize = 16;

/// What a stamp says of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was filled in by somebody who took their time, and worked where that was asked.
    Fine,
    /// The same, by somebody who waited instead of working.
    Waited,
    /// It did not come from here, or long ago, or showed other words, or it came back faster than a person writes.
    Again,
    /// It has to be worked or waited for.
    Work,
}

/// A stamp for a form that shows these topics and words; for `address` where the reader may wait instead of working.
pub fn stamp(keys: &Keyring, at: Micros, bits: u8, address: Option<&str>, shown: &str) -> String {
    let mut body = vec![keys.newest_key()];
    body.extend(at.0.to_be_bytes());
    body.push(bits);
    body.extend(address.map_or([0; 16], short));
    body.extend(short(shown));
    let tag = keys.digest(keys.newest_key(), LABEL, &body).unwrap_or_default();
    body.extend(&tag[..TAG]);
    URL_SAFE_NO_PAD.encode(body)
}

/// Judges what came back, while a form would show `shown`. With `bits` above zero work is asked of everybody.
pub fn judge(
    keys: &Keyring,
    now: Micros,
    bits: u8,
    shown: &str,
    (stamp, address, work): (&str, &str, &str),
) -> Verdict {
    let Some(Stamp { at, bits: asked, bound, shown: saw }) = read(keys, stamp) else { return Verdict::Again };
    let age = now.since(at);
    if at > now || saw != short(shown) || !(QUICKEST..=OLDEST).contains(&age) {
        return Verdict::Again;
    }
    if bits == 0 || asked >= bits && has_worked(stamp, address, work, asked) {
        return Verdict::Fine;
    }
    if bound == short(address) && age >= WAIT { Verdict::Waited } else { Verdict::Work }
}

/// What a stamp says.
struct Stamp {
    at: Micros,
    bits: u8,
    bound: [u8; 16],
    shown: [u8; 16],
}

fn read(keys: &Keyring, stamp: &str) -> Option<Stamp> {
    let bytes = URL_SAFE_NO_PAD.decode(stamp).ok().filter(|bytes| bytes.len() == BODY + TAG)?;
    let (body, tag) = bytes.split_at(BODY);
    let expected = keys.digest(body[0], LABEL, body)?;
    constant_time::verify_slices_are_equal(&expected[..TAG], tag).ok()?;
    let at = Micros(i64::from_be_bytes(body[1..9].try_into().ok()?));
    Some(Stamp { at, bits: body[9], bound: body[10..26].try_into().ok()?, shown: body[26..].try_into().ok()? })
}

fn short(text: &str) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&digest(&SHA256, text.as_bytes()).as_ref()[..16]);
    short
}

/// Whether SHA-256 of `STAMP:ADDRESS:WORK` begins with so many zero bits.
fn has_worked(stamp: &str, address: &str, work: &str, bits: u8) -> bool {
    if work.is_empty() || work.len() > 20 {
        return false;
    }
    let hash = digest(&SHA256, format!("{stamp}:{address}:{work}").as_bytes());
    let first: [u8; 8] = hash.as_ref()[..8].try_into().unwrap_or([u8::MAX; 8]);
    u64::from_be_bytes(first).leading_zeros() >= u32::from(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: &str = "anna@example.org";
    const WORDS: &str = "I would like to get mails.";

    fn keys() -> Keyring {
        Keyring::new([(1, [7; 32].as_slice())])
    }

    fn after(seconds: u64) -> Micros {
        Micros(1_000_000).plus(Duration::from_secs(seconds))
    }

    fn solve(stamp: &str, address: &str) -> String {
        (0_u64..).map(|n| n.to_string()).find(|work| has_worked(stamp, address, work, BITS)).unwrap()
    }

    #[test]
    fn a_form_is_taken_when_a_person_took_their_time() {
        let stamp = stamp(&keys(), after(0), 0, None, WORDS);
        let judge = |seconds| judge(&keys(), after(seconds), 0, WORDS, (&stamp, ANNA, ""));
        assert_eq!([0, 1, 2, 86_400, 86_401].map(judge), {
            use Verdict::{Again, Fine};
            [Again, Again, Fine, Fine, Again]
        });
    }

    #[test]
    fn a_form_that_showed_other_words_is_shown_anew() {
        let stamp = stamp(&keys(), after(0), BITS, None, WORDS);
        let work = solve(&stamp, ANNA);
        let judge = |shown| judge(&keys(), after(9), BITS, shown, (&stamp, ANNA, &work));
        assert_eq!([WORDS, "I would like to get more mails.", ""].map(judge), {
            use Verdict::{Again, Fine};
            [Fine, Again, Again]
        });
    }

    #[test]
    fn a_forged_or_cut_stamp_is_none() {
        let good = stamp(&keys(), after(0), 0, None, WORDS);
        let swapped = format!("{}{}", if good.starts_with('B') { 'C' } else { 'B' }, &good[1..]);
        let foreign = stamp(&Keyring::new([(1, [8; 32].as_slice())]), after(0), 0, None, WORDS);
        for bad in ["", "x", &good[..good.len() - 2], &swapped, &foreign, "ü", &"A".repeat(5_000)] {
            assert_eq!(judge(&keys(), after(9), 0, WORDS, (bad, ANNA, "")), Verdict::Again, "{bad}");
        }
    }

    #[test]
    fn work_counts_for_one_stamp_and_one_address() {
        let keys = keys();
        let (one, other) = [0, 1].map(|second| stamp(&keys, after(second), BITS, None, WORDS)).into();
        let work = solve(&one, ANNA);
        let judge = |stamp: &str, address, work: &str| judge(&keys, after(9), BITS, WORDS, (stamp, address, work));
        assert_eq!(judge(&one, ANNA, &work), Verdict::Fine);
        assert_eq!(judge(&one, "bert@example.org", &work), Verdict::Work);
        assert_eq!(judge(&other, ANNA, &work), Verdict::Work);
        assert_eq!(judge(&one, ANNA, ""), Verdict::Work);
        let easy = stamp(&keys, after(0), 1, None, WORDS);
        let little = (0..).map(|n: u32| n.to_string()).find(|work| has_worked(&easy, ANNA, work, 1)).unwrap();
        assert_eq!(judge(&easy, ANNA, &little), Verdict::Work, "a form from quieter times asks for too little");
    }

    #[test]
    fn whoever_cannot_work_may_wait_for_one_address() {
        let keys = keys();
        let stamp = stamp(&keys, after(0), BITS, Some(ANNA), WORDS);
        let judge = |seconds, address| judge(&keys, after(seconds), BITS, WORDS, (&stamp, address, ""));
        assert_eq!(judge(119, ANNA), Verdict::Work);
        assert_eq!(judge(120, ANNA), Verdict::Waited);
        assert_eq!(judge(500, "bert@example.org"), Verdict::Work);
    }
}
