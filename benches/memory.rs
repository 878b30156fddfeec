//! Peak memory of `send` into `smtp-sink`, for an audience and for one a hundred times larger.

use crate::support::{Figure, Project, Sink, Target, write_recipients};

const MIB: f64 = 1024.0 * 1024.0;
const TEMPLATE: &str = "<p>Hello {{first_name}}, <a href=\"https://shop.bench.example/new\">new shoes</a>.</p>\
                        <p>{{sender.postal_address}} <a href=\"{{unsubscribe_url}}\">Unsubscribe</a></p>";

pub fn run() -> Vec<Figure> {
    let sink = Sink::start();
    [10_000, 1_000_000]
        .map(|recipients| {
            let project = Project::new(&format!("smtp://127.0.0.1:{}", sink.port), 10, TEMPLATE);
            let csv = project.path("recipients.csv");
            write_recipients(&csv, recipients);
            let import = project.import(&csv).peak_bytes as f64 / MIB;
            let send = project.send(recipients);
            let value = send.peak_bytes as f64 / MIB;
            println!(
                "  {recipients} recipients: send {value:.1} MiB in {:.0} s, import {import:.1} MiB",
                send.wall.as_secs_f64()
            );
            let name = format!("send, peak MiB at {recipients} recipients");
            Figure { name, value, target: Target::AtMost(64.0) }
        })
        .into()
}
