//! Who sends, in whose name, and what speaks for it.

use super::*;

fn warnings(project: &str) -> Vec<String> {
    taken(project, CAMPAIGN).warnings.iter().map(shown).collect()
}

#[test]
fn addresses_that_not_everybody_can_answer_are_refused_and_international_domains_are_not() {
    let from = |address: &str| PROJECT.replace("news@alpenlauf.example", address);
    let refused = "the part before the @ has letters that not every mail server takes \
                   (a-z, digits, dots and dashes reach everybody (RFC 6531); the domain may be international)";
    assert_eq!(
        complaints(&from("näws@alpenlauf.example"), CAMPAIGN),
        [format!("colloquy.toml:2:8 \"Alpenlauf <näws@alpenlauf.example>\": {refused}")]
    );
    let answers = PROJECT.replace("[web]", "reply_to = \"wir@büro.example\"\n[web]");
    assert_eq!(taken(&answers, CAMPAIGN).project.sender.reply_to.as_deref(), Some("wir@xn--bro-hoa.example"));
    assert_eq!(
        complaints(&answers.replace("wir@", "büro@"), CAMPAIGN),
        [format!("colloquy.toml:3:12 \"büro@büro.example\": {refused}")]
    );
}

#[test]
fn return_paths_at_a_domain_of_somebody_else_are_warned_of() {
    let project = |domain: &str| PROJECT.replace("[web]", &format!("bounce_domain = \"{domain}\"\n[web]"));
    assert_eq!(warnings(&project("b.alpenlauf.example")), [""; 0]);
    assert_eq!(
        warnings(&project("bounces.esp.example")),
        ["colloquy.toml:3:17 \"bounces.esp.example\": return paths at bounces.esp.example do not speak for mail from \
             alpenlauf.example (receivers compare the two (DMARC); a domain below alpenlauf.example, such as \
             b.alpenlauf.example, passes SPF for it)"]
    );
    let long = format!("{}.alpenlauf.example", ["a".repeat(60), "b".repeat(60), "c".repeat(60)].join("."));
    assert_eq!(complaints(&project(&long), CAMPAIGN).len(), 1);
}

#[test]
fn keys_that_sign_nothing_are_warned_of() {
    let key = |domain: &str| {
        format!("{PROJECT}[[dkim]]\ndomain = \"{domain}\"\nselector = \"c1\"\nkey_file = \"config/k.pem\"\n")
    };
    assert_eq!(warnings(&key("alpenlauf.example")), [""; 0]);
    let found = warnings(&key("news.alpenlauf.example"));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("colloquy.toml:2:8 ") && found[0].contains("no key of [[dkim]] signs"), "{found:?}");
}
