//! A collector of OpenTelemetry for one test: it takes requests of HTTP/1.1 on this machine and answers as it is told to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// What becomes of a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// This status, with a body as OTLP has it.
    Status(u16),
    /// None at all; the connection stays open.
    Hang,
    /// None; the connection is closed when the request has been read.
    Close,
    /// None; the connection is closed before the request has been read.
    CloseAtOnce,
    /// Something that is not HTTP.
    Nonsense,
}

/// A request that came in whole.
#[derive(Debug)]
pub(super) struct Request {
    /// Such as `POST /v1/traces HTTP/1.1`.
    pub(super) line: String,
    /// Names in lower case, with their values.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Value,
    /// When it had come in, in nanoseconds since 1970.
    pub(super) at_unix_ns: u128,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|header| header.0 == name).map_or("", |header| &header.1)
    }
}

/// Listens until the test ends.
pub(super) struct Collector {
    address: SocketAddr,
    requests: Receiver<Request>,
}

impl Collector {
    pub(super) fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let (found, requests) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let found = found.clone();
                std::thread::spawn(move || serve(&stream.expect("a connection"), answer, &found));
            }
        });
        Self { address, requests }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has come in. Whoever has got an answer is among them.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.try_iter().collect()
    }
}

/// A place where nobody listens.
pub(super) fn nobody() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    format!("http://{}", listener.local_addr().expect("it has an address"))
}

fn serve(stream: &TcpStream, answer: Answer, found: &Sender<Request>) {
    if matches!(answer, Answer::CloseAtOnce) {
        return;
    }
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        // The test may be over.
        let _ = found.send(request);
        let body = "{\"partialSuccess\":{}}";
        let said = match answer {
            Answer::Status(status) => format!(
                "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ),
            Answer::Nonsense => "220 mail.example ESMTP\r\n".to_owned(),
            Answer::Hang => continue,
            Answer::Close | Answer::CloseAtOnce => return,
        };
        if (&mut &*stream).write_all(said.as_bytes()).is_err() || matches!(answer, Answer::Nonsense) {
            return;
        }
    }
}

/// The next request; none where the connection ends.
fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let line = read_line(reader)?;
    let mut headers = Vec::new();
    loop {
        let header = read_line(reader)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').expect("a header has a name");
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let value = |name: &str| headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str());
    let mut bytes = Vec::new();
    if value("transfer-encoding").is_some_and(|encoding| encoding.eq_ignore_ascii_case("chunked")) {
        loop {
            let length = u64::from_str_radix(&read_line(reader)?, 16).expect("a chunk says how long it is");
            reader.by_ref().take(length).read_to_end(&mut bytes).ok()?;
            read_line(reader)?;
            if length == 0 {
                break;
            }
        }
    } else {
        let length = value("content-length").map_or(0, |length| length.parse().expect("a length"));
        reader.by_ref().take(length).read_to_end(&mut bytes).ok()?;
        assert_eq!(bytes.len() as u64, length, "the request ends early");
    }
    let body = serde_json::from_slice(&bytes).expect("the body is JSON");
    let at_unix_ns = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_nanos();
    Some(Request { line, headers, body, at_unix_ns })
}

/// A line without its end; none where the connection ends.
fn read_line(reader: &mut BufReader<&TcpStream>) -> Option<String> {
    let mut line = String::new();
    let count = reader.read_line(&mut line).ok()?;
    (count > 0).then(|| line.trim_end().to_owned())
}
