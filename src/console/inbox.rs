//! What came back by mail, in words.

use std::fmt::Write as _;

use super::table::Align::{Left, Right};
use super::table::Table;
use crate::domain::time::Micros;
use crate::store::inbound::{Count, Listed};
use crate::store::returns::Rates;

/// Mails, one a line.
#[must_use]
pub fn inbox_list_text(mails: &[Listed]) -> String {
    if mails.is_empty() {
        return "no such mail\n".to_owned();
    }
    let head = [
        ("mail", Right),
        ("arrived", Left),
        ("by", Left),
        ("kind", Left),
        ("done", Left),
        ("run", Right),
        ("recipient", Right),
        ("because", Left),
    ];
    let mut table = Table::new(&head);
    for mail in mails {
        let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        let done = mail.effect.clone().unwrap_or_else(|| mail.state.clone());
        table.row([
            mail.id.to_string(),
            Micros(mail.arrived_at).to_string(),
            mail.way.clone(),
            mail.kind.clone().unwrap_or_default(),
            done,
            number(mail.run_id),
            number(mail.recipient_id),
            mail.told.clone().unwrap_or_default(),
        ]);
    }
    table.text(0)
}

/// How many mails there are, by what was done about them.
#[must_use]
pub fn inbox_counts_text(counts: &[Count]) -> String {
    if counts.is_empty() {
        return "nothing has come back yet\n".to_owned();
    }
    let mut table = Table::new(&[("mails", Right), ("state", Left), ("kind", Left), ("done", Left)]);
    for count in counts {
        table.row([count.count.to_string(), count.state.clone(), count.kind.clone(), count.effect.clone()]);
    }
    table.text(0)
}

/// What came back, as shares of what was accepted; the first `most` of them.
#[must_use]
pub fn rates_text(title: &str, rates: &[Rates], most: usize) -> String {
    if rates.is_empty() {
        return String::new();
    }
    let head = [title, "accepted", "dead", "", "soft", "", "blocked", "", "complaints", "", "replies", ""];
    let columns: Vec<_> = head.iter().enumerate().map(|(n, name)| (*name, if n == 0 { Left } else { Right })).collect();
    let mut table = Table::new(&columns);
    for own in rates.iter().take(most) {
        let name = if own.name.is_empty() { "(erased)".to_owned() } else { own.name.clone() };
        let counts = [own.dead, own.soft, own.blocked, own.complaints, own.replies];
        let cells = counts.into_iter().flat_map(|count| [count.to_string(), share(count, own.accepted)]);
        table.row([name, own.accepted.to_string()].into_iter().chain(cells));
    }
    let mut text = format!("\n{}", table.text(0));
    if rates.len() > most {
        let _ = writeln!(text, "and {} more", rates.len() - most);
    }
    text
}

/// Complaints matter from a thousandth on.
fn share(count: i64, of: i64) -> String {
    if of == 0 { String::new() } else { format!("{:.2}%", count as f64 * 100.0 / of as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_shares_of_what_was_accepted() {
        let rates = |name: &str, accepted, dead, complaints| Rates {
            name: name.to_owned(),
            accepted,
            dead,
            complaints,
            ..Rates::default()
        };
        let text = rates_text("campaign", &[rates("spring", 2_000, 31, 3), rates("", 0, 1, 0)], 1);
        assert!(text.contains("spring        2000    31  1.55%") && text.contains("3  0.15%"), "{text}");
        assert!(text.ends_with("and 1 more\n"), "{text}");
    }
}
