//! The demonstration's last words: what was sent, what came back, what was learnt of it, and what
//! the second mailing made of that.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::findings::{Findings, total};
use crate::console::{Align, Table};
use crate::store::reports::{HitCount, HitCounts, RunReport};
use Align::{Left, Right};

/// The longest bar of the histogram, in characters.
const BAR: usize = 40;
/// Points that a bar of the histogram covers; the last covers all above.
const STEP: f64 = 5.0;
const BARS: usize = 8;

/// The report, for a terminal of 100 columns. `program` is how to call this program from the
/// project's directory.
#[must_use]
pub fn text(findings: &Findings, directory: &Path, program: &Path) -> String {
    let mut text = String::from("\nWhat was sent and what came back\n");
    text += &mailings(findings);
    text += &scores(findings);
    text += &clusters(findings);
    text += &differences(findings);
    text += &proofs(findings);
    text += &next(findings, directory, program);
    text
}

/// Picks the hits of one verdict.
type Of = fn(&HitCounts) -> HitCount;

fn mailings(findings: &Findings) -> String {
    let mut head = vec![("", Left)];
    head.extend(findings.runs.iter().flat_map(|run| [(run.campaign.as_str(), Right), ("", Left)]));
    let mut table = Table::new(&head);
    let mut row = |name: &str, cells: &dyn Fn(&RunReport) -> (String, String)| {
        let cells = findings.runs.iter().map(cells).flat_map(|(figure, note)| [figure, note]);
        table.row(std::iter::once(name.to_owned()).chain(cells));
    };
    let bare = |figure: i64| (figure.to_string(), String::new());
    row("messages", &|run| bare(run.messages.total()));
    row("accepted", &|run| bare(run.messages.accepted));
    row("rejected", &|run| bare(run.messages.rejected));
    row("deferred, unknown", &|run| bare(run.messages.deferred + run.messages.unknown));
    let reasons: BTreeSet<_> = findings.runs.iter().flat_map(|run| run.excluded.keys()).collect();
    for reason in reasons {
        let name = format!("no message: {}", reason.replace('_', " "));
        row(&name, &|run| bare(run.excluded.get(reason).copied().unwrap_or(0)));
    }
    let reached = |run: &RunReport| run.messages.total() + run.excluded.values().sum::<i64>();
    row("not in its audience", &|run| bare(findings.people.recipients - reached(run)));
    let share = |run: &RunReport, count: HitCount| {
        let share = 100.0 * count.messages as f64 / run.messages.accepted.max(1) as f64;
        (count.messages.to_string(), format!("{share:.1} %"))
    };
    let verdicts: [(&str, Of); 3] =
        [("people", |h| h.human), ("mail providers' proxies", |h| h.proxy), ("scanners", |h| h.machine)];
    for (who, of) in verdicts {
        row(&format!("opened, by {who}"), &|run| share(run, of(&run.opens)));
    }
    for (who, of) in verdicts.into_iter().filter(|(who, _)| !who.contains("prox")) {
        row(&format!("clicked, by {who}"), &|run| share(run, of(&run.clicks)));
    }
    let mut text = table.text(2);
    text += "  Where a provider loads pictures, or nobody does, a reader is seen only by clicks.\n";
    let rates: Vec<_> = findings.rates.iter().map(|rate| format!("{rate:.0}")).collect();
    let _ = writeln!(
        text,
        "  Sent at {} messages a second, with catcher and readers on the same machine.",
        rates.join(" and ")
    );
    text
}

fn scores(findings: &Findings) -> String {
    let people = &findings.people;
    let mut text = format!(
        "\nScores after two weeks: of {} people {} may be tracked, {} have a score, {} are warm\n",
        people.recipients, people.tracked, people.scored, people.warm
    );
    let mut bars = [0_usize; BARS];
    for score in &findings.scores {
        bars[((score / STEP) as usize).min(BARS - 1)] += 1;
    }
    let most = bars.iter().copied().max().unwrap_or(0).max(1);
    for (place, people) in bars.into_iter().enumerate() {
        let from = place as f64 * STEP;
        let to = if place + 1 < BARS { format!("to {:>3}", from + STEP) } else { "up    ".to_owned() };
        let bar = "█".repeat((people * BAR).div_ceil(most));
        let _ = writeln!(text, "  {from:>3} {to}  {people:>6}  {bar}");
    }
    text
}

