//! A page in a real browser, which says what it shows. The browser is driven by the `DevTools` protocol over its input
//! and output: there is no port, and it ends when its test is killed.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::TestSpace;

/// Far more than an answer takes, also where many tests share few cores.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(60);

/// Chromium reads the protocol from file 3 and writes it to file 4; what else it says must not get in between.
const START: &str = r#"exec "$0" "$@" 3<&0 4>&1 1>&2"#;

/// `--no-sandbox`: there is none for root, or in most containers, and the pages are our own.
const OPTIONS: [&str; 5] = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"];

/// One page. Its browser ends with it.
pub(crate) struct Page {
    browser: Child,
    /// Has the browser's profile and what it says.
    profile: tempfile::TempDir,
    requests: ChildStdin,
    messages: Receiver<Value>,
    requests_sent: u64,
    session: Option<String>,
    events: Vec<Value>,
}

impl Page {
    /// Opens a file and waits until it is loaded; none where there is no browser, which `cargo xtask test` has said.
    pub(crate) fn open(file: &Path) -> Option<Self> {
        Self::open_at(file, "")
    }

    /// The same at a place in the file, such as `#jobs`.
    pub(crate) fn open_at(file: &Path, place: &str) -> Option<Self> {
        let program = std::env::var_os("WASMILL_TEST_BROWSER")?;
        let profile = tempfile::Builder::new().prefix("wasmill-browser-").tempdir().expect("a temporary folder");
        let said = File::create(profile.path().join("said")).expect("files can be written");
        let mut browser = Command::new("sh")
            .args(["-c", START])
            .arg(program)
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", profile.path().join("data").display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(said)
            .spawn()
            .expect("the browser starts");
        let requests = browser.stdin.take().expect("its input is a pipe");
        let messages = listen(browser.stdout.take().expect("its output is a pipe"));
        let mut page =
            Self { browser, profile, requests, messages, requests_sent: 0, session: None, events: Vec::new() };

        let target = page.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = page.call("Target.attachToTarget", &target);
        page.session = Some(attached["sessionId"].as_str().expect("a session").to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), &json!({}));
        }
        let opened = page.call("Page.navigate", &json!({ "url": format!("file://{}{place}", file.display()) }));
        assert!(opened["errorText"].is_null(), "{}: {opened}", file.display());
        while !page.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = page.next();
            page.events.push(event);
        }
        Some(page)
    }

    /// What an expression is in the page; a promise is waited for.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let wanted = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", &wanted);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Makes the window so large, in CSS pixels.
    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &size);
        self.settle();
    }

    /// Has the system prefer a colour scheme: `light` or `dark`.
    pub(crate) fn prefer(&mut self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", &features);
        self.settle();
    }

    /// Waits until what was asked for is drawn.
    fn settle(&mut self) {
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))");
    }

    /// The whole page as a PNG, also what one would have to scroll to.
    pub(crate) fn screenshot(&mut self) -> Vec<u8> {
        let size = self.call("Page.getLayoutMetrics", &json!({}));
        let (width, height) = (self.evaluate("innerWidth"), &size["cssContentSize"]["height"]);
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let wanted = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let taken = self.call("Page.captureScreenshot", &wanted);
        from_base64(taken["data"].as_str().expect("a text"))
    }

    /// What a person would read.
    pub(crate) fn text(&mut self) -> String {
        self.evaluate("document.body.innerText").as_str().expect("a text").to_owned()
    }

    /// Everything that was asked of the page's disk or network, the page itself first.
    pub(crate) fn requested(&self) -> Vec<&str> {
        self.found("Network.requestWillBeSent").filter_map(|sent| sent["request"]["url"].as_str()).collect()
    }

    /// What went wrong: scripts that failed, errors that were logged, what could not be loaded.
    pub(crate) fn complaints(&self) -> Vec<&str> {
        let thrown = self.found("Runtime.exceptionThrown").filter_map(|thrown| {
            let details = &thrown["exceptionDetails"];
            details["exception"]["description"].as_str().or(details["text"].as_str())
        });
        let logged = self.found("Log.entryAdded").filter(|logged| logged["entry"]["level"] == "error");
        let said = self.found("Runtime.consoleAPICalled").filter(|said| said["type"] == "error");
        thrown
            .chain(logged.filter_map(|logged| logged["entry"]["text"].as_str()))
            .chain(said.map(|said| said["args"][0]["value"].as_str().unwrap_or("an error")))
            .collect()
    }

    fn found(&self, event: &str) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(move |found| found["method"] == event).map(|found| &found["params"])
    }

    /// One call of the protocol: <https://chromedevtools.github.io/devtools-protocol/>.
    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.requests_sent += 1;
        let id = self.requests_sent;
        let mut request = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            request["sessionId"] = json!(session);
        }
        let sent = write!(self.requests, "{request}\0");
        sent.unwrap_or_else(|error| panic!("{method}: {error}; the browser says:\n{}", self.said()));
        loop {
            let mut message = self.next();
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    fn next(&self) -> Value {
        let message = self.messages.recv_timeout(ANSWER_WAIT_MAX);
        message.unwrap_or_else(|error| panic!("no answer: {error}; the browser says:\n{}", self.said()))
    }

    fn said(&self) -> String {
        fs::read_to_string(self.profile.path().join("said")).unwrap_or_default()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // The other processes of a browser end with the first. It may have ended, which is as good.
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}

/// Reads in a thread of its own, so that waiting has an end. A message ends with a zero.
fn listen(output: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for message in BufReader::new(output).split(0).map_while(Result::ok) {
            let message = serde_json::from_slice(&message).expect("the browser speaks JSON");
            if sender.send(message).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Bytes as the protocol writes them (RFC 4648, section 4).
fn from_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut length) = (Vec::with_capacity(text.len() / 4 * 3), 0_u32, 0);
    for char in text.trim_end_matches('=').bytes() {
        let digit = DIGITS.iter().position(|digit| *digit == char).expect("a digit of base64");
        bits = (bits << 6) | digit as u32;
        length += 6;
        if length >= 8 {
            length -= 8;
            bytes.push((bits >> length) as u8);
            bits &= (1 << length) - 1;
        }
    }
    bytes
}

const PAGE: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>Bread</title>
<h1>Flour → bread ✓</h1>
<p hidden>Not for everybody.</p>
<p><code id="narrow">iiii</code> <code id="wide">WWWW</code></p>
<p id="made"></p>
<script>document.getElementById("made").textContent = `made ${6 * 7}`;</script>
"#;

const WIDTHS: &str = "['narrow', 'wide'].map(id => document.getElementById(id).offsetWidth)";

#[test]
fn a_page_shows_what_a_person_would_read() {
    let space = TestSpace::new();
    space.write("page.html", PAGE);
    let Some(mut page) = Page::open(&space.path("page.html")) else { return };
    assert_eq!(page.text(), "Flour → bread ✓\n\niiii WWWW\n\nmade 42");
    assert_eq!(page.complaints(), [""; 0]);
    assert_eq!(page.requested(), [format!("file://{}", space.path("page.html").display())]);
    // There are fonts, and one in which everything has the same width.
    let widths = page.evaluate(WIDTHS);
    assert!(widths[0].as_u64().is_some_and(|width| width > 0), "{widths}");
    assert_eq!(widths[0], widths[1]);
}

#[test]
fn a_page_that_does_not_work_is_found() {
    let space = TestSpace::new();
    space.write("page.html", r#"<script src="none.js"></script><script>console.error("oh"); none();</script>"#);
    let Some(page) = Page::open(&space.path("page.html")) else { return };
    let complaints = page.complaints().join("\n");
    for expected in ["ReferenceError: none is not defined", "net::ERR_FILE_NOT_FOUND", "oh"] {
        assert!(complaints.contains(expected), "{expected:?} is not in {complaints}");
    }
    assert_eq!(page.requested().len(), 2, "{:?}", page.requested());
}

#[test]
fn a_page_is_drawn_as_large_and_as_dark_as_it_is_asked_for() {
    let space = TestSpace::new();
    let style = "<style>@media (prefers-color-scheme: dark) { body { background: #000; } }</style>";
    space.write("page.html", format!("<!doctype html>{style}<div style='height: 900px'>tall</div>"));
    let Some(mut page) = Page::open_at(&space.path("page.html"), "#place") else { return };
    assert_eq!(page.evaluate("location.hash"), "#place");
    page.resize(320, 200);
    assert_eq!(page.evaluate("innerWidth"), 320);
    let mut shots = ["light", "dark"].map(|scheme| {
        page.prefer(scheme);
        page.screenshot()
    });
    assert_ne!(shots[0], shots[1]);
    let shot = std::mem::take(&mut shots[0]);
    assert_eq!(&shot[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(shot[at..at + 4].try_into().unwrap());
    assert_eq!(number(16), 320);
    assert!(number(20) >= 900, "also what is below the window: {}", number(20));
    assert_eq!(from_base64("aMOkbQo="), "häm\n".as_bytes());
}
