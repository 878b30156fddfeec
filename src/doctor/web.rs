//! Whether recipients reach us under the address that stands in their mails.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{DATE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;
use url::Url;

use super::dns::Dns;
use super::{Finding, Patient};
use crate::domain::id::{RecipientId, RunId};
use crate::domain::time::Micros;
use crate::domain::token::{Purpose, Token};
use crate::mailbox::tls;

/// Clocks further apart than this spoil schedules and signatures.
const APART: f64 = 30.0;
const MAX_BODY: usize = 64 * 1_024;
/// How long one address may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why nothing came back.
enum Fault {
    /// No way leads there from this machine, or none that answers.
    Unreachable(String),
    /// What went wrong at the other end.
    Wrong(String),
}

impl From<String> for Fault {
    fn from(words: String) -> Self {
        Self::Wrong(words)
    }
}

/// What came back.
struct Reply {
    status: StatusCode,
    date: Option<Micros>,
    body: Bytes,
}

pub(super) async fn look(patient: &Patient<'_>, dns: &Dns) -> Vec<Finding> {
    let base = &patient.loaded.project.base_url;
    let check = "base_url";
    let Ok(url) = Url::parse(base) else { return Vec::new() };
    let host = url.host_str().unwrap_or_default();
    let addresses = match dns.addresses(host).await {
        // This machine knows itself without DNS.
        Ok(found) if found.is_empty() && host == "localhost" => vec![IpAddr::from([127, 0, 0, 1])],
        Ok(found) if found.is_empty() => {
            let mend = format!("publish an A or AAAA record at {host}");
            return vec![Finding::fail(check, format!("{host} has no address"), mend)];
        }
        Ok(found) => found,
        Err(fault) => {
            return vec![Finding::fail(check, fault.to_string(), "look at the machine's resolver, or use --dns")];
        }
    };
    let mut findings = vec![match url.scheme() {
        "https" => Finding::ok("links", "are https"),
        _ => Finding::warn(
            "links",
            format!("{base} is not https"),
            "serve it by https behind a proxy: deploy/nginx.conf",
        ),
    }];
    let Ok(keyring) = &patient.keyring else { return findings };
    // A page of nobody in a run that never was: it changes nothing, and only who has our keys shows it.
    let token = Token { run: RunId(0), recipient: RecipientId(0), purpose: Purpose::Unsubscribe };
    let page = format!("{}/u/{}", url.path().trim_end_matches('/'), keyring.sign(&token));
    let forged = format!("{}/c/forged", url.path().trim_end_matches('/'));
    let (url, page, forged) = (&url, page.as_str(), forged.as_str());
    let asked = addresses.iter().map(|address| async move { (*address, both(url, *address, page, forged).await) });
    let replies = join_all(asked).await;
    let answers = replies.iter().any(|(_, reply)| reply.is_ok());
    for (address, reply) in replies {
        let check = format!("{check} at {address}");
        match reply {
            Ok((page, forged)) => {
                findings.push(judged(check, &page, &forged));
                findings.extend(page.date.map(|date| clock(patient.clock.now(), date)));
            }
            Err(fault) => findings.push(unanswered(check, address, answers, fault)),
        }
    }
    findings
}

/// The page, and the answer to a forged link.
async fn both(url: &Url, address: IpAddr, page: &str, forged: &str) -> Result<(Reply, Reply), Fault> {
    let asked = async { tokio::try_join!(get(url, address, page), get(url, address, forged)) };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| {
        Err(Fault::Unreachable(format!("{address} does not answer within {} seconds", PATIENCE.as_secs())))
    })
}

/// Many machines reach no IPv6, which says nothing about what recipients reach; as long as another address answers.
fn unanswered(check: String, address: IpAddr, others_answer: bool, fault: Fault) -> Finding {
    match fault {
        Fault::Unreachable(words) if address.is_ipv6() && others_answer => Finding::warn(
            check,
            format!("not known, as this machine does not reach it: {words}"),
            "look from a machine with IPv6, or take the AAAA record away if nothing listens there",
        ),
        Fault::Unreachable(words) | Fault::Wrong(words) => {
            Finding::fail(check, words, "is `colloquy run` at work, and does the proxy lead to [web] listen?")
        }
    }
}

fn judged(check: String, page: &Reply, forged: &Reply) -> Finding {
    let ours = forged.status == StatusCode::NOT_FOUND && &forged.body[..] == b"Not found.\n";
    match page.status {
        StatusCode::OK if ours => Finding::ok(check, "a service with our keys answers"),
        StatusCode::NOT_FOUND if ours => Finding::fail(
            check,
            "a service answers that has other keys than this project",
            "bring the file of [secrets] to the machine that serves links and pages",
        ),
        StatusCode::SERVICE_UNAVAILABLE => {
            Finding::fail(check, "a service answers that does not reach its database", "look at its log")
        }
        status => Finding::fail(
            check,
            format!("something else answers, with {status}"),
            "let the proxy hand every path to [web] listen: deploy/nginx.conf",
        ),
    }
}

/// The Date of an answer counts whole seconds.
fn clock(ours: Micros, theirs: Micros) -> Finding {
    let apart = theirs.seconds_since(ours);
    match apart.abs() <= APART {
        true => Finding::ok("clock of base_url", "agrees with this machine's"),
        false => {
            Finding::warn("clock of base_url", format!("{apart:+.0} s against this machine's"), "let both follow NTP")
        }
    }
}

/// One GET at an address of the URL's host, redirects not followed.
async fn get(url: &Url, address: IpAddr, path: &str) -> Result<Reply, Fault> {
    let port = url.port_or_known_default().unwrap_or(443);
    let host = url.host_str().unwrap_or_default();
    let fault = |error: std::io::Error| {
        let words = format!("{address}, port {port}: {error}");
        match error.kind() {
            ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::AddrNotAvailable => {
                Fault::Unreachable(words)
            }
            _ => Fault::Wrong(words),
        }
    };
    let stream = TcpStream::connect((address, port)).await.map_err(fault)?;
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let request = Request::get(path).header(HOST, authority).header("user-agent", "colloquy-doctor");
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    if url.scheme() != "https" {
        return Ok(exchange(TokioIo::new(stream), request).await?);
    }
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|error| error.to_string())?;
    let connector = tls::connector(None).map_err(|error| error.to_string())?;
    let stream = connector.connect(name, stream).await.map_err(|error| format!("TLS: {error}"))?;
    Ok(exchange(TokioIo::new(stream), request).await?)
}

async fn exchange<I>(io: I, request: Request<Empty<Bytes>>) -> Result<Reply, String>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let words = |error: hyper::Error| format!("HTTP: {error}");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.map_err(words)?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(words)?;
    let status = answer.status();
    let date = answer.headers().get(DATE).and_then(|value| value.to_str().ok()).and_then(http_date);
    let body = Limited::new(answer.into_body(), MAX_BODY).collect().await.map_err(|error| error.to_string())?;
    connection.abort();
    Ok(Reply { status, date, body: body.to_bytes() })
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
fn http_date(text: &str) -> Option<Micros> {
    let read = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(read.timestamp().into())
}
