//! Which domains speak for which: what DMARC calls alignment (RFC 7489 §3.1). All domains are in
//! lower-case A-labels.

/// Second-level names under which registries of countries let others register.
const REGISTRIES: [&str; 11] = ["ac", "co", "com", "edu", "go", "gov", "gv", "ne", "net", "or", "org"];

/// Whether a signature of `signing` speaks for mail from `from`: the same domain, or one below it.
#[must_use]
pub fn signs_for(signing: &str, from: &str) -> bool {
    from.strip_suffix(signing).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether two domains look like one organisation's. Without the list of public suffixes this is a
/// guess, good for a warning.
#[must_use]
pub fn same_organisation(one: &str, other: &str) -> bool {
    let common = one.rsplit('.').zip(other.rsplit('.')).take_while(|(a, b)| a == b).map(|(label, _)| label);
    match common.collect::<Vec<_>>()[..] {
        [] | [_] => false,
        [country, registry] => country.len() != 2 || !REGISTRIES.contains(&registry),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_speaks_for_its_domain_and_those_below() {
        assert!(signs_for("shop.example", "shop.example"));
        assert!(signs_for("shop.example", "news.shop.example"));
        assert!(!signs_for("news.shop.example", "shop.example"));
        assert!(!signs_for("shop.example", "workshop.example"));
        assert!(!signs_for("shop.example", "shop.example.org"));
    }

    #[test]
    fn an_organisation_is_told_by_what_it_registered() {
        for (one, other) in
            [("shop.example", "shop.example"), ("b.shop.example", "news.shop.example"), ("a.x.co.uk", "b.x.co.uk")]
        {
            assert!(same_organisation(one, other), "{one} {other}");
        }
        for (one, other) in [("a.example", "b.example"), ("x.co.uk", "y.co.uk"), ("x.com", "x.com.au")] {
            assert!(!same_organisation(one, other), "{one} {other}");
        }
    }
}
