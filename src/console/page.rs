//! The live view: one page of plain HTML that renews itself, without scripts.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use hyper::header::HeaderValue;
use tokio::time::Instant;

use super::report::{percent, settled};
use crate::domain::id::RunId;
use crate::store::reports::{RunReport, Which, runs_report};
use crate::store::{Result, Store};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color:#222;background:#fff}\
table{border-collapse:collapse}th,td{padding:.3rem .8rem;text-align:right;border-bottom:1px solid #ddd}\
th:nth-child(-n+4),td:nth-child(-n+4){text-align:left}progress{width:8rem}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}th,td{border-color:#444}a{color:#8ab4f8}}";

const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"5\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>Colloquy</title><style>";

const COLUMNS: [&str; 13] = [
    "Run",
    "Campaign",
    "Occasion",
    "State",
    "Progress",
    "Accepted",
    "Per second",
    "Waiting",
    "Deferred",
    "Rejected",
    "Unknown",
    "Opened",
    "Clicked",
];

static CONTENT_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// What the page shows.
#[derive(Debug)]
pub struct Live {
    runs: Vec<RunReport>,
    /// Messages a second whose fate was settled since the look before.
    rates: HashMap<RunId, f64>,
}

/// Messages by run whose fate was settled at an instant.
type Settled = (Instant, HashMap<RunId, i64>);

/// Looks at the runs, again and again; remembers the last look for the rates.
pub fn looker(store: Store) -> impl Fn() -> BoxFuture<'static, Result<Live>> + Send + Sync {
    let before: Arc<Mutex<Option<Settled>>> = Arc::default();
    move || {
        let (store, before) = (store.clone(), Arc::clone(&before));
        Box::pin(async move {
            let runs = runs_report(&mut store.read().await?, Which::Status).await?;
            let now = Instant::now();
            let counts: HashMap<_, _> = runs.iter().map(|report| (report.run, settled(&report.messages))).collect();
            let last = before.lock().unwrap_or_else(PoisonError::into_inner).replace((now, counts.clone()));
            let rates = last.map_or_else(HashMap::new, |(then, old)| rates(&counts, &old, (now - then).as_secs_f64()));
            Ok(Live { runs, rates })
        })
    }
}

fn rates(now: &HashMap<RunId, i64>, then: &HashMap<RunId, i64>, seconds: f64) -> HashMap<RunId, f64> {
    let rate = |(run, count): (&RunId, &i64)| Some((*run, (count - then.get(run)?) as f64 / seconds.max(0.001)));
    now.iter().filter_map(rate).collect()
}

/// Allows the page's own style and nothing else (Content Security Policy Level 3).
pub fn content_policy() -> HeaderValue {
    CONTENT_POLICY.clone()
}

/// The page.
pub fn html(live: &Live) -> String {
    let mut page = format!("{HEAD}{STYLE}</style></head><body><h1>Colloquy</h1>");
    if live.runs.is_empty() {
        page.push_str("<p>No run yet.</p>");
    } else {
        page.push_str("<table><thead><tr>");
        for column in COLUMNS {
            let _ = write!(page, "<th scope=\"col\">{column}</th>");
        }
        page.push_str("</tr></thead><tbody>");
        live.runs.iter().for_each(|report| row(&mut page, report, live.rates.get(&report.run)));
        page.push_str("</tbody></table>");
    }
    page.push_str("<p><a href=\"/metrics\">metrics</a> · <a href=\"/readyz\">readiness</a></p></body></html>\n");
    page
}

fn row(page: &mut String, report: &RunReport, rate: Option<&f64>) {
    let messages = &report.messages;
    let state = match &report.reason {
        Some(reason) => format!("{}: {reason}", report.state.as_str()),
        None => report.state.as_str().to_owned(),
    };
    page.push_str("<tr>");
    for text in [&report.run.to_string(), &report.campaign, &report.occasion, &state] {
        let _ = write!(page, "<td>{}</td>", escape(text));
    }
    match report.planned {
        Some(planned) => {
            let done = settled(messages) + messages.skipped;
            let _ =
                write!(page, "<td><progress value=\"{done}\" max=\"{}\"></progress> {planned}</td>", planned.max(1));
        }
        None => page.push_str("<td></td>"),
    }
    let per_second = rate.filter(|rate| **rate > 0.0).map_or_else(String::new, |rate| format!("{rate:.1}"));
    let _ = write!(
        page,
        "<td>{}</td><td>{per_second}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        messages.accepted,
        messages.waiting + messages.claimed + messages.sending,
        messages.deferred,
        messages.rejected,
        messages.unknown,
        percent(report.opens.human.messages, messages.accepted),
        percent(report.clicks.human.messages, messages.accepted),
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_counts_what_was_settled_between_two_looks() {
        let then = HashMap::from([(RunId(1), 100), (RunId(2), 5)]);
        let now = HashMap::from([(RunId(1), 350), (RunId(3), 9)]);
        assert_eq!(rates(&now, &then, 2.5), HashMap::from([(RunId(1), 100.0)]));
    }
}