fn clusters(findings: &Findings) -> String {
    let (found, right) = findings.clustered();
    let mut text = format!(
        "\nClusters found, against interests that only the readers knew: {} of {found} right ({})\n",
        right,
        percent(right, found)
    );
    let names: Vec<&str> = findings.categories.keys().map(String::as_str).collect();
    let mut head = vec![("interest", Left)];
    head.extend(names.iter().map(|name| (*name, Right)));
    head.extend([("none yet", Right), ("right", Right)]);
    let mut table = Table::new(&head);
    for (interest, row) in &findings.matrix {
        let cell = |cluster: Option<&str>| {
            row.iter().find(|(name, _)| name.as_deref() == cluster).map_or(0, |(_, people)| *people)
        };
        let in_clusters: usize = names.iter().map(|name| cell(Some(name))).sum();
        let cells = names.iter().map(|name| cell(Some(name)).to_string());
        let last = [cell(None).to_string(), percent(cell(Some(interest)), in_clusters)];
        table.row(std::iter::once((*interest).to_owned()).chain(cells).chain(last));
    }
    text += &table.text(2);
    text
}

fn differences(findings: &Findings) -> String {
    let mut text = String::from("\nHow the second mailing differed by cluster\n");
    let mut table = Table::new(&[("cluster", Left), ("mails", Right), ("subject", Left), ("first offer about", Left)]);
    for (cluster, differing) in &findings.second {
        let mut offers: Vec<_> = differing.first_offers.iter().collect();
        offers.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let shown =
            offers.iter().take(2).map(|(category, mails)| format!("{category} {}", percent(**mails, differing.mails)));
        let offers = shown.collect::<Vec<_>>().join(", ");
        let cluster = cluster.clone().unwrap_or_else(|| "none".to_owned());
        table.row([cluster, differing.mails.to_string(), differing.subject.clone(), offers]);
    }
    text += &table.text(2);
    text
}

fn proofs(findings: &Findings) -> String {
    let stored: i64 = findings.runs.iter().map(|run| total(&run.opens) + total(&run.clicks)).sum();
    let Findings { hits, left, failed, seconds, checked, .. } = findings;
    let mut text = String::from("\nThe books\n");
    let _ = writeln!(text, "  {hits} hits were answered, {stored} are in the database; {failed} requests failed");
    let _ = writeln!(text, "  {left} readers left with one click, and got nothing more");
    let _ = writeln!(
        text,
        "  {} scores computed again from the stored actions: {} differ",
        checked.people, checked.differing
    );
    let _ = writeln!(text, "  two weeks took {seconds:.0} seconds");
    text
}

fn next(findings: &Findings, directory: &Path, program: &Path) -> String {
    let example = findings.example.as_deref().unwrap_or("ADDRESS");
    let steps = [
        ("colloquy report picks".to_owned(), "links, and what each cluster clicked"),
        (format!("colloquy recipient show {example}"), "a reader's profile and dialog"),
        ("colloquy plan reminder".to_owned(), "who would get a third mailing"),
        ("colloquy send reminder && ls outbox".to_owned(), "mail becomes files now"),
        ("colloquy score rebuild --check".to_owned(), "prove the scores once more"),
        ("colloquy run".to_owned(), "the service that the mails lead to"),
    ];
    let width = steps.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    let mut text = format!("\nTry next\n  cd {}\n", directory.display());
    if program != Path::new("colloquy") {
        let _ = writeln!(text, "  alias colloquy={}", program.display());
    }
    for (command, why) in steps {
        let _ = writeln!(text, "  {command:<width$}  {why}");
    }
    text
}

fn percent(part: usize, whole: usize) -> String {
    if whole == 0 { "–".to_owned() } else { format!("{:.1} %", 100.0 * part as f64 / whole as f64) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_demo_in_which_nothing_happened_has_a_report_too() {
        let text = text(&Findings::default(), Path::new("demo"), Path::new("/opt/colloquy"));
        assert!(text.contains("0 of 0 right (–)"), "{text}");
        assert!(text.contains("  cd demo\n  alias colloquy=/opt/colloquy\n"), "{text}");
    }

    #[test]
    fn only_members_of_clusters_can_be_right_or_wrong() {
        let row = |cells: [(Option<&str>, usize); 3]| -> BTreeMap<_, _> {
            cells.map(|(cluster, people)| (cluster.map(str::to_owned), people)).into()
        };
        let matrix = BTreeMap::from([
            ("trail", row([(Some("trail"), 6), (Some("hiking"), 1), (None, 50)])),
            ("hiking", row([(Some("trail"), 1), (Some("hiking"), 2), (None, 50)])),
        ]);
        let findings = Findings { matrix, ..Findings::default() };
        assert_eq!(findings.clustered(), (10, 8));
        assert!(text(&findings, Path::new("demo"), Path::new("colloquy")).contains("8 of 10 right (80.0 %)"));
    }
}
