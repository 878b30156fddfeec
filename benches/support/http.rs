//! Requests over a kept connection.

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A connection to a port of loopback.
pub struct Http(SendRequest<Full<Bytes>>);

impl Http {
    /// A new one.
    pub async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    /// Asks as a person's browser does, with a form in the body, and reads the answer to its end.
    pub async fn ask(&mut self, method: Method, path: &str, body: &'static str) -> (StatusCode, Bytes) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "t.bench.example")
            .header(USER_AGENT, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(body))
            .unwrap();
        self.0.ready().await.unwrap();
        let reply = self.0.send_request(request).await.unwrap();
        (reply.status(), reply.into_body().collect().await.unwrap().to_bytes())
    }
}
