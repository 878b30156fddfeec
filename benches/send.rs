//! Messages a second of `send` into `smtp-sink`, against `smtp-source -d` with the same sessions and
//! the same message; and the processor time that a message takes.

use std::fs;

use crate::support::{Figure, Project, Sink, Target, Usage, median, write_recipients};

const MESSAGES: usize = 30_000;
/// Connections to the sink.
pub const SESSIONS: usize = 10;
const ROUNDS: usize = 3;
const LINKS: usize = 10;
const HTML_BYTES: usize = 20_000;

pub fn run() -> Vec<Figure> {
    let dir = tempfile::tempdir().unwrap();
    let csv = dir.path().join("recipients.csv");
    write_recipients(&csv, MESSAGES);
    let message = dir.path().join("message");
    let sample = sample();
    println!("  one message: {} bytes on the wire", sample.len());
    // smtp-source ends the lines itself.
    fs::write(&message, sample.replace("\r\n", "\n")).unwrap();

    let sink = Sink::start();
    let (mut ratios, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let source = sink.source(&message, MESSAGES, SESSIONS);
        let project = Project::new(&format!("smtp://127.0.0.1:{}", sink.port), SESSIONS, &template());
        project.import(&csv);
        let ours = project.send(MESSAGES);
        let (limit, rate) = (rate(MESSAGES, &source), rate(MESSAGES, &ours));
        let [cost, least] = [&ours, &source].map(|usage| usage.cpu.as_secs_f64() * 1000.0 / MESSAGES as f64);
        println!(
            "  send {rate:>6.0}/s with {cost:.3} ms of CPU a message, smtp-source {limit:>6.0}/s with {least:.3} ms, \
             ratio {:.3}",
            rate / limit
        );
        ratios.push(rate / limit);
        costs.push(cost);
    }
    let figure = |name: &str, value, target| Figure { name: name.to_owned(), value, target };
    vec![
        figure("send, messages/s to `smtp-source -d`", median(ratios), Target::AtLeast(0.7)),
        figure("send, ms of CPU a message", median(costs), Target::AtMost(0.12)),
    ]
}

/// Messages a second.
pub fn rate(messages: usize, usage: &Usage) -> f64 {
    messages as f64 / usage.wall.as_secs_f64()
}

/// A message as it goes over the wire.
pub fn sample() -> String {
    let project = Project::new("file:outbox", 1, &template());
    let one = project.path("one.csv");
    write_recipients(&one, 1);
    project.import(&one);
    project.send(1);
    let mail = fs::read_dir(project.path("outbox")).unwrap().next().unwrap().unwrap().path();
    let mail = fs::read_to_string(mail).unwrap();
    let links = mail.replace("=\r\n", "").matches("https://t.bench.example/c/").count();
    assert!(links >= 2 * LINKS, "{links} links in the HTML and the text part");
    mail
}

/// Personalised HTML of 20 KB with tracked links; its text part is made from it.
pub fn template() -> String {
    let mut html = String::from(
        "<!DOCTYPE html><html><head><title>News</title><style>p { font: 16px/1.5 sans-serif; color: #222 }</style>\
         </head><body><h1>Hello {{first_name}} from {{city}}</h1>\n",
    );
    let filler = "<td style=\"padding:12px 24px;font-family:Helvetica,Arial,sans-serif;color:#333333\">&nbsp;</td>\n";
    for link in 1..=LINKS {
        html += &format!(
            "<p>{{{{first_name}}}}, number {{{{customer_number}}}}: <a href=\"https://shop.bench.example/item/{link}?size=42\">\
             the shoe that you looked for, number {link}</a>. It is light, and it holds on wet rock as on dry gravel.</p>\n"
        );
        html += "<table><tbody><tr>\n";
        while html.len() < HTML_BYTES * link / LINKS - 200 {
            html += filler;
        }
        html += "</tr></tbody></table>\n";
    }
    html + "<p>{{sender.postal_address}} <a href=\"{{unsubscribe_url}}\">Unsubscribe</a></p></body></html>\n"
}
