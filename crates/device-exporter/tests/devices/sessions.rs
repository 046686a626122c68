//! Profiling sessions: counters, durations, and spans at a collector that decodes them.

use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use exporter::testing::value;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message as _;

use crate::lab::{Lab, connected, eventually, eventually_is};

const PATIENCE: Duration = Duration::from_secs(90);
const HELLO: &str = "{\"type\":\"hello\",\"id\":\"esp-1\",\"platform\":\"esp32\",\"firmware\":\"1.2.0\"}\n";
const START: &str = "{\"type\":\"session_start\",\"session\":\"s1\",\"model_name\":\"stories260k\",\"model_type\":\"llama\",\
     \"quantization\":\"int4\",\"test_type\":\"throughput\"}\n";
const END: &str = "{\"type\":\"session_end\",\"session\":\"s1\",\"ok\":true,\"seconds\":12.5,\
     \"phases\":{\"connection\":0.5,\"model_loading\":2,\"inference\":10}}\n";
const ERRORS: &str = "profiling_errors_total{platform=\"esp32\"}";
const SESSIONS: &str =
    "profiling_sessions_total{platform=\"esp32\",model_type=\"llama\",quantization=\"int4\"}";

/// An endpoint that takes OTLP over HTTP and hands on what it decoded.
fn collector() -> (String, Receiver<ExportTraceServiceRequest>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("bind");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            while let Some(body) = request(&mut reader) {
                let decoded = ExportTraceServiceRequest::decode(&body[..]).expect("protobuf");
                let answer =
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
                reader.get_mut().write_all(answer).expect("answer");
                if sender.send(decoded).is_err() {
                    return;
                }
            }
        }
    });
    (address, requests)
}

fn request(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    for line in reader.by_ref().lines().map_while(Result::ok) {
        if line.is_empty() {
            break;
        }
        head.push(line.to_lowercase());
    }
    let first = head.first()?;
    assert!(first.starts_with("post /v1/traces "), "{head:?}");
    assert!(
        head.iter()
            .any(|line| line == "content-type: application/x-protobuf"),
        "{head:?}"
    );
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.expect("a length")];
    reader.read_exact(&mut body).expect("a body");
    Some(body)
}

fn spans(requests: &Receiver<ExportTraceServiceRequest>) -> Vec<Span> {
    let request = requests.recv_timeout(PATIENCE).expect("spans");
    let resource = &request.resource_spans[0];
    let attributes = &resource.resource.as_ref().expect("a resource").attributes;
    let service = attributes
        .iter()
        .find(|attribute| attribute.key == "service.name")
        .expect("a name");
    let service = service.value.as_ref().and_then(|value| value.value.clone());
    assert_eq!(service, Some(Value::StringValue("device-exporter".into())));
    resource
        .scope_spans
        .iter()
        .flat_map(|scope| scope.spans.clone())
        .collect()
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        _ => None,
    }
}

fn seconds(span: &Span) -> f64 {
    (span.end_time_unix_nano - span.start_time_unix_nano) as f64 / 1e9
}

