//! Spans as a collector reads them, after checking that they are what OTLP's JSON has (opentelemetry-proto, `trace.proto`).

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::collector::Request;

/// Keys that an object of OTLP may have here.
fn keys(value: &Value, allowed: &[&str]) {
    let object = value.as_object().unwrap_or_else(|| panic!("{value} is no object"));
    for key in object.keys() {
        assert!(allowed.contains(&key.as_str()), "{key} is not in {allowed:?}: {value}");
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is no text in {value}"))
}

/// A number that is written as a text, as 64 bits are in Protocol Buffers' JSON.
fn nanoseconds(value: &Value, key: &str) -> u128 {
    text(value, key).parse::<u64>().unwrap_or_else(|error| panic!("{key} in {value}: {error}")).into()
}

fn is_id(id: &str, digits: usize) -> bool {
    let is_hex = id.chars().all(|char| matches!(char, '0'..='9' | 'a'..='f'));
    id.len() == digits && is_hex && id.chars().any(|char| char != '0')
}

/// Attributes as texts, each with the kind of its value before it.
pub(super) fn attributes(of: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for attribute in of["attributes"].as_array().expect("attributes") {
        keys(attribute, &["key", "value"]);
        let value = attribute["value"].as_object().expect("a value");
        assert_eq!(value.len(), 1, "{attribute}");
        let (kind, inner) = value.iter().next().unwrap();
        match kind.as_str() {
            "stringValue" => assert!(inner.is_string(), "{attribute}"),
            "boolValue" => assert!(inner.is_boolean(), "{attribute}"),
            "intValue" => {
                inner.as_str().and_then(|number| number.parse::<i64>().ok()).unwrap_or_else(|| panic!("{attribute}"));
            }
            other => panic!("{other} in {attribute}"),
        }
        let shown = inner.as_str().map_or_else(|| inner.to_string(), str::to_owned);
        let before = found.insert(text(attribute, "key").to_owned(), shown);
        assert_eq!(before, None, "each key is there once: {of}");
    }
    found
}

/// One span.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) parent: Option<String>,
    pub(super) start_ns: u128,
    pub(super) end_ns: u128,
    pub(super) attributes: BTreeMap<String, String>,
    /// 0 to 2.
    pub(super) status: u64,
    pub(super) message: String,
}

fn span(value: &Value) -> Span {
    keys(
        value,
        &[
            "traceId",
            "spanId",
            "parentSpanId",
            "name",
            "kind",
            "startTimeUnixNano",
            "endTimeUnixNano",
            "attributes",
            "status",
        ],
    );
    keys(&value["status"], &["code", "message"]);
    let kind = value["kind"].as_u64().expect("a kind");
    assert!((1..=5).contains(&kind), "{value}");
    let status = value["status"]["code"].as_u64().expect("a status");
    assert!(status <= 2, "{value}");
    let id = text(value, "spanId").to_owned();
    assert!(is_id(&id, 16), "{value}");
    Span {
        name: text(value, "name").to_owned(),
        id,
        parent: value.get("parentSpanId").map(|_| text(value, "parentSpanId").to_owned()),
        start_ns: nanoseconds(value, "startTimeUnixNano"),
        end_ns: nanoseconds(value, "endTimeUnixNano"),
        attributes: attributes(value),
        status,
        message: value["status"]["message"].as_str().unwrap_or_default().to_owned(),
    }
}

/// All that was sent of one run.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) id: String,
    pub(super) root: Span,
    /// All but the root, in the order in which they came.
    pub(super) jobs: Vec<Span>,
    pub(super) resource: BTreeMap<String, String>,
}

impl Trace {
    /// Puts requests together, and checks what holds of every trace.
    pub(super) fn of(requests: &[Request]) -> Self {
        let (mut spans, mut ids, mut resources) = (Vec::new(), HashSet::new(), Vec::new());
        for request in requests {
            assert_eq!(request.line, "POST /v1/traces HTTP/1.1");
            assert_eq!(request.header("content-type"), "application/json");
            keys(&request.body, &["resourceSpans"]);
            for of_resource in request.body["resourceSpans"].as_array().expect("spans of resources") {
                keys(of_resource, &["resource", "scopeSpans", "schemaUrl"]);
                keys(&of_resource["resource"], &["attributes"]);
                resources.push(attributes(&of_resource["resource"]));
                for of_scope in of_resource["scopeSpans"].as_array().expect("spans of scopes") {
                    keys(of_scope, &["scope", "spans", "schemaUrl"]);
                    assert_eq!(of_scope["scope"]["name"], "wasmill");
                    for value in of_scope["spans"].as_array().expect("spans") {
                        assert!(is_id(text(value, "traceId"), 32), "{value}");
                        ids.insert(text(value, "traceId").to_owned());
                        spans.push(span(value));
                    }
                }
            }
        }
        assert_eq!(ids.len(), 1, "one trace");
        resources.dedup();
        assert_eq!(resources.len(), 1, "one resource");
        let distinct: HashSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
        assert_eq!(distinct.len(), spans.len(), "each span has an id of its own");
        let (roots, jobs): (Vec<Span>, Vec<Span>) = spans.into_iter().partition(|span| span.parent.is_none());
        let [root] = <[Span; 1]>::try_from(roots).expect("one root");
        for job in &jobs {
            assert_eq!(job.parent.as_ref(), Some(&root.id), "{job:?}");
            assert!(root.start_ns <= job.start_ns && job.start_ns <= job.end_ns, "{job:?} in {root:?}");
            assert!(job.end_ns <= root.end_ns, "{job:?} in {root:?}");
        }
        Self { id: ids.into_iter().next().unwrap(), root, jobs, resource: resources.remove(0) }
    }

    pub(super) fn job(&self, name: &str) -> &Span {
        self.jobs.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name} in {self:#?}"))
    }
}
