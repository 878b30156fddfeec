//! Any bytes are a message: read without a panic, with bounded results that do not contradict each other.
#![no_main]

use colloquy::domain::inbound::{Consequence, Kind};
use colloquy::mail::{MOST_REPLY, classify, headers, reply_text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &[u8]| {
    let found = classify(raw);
    assert!(found.recipients.len() <= 1_000);
    assert!(found.evidence.words.len() <= 4_000);
    for own in &found.recipients {
        assert!(own.address.len() <= 320 && !own.address.contains(char::is_control), "{own:?}");
        assert!(own.evidence.words.len() <= 4_000);
        if own.consequence == Consequence::Dead {
            assert!(own.hard && own.reason.consequence() == Consequence::Dead, "{own:?}");
            assert_eq!(found.kind, Kind::Bounce, "{own:?}");
        }
        assert!(found.kind != Kind::AutoReply || own.consequence == Consequence::None, "{own:?}");
    }
    let header = headers(raw);
    assert!(header.envelope_recipients.len() <= 140 && header.references.len() <= 20);
    if let Some(words) = reply_text(raw) {
        assert!(!words.is_empty() && words.len() <= MOST_REPLY && !words.contains('\0'));
    }
    assert_eq!(classify(raw), found, "the same bytes come to the same");
});