#[test]
fn a_session_is_counted_and_becomes_spans() {
    let lab = Lab::new("");
    let mut port = lab.plug("a");
    let (endpoint, requests) = collector();
    let running = lab.start_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    port.say(HELLO);
    connected(&running, "esp-1");
    port.say(START);
    let page = eventually_is(&running, "profiling_sessions_active", 1.0);
    assert_eq!(value(&page, SESSIONS), Some(0.0));
    let tokens = "model_tokens_total{device_id=\"esp-1\",model_name=\"stories260k\",platform=\"esp32\",quantization=\"int4\"}";
    assert_eq!(value(&page, tokens), Some(0.0), "{page}");
    port.say(END);
    let page = eventually_is(&running, SESSIONS, 1.0);
    assert_eq!(value(&page, "profiling_sessions_active"), Some(0.0));
    assert_eq!(value(&page, ERRORS), Some(0.0));
    let duration = "profiling_duration_seconds";
    let labels = "platform=\"esp32\",test_type=\"throughput\"";
    assert_eq!(value(&page, &format!("{duration}_sum{{{labels}}}")), Some(12.5));
    assert_eq!(
        value(&page, &format!("{duration}_bucket{{{labels},le=\"30\"}}")),
        Some(1.0)
    );

    let spans = spans(&requests);
    let [root, connection, loading, inference] = &spans[..] else {
        panic!("{spans:#?}")
    };
    assert_eq!(root.name, "profile_model");
    assert_eq!(attribute(root, "device_id").as_deref(), Some("esp-1"));
    assert_eq!(attribute(root, "model_name").as_deref(), Some("stories260k"));
    assert_eq!(attribute(root, "port").as_deref(), Some(port.name.as_str()));
    assert_eq!(root.status.as_ref().map(Status::code), Some(StatusCode::Ok));
    assert!((seconds(root) - 12.5).abs() < 0.001, "{root:#?}");
    let mut at = root.start_time_unix_nano;
    for (part, name, length) in [
        (connection, "device_connection", 0.5),
        (loading, "model_loading", 2.0),
        (inference, "inference_profiling", 10.0),
    ] {
        assert_eq!(part.name, name);
        assert_eq!(part.parent_span_id, root.span_id);
        assert_eq!(part.trace_id, root.trace_id);
        assert_eq!(part.start_time_unix_nano, at);
        assert!((seconds(part) - length).abs() < 0.001, "{part:#?}");
        at = part.end_time_unix_nano;
    }
    assert_eq!(value(&running.metrics(), "device_spans_dropped_total"), Some(0.0));
}

#[test]
fn a_session_that_cannot_end_any_more_is_an_error() {
    let lab = Lab::new("");
    let mut port = lab.plug("a");
    let (endpoint, requests) = collector();
    let running = lab.start_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    port.say(HELLO);
    connected(&running, "esp-1");
    // A failure, a restart in the middle, and a device that goes away.
    port.say(START);
    port.say("{\"type\":\"session_end\",\"session\":\"s1\",\"ok\":false,\"error\":\"out of memory\"}\n");
    eventually_is(&running, ERRORS, 1.0);
    let failed = spans(&requests).remove(0);
    let status = failed.status.as_ref().expect("a status");
    assert_eq!(
        (status.code(), status.message.as_str()),
        (StatusCode::Error, "out of memory")
    );
    port.say(START);
    port.say("rst:0x8 (TG1WDT_SYS_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\n");
    eventually_is(&running, ERRORS, 2.0);
    port.say(START);
    eventually_is(&running, "profiling_sessions_active", 1.0);
    port.unplug();
    let page = eventually_is(&running, ERRORS, 3.0);
    assert_eq!(value(&page, SESSIONS), Some(3.0));
    assert_eq!(value(&page, "profiling_sessions_active"), Some(0.0));
}

#[test]
fn a_collector_that_is_away_costs_spans_and_nothing_else() {
    let lab = Lab::new("");
    let mut port = lab.plug("a");
    let nobody = format!("http://127.0.0.1:{}", exporter::testing::free_port());
    let running = lab.start_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &nobody)]);
    port.say(HELLO);
    connected(&running, "esp-1");
    for _ in 0..1000 {
        port.say(START);
        port.say(END);
    }
    let page = eventually_is(&running, SESSIONS, 1000.0);
    assert!(value(&page, "device_spans_dropped_total").is_some());
    eventually(&running, "spans are counted", |page| {
        value(page, "device_spans_dropped_total").is_some_and(|dropped| dropped > 0.0)
    });
}

#[test]
fn tracing_is_off_until_a_collector_is_named() {
    let lab = Lab::new("");
    let running = lab.start_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]);
    assert_eq!(value(&running.metrics(), "device_spans_dropped_total"), None);
    drop(running);
    let output = std::process::Command::new(crate::lab::PROGRAM)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "grpc://localhost:4317")
        .output()
        .expect("run the program");
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(log.contains("does not begin with http://"), "{log}");
}
