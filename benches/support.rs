//! What the benchmarks share.

mod distant;
mod figure;
mod http;
mod postgres;
mod process;
mod project;
mod sink;

pub use self::distant::Distant;
pub use self::figure::{Figure, Target, median};
pub use self::http::Http;
pub use self::postgres::Postgres;
pub use self::process::{Daemon, Usage, free_port, program, wait_for_port};
pub use self::project::{Project, write_recipients};
pub use self::sink::Sink;
