//! Messages a second that two senders hand over and one alone, over one PostgreSQL, to a sink that is ten
//! milliseconds away in each direction.

use std::process::Stdio;

use crate::support::{Distant, Figure, Postgres, Project, Sink, Target, median, write_recipients};

const MESSAGES: usize = 12_000;
/// Connections of each sender.
const SESSIONS: usize = 10;
const ROUNDS: usize = 3;
const TEMPLATE: &str =
    "<p>Hello {{first_name}}</p><p>{{sender.postal_address}} <a href=\"{{unsubscribe_url}}\">Leave</a></p>";

pub fn run() -> Vec<Figure> {
    let postgres = Postgres::start();
    let sink = Sink::start();
    let distant = Distant::start(sink.port);
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let [one, two] = [1, 2].map(|senders| {
            let url = postgres.database(&format!("nodes_{round}_{senders}"));
            let project = Project::new(&format!("smtp://127.0.0.1:{}", distant.port), SESSIONS, TEMPLATE);
            project.configure(&format!("[database]\nurl = \"{url}\"\n"));
            send(&project, &distant, senders)
        });
        println!("  one sender {one:>6.0}/s, two {two:>6.0}/s, ratio {:.3}", two / one);
        ratios.push(two / one);
    }
    let name = "two senders, messages/s to one's, sink 20 ms away".to_owned();
    vec![Figure { name, value: median(ratios), target: Target::AtLeast(1.8) }]
}

/// Messages a second from the first octet to the last that reach the sink.
fn send(project: &Project, distant: &Distant, senders: usize) -> f64 {
    let csv = project.path("recipients.csv");
    write_recipients(&csv, MESSAGES);
    project.import(&csv);
    let start = || project.command(&["send", "bench"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let children: Vec<_> = (0..senders).map(|_| start()).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let words = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&words));
    }
    let status = project.run(&["status", "--json"]).output;
    let accepted = format!("\"accepted\":{MESSAGES}");
    assert!(status.replace(": ", ":").contains(&accepted), "not all were accepted:\n{status}");
    MESSAGES as f64 / distant.busy().as_secs_f64()
}
