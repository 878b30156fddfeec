//! Rows a second of `import` on SQLite, against `sqlite3 .import` into a table with a unique index on
//! the address.

use crate::support::{Figure, Project, Target, Usage, median, program, write_recipients};

const ROWS: usize = 300_000;
const ROUNDS: usize = 3;
const TABLE: &str = "CREATE TABLE r (address TEXT, first_name TEXT, country TEXT, city TEXT, customer_number TEXT);
     CREATE UNIQUE INDEX r_address ON r (address);";

pub fn run() -> Vec<Figure> {
    let dir = tempfile::tempdir().unwrap();
    let csv = dir.path().join("recipients.csv");
    write_recipients(&csv, ROWS);
    let rate = |usage: &Usage| ROWS as f64 / usage.wall.as_secs_f64();
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let database = dir.path().join(format!("limit-{round}.db"));
        let command = format!(".import --csv --skip 1 {} r", csv.display());
        let limit = rate(&Usage::of(program("sqlite3").arg(&database).args([TABLE, &command])));
        let ours = rate(&Project::new("file:outbox", 1, "").import(&csv));
        println!("  import {ours:>9.0} rows/s, sqlite3 .import {limit:>9.0} rows/s, ratio {:.3}", ours / limit);
        ratios.push(ours / limit);
    }
    let value = median(ratios);
    vec![Figure { name: "import, rows/s to `sqlite3 .import`".to_owned(), value, target: Target::AtLeast(0.2) }]
}
