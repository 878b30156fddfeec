//! Other programs: where they are, what they use, how they end.

use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Ticks a second in `/proc/*/stat`: `USER_HZ`, fixed on Linux.
const TICKS: f64 = 100.0;

/// A program of the system, also from where only root looks.
pub fn program(name: &str) -> Command {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let found = std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.exists());
    Command::new(found.unwrap_or_else(|| panic!("{name} is not installed; run scripts/setup bench")))
}

/// A file's text; a benchmark ends without it.
fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a program used from its start to its end.
pub struct Usage {
    /// From start to end.
    pub wall: Duration,
    /// Time on processors, in user space and in the kernel.
    pub cpu: Duration,
    /// The most physical memory at once, in bytes.
    pub peak_bytes: u64,
    /// Its standard output.
    pub output: String,
}

impl Usage {
    /// Runs a program to its end, which must be a good one.
    pub fn of(command: &mut Command) -> Self {
        let (before, start) = (children_cpu(), Instant::now());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (done, ended) = channel::<()>();
        let id = child.id();
        let sampler = thread::spawn(move || {
            let mut peak = 0;
            while ended.recv_timeout(Duration::from_millis(20)) == Err(RecvTimeoutError::Timeout) {
                // It only rises, so the last look is as good as any.
                peak = status_bytes(id, "VmHWM:").unwrap_or(peak);
            }
            peak
        });
        let output = child.wait_with_output().unwrap();
        let (wall, cpu) = (start.elapsed(), children_cpu() - before);
        drop(done);
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {}\n{words}{complaint}", output.status);
        Self { wall, cpu, peak_bytes: sampler.join().unwrap(), output: words }
    }
}

/// A size from the status of a running process (proc(5)).
fn status_bytes(id: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

/// What the ended children of this process have used (`cutime` and `cstime`, proc(5)).
fn children_cpu() -> Duration {
    let stat = read(Path::new("/proc/self/stat"));
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: f64 = fields.split_whitespace().skip(13).take(2).map(|field| field.parse::<f64>().unwrap()).sum();
    Duration::from_secs_f64(ticks / TICKS)
}

/// A program that runs beside the measured one and ends with this value.
pub struct Daemon(Child);

impl Daemon {
    /// Starts it and waits until it takes connections on a port of loopback.
    pub fn start(command: &mut Command, port: u16) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut daemon = Self(child);
        wait_for_port(port, || daemon.0.try_wait().unwrap().is_none());
        daemon
    }

    /// How many bytes of physical memory and how many files it holds at this moment.
    pub fn holds(&self) -> (u64, u64) {
        let of = Path::new("/proc").join(self.0.id().to_string());
        let files = fs::read_dir(of.join("fd")).unwrap().count() as u64;
        (status_bytes(self.0.id(), "VmRSS:").unwrap(), files)
    }

    /// Asks it to end and waits until it has; the end must be a good one.
    pub fn stop(mut self) {
        let status = self.end().unwrap();
        assert!(status.success(), "a soft stop ends with {status}");
    }

    /// SIGTERM, so that a program can end those that it started itself.
    fn end(&mut self) -> io::Result<ExitStatus> {
        if self.0.try_wait()?.is_none() {
            Command::new("sh").args(["-c", &format!("kill -TERM {}", self.0.id())]).status()?;
        }
        self.0.wait()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// Waits until something listens on a port of loopback, as long as `alive` says so.
pub fn wait_for_port(port: u16, mut alive: impl FnMut() -> bool) {
    let (_never, tick) = channel::<()>();
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(alive() && start.elapsed() < Duration::from_secs(30), "nothing listens on port {port}");
        let _ = tick.recv_timeout(Duration::from_millis(20));
    }
}

/// A port of loopback that nobody uses at this moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
