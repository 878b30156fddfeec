//! What can be said of the octets of any mail.

/// Fields of every mail, once each.
const ALWAYS: [&str; 11] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "List-Unsubscribe",
    "List-Id",
    "List-Unsubscribe-Post",
    "Feedback-ID",
    "MIME-Version",
    "Content-Type",
];

/// The fields of a mail, unfolded.
pub fn fields(mail: &str) -> Vec<(String, String)> {
    let (head, _) = mail.split_once("\r\n\r\n").unwrap();
    let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    head.split("\r\n")
        .map(|line| line.split_once(':').unwrap())
        .map(|(n, v)| (n.to_owned(), v.trim().to_owned()))
        .collect()
}

/// Fails on a mail that does not keep to the RFCs and to what large receivers ask for.
pub fn keeps_to_the_letter(mail: &str, by_mail: bool) {
    assert_eq!(mail.matches('\n').count(), mail.matches("\r\n").count(), "lines end in CRLF");
    assert_eq!(mail.matches('\r').count(), mail.matches("\r\n").count(), "CR stands before LF");
    assert!(mail.split("\r\n").all(|line| line.len() <= 998));
    let (head, body) = mail.split_once("\r\n\r\n").unwrap();
    assert!(body.is_ascii(), "the body is 7-bit");
    for line in head.split("\r\n") {
        assert!(line.len() <= 78 || !line.trim().contains([' ', '\t']), "{} octets: {line}", line.len());
        assert!(line.is_ascii() || line.contains("@"), "{line}");
    }

    let fields = fields(mail);
    let values =
        |name: &str| -> Vec<&str> { fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect() };
    let value = |name: &str| {
        let values = values(name);
        assert_eq!(values.len(), 1, "{name}: {values:?}");
        values[0]
    };
    for name in ALWAYS {
        value(name);
    }
    let known =
        |name: &str| ALWAYS.contains(&name) || ["DKIM-Signature", "Reply-To", "Content-Language"].contains(&name);
    assert!(fields.iter().all(|(name, _)| known(name)), "{fields:?}");

    let from = value("From").rsplit_once('@').unwrap().1.trim_end_matches('>');
    for signature in values("DKIM-Signature") {
        assert!(signature.contains("c=relaxed/relaxed") && !signature.contains(" l="), "{signature}");
        assert!(signature.contains(&format!("d={from};")), "{signature}");
        let names = super::tag(signature, "h").replace(char::is_whitespace, "");
        for (name, _) in fields.iter().filter(|(name, _)| name != "DKIM-Signature") {
            assert!(names.split(':').any(|signed| signed == name), "{name} is not signed");
        }
        assert_eq!(names.matches("From").count(), 2, "{names}");
    }
    assert!(value("Message-ID").ends_with(&format!("@{from}>")));
    assert_eq!(value("List-Id"), format!("<news.{from}>"));
    assert_eq!(value("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
    let ways: Vec<_> = value("List-Unsubscribe").split(", ").collect();
    assert!(ways[0].starts_with("<https://") && ways[0].contains("/u/"), "{ways:?}");
    assert_eq!(ways.len(), if by_mail { 2 } else { 1 });
    assert!(ways[1..].iter().all(|way| way.starts_with("<mailto:u-")), "{ways:?}");
    let feedback: Vec<_> = value("Feedback-ID").split(':').collect();
    assert!(feedback.len() == 4 && (5..=15).contains(&feedback[3].len()), "{feedback:?}");
    let date = value("Date");
    assert!(date.ends_with(" +0000") && date.len() == 31, "{date}");
    assert!(value("Content-Type").starts_with("multipart/"));
}
