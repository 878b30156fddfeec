//! What a user agent says about who is behind it, by the lists in `agents.txt`.

use std::sync::LazyLock;

use crate::domain::judge::Agent;
use crate::domain::rule_list::RuleList;

const LIST: &str = include_str!("agents.txt");

static RULES: LazyLock<RuleList<Agent>> = LazyLock::new(|| RuleList::read(LIST, class));

fn class(word: &str, name: &'static str) -> Option<Agent> {
    match word {
        "proxy" => Some(Agent::Proxy(name)),
        "machine" => Some(Agent::Machine(name)),
        "person" => Some(Agent::Person),
        _ => None,
    }
}

/// Classifies a user agent, as it came.
#[must_use]
pub fn agent(user_agent: &str) -> Agent {
    let text = user_agent.trim();
    if text.is_empty() {
        return Agent::Missing;
    }
    // The list is ordered: proxies, machines, people.
    RULES.first(text).copied().unwrap_or(Agent::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_a_rule_and_classes_are_in_order() {
        let lines = LIST.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).count();
        let rules = RuleList::read(LIST, class);
        assert_eq!(rules.patterns.len(), lines);
        assert_eq!(rules.classes.len(), lines);
        let rank = |a: &Agent| match a {
            Agent::Proxy(_) => 0,
            Agent::Machine(_) => 1,
            _ => 2,
        };
        assert!(rules.classes.is_sorted_by_key(rank));
    }

    #[test]
    fn people_use_browsers_and_mail_programs() {
        for ua in [
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 Safari/605.1.15",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0",
            "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36",
            "Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Mobile Safari/537.36",
            "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Win64; x64; Trident/7.0; Microsoft Outlook 16.0.17328)",
            "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.10730; Pro)",
            "Outlook-iOS/723.4027091.prod.iphone (4.28.0)",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36 Edg/130.0",
        ] {
            assert_eq!(agent(ua), Agent::Person, "{ua}");
        }
    }

    #[test]
    fn providers_that_fetch_for_people_are_proxies() {
        for (ua, rule) in [
            ("Mozilla/5.0", "apple-mpp"),
            (
                "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
                "gmail-proxy",
            ),
            ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "yahoo-proxy"),
        ] {
            assert_eq!(agent(ua), Agent::Proxy(rule), "{ua}");
        }
    }

    #[test]
    fn programs_are_machines() {
        for ua in [
            "curl/8.5.0",
            "Wget/1.21.4",
            "python-requests/2.31.0",
            "Go-http-client/2.0",
            "Java/17.0.9",
            "okhttp/4.12.0",
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36",
            "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "WhatsApp/2.23.20.0 A",
            "Barracuda Sentinel (EE)",
            "axios/1.6.2",
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        ] {
            assert!(matches!(agent(ua), Agent::Machine(_)), "{ua}: {:?}", agent(ua));
        }
    }

    #[test]
    fn what_says_nothing_or_nothing_known_is_neither() {
        assert_eq!(agent("  "), Agent::Missing);
        assert_eq!(agent("x"), Agent::Unknown);
        assert_eq!(agent("\u{fffd}\u{fffd}"), Agent::Unknown);
    }
}
