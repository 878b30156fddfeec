//! What kind of message it is, by its sender, subject and first words: the rules in `signs.txt`.

use std::sync::LazyLock;

use super::rules::Rules;

const LIST: &str = include_str!("signs.txt");

macro_rules! signs {
    ($($(#[$doc:meta])+ $name:ident $word:literal;)+) => {
        /// What a line of a message shows. The words are those of `signs.txt`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Sign { $($(#[$doc])+ $name,)+ }

        impl Sign {
            fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$name),)+ _ => None }
            }
        }

        /// The lists, in the order of the kinds.
        static RULES: LazyLock<Vec<Rules<&'static str>>> = LazyLock::new(|| {
            [$(Sign::$name),+].into_iter()
                .map(|sign| Rules::read(LIST, move |word, name| (Sign::parse(word)? == sign).then_some(name)))
                .collect()
        });
    };
}

signs! {
    /// The sender is a mail system.
    ReportSender "report-sender";
    /// A subject of delivery reports.
    ReportSubject "report-subject";
    /// Words of delivery reports.
    ReportWords "report-words";
    /// A subject or words by which a report says that it is still trying.
    DelayWords "delay-words";
    /// A line after which the returned mail comes.
    Copy "copy";
    /// A subject of automatic answers.
    AutoSubject "auto-subject";
    /// Words of automatic answers that ask the sender to prove to be a person.
    Challenge "challenge";
    /// Words by which somebody tells a new address.
    NewAddress "new-address";
    /// Words by which a provider passes on a complaint without the standard's form.
    ComplaintWords "complaint-words";
    /// A subject or first line that asks for no more mail.
    Unsubscribe "unsubscribe";
    /// Lines, joined, that say who wrote what is quoted below.
    Attribution "attribution";
    /// A line of the header that mail programs copy above a quoted mail.
    QuotedHeader "quoted-header";
    /// A line after which nothing of the writer's follows.
    ReplyEnd "reply-end";
    /// Words before or after the address that a report is about; the address is where `@` stands.
    AddressWords "address-words";
    /// A refusal at MAIL FROM.
    StageMail "stage-mail";
    /// A refusal at RCPT TO.
    StageRcpt "stage-rcpt";
    /// A refusal after DATA.
    StageData "stage-data";
    /// A refusal before MAIL FROM.
    StageConnect "stage-connect";
}

/// The first rule of that sign which fits the text.
#[must_use]
pub fn sign(sign: Sign, text: &str) -> Option<&'static str> {
    RULES.get(sign as usize)?.first(&text.to_ascii_lowercase()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_an_example_that_it_fits() {
        let mut rules = 0;
        let mut last = None;
        for line in LIST.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(example) = line.strip_prefix("= ") {
                let (word, name): (&str, &str) = last.take().expect("an example follows its rule");
                assert_eq!(sign(Sign::parse(word).unwrap(), example), Some(name), "{example}");
                continue;
            }
            assert_eq!(last, None, "a rule without example");
            let mut parts = line.split_whitespace();
            last = Some((parts.next().unwrap(), parts.next().unwrap()));
            rules += 1;
        }
        assert_eq!(last, None, "a rule without example");
        let read: usize = RULES.iter().map(|list| list.rules.len()).sum();
        assert_eq!(read, rules, "every line is a rule");
    }
}
